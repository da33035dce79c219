/* attention.h: what the attention kernels share: blocks of the rows that a kernel owns (queries, or keys in bwd_kv) against tiles of
 * the others.
 *
 * Matrices over an own row and another are kept as [other][own], so that own rows are vector lanes there: largest scores and sums over
 * a tile run down the columns, in the order of the specification. Sums of products have own rows or head_dim as lanes.
 */
#ifndef ACTC_CPU_ATTENTION_H
#define ACTC_CPU_ATTENTION_H

#include "../fused/simd.h"
#include "exact/attention.h"
#include "kernel.h"

#define LANES ((uint32_t)CODEC_LANES)

/* Products: tiles of TILE_ROWS rows and up to TILE_VECTORS vectors, whose sums stay in registers. */
#if defined(__AVX512F__)
#define TILE_ROWS 8u
#else
#define TILE_ROWS 4u
#endif
#define TILE_VECTORS 3u

/* Own rows of a block. A causal block lies in one tile, so that all of its rows see the same tiles. */
#define OWN_MOST 96u
static inline uint32_t attention_own(const struct actc_params_attention *p)
{
    const uint32_t own = p->head_dim <= 64 ? OWN_MOST : p->head_dim <= 128 ? 64u : 32u;
    return p->causal ? ACTC_MIN(own, ACTC_ATTENTION_TILE) : own;
}
#define OWN_FLOATS 8192u /* of a block: own rows x head_dim, at most */

/* Rows of the other side in a tile, padded to whole product tiles: [other][columns]. */
#define OTHER_FLOATS (ACTC_ATTENTION_TILE * ACTC_ATTENTION_HEAD_DIM)
#define PAIR_FLOATS (ACTC_ATTENTION_TILE * OWN_MOST)

static inline uint32_t attention_round(uint32_t n, uint32_t to)
{
    return (n + to - 1) / to * to;
}

/* What becomes of a tile of sums. */
typedef enum attention_end { END_STORE, END_ADD, END_RESCALE } attention_end;

/* c[r][x] becomes, or gets added, the sum over k of a[r * a_row + k * a_k] * b[k * b_row + x]; END_RESCALE: alpha[r] is what c[r] is
 * multiplied with before. */
static inline __attribute__((always_inline)) void attention_tile_(uint32_t depth, const float *a, size_t a_row, size_t a_k,
                                                                  const float *b, size_t b_row, float *c, size_t c_row,
                                                                  const float *alpha, const uint32_t vectors,
                                                                  const attention_end end)
{
    codec_vf s[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 8
    for (uint32_t r = 0; r < TILE_ROWS; r++)
#pragma GCC unroll 3
        for (uint32_t v = 0; v < vectors; v++)
            s[r][v] = (codec_vf){0};
    for (uint32_t k = 0; k < depth; k++) {
        codec_vf f[TILE_VECTORS];
#pragma GCC unroll 3
        for (uint32_t v = 0; v < vectors; v++)
            f[v] = codec_load(b + v * LANES);
#pragma GCC unroll 8
        for (uint32_t r = 0; r < TILE_ROWS; r++) {
            const float factor = a[r * a_row];
#pragma GCC unroll 3
            for (uint32_t v = 0; v < vectors; v++)
                s[r][v] = s[r][v] + f[v] * factor;
        }
        a += a_k;
        b += b_row;
    }
#pragma GCC unroll 8
    for (uint32_t r = 0; r < TILE_ROWS; r++) {
#pragma GCC unroll 3
        for (uint32_t v = 0; v < vectors; v++) {
            float *to = c + r * c_row + v * LANES, sums[LANES];
            memcpy(sums, &s[r][v], sizeof sums);
            ACTC_CPU_SIMD
            for (uint32_t i = 0; i < LANES; i++)
                to[i] = end == END_STORE ? sums[i]
                        : end == END_ADD ? ACTC_ADD(to[i], sums[i])
                                         : actc_attention_rescaled(to[i], alpha[r], sums[i]);
        }
    }
}

/* The same for all of c: rows in whole tiles, columns in whole vectors. */
static inline __attribute__((always_inline)) void attention_products(uint32_t depth, const float *a, size_t a_row, size_t a_k,
                                                                     const float *b, size_t b_row, float *c, size_t c_row,
                                                                     uint32_t rows, uint32_t columns, const float *alpha,
                                                                     const attention_end end)
{
    for (uint32_t x = 0; x < columns;) {
        const uint32_t left = (columns - x) / LANES, vectors = left == TILE_VECTORS + 1 ? 2u : ACTC_MIN(left, TILE_VECTORS);
        for (uint32_t r = 0; r < rows; r += TILE_ROWS) {
            const float *from = a + r * a_row, *scales = end == END_RESCALE ? alpha + r : NULL;
            float *to = c + r * c_row + x;
            if (vectors == 3)
                attention_tile_(depth, from, a_row, a_k, b + x, b_row, to, c_row, scales, 3, end);
            else if (vectors == 2)
                attention_tile_(depth, from, a_row, a_k, b + x, b_row, to, c_row, scales, 2, end);
            else
                attention_tile_(depth, from, a_row, a_k, b + x, b_row, to, c_row, scales, 1, end);
        }
        x += vectors * LANES;
    }
}

/* A block of own rows of one head. */
typedef struct attention_block {
    uint32_t sample, head, matrix; /* matrix: number of the softmax matrix, over the whole batch */
    uint32_t first, count, width;  /* own rows; width: of the vectors over them */
    uint32_t columns;              /* of vectors over head_dim */
} attention_block;

/* Block `unit` of those of all heads; own_rows: tq or tk. */
static inline attention_block attention_block_of(const struct actc_params_attention *p, uint32_t own_rows, uint32_t unit)
{
    const uint32_t own = attention_own(p), blocks = (own_rows + own - 1) / own, matrix = unit / blocks;
    attention_block b = {.sample = matrix / p->heads, .head = matrix % p->heads, .first = unit % blocks * own};
    b.matrix = p->first * p->heads + matrix;
    b.count = ACTC_MIN(own, own_rows - b.first);
    b.width = attention_round(b.count, LANES);
    b.columns = attention_round(p->head_dim, LANES);
    return b;
}

/* The part of a launch's groups, in blocks. */
static inline actc_cpu_span attention_span(const struct actc_params_attention *p, uint32_t own_rows, uint32_t begin, uint32_t end)
{
    const uint32_t own = attention_own(p);
    return actc_cpu_share(begin, end, p->groups, (uint64_t)p->batch * p->heads * ((own_rows + own - 1) / own));
}

/* Where row i of a head lies. */
static inline size_t attention_q_at(const struct actc_params_attention *p, const attention_block *b, uint32_t i)
{
    return p->q_at + ((size_t)b->sample * p->tq + i) * p->q_row + (size_t)b->head * p->head_dim;
}

static inline size_t attention_kv_at(const struct actc_params_attention *p, const attention_block *b, uint32_t at, uint32_t j)
{
    return at + ((size_t)b->sample * p->tk + j) * p->kv_row + (size_t)b->head * p->head_dim;
}

static inline size_t attention_o_at(const struct actc_params_attention *p, const attention_block *b, uint32_t i)
{
    return (((size_t)b->sample * p->tq + i) * p->heads + b->head) * p->head_dim;
}

static inline size_t attention_row_at(const struct actc_params_attention *p, const attention_block *b, uint32_t i)
{
    return ((size_t)b->sample * p->tq + i) * p->heads + b->head;
}

/* to[d][r]: own rows as lanes, 0 past the last. */
static inline void attention_take_own(float *to, const attention_block *b, const float *from, size_t row, uint32_t head_dim)
{
    for (uint32_t r = 0; r < b->width; r += LANES) {
        for (uint32_t d = 0; d < head_dim; d += LANES) {
            const uint32_t some = ACTC_MIN(LANES, head_dim - d);
            codec_vf v[CODEC_LANES];
            for (uint32_t i = 0; i < LANES; i++)
                v[i] = r + i >= b->count ? (codec_vf){0} : some < LANES ? codec_load_part(from + (r + i) * row + d, some)
                                                                        : codec_load(from + (r + i) * row + d);
            codec_transpose(v);
            for (uint32_t i = 0; i < some; i++)
                codec_store(to + (d + i) * b->width + r, v[i]);
        }
    }
    ACTC_CPU_SIMD
    for (uint32_t i = 0; i < head_dim * b->width; i++)
        to[i] = actc_factor(to[i]);
}

/* to[i][d]: rows of the other side, 0 past the last row of a product tile and behind head_dim. */
static inline void attention_take_others(float *to, const attention_block *b, const float *from, size_t row, uint32_t count,
                                         uint32_t head_dim)
{
    for (uint32_t i = 0; i < count; i++, to += b->columns, from += row) {
        ACTC_CPU_SIMD
        for (uint32_t d = 0; d < head_dim; d++)
            to[d] = actc_factor(from[d]);
        for (uint32_t d = head_dim; d < b->columns; d++)
            to[d] = 0;
    }
    memset(to, 0, (attention_round(count, TILE_ROWS) - count) * b->columns * sizeof *to);
}

/* Rows of a block back to where they lie, times a factor each or for all. */
static inline void attention_give_own(float *to, size_t row, const attention_block *b, const float *from, uint32_t head_dim,
                                      const float *factors, float factor)
{
    for (uint32_t r = 0; r < b->count; r++, to += row, from += b->columns) {
        const float f = factors ? factors[r] : factor;
        ACTC_CPU_SIMD
        for (uint32_t d = 0; d < head_dim; d++)
            to[d] = actc_canon(ACTC_MUL(from[d], f));
    }
}

/* ---- dropout ---- */

/* keep[k][r]: whether queries first + r keep their pairs with the keys 4 * quad + k. */
static inline void attention_keep_queries(uint32_t (*keep)[OWN_MOST], const struct actc_params_attention *p, const attention_block *b,
                                          const uint32_t *step, uint32_t quad)
{
    const uint32_t lo = step[ACTC_STEP_STEP_LO], hi = step[ACTC_STEP_STEP_HI], quads = (p->tk + 3) / 4;
    const uint32_t seed_lo = step[ACTC_STEP_SEED_LO], seed_hi = step[ACTC_STEP_SEED_HI], path = p->path, first = b->first;
    const uint32_t matrix = b->matrix, threshold = p->threshold;
    ACTC_CPU_SIMD
    for (uint32_t r = 0; r < b->width; r++) {
        actc_u32x4 bits = actc_attention_random(path, matrix, first + r, quad, quads, lo, hi, seed_lo, seed_hi);
        keep[0][r] = bits.x < threshold;
        keep[1][r] = bits.y < threshold;
        keep[2][r] = bits.z < threshold;
        keep[3][r] = bits.w < threshold;
    }
}

/* keep[r]: whether query i keeps its pairs with the keys first + r; blocks begin at whole quads. */
static inline void attention_keep_keys(uint32_t *keep, const struct actc_params_attention *p, const attention_block *b,
                                       const uint32_t *step, uint32_t i)
{
    const uint32_t lo = step[ACTC_STEP_STEP_LO], hi = step[ACTC_STEP_STEP_HI], quads = (p->tk + 3) / 4;
    const uint32_t seed_lo = step[ACTC_STEP_SEED_LO], seed_hi = step[ACTC_STEP_SEED_HI], path = p->path, first = b->first / 4;
    const uint32_t matrix = b->matrix, threshold = p->threshold;
    uint32_t some[4][OWN_MOST / 4];
    ACTC_CPU_SIMD
    for (uint32_t q = 0; q < b->width / 4; q++) {
        actc_u32x4 bits = actc_attention_random(path, matrix, i, first + q, quads, lo, hi, seed_lo, seed_hi);
        some[0][q] = bits.x < threshold;
        some[1][q] = bits.y < threshold;
        some[2][q] = bits.z < threshold;
        some[3][q] = bits.w < threshold;
    }
    for (uint32_t r = 0; r < b->width; r++)
        keep[r] = some[r % 4][r / 4];
}

#endif
