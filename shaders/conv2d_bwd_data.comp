/* conv2d_bwd_data: dx as an implicit matrix product: m = input pixel, n = input channel, k = (ky, kx, output channel). */
#version 450
#include "common.glsl"

ACTC_READ(0, dy);
ACTC_READ(1, w);
ACTC_WRITE(2, dx);
#include "tile.glsl"

#define TILE_A_ALONG_K true
#define TILE_B_ALONG_K false

float load_a(uint m, uint k, uint k_end)
{
    uint ix = m % p.iw, iy = m / p.iw % p.ih, image = m / (p.iw * p.ih);
    uint o = k % p.oc, kx = k / p.oc % p.kw, ky = k / (p.oc * p.kw);
    uint ty = iy + p.ph - ky * p.dh, tx = ix + p.pw - kx * p.dw; /* below 0: wraps, and ty / sh is not below oh */
    uint oy = ty / p.sh, ox = tx / p.sw;
    bool inside = image < p.batch && k < k_end && oy * p.sh == ty && ox * p.sw == tx && oy < p.oh && ox < p.ow;
    return inside ? uintBitsToFloat(dy[((image * p.oh + oy) * p.ow + ox) * p.oc + o]) : 0.0;
}

float load_b(uint k, uint n, uint k_end)
{
    uint o = k % p.oc, tap = k / p.oc;
    return n < p.ic && k < k_end ? uintBitsToFloat(w[(o * p.kh * p.kw + tap) * p.ic + n]) : 0.0;
}

void actc_kernel(uint group, uint lane)
{
    uint pixels = p.batch * p.ih * p.iw, depth = p.kh * p.kw * p.oc;
    uint tiles_n = tile_count_n(p.ic);
    uint m0 = group / tiles_n * (16u * TM), n0 = group % tiles_n * (16u * TN);
    TILE_PRODUCT(m0, n0, 0u, depth)
    TILE_FOR_OUTPUTS(m0, n0, pixels, p.ic, m, n)
        dx[m * p.ic + n] = actc_canon_bits(acc[i][j]);
}
