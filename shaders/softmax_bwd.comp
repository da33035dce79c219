/* softmax_bwd: the gradient of softmax, or of its logarithm: one invocation a short row, a group a long one. */
#version 450
#include "common.glsl"
#include "exact/norm.h"
#include "row.glsl"

ACTC_READ(0, dy);
ACTC_READ(1, y);
ACTC_WRITE(2, dx);

float term(uint i)
{
    float g = ACTC_LOAD(dy, i);
    if (p.log == 0u)
        g = actc_product(g, ACTC_LOAD(y, i));
    return g;
}

uint gradient(uint i, float sum)
{
    float g = ACTC_LOAD(dy, i), v = ACTC_LOAD(y, i);
    return actc_canon_bits(p.log != 0u ? ACTC_SUB(g, ACTC_MUL(actc_exp(v), sum)) : ACTC_MUL(v, ACTC_SUB(g, sum)));
}

void actc_kernel(uint group, uint lane)
{
    float sum = 0.0;
    if (p.cols > ACTC_SOFTMAX_SERIAL) {
        uint base = group * p.cols;
        for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE)
            sum = ACTC_ADD(sum, term(base + c));
        sum = row_total(lane, sum);
        for (uint c = lane; c < p.cols; c += ACTC_GROUP_SIZE)
            dx[base + c] = gradient(base + c, sum);
        return;
    }
    uint row = group * ACTC_GROUP_SIZE + lane;
    if (row >= p.rows)
        return;
    for (uint c = 0u; c < p.cols; c++)
        sum = ACTC_ADD(sum, term(row * p.cols + c));
    for (uint c = 0u; c < p.cols; c++)
        dx[row * p.cols + c] = gradient(row * p.cols + c, sum);
}
