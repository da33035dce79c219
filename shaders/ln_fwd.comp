/* ln_fwd: layer norm, a group a row. */
#version 450
#include "common.glsl"
#include "exact/norm.h"
#include "row.glsl"

ACTC_READ(0, x);
ACTC_READ(1, gamma);
ACTC_READ(2, beta);
ACTC_WRITE(3, y);
ACTC_WRITE(4, statistics);

void actc_kernel(uint group, uint lane)
{
    uint base = group * p.cols;
    float sum = 0.0, square = 0.0;
    for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE)
        sum = ACTC_ADD(sum, ACTC_LOAD(x, base + c));
    float mean = actc_flush(ACTC_MUL(p.inverse_cols, row_total(lane, sum)));
    for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE)
        square = ACTC_ADD(square, actc_squared_distance(ACTC_LOAD(x, base + c), mean));
    float variance = actc_flush(ACTC_MUL(p.inverse_cols, row_total(lane, square)));
    float inverse = actc_inverse_deviation(variance, p.epsilon);
    if (p.keep != 0u && lane == 0u) {
        statistics[group] = actc_canon_bits(mean);
        statistics[p.rows + group] = actc_canon_bits(inverse);
    }
    for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE) {
        float v = actc_normalise(ACTC_LOAD(x, base + c), mean, inverse);
        if (p.affine != 0u)
            v = ACTC_ADD(ACTC_MUL(v, ACTC_LOAD(gamma, c)), ACTC_LOAD(beta, c));
        y[base + c] = actc_canon_bits(v);
    }
}
