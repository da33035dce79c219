/* spread.cu: the gradient of a mean over positions: each of them gets its part. */
#include "common.cuh"

ACTC_CUDA_KERNEL(spread, const float *dy, float *dx)
{
    ACTC_GROUP(group);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        const uint from = i / (p.inner * p.channels) * p.channels + i % p.channels;
        dx[i] = actc_canon(ACTC_MUL(actc_flush(dy[from]), p.scale));
    }
}
