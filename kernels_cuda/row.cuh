/* row.cuh: totals along a row, which a block does: threads' values by a tree in shared memory (ACTC_GROUP_SIZE floats). Every
 * thread gets the result. */
#ifndef ACTC_ROW_CUH
#define ACTC_ROW_CUH

#include "common.cuh"

template <class F> static __device__ __forceinline__ float actc_row_tree(float *shared, float value, F combine)
{
    const uint t = threadIdx.x;
    __syncthreads(); /* all have read the result before */
    shared[t] = value;
    for (uint h = ACTC_GROUP_SIZE / 2u; h > 0u; h /= 2u) {
        __syncthreads();
        if (t < h)
            shared[t] = combine(shared[t], shared[t + h]);
    }
    __syncthreads();
    return shared[0];
}

static __device__ __forceinline__ float actc_row_total(float *shared, float sum)
{
    return actc_row_tree(shared, sum, [](float a, float b) { return ACTC_ADD(a, b); });
}

static __device__ __forceinline__ float actc_row_largest(float *shared, float largest)
{
    return actc_row_tree(shared, largest, [](float a, float b) { return b > a ? b : a; });
}

#endif
