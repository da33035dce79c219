/* conv2d_fwd: y = w * x [+ bias] as a product: m = output pixel, n = output channel, k = (ky, kx, input channel). */
#version 450
#include "common.glsl"

ACTC_READ(0, a_view); /* x */
ACTC_READ(1, b_view); /* w */
ACTC_READ(2, bias);
ACTC_WRITE(3, y);

#define TILE_A_ALONG_K true
#define TILE_B_ALONG_K true
#define TILE_A_STEP 1u
#define TILE_B_STEP 1u
#define TILE_RUN(k) (p.ic - k % p.ic)

/* x: index of the window's corner; y, z: its position. What lies above or left of the image wraps to large numbers. */
uvec4 row_at(uint m)
{
    uint ox = m % p.ow, oy = m / p.ow % p.oh, image = m / (p.ow * p.oh);
    uint iy = oy * p.sh - p.ph, ix = ox * p.sw - p.pw;
    return uvec4(((image * p.ih + iy) * p.iw + ix) * p.ic, iy, ix, image < p.batch ? 1u : 0u);
}

uvec4 col_at(uint n)
{
    return uvec4(n * p.kh * p.kw * p.ic, 0u, 0u, n < p.oc ? 1u : 0u);
}

uvec4 depth_at(uint k)
{
    uint i = k % p.ic, tap = k / p.ic, dy = tap / p.kw * p.dh, dx = tap % p.kw * p.dw;
    return uvec4((dy * p.iw + dx) * p.ic + i, dy, dx, k);
}

bool a_at(uvec4 row, uvec4 depth, out uint index)
{
    index = row.x + depth.x;
    return row.y + depth.y < p.ih && row.z + depth.z < p.iw;
}

bool b_at(uvec4 depth, uvec4 col, out uint index)
{
    index = col.x + depth.w;
    return true;
}

void tile_store(uint m, uint n, float s)
{
    if (p.bias != 0u)
        s = ACTC_ADD(s, ACTC_LOAD(bias, n));
    y[m * p.oc + n] = actc_canon_bits(s);
}

#include "tile.glsl"

void actc_kernel(uint group, uint lane)
{
    uint pixels = p.batch * p.oh * p.ow, depth = p.kh * p.kw * p.ic;
    TILE_RUN_KERNEL(pixels, p.oc, 1u, 0u, depth)
}
