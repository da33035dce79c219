/* codec_dwt: one level of the wavelet transform along one axis. */
#version 450
#include "common.glsl"
#include "codec.glsl"

ACTC_READ(0, source);
ACTC_READ(1, constants);
ACTC_WRITE(2, low);
ACTC_WRITE(3, high);

void actc_kernel(uint group, uint lane)
{
    uint i = group * ACTC_GROUP_SIZE + lane;
    if (i >= p.outer * p.out_size * p.inner)
        return;
    uint k = i % p.inner, o = i / p.inner % p.out_size, a = i / p.inner / p.out_size;
    float l = 0.0, h = 0.0;
    for (uint j = 0u; j < p.taps; j++) {
        float low_tap = uintBitsToFloat(constants[p.table + j]), high_tap = uintBitsToFloat(constants[p.table + p.taps + j]);
        uint from = actc_dwt_source(o, j, p.size, p.taps, p.symmetric);
        float v = ACTC_LOAD(source, p.in_at + (a * p.size + from) * p.inner + k);
        if (low_tap != 0.0)
            l = ACTC_ADD(l, ACTC_MUL(v, low_tap));
        if (high_tap != 0.0)
            h = ACTC_ADD(h, ACTC_MUL(v, high_tap));
    }
    low[p.low_at + i] = actc_canon_bits(l);
    high[p.high_at + i] = actc_canon_bits(h);
}
