/* column_sum_final.cu: adds partial sums, chunks ascending. */
#include "common.cuh"

ACTC_CUDA_KERNEL(column_sum_final, const float *partial, float *total)
{
    ACTC_GROUP(group);
    const uint c = group * ACTC_GROUP_SIZE + threadIdx.x;
    if (c >= p.cols)
        return;
    float sum = 0.0f;
    for (uint j = 0; j < p.chunks; j++)
        sum = ACTC_ADD(sum, actc_flush(partial[j * p.cols + c]));
    if (p.add != 0u)
        sum = ACTC_ADD(actc_flush(total[c]), sum);
    total[c] = actc_canon(sum);
}
