/* max_pool2d_bwd: dx = the sum of dy over the windows whose winner was here. */
#version 450
#include "common.glsl"

ACTC_READ(0, dy);
ACTC_READ(1, index);
ACTC_WRITE(2, dx);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint c = i % p.channels, pixel = i / p.channels;
        uint ix = pixel % p.iw, iy = pixel / p.iw % p.ih, image = pixel / (p.iw * p.ih);
        /* Windows oy with 0 <= iy + ph - oy * sh < kh, ascending. */
        uint ay = iy + p.ph, ax = ix + p.pw;
        uint oy_begin = ay < p.kh ? 0u : (ay - p.kh) / p.sh + 1u, oy_end = min(ay / p.sh + 1u, p.oh);
        uint ox_begin = ax < p.kw ? 0u : (ax - p.kw) / p.sw + 1u, ox_end = min(ax / p.sw + 1u, p.ow);
        float sum = 0.0;
        for (uint oy = oy_begin; oy < oy_end; oy++)
            for (uint ox = ox_begin; ox < ox_end; ox++) {
                uint o = ((image * p.oh + oy) * p.ow + ox) * p.channels + c;
                uint here = (ay - oy * p.sh) * p.kw + (ax - ox * p.sw);
                if ((index[o / 4u] >> (o % 4u * 8u) & 255u) == here)
                    sum = ACTC_ADD(sum, ACTC_LOAD(dy, o));
            }
        dx[i] = actc_canon_bits(sum);
    }
}
