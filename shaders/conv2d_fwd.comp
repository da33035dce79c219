/* conv2d_fwd: y = w * x [+ bias] as an implicit matrix product: m = output pixel, n = output channel,
 * k = (ky, kx, input channel). */
#version 450
#include "common.glsl"

ACTC_READ(0, x);
ACTC_READ(1, w);
ACTC_READ(2, bias);
ACTC_WRITE(3, y);
#include "tile.glsl"

#define TILE_A_ALONG_K true
#define TILE_B_ALONG_K true

float load_a(uint m, uint k, uint k_end)
{
    uint ox = m % p.ow, oy = m / p.ow % p.oh, image = m / (p.ow * p.oh);
    uint i = k % p.ic, kx = k / p.ic % p.kw, ky = k / (p.ic * p.kw);
    uint iy = oy * p.sh + ky * p.dh - p.ph, ix = ox * p.sw + kx * p.dw - p.pw; /* outside: wraps to a large number */
    bool inside = image < p.batch && k < k_end && iy < p.ih && ix < p.iw;
    return inside ? uintBitsToFloat(x[((image * p.ih + iy) * p.iw + ix) * p.ic + i]) : 0.0;
}

float load_b(uint k, uint n, uint k_end)
{
    return n < p.oc && k < k_end ? uintBitsToFloat(w[n * k_end + k]) : 0.0;
}

void actc_kernel(uint group, uint lane)
{
    uint pixels = p.batch * p.oh * p.ow, depth = p.kh * p.kw * p.ic;
    uint tiles_n = tile_count_n(p.oc);
    uint m0 = group / tiles_n * (16u * TM), n0 = group % tiles_n * (16u * TN);
    TILE_PRODUCT(m0, n0, 0u, depth)
    TILE_FOR_OUTPUTS(m0, n0, pixels, p.oc, m, n)
    {
        float s = acc[i][j];
        if (p.bias != 0u)
            s = ACTC_ADD(s, ACTC_LOAD(bias, n));
        y[m * p.oc + n] = actc_canon_bits(s);
    }
}
