/* relu_bwd_value.cu: the gradient passes where the (restored) output is positive or NaN. */
#include "elements.cuh"

ACTC_CUDA_KERNEL(relu_bwd_value, const uint *dy, const uint *y, uint *dx)
{
    ACTC_GROUP(group);
    actc_map2(group, p.n, dy, y, dx, [](uint g, uint u) {
        return actc_relu_bits(u) != 0u ? actc_canon_bits(ACTC_BITS_F32(g)) : 0u;
    });
}
