/* conv2d_bwd_data.c: each input gradient adds its products in the order (ky,kx,o). Pixels are shared out. */
#include "mac_tile.h"

/* The coordinate of the output that tap `tap` of the kernel leads to from input coordinate `at`, or -1. */
static inline int64_t output_of(uint32_t at, uint32_t padding, uint32_t tap, uint32_t dilation, uint32_t stride,
                                uint32_t extent)
{
    int64_t q = (int64_t)at + padding - (int64_t)tap * dilation;
    if (q < 0 || q % stride != 0 || q / stride >= extent)
        return -1;
    return q / stride;
}

static inline void pack_a(const mac_source *source, float *to, uint32_t row, uint32_t k0, uint32_t depth)
{
    const struct actc_params_conv2d_bwd_data *p = source->params;
    uint32_t ix = row % p->iw, iy = row / p->iw % p->ih, n = row / p->iw / p->ih;
    uint32_t tap = k0 / p->oc, o = k0 % p->oc, ky = tap / p->kw, kx = tap % p->kw;
    for (uint32_t done = 0; done < depth; o = 0) {
        uint32_t run = ACTC_MIN(p->oc - o, depth - done);
        int64_t oy = output_of(iy, p->ph, ky, p->dh, p->sh, p->oh), ox = output_of(ix, p->pw, kx, p->dw, p->sw, p->ow);
        if (oy < 0 || ox < 0)
            mac_zero(to + done, run);
        else
            mac_copy(to + done, source->a + (((uint64_t)n * p->oh + (uint64_t)oy) * p->ow + (uint64_t)ox) * p->oc + o,
                     run);
        done += run;
        if (++kx == p->kw) {
            kx = 0;
            ky++;
        }
    }
}

static inline void pack_b(const mac_source *source, float *to, uint32_t col, uint32_t columns, uint32_t k0,
                          uint32_t depth)
{
    const struct actc_params_conv2d_bwd_data *p = source->params;
    uint32_t taps = p->kh * p->kw, tap = k0 / p->oc, o = k0 % p->oc;
    for (uint32_t k = 0; k < depth; k++) {
        mac_copy(to + k * MAC_COLS, source->b + ((uint64_t)o * taps + tap) * p->ic + col, columns);
        mac_zero(to + k * MAC_COLS + columns, MAC_COLS - columns);
        if (++o == p->oc) {
            o = 0;
            tap++;
        }
    }
}

static void backward_data(const struct actc_params_conv2d_bwd_data *p, void *const *views, uint32_t begin, uint32_t end)
{
    const mac_source source = {.params = p, .a = views[0], .b = views[1], .pack_a = pack_a, .pack_b = pack_b};
    float *dx = views[2];
    uint32_t pixels = p->batch * p->ih * p->iw;
    uint32_t row_blocks = (pixels + MAC_BLOCK_ROWS - 1) / MAC_BLOCK_ROWS;
    uint32_t col_blocks = (p->ic + MAC_COLS - 1) / MAC_COLS;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)row_blocks * col_blocks);
    float acc[MAC_BLOCK_ROWS * MAC_COLS];
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        uint32_t row = unit / col_blocks * MAC_BLOCK_ROWS, col = unit % col_blocks * MAC_COLS;
        uint32_t rows = ACTC_MIN(MAC_BLOCK_ROWS, pixels - row), columns = ACTC_MIN(MAC_COLS, p->ic - col);
        mac_block(&source, row, rows, col, columns, 0, p->kh * p->kw * p->oc, acc);
        for (uint32_t r = 0; r < rows; r++) {
            float *out = dx + (uint64_t)(row + r) * p->ic + col;
            for (uint32_t i = 0; i < columns; i++)
                out[i] = actc_canon(acc[r * MAC_COLS + i]);
        }
    }
}

MAC_KERNEL(conv2d_bwd_data)
{
    backward_data(params, views, begin, end);
}
