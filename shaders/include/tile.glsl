/* tile.glsl: one tile of a matrix product through shared memory, for gemm and the convolutions.
 *
 * The tile is 16*TM x 16*TN outputs of an M x N product; each invocation holds TM x TN of them, 16 apart in both
 * directions, and the depth goes through shared memory TILE_K at a time. Every output adds its products in ascending k
 * whatever the tile's size and wherever it lies, so the size may be chosen for speed: the bits stay the same.
 * ACTC_EXACT_VARIANT: two roundings a product, factors through actc_factor. Otherwise fma().
 *
 * A kernel gives load_a(m, k) and load_b(k, n), which return +0 outside, the order in which it wants to load
 * (TILE_A_ALONG_K, TILE_B_ALONG_K: neighbouring invocations take neighbouring k, else neighbouring m or n), then calls
 * TILE_PRODUCT, and stores acc[i][j] at (tile_m + 16*i, tile_n + 16*j).
 */
#ifndef ACTC_TILE_GLSL
#define ACTC_TILE_GLSL

#extension GL_EXT_control_flow_attributes : require

/* Chosen by the backend when the pipeline is made: 1, 2 or 4. */
layout(constant_id = 0) const uint TM = 4u;
layout(constant_id = 1) const uint TN = 4u;

const uint TILE_K = 16u;
/* One column more than a tile has, so that loading along k does not hit one bank of shared memory only. */
const uint TILE_STRIDE = 65u;

shared float tile_a[TILE_K * TILE_STRIDE];
shared float tile_b[TILE_K * TILE_STRIDE];

#if defined(ACTC_EXACT_VARIANT)
#define TILE_FACTOR(x) actc_factor(x)
#define TILE_ADD_PRODUCT(s, a, b) s = ACTC_ADD(s, ACTC_MUL(a, b))
#else
#define TILE_FACTOR(x) (x)
#define TILE_ADD_PRODUCT(s, a, b) s = fma(a, b, s)
#endif

/* Tiles in each direction of an m x n product. */
uint tile_count_m(uint m)
{
    return (m + 16u * TM - 1u) / (16u * TM);
}

uint tile_count_n(uint n)
{
    return (n + 16u * TN - 1u) / (16u * TN);
}

/* Element e of a tile `width` wide is (k, x). */
#define TILE_SPLIT(e, width, along_k, k, x)    \
    uint k = along_k ? e % TILE_K : e / width; \
    uint x = along_k ? e / TILE_K : e % width

/* m0, n0: first output of the tile. k_begin, k_end: what is added. Uses `lane`; declares acc. */
#define TILE_PRODUCT(m0, n0, k_begin, k_end)                                             \
    float acc[4][4];                                                                     \
    [[unroll]] for (uint i = 0u; i < 4u; i++)                                            \
        [[unroll]] for (uint j = 0u; j < 4u; j++)                                        \
            acc[i][j] = 0.0;                                                             \
    for (uint k0 = k_begin; k0 < k_end; k0 += TILE_K) {                                  \
        [[unroll]] for (uint r = 0u; r < TM; r++) {                                      \
            uint e = lane + r * ACTC_GROUP_SIZE;                                         \
            TILE_SPLIT(e, (16u * TM), TILE_A_ALONG_K, k, x);                             \
            tile_a[k * TILE_STRIDE + x] = TILE_FACTOR(load_a(m0 + x, k0 + k, k_end));    \
        }                                                                                \
        [[unroll]] for (uint r = 0u; r < TN; r++) {                                      \
            uint e = lane + r * ACTC_GROUP_SIZE;                                         \
            TILE_SPLIT(e, (16u * TN), TILE_B_ALONG_K, k, x);                             \
            tile_b[k * TILE_STRIDE + x] = TILE_FACTOR(load_b(k0 + k, n0 + x, k_end));    \
        }                                                                                \
        barrier();                                                                       \
        [[unroll]] for (uint k = 0u; k < TILE_K; k++) {                                  \
            float a[4], b[4];                                                            \
            [[unroll]] for (uint i = 0u; i < TM; i++)                                    \
                a[i] = tile_a[k * TILE_STRIDE + lane / 16u + 16u * i];                   \
            [[unroll]] for (uint j = 0u; j < TN; j++)                                    \
                b[j] = tile_b[k * TILE_STRIDE + lane % 16u + 16u * j];                   \
            [[unroll]] for (uint i = 0u; i < TM; i++)                                    \
                [[unroll]] for (uint j = 0u; j < TN; j++)                                \
                    TILE_ADD_PRODUCT(acc[i][j], a[i], b[j]);                             \
        }                                                                                \
        barrier();                                                                       \
    }

/* The outputs of this invocation: m, n and the sum s, in a block that follows. */
#define TILE_FOR_OUTPUTS(m0, n0, m_count, n_count, m, n)                                 \
    [[unroll]] for (uint i = 0u; i < TM; i++)                                            \
        [[unroll]] for (uint j = 0u; j < TN; j++)                                        \
            for (uint m = m0 + lane / 16u + 16u * i, n = n0 + lane % 16u + 16u * j, once = 0u; \
                 once == 0u && m < m_count && n < n_count; once = 1u)

#endif
