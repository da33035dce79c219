/* attention.cuh: what the attention kernels share. A block has a tile of own rows (queries, or keys in bwd_kv) of one head, and up to
 * 16 * C columns of head_dim, and goes through tiles of the other rows.
 *
 * Thread (ty, tx) = (t / 16, t % 16) has of a matrix over own rows and others the elements (4 ty + i, 4 tx + j), and of an output the
 * same rows and the columns C tx + j. Matrices are shared as [other][own]. Operands pass through shared memory in steps of PART.
 */
#ifndef ACTC_ATTENTION_CUH
#define ACTC_ATTENTION_CUH

#include "common.cuh"

#include "exact/attention.h"

#define ATTENTION_TILE ACTC_ATTENTION_TILE
#define ATTENTION_PART 16u
#define ATTENTION_STRIDE 68u /* rows stay aligned to 16 bytes, and stores along head_dim fall into different banks */

struct attention_shared {
    float part_a[ATTENTION_PART * ATTENTION_STRIDE];
    float part_b[ATTENTION_PART * ATTENTION_STRIDE];
    float pairs[ATTENTION_TILE * ATTENTION_STRIDE]; /* what own rows are multiplied with others by */
    uint keep[ATTENTION_TILE * ATTENTION_TILE / 4u]; /* [query][quad of keys]: a bit a key */
    float quarters[ACTC_GROUP_SIZE], tops[ATTENTION_TILE], alphas[ATTENTION_TILE];
};

/* What a block does. */
struct attention_group {
    uint matrix, sample, head; /* matrix: number of the softmax matrix in this launch */
    uint first, count;         /* own rows */
    uint column;               /* the first of its columns of head_dim */
};

static __device__ __forceinline__ attention_group attention_group_of(const actc_params_attention &p, uint group, uint own_rows)
{
    attention_group g;
    const uint columns = (p.head_dim + ATTENTION_TILE - 1u) / ATTENTION_TILE;
    const uint tiles = (own_rows + ATTENTION_TILE - 1u) / ATTENTION_TILE;
    g.column = group % columns * ATTENTION_TILE;
    g.first = group / columns % tiles * ATTENTION_TILE;
    g.count = own_rows - g.first < ATTENTION_TILE ? own_rows - g.first : ATTENTION_TILE;
    g.matrix = group / columns / tiles;
    g.sample = g.matrix / p.heads;
    g.head = g.matrix % p.heads;
    return g;
}

/* Where row i of a head lies: in q, in k or v (`at`), in o, in lse and delta. */
static __device__ __forceinline__ uint attention_q_at(const actc_params_attention &p, const attention_group &g, uint i)
{
    return p.q_at + (g.sample * p.tq + i) * p.q_row + g.head * p.head_dim;
}

static __device__ __forceinline__ uint attention_kv_at(const actc_params_attention &p, const attention_group &g, uint at, uint j)
{
    return at + (g.sample * p.tk + j) * p.kv_row + g.head * p.head_dim;
}

static __device__ __forceinline__ uint attention_row_at(const actc_params_attention &p, const attention_group &g, uint i)
{
    return (g.sample * p.tq + i) * p.heads + g.head;
}

static __device__ __forceinline__ uint attention_o_at(const actc_params_attention &p, const attention_group &g, uint i)
{
    return attention_row_at(p, g, i) * p.head_dim;
}

/* sums[i][j] += a[k][4 ty + i] * b[k][C tx + j], k ascending; rows of a and b are ATTENTION_STRIDE long. */
template <uint C> static __device__ __forceinline__ void attention_add(const float *a, const float *b, float (&sums)[4][C])
{
    a += 4u * (threadIdx.x / 16u);
    b += C * (threadIdx.x % 16u);
#pragma unroll
    for (uint k = 0; k < ATTENTION_PART; k++) {
        const float4 u = *(const float4 *)(a + k * ATTENTION_STRIDE);
        const float fa[4] = {u.x, u.y, u.z, u.w};
        float fb[C];
        if (C == 4u) {
            const float4 v = *(const float4 *)(b + k * ATTENTION_STRIDE);
            const float four[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (uint j = 0; j < C; j++)
                fb[j] = four[j];
        } else {
#pragma unroll
            for (uint j = 0; j < C; j++)
                fb[j] = b[k * ATTENTION_STRIDE + j];
        }
#pragma unroll
        for (uint i = 0; i < 4u; i++) {
#pragma unroll
            for (uint j = 0; j < C; j++)
                sums[i][j] = ACTC_ADD(sums[i][j], ACTC_MUL(fa[i], fb[j]));
        }
    }
}

template <uint C> static __device__ __forceinline__ void attention_zero(float (&sums)[4][C])
{
#pragma unroll
    for (uint i = 0; i < 4u; i++) {
#pragma unroll
        for (uint j = 0; j < C; j++)
            sums[i][j] = 0.0f;
    }
}

/* sums over head_dim of the products of own rows and others, which lie own_row and other_row apart; 0 past the last rows. */
static __device__ __forceinline__ void attention_inner(attention_shared *s, uint head_dim, const float *own, uint own_row, uint own_count,
                                                       const float *other, uint other_row, uint other_count, float (&sums)[4][4])
{
    attention_zero(sums);
    const uint k = threadIdx.x % ATTENTION_PART;
    for (uint d = 0u; d < head_dim; d += ATTENTION_PART) {
        __syncthreads();
#pragma unroll
        for (uint r = 0; r < ATTENTION_TILE; r += ACTC_GROUP_SIZE / ATTENTION_PART) {
            const uint x = r + threadIdx.x / ATTENTION_PART;
            const bool inside = d + k < head_dim;
            s->part_a[k * ATTENTION_STRIDE + x] = inside && x < own_count ? actc_factor(own[x * own_row + d + k]) : 0.0f;
            s->part_b[k * ATTENTION_STRIDE + x] = inside && x < other_count ? actc_factor(other[x * other_row + d + k]) : 0.0f;
        }
        __syncthreads();
        attention_add<4u>(s->part_a, s->part_b, sums);
    }
}

/* sums over other rows of their elements from `column` on, times pairs, which must be 0 where there is no other row. */
template <uint C>
static __device__ __forceinline__ void attention_outer(attention_shared *s, uint head_dim, const float *other, uint other_row,
                                                       uint other_count, uint column, float (&sums)[4][C])
{
    const uint width = 16u * C;
    attention_zero(sums);
    for (uint x = 0u; x < other_count; x += ATTENTION_PART) {
        __syncthreads();
#pragma unroll
        for (uint r = 0; r < C; r++) {
            const uint e = threadIdx.x + r * ACTC_GROUP_SIZE, k = e / width, c = e % width;
            const bool inside = x + k < other_count && column + c < head_dim;
            s->part_b[k * ATTENTION_STRIDE + c] = inside ? actc_factor(other[(x + k) * other_row + column + c]) : 0.0f;
        }
        __syncthreads();
        attention_add<C>(s->pairs + x * ATTENTION_STRIDE, s->part_b, sums);
    }
}

/* keep, of a tile of queries and one of keys. All threads get to it, and to a barrier before they read. */
static __device__ __forceinline__ void attention_draw(attention_shared *s, const actc_params_attention &p, const attention_group &g,
                                                      const uint *step, uint query, uint key)
{
    for (uint e = threadIdx.x; e < ATTENTION_TILE * ATTENTION_TILE / 4u; e += ACTC_GROUP_SIZE) {
        const actc_u32x4 bits = actc_attention_random(
            p.path, p.first * p.heads + g.matrix, query + e / (ATTENTION_TILE / 4u), key / 4u + e % (ATTENTION_TILE / 4u),
            (p.tk + 3u) / 4u, step[ACTC_STEP_STEP_LO], step[ACTC_STEP_STEP_HI], step[ACTC_STEP_SEED_LO], step[ACTC_STEP_SEED_HI]);
        s->keep[e] = (bits.x < p.threshold ? 1u : 0u) | (bits.y < p.threshold ? 2u : 0u) | (bits.z < p.threshold ? 4u : 0u) |
                     (bits.w < p.threshold ? 8u : 0u);
    }
}

/* Query and key of the tile. */
static __device__ __forceinline__ bool attention_kept(const attention_shared *s, uint query, uint key)
{
    return (s->keep[query * (ATTENTION_TILE / 4u) + key / 4u] >> (key % 4u) & 1u) != 0u;
}

/* Rows of this thread in a column of pairs. */
static __device__ __forceinline__ void attention_put(attention_shared *s, uint other, float a, float b, float c, float d)
{
    *(float4 *)(s->pairs + other * ATTENTION_STRIDE + 4u * (threadIdx.x / 16u)) = make_float4(a, b, c, d);
}

/* Hands this thread's outputs inside rows and columns to store(row, column, value). */
template <uint C, class F>
static __device__ __forceinline__ void attention_store(const actc_params_attention &p, const attention_group &g,
                                                       const float (&outputs)[4][C], F store)
{
#pragma unroll
    for (uint i = 0; i < 4u; i++) {
#pragma unroll
        for (uint j = 0; j < C; j++) {
            const uint row = 4u * (threadIdx.x / 16u) + i, column = g.column + C * (threadIdx.x % 16u) + j;
            if (row < g.count && column < p.head_dim)
                store(row, column, outputs[i][j]);
        }
    }
}

/* Calls f<1>, f<2> or f<4> by head_dim. */
#define ATTENTION_DISPATCH(head_dim, f, ...) \
    do {                                     \
        if ((head_dim) <= 16u)               \
            f<1u>(__VA_ARGS__);              \
        else if ((head_dim) <= 32u)          \
            f<2u>(__VA_ARGS__);              \
        else                                 \
            f<4u>(__VA_ARGS__);              \
    } while (0)

#endif
