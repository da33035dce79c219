/* conv_bwd_data.c: each input gradient adds its products in the order (kz,ky,kx,o). Pixels are shared out. */
#include "conv_line.h"
#include "conv_patch.h"

/* The coordinate of the output that tap `tap` of the kernel leads to from input coordinate `at`, or -1. */
static inline int64_t output_of(uint32_t at, uint32_t padding, uint32_t tap, uint32_t dilation, uint32_t stride,
                                uint32_t extent)
{
    int64_t q = (int64_t)at + padding - (int64_t)tap * dilation;
    if (q < 0 || q % stride != 0 || q / stride >= extent)
        return -1;
    return q / stride;
}

/* The row of output gradients that tap (kz,ky) leads to from input row (iz,iy), or NULL. line: kz * kh + ky. */
static inline const float *gradient_row(const struct actc_params_conv *p, const float *volume, uint32_t iz, uint32_t iy,
                                        uint32_t line)
{
    int64_t oz = output_of(iz, p->pd, line / p->kh, p->dd, p->sd, p->od);
    int64_t oy = output_of(iy, p->ph, line % p->kh, p->dh, p->sh, p->oh);
    return conv_row(volume, oz, oy, p->od, p->oh, p->ow, p->oc);
}

static inline void pack_a(const mac_source *source, float *to, uint32_t row, uint32_t k0, uint32_t depth)
{
    const struct actc_params_conv *p = source->params;
    uint32_t ix = row % p->iw, iy = row / p->iw % p->ih, plane = row / p->iw / p->ih;
    uint32_t tap = k0 / p->oc, o = k0 % p->oc, line = tap / p->kw, kx = tap % p->kw;
    const float *volume = source->a + (uint64_t)(plane / p->id) * p->od * p->oh * p->ow * p->oc;
    for (uint32_t done = 0; done < depth; o = 0) {
        uint32_t run = ACTC_MIN(p->oc - o, depth - done);
        const float *from = gradient_row(p, volume, plane % p->id, iy, line);
        int64_t ox = output_of(ix, p->pw, kx, p->dw, p->sw, p->ow);
        if (!from || ox < 0)
            mac_zero(to + done, run);
        else
            mac_copy(to + done, from + (uint64_t)ox * p->oc + o, run);
        done += run;
        if (++kx == p->kw) {
            kx = 0;
            line++;
        }
    }
}

static inline void pack_b(const mac_source *source, float *to, uint32_t col, uint32_t columns, uint32_t k0,
                          uint32_t depth)
{
    const struct actc_params_conv *p = source->params;
    uint32_t taps = p->kd * p->kh * p->kw, tap = k0 / p->oc, o = k0 % p->oc;
    for (uint32_t k = 0; k < depth; k++) {
        mac_copy(to + k * MAC_COLS, source->b + ((uint64_t)o * taps + tap) * p->ic + col, columns);
        mac_zero(to + k * MAC_COLS + columns, MAC_COLS - columns);
        if (++o == p->oc) {
            o = 0;
            tap++;
        }
    }
}

/* One row of output gradients as the input sees it: at padded coordinates q0 .. q0 + count, where coordinate o * stride
 * holds output o and the others zeros. */
static void fill_spread(float *to, const float *row, int64_t q0, uint32_t count, uint32_t stride, uint32_t extent,
                        uint32_t channels)
{
    if (stride == 1 || !row) {
        line_fill(to, row, q0, count, extent, channels);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        int64_t q = q0 + i;
        if (q < 0 || q % stride != 0 || q / stride >= extent)
            mac_zero(to + (uint64_t)i * channels, channels);
        else
            mac_copy(to + (uint64_t)i * channels, row + q / stride * channels, channels);
    }
}

/* Whole input rows, by stretches of at most `stretch` pixels. */
static void backward_data_lines(const struct actc_params_conv *p, void *const *views, uint32_t first,
                                uint32_t last, uint32_t col, uint32_t columns, uint32_t stretch)
{
    const mac_source source = {.params = p, .b = views[1]};
    const float *dy = views[0], *bias = p->bias ? (const float *)views[2] + col : NULL;
    const uint32_t tile = mac_rows(columns), depth = p->kd * p->kh * p->kw * p->oc, reach = (p->kw - 1) * p->dw;
    float lines[LINE_FLOATS], b[LINE_DEPTH * MAC_COLS], acc[MAC_ROWS_NARROW * MAC_COLS];
    uint32_t offsets[LINE_DEPTH], positions = stretch + reach, length = positions * p->oc;
    pack_b(&source, b, col, columns, 0, depth);
    for (uint32_t k = 0; k < depth; k++) /* tap kx looks kx * dw positions back */
        offsets[k] = k / p->oc / p->kw * length + (reach - k / p->oc % p->kw * p->dw) * p->oc + k % p->oc;
    for (uint32_t row = first; row < last; row++) {
        uint32_t iy = row % p->ih, iz = row / p->ih % p->id;
        const float *volume = dy + (uint64_t)(row / p->ih / p->id) * p->od * p->oh * p->ow * p->oc;
        float *out = (float *)views[3] + (uint64_t)row * p->iw * p->ic + col;
        for (uint32_t ix = 0; ix < p->iw; ix += stretch) {
            uint32_t pixels = ACTC_MIN(stretch, p->iw - ix);
            for (uint32_t line = 0; line < p->kd * p->kh; line++)
                fill_spread(lines + line * length, gradient_row(p, volume, iz, iy, line), (int64_t)ix + p->pw - reach,
                            positions, p->sw, p->ow, p->oc);
            for (uint32_t r = 0; r < pixels; r += tile) {
                mac_zero(acc, tile * MAC_COLS);
                mac_tile_offsets(depth, lines + r * p->oc, p->oc, offsets, b, acc, columns);
                mac_store(acc, ACTC_MIN(tile, pixels - r), columns, bias, out + (uint64_t)(ix + r) * p->ic, p->ic);
            }
        }
    }
}

/* The pixels of blocks of MAC_BLOCK_ROWS. */
static void backward_data_blocks(const struct actc_params_conv *p, void *const *views, uint32_t begin,
                                 uint32_t end)
{
    const mac_source source = {.params = p, .a = views[0], .b = views[1], .pack_a = pack_a, .pack_b = pack_b};
    const float *bias = views[2];
    float *dx = views[3];
    uint32_t pixels = p->batch * p->id * p->ih * p->iw;
    uint32_t row_blocks = (pixels + MAC_BLOCK_ROWS - 1) / MAC_BLOCK_ROWS;
    uint32_t col_blocks = (p->ic + MAC_COLS - 1) / MAC_COLS;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)row_blocks * col_blocks);
    float acc[MAC_BLOCK_ROWS * MAC_COLS];
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        uint32_t row = unit / col_blocks * MAC_BLOCK_ROWS, col = unit % col_blocks * MAC_COLS;
        uint32_t rows = ACTC_MIN(MAC_BLOCK_ROWS, pixels - row), columns = ACTC_MIN(MAC_COLS, p->ic - col);
        mac_block(&source, row, rows, col, columns, 0, p->kd * p->kh * p->kw * p->oc, acc);
        mac_store(acc, rows, columns, p->bias ? bias + col : NULL, dx + (uint64_t)row * p->ic + col, p->ic);
    }
}

static void backward_data(const struct actc_params_conv *p, void *const *views, uint32_t begin, uint32_t end)
{
    uint64_t lines = (uint64_t)p->kd * p->kh;
    uint32_t stretch = line_stretch(lines, 1, (uint64_t)(p->kw - 1) * p->dw + 1, p->oc, p->iw, MAC_ROWS_NARROW);
    if (stretch == 0 || lines * p->kw * p->oc > LINE_DEPTH) {
        backward_data_blocks(p, views, begin, end);
        return;
    }
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)p->batch * p->id * p->ih);
    for (uint32_t col = 0; col < p->ic; col += MAC_COLS)
        backward_data_lines(p, views, span.first, span.last, col, ACTC_MIN(MAC_COLS, p->ic - col), stretch);
}

MAC_KERNEL(conv_bwd_data)
{
    backward_data(params, views, begin, end);
}
