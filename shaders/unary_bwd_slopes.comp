/* unary_bwd_slopes: dx = dy * f'(.), from slopes in a few bits. */
#version 450
#include "common.glsl"
#include "exact/unary.h"

ACTC_READ(0, dy);
ACTC_READ(1, codes);
ACTC_WRITE(2, dx);

void actc_kernel(uint group, uint lane)
{
    uint per_word = 32u / p.bits;
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint code = codes[i / per_word] >> (i % per_word * p.bits) & ((1u << p.bits) - 1u);
        dx[i] = actc_canon_bits(ACTC_MUL(ACTC_LOAD(dy, i), actc_slope_level(code, p.zero, p.step)));
    }
}
