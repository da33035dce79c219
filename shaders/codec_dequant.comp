/* codec_dequant: elements from their codes. */
#version 450
#include "common.glsl"
#include "exact/quant.h"

ACTC_READ(0, codes);
ACTC_READ(1, offsets);
ACTC_READ(2, scales);
ACTC_WRITE(3, x);

void actc_kernel(uint group, uint lane)
{
    uint in_word = 32u / p.bits;
    for (uint j = 0u; j < 4u; j++) {
        uint i = p.first + group * ACTC_GROUP_ELEMENTS + 256u * j + lane, g = i / ACTC_QUANT_GROUP, s = g - p.scale_first;
        if (i < p.begin || i >= p.end)
            continue;
        uint scale = (scales[s >> 2] >> (8u * (s & 3u))) & 0xffu;
        uint offset = p.minmax != 0u ? offsets[g - p.offset_first] : actc_quant_offset(0u, scale, p.bits, 0u);
        uint word = codes[i / in_word - p.code_first];
        uint code = (word >> (p.bits * (i % in_word))) & ((1u << p.bits) - 1u);
        x[i - p.x_first] = actc_quant_value(code, offset, scale);
    }
}
