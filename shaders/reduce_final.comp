/* reduce_final: the sums of the chunks, added to what is there where `add`. */
#version 450
#include "common.glsl"

ACTC_READ(0, partial);
ACTC_WRITE(1, sums);
ACTC_WRITE(2, second_sums);

/* Four chunks from word i on. Sixteen loads are in flight: few lanes have much to add, and one load after the other would be
 * all waiting. (Written out: an unrolled loop's additions would lose their NoContraction.) */
#define TAKE(i) uvec4(partial[i], partial[(i) + stride], partial[(i) + 2u * stride], partial[(i) + 3u * stride])

float add_four(float sum, uvec4 next)
{
    sum = ACTC_ADD(sum, actc_flush_bits(next.x));
    sum = ACTC_ADD(sum, actc_flush_bits(next.y));
    sum = ACTC_ADD(sum, actc_flush_bits(next.z));
    return ACTC_ADD(sum, actc_flush_bits(next.w));
}

uint total(float sum, uint old)
{
    sum = ACTC_MUL(p.scale, sum);
    return actc_canon_bits(p.add != 0u ? ACTC_ADD(actc_flush_bits(old), sum) : sum);
}

void actc_kernel(uint group, uint lane)
{
    uint o = group * ACTC_GROUP_SIZE + lane, stride = p.width * p.cols;
    if (o >= p.outer * stride)
        return;
    uint c = o % stride, outer = o / stride;
    uint i = outer * p.chunks * stride + c, end = i + p.chunks * stride;
    float sum = 0.0;
    for (uint whole = i + p.chunks / 16u * 16u * stride; i != whole; i += 16u * stride) {
        uvec4 n0 = TAKE(i), n1 = TAKE(i + 4u * stride), n2 = TAKE(i + 8u * stride), n3 = TAKE(i + 12u * stride);
        sum = add_four(add_four(add_four(add_four(sum, n0), n1), n2), n3);
    }
    for (; i != end; i += stride)
        sum = ACTC_ADD(sum, ACTC_LOAD(partial, i));
    if (c < p.cols)
        sums[outer * p.cols + c] = total(sum, p.add != 0u ? sums[outer * p.cols + c] : 0u);
    else
        second_sums[outer * p.cols + c - p.cols] = total(sum, p.add != 0u ? second_sums[outer * p.cols + c - p.cols] : 0u);
}
