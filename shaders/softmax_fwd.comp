/* softmax_fwd: softmax, or its logarithm: one invocation a short row, a group a long one. */
#version 450
#include "common.glsl"
#include "row.glsl"

ACTC_READ(0, x);
ACTC_WRITE(1, y);

/* Columns past `last` are not seen. */
float value_of(uint base, uint c, uint last)
{
    float v = ACTC_LOAD(x, base + c);
    return c <= last ? v : uintBitsToFloat(0xff800000u);
}

uint last_of(uint row)
{
    return p.causal != 0u ? row % p.causal : p.cols;
}

uint result_of(float v, float largest, float scale)
{
    float d = ACTC_SUB(v, largest);
    return actc_canon_bits(p.log != 0u ? ACTC_SUB(d, scale) : ACTC_MUL(actc_exp(d), scale));
}

float scale_of(float sum)
{
    return p.log != 0u ? actc_log(sum) : actc_reciprocal(sum);
}

void short_row(uint row)
{
    uint base = row * p.cols, last = last_of(row);
    float largest = ACTC_LOAD(x, base), sum = 0.0;
    for (uint c = 1u; c < p.cols; c++) {
        float v = value_of(base, c, last);
        largest = v > largest ? v : largest;
    }
    for (uint c = 0u; c < p.cols; c++)
        sum = ACTC_ADD(sum, actc_exp(ACTC_SUB(value_of(base, c, last), largest)));
    float scale = scale_of(sum);
    for (uint c = 0u; c < p.cols; c++)
        y[base + c] = result_of(value_of(base, c, last), largest, scale);
}

void long_row(uint row, uint lane)
{
    uint base = row * p.cols, last = last_of(row);
    float largest = uintBitsToFloat(0xff800000u), sum = 0.0;
    for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE) {
        float v = value_of(base, c, last);
        largest = v > largest ? v : largest;
    }
    largest = row_largest(lane, largest);
    for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE)
        sum = ACTC_ADD(sum, actc_exp(ACTC_SUB(value_of(base, c, last), largest)));
    float scale = scale_of(row_total(lane, sum));
    for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE)
        y[base + c] = result_of(value_of(base, c, last), largest, scale);
}

void actc_kernel(uint group, uint lane)
{
    if (p.cols > ACTC_SOFTMAX_SERIAL)
        long_row(group, lane);
    else if (group * ACTC_GROUP_SIZE + lane < p.rows)
        short_row(group * ACTC_GROUP_SIZE + lane);
}
