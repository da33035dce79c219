/* bilinear_fwd.cu: bilinear resampling of maps. */
#include "index.cuh"
#include "exact/resize.h"

ACTC_CUDA_KERNEL(bilinear_fwd, const float *x, float *y)
{
    ACTC_GROUP(group);
    const actc_divisor by_channels = actc_divide_by(p.channels), by_ow = actc_divide_by(p.ow), by_oh = actc_divide_by(p.oh);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        uint c = i;
        uint ox = actc_div_rem(c, by_channels), oy = actc_div_rem(ox, by_ow);
        const uint image = actc_div_rem(oy, by_oh) * p.ih;
        const float source_y = actc_resize_source(oy, p.sy, p.corners), source_x = actc_resize_source(ox, p.sx, p.corners);
        const uint y0 = actc_resize_first(source_y, p.ih), x0 = actc_resize_first(source_x, p.iw);
        const float weight_y = actc_resize_weight(source_y, y0), weight_x = actc_resize_weight(source_x, x0);
        const uint y1 = min(y0 + 1u, p.ih - 1u), x1 = min(x0 + 1u, p.iw - 1u);
        const float *const upper = x + (image + y0) * p.iw * p.channels + c;
        const float *const lower = x + (image + y1) * p.iw * p.channels + c;
        const float a = actc_flush(upper[x0 * p.channels]), b = actc_flush(upper[x1 * p.channels]);
        const float d = actc_flush(lower[x0 * p.channels]), e = actc_flush(lower[x1 * p.channels]);
        y[i] = actc_canon(actc_resize_mix(actc_resize_mix(a, d, weight_y), actc_resize_mix(b, e, weight_y), weight_x));
    }
}
