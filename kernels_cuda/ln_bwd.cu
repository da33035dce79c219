/* ln_bwd.cu: the gradient of layer norm with regard to its input, a block a row. */
#include "row.cuh"
#include "exact/norm.h"

ACTC_CUDA_KERNEL(ln_bwd, const float *dy, const float *x, const float *statistics, const float *gamma, float *dx)
{
    ACTC_GROUP(group);
    __shared__ float shared[ACTC_GROUP_SIZE];
    const uint base = group * p.cols;
    const float mean = p.normalised != 0u ? 0.0f : actc_flush(statistics[group]);
    const float inverse = actc_flush(statistics[p.rows + group]);
    auto g_of = [&](uint c) {
        const float g = actc_flush(dy[base + c]);
        return p.affine != 0u ? actc_product(g, actc_flush(gamma[c])) : g;
    };
    auto xhat_of = [&](uint c) {
        const float v = actc_flush(x[base + c]);
        return p.normalised != 0u ? v : actc_normalise(v, mean, inverse);
    };
    float sum = 0.0f, sum_xhat = 0.0f;
    for (uint c = threadIdx.x; c < p.cols; c += ACTC_GROUP_SIZE) {
        const float g = g_of(c);
        sum = ACTC_ADD(sum, g);
        sum_xhat = ACTC_ADD(sum_xhat, actc_product(g, xhat_of(c)));
    }
    const float mean_g = actc_flush(ACTC_MUL(p.inverse_cols, actc_row_total(shared, sum)));
    const float mean_g_xhat = actc_flush(ACTC_MUL(p.inverse_cols, actc_row_total(shared, sum_xhat)));
    for (uint c = threadIdx.x; c < p.cols; c += ACTC_GROUP_SIZE)
        dx[base + c] = actc_canon(actc_normalise_slope(g_of(c), xhat_of(c), mean_g, mean_g_xhat, inverse));
}
