/* softmax_fwd: softmax, or its logarithm: one invocation a short row, a group a long one. */
#version 450
#include "common.glsl"
#include "row.glsl"

ACTC_READ(0, x);
ACTC_WRITE(1, y);

uint result_of(uint i, float largest, float scale)
{
    float d = ACTC_SUB(ACTC_LOAD(x, i), largest);
    return actc_canon_bits(p.log != 0u ? ACTC_SUB(d, scale) : ACTC_MUL(actc_exp(d), scale));
}

float scale_of(float sum)
{
    return p.log != 0u ? actc_log(sum) : actc_reciprocal(sum);
}

void short_row(uint row)
{
    uint base = row * p.cols;
    float largest = ACTC_LOAD(x, base), sum = 0.0;
    for (uint c = 1u; c < p.cols; c++) {
        float v = ACTC_LOAD(x, base + c);
        largest = v > largest ? v : largest;
    }
    for (uint c = 0u; c < p.cols; c++)
        sum = ACTC_ADD(sum, actc_exp(ACTC_SUB(ACTC_LOAD(x, base + c), largest)));
    float scale = scale_of(sum);
    for (uint c = 0u; c < p.cols; c++)
        y[base + c] = result_of(base + c, largest, scale);
}

void long_row(uint row, uint lane)
{
    uint base = row * p.cols;
    float largest = uintBitsToFloat(0xff800000u), sum = 0.0;
    for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE) {
        float v = ACTC_LOAD(x, base + c);
        largest = v > largest ? v : largest;
    }
    largest = row_largest(lane, largest);
    for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE)
        sum = ACTC_ADD(sum, actc_exp(ACTC_SUB(ACTC_LOAD(x, base + c), largest)));
    float scale = scale_of(row_total(lane, sum));
    for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE)
        y[base + c] = result_of(base + c, largest, scale);
}

void actc_kernel(uint group, uint lane)
{
    if (p.cols > ACTC_SOFTMAX_SERIAL)
        long_row(group, lane);
    else if (group * ACTC_GROUP_SIZE + lane < p.rows)
        short_row(group * ACTC_GROUP_SIZE + lane);
}
