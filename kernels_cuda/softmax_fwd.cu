/* softmax_fwd.cu: softmax, or its logarithm: one thread a short row, a block a long one. */
#include "row.cuh"

static __device__ __forceinline__ float scale_of(uint log, float sum)
{
    return log != 0u ? actc_log(sum) : actc_reciprocal(sum);
}

static __device__ __forceinline__ float result_of(uint log, float v, float largest, float scale)
{
    const float d = ACTC_SUB(v, largest);
    return actc_canon(log != 0u ? ACTC_SUB(d, scale) : ACTC_MUL(actc_exp(d), scale));
}

ACTC_CUDA_KERNEL(softmax_fwd, const float *x, float *y)
{
    ACTC_GROUP(group);
    __shared__ float shared[ACTC_GROUP_SIZE];
    float sum = 0.0f;
    const uint row = p.cols > ACTC_SOFTMAX_SERIAL ? group : group * ACTC_GROUP_SIZE + threadIdx.x;
    const uint last = p.causal != 0u ? row % p.causal : p.cols; /* columns past it are not seen */
    const float never = ACTC_BITS_F32(0xff800000u);
    if (p.cols > ACTC_SOFTMAX_SERIAL) {
        const float *in = x + group * p.cols;
        float *const out = y + group * p.cols;
        float largest = never;
        for (uint c = threadIdx.x; c < p.cols; c += ACTC_GROUP_SIZE) {
            const float v = c <= last ? actc_flush(in[c]) : never;
            largest = v > largest ? v : largest;
        }
        largest = actc_row_largest(shared, largest);
        for (uint c = threadIdx.x; c < p.cols; c += ACTC_GROUP_SIZE)
            sum = ACTC_ADD(sum, actc_exp(ACTC_SUB(c <= last ? actc_flush(in[c]) : never, largest)));
        const float scale = scale_of(p.log, actc_row_total(shared, sum));
        for (uint c = threadIdx.x; c < p.cols; c += ACTC_GROUP_SIZE)
            out[c] = result_of(p.log, c <= last ? actc_flush(in[c]) : never, largest, scale);
        return;
    }
    if (row >= p.rows)
        return;
    const float *in = x + row * p.cols;
    float *const out = y + row * p.cols;
    float largest = actc_flush(in[0]);
    for (uint c = 1u; c < p.cols; c++) {
        const float v = c <= last ? actc_flush(in[c]) : never;
        largest = v > largest ? v : largest;
    }
    for (uint c = 0u; c < p.cols; c++)
        sum = ACTC_ADD(sum, actc_exp(ACTC_SUB(c <= last ? actc_flush(in[c]) : never, largest)));
    const float scale = scale_of(p.log, sum);
    for (uint c = 0u; c < p.cols; c++)
        out[c] = result_of(p.log, c <= last ? actc_flush(in[c]) : never, largest, scale);
}
