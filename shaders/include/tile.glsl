/* tile.glsl: matrix products in tiles, for gemm and the convolutions (as implicit products).
 *
 * An M x N product with depth K: every output adds its products in ascending k, whatever tile it lies in, so tiles are
 * chosen for speed and the bits stay the same. ACTC_EXACT_VARIANT: two roundings a product, factors through actc_factor;
 * otherwise fma().
 *
 * A kernel tells where its factors are, in parts so that little is left to do for each of them:
 *   tile_place row_at(m), col_at(n)  what is known of an output row or column
 *   tile_place depth_at(k)           what is known of k < k_end
 *   bool a_at(row, depth, index)     index of a factor in `a_view`; false: it is +0
 *   bool b_at(depth, col, index)     the same in `b_view`; where TILE_B_X is defined, also +0 unless it is < TILE_B_X_END
 *   TILE_A_ALONG_K, TILE_B_ALONG_K   whether neighbours in memory are neighbours in k (else in m or n)
 *   TILE_RUN(k)                      how many k from here on differ in the index only, which moves by TILE_A_STEP and
 *                                    TILE_B_STEP (and TILE_B_X by TILE_B_X_STEP)
 * and gets its outputs from tile_store(m, n, sum).
 *
 * Two ways. The usual one takes tiles of 16*TM x 16*TN through shared memory, TM x TN outputs an invocation.
 * ACTC_SUBGROUP_VARIANT is for software devices, where a load costs as much as a hundred additions and all invocations of
 * a subgroup are one vector: each subgroup of SUBGROUP invocations has a tile of SUBGROUP*TM x SUBGROUP*TN of its own and
 * hands the factors of a row round by subgroupBroadcast.
 */
#ifndef ACTC_TILE_GLSL
#define ACTC_TILE_GLSL

#extension GL_EXT_control_flow_attributes : require

/* Chosen when the pipeline is made. */
layout(constant_id = 0) const uint TM = 4u;
layout(constant_id = 1) const uint TN = 4u;

#if defined(ACTC_EXACT_VARIANT)
#define TILE_FACTOR(x) actc_factor(x)
#define TILE_ADD_PRODUCT(s, a, b) s = ACTC_ADD(s, ACTC_MUL(a, b))
#else
#define TILE_FACTOR(x) (x)
#define TILE_ADD_PRODUCT(s, a, b) s = fma(a, b, s)
#endif

/* Loads without a branch: outside, the first word is read and not used. */
float tile_factor_a(bool inside, uint index)
{
    float v = uintBitsToFloat(a_view[inside ? index : 0u]);
    return inside ? TILE_FACTOR(v) : 0.0;
}

float tile_factor_b(bool inside, uint index)
{
    float v = uintBitsToFloat(b_view[inside ? index : 0u]);
    return inside ? TILE_FACTOR(v) : 0.0;
}

#if !defined(TILE_B_X)
#define TILE_B_X(depth, col) 0u
#define TILE_B_X_STEP 0u
#define TILE_B_X_END 1u
#endif

#if !defined(ACTC_SUBGROUP_VARIANT)

const uint TILE_M = 16u * TM, TILE_N = 16u * TN, TILE_K = 16u;
const uint TILES_A_GROUP = 1u;
/* One more than the widest tile, so that storing along k does not hit one bank of shared memory only. */
const uint TILE_STRIDE = 65u;

shared float tile_a[TILE_K * TILE_STRIDE];
shared float tile_b[TILE_K * TILE_STRIDE];

/* Tile number of this invocation. */
uint tile_index(uint group, uint lane)
{
    return group;
}

/* Element e of a tile `width` wide: its k, and its place along m or n. */
uint tile_k_of(uint e, uint width, bool along_k)
{
    return along_k ? e % TILE_K : e / width;
}

uint tile_x_of(uint e, uint width, bool along_k)
{
    return along_k ? e / TILE_K : e % width;
}

void tile_product(uint m0, uint n0, uint k_begin, uint k_end, uint m_count, uint n_count, uint lane)
{
    float acc[4][4];
    tile_place rows[4], cols[4];
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        [[unroll]] for (uint j = 0u; j < 4u; j++)
            acc[i][j] = 0.0;
    [[unroll]] for (uint r = 0u; r < TM; r++)
        rows[r] = row_at(m0 + tile_x_of(lane + r * ACTC_GROUP_SIZE, TILE_M, TILE_A_ALONG_K));
    [[unroll]] for (uint r = 0u; r < TN; r++)
        cols[r] = col_at(n0 + tile_x_of(lane + r * ACTC_GROUP_SIZE, TILE_N, TILE_B_ALONG_K));
    for (uint k0 = k_begin; k0 < k_end; k0 += TILE_K) {
        tile_place along = depth_at(k0 + lane % TILE_K); /* of all elements, where a view is loaded along k */
        [[unroll]] for (uint r = 0u; r < TM; r++) {
            uint e = lane + r * ACTC_GROUP_SIZE, k = tile_k_of(e, TILE_M, TILE_A_ALONG_K), index = 0u;
            tile_place depth = along;
            if (!TILE_A_ALONG_K)
                depth = depth_at(k0 + k);
            bool inside = a_at(rows[r], depth, index) && rows[r].exists != 0u && k0 + k < k_end;
            tile_a[k * TILE_STRIDE + tile_x_of(e, TILE_M, TILE_A_ALONG_K)] = tile_factor_a(inside, index);
        }
        [[unroll]] for (uint r = 0u; r < TN; r++) {
            uint e = lane + r * ACTC_GROUP_SIZE, k = tile_k_of(e, TILE_N, TILE_B_ALONG_K), index = 0u;
            tile_place depth = along;
            if (!TILE_B_ALONG_K)
                depth = depth_at(k0 + k);
            bool inside = b_at(depth, cols[r], index) && cols[r].exists != 0u && k0 + k < k_end &&
                          TILE_B_X(depth, cols[r]) < TILE_B_X_END;
            tile_b[k * TILE_STRIDE + tile_x_of(e, TILE_N, TILE_B_ALONG_K)] = tile_factor_b(inside, index);
        }
        barrier();
        [[unroll]] for (uint k = 0u; k < TILE_K; k++) {
            float a[4], b[4];
            [[unroll]] for (uint i = 0u; i < TM; i++)
                a[i] = tile_a[k * TILE_STRIDE + lane / 16u + 16u * i];
            [[unroll]] for (uint j = 0u; j < TN; j++)
                b[j] = tile_b[k * TILE_STRIDE + lane % 16u + 16u * j];
            [[unroll]] for (uint i = 0u; i < TM; i++)
                [[unroll]] for (uint j = 0u; j < TN; j++)
                    TILE_ADD_PRODUCT(acc[i][j], a[i], b[j]);
        }
        barrier();
    }
    [[unroll]] for (uint i = 0u; i < TM; i++)
        [[unroll]] for (uint j = 0u; j < TN; j++) {
            uint m = m0 + lane / 16u + 16u * i, n = n0 + lane % 16u + 16u * j;
            if (m < m_count && n < n_count)
                tile_store(m, n, acc[i][j]);
        }
}

#else

#extension GL_KHR_shader_subgroup_ballot : require

/* The device's subgroup size, 4 or 8. */
layout(constant_id = 2) const uint SUBGROUP = 8u;

const uint TILE_M = SUBGROUP * TM, TILE_N = SUBGROUP * TN;

uint tile_index(uint group, uint lane)
{
    return group * gl_NumSubgroups + gl_SubgroupID;
}

void tile_product(uint m0, uint n0, uint k_begin, uint k_end, uint m_count, uint n_count, uint lane)
{
    uint own = gl_SubgroupInvocationID;
    float acc[32][8];
    tile_place rows[4], cols[8];
    [[unroll]] for (uint i = 0u; i < 32u; i++)
        [[unroll]] for (uint j = 0u; j < 8u; j++)
            acc[i][j] = 0.0;
    [[unroll]] for (uint r = 0u; r < TM; r++)
        rows[r] = row_at(m0 + r * SUBGROUP + own);
    [[unroll]] for (uint j = 0u; j < TN; j++)
        cols[j] = col_at(n0 + j * SUBGROUP + own);
    for (uint k0 = k_begin; k0 < k_end;) {
        uint run_end = min(k_end, k0 + TILE_RUN(k0));
        tile_place depth = depth_at(k0);
        uint a_index[4], b_index[8], b_x[8];
        bool a_inside[4], b_inside[8];
        [[unroll]] for (uint r = 0u; r < TM; r++)
            a_inside[r] = a_at(rows[r], depth, a_index[r]) && rows[r].exists != 0u;
        [[unroll]] for (uint j = 0u; j < TN; j++) {
            b_inside[j] = b_at(depth, cols[j], b_index[j]) && cols[j].exists != 0u;
            b_x[j] = TILE_B_X(depth, cols[j]);
        }
        for (; k0 < run_end; k0++) {
            float a[4], b[8];
            [[unroll]] for (uint r = 0u; r < TM; r++) {
                a[r] = tile_factor_a(a_inside[r], a_index[r]);
                a_index[r] += TILE_A_STEP;
            }
            [[unroll]] for (uint j = 0u; j < TN; j++) {
                b[j] = tile_factor_b(b_inside[j] && b_x[j] < TILE_B_X_END, b_index[j]);
                b_index[j] += TILE_B_STEP;
                b_x[j] += TILE_B_X_STEP;
            }
            [[unroll]] for (uint r = 0u; r < TM; r++)
                [[unroll]] for (uint q = 0u; q < SUBGROUP; q++) {
                    float factor = subgroupBroadcast(a[r], q);
                    [[unroll]] for (uint j = 0u; j < TN; j++)
                        TILE_ADD_PRODUCT(acc[r * SUBGROUP + q][j], factor, b[j]);
                }
        }
    }
    [[unroll]] for (uint i = 0u; i < TILE_M; i++)
        [[unroll]] for (uint j = 0u; j < TN; j++) {
            uint m = m0 + i, n = n0 + j * SUBGROUP + own;
            if (m < m_count && n < n_count)
                tile_store(m, n, acc[i][j]);
        }
}

#endif

/* Finds the group's or subgroup's tile of an m_count x n_count product, of which there are as many as copies: `copy` is
 * which, and TILE_FOUND_PRODUCT does a part of its k. */
#define TILE_FIND(m_count, n_count)                                                                  \
    uint tiles_n = (n_count + TILE_N - 1u) / TILE_N, tiles = (m_count + TILE_M - 1u) / TILE_M * tiles_n; \
    uint index = tile_index(group, lane), copy = index / tiles, tile = index % tiles;
#define TILE_FOUND_PRODUCT(m_count, n_count, k_begin, k_end) \
    tile_product(tile / tiles_n * TILE_M, tile % tiles_n * TILE_N, k_begin, k_end, m_count, n_count, lane);

#endif
