/* unary_slopes.cu: y = f(x), and f'(x) in a few bits an element. */
#include "common.cuh"
#include "exact/unary.h"

ACTC_CUDA_KERNEL(unary_slopes, const uint *x, uint *y, uint *codes)
{
    ACTC_GROUP(group);
    __shared__ uint words[ACTC_GROUP_ELEMENTS / 4u]; /* of the widest */
    const uint per_word = 32u / p.bits, group_words = ACTC_GROUP_ELEMENTS / per_word, last = (1u << p.bits) - 1u;
    words[threadIdx.x] = 0u;
    __syncthreads();
    for (uint j = threadIdx.x; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j;
        if (i >= p.n)
            break;
        const float v = actc_flush_bits(x[i]);
        const uint u = actc_canon_bits(actc_unary(p.op, v, 0.0f, 0.0f));
        const uint code = actc_unary_slope_code(p.op, v, ACTC_BITS_F32(u), p.per_one, p.zero, last);
        y[i] = u;
        atomicOr(&words[j / per_word], code << (j % per_word * p.bits));
    }
    __syncthreads();
    const uint word = group * group_words + threadIdx.x;
    if (threadIdx.x < group_words && word < (p.n + per_word - 1u) / per_word)
        codes[word] = words[threadIdx.x];
}
