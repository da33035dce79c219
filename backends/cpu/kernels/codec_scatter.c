/* codec_scatter.c: dense coefficients from a payload. */
#include "codec_pass.h"

static uint32_t half(const uint8_t *bytes, uint32_t i)
{
    return bytes[2 * i] | (uint32_t)bytes[2 * i + 1] << 8;
}

/* The code of a slot of the window. */
static uint32_t code_of(const struct actc_params_codec_scatter *p, const void *values, uint32_t slot)
{
    uint32_t i = slot - p->values_first;
    return p->form == ACTC_CODEC_F32    ? ((const uint32_t *)values)[i]
           : p->form == ACTC_CODEC_INT8 ? ((const uint8_t *)values)[i]
           : p->form == ACTC_CODEC_INT4 ? (uint32_t)((const uint8_t *)values)[i / 2] >> 4 * (i % 2) & 15
                                        : half(values, i);
}

static uint32_t bits_of(const struct actc_params_codec_scatter *p, const uint8_t *scales, uint32_t slot, uint32_t code)
{
    return p->form == ACTC_CODEC_F32    ? code
           : p->form >= ACTC_CODEC_INT8
               ? actc_int_bits(code, scales[slot / 256 - p->scale_first], actc_int_width(p->form))
                                        : actc_value16_bits(code, p->form);
}

/* The slots [*first, *last) among which the tile's are: its own, but with u16 all of its segment. */
static void slots_of(const struct actc_params_codec_scatter *p, const uint32_t *segments, const uint8_t *tiles,
                     uint32_t tile, uint32_t *first, uint32_t *last)
{
    if (p->tile_select) {
        *first = actc_tile_slot(tile, p->k, p->m);
        *last = actc_tile_slot(tile + 1, p->k, p->m);
        return;
    }
    uint32_t base = tile >> 8 ? segments[(tile >> 8) - 1] : 0;
    *first = base;
    *last = segments[tile >> 8];
    if (p->index != ACTC_INDEX_U16) {
        if (tile % 256)
            *first = base + half(tiles, actc_tile_entry(tile) - p->tile_first);
        if ((tile + 1) % 256 && (tile + 1) * 256 < p->m)
            *last = base + half(tiles, actc_tile_entry(tile + 1) - p->tile_first);
    }
    *first = ACTC_MIN(*first, p->k); /* the payload may be damaged */
    *last = ACTC_MIN(*last, p->k);
}

#define NONE UINT32_MAX

ACTC_CPU_KERNEL(codec_scatter)
{
    const struct actc_params_codec_scatter *p = params;
    const uint32_t *mask = views[2];
    const uint8_t *index = views[2];
    uint32_t *y = views[5];
    for (uint32_t g = begin; g < end; g++) {
        uint32_t tile = p->first_tile + g, start = tile * 256, n = ACTC_MIN(256, p->m - start), first, last, slots[256];
        slots_of(p, views[0], views[1], tile, &first, &last);
        for (uint32_t i = 0; i < 256; i++)
            slots[i] = NONE;
        if (p->index == ACTC_INDEX_MASK) {
            for (uint32_t i = 0; i < n && first < last; i++)
                if (mask[(start + i) / 32 - p->index_first] >> i % 32 & 1)
                    slots[i] = first++;
        } else {
            /* entries outside of the window are in another launch's */
            first = first > p->slot_begin ? first : p->slot_begin;
            last = ACTC_MIN(last, p->slot_end);
            for (uint32_t s = first; s < last; s++) {
                uint32_t at = s - p->index_first;
                uint32_t offset = p->index == ACTC_INDEX_U8 ? index[at] : half(index, at) - (start & 65535);
                if (offset < 256 && (!p->tile_select || code_of(p, views[3], s)))
                    slots[offset] = s;
            }
        }
        for (uint32_t i = 0; i < n; i++) {
            uint32_t c = start + i, s = slots[i];
            if (c < p->begin || c >= p->end)
                continue;
            if (s != NONE && s >= p->slot_begin && s < p->slot_end)
                y[c - p->y_first] = bits_of(p, views[4], s, code_of(p, views[3], s));
            else if (!p->keep)
                y[c - p->y_first] = 0;
        }
    }
}
