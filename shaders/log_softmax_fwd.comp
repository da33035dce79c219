/* log_softmax_fwd: one invocation a row. */
#version 450
#include "common.glsl"

ACTC_READ(0, x);
ACTC_WRITE(1, y);

void actc_kernel(uint group, uint lane)
{
    uint row = group * ACTC_GROUP_SIZE + lane;
    if (row >= p.rows)
        return;
    uint base = row * p.cols;
    float largest = ACTC_LOAD(x, base);
    for (uint c = 1u; c < p.cols; c++) {
        float v = ACTC_LOAD(x, base + c);
        largest = v > largest ? v : largest;
    }
    float sum = 0.0;
    for (uint c = 0u; c < p.cols; c++)
        sum = ACTC_ADD(sum, actc_exp(ACTC_SUB(ACTC_LOAD(x, base + c), largest)));
    float log_sum = actc_log(sum);
    for (uint c = 0u; c < p.cols; c++)
        y[base + c] = actc_canon_bits(ACTC_SUB(ACTC_SUB(ACTC_LOAD(x, base + c), largest), log_sum));
}
