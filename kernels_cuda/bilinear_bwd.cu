/* bilinear_bwd.cu: each input element gathers the gradients of the outputs that have something of it. */
#include "index.cuh"
#include "exact/resize.h"

/* Outputs that have something of input i: x to y - 1. */
static __device__ __forceinline__ uint2 outputs_of(uint i, float scale, uint corners, uint inputs, uint outputs)
{
    return make_uint2(i > 0u ? actc_resize_begin(i - 1u, scale, corners, inputs, outputs) : 0u,
                      actc_resize_begin(i + 1u, scale, corners, inputs, outputs));
}

ACTC_CUDA_KERNEL(bilinear_bwd, const float *dy, float *dx)
{
    ACTC_GROUP(group);
    const actc_divisor by_channels = actc_divide_by(p.channels), by_iw = actc_divide_by(p.iw), by_ih = actc_divide_by(p.ih);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        uint c = i;
        uint ix = actc_div_rem(c, by_channels), iy = actc_div_rem(ix, by_iw);
        const float *const image = dy + actc_div_rem(iy, by_ih) * p.oh * p.ow * p.channels + c;
        const uint2 rows = outputs_of(iy, p.sy, p.corners, p.ih, p.oh), columns = outputs_of(ix, p.sx, p.corners, p.iw, p.ow);
        float sum = 0.0f;
        for (uint ox = columns.x; ox < columns.y; ox++) {
            float inner = 0.0f;
            for (uint oy = rows.x; oy < rows.y; oy++) {
                const float share = actc_resize_share(oy, iy, p.sy, p.corners, p.ih);
                inner = ACTC_ADD(inner, ACTC_MUL(share, actc_flush(image[(oy * p.ow + ox) * p.channels])));
            }
            sum = ACTC_ADD(sum, ACTC_MUL(actc_resize_share(ox, ix, p.sx, p.corners, p.iw), actc_flush(inner)));
        }
        dx[i] = actc_canon(sum);
    }
}
