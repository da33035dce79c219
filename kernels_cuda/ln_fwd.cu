/* ln_fwd.cu: layer norm, a block a row. */
#include "row.cuh"
#include "exact/norm.h"

ACTC_CUDA_KERNEL(ln_fwd, const float *x, const float *gamma, const float *beta, float *y, float *statistics)
{
    ACTC_GROUP(group);
    __shared__ float shared[ACTC_GROUP_SIZE];
    const float *in = x + group * p.cols;
    float *const out = y + group * p.cols;
    float sum = 0.0f, square = 0.0f;
    for (uint c = threadIdx.x; c < p.cols; c += ACTC_GROUP_SIZE)
        sum = ACTC_ADD(sum, actc_flush(in[c]));
    const float mean = actc_flush(ACTC_MUL(p.inverse_cols, actc_row_total(shared, sum)));
    for (uint c = threadIdx.x; c < p.cols; c += ACTC_GROUP_SIZE)
        square = ACTC_ADD(square, actc_squared_distance(actc_flush(in[c]), mean));
    const float variance = actc_flush(ACTC_MUL(p.inverse_cols, actc_row_total(shared, square)));
    const float inverse = actc_inverse_deviation(variance, p.epsilon);
    if (p.keep != 0u && threadIdx.x == 0u) {
        statistics[group] = actc_canon(mean);
        statistics[p.rows + group] = actc_canon(inverse);
    }
    for (uint c = threadIdx.x; c < p.cols; c += ACTC_GROUP_SIZE) {
        float v = actc_normalise(actc_flush(in[c]), mean, inverse);
        if (p.affine != 0u)
            v = ACTC_ADD(ACTC_MUL(v, actc_flush(gamma[c])), actc_flush(beta[c]));
        out[c] = actc_canon(v);
    }
}
