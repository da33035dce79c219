/* relu_bwd_mask.cu: the gradient passes where the mask bit is set. */
#include "common.cuh"

ACTC_CUDA_KERNEL(relu_bwd_mask, const uint *dy, const uint *mask, uint *dx)
{
    ACTC_GROUP(group);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i < p.n)
            dx[i] = (mask[i / 32u] >> (i % 32u) & 1u) != 0u ? actc_canon_bits(ACTC_BITS_F32(dy[i])) : 0u;
    }
}
