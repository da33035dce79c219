/* codec_decode.h: a decoder of payloads written from src/codec/README.md alone. */
#ifndef ACTC_CODEC_DECODE_H
#define ACTC_CODEC_DECODE_H

#include "../../src/codec/codec_plan.h"
#include "exact/codec.h"

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
    const unsigned char *p = payload + plan->values_offset + slot * plan->value_bits / 8;
    return plan->value_bits == 32 ? load32(p) : plan->value_bits == 16 ? load16(p) : plan->value_bits == 8 ? p[0]
                                                                                    : p[0] >> slot % 2 * 4 & 15u;
}

/* Entries in coefficient order; k of room. Returns their number, -1 where the tables do not agree with what they index. */
static inline int64_t codec_decode_payload(const actc_codec_plan *plan, const unsigned char *payload, kept *entries)
{
    uint64_t count = 0;
    if (plan->k == 0)
        return 0;
    for (uint64_t tile = 0; tile < plan->tiles; tile++) {
        uint64_t start = tile * 256, end = start + 256 < plan->m ? start + 256 : plan->m, segment = tile / 256;
        if (actc_codec_in_tiles(&plan->spec)) {
            uint64_t slot = start * plan->k / plan->m, limit = end * plan->k / plan->m;
            if (plan->index == ACTC_INDEX_MASK) {
                for (uint64_t i = start; i < end; i++)
                    if (load32(payload + plan->mask_offset + i / 32 * 4) >> i % 32 & 1) {
                        if (slot >= limit)
                            return -1;
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
        if (tile % 256 == 0 && base != count)
            return -1;
        if (tile % 256 != 0 && plan->index != ACTC_INDEX_U16 &&
            base + load16(payload + plan->tile_offset + 2 * (tile - tile / 256 - 1)) != count)
            return -1;
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
                if (count >= plan->k)
                    return -1;
                entries[count] = (kept){(uint32_t)i, (uint32_t)count, code_at(plan, payload, count)};
                count++;
            }
        }
        if ((end == plan->m || end % 65536 == 0) && segment_end != count)
            return -1;
    }
    return (int64_t)count;
}

/* The f32 bits that a code stands for. */
static inline uint32_t codec_value(const actc_codec_plan *plan, const unsigned char *payload, const kept *entry)
{
    switch (plan->spec.values) {
    case ACTC_VALUES_F32: return entry->code;
    case ACTC_VALUES_F16: return actc_f16_to_f32_bits(entry->code);
    case ACTC_VALUES_BF16: return entry->code << 16;
    case ACTC_VALUES_INT8: return actc_int_bits(entry->code, payload[plan->scale_offset + entry->slot / 256], 8);
    case ACTC_VALUES_INT4: return actc_int_bits(entry->code, payload[plan->scale_offset + entry->slot / 256], 4);
    }
    return 0;
}

#endif
