/* log_softmax_bwd: dx = dy - exp(y) * sum of dy; one invocation a row. */
#version 450
#include "common.glsl"

ACTC_READ(0, dy);
ACTC_READ(1, y);
ACTC_WRITE(2, dx);

void actc_kernel(uint group, uint lane)
{
    uint row = group * ACTC_GROUP_SIZE + lane;
    if (row >= p.rows)
        return;
    uint base = row * p.cols;
    float sum = 0.0;
    for (uint c = 0u; c < p.cols; c++)
        sum = ACTC_ADD(sum, ACTC_LOAD(dy, base + c));
    for (uint c = 0u; c < p.cols; c++) {
        float probability = actc_exp(ACTC_LOAD(y, base + c));
        dx[base + c] = actc_canon_bits(ACTC_SUB(ACTC_LOAD(dy, base + c), ACTC_MUL(probability, sum)));
    }
}
