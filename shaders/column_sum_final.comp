/* column_sum_final: the sum of each column's chunks, added to what is there where `add`. */
#version 450
#include "common.glsl"

ACTC_READ(0, partial);
ACTC_WRITE(1, sums);

void actc_kernel(uint group, uint lane)
{
    uint c = group * ACTC_GROUP_SIZE + lane;
    if (c >= p.cols)
        return;
    float sum = 0.0;
    for (uint j = 0u; j < p.chunks; j++)
        sum = ACTC_ADD(sum, ACTC_LOAD(partial, j * p.cols + c));
    if (p.add != 0u)
        sum = ACTC_ADD(ACTC_LOAD(sums, c), sum);
    sums[c] = actc_canon_bits(sum);
}
