/* column_sum_final: the sum of each column's chunks, added to what is there where `add`. */
#version 450
#include "common.glsl"

ACTC_READ(0, partial);
ACTC_WRITE(1, sums);

/* Four chunks from j on. Sixteen loads are in flight: few lanes have much to add, and one load after the other would be all
 * waiting. (Written out: an unrolled loop's additions would lose their NoContraction.) */
#define TAKE(j) uvec4(partial[(j) * p.cols + c], partial[((j) + 1u) * p.cols + c], partial[((j) + 2u) * p.cols + c], \
                      partial[((j) + 3u) * p.cols + c])

float add_four(float sum, uvec4 next)
{
    sum = ACTC_ADD(sum, actc_flush_bits(next.x));
    sum = ACTC_ADD(sum, actc_flush_bits(next.y));
    sum = ACTC_ADD(sum, actc_flush_bits(next.z));
    return ACTC_ADD(sum, actc_flush_bits(next.w));
}

void actc_kernel(uint group, uint lane)
{
    uint c = group * ACTC_GROUP_SIZE + lane;
    if (c >= p.cols)
        return;
    float sum = 0.0;
    uint j = 0u;
    for (; j + 16u <= p.chunks; j += 16u) {
        uvec4 n0 = TAKE(j), n1 = TAKE(j + 4u), n2 = TAKE(j + 8u), n3 = TAKE(j + 12u);
        sum = add_four(add_four(add_four(add_four(sum, n0), n1), n2), n3);
    }
    for (; j < p.chunks; j++)
        sum = ACTC_ADD(sum, ACTC_LOAD(partial, j * p.cols + c));
    if (p.add != 0u)
        sum = ACTC_ADD(ACTC_LOAD(sums, c), sum);
    sums[c] = actc_canon_bits(sum);
}
