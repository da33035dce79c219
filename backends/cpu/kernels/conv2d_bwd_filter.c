/* conv2d_bwd_filter.c: weight gradients as partial sums over chunks of output pixels, pixels ascending.
 *
 * A chunk is the product of its output gradients, transposed, and its input patches. */
#include "conv_patch.h"

static inline void pack_a(const mac_source *source, float *to, uint32_t row, uint32_t k0, uint32_t depth)
{
    const struct actc_params_conv2d_bwd_filter *p = source->params;
    const float *from = source->a + (uint64_t)k0 * p->oc + row;
    for (uint32_t k = 0; k < depth; k++)
        to[k] = MAC_FACTOR(from[(uint64_t)k * p->oc]);
}

static inline void pack_b(const mac_source *source, float *to, uint32_t col, uint32_t columns, uint32_t k0,
                          uint32_t depth)
{
    const struct actc_params_conv2d_bwd_filter *p = source->params;
    const conv_shape shape = CONV_SHAPE(p);
    for (uint32_t k = 0; k < depth; k++) {
        conv_patch(&shape, source->b, to + k * MAC_COLS, k0 + k, col, columns);
        mac_zero(to + k * MAC_COLS + columns, MAC_COLS - columns);
    }
}

static void backward_filter(const struct actc_params_conv2d_bwd_filter *p, void *const *views, uint32_t begin,
                            uint32_t end)
{
    const mac_source source = {.params = p, .a = views[1], .b = views[0], .pack_a = pack_a, .pack_b = pack_b};
    float *partial = views[2];
    uint32_t pixels = p->batch * p->oh * p->ow, length = p->kh * p->kw * p->ic;
    uint32_t chunks = (pixels + ACTC_FILTER_PIXELS - 1) / ACTC_FILTER_PIXELS;
    uint32_t row_blocks = (p->oc + MAC_BLOCK_ROWS - 1) / MAC_BLOCK_ROWS;
    uint32_t col_blocks = (length + MAC_COLS - 1) / MAC_COLS;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)chunks * row_blocks * col_blocks);
    float acc[MAC_BLOCK_ROWS * MAC_COLS];
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        uint32_t col = unit % col_blocks * MAC_COLS, row = unit / col_blocks % row_blocks * MAC_BLOCK_ROWS;
        uint32_t chunk = unit / col_blocks / row_blocks, first = chunk * ACTC_FILTER_PIXELS;
        uint32_t rows = ACTC_MIN(MAC_BLOCK_ROWS, p->oc - row), columns = ACTC_MIN(MAC_COLS, length - col);
        mac_block(&source, row, rows, col, columns, first, ACTC_MIN(first + ACTC_FILTER_PIXELS, pixels), acc);
        for (uint32_t r = 0; r < rows; r++) {
            float *out = partial + ((uint64_t)chunk * p->oc + row + r) * length + col;
            for (uint32_t i = 0; i < columns; i++)
                out[i] = actc_canon(acc[r * MAC_COLS + i]);
        }
    }
}

MAC_KERNEL(conv2d_bwd_filter)
{
    backward_filter(params, views, begin, end);
}
