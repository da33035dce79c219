/* log_softmax_bwd.cu: dx = dy - exp(y) * sum(dy) along each row, a row a thread. */
#include "common.cuh"

ACTC_CUDA_KERNEL(log_softmax_bwd, const float *dy, const float *y, float *dx)
{
    ACTC_GROUP(group);
    const uint r = group * ACTC_GROUP_SIZE + threadIdx.x;
    if (r >= p.rows)
        return;
    const uint at = r * p.cols;
    float s = 0.0f;
    for (uint c = 0; c < p.cols; c++)
        s = ACTC_ADD(s, actc_flush(dy[at + c]));
    for (uint c = 0; c < p.cols; c++)
        dx[at + c] = actc_canon(ACTC_SUB(actc_flush(dy[at + c]), ACTC_MUL(actc_exp(actc_flush(y[at + c])), s)));
}
