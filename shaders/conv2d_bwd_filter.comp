/* conv2d_bwd_filter: the weight gradient of each chunk of ACTC_FILTER_PIXELS output pixels as a product:
 * m = output channel, n = (ky, kx, input channel), k = output pixel. */
#version 450
#include "common.glsl"

ACTC_READ(0, b_view); /* x */
ACTC_READ(1, a_view); /* dy */
ACTC_WRITE(2, partial);

#define TILE_A_ALONG_K false
#define TILE_B_ALONG_K false
#define TILE_A_STEP p.oc
#define TILE_B_STEP (p.sw * p.ic)
#define TILE_RUN(k) (p.ow - k % p.ow)
/* Along a row of pixels the window may leave the image. */
#define TILE_B_X(depth, col) (depth.z + col.z)
#define TILE_B_X_STEP p.sw
#define TILE_B_X_END p.iw

uvec4 row_at(uint m)
{
    return uvec4(m, 0u, 0u, m < p.oc ? 1u : 0u);
}

/* x: index of the tap in a window; y, z: its position there. */
uvec4 col_at(uint n)
{
    uint i = n % p.ic, tap = n / p.ic, dy = tap / p.kw * p.dh, dx = tap % p.kw * p.dw;
    return uvec4((dy * p.iw + dx) * p.ic + i, dy, dx, tap < p.kh * p.kw ? 1u : 0u);
}

/* x: index of the window's corner; y, z: its position. What lies above or left of the image wraps to large numbers. */
uvec4 depth_at(uint k)
{
    uint ox = k % p.ow, oy = k / p.ow % p.oh, image = k / (p.ow * p.oh);
    uint iy = oy * p.sh - p.ph, ix = ox * p.sw - p.pw;
    return uvec4(((image * p.ih + iy) * p.iw + ix) * p.ic, iy, ix, k * p.oc);
}

bool a_at(uvec4 row, uvec4 depth, out uint index)
{
    index = row.x + depth.w;
    return true;
}

bool b_at(uvec4 depth, uvec4 col, out uint index)
{
    index = depth.x + col.x;
    return depth.y + col.y < p.ih;
}

uint chunk_of_tile;

void tile_store(uint m, uint n, float s)
{
    partial[(chunk_of_tile * p.oc + m) * (p.kh * p.kw * p.ic) + n] = actc_canon_bits(s);
}

#include "tile.glsl"

void actc_kernel(uint group, uint lane)
{
    uint pixels = p.batch * p.oh * p.ow, columns = p.kh * p.kw * p.ic;
    uint chunks = (pixels + ACTC_FILTER_PIXELS - 1u) / ACTC_FILTER_PIXELS;
    TILE_RUN_KERNEL(p.oc, columns, chunks, (chunk_of_tile = copy) * ACTC_FILTER_PIXELS,
                    min((copy + 1u) * ACTC_FILTER_PIXELS, pixels))
}
