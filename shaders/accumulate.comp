/* accumulate: b += a. */
#version 450
#include "common.glsl"

ACTC_READ(0, a);
ACTC_WRITE(1, b);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
        b[i] = actc_canon_bits(ACTC_ADD(ACTC_LOAD(a, i), ACTC_LOAD(b, i)));
}
