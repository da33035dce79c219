/* conv_fwd.c: each output element adds its products in the order (kz,ky,kx,i). Pixels are shared out over the groups. */
#include "conv_line.h"
#include "conv_patch.h"

static inline void pack_a(const mac_source *source, float *to, uint32_t row, uint32_t k0, uint32_t depth)
{
    conv_patch(source->params, source->a, to, row, k0, depth);
}

static inline void pack_b(const mac_source *source, float *to, uint32_t col, uint32_t columns, uint32_t k0,
                          uint32_t depth)
{
    const struct actc_params_conv *p = source->params;
    uint64_t length = (uint64_t)p->kd * p->kh * p->kw * p->ic;
    for (uint32_t c = 0; c < MAC_COLS; c++) {
        const float *from = source->b + (c < columns ? col + c : 0) * length + k0;
        for (uint32_t k = 0; k < depth; k++)
            to[k * MAC_COLS + c] = c < columns ? MAC_FACTOR(from[k]) : 0.0f;
    }
}

/* Whole output rows, by stretches of at most `stretch` pixels. */
static void forward_lines(const struct actc_params_conv *p, void *const *views, uint32_t first, uint32_t last,
                          uint32_t col, uint32_t columns, uint32_t stretch)
{
    const mac_source source = {.params = p, .b = views[1]};
    const float *x = views[0], *bias = p->bias ? (const float *)views[2] + col : NULL;
    const uint32_t tile = mac_rows(columns), depth = p->kd * p->kh * p->kw * p->ic;
    float lines[LINE_FLOATS], b[LINE_DEPTH * MAC_COLS], acc[MAC_ROWS_NARROW * MAC_COLS];
    uint32_t offsets[LINE_DEPTH], positions = (stretch - 1) * p->sw + (p->kw - 1) * p->dw + 1, length = positions * p->ic;
    pack_b(&source, b, col, columns, 0, depth);
    for (uint32_t k = 0; k < depth; k++)
        offsets[k] = k / p->ic / p->kw * length + k / p->ic % p->kw * p->dw * p->ic + k % p->ic;
    for (uint32_t row = first; row < last; row++) {
        uint32_t oy = row % p->oh, oz = row / p->oh % p->od;
        const float *volume = x + (uint64_t)(row / p->oh / p->od) * p->id * p->ih * p->iw * p->ic;
        float *out = (float *)views[3] + (uint64_t)row * p->ow * p->oc + col;
        for (uint32_t ox = 0; ox < p->ow; ox += stretch) {
            uint32_t pixels = ACTC_MIN(stretch, p->ow - ox);
            for (uint32_t line = 0; line < p->kd * p->kh; line++)
                line_fill(lines + line * length, conv_input_row(p, volume, oz, oy, line), (int64_t)ox * p->sw - p->pw,
                          positions, p->iw, p->ic);
            for (uint32_t r = 0; r < pixels; r += tile) {
                mac_zero(acc, tile * MAC_COLS);
                mac_tile_offsets(depth, lines + r * p->sw * p->ic, (size_t)p->sw * p->ic, offsets, b, acc, columns);
                mac_store(acc, ACTC_MIN(tile, pixels - r), columns, bias, out + (uint64_t)(ox + r) * p->oc, p->oc);
            }
        }
    }
}

/* The pixels of blocks of MAC_BLOCK_ROWS. */
static void forward_blocks(const struct actc_params_conv *p, void *const *views, uint32_t begin, uint32_t end)
{
    const mac_source source = {.params = p, .a = views[0], .b = views[1], .pack_a = pack_a, .pack_b = pack_b};
    const float *bias = views[2];
    float *y = views[3];
    uint32_t pixels = p->batch * p->od * p->oh * p->ow;
    uint32_t row_blocks = (pixels + MAC_BLOCK_ROWS - 1) / MAC_BLOCK_ROWS;
    uint32_t col_blocks = (p->oc + MAC_COLS - 1) / MAC_COLS;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)row_blocks * col_blocks);
    float acc[MAC_BLOCK_ROWS * MAC_COLS];
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        uint32_t row = unit / col_blocks * MAC_BLOCK_ROWS, col = unit % col_blocks * MAC_COLS;
        uint32_t rows = ACTC_MIN(MAC_BLOCK_ROWS, pixels - row), columns = ACTC_MIN(MAC_COLS, p->oc - col);
        mac_block(&source, row, rows, col, columns, 0, p->kd * p->kh * p->kw * p->ic, acc);
        mac_store(acc, rows, columns, p->bias ? bias + col : NULL, y + (uint64_t)row * p->oc + col, p->oc);
    }
}

static void forward(const struct actc_params_conv *p, void *const *views, uint32_t begin, uint32_t end)
{
    uint64_t lines = (uint64_t)p->kd * p->kh;
    uint32_t stretch = line_stretch(lines, p->sw, (uint64_t)(p->kw - 1) * p->dw + 1, p->ic, p->ow, MAC_ROWS_NARROW);
    if (stretch == 0 || lines * p->kw * p->ic > LINE_DEPTH) {
        forward_blocks(p, views, begin, end);
        return;
    }
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)p->batch * p->od * p->oh);
    for (uint32_t col = 0; col < p->oc; col += MAC_COLS)
        forward_lines(p, views, span.first, span.last, col, ACTC_MIN(MAC_COLS, p->oc - col), stretch);
}

MAC_KERNEL(conv_fwd)
{
    forward(params, views, begin, end);
}
