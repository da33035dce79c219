/* test_codec_spec.c: specs as text, plans of shapes, sizes of payloads. */
#include "codec_test.h"

#include "../../src/codec/codec_internal.h"
#include "../../src/util/alloc.h"
#include "../../src/util/util.h"

static void expect_text(const char *text, const char *canonical)
{
    actc_codec_spec spec;
    if (actc_codec_spec_parse(codec_context, text, &spec) != ACTC_OK)
        fail_msg("%s: %s", text, actc_error_message(codec_context));
    char *formatted = actc_codec_spec_format(&spec);
    assert_string_equal(formatted, canonical);
    actc_codec_spec again;
    assert_int_equal(actc_codec_spec_parse(codec_context, formatted, &again), ACTC_OK);
    char *twice = actc_codec_spec_format(&again);
    assert_string_equal(twice, canonical);
    actc_free(twice);
    actc_free(formatted);
}

static void test_canonical(void **state)
{
    (void)state;
    expect_text("none", "none");
    expect_text("random:relu=value", "random:relu=value");
    expect_text("dct:bn=normalised", "dct:lambda=10");
    expect_text("wavelet:bn=input,relu=value", "wavelet:lambda=10,relu=value,bn=input");
    expect_text("threshold", "threshold:lambda=10");
    expect_text("threshold:values=f16,lambda=1e2", "threshold:lambda=100,values=f16");
    expect_text("dct:ratio=0.9", "dct:ratio=0.9");
    expect_text("derivative", "derivative:bits=4");
    expect_text("derivative:bits=8", "derivative:bits=8");
    expect_text("dct:ratio=1", "dct:ratio=1");
    expect_text("dct:block=16,norm=ortho,select=global,values=f32,relu=mask", "dct:lambda=10");
    expect_text("dct:norm=none,block=row,lambda=1.1", "dct:lambda=1.1,block=row,norm=none");
    expect_text("dct:relu=value,values=int8,block=8,select=tile", "dct:lambda=10,select=tile,block=8,values=int8,relu=value");
    expect_text("wavelet:mode=symmetric,levels=5,wave=bior2.2,select=band",
                "wavelet:lambda=10,select=band,wave=bior2.2,levels=5,mode=symmetric");
    expect_text("quant", "quant:bits=8");
    expect_text("quant:mode=minmax,bits=2", "quant:bits=2");
    expect_text("quant:bn=input,mode=symmetric,bits=1,relu=value", "quant:bits=1,mode=symmetric,relu=value,bn=input");
    expect_text("wavelet:lambda=3.0000000000000004", "wavelet:lambda=3.0000000000000004");
}

static void refused(const char *text, const char *part)
{
    actc_codec_spec spec;
    if (actc_codec_spec_parse(codec_context, text, &spec) != ACTC_ERROR_INVALID_ARGUMENT)
        fail_msg("\"%s\" was accepted", text);
    if (!strstr(actc_error_message(codec_context), part))
        fail_msg("\"%s\": the message \"%s\" does not say \"%s\"", text, actc_error_message(codec_context), part);
}

static void test_refusals(void **state)
{
    char longer[600];
    (void)state;
    refused("", "accepted");
    refused("dcct", "did you mean \"dct\"");
    refused("DCT", "none, random, derivative, threshold, dct, wavelet, quant");
    refused("dct:", "key=value");
    refused("dct:lambda", "key=value");
    refused("dct:lambda=", "key=value");
    refused("dct:=3", "key=value");
    refused("dct:lambda=10,", "key=value");
    refused("dct:lamda=10", "did you mean \"lambda\"");
    refused("dct:wave=db2", "block, norm");
    refused("dct:lambda=0.5", "lambda=0.5; accepted: a number of at least 1");
    refused("dct:lambda=-3", "at least 1");
    refused("dct:lambda=nan", "at least 1");
    refused("dct:lambda=inf", "at least 1");
    refused("dct:lambda=1e999", "at least 1");
    refused("dct:lambda=10x", "at least 1");
    refused("dct:lambda= 10", "at least 1");
    refused("dct:ratio=1.01", "from 0 to 1");
    refused("dct:ratio=1,select=random", "from 0 to below 1");
    refused("derivative:bits=3", "accepted: 2, 4, 8");
    refused("derivative:lambda=10", "accepted: bits");
    refused("dct:ratio=-0.1", "from 0 to 1");
    refused("dct:ratio=0.5,lambda=2", "exclude");
    refused("dct:lambda=2,ratio=0.5", "exclude");
    refused("dct:lambda=2,lambda=3", "twice");
    refused("dct:select=band", "accepted: global, tile, random");
    refused("wavelet:select=bands", "did you mean \"band\"");
    refused("threshold:values=f8", "f32, f16, bf16, int8, int4");
    refused("threshold:relu=maybe", "mask, value");
    refused("dct:bn=output", "normalised, input");
    refused("dct:block=12", "16, 8, row");
    refused("dct:norm=none", "block=row");
    refused("dct:block=8,norm=none", "block=row");
    refused("wavelet:wave=db39", "db1..db38");
    refused("wavelet:wave=haa", "did you mean \"haar\"");
    refused("wavelet:levels=0", "1 to 16");
    refused("wavelet:levels=17", "1 to 16");
    refused("wavelet:levels=2.5", "1 to 16");
    refused("wavelet:mode=zero", "periodic, symmetric");
    refused("quant:bits=3", "8, 4, 2, 1");
    refused("quant:bits=16", "8, 4, 2, 1");
    refused("quant:mode=periodic", "minmax, symmetric");
    refused("quant:lambda=10", "bits, mode, relu, bn");
    refused("quant:values=int8", "bits, mode");
    refused("quant:bits=2,bits=4", "twice");
    refused("dct:bits=2", "accepted: lambda");
    refused("quan", "did you mean \"quant\"");
    refused("none:lambda=2", "accepted: relu");
    refused("random:values=f16", "accepted: relu");
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    refused(longer, "400 characters");
}

static uint64_t kept_of(const char *text, int64_t n)
{
    actc_codec_plan *plan = codec_plan(text, &(shape_case){1, {n}});
    uint64_t k = plan->k;
    actc_codec_plan_destroy(&plan);
    return k;
}

static void test_counts(void **state)
{
    (void)state;
    assert_int_equal(kept_of("threshold:ratio=0.9", 1000), 99); /* as the reference's float64 does */
    assert_int_equal(kept_of("threshold:ratio=0.5", 1000), 500);
    assert_int_equal(kept_of("threshold:ratio=0.9999", 1000), 1);
    assert_int_equal(kept_of("threshold:ratio=1", 1000), 0);
    assert_int_equal(kept_of("threshold:ratio=0", 1000), 1000);
    assert_int_equal(kept_of("threshold:lambda=3", 10), 3);
    assert_int_equal(kept_of("threshold:lambda=1", 10), 10);
    assert_int_equal(kept_of("threshold:lambda=1e30", 10), 1);
    assert_int_equal(kept_of("threshold:lambda=1.1", 11), 10);
}

static void plan_refused(const char *text, const shape_case *s, const char *part)
{
    actc_codec_spec spec;
    actc_codec_plan *plan = NULL;
    actc_shape shape = {.ndim = s->ndim};
    memcpy(shape.dims, s->d, sizeof shape.dims);
    assert_int_equal(actc_codec_spec_parse(codec_context, text, &spec), ACTC_OK);
    assert_int_equal(actc_codec_plan_create(codec_context, &spec, &shape, &plan), ACTC_ERROR_INVALID_ARGUMENT);
    assert_null(plan);
    if (!strstr(actc_error_message(codec_context), part))
        fail_msg("the message \"%s\" does not say \"%s\"", actc_error_message(codec_context), part);
}

static void test_shapes(void **state)
{
    (void)state;
    plan_refused("threshold", &(shape_case){2, {65536, 32768}}, "more than 2147483647 elements");
    plan_refused("dct", &(shape_case){4, {1ll << 40, 1ll << 40, 3, 3}}, "more than 2147483647 elements");
    plan_refused("dct", &(shape_case){3, {3, 0, 3}}, "dimension 1 is 0");
    plan_refused("dct", &(shape_case){3, {3, 2, -3}}, "dimension 2 is -3");
    plan_refused("derivative:bits=4", &(shape_case){2, {3, 4}}, "derivative:bits=4 compresses no tensor");
    plan_refused("dct:block=row", &(shape_case){2, {3, 4097}}, "4096");
    /* longer than n: the symmetric transform of a tensor near the limit */
    plan_refused("wavelet:mode=symmetric,wave=db3", &(shape_case){4, {2147483647 / 400, 1, 20, 20}}, "coefficients");
    actc_codec_plan *plan = codec_plan("wavelet", &(shape_case){4, {2, 3, 7, 7}});
    assert_int_equal(plan->levels, 0);
    assert_string_equal(plan->note, "levels: 3 asked, 0 possible with db3 at 7x7");
    assert_int_equal(plan->m, plan->n);
    actc_codec_plan_destroy(&plan);
    plan = codec_plan("wavelet:select=random,lambda=1000", &(shape_case){4, {2, 30, 7, 7}});
    assert_int_equal(plan->k, 12); /* one a tile */
    assert_string_equal(plan->note, "levels: 3 asked, 0 possible with db3 at 7x7; kept: 2 asked, 12 needed by select=random, "
                                    "one of each 256");
    actc_codec_plan_destroy(&plan);
    plan = codec_plan("wavelet:wave=haar", &(shape_case){5, {2, 3, 4, 8, 12}});
    assert_int_equal(plan->levels, 3);
    assert_string_equal(plan->note, "");
    assert_int_equal(plan->samples, 8);
    assert_int_equal(plan->batch, 2);
    assert_true(plan->sliceable);
    assert_int_equal(plan->m, 3 * 8 * (1 * 2 * 4 + 2 * 3 * 3 + 4 * 6 * 3));
    actc_codec_plan_destroy(&plan);
    plan = codec_plan("dct", &(shape_case){2, {128, 100}});
    assert_false(plan->sliceable);
    actc_codec_plan_destroy(&plan);
}

/* Bytes an element at lambda 1.1, 2, 10, 100, 1000, for every length from 65,536 on; and always smaller than dense. */
static void test_ceilings(void **state)
{
    static const char *const lambdas[] = {"1.1", "2", "10", "100", "1000"};
    static const struct {
        const char *values;
        double ceiling[5];
    } rows[] = {{"f32", {3.80, 2.15, 0.51, 0.058, 0.0065}},
                {"f16", {1.98, 1.15, 0.31, 0.038, 0.0045}},
                {"bf16", {1.98, 1.15, 0.31, 0.038, 0.0045}},
                {"int8", {1.07, 0.65, 0.22, 0.028, 0.0035}},
                {"int4", {0.61, 0.40, 0.18, 0.024, 0.0031}}};
    (void)state;
    for (int row = 0; row < 5; row++)
        for (int l = 0; l < 5; l++) {
            char text[128];
            snprintf(text, sizeof text, "threshold:lambda=%s,values=%s", lambdas[l], rows[row].values);
            for (int64_t n = 65536; n < 5000000; n += n < 200000 ? 1 : n / 977) {
                actc_codec_plan *plan = codec_plan(text, &(shape_case){1, {n}});
                if ((double)plan->payload_bytes > rows[row].ceiling[l] * (double)n)
                    fail_msg("%s of %lld elements: %llu bytes, at most %.2f", text, (long long)n,
                             (unsigned long long)plan->payload_bytes, rows[row].ceiling[l] * (double)n);
                assert_true(plan->smaller);
                actc_codec_plan_destroy(&plan);
                if (row == 2)
                    n += 97; /* f16 has the same sizes */
            }
        }
}

/* Sections follow each other without a hole, aligned to their elements, and end at payload_bytes. */
static void test_layout(void **state)
{
    (void)state;
    for (size_t o = 0; o < CODEC_SPECS; o++)
        for (size_t s = 0; s < CODEC_SHAPES; s++) {
            if (codec_row_too_long(codec_specs[o], &codec_shapes[s]))
                continue;
            actc_codec_plan *plan = codec_plan(codec_specs[o], &codec_shapes[s]);
            if (plan->spec.kind == ACTC_CODEC_NONE)
                assert_int_equal(plan->payload_bytes, 4 * plan->n);
            if (!actc_codec_selects(plan->spec.kind) || plan->k == 0) {
                actc_codec_plan_destroy(&plan);
                continue;
            }
            bool tile = actc_codec_in_tiles(&plan->spec);
            uint64_t total = 0, index = plan->index;
            total += tile ? 0 : 4 * ((plan->m + 65535) / 65536);
            total += index == ACTC_INDEX_MASK ? 4 * ((plan->m + 31) / 32) : 0;
            total += tile || index == ACTC_INDEX_U16 ? 0 : 2 * ((plan->m + 255) / 256 - (plan->m + 65535) / 65536);
            total += (plan->k * plan->value_bits + 7) / 8;
            total += index == ACTC_INDEX_U8 ? plan->k : index == ACTC_INDEX_U16 ? 2 * plan->k : 0;
            total += actc_codec_scaled(plan) ? (plan->k + 255) / 256 : 0;
            assert_int_equal(total, plan->payload_bytes);
            assert_int_equal(plan->values_offset * 8 % plan->value_bits, 0);
            assert_int_equal(plan->tile_offset % 2, 0);
            assert_int_equal(plan->smaller, plan->payload_bytes < 4 * plan->n);
            assert_int_equal(plan->region_begin[plan->regions], plan->m);
            assert_true(plan->k <= plan->m);
            actc_codec_plan_destroy(&plan);
        }
}

/* The example of src/codec/README.md. */
static void test_worked_example(void **state)
{
    static const float x[] = {0, 3, -1, 0.5f, 2, 0, -4, 1};
    static const unsigned char bytes[] = {4, 0, 0, 0, 0x56, 0, 0, 0, 0, 0, 0x40, 0x40, 0,
                                          0, 0x80, 0xbf, 0, 0, 0, 0x40, 0, 0, 0x80, 0xc0};
    (void)state;
    actc_codec_plan *plan = codec_plan("threshold:lambda=2", &(shape_case){1, {8}});
    assert_int_equal(plan->payload_bytes, sizeof bytes);
    guarded payload = guarded_new(plan->payload_bytes);
    codec_pack(plan, (codec_run){ACTC_CPU_BASELINE, 1}, x, &payload);
    assert_memory_equal(payload.data, bytes, sizeof bytes);
    guarded_free(&payload);
    actc_codec_plan_destroy(&plan);
}

static int allocations_left;

static bool count_down(void *user, size_t bytes)
{
    (void)user;
    (void)bytes;
    return allocations_left-- > 0;
}

static void test_allocation_failures(void **state)
{
    actc_shape shape = {4, {2, 3, 7, 30}};
    (void)state;
    for (int which = 0; which < 2; which++) {
        actc_codec_spec spec;
        assert_int_equal(actc_codec_spec_parse(codec_context, which ? "wavelet" : "dct", &spec), ACTC_OK);
        for (int allowed = 0;; allowed++) {
            actc_codec_plan *plan = NULL;
            allocations_left = allowed;
            actc_alloc_set_hook(count_down, NULL);
            actc_status status = actc_codec_plan_create(codec_context, &spec, &shape, &plan);
            actc_alloc_set_hook(NULL, NULL);
            if (status == ACTC_OK) {
                assert_true(allowed >= 4);
                actc_codec_plan_destroy(&plan);
                break;
            }
            assert_int_equal(status, ACTC_ERROR_OUT_OF_MEMORY);
            assert_null(plan);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical),       cmocka_unit_test(test_refusals), cmocka_unit_test(test_counts),
        cmocka_unit_test(test_shapes),          cmocka_unit_test(test_ceilings), cmocka_unit_test(test_layout),
        cmocka_unit_test(test_worked_example),  cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, codec_setup, codec_teardown);
}
