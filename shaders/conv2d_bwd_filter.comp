/* conv2d_bwd_filter: the weight gradient of each chunk of ACTC_FILTER_PIXELS output pixels as an implicit matrix
 * product: m = output channel, n = (ky, kx, input channel), k = output pixel. */
#version 450
#include "common.glsl"

ACTC_READ(0, x);
ACTC_READ(1, dy);
ACTC_WRITE(2, partial);
#include "tile.glsl"

#define TILE_A_ALONG_K false
#define TILE_B_ALONG_K false

float load_a(uint m, uint k, uint k_end)
{
    return m < p.oc && k < k_end ? uintBitsToFloat(dy[k * p.oc + m]) : 0.0;
}

float load_b(uint k, uint n, uint k_end)
{
    uint ox = k % p.ow, oy = k / p.ow % p.oh, image = k / (p.ow * p.oh);
    uint i = n % p.ic, kx = n / p.ic % p.kw, ky = n / (p.ic * p.kw);
    uint iy = oy * p.sh + ky * p.dh - p.ph, ix = ox * p.sw + kx * p.dw - p.pw; /* outside: wraps to a large number */
    bool inside = ky < p.kh && k < k_end && iy < p.ih && ix < p.iw;
    return inside ? uintBitsToFloat(x[((image * p.ih + iy) * p.iw + ix) * p.ic + i]) : 0.0;
}

void actc_kernel(uint group, uint lane)
{
    uint pixels = p.batch * p.oh * p.ow, columns = p.kh * p.kw * p.ic;
    uint tiles_m = tile_count_m(p.oc), tiles_n = tile_count_n(columns), tiles = tiles_m * tiles_n;
    uint chunk = group / tiles, tile = group % tiles;
    uint m0 = tile / tiles_n * (16u * TM), n0 = tile % tiles_n * (16u * TN);
    uint begin = chunk * ACTC_FILTER_PIXELS, end = min(begin + ACTC_FILTER_PIXELS, pixels);
    TILE_PRODUCT(m0, n0, begin, end)
    TILE_FOR_OUTPUTS(m0, n0, p.oc, columns, m, n)
        partial[(chunk * p.oc + m) * columns + n] = actc_canon_bits(acc[i][j]);
}
