/* gemm.c: c = alpha op(a) op(b) [+ bias] [+ c], each element in ascending k. Blocks of c are shared out over the groups. */
#include "mac_tile.h"

static inline void pack_a(const mac_source *source, float *to, uint32_t row, uint32_t k0, uint32_t depth)
{
    const struct actc_params_gemm *p = source->params;
    if (!p->trans_a) {
        mac_copy(to, source->a + (uint64_t)row * p->lda + k0, depth);
        return;
    }
    const float *from = source->a + (uint64_t)k0 * p->lda + row;
    for (uint32_t k = 0; k < depth; k++)
        to[k] = MAC_FACTOR(from[(uint64_t)k * p->lda]);
}

static inline void pack_b(const mac_source *source, float *to, uint32_t col, uint32_t columns, uint32_t k0,
                          uint32_t depth)
{
    const struct actc_params_gemm *p = source->params;
    if (!p->trans_b) {
        for (uint32_t k = 0; k < depth; k++) {
            mac_copy(to + k * MAC_COLS, source->b + (uint64_t)(k0 + k) * p->ldb + col, columns);
            mac_zero(to + k * MAC_COLS + columns, MAC_COLS - columns);
        }
        return;
    }
    for (uint32_t c = 0; c < MAC_COLS; c++) {
        const float *from = source->b + (uint64_t)(c < columns ? col + c : col) * p->ldb + k0;
        for (uint32_t k = 0; k < depth; k++)
            to[k * MAC_COLS + c] = c < columns ? MAC_FACTOR(from[k]) : 0.0f;
    }
}

static void gemm(const struct actc_params_gemm *p, void *const *views, uint32_t begin, uint32_t end)
{
    mac_source source = {.params = p, .pack_a = pack_a, .pack_b = pack_b};
    const float *bias = views[2];
    /* Units: matrices x blocks of rows x blocks of columns, so that short matrices are shared out too. */
    uint32_t row_blocks = (p->m + MAC_BLOCK_ROWS - 1) / MAC_BLOCK_ROWS, col_blocks = (p->n + MAC_COLS - 1) / MAC_COLS;
    uint32_t blocks = row_blocks * col_blocks;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)p->batch * blocks);
    float acc[MAC_BLOCK_ROWS * MAC_COLS];
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        uint64_t matrix = unit / blocks;
        uint32_t row = unit % blocks / col_blocks * MAC_BLOCK_ROWS, col = unit % col_blocks * MAC_COLS;
        uint32_t rows = ACTC_MIN(MAC_BLOCK_ROWS, p->m - row), columns = ACTC_MIN(MAC_COLS, p->n - col);
        source.a = (const float *)views[0] + matrix * p->stride_a;
        source.b = (const float *)views[1] + matrix * p->stride_b;
#ifndef ACTC_EXACT_VARIANT
        source.direct = (mac_direct){source.a, p->trans_a ? 1 : p->lda, p->trans_a ? p->lda : 1};
#endif
        mac_block(&source, row, rows, col, columns, 0, p->k, acc);
        for (uint32_t r = 0; r < rows; r++) {
            float *out = (float *)views[3] + matrix * p->stride_c + (uint64_t)(row + r) * p->ldc + col;
            for (uint32_t i = 0; i < columns; i++) {
                float s = ACTC_MUL(acc[r * MAC_COLS + i], p->alpha);
                s = p->bias ? ACTC_ADD(s, actc_flush(bias[col + i])) : s;
                s = p->add ? ACTC_ADD(s, actc_flush(out[i])) : s;
                out[i] = actc_canon(s);
            }
        }
    }
}

MAC_KERNEL(gemm)
{
    gemm(params, views, begin, end);
}
