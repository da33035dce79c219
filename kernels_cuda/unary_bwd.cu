/* unary_bwd.cu: dx = dy * f'(.), from what the operation saves. */
#include "elements.cuh"
#include "exact/unary.h"

ACTC_CUDA_KERNEL(unary_bwd, const uint *dy, const uint *saved, uint *dx)
{
    ACTC_GROUP(group);
    const uint op = p.op;
    const float a = p.a;
    if (op == ACTC_UNARY_SCALE) /* saves nothing */
        saved = dy;
    actc_map2(group, p.n, dy, saved, dx, [=](uint g, uint v) {
        return actc_canon_bits(ACTC_MUL(actc_flush_bits(g), actc_unary_slope(op, actc_flush_bits(v), a)));
    });
}
