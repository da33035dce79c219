/* conv2d_bwd_data: dx as a product: m = input pixel, n = input channel, k = (ky, kx, output channel). */
#version 450
#include "common.glsl"

ACTC_READ(0, a_view); /* dy */
ACTC_READ(1, b_view); /* w */
ACTC_WRITE(2, dx);

#define TILE_A_ALONG_K true
#define TILE_B_ALONG_K false
#define TILE_A_STEP 1u
#define TILE_B_STEP (p.kh * p.kw * p.ic)
#define TILE_RUN(k) (p.oc - k % p.oc)

uvec4 row_at(uint m)
{
    uint ix = m % p.iw, iy = m / p.iw % p.ih, image = m / (p.iw * p.ih);
    return uvec4(image * p.oh, iy + p.ph, ix + p.pw, image < p.batch ? 1u : 0u);
}

uvec4 col_at(uint n)
{
    return uvec4(n, 0u, 0u, n < p.ic ? 1u : 0u);
}

uvec4 depth_at(uint k)
{
    uint o = k % p.oc, tap = k / p.oc;
    return uvec4(o, tap / p.kw * p.dh, tap % p.kw * p.dw, (o * p.kh * p.kw + tap) * p.ic);
}

/* oy = (iy + ph - ky*dh) / sh where that is whole and inside; below 0 it wraps, and is not below oh. */
bool a_at(uvec4 row, uvec4 depth, out uint index)
{
    uint ty = row.y - depth.y, tx = row.z - depth.z, oy = ty, ox = tx;
    if (p.sh != 1u)
        oy = ty / p.sh;
    if (p.sw != 1u)
        ox = tx / p.sw;
    index = ((row.x + oy) * p.ow + ox) * p.oc + depth.x;
    return oy * p.sh == ty && ox * p.sw == tx && oy < p.oh && ox < p.ow;
}

bool b_at(uvec4 depth, uvec4 col, out uint index)
{
    index = col.x + depth.w;
    return true;
}

void tile_store(uint m, uint n, float s)
{
    dx[m * p.ic + n] = actc_canon_bits(s);
}

#include "tile.glsl"

void actc_kernel(uint group, uint lane)
{
    uint pixels = p.batch * p.ih * p.iw, depth = p.kh * p.kw * p.oc;
    TILE_RUN_KERNEL(pixels, p.ic, 1u, 0u, depth)
}
