/* conv2d_bwd_filter.c: weight gradients as partial sums over chunks of output pixels, pixels ascending.
 *
 * A chunk is the product of its output gradients, transposed, and its input patches. */
#include "conv_line.h"
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

/* The sums of one chunk for output channels col .. col + columns, rows (ky,kx,i). A run of rows lies side by side in an
 * image row: all of a kernel row, or of a tap where taps are spread. Runs are made up to whole tiles in acc. */
typedef struct runs {
    uint32_t count, length, padded, a_step; /* of one kernel row; a_step: floats from run to run in the image row */
} runs;

static inline runs runs_of(const struct actc_params_conv2d_bwd_filter *p, uint32_t tile)
{
    bool dense = p->dw == 1;
    uint32_t length = dense ? p->kw * p->ic : p->ic;
    return (runs){dense ? 1 : p->kw, length, (length + tile - 1) / tile * tile, p->dw * p->ic};
}

static void filter_chunk(const struct actc_params_conv2d_bwd_filter *p, void *const *views, uint32_t chunk, uint32_t col,
                         uint32_t columns, uint32_t stretch, float *acc)
{
    const float *x = views[0], *dy = views[1];
    float *partial = views[2];
    const uint32_t tile = mac_rows(columns), pixels = p->batch * p->oh * p->ow;
    const runs r = runs_of(p, tile);
    float lines[LINE_FLOATS + MAC_ROWS_NARROW], b[LINE_STRETCH * MAC_COLS];
    uint32_t positions = (stretch - 1) * p->sw + (p->kw - 1) * p->dw + 1, length = positions * p->ic;
    mac_zero(acc, p->kh * r.count * r.padded * MAC_COLS);
    mac_zero(lines + LINE_FLOATS, MAC_ROWS_NARROW);
    uint32_t at = chunk * ACTC_FILTER_PIXELS, end = ACTC_MIN(at + ACTC_FILTER_PIXELS, pixels);
    while (at < end) {
        uint32_t ox = at % p->ow, row = at / p->ow, n = row / p->oh;
        uint32_t count = ACTC_MIN(ACTC_MIN(stretch, p->ow - ox), end - at);
        for (uint32_t ky = 0; ky < p->kh; ky++) {
            int64_t iy = (int64_t)(row % p->oh) * p->sh - p->ph + (int64_t)ky * p->dh;
            const float *line =
                iy < 0 || iy >= (int64_t)p->ih ? NULL : x + ((uint64_t)n * p->ih + (uint64_t)iy) * p->iw * p->ic;
            line_fill(lines + ky * length, line, (int64_t)ox * p->sw - p->pw, positions, p->iw, p->ic);
        }
        for (uint32_t k = 0; k < count; k++) {
            mac_copy(b + k * MAC_COLS, dy + (uint64_t)(at + k) * p->oc + col, columns);
            mac_zero(b + k * MAC_COLS + columns, MAC_COLS - columns);
        }
        for (uint32_t ky = 0; ky < p->kh; ky++)
            for (uint32_t run = 0; run < r.count; run++) {
                const float *a = lines + ky * length + run * r.a_step;
                float *to = acc + (uint64_t)(ky * r.count + run) * r.padded * MAC_COLS;
                for (uint32_t j = 0; j < r.padded; j += tile)
                    mac_tile(count, a + j, 1, (size_t)p->sw * p->ic, b, to + j * MAC_COLS, columns);
            }
        at += count;
    }
    uint32_t depth = p->kh * p->kw * p->ic;
    for (uint32_t o = 0; o < columns; o++) {
        float *out = partial + ((uint64_t)chunk * p->oc + col + o) * depth;
        for (uint32_t run = 0; run < p->kh * r.count; run++)
            for (uint32_t j = 0; j < r.length; j++)
                *out++ = actc_canon(acc[(run * r.padded + j) * MAC_COLS + o]);
    }
}

static void filter_lines(const struct actc_params_conv2d_bwd_filter *p, void *const *views, uint32_t begin, uint32_t end,
                         uint32_t stretch)
{
    uint32_t chunks = (p->batch * p->oh * p->ow + ACTC_FILTER_PIXELS - 1) / ACTC_FILTER_PIXELS;
    uint32_t col_blocks = (p->oc + MAC_COLS - 1) / MAC_COLS;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)chunks * col_blocks);
    float acc[LINE_DEPTH * MAC_COLS];
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        uint32_t col = unit % col_blocks * MAC_COLS;
        filter_chunk(p, views, unit / col_blocks, col, ACTC_MIN(MAC_COLS, p->oc - col), stretch, acc);
    }
}

/* By blocks of MAC_BLOCK_ROWS output channels and MAC_COLS of the products. */
static void filter_blocks(const struct actc_params_conv2d_bwd_filter *p, void *const *views, uint32_t begin,
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

static void backward_filter(const struct actc_params_conv2d_bwd_filter *p, void *const *views, uint32_t begin,
                            uint32_t end)
{
    uint32_t stretch = line_stretch(p->kh, p->sw, (uint64_t)(p->kw - 1) * p->dw + 1, p->ic, p->ow, 1);
    runs r = runs_of(p, MAC_ROWS_NARROW);
    if (stretch < 8 || (uint64_t)p->kh * r.count * r.padded > LINE_DEPTH)
        filter_blocks(p, views, begin, end);
    else
        filter_lines(p, views, begin, end, stretch);
}

MAC_KERNEL(conv2d_bwd_filter)
{
    backward_filter(params, views, begin, end);
}
