/* test_codec_fused.c: the CPU's fused codecs against the pass list of the GPU backends, byte for byte: payloads and restored
 * tensors, whole and in slices, with every instruction set of this processor and 1 to 3 threads.
 *
 * Without an argument all of it; with `quick` a sixteenth, for sanitizers in the suite. The pass list takes most of it.
 */
#include "codec_test.h"

#include "../../src/codec/wavelets.h"
#include "../../src/util/util.h"

static bool quick;
static uint64_t cases;

static void check_same(const char *name, const char *what, codec_run run, const void *expected, const void *actual,
                       size_t bytes)
{
    const unsigned char *p = expected, *q = actual;
    if (memcmp(p, q, bytes) == 0)
        return;
    for (size_t i = 0; i < bytes; i++)
        if (p[i] != q[i])
            fail_msg("%s, %s kernels, %d threads: %s: byte %zu of %zu is %02x, should be %02x", name,
                     actc_cpu_isa_string(run.isa), run.threads, what, i, bytes, q[i], p[i]);
}

/* x against the pass list, `turn` choosing the thread counts. */
static void check_plan(const actc_codec_plan *plan, const float *x, uint32_t turn, const char *name)
{
    const codec_run plain = {ACTC_CPU_BASELINE, 1, .passes = true};
    size_t dense = 4 * (size_t)plan->n, sample = dense / plan->samples;
    guarded payload = guarded_new(plan->payload_bytes), restored = guarded_new(dense);
    guarded again = guarded_new(plan->payload_bytes), repeated = guarded_new(dense);
    codec_pack(plan, plain, x, &payload);
    codec_unpack(plan, plain, payload.data, 0, plan->samples, &restored);
    for (int isa = 0; isa <= (int)actc_cpu_isa_detect(); isa++) {
        codec_run run = {(actc_cpu_isa)isa, 1 + (int)((turn + (uint32_t)isa) % 3)};
        memset(again.data, 0xa5, again.padded);
        codec_pack(plan, run, x, &again);
        check_same(name, "payload", run, payload.data, again.data, plan->payload_bytes);
        memset(repeated.data, 0xa5, repeated.padded);
        codec_unpack(plan, run, payload.data, 0, plan->samples, &repeated);
        check_same(name, "restored", run, restored.data, repeated.data, dense);
        if (!plan->sliceable)
            continue;
        uint32_t first = turn % plan->samples, count = 1 + turn / 7 % (plan->samples - first);
        guarded slice = guarded_new(count * sample);
        codec_unpack(plan, run, payload.data, first, count, &slice);
        check_same(name, "slice", run, (const char *)restored.data + first * sample, slice.data, slice.bytes);
        guarded_free(&slice);
    }
    guarded_free(&repeated);
    guarded_free(&again);
    guarded_free(&restored);
    guarded_free(&payload);
    cases++;
}

static void check_case(const char *spec, const shape_case *shape, content kind, uint64_t seed)
{
    char name[320], dims[128];
    actc_codec_plan *plan = codec_plan(spec, shape);
    float *x = codec_content(kind, plan->n, seed);
    snprintf(name, sizeof name, "%s of %s, content %d, seed %llu", spec, actc_shape_text(&plan->shape, dims), (int)kind,
             (unsigned long long)seed);
    check_plan(plan, x, (uint32_t)seed, name);
    free(x);
    actc_codec_plan_destroy(&plan);
}

static void test_options_shapes_contents(void **state)
{
    (void)state;
    for (size_t o = 0; o < CODEC_SPECS; o++)
        for (size_t s = 0; s < CODEC_SHAPES; s++)
            for (content kind = 0; kind < CONTENTS; kind++) {
                if (codec_row_too_long(codec_specs[o], &codec_shapes[s]) || (quick && (o + s + kind) % 16))
                    continue;
                check_case(codec_specs[o], &codec_shapes[s], kind, o * 100 + s * 7 + kind);
            }
}

/* Many units, samples and edge blocks; every way to find the key. */
static void test_larger(void **state)
{
    static const shape_case shapes[] = {{4, {8, 64, 32, 32}}, {4, {24, 16, 26, 26}}, {4, {5, 40, 35, 31}},
                                        {3, {3, 197, 384}}, {4, {64, 3, 20, 18}}, {4, {512, 8, 4, 4}},
                                        {1, {300001}}, {4, {40, 130, 5, 6}}};
    static const char *const specs[] = {"threshold:lambda=%s", "threshold:lambda=%s,select=tile,values=int8",
                                        "dct:lambda=%s", "dct:lambda=%s,select=tile", "dct:block=8,lambda=%s,values=int8",
                                        "wavelet:lambda=%s", "wavelet:lambda=%s,select=tile",
                                        "wavelet:mode=symmetric,wave=bior4.4,lambda=%s",
                                        "dct:lambda=%s,select=random", "wavelet:lambda=%s,select=random,values=int8"};
    static const char *const lambdas[] = {"1.5", "10", "45", "100", "1000"};
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t o = 0; o < sizeof specs / sizeof *specs; o++)
            for (size_t l = 0; l < sizeof lambdas / sizeof *lambdas; l++) {
                char spec[128];
                if (quick && (i + o + l) % 16)
                    continue;
                snprintf(spec, sizeof spec, specs[o], lambdas[l]);
                check_case(spec, &shapes[i], (content)((i + o + 3 * l) % CONTENTS), i * 100 + o * 10 + l);
            }
}

/* What a sample misleads about: all that is large lies together, at the beginning or at the end. */
static void test_uneven(void **state)
{
    static const shape_case shape = {4, {16, 16, 32, 32}};
    static const char *const specs[] = {"threshold:lambda=100", "threshold:lambda=10", "dct:lambda=100", "dct:lambda=10",
                                        "wavelet:lambda=100", "wavelet:lambda=5"};
    (void)state;
    for (size_t o = 0; o < sizeof specs / sizeof *specs; o++)
        for (int where = 0; where < 4; where++) {
            actc_codec_plan *plan = codec_plan(specs[o], &shape);
            float *x = codec_content(NORMAL, plan->n, o);
            for (uint64_t i = 0; i < plan->n; i++) {
                uint64_t at = where & 1 ? plan->n - 1 - i : i, few = where & 2 ? plan->n / 2000 : plan->n / 16;
                x[at] *= i < few ? 1000.0f : 0.001f;
            }
            check_plan(plan, x, (uint32_t)o, specs[o]);
            free(x);
            actc_codec_plan_destroy(&plan);
        }
}

static void test_wavelets(void **state)
{
    static const shape_case shapes[] = {{4, {2, 3, 32, 48}}, {4, {1, 5, 33, 47}}, {3, {2, 96, 120}}, {4, {3, 16, 80, 9}}};
    (void)state;
    for (int w = 0; w < actc_wavelet_count; w++)
        for (size_t s = 0; s < 4; s++)
            for (int mode = 0; mode < 2; mode++) {
                char spec[128];
                if (quick && (w + (int)s) % 32)
                    continue;
                snprintf(spec, sizeof spec, "wavelet:wave=%s,lambda=7%s", actc_wavelets[w].name,
                         mode ? ",mode=symmetric" : "");
                check_case(spec, &shapes[s], w % 3 ? NORMAL : ADVERSARIAL, (uint64_t)w * 4 + s);
            }
}

static const char *pick(test_rng *r, const char *const *from, size_t count)
{
    return from[rng_next(r) % count];
}
#define PICK(r, ...) \
    pick(r, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void random_spec(test_rng *r, char *spec, size_t size, uint32_t last)
{
    const char *codec = PICK(r, "threshold", "dct", "wavelet"), *own = "";
    char wave[64] = "";
    if (codec[0] == 'd') {
        own = PICK(r, "", ",block=8", ",block=16", ",block=row", ",block=row,norm=none");
        if (last > 4096 && strstr(own, "row"))
            own = "";
    } else if (codec[0] == 'w') {
        own = PICK(r, "", ",mode=symmetric", ",levels=1", ",levels=5");
        snprintf(wave, sizeof wave, ",wave=%s", actc_wavelets[rng_next(r) % (uint32_t)actc_wavelet_count].name);
    }
    char amount[32];
    if (rng_next(r) % 4 == 0)
        snprintf(amount, sizeof amount, "ratio=0.%u", rng_next(r) % 1000);
    else
        snprintf(amount, sizeof amount, "lambda=%s", PICK(r, "1", "1.1", "2", "5", "10", "33", "45", "100", "300", "1000"));
    const char *select = codec[0] == 'w' ? PICK(r, "", "", ",select=tile", ",select=random", ",select=band")
                                            : PICK(r, "", "", ",select=tile", ",select=random");
    const char *values = PICK(r, "", "", ",values=f16", ",values=bf16", ",values=int8", ",values=int4");
    snprintf(spec, size, "%s:%s%s%s%s%s", codec, amount, select, values, own, wave);
}

static shape_case random_shape(test_rng *r)
{
    shape_case s = {.ndim = 1 + (int)(rng_next(r) % 5)};
    uint64_t room = 1 + rng_next(r) % (rng_next(r) % 8 ? 20000 : 200000);
    for (int i = s.ndim - 1; i >= 0; i--) {
        uint32_t most = i == 0 ? 1u << 30 : i >= s.ndim - 2 ? 80 : 70;
        if (s.ndim == 1)
            most = 1u << 30;
        uint64_t limit = room < most ? room : most;
        s.d[i] = s.ndim > 1 && i ? (int64_t)(1 + rng_next(r) % limit) : (int64_t)limit;
        room /= (uint64_t)s.d[i];
        room = room ? room : 1;
    }
    return s;
}

static void test_random(void **state)
{
    const char *text = getenv("ACTC_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20260101;
    test_rng r = {seed};
    (void)state;
    print_message("seed %llu (ACTC_TEST_SEED sets it)\n", (unsigned long long)seed);
    for (int i = 0; i < (quick ? 100 : 2000); i++) {
        char spec[160];
        shape_case s = random_shape(&r);
        random_spec(&r, spec, sizeof spec, (uint32_t)s.d[s.ndim - 1]);
        content kind = (content)(rng_next(&r) % CONTENTS);
        check_case(spec, &s, kind, rng_next(&r));
    }
}

/* A damaged payload restores something, and touches nothing else (guard zones, sanitizers). */
static void test_damaged(void **state)
{
    static const shape_case shapes[] = {{4, {3, 16, 26, 26}}, {1, {70000}}, {3, {2, 30, 41}}};
    static const char *const specs[] = {"threshold:lambda=3", "threshold:lambda=20", "threshold:lambda=500", "dct:lambda=3",
                                        "dct:lambda=20,values=int8", "dct:lambda=20,values=int4", "dct:lambda=500",
                                        "dct:lambda=20,select=tile",
                                        "wavelet:lambda=20", "wavelet:lambda=700,values=f16",
                                        "dct:block=8,lambda=2,select=tile"};
    test_rng r = {77};
    (void)state;
    for (size_t o = 0; o < sizeof specs / sizeof *specs; o++)
        for (size_t s = 0; s < 3; s++)
            for (int how = 0; how < 4; how++) {
                actc_codec_plan *plan = codec_plan(specs[o], &shapes[s]);
                float *x = codec_content(NORMAL, plan->n, o);
                guarded payload = guarded_new(plan->payload_bytes), restored = guarded_new(4 * plan->n);
                codec_run run = {actc_cpu_isa_detect(), 1 + how % 3};
                codec_pack(plan, run, x, &payload);
                unsigned char *bytes = payload.data;
                for (size_t i = 0; i < plan->payload_bytes; i++)
                    if (how == 0 || rng_next(&r) % 16 == 0)
                        bytes[i] = how == 1 ? 0xff : (unsigned char)rng_next(&r);
                codec_unpack(plan, run, payload.data, 0, plan->samples, &restored);
                guarded_free(&restored);
                guarded_free(&payload);
                free(x);
                actc_codec_plan_destroy(&plan);
            }
}

/* Scratch memory: at most an eighth of a tensor of some size, and 256 KiB a thread. */
static void test_workspace(void **state)
{
    static const shape_case shapes[] = {{4, {128, 16, 26, 26}}, {4, {32, 64, 32, 32}}, {3, {16, 197, 384}}, {1, {3000000}}};
    (void)state;
    for (size_t o = 0; o < CODEC_SPECS; o++)
        for (size_t s = 0; s < 4; s++) {
            if (codec_row_too_long(codec_specs[o], &shapes[s]))
                continue;
            actc_codec_plan *plan = codec_plan(codec_specs[o], &shapes[s]);
            actc_codec_work_desc work = {.plan = plan, .count = plan->samples};
            for (int unpack = 0; unpack < 2; unpack++) {
                uint64_t bytes = actc_cpu_codec_workspace(&work, unpack, &(codec_run){ACTC_CPU_BASELINE, 2});
                uint64_t unit = plan->spec.kind == ACTC_CODEC_WAVELET ? 12 * plan->n / plan->samples : 0;
                if (bytes > plan->n / 2 + plan->n / 16 + 2 * (256 * 1024 + unit))
                    fail_msg("%s, shape %zu: %s takes %llu bytes for %llu elements", codec_specs[o], s,
                             unpack ? "unpack" : "pack", (unsigned long long)bytes, (unsigned long long)plan->n);
            }
            actc_codec_plan_destroy(&plan);
        }
}

static void test_count(void **state)
{
    (void)state;
    print_message("%llu cases\n", (unsigned long long)cases);
    assert_true(cases > (quick ? 500 : 15000));
}

int main(int argc, char **argv)
{
    quick = argc > 1 && !strcmp(argv[1], "quick");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_shapes_contents),
        cmocka_unit_test(test_larger),
        cmocka_unit_test(test_uneven),
        cmocka_unit_test(test_wavelets),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_workspace),
        cmocka_unit_test(test_count),
    };
    return cmocka_run_group_tests(tests, codec_setup, codec_teardown);
}
