/* log_softmax_fwd.cu: y = x - max - log(sum(exp(x - max))) along each row, a row a thread. */
#include "common.cuh"

ACTC_CUDA_KERNEL(log_softmax_fwd, const float *x, float *y)
{
    ACTC_GROUP(group);
    const uint r = group * ACTC_GROUP_SIZE + threadIdx.x;
    if (r >= p.rows)
        return;
    const float *in = x + r * p.cols;
    float *out = y + r * p.cols;
    float m = actc_flush(in[0]);
    for (uint c = 1; c < p.cols; c++) {
        const float v = actc_flush(in[c]);
        m = v > m ? v : m;
    }
    float s = 0.0f;
    for (uint c = 0; c < p.cols; c++)
        s = ACTC_ADD(s, actc_exp(ACTC_SUB(actc_flush(in[c]), m)));
    const float l = actc_log(s);
    for (uint c = 0; c < p.cols; c++)
        out[c] = actc_canon(ACTC_SUB(ACTC_SUB(actc_flush(in[c]), m), l));
}
