/* conv_fwd: y = w * x [+ bias] as a product: m = output pixel, n = output channel, k = (kz, ky, kx, input channel). */
#version 450
#include "common.glsl"
#include "place.glsl"

ACTC_READ(0, a_view); /* x */
ACTC_READ(1, b_view); /* w */
ACTC_READ(2, bias);
ACTC_WRITE(3, y);

#define TILE_A_ALONG_K true
#define TILE_B_ALONG_K true
#define TILE_A_STEP 1u
#define TILE_B_STEP 1u
#define TILE_RUN(k) (p.ic - k % p.ic)

/* Index and position of the window's corner. What lies before the image wraps to large numbers. */
tile_place row_at(uint m)
{
    uint ox = m % p.ow, row = m / p.ow, oy = row % p.oh, plane = row / p.oh, oz = plane % p.od, n = plane / p.od;
    uint iz = oz * p.sd - p.pd, iy = oy * p.sh - p.ph, ix = ox * p.sw - p.pw;
    return tile_place((((n * p.id + iz) * p.ih + iy) * p.iw + ix) * p.ic, iz, iy, ix, 0u, n < p.batch ? 1u : 0u);
}

tile_place col_at(uint n)
{
    return tile_place(n * p.kd * p.kh * p.kw * p.ic, 0u, 0u, 0u, 0u, n < p.oc ? 1u : 0u);
}

/* Index and position of the tap in a window; other: k. */
tile_place depth_at(uint k)
{
    uint i = k % p.ic, tap = k / p.ic, line = tap / p.kw;
    uint dz = line / p.kh * p.dd, dy = line % p.kh * p.dh, dx = tap % p.kw * p.dw;
    return tile_place(((dz * p.ih + dy) * p.iw + dx) * p.ic + i, dz, dy, dx, k, 1u);
}

bool a_at(tile_place row, tile_place depth, out uint index)
{
    index = row.index + depth.index;
    return row.z + depth.z < p.id && row.y + depth.y < p.ih && row.x + depth.x < p.iw;
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
    y[m * p.oc + n] = actc_canon_bits(s);
}

#include "tile.glsl"

void actc_kernel(uint group, uint lane)
{
    uint pixels = p.batch * p.od * p.oh * p.ow, depth = p.kd * p.kh * p.kw * p.ic;
    TILE_FIND(pixels, p.oc)
    if (copy < 1u)
        TILE_FOUND_PRODUCT(pixels, p.oc, 0u, depth)
}
