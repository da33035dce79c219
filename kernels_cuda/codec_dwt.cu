/* codec_dwt.cu: one level of the wavelet transform along one axis. */
#include "codec.cuh"

ACTC_CUDA_KERNEL(codec_dwt, const uint *source, const uint *constants, uint *low, uint *high)
{
    ACTC_GROUP(group);
    const uint i = group * ACTC_GROUP_SIZE + threadIdx.x;
    if (i >= p.outer * p.out_size * p.inner)
        return;
    const float *low_tap = (const float *)constants + p.table, *high_tap = low_tap + p.taps;
    const uint k = i % p.inner, o = i / p.inner % p.out_size, a = i / p.inner / p.out_size;
    float l = 0.0f, h = 0.0f;
    for (uint j = 0u; j < p.taps; j++) {
        const uint from = actc_dwt_source(o, j, p.size, p.taps, p.symmetric);
        const float v = actc_flush_bits(source[p.in_at + (a * p.size + from) * p.inner + k]);
        if (low_tap[j] != 0.0f)
            l = ACTC_ADD(l, ACTC_MUL(v, low_tap[j]));
        if (high_tap[j] != 0.0f)
            h = ACTC_ADD(h, ACTC_MUL(v, high_tap[j]));
    }
    low[p.low_at + i] = actc_canon_bits(l);
    high[p.high_at + i] = actc_canon_bits(h);
}
