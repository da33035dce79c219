/* codec_idwt: one level of the inverse wavelet transform along one axis. */
#version 450
#include "common.glsl"
#include "codec.glsl"

ACTC_READ(0, low);
ACTC_READ(1, high);
ACTC_READ(2, constants);
ACTC_WRITE(3, target);

void actc_kernel(uint group, uint lane)
{
    uint e = group * ACTC_GROUP_SIZE + lane;
    if (e >= p.outer * p.size * p.inner)
        return;
    uint k = e % p.inner, i = e / p.inner % p.size, a = e / p.inner / p.size;
    float l = 0.0, h = 0.0;
    for (uint j = actc_idwt_first(i, p.taps, p.symmetric); j < p.taps; j += 2u) {
        float low_tap = uintBitsToFloat(constants[p.table + j]), high_tap = uintBitsToFloat(constants[p.table + p.taps + j]);
        uint o = actc_idwt_source(i, j, p.in_size, p.taps, p.symmetric), at = (a * p.in_size + o) * p.inner + k;
        if (low_tap != 0.0)
            l = ACTC_ADD(l, ACTC_MUL(ACTC_LOAD(low, p.low_at + at), low_tap));
        if (high_tap != 0.0)
            h = ACTC_ADD(h, ACTC_MUL(ACTC_LOAD(high, p.high_at + at), high_tap));
    }
    target[p.out_at + e] = actc_canon_bits(ACTC_ADD(l, h));
}
