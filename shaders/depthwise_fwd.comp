/* depthwise_fwd: y = w * x [+ bias], every channel by itself. One invocation an output. */
#version 450
#include "common.glsl"

ACTC_READ(0, x);
ACTC_READ(1, w);
ACTC_READ(2, bias);
ACTC_WRITE(3, y);

void actc_kernel(uint group, uint lane)
{
    uint at = group * ACTC_GROUP_SIZE + lane, o = at % p.oc, pixel = at / p.oc;
    uint ox = pixel % p.ow, row = pixel / p.ow, oy = row % p.oh, plane = row / p.oh, oz = plane % p.od, n = plane / p.od;
    if (n >= p.batch)
        return;
    uint channel = o / (p.oc / p.ic), tap = o * p.kd * p.kh * p.kw;
    /* what lies before the image wraps to large numbers */
    uint z0 = oz * p.sd - p.pd, y0 = oy * p.sh - p.ph, x0 = ox * p.sw - p.pw;
    float sum = 0.0;
    for (uint kz = 0u; kz < p.kd; kz++)
        for (uint ky = 0u; ky < p.kh; ky++)
            for (uint kx = 0u; kx < p.kw; kx++, tap++) {
                uint iz = z0 + kz * p.dd, iy = y0 + ky * p.dh, ix = x0 + kx * p.dw;
                if (iz >= p.id || iy >= p.ih || ix >= p.iw)
                    continue;
                float a = actc_factor(uintBitsToFloat(x[(((n * p.id + iz) * p.ih + iy) * p.iw + ix) * p.ic + channel]));
                sum = ACTC_ADD(sum, ACTC_MUL(a, actc_factor(uintBitsToFloat(w[tap]))));
            }
    if (p.bias != 0u)
        sum = ACTC_ADD(sum, ACTC_LOAD(bias, o));
    y[at] = actc_canon_bits(sum);
}
