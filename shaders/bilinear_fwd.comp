/* bilinear_fwd: bilinear resampling of maps. */
#version 450
#include "common.glsl"
#include "exact/resize.h"

ACTC_READ(0, x);
ACTC_WRITE(1, y);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint c = i % p.channels, position = i / p.channels, ox = position % p.ow, line = position / p.ow;
        float source_y = actc_resize_source(line % p.oh, p.sy, p.corners), source_x = actc_resize_source(ox, p.sx, p.corners);
        uint y0 = actc_resize_first(source_y, p.ih), x0 = actc_resize_first(source_x, p.iw);
        float weight_y = actc_resize_weight(source_y, y0), weight_x = actc_resize_weight(source_x, x0);
        uint y1 = min(y0 + 1u, p.ih - 1u), x1 = min(x0 + 1u, p.iw - 1u), image = line / p.oh * p.ih;
        uint upper = (image + y0) * p.iw, lower = (image + y1) * p.iw;
        float a = ACTC_LOAD(x, (upper + x0) * p.channels + c), b = ACTC_LOAD(x, (upper + x1) * p.channels + c);
        float d = ACTC_LOAD(x, (lower + x0) * p.channels + c), e = ACTC_LOAD(x, (lower + x1) * p.channels + c);
        y[i] = actc_canon_bits(actc_resize_mix(actc_resize_mix(a, d, weight_y), actc_resize_mix(b, e, weight_y), weight_x));
    }
}
