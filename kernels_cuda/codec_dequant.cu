/* codec_dequant.cu: elements from their codes. */
#include "common.cuh"

#include "exact/quant.h"

ACTC_CUDA_KERNEL(codec_dequant, const uint *codes, const uint *offsets, const uint *scales, uint *x)
{
    ACTC_GROUP(group);
    const uint in_word = 32u / p.bits;
#pragma unroll
    for (uint j = 0u; j < 4u; j++) {
        const uint i = p.first + group * ACTC_GROUP_ELEMENTS + 256u * j + threadIdx.x;
        if (i < p.begin || i >= p.end)
            continue;
        const uint g = i / ACTC_QUANT_GROUP, s = g - p.scale_first, scale = (scales[s >> 2] >> (8u * (s & 3u))) & 0xffu;
        const uint offset = p.minmax != 0u ? offsets[g - p.offset_first] : actc_quant_offset(0u, scale, p.bits, 0u);
        const uint word = codes[i / in_word - p.code_first];
        const uint code = (word >> (p.bits * (i % in_word))) & ((1u << p.bits) - 1u);
        x[i - p.x_first] = actc_quant_value(code, offset, scale);
    }
}
