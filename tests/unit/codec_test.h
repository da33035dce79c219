/* codec_test.h: what the tests of the codecs share: plans from a spec and a shape, pack and unpack with guard zones,
 * and a decoder of payloads written from src/codec/README.md alone.
 */
#ifndef ACTC_CODEC_TEST_H
#define ACTC_CODEC_TEST_H

#include "codec_cases.h"
#include "cpu_test.h"

#include "../../src/codec/codec_plan.h"
#include "exact/codec.h"

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

typedef struct codec_run {
    actc_cpu_isa isa;
    int threads;
} codec_run;

static inline void codec_pack(const actc_codec_plan *plan, codec_run run, const float *x, const guarded *payload)
{
    actc_codec_work_desc work = {.plan = plan, .tensor = CODEC_TENSOR, .count = plan->batch};
    guarded workspace = guarded_new((size_t)actc_cpu_codec_workspace(&work, false, run.threads));
    assert_int_equal(payload->bytes, plan->payload_bytes);
    actc_status status = actc_cpu_pack(&work, run.isa, run.threads, x, payload->data, codec_step, workspace.data);
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
    guarded workspace = guarded_new((size_t)actc_cpu_codec_workspace(&work, true, run.threads));
    assert_int_equal(actc_cpu_unpack(&work, run.isa, run.threads, payload, x->data, codec_step, workspace.data), ACTC_OK);
    guarded_check(&workspace, "unpack's workspace");
    guarded_check(x, "restored tensor");
    guarded_free(&workspace);
}

/* ---- a decoder from the documentation ---- */

static inline uint32_t load16(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t load32(const unsigned char *p)
{
    return load16(p) | load16(p + 2) << 16;
}

typedef struct kept {
    uint32_t coefficient, slot, code;
} kept;

static inline uint32_t code_at(const actc_codec_plan *plan, const unsigned char *payload, uint64_t slot)
{
    const unsigned char *p = payload + plan->values_offset + slot * plan->value_bytes;
    return plan->value_bytes == 4 ? load32(p) : plan->value_bytes == 2 ? load16(p) : p[0];
}

/* Entries in coefficient order; k of room. Checks the tables on the way. Returns their number. */
static inline uint64_t codec_decode(const actc_codec_plan *plan, const unsigned char *payload, kept *entries)
{
    uint64_t count = 0;
    if (plan->k == 0)
        return 0;
    for (uint64_t tile = 0; tile < plan->tiles; tile++) {
        uint64_t start = tile * 256, end = start + 256 < plan->m ? start + 256 : plan->m, segment = tile / 256;
        if (plan->spec.select == ACTC_SELECT_TILE) {
            uint64_t slot = start * plan->k / plan->m, limit = end * plan->k / plan->m;
            if (plan->index == ACTC_INDEX_MASK) {
                for (uint64_t i = start; i < end; i++)
                    if (load32(payload + plan->mask_offset + i / 32 * 4) >> i % 32 & 1) {
                        assert_true(slot < limit);
                        entries[count++] = (kept){(uint32_t)i, (uint32_t)slot, code_at(plan, payload, slot)};
                        slot++;
                    }
            } else {
                for (; slot < limit; slot++) {
                    uint32_t offset = payload[plan->index_offset + slot], code = code_at(plan, payload, slot);
                    if (code)
                        entries[count++] = (kept){(uint32_t)start + offset, (uint32_t)slot, code};
                }
            }
            continue;
        }
        uint64_t base = segment ? load32(payload + plan->segment_offset + 4 * (segment - 1)) : 0;
        if (tile % 256 == 0)
            assert_int_equal(base, count);
        else if (plan->index != ACTC_INDEX_U16)
            assert_int_equal(base + load16(payload + plan->tile_offset + 2 * (tile - tile / 256 - 1)), count);
        uint64_t segment_end = load32(payload + plan->segment_offset + 4 * segment);
        for (uint64_t i = start; i < end; i++) {
            bool is = false;
            if (plan->index == ACTC_INDEX_MASK)
                is = load32(payload + plan->mask_offset + i / 32 * 4) >> i % 32 & 1;
            else if (plan->index == ACTC_INDEX_U16)
                is = count < segment_end && load16(payload + plan->index_offset + 2 * count) == i % 65536;
            else if (count < segment_end && payload[plan->index_offset + count] == i % 256)
                /* the tile's last entry is where the next tile's begin */
                is = (tile + 1) % 256 == 0 || tile + 1 == plan->tiles ||
                     count < base + load16(payload + plan->tile_offset + 2 * (tile - tile / 256));
            if (is) {
                assert_true(count < plan->k);
                entries[count] = (kept){(uint32_t)i, (uint32_t)count, code_at(plan, payload, count)};
                count++;
            }
        }
        if (end == plan->m || end % 65536 == 0)
            assert_int_equal(segment_end, count);
    }
    return count;
}

/* The f32 bits that a code stands for. */
static inline uint32_t codec_value(const actc_codec_plan *plan, const unsigned char *payload, const kept *entry)
{
    switch (plan->spec.values) {
    case ACTC_VALUES_F32: return entry->code;
    case ACTC_VALUES_F16: return actc_f16_to_f32_bits(entry->code);
    case ACTC_VALUES_BF16: return entry->code << 16;
    case ACTC_VALUES_INT8: return actc_int8_bits(entry->code, payload[plan->scale_offset + entry->slot / 256]);
    }
    return 0;
}

#endif
