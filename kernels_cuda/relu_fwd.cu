/* relu_fwd.cu: y = max(x, 0). */
#include "elements.cuh"

ACTC_CUDA_KERNEL(relu_fwd, const uint *x, uint *y)
{
    ACTC_GROUP(group);
    actc_map(group, p.n, x, y, [](uint u) { return actc_relu_bits(u); });
}
