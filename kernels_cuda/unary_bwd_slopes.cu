/* unary_bwd_slopes.cu: dx = dy * f'(.), from slopes in a few bits. */
#include "common.cuh"
#include "exact/unary.h"

ACTC_CUDA_KERNEL(unary_bwd_slopes, const uint *dy, const uint *codes, uint *dx)
{
    ACTC_GROUP(group);
    const uint per_word = 32u / p.bits, last = (1u << p.bits) - 1u;
    for (uint j = 0u; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i < p.n) {
            const uint code = codes[i / per_word] >> (i % per_word * p.bits) & last;
            dx[i] = actc_canon_bits(ACTC_MUL(actc_flush_bits(dy[i]), actc_slope_level(code, p.zero, p.step)));
        }
    }
}
