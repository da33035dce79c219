/* relu_fwd: y = max(x, 0). */
#version 450
#include "common.glsl"

ACTC_READ(0, x);
ACTC_WRITE(1, y);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
        y[i] = actc_relu_bits(x[i]);
}
