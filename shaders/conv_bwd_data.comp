/* conv_bwd_data: dx [+ bias] as a product: m = input pixel, n = input channel, k = (kz, ky, kx, output channel). */
#version 450
#include "common.glsl"
#include "place.glsl"

ACTC_READ(0, a_view); /* dy */
ACTC_READ(1, b_view); /* w */
ACTC_READ(2, bias);
ACTC_WRITE(3, dx);

#define TILE_A_ALONG_K true
#define TILE_B_ALONG_K false
#define TILE_A_STEP 1u
#define TILE_B_STEP (p.kd * p.kh * p.kw * p.ic)
#define TILE_RUN(k) (p.oc - k % p.oc)

/* index: of the first plane of the sample's output; the position is that of the pixel, counted from the padding on. */
tile_place row_at(uint m)
{
    uint ix = m % p.iw, row = m / p.iw, iy = row % p.ih, plane = row / p.ih, iz = plane % p.id, n = plane / p.id;
    return tile_place(n * p.od, iz + p.pd, iy + p.ph, ix + p.pw, 0u, n < p.batch ? 1u : 0u);
}

tile_place col_at(uint n)
{
    return tile_place(n, 0u, 0u, 0u, 0u, n < p.ic ? 1u : 0u);
}

/* index: the output channel; position of the tap; other: index in w. */
tile_place depth_at(uint k)
{
    uint o = k % p.oc, tap = k / p.oc, line = tap / p.kw;
    return tile_place(o, line / p.kh * p.dd, line % p.kh * p.dh, tap % p.kw * p.dw, (o * p.kd * p.kh * p.kw + tap) * p.ic, 1u);
}

/* oy = (iy + ph - ky*dh) / sh where that is whole and inside; below 0 it wraps, and is not below oh. */
bool a_at(tile_place row, tile_place depth, out uint index)
{
    uint tz = row.z - depth.z, ty = row.y - depth.y, tx = row.x - depth.x, oz = tz, oy = ty, ox = tx;
    if (p.sd != 1u)
        oz = tz / p.sd;
    if (p.sh != 1u)
        oy = ty / p.sh;
    if (p.sw != 1u)
        ox = tx / p.sw;
    index = (((row.index + oz) * p.oh + oy) * p.ow + ox) * p.oc + depth.index;
    return oz * p.sd == tz && oy * p.sh == ty && ox * p.sw == tx && oz < p.od && oy < p.oh && ox < p.ow;
}

bool b_at(tile_place depth, tile_place col, out uint index)
{
    index = col.index + depth.other;
    return true;
}

void tile_store(uint m, uint n, float s)
{
    if (p.bias != 0u)
        s = ACTC_ADD(s, ACTC_LOAD(bias, n));
    dx[m * p.ic + n] = actc_canon_bits(s);
}

#include "tile.glsl"

void actc_kernel(uint group, uint lane)
{
    uint pixels = p.batch * p.id * p.ih * p.iw, depth = p.kd * p.kh * p.kw * p.oc;
    TILE_FIND(pixels, p.ic)
    if (copy < 1u)
        TILE_FOUND_PRODUCT(pixels, p.ic, 0u, depth)
}
