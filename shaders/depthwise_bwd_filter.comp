/* depthwise_bwd_filter: weight gradients of each chunk of output pixels, every channel by itself. One invocation a weight. */
#version 450
#include "common.glsl"

ACTC_READ(0, x);
ACTC_READ(1, dy);
ACTC_WRITE(2, partial);

void actc_kernel(uint group, uint lane)
{
    uint taps = p.kd * p.kh * p.kw, pixels = p.batch * p.od * p.oh * p.ow;
    uint at = group * ACTC_GROUP_SIZE + lane, o = at % p.oc, tap = at / p.oc % taps, chunk = at / p.oc / taps;
    uint runs = (pixels + ACTC_FILTER_PIXELS - 1u) / ACTC_FILTER_PIXELS;
    if (chunk >= (runs + p.runs - 1u) / p.runs)
        return;
    uint channel = o / (p.oc / p.ic), line = tap / p.kw;
    uint dz = line / p.kh * p.dd, dy_ = line % p.kh * p.dh, dx = tap % p.kw * p.dw;
    uint pixel = chunk * p.runs * ACTC_FILTER_PIXELS, ox = pixel % p.ow, row = pixel / p.ow, oy = row % p.oh;
    uint plane = row / p.oh, oz = plane % p.od, n = plane / p.od;
    float sum = 0.0;
    for (uint run = 0u; run < p.runs && pixel < pixels; run++) {
        float s = 0.0;
        for (uint end = min(pixel + ACTC_FILTER_PIXELS, pixels); pixel < end; pixel++) {
            uint iz = oz * p.sd + dz - p.pd, iy = oy * p.sh + dy_ - p.ph, ix = ox * p.sw + dx - p.pw;
            if (iz < p.id && iy < p.ih && ix < p.iw) {
                float a = actc_factor(uintBitsToFloat(x[(((n * p.id + iz) * p.ih + iy) * p.iw + ix) * p.ic + channel]));
                s = ACTC_ADD(s, ACTC_MUL(a, actc_factor(uintBitsToFloat(dy[pixel * p.oc + o]))));
            }
            ox++;
            if (ox == p.ow) {
                ox = 0u;
                oy++;
                if (oy == p.oh) {
                    oy = 0u;
                    oz++;
                    if (oz == p.od) {
                        oz = 0u;
                        n++;
                    }
                }
            }
        }
        uint bits = actc_canon_bits(s);
        sum = uintBitsToFloat(run == 0u ? bits : actc_canon_bits(ACTC_ADD(sum, uintBitsToFloat(bits))));
    }
    partial[(chunk * p.oc + o) * taps + tap] = floatBitsToUint(sum);
}
