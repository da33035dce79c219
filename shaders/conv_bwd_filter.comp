/* conv_bwd_filter: the weight gradient of each chunk of output pixels as a product, a run of ACTC_FILTER_PIXELS at a time:
 * m = output channel, n = (kz, ky, kx, input channel), k = output pixel. */
#version 450
#include "common.glsl"
#include "place.glsl"

ACTC_READ(0, b_view); /* x */
ACTC_READ(1, a_view); /* dy */
ACTC_WRITE(2, partial);

#define TILE_A_ALONG_K false
#define TILE_B_ALONG_K false
#define TILE_A_STEP p.oc
#define TILE_B_STEP (p.sw * p.ic)
#define TILE_RUN(k) (p.ow - k % p.ow)
/* Along a row of pixels the window may leave the image. */
#define TILE_B_X(depth, col) (depth.x + col.x)
#define TILE_B_X_STEP p.sw
#define TILE_B_X_END p.iw

tile_place row_at(uint m)
{
    return tile_place(m, 0u, 0u, 0u, 0u, m < p.oc ? 1u : 0u);
}

/* Index and position of the tap in a window. */
tile_place col_at(uint n)
{
    uint i = n % p.ic, tap = n / p.ic, line = tap / p.kw;
    uint dz = line / p.kh * p.dd, dy = line % p.kh * p.dh, dx = tap % p.kw * p.dw;
    return tile_place(((dz * p.ih + dy) * p.iw + dx) * p.ic + i, dz, dy, dx, 0u, line < p.kd * p.kh ? 1u : 0u);
}

/* Index and position of the window's corner; other: index in dy. What lies before the image wraps to large numbers. */
tile_place depth_at(uint k)
{
    uint ox = k % p.ow, row = k / p.ow, oy = row % p.oh, plane = row / p.oh, oz = plane % p.od, n = plane / p.od;
    uint iz = oz * p.sd - p.pd, iy = oy * p.sh - p.ph, ix = ox * p.sw - p.pw;
    return tile_place((((n * p.id + iz) * p.ih + iy) * p.iw + ix) * p.ic, iz, iy, ix, k * p.oc, 1u);
}

bool a_at(tile_place row, tile_place depth, out uint index)
{
    index = row.index + depth.other;
    return true;
}

bool b_at(tile_place depth, tile_place col, out uint index)
{
    index = depth.index + col.index;
    return depth.z + col.z < p.id && depth.y + col.y < p.ih;
}

uint chunk_of_tile;
bool first_run;

void tile_store(uint m, uint n, float s)
{
    uint at = (chunk_of_tile * p.oc + m) * (p.kd * p.kh * p.kw * p.ic) + n, bits = actc_canon_bits(s);
    if (!first_run)
        bits = actc_canon_bits(ACTC_ADD(uintBitsToFloat(partial[at]), uintBitsToFloat(bits)));
    partial[at] = bits;
}

#include "tile.glsl"

void actc_kernel(uint group, uint lane)
{
    uint pixels = p.batch * p.od * p.oh * p.ow, columns = p.kd * p.kh * p.kw * p.ic;
    TILE_FIND(p.oc, columns)
    uint runs = (pixels + ACTC_FILTER_PIXELS - 1u) / ACTC_FILTER_PIXELS;
    chunk_of_tile = copy;
    for (uint run = 0u; run < p.runs && copy < (runs + p.runs - 1u) / p.runs; run++) {
        uint k = (copy * p.runs + run) * ACTC_FILTER_PIXELS;
        first_run = run == 0u;
        if (k < pixels)
            TILE_FOUND_PRODUCT(p.oc, columns, k, min(k + ACTC_FILTER_PIXELS, pixels))
    }
}
