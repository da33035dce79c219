/* attention.glsl: what the attention kernels share. A group has a tile of own rows (queries, or keys in bwd_kv) of one head, and a tile
 * of columns of head_dim, and goes through tiles of the other rows.
 *
 * A matrix over own rows and others is [own][other]; invocation `lane` has its elements (lane / 16 + 16 i, lane % 16 + 16 j), i and j below SIDE, in
 * registers, and of an output the same rows and columns, j below COLUMNS. Operands pass through shared memory in steps of PART.
 */
#ifndef ACTC_ATTENTION_GLSL
#define ACTC_ATTENTION_GLSL

#extension GL_EXT_control_flow_attributes : require

#include "exact/attention.h"

const uint TILE = ACTC_ATTENTION_TILE, PART = 16u;
/* Constants of the pipeline, so that the driver unrolls these loops and not the shader build, whose copies of an operation lose
 * their NoContraction. COLUMNS: 1 or 2 where head_dim is not more than 16 or 32. */
layout(constant_id = 0) const uint SIDE = 4u;
layout(constant_id = 1) const uint COLUMNS = 4u;
const uint WIDTH = 16u * COLUMNS; /* columns of a group */
const uint STRIDE = TILE + 1u; /* so that storing along head_dim does not hit one bank of shared memory only */

shared float part_a[PART * STRIDE];
shared float part_b[PART * STRIDE];
shared float pairs[TILE * STRIDE]; /* what own rows are multiplied with others by */
shared uint keep[TILE * TILE / 4u]; /* [query][quad of keys]: a bit a key */

/* What a group does. */
struct attention_group {
    uint matrix, batch, head; /* matrix: number of the softmax matrix in this launch */
    uint first, count;         /* own rows */
    uint column;               /* the first of its columns of head_dim */
};

attention_group group_of(uint group, uint own_rows)
{
    attention_group g;
    uint columns = (p.head_dim + TILE - 1u) / TILE, tiles = (own_rows + TILE - 1u) / TILE;
    g.column = group % columns * TILE;
    g.first = group / columns % tiles * TILE;
    g.count = min(TILE, own_rows - g.first);
    g.matrix = group / columns / tiles;
    g.batch = g.matrix / p.heads;
    g.head = g.matrix % p.heads;
    return g;
}

/* Where row i of a head lies: in q, in k or v (`at`), in o, in lse and delta. */
uint q_at(attention_group g, uint i)
{
    return p.q_at + (g.batch * p.tq + i) * p.q_row + g.head * p.head_dim;
}

uint kv_at(attention_group g, uint at, uint j)
{
    return at + (g.batch * p.tk + j) * p.kv_row + g.head * p.head_dim;
}

uint row_at(attention_group g, uint i)
{
    return (g.batch * p.tq + i) * p.heads + g.head;
}

uint o_at(attention_group g, uint i)
{
    return row_at(g, i) * p.head_dim;
}

/* A factor, without a branch: outside, the first word is read and not used. */
#define ATTENTION_FACTOR(view, inside, index) ((inside) ? actc_factor(uintBitsToFloat(view[(inside) ? (index) : 0u])) : 0.0)

/* name(lane, own_at, own_row, own_count, other_at, other_row, other_count, sums): sums over head_dim of the products of own rows and
 * others, which lie own_row and other_row apart from own_at and other_at on in the views `own` and `other`; 0 past the last rows. */
#define ATTENTION_INNER(name, own, other)                                                                                 \
    void name(uint lane, uint own_at, uint own_row, uint own_count, uint other_at, uint other_row, uint other_count,      \
              out float sums[4][4])                                                                                       \
    {                                                                                                                     \
        [[unroll]] for (uint i = 0u; i < SIDE; i++)                                                                       \
            [[unroll]] for (uint j = 0u; j < SIDE; j++)                                                                   \
                sums[i][j] = 0.0;                                                                                         \
        uint k = lane % PART;                                                                                             \
        for (uint d = 0u; d < p.head_dim; d += PART) {                                                                    \
            barrier();                                                                                                    \
            for (uint r = 0u; r < TILE; r += ACTC_GROUP_SIZE / PART) {                                                    \
                uint x = r + lane / PART;                                                                                 \
                bool in_own = x < own_count && d + k < p.head_dim, in_other = x < other_count && d + k < p.head_dim;      \
                part_a[k * STRIDE + x] = ATTENTION_FACTOR(own, in_own, own_at + x * own_row + d + k);                     \
                part_b[k * STRIDE + x] = ATTENTION_FACTOR(other, in_other, other_at + x * other_row + d + k);             \
            }                                                                                                             \
            barrier();                                                                                                    \
            add_part(lane, sums);                                                                                         \
        }                                                                                                                 \
    }

/* name(lane, other_at, other_row, other_count, column, sums): sums over other rows of their elements from `column` on of the view
 * `other`, times `pairs`, which must be 0 where there is no other row. */
#define ATTENTION_OUTER(name, other)                                                                                      \
    void name(uint lane, uint other_at, uint other_row, uint other_count, uint column, out float sums[4][4])              \
    {                                                                                                                     \
        [[unroll]] for (uint i = 0u; i < SIDE; i++)                                                                       \
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++)                                                                \
                sums[i][j] = 0.0;                                                                                         \
        for (uint x = 0u; x < other_count; x += PART) {                                                                   \
            barrier();                                                                                                    \
            for (uint e = lane; e < PART * WIDTH; e += ACTC_GROUP_SIZE) {                                                 \
                uint k = e / WIDTH, c = column + e % WIDTH;                                                               \
                bool inside = x + k < other_count && c < p.head_dim;                                                      \
                part_b[k * STRIDE + e % WIDTH] = ATTENTION_FACTOR(other, inside, other_at + (x + k) * other_row + c);     \
            }                                                                                                             \
            barrier();                                                                                                    \
            add_pairs(lane, x, sums);                                                                                     \
        }                                                                                                                 \
    }

void add_part(uint lane, inout float sums[4][4])
{
    for (uint k = 0u; k < PART; k++) {
        float a[4], b[4];
        [[unroll]] for (uint i = 0u; i < SIDE; i++) {
            a[i] = part_a[k * STRIDE + lane / 16u + 16u * i];
            b[i] = part_b[k * STRIDE + lane % 16u + 16u * i];
        }
        [[unroll]] for (uint i = 0u; i < SIDE; i++)
            [[unroll]] for (uint j = 0u; j < SIDE; j++)
                sums[i][j] = ACTC_ADD(sums[i][j], ACTC_MUL(a[i], b[j]));
    }
}

void add_pairs(uint lane, uint first, inout float sums[4][4])
{
    for (uint k = 0u; k < PART; k++) {
        float a[4], b[4];
        [[unroll]] for (uint i = 0u; i < SIDE; i++)
            a[i] = pairs[(lane / 16u + 16u * i) * STRIDE + first + k];
        [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
            b[j] = part_b[k * STRIDE + lane % 16u + 16u * j];
        [[unroll]] for (uint i = 0u; i < SIDE; i++)
            [[unroll]] for (uint j = 0u; j < COLUMNS; j++)
                sums[i][j] = ACTC_ADD(sums[i][j], ACTC_MUL(a[i], b[j]));
    }
}

/* keep, of a tile of queries and one of keys. All invocations get to it, and to a barrier before they read. */
#define ATTENTION_DRAW(lane, g, query, key)                                                                               \
    for (uint e = lane; e < TILE * TILE / 4u; e += ACTC_GROUP_SIZE) {                                                     \
        actc_u32x4 bits = actc_attention_random(p.path, p.first * p.heads + g.matrix, query + e / (TILE / 4u),            \
                                                (key) / 4u + e % (TILE / 4u), (p.tk + 3u) / 4u, steps[ACTC_STEP_STEP_LO], \
                                                steps[ACTC_STEP_STEP_HI], steps[ACTC_STEP_SEED_LO],                       \
                                                steps[ACTC_STEP_SEED_HI]);                                                \
        keep[e] = (bits.x < p.threshold ? 1u : 0u) | (bits.y < p.threshold ? 2u : 0u) | (bits.z < p.threshold ? 4u : 0u) | \
                  (bits.w < p.threshold ? 8u : 0u);                                                                       \
    }

/* Query and key of the tile. */
bool is_kept(uint query, uint key)
{
    return (keep[query * (TILE / 4u) + key / 4u] >> (key % 4u) & 1u) != 0u;
}

#endif
