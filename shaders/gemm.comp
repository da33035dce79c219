/* gemm: c = op(a) op(b) [+ bias] [+ c]. */
#version 450
#include "common.glsl"

ACTC_READ(0, a_view);
ACTC_READ(1, b_view);
ACTC_READ(2, bias);
ACTC_WRITE(3, c_view);

#define TILE_A_ALONG_K (p.trans_a == 0u)
#define TILE_B_ALONG_K (p.trans_b != 0u)
#define TILE_A_STEP (p.trans_a != 0u ? p.m : 1u)
#define TILE_B_STEP (p.trans_b != 0u ? 1u : p.n)
#define TILE_RUN(at) p.k

uvec4 row_at(uint m)
{
    return uvec4(m * (p.trans_a != 0u ? 1u : p.k), 0u, 0u, m < p.m ? 1u : 0u);
}

uvec4 col_at(uint n)
{
    return uvec4(n * (p.trans_b != 0u ? p.k : 1u), 0u, 0u, n < p.n ? 1u : 0u);
}

uvec4 depth_at(uint k)
{
    return uvec4(k * TILE_A_STEP, k * TILE_B_STEP, 0u, 0u);
}

bool a_at(uvec4 row, uvec4 depth, out uint index)
{
    index = row.x + depth.x;
    return true;
}

bool b_at(uvec4 depth, uvec4 col, out uint index)
{
    index = col.x + depth.y;
    return true;
}

void tile_store(uint m, uint n, float s)
{
    if (p.bias != 0u)
        s = ACTC_ADD(s, ACTC_LOAD(bias, n));
    if (p.add != 0u)
        s = ACTC_ADD(s, ACTC_LOAD(c_view, m * p.n + n));
    c_view[m * p.n + n] = actc_canon_bits(s);
}

#include "tile.glsl"

void actc_kernel(uint group, uint lane)
{
    TILE_RUN_KERNEL(p.m, p.n, 1u, 0u, p.k)
}
