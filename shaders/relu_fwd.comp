/* relu_fwd: y = min(max(x, 0), cap). */
#version 450
#include "common.glsl"
#include "exact/norm.h"

ACTC_READ(0, x);
ACTC_WRITE(1, y);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
        y[i] = actc_clip_bits(actc_relu_bits(x[i]), floatBitsToUint(p.cap));
}
