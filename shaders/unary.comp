/* unary: y = f(x). */
#version 450
#include "common.glsl"
#include "exact/unary.h"

ACTC_READ(0, x);
ACTC_WRITE(1, y);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
        y[i] = actc_canon_bits(actc_unary(p.op, ACTC_LOAD(x, i), p.a, p.b));
}
