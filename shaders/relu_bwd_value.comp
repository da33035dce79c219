/* relu_bwd_value: dx = dy where 0 < y < cap or y is NaN, else +0. */
#version 450
#include "common.glsl"
#include "exact/norm.h"

ACTC_READ(0, dy);
ACTC_READ(1, y);
ACTC_WRITE(2, dx);

void actc_kernel(uint group, uint lane)
{
    uint cap = floatBitsToUint(p.cap);
    ACTC_FOR_ELEMENTS(i, p.n)
        dx[i] = actc_clip_passes(actc_clip_bits(actc_relu_bits(y[i]), cap), cap) ? actc_canon_bits(ACTC_LOAD(dy, i)) : 0u;
}
