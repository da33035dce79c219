/* softmax_bwd.cu: the gradient of softmax, or of its logarithm: one thread a short row, a block a long one. */
#include "row.cuh"
#include "exact/norm.h"

static __device__ __forceinline__ float term(uint log, float dy, float y)
{
    return log != 0u ? actc_flush(dy) : actc_product(actc_flush(dy), actc_flush(y));
}

static __device__ __forceinline__ float gradient(uint log, float dy, float y, float sum)
{
    const float g = actc_flush(dy), v = actc_flush(y);
    return actc_canon(log != 0u ? ACTC_SUB(g, ACTC_MUL(actc_exp(v), sum)) : ACTC_MUL(v, ACTC_SUB(g, sum)));
}

ACTC_CUDA_KERNEL(softmax_bwd, const float *dy, const float *y, float *dx)
{
    ACTC_GROUP(group);
    __shared__ float shared[ACTC_GROUP_SIZE];
    float sum = 0.0f;
    if (p.cols > ACTC_SOFTMAX_SERIAL) {
        const uint base = group * p.cols;
        for (uint c = threadIdx.x; c < p.cols; c += ACTC_GROUP_SIZE)
            sum = ACTC_ADD(sum, term(p.log, dy[base + c], y[base + c]));
        sum = actc_row_total(shared, sum);
        for (uint c = threadIdx.x; c < p.cols; c += ACTC_GROUP_SIZE)
            dx[base + c] = gradient(p.log, dy[base + c], y[base + c], sum);
        return;
    }
    const uint row = group * ACTC_GROUP_SIZE + threadIdx.x;
    if (row >= p.rows)
        return;
    const uint base = row * p.cols;
    for (uint c = 0u; c < p.cols; c++)
        sum = ACTC_ADD(sum, term(p.log, dy[base + c], y[base + c]));
    for (uint c = 0u; c < p.cols; c++)
        dx[base + c] = gradient(p.log, dy[base + c], y[base + c], sum);
}
