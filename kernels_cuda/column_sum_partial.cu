/* column_sum_partial.cu: sums of ACTC_SUM_ROWS rows, rows ascending. */
#include "common.cuh"

ACTC_CUDA_KERNEL(column_sum_partial, const float *x, float *partial)
{
    ACTC_GROUP(group);
    const uint i = group * ACTC_GROUP_SIZE + threadIdx.x;
    const uint chunks = (p.rows - 1u) / ACTC_SUM_ROWS + 1u;
    if (i >= chunks * p.cols)
        return;
    const uint c = i % p.cols, first = i / p.cols * ACTC_SUM_ROWS;
    const uint end = min(first + ACTC_SUM_ROWS, p.rows);
    float sum = 0.0f;
    for (uint r = first; r < end; r++)
        sum = ACTC_ADD(sum, actc_flush(x[r * p.cols + c]));
    partial[i] = actc_canon(sum);
}
