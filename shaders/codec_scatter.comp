/* codec_scatter: dense coefficients from a payload. */
#version 450
#include "common.glsl"
#include "codec.glsl"

ACTC_READ(0, segments);
ACTC_READ(1, tiles);
ACTC_READ(2, index);
ACTC_READ(3, values);
ACTC_READ(4, scales);
ACTC_WRITE(5, y);

const uint NONE = 0xffffffffu;
shared uint slots[256];

uint tile_entry(uint tile)
{
    uint i = actc_tile_entry(tile) - p.tile_first;
    return (tiles[i >> 1] >> (16u * (i & 1u))) & 0xffffu;
}

uint index_half(uint slot)
{
    uint i = slot - p.index_first;
    return (index[i >> 1] >> (16u * (i & 1u))) & 0xffffu;
}

uint index_byte(uint slot)
{
    uint i = slot - p.index_first;
    return (index[i >> 2] >> (8u * (i & 3u))) & 0xffu;
}

uint code_of(uint slot)
{
    uint i = slot - p.values_first;
    if (p.form == ACTC_CODEC_F32)
        return values[i];
    if (p.form == ACTC_CODEC_INT4)
        return (values[i >> 3] >> (4u * (i & 7u))) & 0xfu;
    if (p.form == ACTC_CODEC_INT8)
        return (values[i >> 2] >> (8u * (i & 3u))) & 0xffu;
    return (values[i >> 1] >> (16u * (i & 1u))) & 0xffffu;
}

uint bits_of(uint slot, uint code)
{
    if (p.form == ACTC_CODEC_F32)
        return code;
    if (p.form < ACTC_CODEC_INT8)
        return actc_value16_bits(code, p.form);
    uint i = slot / 256u - p.scale_first;
    return actc_int_bits(code, (scales[i >> 2] >> (8u * (i & 3u))) & 0xffu, actc_int_width(p.form));
}

void actc_kernel(uint group, uint lane)
{
    uint tile = p.first_tile + group, start = tile * 256u, c = start + lane, first, last;
    if (p.tile_select != 0u) {
        first = actc_tile_slot(tile, p.k, p.m);
        last = actc_tile_slot(tile + 1u, p.k, p.m);
    } else {
        uint base = tile >= 256u ? segments[(tile >> 8) - 1u] : 0u;
        first = base;
        last = segments[tile >> 8];
        if (p.index != INDEX_U16) {
            if ((tile & 255u) != 0u)
                first = base + tile_entry(tile);
            if (((tile + 1u) & 255u) != 0u && (tile + 1u) * 256u < p.m)
                last = base + tile_entry(tile + 1u);
        }
    }
    first = min(first, p.k); /* the payload may be damaged */
    last = min(last, p.k);
    uint slot = NONE;
    if (p.index == INDEX_MASK) {
        if (c < p.m) {
            uint w = c / 32u - p.index_first, word = index[w], before = bitCount(word & ((1u << (lane & 31u)) - 1u));
            for (uint j = 1u; j <= lane / 32u; j++)
                before += bitCount(index[w - j]);
            if (((word >> (lane & 31u)) & 1u) != 0u && first + before < last)
                slot = first + before;
        }
    } else {
        slots[lane] = NONE;
        barrier();
        /* entries outside of the window are in another launch's */
        first = max(first, p.slot_begin);
        last = min(last, p.slot_end);
        if (p.index == INDEX_U16) { /* of the segment's ascending entries, the tile's */
            uint below = first, beyond = max(first, last);
            while (below < beyond) {
                uint middle = below + (beyond - below) / 2u;
                if (index_half(middle) < (start & 65535u))
                    below = middle + 1u;
                else
                    beyond = middle;
            }
            first = below;
        }
        uint s = first + lane;
        if (s < last) {
            uint offset = p.index == INDEX_U8 ? index_byte(s) : index_half(s) - (start & 65535u);
            if (offset < 256u && (p.tile_select == 0u || code_of(s) != 0u))
                slots[offset] = s;
        }
        barrier();
        slot = slots[lane];
    }
    if (c < p.begin || c >= p.end)
        return;
    if (slot != NONE && slot >= p.slot_begin && slot < p.slot_end)
        y[c - p.y_first] = bits_of(slot, code_of(slot));
    else if (p.keep == 0u)
        y[c - p.y_first] = 0u;
}
