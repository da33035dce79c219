/* gemm: c = op(a) op(b) [+ bias] [+ c]. */
#version 450
#include "common.glsl"

ACTC_READ(0, a_view);
ACTC_READ(1, b_view);
ACTC_READ(2, bias);
ACTC_WRITE(3, c_view);
#include "tile.glsl"

#define TILE_A_ALONG_K (p.trans_a == 0u)
#define TILE_B_ALONG_K (p.trans_b != 0u)

float load_a(uint m, uint k, uint k_end)
{
    uint at = p.trans_a != 0u ? k * p.m + m : m * p.k + k;
    return m < p.m && k < k_end ? uintBitsToFloat(a_view[at]) : 0.0;
}

float load_b(uint k, uint n, uint k_end)
{
    uint at = p.trans_b != 0u ? n * p.k + k : k * p.n + n;
    return n < p.n && k < k_end ? uintBitsToFloat(b_view[at]) : 0.0;
}

void actc_kernel(uint group, uint lane)
{
    uint tiles_n = tile_count_n(p.n);
    uint m0 = group / tiles_n * (16u * TM), n0 = group % tiles_n * (16u * TN);
    TILE_PRODUCT(m0, n0, 0u, p.k)
    TILE_FOR_OUTPUTS(m0, n0, p.m, p.n, m, n)
    {
        float s = acc[i][j];
        if (p.bias != 0u)
            s = ACTC_ADD(s, ACTC_LOAD(bias, n));
        if (p.add != 0u)
            s = ACTC_ADD(s, ACTC_LOAD(c_view, m * p.n + n));
        c_view[m * p.n + n] = actc_canon_bits(s);
    }
}
