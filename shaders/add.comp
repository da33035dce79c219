/* add: c = a + b. */
#version 450
#include "common.glsl"

ACTC_READ(0, a);
ACTC_READ(1, b);
ACTC_WRITE(2, c);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
        c[i] = actc_canon_bits(ACTC_ADD(ACTC_LOAD(a, i), ACTC_LOAD(b, i)));
}
