/* spread: the gradient of a mean over positions: each of them gets its part. */
#version 450
#include "common.glsl"

ACTC_READ(0, dy);
ACTC_WRITE(1, dx);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint from = i / (p.inner * p.channels) * p.channels + i % p.channels;
        dx[i] = actc_canon_bits(ACTC_MUL(ACTC_LOAD(dy, from), p.scale));
    }
}
