/* bn_stats.cu: mean and inverse deviation of each column from the moments of its chunks, and the running ones; a block does
 * ACTC_BN_COLUMNS columns, neighbouring threads neighbouring columns. */
#include "common.cuh"
#include "exact/norm.h"

/* The total of a column's lanes. */
static __device__ __forceinline__ float lanes_total(float *sums, float sum)
{
    __syncthreads(); /* all have read the total before */
    sums[threadIdx.x] = sum;
    for (uint h = ACTC_BN_LANES / 2u; h > 0u; h /= 2u) {
        __syncthreads();
        if (threadIdx.x < h * ACTC_BN_COLUMNS)
            sums[threadIdx.x] = ACTC_ADD(sums[threadIdx.x], sums[threadIdx.x + h * ACTC_BN_COLUMNS]);
    }
    __syncthreads();
    return sums[threadIdx.x % ACTC_BN_COLUMNS];
}

ACTC_CUDA_KERNEL(bn_stats, const float *moments, float *statistics, float *running_mean, float *running_variance)
{
    ACTC_GROUP(group);
    __shared__ float sums[ACTC_GROUP_SIZE];
    const uint c = group * ACTC_BN_COLUMNS + threadIdx.x % ACTC_BN_COLUMNS, lane = threadIdx.x / ACTC_BN_COLUMNS;
    const bool inside = c < p.cols;
    float mean = 0.0f, variance = 0.0f;
    if (p.evaluate != 0u) {
        if (inside) {
            mean = actc_flush(running_mean[c]);
            variance = actc_flush(running_variance[c]);
        }
    } else {
        const uint end = inside ? p.chunks : 0u;
        float sum = 0.0f;
        for (uint j = lane; j < end; j += ACTC_BN_LANES)
            sum = ACTC_ADD(sum, actc_flush(moments[j * 2u * p.cols + c]));
        mean = actc_flush(ACTC_MUL(p.inverse_rows, lanes_total(sums, sum)));
        float square = 0.0f;
        for (uint j = lane; j < end; j += ACTC_BN_LANES) {
            const uint n = min(ACTC_SUM_ROWS, p.rows - j * ACTC_SUM_ROWS), at = j * 2u * p.cols + c;
            const float chunk_mean = actc_chunk_mean(actc_flush(moments[at]), n);
            const float between = ACTC_MUL(ACTC_F32(n), actc_squared_distance(chunk_mean, mean));
            square = ACTC_ADD(square, ACTC_ADD(actc_flush(moments[at + p.cols]), between));
        }
        variance = actc_flush(ACTC_MUL(p.inverse_rows, lanes_total(sums, square)));
    }
    if (lane != 0u || !inside)
        return;
    statistics[c] = actc_canon(mean);
    statistics[p.cols + c] = actc_canon(actc_inverse_deviation(variance, p.epsilon));
    if (p.running != 0u && p.evaluate == 0u) {
        const float unbiased = actc_flush(ACTC_MUL(p.unbiased, variance));
        running_mean[c] = actc_canon(ACTC_ADD(ACTC_MUL(p.rest, actc_flush(running_mean[c])), ACTC_MUL(p.momentum, mean)));
        running_variance[c] =
            actc_canon(ACTC_ADD(ACTC_MUL(p.rest, actc_flush(running_variance[c])), ACTC_MUL(p.momentum, unbiased)));
    }
}
