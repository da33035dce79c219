/* attention_delta.cu: of each query of each head, the products of its output and that output's gradient, added; 16 threads a row. */
#include "common.cuh"

ACTC_CUDA_KERNEL(attention_delta, const float *dout, const float *o, float *delta)
{
    ACTC_GROUP(group);
    __shared__ float values[ACTC_GROUP_SIZE];
    const uint t = threadIdx.x, own = t % ACTC_ATTENTION_LANES, row = group * ACTC_ATTENTION_ROWS + t / ACTC_ATTENTION_LANES;
    float sum = 0.0f;
    if (row < p.rows) {
        for (uint d = own; d < p.head_dim; d += ACTC_ATTENTION_LANES)
            sum = ACTC_ADD(sum, ACTC_MUL(actc_factor(dout[row * p.head_dim + d]), actc_factor(o[row * p.head_dim + d])));
    }
    values[t] = sum;
    for (uint h = ACTC_ATTENTION_LANES / 2u; h > 0u; h /= 2u) {
        __syncthreads();
        if (own < h)
            values[t] = ACTC_ADD(values[t], values[t + h]);
    }
    if (own == 0u && row < p.rows)
        delta[row] = actc_canon(values[t]);
}
