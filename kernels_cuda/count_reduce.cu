/* count_reduce.cu: the sum of counts. One group. */
#include "common.cuh"

ACTC_CUDA_KERNEL(count_reduce, const uint *counts, uint *result)
{
    ACTC_GROUP(group);
    __shared__ uint total;
    const uint t = threadIdx.x;
    if (t == 0u)
        total = 0u;
    __syncthreads();
    uint sum = 0u;
    for (uint i = t; i < p.n; i += ACTC_GROUP_SIZE)
        sum += counts[i];
    if (sum != 0u)
        atomicAdd(&total, sum); /* integers: any order gives the same sum */
    __syncthreads();
    if (t == 0u && group == 0u)
        result[ACTC_RESULT_VALUES + p.slot] = total;
}
