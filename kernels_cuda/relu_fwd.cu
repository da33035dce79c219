/* relu_fwd.cu: y = min(max(x, 0), cap). */
#include "elements.cuh"
#include "exact/norm.h"

ACTC_CUDA_KERNEL(relu_fwd, const uint *x, uint *y)
{
    ACTC_GROUP(group);
    const uint cap = ACTC_F32_BITS(p.cap);
    actc_map(group, p.n, x, y, [=](uint u) { return actc_clip_bits(actc_relu_bits(u), cap); });
}
