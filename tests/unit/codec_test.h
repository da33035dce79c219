/* codec_test.h: what the tests of the codecs share: plans from a spec and a shape, pack and unpack with guard zones.
 */
#ifndef ACTC_CODEC_TEST_H
#define ACTC_CODEC_TEST_H

#include "codec_cases.h"
#include "codec_decode.h"
#include "cpu_test.h"

#define GUARD 512 /* bytes before and after every buffer that a codec writes */

static actc_context *codec_context;

static inline int codec_setup(void **state)
{
    (void)state;
    return actc_context_create(NULL, &codec_context) == ACTC_OK ? 0 : -1;
}

static inline int codec_teardown(void **state)
{
    (void)state;
    actc_context_destroy(&codec_context);
    return 0;
}

static inline actc_codec_plan *codec_plan(const char *text, const shape_case *s)
{
    actc_codec_spec spec;
    actc_codec_plan *plan = NULL;
    actc_shape shape = {.ndim = s->ndim};
    memcpy(shape.dims, s->d, sizeof shape.dims);
    if (actc_codec_spec_parse(codec_context, text, &spec) != ACTC_OK ||
        actc_codec_plan_create(codec_context, &spec, &shape, &plan) != ACTC_OK)
        fail_msg("%s: %s", text, actc_error_message(codec_context));
    return plan;
}

/* Memory between two guard zones; the content starts as 0xa5 bytes, which are a NaN-free odd value as floats. */
typedef struct guarded {
    unsigned char *all;
    void *data;
    size_t bytes, padded;
} guarded;

static inline guarded guarded_new(size_t bytes)
{
    guarded g = {.bytes = bytes, .padded = (bytes + 255) / 256 * 256};
    g.all = aligned_alloc(4096, (g.padded + 2 * GUARD + 4095) / 4096 * 4096);
    assert_non_null(g.all);
    memset(g.all, 0xa5, g.padded + 2 * GUARD);
    g.data = g.all + GUARD;
    return g;
}

/* A buffer's bytes are padded to 256, which the codec may write. */
static inline void guarded_check(const guarded *g, const char *what)
{
    for (size_t i = 0; i < GUARD; i++)
        if (g->all[i] != 0xa5 || g->all[GUARD + g->padded + i] != 0xa5)
            fail_msg("%s: written outside of its %zu bytes", what, g->bytes);
}

static inline void guarded_free(guarded *g)
{
    free(g->all);
    g->all = NULL;
}

/* seed, step: words of the step block. */
static const uint32_t codec_step[64] = {11, 22, 33, 44};
#define CODEC_TENSOR 0x12345u

typedef actc_cpu_codec_way codec_run;

static inline void codec_pack(const actc_codec_plan *plan, codec_run run, const float *x, const guarded *payload)
{
    actc_codec_work_desc work = {.plan = plan, .tensor = CODEC_TENSOR, .count = plan->samples};
    guarded workspace = guarded_new((size_t)actc_cpu_codec_workspace(&work, false, &run));
    assert_int_equal(payload->bytes, plan->payload_bytes);
    actc_status status = actc_cpu_pack(&work, &run, x, payload->data, codec_step, workspace.data);
    if (status != ACTC_OK)
        fail_msg("%s: pack: %s", plan->text, actc_status_string(status));
    guarded_check(&workspace, "pack's workspace");
    guarded_check(payload, "payload");
    guarded_free(&workspace);
}

static inline void codec_unpack(const actc_codec_plan *plan, codec_run run, const void *payload, uint32_t first,
                                uint32_t count, const guarded *x)
{
    actc_codec_work_desc work = {.plan = plan, .tensor = CODEC_TENSOR, .first = first, .count = count};
    guarded workspace = guarded_new((size_t)actc_cpu_codec_workspace(&work, true, &run));
    assert_int_equal(actc_cpu_unpack(&work, &run, payload, x->data, codec_step, workspace.data), ACTC_OK);
    guarded_check(&workspace, "unpack's workspace");
    guarded_check(x, "restored tensor");
    guarded_free(&workspace);
}

/* Entries in coefficient order; k of room. Checks the tables on the way. Returns their number. */
static inline uint64_t codec_decode(const actc_codec_plan *plan, const unsigned char *payload, kept *entries)
{
    int64_t count = codec_decode_payload(plan, payload, entries);
    if (count < 0)
        fail_msg("%s: the payload's tables do not agree with what they index", plan->text);
    return (uint64_t)count;
}

/* The coefficients of x: bits, m of them. The caller frees them. */
static inline uint32_t *codec_coefficients(const char *text, const shape_case *shape, const float *x, codec_run run)
{
    /* the same transform with lambda=1 and f32 values */
    actc_codec_spec spec;
    actc_codec_plan *plan = NULL;
    actc_shape s = {.ndim = shape->ndim};
    memcpy(s.dims, shape->d, sizeof s.dims);
    assert_int_equal(actc_codec_spec_parse(codec_context, text, &spec), ACTC_OK);
    spec.by_ratio = false;
    spec.lambda = 1;
    spec.select = ACTC_SELECT_BAND; /* each band whole, also where m > n */
    if (spec.kind != ACTC_CODEC_WAVELET)
        spec.select = ACTC_SELECT_GLOBAL;
    spec.values = ACTC_VALUES_F32;
    assert_int_equal(actc_codec_plan_create(codec_context, &spec, &s, &plan), ACTC_OK);
    assert_int_equal(plan->k, plan->m);
    guarded payload = guarded_new(plan->payload_bytes);
    codec_pack(plan, run, x, &payload);
    uint32_t *y = calloc(plan->m, sizeof *y);
    kept *entries = malloc(plan->k * sizeof *entries);
    assert_non_null(y);
    assert_non_null(entries);
    uint64_t count = codec_decode(plan, payload.data, entries);
    for (uint64_t i = 0; i < count; i++)
        y[entries[i].coefficient] = entries[i].code;
    free(entries);
    guarded_free(&payload);
    actc_codec_plan_destroy(&plan);
    return y;
}

#endif
