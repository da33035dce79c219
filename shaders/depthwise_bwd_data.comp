/* depthwise_bwd_data: input gradients [+ bias], every channel by itself. One invocation an input. */
#version 450
#include "common.glsl"

ACTC_READ(0, dy);
ACTC_READ(1, w);
ACTC_READ(2, bias);
ACTC_WRITE(3, dx);

void actc_kernel(uint group, uint lane)
{
    uint at = group * ACTC_GROUP_SIZE + lane, channel = at % p.ic, pixel = at / p.ic;
    uint ix = pixel % p.iw, row = pixel / p.iw, iy = row % p.ih, plane = row / p.ih, iz = plane % p.id, n = plane / p.id;
    if (n >= p.batch)
        return;
    uint outputs = p.oc / p.ic, taps = p.kd * p.kh * p.kw, tap = 0u;
    float sum = 0.0;
    for (uint kz = 0u; kz < p.kd; kz++)
        for (uint ky = 0u; ky < p.kh; ky++)
            for (uint kx = 0u; kx < p.kw; kx++, tap++) {
                /* oy = (iy + ph - ky*dh) / sh where that is whole; below 0 it wraps, and is not below oh */
                uint tz = iz + p.pd - kz * p.dd, ty = iy + p.ph - ky * p.dh, tx = ix + p.pw - kx * p.dw;
                uint oz = tz / p.sd, oy = ty / p.sh, ox = tx / p.sw;
                if (oz * p.sd != tz || oy * p.sh != ty || ox * p.sw != tx || oz >= p.od || oy >= p.oh || ox >= p.ow)
                    continue;
                uint from = (((n * p.od + oz) * p.oh + oy) * p.ow + ox) * p.oc;
                for (uint o = channel * outputs; o < (channel + 1u) * outputs; o++) {
                    float a = actc_factor(uintBitsToFloat(dy[from + o]));
                    sum = ACTC_ADD(sum, ACTC_MUL(a, actc_factor(uintBitsToFloat(w[o * taps + tap]))));
                }
            }
    if (p.bias != 0u)
        sum = ACTC_ADD(sum, ACTC_LOAD(bias, channel));
    dx[at] = actc_canon_bits(sum);
}
