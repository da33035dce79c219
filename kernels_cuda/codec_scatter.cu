/* codec_scatter.cu: dense coefficients from a payload. */
#include "codec.cuh"

#define NONE 0xffffffffu

static __device__ __forceinline__ uint byte_at(const uint *view, uint i)
{
    return (view[i >> 2] >> (8u * (i & 3u))) & 0xffu;
}

static __device__ __forceinline__ uint half_at(const uint *view, uint i)
{
    return (view[i >> 1] >> (16u * (i & 1u))) & 0xffffu;
}

static __device__ __forceinline__ uint code_of(const uint *values, uint form, uint i)
{
    return form == ACTC_CODEC_F32    ? values[i]
           : form == ACTC_CODEC_INT8 ? byte_at(values, i)
           : form == ACTC_CODEC_INT4 ? (values[i >> 3] >> (4u * (i & 7u))) & 0xfu
                                     : half_at(values, i);
}

ACTC_CUDA_KERNEL(codec_scatter, const uint *segments, const uint *tiles, const uint *index, const uint *values,
                 const uint *scales, uint *y)
{
    ACTC_GROUP(group);
    __shared__ uint slots[256];
    const uint t = threadIdx.x, tile = p.first_tile + group, start = tile * 256u, c = start + t;
    uint first, last;
    if (p.tile_select != 0u) {
        first = actc_tile_slot(tile, p.k, p.m);
        last = actc_tile_slot(tile + 1u, p.k, p.m);
    } else {
        const uint base = tile >= 256u ? segments[(tile >> 8) - 1u] : 0u;
        first = base;
        last = segments[tile >> 8];
        if (p.index != INDEX_U16) {
            if ((tile & 255u) != 0u)
                first = base + half_at(tiles, actc_tile_entry(tile) - p.tile_first);
            if (((tile + 1u) & 255u) != 0u && (tile + 1u) * 256u < p.m)
                last = base + half_at(tiles, actc_tile_entry(tile + 1u) - p.tile_first);
        }
    }
    first = codec_min(first, p.k); /* the payload may be damaged */
    last = codec_min(last, p.k);
    uint slot = NONE;
    if (p.index == INDEX_MASK) {
        if (c < p.m) {
            const uint w = c / 32u - p.index_first, word = index[w];
            uint before = __popc(word & ((1u << (t & 31u)) - 1u));
            for (uint j = 1u; j <= t / 32u; j++)
                before += __popc(index[w - j]);
            if (((word >> (t & 31u)) & 1u) != 0u && first + before < last)
                slot = first + before;
        }
    } else {
        slots[t] = NONE;
        __syncthreads();
        /* entries outside of the window are in another launch's */
        first = codec_max(first, p.slot_begin);
        last = codec_min(last, p.slot_end);
        if (p.index == INDEX_U16) { /* of the segment's ascending entries, the tile's */
            uint below = first, beyond = codec_max(first, last);
            while (below < beyond) {
                const uint middle = below + (beyond - below) / 2u;
                if (half_at(index, middle - p.index_first) < (start & 65535u))
                    below = middle + 1u;
                else
                    beyond = middle;
            }
            first = below;
        }
        const uint s = first + t;
        if (s < last) {
            const uint at = s - p.index_first;
            const uint offset = p.index == INDEX_U8 ? byte_at(index, at) : half_at(index, at) - (start & 65535u);
            if (offset < 256u && (p.tile_select == 0u || code_of(values, p.form, s - p.values_first) != 0u))
                slots[offset] = s;
        }
        __syncthreads();
        slot = slots[t];
    }
    if (c < p.begin || c >= p.end)
        return;
    if (slot != NONE && slot >= p.slot_begin && slot < p.slot_end) {
        const uint code = code_of(values, p.form, slot - p.values_first);
        y[c - p.y_first] = p.form == ACTC_CODEC_F32 ? code
                           : p.form < ACTC_CODEC_INT8
                               ? actc_value16_bits(code, p.form)
                               : actc_int_bits(code, byte_at(scales, slot / 256u - p.scale_first), actc_int_width(p.form));
    } else if (p.keep == 0u) {
        y[c - p.y_first] = 0u;
    }
}
