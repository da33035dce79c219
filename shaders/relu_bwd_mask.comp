/* relu_bwd_mask: dx = dy where the mask bit is set, else +0. */
#version 450
#include "common.glsl"

ACTC_READ(0, dy);
ACTC_READ(1, mask);
ACTC_WRITE(2, dx);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        bool passes = (mask[i / 32u] >> (i % 32u) & 1u) != 0u;
        dx[i] = passes ? actc_canon_bits(ACTC_LOAD(dy, i)) : 0u;
    }
}
