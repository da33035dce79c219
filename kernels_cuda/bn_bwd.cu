/* bn_bwd.cu: the gradient of batch norm with regard to its input, from the sums over rows. */
#include "index.cuh"
#include "exact/norm.h"

ACTC_CUDA_KERNEL(bn_bwd, const float *dy, const float *x, const float *statistics, const float *gamma, const float *sum_dy,
                 const float *sum_dy_xhat, float *dx)
{
    ACTC_GROUP(group);
    const actc_divisor by_cols = actc_divide_by(p.cols);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        uint c = i;
        actc_div_rem(c, by_cols);
        const float inverse = actc_flush(statistics[p.cols + c]), g = actc_flush(dy[i]);
        const float factor = p.affine != 0u ? actc_flush(ACTC_MUL(actc_flush(gamma[c]), inverse)) : inverse;
        if (p.constant != 0u) {
            dx[i] = actc_canon(ACTC_MUL(factor, g));
            continue;
        }
        float xhat = actc_flush(x[i]);
        if (p.normalised == 0u)
            xhat = actc_normalise(xhat, actc_flush(statistics[c]), inverse);
        const float mean_dy = actc_flush(ACTC_MUL(actc_flush(sum_dy[c]), p.inverse_rows));
        const float mean_dy_xhat = actc_flush(ACTC_MUL(actc_flush(sum_dy_xhat[c]), p.inverse_rows));
        dx[i] = actc_canon(actc_normalise_slope(g, xhat, mean_dy, mean_dy_xhat, factor));
    }
}
