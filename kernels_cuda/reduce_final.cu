/* reduce_final.cu: adds partial sums, chunks ascending. */
#include "common.cuh"

/* Loads in flight: few threads have much to add, and one load after the other would be all waiting. */
#define AHEAD 32u

ACTC_CUDA_KERNEL(reduce_final, const float *partial, float *sums, float *second_sums)
{
    ACTC_GROUP(group);
    const uint o = group * ACTC_GROUP_SIZE + threadIdx.x, stride = p.width * p.cols;
    if (o >= p.outer * stride)
        return;
    const uint c = o % stride, outer = o / stride;
    const float *in = partial + outer * p.chunks * stride + c;
    float sum = 0.0f;
    uint j = 0u;
    for (; j + AHEAD <= p.chunks; j += AHEAD) {
        float next[AHEAD];
#pragma unroll
        for (uint i = 0u; i < AHEAD; i++)
            next[i] = in[(j + i) * stride];
#pragma unroll
        for (uint i = 0u; i < AHEAD; i++)
            sum = ACTC_ADD(sum, actc_flush(next[i]));
    }
    for (; j < p.chunks; j++)
        sum = ACTC_ADD(sum, actc_flush(in[j * stride]));
    float *const to = c < p.cols ? sums + outer * p.cols + c : second_sums + outer * p.cols + c - p.cols;
    sum = ACTC_MUL(p.scale, sum);
    *to = actc_canon(p.add != 0u ? ACTC_ADD(actc_flush(*to), sum) : sum);
}
