/* copy_nd.cu: a box of elements from one place and stride to another; moves bits, or adds. */
#include "index.cuh"

ACTC_CUDA_KERNEL(copy_nd, const uint *source, uint *target)
{
    ACTC_GROUP(group);
    actc_divisor by[6];
#pragma unroll
    for (int k = 1; k < 6; k++)
        by[k] = actc_divide_by(p.size[k]);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        uint rest = i, from = p.source_at, to = p.target_at;
#pragma unroll
        for (int k = 5; k > 0; k--) {
            uint at = rest;
            rest = actc_div_rem(at, by[k]);
            from += at * p.ss[k];
            to += at * p.ds[k];
        }
        from += rest * p.ss[0];
        to += rest * p.ds[0];
        uint bits = source[from];
        if (p.accumulate != 0u)
            bits = actc_canon_bits(ACTC_ADD(actc_flush_bits(target[to]), actc_flush_bits(bits)));
        target[to] = bits;
    }
}
