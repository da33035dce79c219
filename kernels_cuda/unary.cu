/* unary.cu: y = f(x). */
#include "elements.cuh"
#include "exact/unary.h"

ACTC_CUDA_KERNEL(unary, const uint *x, uint *y)
{
    ACTC_GROUP(group);
    const uint op = p.op;
    const float a = p.a, b = p.b;
    actc_map(group, p.n, x, y, [=](uint u) { return actc_canon_bits(actc_unary(op, actc_flush_bits(u), a, b)); });
}
