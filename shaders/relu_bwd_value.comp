/* relu_bwd_value: dx = dy where y > 0 or y is NaN, else +0. */
#version 450
#include "common.glsl"

ACTC_READ(0, dy);
ACTC_READ(1, y);
ACTC_WRITE(2, dx);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
        dx[i] = actc_relu_bits(y[i]) != 0u ? actc_canon_bits(ACTC_LOAD(dy, i)) : 0u;
}
