/* avg_pool_fwd: the mean of each window. */
#version 450
#include "common.glsl"
#include "exact/pool.h"

ACTC_READ(0, x);
ACTC_WRITE(1, y);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint c = i % p.channels, position = i / p.channels;
        uint ox = position % p.ow, rest = position / p.ow, oy = rest % p.oh, slice = rest / p.oh;
        actc_range wz = actc_pool_window(slice % p.od, p.id, p.od, p.kd, p.sd, p.pd, p.adaptive);
        actc_range wy = actc_pool_window(oy, p.ih, p.oh, p.kh, p.sh, p.ph, p.adaptive);
        actc_range wx = actc_pool_window(ox, p.iw, p.ow, p.kw, p.sw, p.pw, p.adaptive);
        uint image = slice / p.od * p.id;
        float sum = 0.0;
        for (uint iz = wz.first; iz < wz.last; iz++)
            for (uint iy = wy.first; iy < wy.last; iy++) {
                uint at = (((image + iz) * p.ih + iy) * p.iw + wx.first) * p.channels + c;
                float row = 0.0;
                for (uint ix = wx.first; ix < wx.last; ix++, at += p.channels)
                    row = ACTC_ADD(row, ACTC_LOAD(x, at));
                sum = ACTC_ADD(sum, row);
            }
        uint positions = (wz.last - wz.first) * (wy.last - wy.first) * (wx.last - wx.first);
        y[i] = actc_canon_bits(ACTC_MUL(sum, actc_pool_factor(p.scale, positions)));
    }
}
