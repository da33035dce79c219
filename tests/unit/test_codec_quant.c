/* test_codec_quant.c: the codec quant against its page in src/codec/README.md, written again in float64: scales, offsets, codes
 * and what they restore, for shapes, contents and edges of the range; expectations over seeds.
 */
#include "codec_test.h"

#include "../../src/util/util.h"

static const char *const modes[] = {"minmax", "symmetric"};

static actc_codec_plan *plan_of(uint32_t bits, bool symmetric, const shape_case *shape)
{
    char text[64];
    snprintf(text, sizeof text, "quant:bits=%u,mode=%s", bits, modes[symmetric]);
    return codec_plan(text, shape);
}

static actc_codec_plan *plan_of_length(uint32_t bits, bool symmetric, uint64_t n)
{
    return plan_of(bits, symmetric, &(shape_case){1, {(int64_t)n}});
}

/* ---- the payload ---- */

static uint32_t code_of(const actc_codec_plan *plan, const unsigned char *payload, uint64_t i)
{
    uint32_t bits = (uint32_t)plan->spec.bits, in_word = 32 / bits;
    return load32(payload + 4 * (i / in_word)) >> bits * (i % in_word) & ((1u << bits) - 1);
}

typedef struct header {
    uint32_t scale;
    float offset;
    double step; /* 0: none */
} header;

/* Sections: codes in words, offsets unless symmetric, scales. */
static header header_of(const actc_codec_plan *plan, const unsigned char *payload, uint64_t group)
{
    uint32_t bits = (uint32_t)plan->spec.bits;
    uint64_t groups = (plan->n + 255) / 256, codes = (plan->n * bits + 31) / 32 * 4;
    uint64_t scales = codes + (plan->spec.symmetric ? 0 : 4 * groups);
    header h = {.scale = payload[scales + group]};
    h.step = h.scale ? ldexp(1, (int)h.scale - 127) : 0;
    if (!plan->spec.symmetric)
        h.offset = bits_float(load32(payload + codes + 4 * group));
    else if (h.scale != 255)
        h.offset = (float)(-h.step * (bits == 1 ? 0.5 : (1 << (bits - 1)) - 1));
    return h;
}

/* ---- the reference ---- */

static float read_element(float x)
{
    float most = 0x1p125f;
    x = ref_flush(x);
    return x > most ? most : x < -most ? -most : x;
}

/* Whole units of 2^-24 steps. */
static double units(double x, double step)
{
    return step > 0 ? trunc(x / step * 0x1p24) : 0;
}

static void check_group(const actc_codec_plan *plan, const unsigned char *payload, const float *x, const float *restored,
                        uint64_t group, const char *name)
{
    uint32_t bits = (uint32_t)plan->spec.bits;
    uint64_t begin = group * 256, end = begin + 256 < plan->n ? begin + 256 : plan->n;
    header h = header_of(plan, payload, group);
    float low = INFINITY, high = -INFINITY;
    bool finite = true;
    for (uint64_t i = begin; i < end; i++) {
        float v = read_element(x[i]);
        finite = finite && isfinite(x[i]);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    if (!finite) {
        assert_int_equal(h.scale, 255);
        for (uint64_t i = begin; i < end; i++)
            if (float_bits(restored[i]) != 0x7fc00000 || code_of(plan, payload, i) || float_bits(h.offset))
                fail_msg("%s: element %llu of a group with NaN or Inf", name, (unsigned long long)i);
        return;
    }
    /* the smallest power of two whose steps reach */
    double range = plan->spec.symmetric ? (-low > high ? -low : high) : (double)high - low;
    double reach = !plan->spec.symmetric ? (1 << bits) - 1 : bits == 1 ? 0.5 : (1 << (bits - 1)) - 1;
    if (!plan->spec.symmetric && float_bits(h.offset) != float_bits(low))
        fail_msg("%s: group %llu: offset %g, least element %g", name, (unsigned long long)group, h.offset, low);
    double lowest = plan->spec.symmetric ? 0 : units(low, h.step), highest = units(plan->spec.symmetric ? range : high, h.step);
    if (range == 0 ? h.scale != 0 : highest - lowest > reach * 0x1p24 || range <= reach * h.step / 2 || h.scale > 253)
        fail_msg("%s: group %llu: a range of %g, scale %u (step %g)", name, (unsigned long long)group, range, h.scale, h.step);
    for (uint64_t i = begin; i < end; i++) {
        uint32_t random = actc_random_bits((uint32_t)i, CODEC_TENSOR, codec_step[2], codec_step[3], codec_step[0], codec_step[1]);
        double t = units(read_element(x[i]), h.step) - units(h.offset, h.step);
        uint32_t code = code_of(plan, payload, i), expected = (uint32_t)floor((t + (random >> 8)) * 0x1p-24);
        if (code != expected)
            fail_msg("%s: element %llu, %g: code %u, should be %u", name, (unsigned long long)i, x[i], code, expected);
        float value = ref_canon(h.offset + (float)(code * h.step));
        if (float_bits(value) != float_bits(restored[i]) || !isfinite(restored[i]))
            fail_msg("%s: element %llu: restored %g, should be %g", name, (unsigned long long)i, restored[i], value);
    }
}

/* Packs, checks every group, and every slice against the whole; with an instruction set and threads that `turn` chooses. */
static void check_tensor(const actc_codec_plan *plan, const float *x, uint32_t turn, const char *what)
{
    char name[200];
    snprintf(name, sizeof name, "%s of %llu, %s", plan->text, (unsigned long long)plan->n, what);
    guarded payload = guarded_new(plan->payload_bytes), restored = guarded_new(4 * plan->n);
    codec_run run = {(actc_cpu_isa)(turn % (uint32_t)(actc_cpu_isa_detect() + 1)), 1 + (int)(turn / 3 % 3),
                     .max_view = turn % 4 ? 0 : 8192};
    codec_pack(plan, run, x, &payload);
    codec_unpack(plan, run, payload.data, 0, plan->samples, &restored);
    for (uint64_t g = 0; g < (plan->n + 255) / 256; g++)
        check_group(plan, payload.data, x, restored.data, g, name);
    /* codes that no element has are zero */
    uint64_t used = plan->n * (uint32_t)plan->spec.bits;
    for (uint64_t b = used; b < (used + 31) / 32 * 32; b++)
        assert_int_equal(((unsigned char *)payload.data)[b / 8] >> b % 8 & 1, 0);
    size_t sample = 4 * (size_t)(plan->n / plan->samples);
    for (uint32_t first = 0; plan->sliceable && first < plan->samples; first += 1 + turn % 3) {
        uint32_t count = plan->samples - first < 2 ? 1 : 2;
        guarded slice = guarded_new(count * sample);
        codec_unpack(plan, run, payload.data, first, count, &slice);
        if (memcmp(slice.data, (char *)restored.data + first * sample, slice.bytes))
            fail_msg("%s: samples %u to %u differ from the whole", name, first, first + count);
        guarded_free(&slice);
    }
    guarded_free(&restored);
    guarded_free(&payload);
}

static void test_shapes_and_contents(void **state)
{
    uint32_t turn = 0;
    (void)state;
    for (uint32_t bits = 1; bits <= 8; bits *= 2)
        for (int symmetric = 0; symmetric < 2; symmetric++)
            for (size_t s = 0; s < CODEC_SHAPES; s++)
                for (content kind = 0; kind < CONTENTS; kind++) {
                    actc_codec_plan *plan = plan_of(bits, symmetric, &codec_shapes[s]);
                    float *x = codec_content(kind, plan->n, s * 100 + kind);
                    check_tensor(plan, x, turn++, codec_content_name(kind));
                    free(x);
                    actc_codec_plan_destroy(&plan);
                }
}

/* Ends of the range, small differences of large numbers, ranges that are just a number of steps or a little more. */
static void test_edges(void **state)
{
    static const float ends[][2] = {
        {0, 0}, {-0.0f, 0}, {1, 1}, {0.7f, 0.7f}, {-0.7f, -0.7f}, {0, 1}, {-1, 1}, {0, 3}, {0, 3.0000002f}, {-1.5f, 1.5f},
        {0, 255}, {0, 255.00002f}, {-127, 127}, {-127.00001f, 127}, {1000, 1000.0001f}, {-8388608, -8388607}, {1, 1.0000001f},
        {1.0000001f, 2}, {-FLT_MAX, FLT_MAX}, {0x1p125f, FLT_MAX}, {-0x1p125f, 0x1p125f}, {0x1.fffffep124f, 0x1p125f},
        {-FLT_MAX, 0x1p-60f}, {0, 0x1p-60f}, {-0x1p-60f, 0x1p-60f}, {0x1p-60f, 0x1.000002p-60f}, {0, 0x1p-61f}, {0, FLT_MIN},
        {-0x1p-149f, 0x1p-149f}, {-1e-30f, 1e30f}, {-1e-12f, 3}, {-3, -1e-12f}, {1e-12f, 3}, {0.1f, 15.1f}, {-0.3f, 0.7f},
        /* differences that f32 rounds down to so many steps */
        {-1e-7f, 3}, {-4e-7f, 15}, {-5e-6f, 255}, {-255, 5e-6f}};
    test_rng r = {5};
    uint32_t turn = 0;
    (void)state;
    for (uint32_t bits = 1; bits <= 8; bits *= 2)
        for (int symmetric = 0; symmetric < 2; symmetric++)
            for (size_t e = 0; e < sizeof ends / sizeof *ends; e++) {
                float x[300], low = ends[e][0], high = ends[e][1];
                char what[80];
                for (int i = 0; i < 300; i++) {
                    double t = (rng_next(&r) >> 8) * 0x1p-24;
                    float v = (float)(low + t * ((double)high - low));
                    x[i] = i % 3 == 0 ? low : i % 3 == 1 ? high : v < low ? low : v > high ? high : v;
                }
                actc_codec_plan *plan = plan_of_length(bits, symmetric, 300);
                snprintf(what, sizeof what, "from %a to %a", low, high);
                check_tensor(plan, x, turn++, what);
                actc_codec_plan_destroy(&plan);
            }
}

static float restored_of(uint32_t bits, bool symmetric, const float *x, uint64_t n, uint64_t at)
{
    actc_codec_plan *plan = plan_of_length(bits, symmetric, n);
    guarded payload = guarded_new(plan->payload_bytes), restored = guarded_new(4 * n);
    codec_run run = {ACTC_CPU_BASELINE, 1};
    codec_pack(plan, run, x, &payload);
    codec_unpack(plan, run, payload.data, 0, plan->samples, &restored);
    float value = ((float *)restored.data)[at];
    guarded_free(&restored);
    guarded_free(&payload);
    actc_codec_plan_destroy(&plan);
    return value;
}

/* A group that is not finite restores as NaN, and leaves the others alone. */
static void test_not_finite(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    (void)state;
    for (int i = 0; i < 3; i++)
        for (int symmetric = 0; symmetric < 2; symmetric++) {
            float x[1000];
            for (int j = 0; j < 1000; j++)
                x[j] = 0.5f;
            x[300] = bad[i];
            for (uint32_t bits = 1; bits <= 8; bits *= 2)
                for (uint64_t at = 255; at <= 512; at += at == 256 ? 255 : 1) {
                    float v = restored_of(bits, symmetric, x, 1000, at);
                    assert_true(at / 256 == 1 ? isnan(v) : isfinite(v));
                }
        }
}

/* What is restored exactly whatever the seed: a constant group and the least element with minmax, zeros with symmetric. */
static void test_exact(void **state)
{
    float x[256];
    (void)state;
    for (uint32_t bits = 1; bits <= 8; bits *= 2) {
        for (int i = 0; i < 256; i++)
            x[i] = 0.7f;
        assert_true(restored_of(bits, false, x, 256, 100) == 0.7f);
        x[3] = -0.3f;
        assert_true(restored_of(bits, false, x, 256, 3) == -0.3f);
        x[5] = 0;
        assert_true(bits == 1 || float_bits(restored_of(bits, true, x, 256, 5)) == 0);
        x[7] = 3; /* steps of 1 and smaller powers of two */
        x[3] = 0;
        assert_true(bits == 1 || restored_of(bits, false, x, 256, 7) == 3);
    }
}

/* ---- expectation ---- */

/* The mean over seeds of what is restored is the tensor: with each element's own bound, 5.5 standard errors, and over all
 * elements together. */
#define SEEDS 4000
static void test_unbiased(void **state)
{
    enum { N = 600 };
    test_rng r = {9};
    float x[N];
    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = i < 256 ? rng_normal(&r) : i < 512 ? fmaxf(rng_normal(&r), 0) : 100 + 0.01f * rng_normal(&r);
    for (uint32_t bits = 1; bits <= 8; bits *= 2)
        for (int symmetric = 0; symmetric < 2; symmetric++) {
            actc_codec_plan *plan = plan_of_length(bits, symmetric, N);
            guarded payload = guarded_new(plan->payload_bytes), restored = guarded_new(4 * N);
            actc_codec_work_desc work = {.plan = plan, .tensor = CODEC_TENSOR, .count = plan->samples};
            codec_run run = {actc_cpu_isa_detect(), 1};
            double sum[N] = {0}, z = 0;
            float first[N];
            uint32_t differ = 0;
            for (uint32_t seed = 0; seed < SEEDS; seed++) {
                const uint32_t step[ACTC_STEP_BLOCK_BYTES / 4] = {[ACTC_STEP_SEED_LO] = seed};
                assert_int_equal(actc_cpu_pack(&work, &run, x, payload.data, step, NULL), ACTC_OK);
                assert_int_equal(actc_cpu_unpack(&work, &run, payload.data, restored.data, step, NULL), ACTC_OK);
                const float *v = restored.data;
                for (int i = 0; i < N; i++)
                    sum[i] += (double)v[i] - x[i];
                if (seed == 0)
                    memcpy(first, v, sizeof first);
                differ += memcmp(first, v, sizeof first) != 0;
            }
            assert_int_equal(differ, SEEDS - 1);
            for (int i = 0; i < N; i++) {
                header h = header_of(plan, payload.data, (uint64_t)i / 256);
                double t = h.step > 0 ? ((double)x[i] - h.offset) / h.step : 0, f = t - floor(t);
                double rounding = 0x1p-24 * (fabs(h.offset) + 256 * h.step); /* of a sum in f32 */
                double deviation = h.step * sqrt(f * (1 - f) / SEEDS), error = sum[i] / SEEDS;
                if (fabs(error) > 5.5 * deviation + rounding + h.step * 5.5 / SEEDS)
                    fail_msg("%s: element %d, %g: the mean is off by %g, standard error %g", plan->text, i, x[i], error,
                             deviation);
                z += deviation > 0 ? error / deviation : 0;
            }
            if (fabs(z) > 4.5 * sqrt(N))
                fail_msg("%s: errors of all means add up to %.1f standard errors of their sum", plan->text, z / sqrt(N));
            guarded_free(&restored);
            guarded_free(&payload);
            actc_codec_plan_destroy(&plan);
        }
}

/* The codes of values=int8 and int4: over random words that are spread evenly the mean is the value, to a part of the step;
 * what is not finite has codes of its own, the largest value fits, and zero stays. */
static void test_int_codes(void **state)
{
    enum { WORDS = 1 << 12 };
    test_rng r = {4};
    (void)state;
    for (uint32_t width = 4; width <= 8; width += 4)
        for (int i = 0; i < 300; i++) {
            int exponent = i % 3 ? (int)(rng_next(&r) % 255) - 127 : i / 3 - 149;
            float largest = ldexpf(1 + (float)(rng_next(&r) >> 8) * 0x1p-24f, exponent);
            uint32_t scale = actc_int_scale(float_bits(largest), width), most = width == 8 ? 126 : 6;
            double step = ldexp(1, (int)scale - 127), v = largest * (i % 4 == 0 ? 1 : (rng_next(&r) >> 8) * 0x1p-24);
            v = (float)(i % 2 ? -v : v);
            if (scale < 1 || largest > most * step || (scale > 1 && largest <= most * step / 2))
                fail_msg("%a in %u bits: scale %u", largest, width, scale);
            double sum = 0;
            for (uint32_t w = 0; w < WORDS; w++) {
                uint32_t code = actc_int_code(float_bits((float)v), scale, w << 20 | 0x80000, width);
                sum += bits_float(actc_int_bits(code, scale, width));
            }
            bool cut = ldexp(most, (int)scale - 127) > FLT_MAX; /* the largest values there are */
            if (!isfinite(sum) || (!cut && fabs(sum / WORDS - v) > step / WORDS))
                fail_msg("%a of at most %a in %u bits: the mean is %a", v, largest, width, sum / WORDS);
            static const uint32_t odd[] = {0x7fc00000, 0x7f800000, 0xff800000, 0};
            for (int o = 0; o < 4; o++)
                assert_int_equal(actc_int_bits(actc_int_code(odd[o], scale, rng_next(&r), width), scale, width), odd[o]);
        }
}

/* Every part of the key, and the element's number, changes what is drawn. */
static void test_key(void **state)
{
    enum { N = 1024 };
    float x[N];
    unsigned char payloads[6][N];
    actc_codec_plan *plan = plan_of_length(4, false, N);
    codec_run run = {ACTC_CPU_BASELINE, 1};
    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = (float)(i % 64) / 7;
    for (int k = 0; k < 6; k++) {
        guarded payload = guarded_new(plan->payload_bytes);
        uint32_t step[ACTC_STEP_BLOCK_BYTES / 4] = {0};
        actc_codec_work_desc work = {.plan = plan, .tensor = k == 4, .count = plan->samples};
        if (k < 4)
            step[(uint32_t[]){ACTC_STEP_SEED_LO, ACTC_STEP_SEED_HI, ACTC_STEP_STEP_LO, ACTC_STEP_STEP_HI}[k]] = 1;
        assert_int_equal(actc_cpu_pack(&work, &run, x, payload.data, step, NULL), ACTC_OK);
        memcpy(payloads[k], payload.data, plan->payload_bytes);
        guarded_free(&payload);
    }
    for (int k = 0; k < 6; k++)
        for (int j = 0; j < k; j++)
            assert_memory_not_equal(payloads[k], payloads[j], plan->payload_bytes);
    assert_memory_not_equal(payloads[0], payloads[0] + 128, 128); /* the same elements in the next group */
    actc_codec_plan_destroy(&plan);
}

/* ---- sizes ---- */

static void test_bytes(void **state)
{
    static const double most[2][4] = {{0.145, 0.27, 0.52, 1.02}, {0.13, 0.255, 0.505, 1.005}};
    (void)state;
    for (int symmetric = 0; symmetric < 2; symmetric++)
        for (int b = 0; b < 4; b++)
            for (uint64_t n = 1; n < 3000000; n += n < 3000 ? 1 : n / 13) {
                actc_codec_plan *plan = plan_of_length(1u << b, symmetric, n);
                uint64_t groups = (n + 255) / 256, codes = (n * (1u << b) + 31) / 32 * 4;
                assert_int_equal(plan->payload_bytes, codes + (symmetric ? 1 : 5) * groups);
                assert_int_equal(plan->smaller, plan->payload_bytes < 4 * n);
                assert_int_equal(plan->k, n);
                assert_int_equal(plan->m, n);
                if (n >= 65536 && (double)plan->payload_bytes > most[symmetric][b] * (double)n)
                    fail_msg("%s of %llu: %llu bytes", plan->text, (unsigned long long)n,
                             (unsigned long long)plan->payload_bytes);
                actc_codec_plan_destroy(&plan);
            }
}

/* The example of src/codec/README.md. */
static void test_worked_example(void **state)
{
    static const float x[] = {-1, 0, 1, 2, -1, 1, 2, 2, 0};
    static const unsigned char minmax[] = {0xe4, 0xf8, 0x01, 0, 0, 0, 0x80, 0xbf, 127};
    (void)state;
    actc_codec_plan *plan = plan_of_length(2, false, 9);
    assert_int_equal(plan->payload_bytes, sizeof minmax);
    guarded payload = guarded_new(plan->payload_bytes);
    codec_pack(plan, (codec_run){ACTC_CPU_BASELINE, 1}, x, &payload);
    assert_memory_equal(payload.data, minmax, sizeof minmax);
    guarded_free(&payload);
    actc_codec_plan_destroy(&plan);
}

/* Whatever a payload holds, every instruction set restores the same, within its bounds, and no subnormal. */
static void test_damaged(void **state)
{
    static const shape_case shapes[] = {{1, {1}}, {1, {700}}, {3, {3, 17, 41}}};
    test_rng r = {3};
    (void)state;
    for (int i = 0; i < 400; i++) {
        actc_codec_plan *plan = plan_of(1u << i % 4, i / 4 % 2, &shapes[i % 3]);
        guarded payload = guarded_new(plan->payload_bytes), one = guarded_new(4 * plan->n), other = guarded_new(4 * plan->n);
        for (size_t b = 0; b < plan->payload_bytes; b++)
            ((unsigned char *)payload.data)[b] = (unsigned char)(i % 5 == 0 ? 0xffu : i % 5 == 1 ? (uint32_t)i : rng_next(&r));
        codec_unpack(plan, (codec_run){ACTC_CPU_BASELINE, 1}, payload.data, 0, plan->samples, &one);
        codec_unpack(plan, (codec_run){actc_cpu_isa_detect(), 2}, payload.data, 0, plan->samples, &other);
        assert_memory_equal(one.data, other.data, 4 * plan->n);
        for (uint64_t e = 0; e < plan->n; e++)
            assert_int_equal(float_bits(ref_canon(((float *)one.data)[e])), float_bits(((float *)one.data)[e]));
        guarded_free(&other);
        guarded_free(&one);
        guarded_free(&payload);
        actc_codec_plan_destroy(&plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_and_contents), cmocka_unit_test(test_edges),    cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_exact),               cmocka_unit_test(test_unbiased), cmocka_unit_test(test_int_codes),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_bytes),               cmocka_unit_test(test_worked_example), cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, codec_setup, codec_teardown);
}
