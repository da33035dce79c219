/* codec_idwt.cu: one level of the inverse wavelet transform along one axis. */
#include "codec.cuh"

ACTC_CUDA_KERNEL(codec_idwt, const uint *low, const uint *high, const uint *constants, uint *target)
{
    ACTC_GROUP(group);
    const uint e = group * ACTC_GROUP_SIZE + threadIdx.x;
    if (e >= p.outer * p.size * p.inner)
        return;
    const float *low_tap = (const float *)constants + p.table, *high_tap = low_tap + p.taps;
    const uint k = e % p.inner, i = e / p.inner % p.size, a = e / p.inner / p.size;
    float l = 0.0f, h = 0.0f;
    for (uint j = actc_idwt_first(i, p.taps, p.symmetric); j < p.taps; j += 2u) {
        const uint o = actc_idwt_source(i, j, p.in_size, p.taps, p.symmetric);
        const uint at = (a * p.in_size + o) * p.inner + k;
        if (low_tap[j] != 0.0f)
            l = ACTC_ADD(l, ACTC_MUL(actc_flush_bits(low[p.low_at + at]), low_tap[j]));
        if (high_tap[j] != 0.0f)
            h = ACTC_ADD(h, ACTC_MUL(actc_flush_bits(high[p.high_at + at]), high_tap[j]));
    }
    target[p.out_at + e] = actc_canon_bits(ACTC_ADD(l, h));
}
