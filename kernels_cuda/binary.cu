/* binary.cu: y = f(a, b) over an index space, with broadcasting. */
#include "elements.cuh"
#include "exact/binary.h"
#include "index.cuh"

ACTC_CUDA_KERNEL(binary, const uint *a, const uint *b, uint *y)
{
    ACTC_GROUP(group);
    const uint op = p.op;
    const float alpha = p.alpha;
    const auto f = [=](uint u, uint v) {
        return actc_canon_bits(actc_binary(op, actc_flush_bits(u), actc_flush_bits(v), alpha));
    };
    bool flat = true;
    uint dense = 1u;
#pragma unroll
    for (int k = 3; k >= 0; k--) {
        flat = flat && (p.size[k] == 1u || (p.sa[k] == dense && p.sb[k] == dense));
        dense *= p.size[k];
    }
    if (flat) {
        actc_map2(group, p.n, a, b, y, f);
        return;
    }
    actc_divisor by[4];
#pragma unroll
    for (int k = 1; k < 4; k++)
        by[k] = actc_divide_by(p.size[k]);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        uint rest = i, ia = 0u, ib = 0u;
#pragma unroll
        for (int k = 3; k > 0; k--) {
            uint at = rest;
            rest = actc_div_rem(at, by[k]);
            ia += at * p.sa[k];
            ib += at * p.sb[k];
        }
        y[i] = f(a[ia + rest * p.sa[0]], b[ib + rest * p.sb[0]]);
    }
}
