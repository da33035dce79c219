/* test_codec_select.c: what is kept, and how the payload holds it: against a selection by sorting, for every option value
 * over adversarial shapes and contents; the same bytes from every instruction set, thread count and path; slices of the
 * batch equal to the whole; guard zones untouched.
 *
 * The coefficients themselves come from a lambda=1 payload, which keeps all that are not zero; test_codec_transform.c
 * checks them.
 */
#include "codec_sample.h"
#include "codec_test.h"

#include "../../src/util/util.h"

/* ---- the reference selection ---- */

static const uint32_t *sort_bits;

static int by_key(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    uint32_t p = sort_bits[i] & 0x7fffffff, q = sort_bits[j] & 0x7fffffff;
    return p != q ? (p > q ? -1 : 1) : i < j ? -1 : 1;
}

/* Marks the k largest of [begin, end). order: room for them. */
static void mark_largest(const uint32_t *y, uint64_t begin, uint64_t end, uint64_t k, uint32_t *order, bool *marks)
{
    for (uint64_t i = begin; i < end; i++)
        order[i - begin] = (uint32_t)i;
    sort_bits = y;
    qsort(order, end - begin, sizeof *order, by_key);
    for (uint64_t i = 0; i < end - begin && i < k; i++)
        marks[order[i]] = (y[order[i]] & 0x7fffffff) != 0;
}

/* y is scaled where it is marked and was not certain to be. */
static void mark_all(const actc_codec_plan *plan, uint32_t *y, bool *marks)
{
    uint32_t *order = malloc((plan->m ? plan->m : 1) * sizeof *order);
    assert_non_null(order);
    memset(marks, 0, plan->m);
    if (actc_codec_in_tiles(&plan->spec)) {
        for (uint64_t a = 0; a < plan->m; a += 256) {
            uint64_t b = a + 256 < plan->m ? a + 256 : plan->m;
            uint64_t k = b * plan->k / plan->m - a * plan->k / plan->m;
            if (plan->spec.select == ACTC_SELECT_RANDOM)
                codec_sample_tile(y + a, (uint32_t)(b - a), (uint32_t)k, a / 256, marks + a);
            else
                mark_largest(y, a, b, k, order, marks);
        }
    } else {
        for (uint32_t r = 0; r < plan->regions; r++)
            mark_largest(y, plan->region_begin[r], plan->region_begin[r + 1], plan->region_k[r], order, marks);
    }
    free(order);
}

/* ---- values ---- */

static uint32_t reference_code(const actc_codec_plan *plan, uint32_t bits, uint32_t slot, uint32_t scale)
{
    uint32_t code = bits;
    if (plan->spec.values == ACTC_VALUES_F16)
        code = actc_f16_bits(bits);
    else if (plan->spec.values == ACTC_VALUES_BF16)
        code = actc_bf16_bits(bits);
    else if (actc_codec_scaled(plan))
        code = actc_int_code(bits, scale,
                             actc_random_bits(slot, CODEC_TENSOR, codec_step[2], codec_step[3], codec_step[0], codec_step[1]),
                             plan->value_bits);
    if (plan->value_bits == 16 && (code & 0x7fff) == 0)
        code = 0;
    return code;
}

/* Everything but the payload's sections is zero behind what is used; entries are the marked ones with the right codes. */
static void check_payload(const char *name, const actc_codec_plan *plan, uint32_t *y, const unsigned char *payload)
{
    bool *marks = malloc(plan->m);
    kept *entries = malloc((plan->k ? plan->k : 1) * sizeof *entries);
    uint32_t *bits = calloc(plan->k ? plan->k : 1, sizeof *bits);
    assert_non_null(marks);
    assert_non_null(entries);
    assert_non_null(bits);
    mark_all(plan, y, marks);
    uint64_t count = codec_decode(plan, payload, entries), marked = 0, at = 0;
    /* values by slot, for the scales of int8 */
    bool in_tiles = actc_codec_in_tiles(&plan->spec);
    uint64_t slot = 0;
    uint32_t *slots = malloc(plan->m * sizeof *slots);
    assert_non_null(slots);
    for (uint64_t i = 0; i < plan->m; i++) {
        if (in_tiles && i % 256 == 0)
            slot = i * plan->k / plan->m;
        if (marks[i]) {
            bits[slot] = y[i];
            slots[i] = (uint32_t)slot++;
            marked++;
        }
    }
    assert_true(marked <= plan->k);
    for (uint64_t i = 0; i < plan->m; i++) {
        if (!marks[i])
            continue;
        uint32_t scale = 0;
        if (actc_codec_scaled(plan)) {
            uint32_t largest = 0, first = slots[i] / 256 * 256;
            for (uint32_t s = first; s < first + 256 && s < plan->k; s++) {
                uint32_t a = bits[s] & 0x7fffffff;
                largest = a < 0x7f800000 && a > largest ? a : largest;
            }
            scale = actc_int_scale(largest, plan->value_bits);
            assert_int_equal(payload[plan->scale_offset + slots[i] / 256], scale);
        }
        uint32_t code = reference_code(plan, y[i], slots[i], scale);
        if (in_tiles && plan->index == ACTC_INDEX_U8 && code == 0)
            continue; /* a value that rounds to zero leaves a slot that reads as unused */
        if (at >= count || entries[at].coefficient != i || entries[at].code != code || entries[at].slot != slots[i])
            fail_msg("%s: coefficient %llu of %llu (bits %08x, slot %u, code %x) expected, found %u (slot %u, code %x)", name,
                     (unsigned long long)i, (unsigned long long)plan->m, y[i], slots[i], code,
                     at < count ? entries[at].coefficient : 0, at < count ? entries[at].slot : 0,
                     at < count ? entries[at].code : 0);
        at++;
    }
    assert_int_equal(at, count);
    /* unused slots */
    for (uint64_t s = 0; s < plan->k; s++)
        if (bits[s] == 0) {
            assert_int_equal(code_at(plan, payload, s), 0);
            if (plan->index == ACTC_INDEX_U8)
                assert_int_equal(payload[plan->index_offset + s], 0);
            if (plan->index == ACTC_INDEX_U16)
                assert_int_equal(load16(payload + plan->index_offset + 2 * s), 0);
        }
    free(slots);
    free(bits);
    free(entries);
    free(marks);
}

static void check_same(const char *name, const char *what, const void *a, const void *b, size_t bytes)
{
    const unsigned char *p = a, *q = b;
    for (size_t i = 0; i < bytes; i++)
        if (p[i] != q[i])
            fail_msg("%s: %s: byte %zu of %zu is %02x, then %02x", name, what, i, bytes, p[i], q[i]);
}

typedef struct variant {
    const char *name;
    codec_run run;
} variant;

/* The first is the reference of the others. */
static const variant variants[] = {
    {"passes", {ACTC_CPU_BASELINE, 1, .passes = true}},
    {"passes cut small, 2 threads", {ACTC_CPU_BASELINE, 2, .passes = true, .max_view = 16384}},
    {"baseline", {ACTC_CPU_BASELINE, 1}},
    {"best", {ACTC_CPU_ISA_COUNT, 1}},
    {"best, 3 threads", {ACTC_CPU_ISA_COUNT, 3}},
};
#define VARIANTS (sizeof variants / sizeof *variants)

static codec_run run_of(const variant *v)
{
    codec_run run = v->run;
    if (run.isa == ACTC_CPU_ISA_COUNT)
        run.isa = actc_cpu_isa_detect();
    return run;
}

static void check_case(const char *text, const shape_case *shape, content kind, uint64_t seed)
{
    actc_codec_plan *plan = codec_plan(text, shape);
    char name[256], dims[128];
    snprintf(name, sizeof name, "%s of %s, content %d", text, actc_shape_text(&plan->shape, dims), (int)kind);
    float *x = codec_content(kind, plan->n, seed);
    guarded payload = guarded_new(plan->payload_bytes), again = guarded_new(plan->payload_bytes);
    guarded restored = guarded_new(4 * plan->n), repeated = guarded_new(4 * plan->n);
    for (size_t i = 0; i < VARIANTS; i++) {
        const variant *v = &variants[i];
        /* a chunk must hold a sample or a row of blocks */
        if (v->run.max_view && plan->n / plan->samples * 4 + 512 > v->run.max_view)
            continue;
        codec_run run = run_of(v);
        memset(again.data, 0xa5, again.padded);
        codec_pack(plan, run, x, i ? &again : &payload);
        if (i)
            check_same(name, v->name, payload.data, again.data, plan->payload_bytes);
        memset(repeated.data, 0xa5, repeated.padded);
        codec_unpack(plan, run, payload.data, 0, plan->samples, i ? &repeated : &restored);
        if (i)
            check_same(name, v->name, restored.data, repeated.data, 4 * plan->n);
        for (uint32_t first = 0; plan->sliceable && first < plan->samples; first += 2) {
            uint32_t count = plan->samples - first < 2 ? 1 : 2;
            size_t sample = 4 * (size_t)(plan->n / plan->samples);
            guarded slice = guarded_new(count * sample);
            codec_unpack(plan, run, payload.data, first, count, &slice);
            check_same(name, "slice", (char *)restored.data + first * sample, slice.data, slice.bytes);
            guarded_free(&slice);
        }
    }
    if (plan->spec.kind == ACTC_CODEC_NONE) {
        check_same(name, "dense payload", x, payload.data, 4 * plan->n);
        check_same(name, "dense tensor", x, restored.data, 4 * plan->n);
    } else if (plan->spec.kind == ACTC_CODEC_RANDOM) {
        for (uint64_t j = 0; j < plan->n; j++) {
            uint32_t random = actc_random_bits((uint32_t)j, CODEC_TENSOR, 33, 44, 11, 22);
            assert_true(((float *)restored.data)[j] == (float)(random >> 8) * 0x1p-24f);
        }
    } else if (actc_codec_selects(plan->spec.kind)) { /* test_codec_quant.c has quant */
        uint32_t *y = codec_coefficients(text, shape, x, variants[0].run);
        check_payload(name, plan, y, payload.data);
        free(y);
    }
    guarded_free(&repeated);
    guarded_free(&restored);
    guarded_free(&again);
    guarded_free(&payload);
    free(x);
    actc_codec_plan_destroy(&plan);
}

static void test_options_and_shapes(void **state)
{
    (void)state;
    for (size_t o = 0; o < CODEC_SPECS; o++)
        for (size_t s = 0; s < CODEC_SHAPES; s++) {
            if (codec_row_too_long(codec_specs[o], &codec_shapes[s]))
                continue;
            check_case(codec_specs[o], &codec_shapes[s], (content)((o + s) % CONTENTS), o * 1000 + s);
        }
}

static void test_contents(void **state)
{
    static const shape_case shapes[] = {{4, {2, 24, 26, 19}}, {4, {3, 16, 32, 16}}, {2, {129, 257}}};
    (void)state;
    for (size_t o = 0; o < CODEC_SPECS; o++)
        for (content kind = 0; kind < CONTENTS; kind++)
            check_case(codec_specs[o], &shapes[(o + kind) % 3], kind, 77 + o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_and_shapes),
        cmocka_unit_test(test_contents),
    };
    return cmocka_run_group_tests(tests, codec_setup, codec_teardown);
}
