/* conv2d_fwd.c: each output element adds its products in the order (ky,kx,i). Pixels are shared out over the groups. */
#include "conv_patch.h"

static inline void pack_a(const mac_source *source, float *to, uint32_t row, uint32_t k0, uint32_t depth)
{
    const struct actc_params_conv2d_fwd *p = source->params;
    const conv_shape shape = CONV_SHAPE(p);
    conv_patch(&shape, source->a, to, row, k0, depth);
}

static inline void pack_b(const mac_source *source, float *to, uint32_t col, uint32_t columns, uint32_t k0,
                          uint32_t depth)
{
    const struct actc_params_conv2d_fwd *p = source->params;
    uint64_t length = (uint64_t)p->kh * p->kw * p->ic;
    for (uint32_t c = 0; c < MAC_COLS; c++) {
        const float *from = source->b + (c < columns ? col + c : 0) * length + k0;
        for (uint32_t k = 0; k < depth; k++)
            to[k * MAC_COLS + c] = c < columns ? MAC_FACTOR(from[k]) : 0.0f;
    }
}

static void forward(const struct actc_params_conv2d_fwd *p, void *const *views, uint32_t begin, uint32_t end)
{
    const mac_source source = {.params = p, .a = views[0], .b = views[1], .pack_a = pack_a, .pack_b = pack_b};
    const float *bias = views[2];
    float *y = views[3];
    uint32_t pixels = p->batch * p->oh * p->ow;
    uint32_t row_blocks = (pixels + MAC_BLOCK_ROWS - 1) / MAC_BLOCK_ROWS;
    uint32_t col_blocks = (p->oc + MAC_COLS - 1) / MAC_COLS;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)row_blocks * col_blocks);
    float acc[MAC_BLOCK_ROWS * MAC_COLS];
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        uint32_t row = unit / col_blocks * MAC_BLOCK_ROWS, col = unit % col_blocks * MAC_COLS;
        uint32_t rows = ACTC_MIN(MAC_BLOCK_ROWS, pixels - row), columns = ACTC_MIN(MAC_COLS, p->oc - col);
        mac_block(&source, row, rows, col, columns, 0, p->kh * p->kw * p->ic, acc);
        for (uint32_t r = 0; r < rows; r++) {
            float *out = y + (uint64_t)(row + r) * p->oc + col;
            for (uint32_t i = 0; i < columns; i++) {
                float s = acc[r * MAC_COLS + i];
                out[i] = actc_canon(p->bias ? ACTC_ADD(s, actc_flush(bias[col + i])) : s);
            }
        }
    }
}

MAC_KERNEL(conv2d_fwd)
{
    forward(params, views, begin, end);
}
