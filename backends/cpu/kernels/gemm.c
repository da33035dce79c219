/* gemm.c: c = alpha op(a) op(b) [+ bias] [+ c], each element in ascending k: blocks of c are shared out over the groups.
 *
 * A block is of MAC_BLOCK_ROWS rows and some panels of MAC_COLS columns. For MAC_DEPTH of k at a time its rows of A are packed once, and
 * each panel of B once; the sums of all panels wait in between. Rows whose length is a multiple of a page would else fall on the same
 * lines of the first-level cache. TOLERANT ones make the sum of each MAC_DEPTH by itself before they add it: one chain of all k
 * would round more.
 */
#include "../fused/simd.h"
#include "mac_tile.h"

#define BLOCK_PANELS 4u  /* A, B and the sums of a block are 270 KiB on the stack of a thread */
#define BLOCKS_WANTED 128u /* blocks are made narrower where there are fewer, for the threads */
#define COLUMN_STEP (MAC_BLOCK_ROWS + 16u) /* from one k to the next where A is packed in columns: neighbours on other cache lines */

/* A block of c and what its sums are made of. */
typedef struct block {
    const struct actc_params_gemm *params;
    const float *a, *b; /* of its matrix */
    uint32_t row, rows, col, columns;
} block;

/* Rows of A for k0 .. k0 + depth, and rows of zeros up to the end of a tile: as rows of MAC_DEPTH, or where they are columns of what is
 * stored, as columns. */
static inline void pack_a(const block *s, float *to, uint32_t padded, uint32_t k0, uint32_t depth)
{
    const struct actc_params_gemm *p = s->params;
    if (p->trans_a) {
        for (uint32_t k = 0; k < depth; k++) {
            mac_copy(to + k * COLUMN_STEP, s->a + (uint64_t)(k0 + k) * p->lda + s->row, s->rows);
            mac_zero(to + k * COLUMN_STEP + s->rows, padded - s->rows);
        }
        return;
    }
    for (uint32_t r = 0; r < s->rows; r++)
        mac_copy(to + r * MAC_DEPTH, s->a + (uint64_t)(s->row + r) * p->lda + k0, depth);
    for (uint32_t r = s->rows; r < padded; r++)
        mac_zero(to + r * MAC_DEPTH, depth);
}

/* A panel of B whose rows are columns of what is stored. */
static inline void pack_columns(float *to, const float *b, uint32_t ldb, uint32_t columns, uint32_t depth)
{
    for (uint32_t c0 = 0; c0 < MAC_COLS; c0 += CODEC_LANES) {
        const float *from = b + (uint64_t)c0 * ldb;
        uint32_t k = 0;
        for (; c0 + CODEC_LANES <= columns && k + CODEC_LANES <= depth; k += CODEC_LANES) {
            codec_vf v[CODEC_LANES];
            for (uint32_t c = 0; c < CODEC_LANES; c++)
                v[c] = codec_load(from + (uint64_t)c * ldb + k);
            codec_transpose(v);
            for (uint32_t i = 0; i < CODEC_LANES; i++)
                codec_store(to + (k + i) * MAC_COLS + c0, v[i]);
        }
        for (uint32_t c = 0; c < CODEC_LANES; c++)
            for (uint32_t i = k; i < depth; i++)
                to[i * MAC_COLS + c0 + c] = c0 + c < columns ? from[(uint64_t)c * ldb + i] : 0.0f;
    }
#ifdef ACTC_EXACT_VARIANT
    mac_copy(to, to, depth * MAC_COLS);
#endif
}

/* B of the block's columns for k0 .. k0 + depth: to[panel][k][MAC_COLS], 0 past the columns. */
static inline void pack_b(const block *s, float *to, uint32_t k0, uint32_t depth)
{
    const struct actc_params_gemm *p = s->params;
    if (p->trans_b) {
        for (uint32_t c = 0; c < s->columns; c += MAC_COLS)
            pack_columns(to + c * MAC_DEPTH, s->b + (uint64_t)(s->col + c) * p->ldb + k0, p->ldb, ACTC_MIN(MAC_COLS, s->columns - c), depth);
        return;
    }
    for (uint32_t k = 0; k < depth; k++) {
        const float *from = s->b + (uint64_t)(k0 + k) * p->ldb + s->col;
        uint32_t c = 0;
        for (; c + MAC_COLS <= s->columns; c += MAC_COLS)
            mac_copy(to + c * MAC_DEPTH + k * MAC_COLS, from + c, MAC_COLS);
        if (c < s->columns) {
            mac_copy(to + c * MAC_DEPTH + k * MAC_COLS, from + c, s->columns - c);
            mac_zero(to + c * MAC_DEPTH + k * MAC_COLS + s->columns - c, MAC_COLS - (s->columns - c));
        }
    }
}

#ifdef ACTC_EXACT_VARIANT
#define APART false /* one chain of additions */
#else
#define APART true
#endif
/* Functions of their own, whose steps are constants: else the compiler keeps sums and steps in memory inside of the loop. */
#define TILE(name, row_step, k_step, rows, vectors)                                                           \
    static __attribute__((noinline)) void name(uint32_t depth, const float *a, const float *b, float *acc)    \
    {                                                                                                         \
        mac_tile_(depth, a, row_step, k_step, NULL, b, acc, rows, vectors, APART);                            \
    }
TILE(tile_of_rows, MAC_DEPTH, 1, MAC_ROWS, 2)
TILE(tile_of_columns, 1, COLUMN_STEP, MAC_ROWS, 2)
TILE(narrow_tile_of_rows, MAC_DEPTH, 1, MAC_ROWS_NARROW, 1)
TILE(narrow_tile_of_columns, 1, COLUMN_STEP, MAC_ROWS_NARROW, 1)

/* Part `part` of `parts` of a matrix of rows in memory, on its way into the cache. */
static inline void prefetch(const float *from, uint32_t ld, uint32_t rows, uint32_t columns, uint32_t part, uint32_t parts)
{
    for (uint32_t r = rows * part / parts; r < rows * (part + 1) / parts; r++)
        for (uint32_t c = 0; c < columns; c += 16)
            __builtin_prefetch(from + (uint64_t)r * ld + c, 0, 2);
}

/* Of what is packed for k0 .. k0 + depth. */
static inline void prefetch_next(const block *s, uint32_t k0, uint32_t part, uint32_t parts)
{
    const struct actc_params_gemm *p = s->params;
    if (k0 >= p->k)
        return;
    const uint32_t depth = ACTC_MIN(MAC_DEPTH, p->k - k0);
    if (p->trans_a)
        prefetch(s->a + (uint64_t)k0 * p->lda + s->row, p->lda, depth, s->rows, part, parts);
    else
        prefetch(s->a + (uint64_t)s->row * p->lda + k0, p->lda, s->rows, depth, part, parts);
    if (p->trans_b)
        prefetch(s->b + (uint64_t)s->col * p->ldb + k0, p->ldb, s->columns, depth, part, parts);
    else
        prefetch(s->b + (uint64_t)k0 * p->ldb + s->col, p->ldb, depth, s->columns, part, parts);
}

/* acc[panel][row][MAC_COLS] */
static inline void sum(const block *s, float *acc)
{
    float a[MAC_DEPTH * COLUMN_STEP], b[BLOCK_PANELS * MAC_DEPTH * MAC_COLS];
    static void (*const tiles[2][2])(uint32_t depth, const float *a, const float *b, float *acc) = {
        {tile_of_rows, narrow_tile_of_rows}, {tile_of_columns, narrow_tile_of_columns}};
    const struct actc_params_gemm *p = s->params;
    const uint32_t tile = mac_rows(s->columns), padded = (s->rows + tile - 1) / tile * tile;
    mac_zero(acc, (s->columns + MAC_COLS - 1) / MAC_COLS * MAC_BLOCK_ROWS * MAC_COLS);
    for (uint32_t k = 0; k < p->k; k += MAC_DEPTH) {
        const uint32_t depth = ACTC_MIN(MAC_DEPTH, p->k - k);
        pack_a(s, a, padded, k, depth);
        pack_b(s, b, k, depth);
        const uint32_t down = padded / tile, parts = (s->columns + MAC_COLS - 1) / MAC_COLS * down;
        for (uint32_t i = 0; i < parts; i++) {
            const uint32_t r = i % down * tile, panel = i / down;
            prefetch_next(s, k + MAC_DEPTH, i, parts);
            tiles[p->trans_a][s->columns <= MAC_LANES](depth, a + r * (p->trans_a ? 1 : MAC_DEPTH), b + panel * MAC_DEPTH * MAC_COLS,
                                                       acc + (panel * MAC_BLOCK_ROWS + r) * MAC_COLS);
        }
    }
}

static inline __attribute__((always_inline)) void store_row(const float *acc, uint32_t columns, float alpha, const float *bias, bool add,
                                                            float *out)
{
    ACTC_CPU_SIMD
    for (uint32_t i = 0; i < columns; i++) {
        float s = ACTC_MUL(acc[i], alpha);
        s = bias ? ACTC_ADD(s, actc_flush(bias[i])) : s;
        s = add ? ACTC_ADD(s, actc_flush(out[i])) : s;
        out[i] = actc_canon(s);
    }
}

static inline void store(const block *s, const float *acc, const float *bias, float *c)
{
    const struct actc_params_gemm *p = s->params;
    for (uint32_t at = 0; at < s->columns; at += MAC_COLS) {
        const uint32_t columns = ACTC_MIN(MAC_COLS, s->columns - at);
        for (uint32_t r = 0; r < s->rows; r++) {
            const float *from = acc + at * MAC_BLOCK_ROWS + r * MAC_COLS;
            float *out = c + (uint64_t)(s->row + r) * p->ldc + s->col + at;
            if (p->bias && p->add)
                store_row(from, columns, p->alpha, bias + s->col + at, true, out);
            else if (p->bias)
                store_row(from, columns, p->alpha, bias + s->col + at, false, out);
            else if (p->add)
                store_row(from, columns, p->alpha, NULL, true, out);
            else
                store_row(from, columns, p->alpha, NULL, false, out);
        }
    }
}

static void gemm(const struct actc_params_gemm *p, void *const *views, uint32_t begin, uint32_t end)
{
    float acc[BLOCK_PANELS * MAC_BLOCK_ROWS * MAC_COLS];
    const uint32_t row_blocks = (p->m + MAC_BLOCK_ROWS - 1) / MAC_BLOCK_ROWS;
    uint32_t panels = BLOCK_PANELS;
    while (panels > 1 && (uint64_t)p->batch * row_blocks * ((p->n + panels * MAC_COLS - 1) / (panels * MAC_COLS)) < BLOCKS_WANTED)
        panels /= 2;
    const uint32_t width = panels * MAC_COLS, col_blocks = (p->n + width - 1) / width, blocks = row_blocks * col_blocks;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)p->batch * blocks);
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        const uint64_t matrix = unit / blocks;
        block s = {p, (const float *)views[0] + matrix * p->stride_a, (const float *)views[1] + matrix * p->stride_b,
                   .row = unit % blocks / col_blocks * MAC_BLOCK_ROWS, .col = unit % col_blocks * width};
        s.rows = ACTC_MIN(MAC_BLOCK_ROWS, p->m - s.row);
        s.columns = ACTC_MIN(width, p->n - s.col);
        sum(&s, acc);
        store(&s, acc, views[2], (float *)views[3] + matrix * p->stride_c);
    }
}

MAC_KERNEL(gemm)
{
    gemm(params, views, begin, end);
}
