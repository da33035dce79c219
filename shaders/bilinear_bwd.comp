/* bilinear_bwd: dx = the sum of dy over the outputs that have something of it. */
#version 450
#include "common.glsl"
#include "exact/resize.h"

ACTC_READ(0, dy);
ACTC_WRITE(1, dx);

/* Outputs that have something of input i: x to y - 1. */
uvec2 outputs_of(uint i, float scale, uint inputs, uint outputs)
{
    uint first = 0u;
    if (i > 0u)
        first = actc_resize_begin(i - 1u, scale, p.corners, inputs, outputs);
    return uvec2(first, actc_resize_begin(i + 1u, scale, p.corners, inputs, outputs));
}

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint c = i % p.channels, position = i / p.channels, ix = position % p.iw, line = position / p.iw, iy = line % p.ih;
        uvec2 rows = outputs_of(iy, p.sy, p.ih, p.oh), columns = outputs_of(ix, p.sx, p.iw, p.ow);
        float sum = 0.0;
        for (uint ox = columns.x; ox < columns.y; ox++) {
            float inner = 0.0;
            for (uint oy = rows.x; oy < rows.y; oy++) {
                uint at = ((line / p.ih * p.oh + oy) * p.ow + ox) * p.channels + c;
                inner = ACTC_ADD(inner, ACTC_MUL(actc_resize_share(oy, iy, p.sy, p.corners, p.ih), ACTC_LOAD(dy, at)));
            }
            sum = ACTC_ADD(sum, ACTC_MUL(actc_resize_share(ox, ix, p.sx, p.corners, p.iw), actc_flush(inner)));
        }
        dx[i] = actc_canon_bits(sum);
    }
}
