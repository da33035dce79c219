/* column_sum_final.cu: adds partial sums, chunks ascending. */
#include "common.cuh"

/* Loads in flight: few threads have much to add, and one load after the other would be all waiting. */
#define AHEAD 32u

ACTC_CUDA_KERNEL(column_sum_final, const float *partial, float *total)
{
    ACTC_GROUP(group);
    const uint c = group * ACTC_GROUP_SIZE + threadIdx.x;
    if (c >= p.cols)
        return;
    float sum = 0.0f;
    uint j = 0u;
    for (; j + AHEAD <= p.chunks; j += AHEAD) {
        float next[AHEAD];
#pragma unroll
        for (uint i = 0u; i < AHEAD; i++)
            next[i] = partial[(j + i) * p.cols + c];
#pragma unroll
        for (uint i = 0u; i < AHEAD; i++)
            sum = ACTC_ADD(sum, actc_flush(next[i]));
    }
    for (; j < p.chunks; j++)
        sum = ACTC_ADD(sum, actc_flush(partial[j * p.cols + c]));
    if (p.add != 0u)
        sum = ACTC_ADD(actc_flush(total[c]), sum);
    total[c] = actc_canon(sum);
}
