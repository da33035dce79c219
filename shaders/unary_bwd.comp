/* unary_bwd: dx = dy * f'(.), from what the operation saves. */
#version 450
#include "common.glsl"
#include "exact/unary.h"

ACTC_READ(0, dy);
ACTC_READ(1, saved);
ACTC_WRITE(2, dx);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        float v = 0.0;
        if (p.op != ACTC_UNARY_SCALE)
            v = ACTC_LOAD(saved, i);
        dx[i] = actc_canon_bits(ACTC_MUL(ACTC_LOAD(dy, i), actc_unary_slope(p.op, v, p.a)));
    }
}
