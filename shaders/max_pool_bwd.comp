/* max_pool_bwd: dx = the sum of dy over the windows whose winner was here. */
#version 450
#include "common.glsl"

ACTC_READ(0, dy);
ACTC_READ(1, index);
ACTC_WRITE(2, dx);

/* Windows o along one axis with 0 <= at - o * stride < taps: x to y - 1. */
uvec2 windows(uint at, uint taps, uint stride, uint extent)
{
    return uvec2(at < taps ? 0u : (at - taps) / stride + 1u, min(at / stride + 1u, extent));
}

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint c = i % p.channels, position = i / p.channels;
        uint ix = position % p.iw, row = position / p.iw, iy = row % p.ih, slice = row / p.ih;
        uint iz = slice % p.id, image = slice / p.id;
        uint az = iz + p.pd, ay = iy + p.ph, ax = ix + p.pw;
        uvec2 z = windows(az, p.kd, p.sd, p.od), y = windows(ay, p.kh, p.sh, p.oh), x = windows(ax, p.kw, p.sw, p.ow);
        float sum = 0.0;
        for (uint oz = z.x; oz < z.y; oz++)
            for (uint oy = y.x; oy < y.y; oy++)
                for (uint ox = x.x; ox < x.y; ox++) {
                    uint o = (((image * p.od + oz) * p.oh + oy) * p.ow + ox) * p.channels + c;
                    uint here = ((az - oz * p.sd) * p.kh + (ay - oy * p.sh)) * p.kw + (ax - ox * p.sw);
                    if ((index[o / 4u] >> (o % 4u * 8u) & 255u) == here)
                        sum = ACTC_ADD(sum, ACTC_LOAD(dy, o));
                }
        dx[i] = actc_canon_bits(sum);
    }
}
