/* ln_bwd: the gradient of layer norm with regard to its input, a group a row. */
#version 450
#include "common.glsl"
#include "exact/norm.h"
#include "row.glsl"

ACTC_READ(0, dy);
ACTC_READ(1, x);
ACTC_READ(2, statistics);
ACTC_READ(3, gamma);
ACTC_WRITE(4, dx);

float g_of(uint base, uint c)
{
    float g = ACTC_LOAD(dy, base + c);
    if (p.affine != 0u)
        g = actc_product(g, ACTC_LOAD(gamma, c));
    return g;
}

float xhat_of(uint i, float mean, float inverse)
{
    float v = ACTC_LOAD(x, i);
    if (p.normalised == 0u)
        v = actc_normalise(v, mean, inverse);
    return v;
}

void actc_kernel(uint group, uint lane)
{
    uint base = group * p.cols;
    float mean = p.normalised != 0u ? 0.0 : ACTC_LOAD(statistics, group), inverse = ACTC_LOAD(statistics, p.rows + group);
    float sum = 0.0, sum_xhat = 0.0;
    for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE) {
        float g = g_of(base, c);
        sum = ACTC_ADD(sum, g);
        sum_xhat = ACTC_ADD(sum_xhat, actc_product(g, xhat_of(base + c, mean, inverse)));
    }
    float mean_g = actc_flush(ACTC_MUL(p.inverse_cols, row_total(lane, sum)));
    float mean_g_xhat = actc_flush(ACTC_MUL(p.inverse_cols, row_total(lane, sum_xhat)));
    for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE)
        dx[base + c] = actc_canon_bits(
            actc_normalise_slope(g_of(base, c), xhat_of(base + c, mean, inverse), mean_g, mean_g_xhat, inverse));
}
