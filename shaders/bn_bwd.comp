/* bn_bwd: the gradient of batch norm with regard to its input, from the sums over rows. */
#version 450
#include "common.glsl"
#include "exact/norm.h"

ACTC_READ(0, dy);
ACTC_READ(1, x);
ACTC_READ(2, statistics);
ACTC_READ(3, gamma);
ACTC_READ(4, sum_dy);
ACTC_READ(5, sum_dy_xhat);
ACTC_WRITE(6, dx);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint c = i % p.cols;
        float inverse = ACTC_LOAD(statistics, p.cols + c), g = ACTC_LOAD(dy, i), factor = inverse;
        if (p.affine != 0u)
            factor = actc_flush(ACTC_MUL(ACTC_LOAD(gamma, c), inverse));
        if (p.constant != 0u) {
            dx[i] = actc_canon_bits(ACTC_MUL(factor, g));
        } else {
            float xhat = ACTC_LOAD(x, i);
            if (p.normalised == 0u)
                xhat = actc_normalise(xhat, ACTC_LOAD(statistics, c), inverse);
            float mean_dy = actc_flush(ACTC_MUL(ACTC_LOAD(sum_dy, c), p.inverse_rows));
            float mean_dy_xhat = actc_flush(ACTC_MUL(ACTC_LOAD(sum_dy_xhat, c), p.inverse_rows));
            dx[i] = actc_canon_bits(actc_normalise_slope(g, xhat, mean_dy, mean_dy_xhat, factor));
        }
    }
}
