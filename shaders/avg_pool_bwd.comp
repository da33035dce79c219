/* avg_pool_bwd: dx = the sum, over the windows that hold the position, of its part of dy. */
#version 450
#include "common.glsl"
#include "exact/pool.h"

ACTC_READ(0, dy);
ACTC_WRITE(1, dx);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint c = i % p.channels, position = i / p.channels;
        uint ix = position % p.iw, rest = position / p.iw, iy = rest % p.ih, slice = rest / p.ih;
        actc_range hz = actc_pool_holders(slice % p.id, p.id, p.od, p.kd, p.sd, p.pd, p.adaptive);
        actc_range hy = actc_pool_holders(iy, p.ih, p.oh, p.kh, p.sh, p.ph, p.adaptive);
        actc_range hx = actc_pool_holders(ix, p.iw, p.ow, p.kw, p.sw, p.pw, p.adaptive);
        uint image = slice / p.id * p.od;
        float sum = 0.0, factor = p.scale;
        for (uint oz = hz.first; oz < hz.last; oz++)
            for (uint oy = hy.first; oy < hy.last; oy++)
                for (uint ox = hx.first; ox < hx.last; ox++) {
                    uint o = (((image + oz) * p.oh + oy) * p.ow + ox) * p.channels + c;
                    if (p.scale == 0.0) {
                        actc_range wz = actc_pool_window(oz, p.id, p.od, p.kd, p.sd, p.pd, p.adaptive);
                        actc_range wy = actc_pool_window(oy, p.ih, p.oh, p.kh, p.sh, p.ph, p.adaptive);
                        actc_range wx = actc_pool_window(ox, p.iw, p.ow, p.kw, p.sw, p.pw, p.adaptive);
                        factor = actc_pool_factor(0.0, (wz.last - wz.first) * (wy.last - wy.first) * (wx.last - wx.first));
                    }
                    sum = ACTC_ADD(sum, ACTC_MUL(ACTC_LOAD(dy, o), factor));
                }
        dx[i] = actc_canon_bits(sum);
    }
}
