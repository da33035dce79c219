/* column_sum_partial: the sum of each column over each chunk of ACTC_SUM_ROWS rows. */
#version 450
#include "common.glsl"

ACTC_READ(0, x);
ACTC_WRITE(1, partial);

void actc_kernel(uint group, uint lane)
{
    uint chunks = (p.rows + ACTC_SUM_ROWS - 1u) / ACTC_SUM_ROWS;
    uint o = group * ACTC_GROUP_SIZE + lane;
    if (o >= chunks * p.cols)
        return;
    uint c = o % p.cols, begin = o / p.cols * ACTC_SUM_ROWS, end = min(begin + ACTC_SUM_ROWS, p.rows);
    float sum = 0.0;
    for (uint r = begin; r < end; r++)
        sum = ACTC_ADD(sum, ACTC_LOAD(x, r * p.cols + c));
    partial[o] = actc_canon_bits(sum);
}
