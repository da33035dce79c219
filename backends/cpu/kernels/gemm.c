/* gemm.c: c = op(a) op(b) [+ bias] [+ c], each element in ascending k. Rows of c are shared out over the groups. */
#include "mac_tile.h"

static inline void pack_a(const mac_source *source, float *to, uint32_t row, uint32_t k0, uint32_t depth)
{
    const struct actc_params_gemm *p = source->params;
    if (!p->trans_a) {
        mac_copy(to, source->a + (uint64_t)row * p->k + k0, depth);
        return;
    }
    const float *from = source->a + (uint64_t)k0 * p->m + row;
    for (uint32_t k = 0; k < depth; k++)
        to[k] = MAC_FACTOR(from[(uint64_t)k * p->m]);
}

static inline void pack_b(const mac_source *source, float *to, uint32_t col, uint32_t columns, uint32_t k0,
                          uint32_t depth)
{
    const struct actc_params_gemm *p = source->params;
    if (!p->trans_b) {
        for (uint32_t k = 0; k < depth; k++) {
            mac_copy(to + k * MAC_COLS, source->b + (uint64_t)(k0 + k) * p->n + col, columns);
            mac_zero(to + k * MAC_COLS + columns, MAC_COLS - columns);
        }
        return;
    }
    for (uint32_t c = 0; c < MAC_COLS; c++) {
        const float *from = source->b + (uint64_t)(col + c) * p->k + k0;
        for (uint32_t k = 0; k < depth; k++)
            to[k * MAC_COLS + c] = c < columns ? MAC_FACTOR(from[k]) : 0.0f;
    }
}

static void gemm(const struct actc_params_gemm *p, void *const *views, uint32_t begin, uint32_t end)
{
    mac_source source = {.params = p, .a = views[0], .b = views[1], .pack_a = pack_a, .pack_b = pack_b};
#ifndef ACTC_EXACT_VARIANT
    source.direct = (mac_direct){views[0], p->trans_a ? 1 : p->k, p->trans_a ? p->m : 1};
#endif
    const float *bias = views[2];
    float *c = views[3];
    /* Units: blocks of rows x blocks of columns, so that short matrices are shared out too. */
    uint32_t row_blocks = (p->m + MAC_BLOCK_ROWS - 1) / MAC_BLOCK_ROWS, col_blocks = (p->n + MAC_COLS - 1) / MAC_COLS;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)row_blocks * col_blocks);
    float acc[MAC_BLOCK_ROWS * MAC_COLS];
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        uint32_t row = unit / col_blocks * MAC_BLOCK_ROWS, col = unit % col_blocks * MAC_COLS;
        uint32_t rows = ACTC_MIN(MAC_BLOCK_ROWS, p->m - row), columns = ACTC_MIN(MAC_COLS, p->n - col);
        mac_block(&source, row, rows, col, columns, 0, p->k, acc);
        for (uint32_t r = 0; r < rows; r++) {
            float *out = c + (uint64_t)(row + r) * p->n + col;
            for (uint32_t i = 0; i < columns; i++) {
                float s = acc[r * MAC_COLS + i];
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
