/* bn_stats: mean and inverse deviation of each column from the moments of its chunks, and the running ones; a group does
 * ACTC_BN_COLUMNS columns, neighbouring lanes neighbouring columns. */
#version 450
#include "common.glsl"
#include "exact/norm.h"

ACTC_READ(0, moments);
ACTC_WRITE(1, statistics);
ACTC_WRITE(2, running_mean);
ACTC_WRITE(3, running_variance);

shared float sums[ACTC_GROUP_SIZE];

/* The total of a column's lanes. */
float tree(uint lane, float sum)
{
    barrier();
    sums[lane] = sum;
    barrier();
    for (uint h = ACTC_BN_LANES / 2u; h > 0u; h /= 2u) {
        if (lane < h * ACTC_BN_COLUMNS)
            sums[lane] = ACTC_ADD(sums[lane], sums[lane + h * ACTC_BN_COLUMNS]);
        barrier();
    }
    return sums[lane % ACTC_BN_COLUMNS];
}

void actc_kernel(uint group, uint lane)
{
    uint c = group * ACTC_BN_COLUMNS + lane % ACTC_BN_COLUMNS;
    bool inside = c < p.cols;
    float mean = 0.0, variance = 0.0;
    if (p.evaluate != 0u) {
        if (inside) {
            mean = ACTC_LOAD(running_mean, c);
            variance = ACTC_LOAD(running_variance, c);
        }
    } else {
        uint first = lane / ACTC_BN_COLUMNS, end = inside ? p.chunks : 0u;
        float sum = 0.0;
        for (uint j = first; j < end; j += ACTC_BN_LANES)
            sum = ACTC_ADD(sum, ACTC_LOAD(moments, j * 2u * p.cols + c));
        mean = actc_flush(ACTC_MUL(p.inverse_rows, tree(lane, sum)));
        float square = 0.0;
        for (uint j = first; j < end; j += ACTC_BN_LANES) {
            uint n = min(ACTC_SUM_ROWS, p.rows - j * ACTC_SUM_ROWS), at = j * 2u * p.cols + c;
            float chunk_mean = actc_chunk_mean(ACTC_LOAD(moments, at), n);
            float between = ACTC_MUL(float(n), actc_squared_distance(chunk_mean, mean));
            square = ACTC_ADD(square, ACTC_ADD(ACTC_LOAD(moments, at + p.cols), between));
        }
        variance = actc_flush(ACTC_MUL(p.inverse_rows, tree(lane, square)));
    }
    if (lane >= ACTC_BN_COLUMNS || !inside)
        return;
    statistics[c] = actc_canon_bits(mean);
    statistics[p.cols + c] = actc_canon_bits(actc_inverse_deviation(variance, p.epsilon));
    if (p.running != 0u && p.evaluate == 0u) {
        float unbiased = actc_flush(ACTC_MUL(p.unbiased, variance));
        running_mean[c] = actc_canon_bits(ACTC_ADD(ACTC_MUL(p.rest, ACTC_LOAD(running_mean, c)), ACTC_MUL(p.momentum, mean)));
        running_variance[c] =
            actc_canon_bits(ACTC_ADD(ACTC_MUL(p.rest, ACTC_LOAD(running_variance, c)), ACTC_MUL(p.momentum, unbiased)));
    }
}
