/* relu_bwd_value.cu: the gradient passes where the (restored) output is between 0 and the cap, or NaN. */
#include "elements.cuh"
#include "exact/norm.h"

ACTC_CUDA_KERNEL(relu_bwd_value, const uint *dy, const uint *y, uint *dx)
{
    ACTC_GROUP(group);
    const uint cap = ACTC_F32_BITS(p.cap);
    actc_map2(group, p.n, dy, y, dx, [=](uint g, uint u) {
        return actc_clip_passes(actc_clip_bits(actc_relu_bits(u), cap), cap) ? actc_canon_bits(ACTC_BITS_F32(g)) : 0u;
    });
}
