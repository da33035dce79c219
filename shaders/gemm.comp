/* gemm: c = alpha op(a) op(b) [+ bias] [+ c], of a batch. */
#version 450
#include "common.glsl"
#include "place.glsl"

ACTC_READ(0, a_view);
ACTC_READ(1, b_view);
ACTC_READ(2, bias);
ACTC_WRITE(3, c_view);

#define TILE_A_ALONG_K (p.trans_a == 0u)
#define TILE_B_ALONG_K (p.trans_b != 0u)
#define TILE_A_STEP (p.trans_a != 0u ? p.lda : 1u)
#define TILE_B_STEP (p.trans_b != 0u ? 1u : p.ldb)
#define TILE_RUN(at) p.k

uint matrix; /* of this tile */

tile_place row_at(uint m)
{
    return tile_place(matrix * p.stride_a + m * (p.trans_a != 0u ? 1u : p.lda), 0u, 0u, 0u, 0u, m < p.m ? 1u : 0u);
}

tile_place col_at(uint n)
{
    return tile_place(matrix * p.stride_b + n * (p.trans_b != 0u ? p.ldb : 1u), 0u, 0u, 0u, 0u, n < p.n ? 1u : 0u);
}

/* index in a, other in b */
tile_place depth_at(uint k)
{
    return tile_place(k * TILE_A_STEP, 0u, 0u, 0u, k * TILE_B_STEP, 1u);
}

bool a_at(tile_place row, tile_place depth, out uint index)
{
    index = row.index + depth.index;
    return true;
}

bool b_at(tile_place depth, tile_place col, out uint index)
{
    index = col.index + depth.other;
    return true;
}

void tile_store(uint m, uint n, float s)
{
    uint at = matrix * p.stride_c + m * p.ldc + n;
    s = ACTC_MUL(s, p.alpha);
    if (p.bias != 0u)
        s = ACTC_ADD(s, ACTC_LOAD(bias, n));
    if (p.add != 0u)
        s = ACTC_ADD(s, ACTC_LOAD(c_view, at));
    c_view[at] = actc_canon_bits(s);
}

#include "tile.glsl"

void actc_kernel(uint group, uint lane)
{
    TILE_FIND(p.m, p.n)
    matrix = copy;
    if (copy < p.batch)
        TILE_FOUND_PRODUCT(p.m, p.n, 0u, p.k)
}
