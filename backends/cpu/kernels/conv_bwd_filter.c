/* conv_bwd_filter.c: weight gradients as partial sums over chunks of output pixels, pixels ascending.
 *
 * A run of pixels is the product of its output gradients, transposed, and its input patches; the runs of a chunk are added. */
#include "conv_line.h"
#include "conv_patch.h"

static inline void pack_a(const mac_source *source, float *to, uint32_t row, uint32_t k0, uint32_t depth)
{
    const struct actc_params_conv *p = source->params;
    const float *from = source->a + (uint64_t)k0 * p->oc + row;
    for (uint32_t k = 0; k < depth; k++)
        to[k] = MAC_FACTOR(from[(uint64_t)k * p->oc]);
}

static inline void pack_b(const mac_source *source, float *to, uint32_t col, uint32_t columns, uint32_t k0,
                          uint32_t depth)
{
    for (uint32_t k = 0; k < depth; k++) {
        conv_patch(source->params, source->b, to + k * MAC_COLS, k0 + k, col, columns);
        mac_zero(to + k * MAC_COLS + columns, MAC_COLS - columns);
    }
}

/* What is in the partial sum of a chunk after one run more. */
static inline float add_run(float old, float sum, bool first)
{
    return first ? actc_canon(sum) : actc_canon(ACTC_ADD(old, actc_canon(sum)));
}

/* Weights of one output channel, rows (kz,ky,kx,i), as strips that lie side by side in an input row: all of a kernel row,
 * or a tap where taps are spread. Strips are made up to whole tiles in acc. */
typedef struct strips {
    uint32_t count, length, padded, a_step; /* of one kernel row; a_step: floats from strip to strip in the input row */
} strips;

static inline strips strips_of(const struct actc_params_conv *p, uint32_t tile)
{
    bool dense = p->dw == 1;
    uint32_t length = dense ? p->kw * p->ic : p->ic;
    return (strips){dense ? 1 : p->kw, length, (length + tile - 1) / tile * tile, p->dw * p->ic};
}

/* Adds the run of pixels from `at` on to the partial sums of output channels col .. col + columns. */
static void filter_run(const struct actc_params_conv *p, void *const *views, uint32_t at, bool first, float *partial,
                       uint32_t col, uint32_t columns, uint32_t stretch, float *acc)
{
    const float *x = views[0], *dy = views[1];
    const uint32_t tile = mac_rows(columns), pixels = p->batch * p->od * p->oh * p->ow, lines_count = p->kd * p->kh;
    const strips r = strips_of(p, tile);
    float lines[LINE_FLOATS + MAC_ROWS_NARROW], b[LINE_STRETCH * MAC_COLS];
    uint32_t positions = (stretch - 1) * p->sw + (p->kw - 1) * p->dw + 1, length = positions * p->ic;
    mac_zero(acc, lines_count * r.count * r.padded * MAC_COLS);
    mac_zero(lines + LINE_FLOATS, MAC_ROWS_NARROW);
    uint32_t end = ACTC_MIN(at + ACTC_FILTER_PIXELS, pixels);
    while (at < end) {
        uint32_t ox = at % p->ow, row = at / p->ow, oz = row / p->oh % p->od, n = row / p->oh / p->od;
        uint32_t count = ACTC_MIN(ACTC_MIN(stretch, p->ow - ox), end - at);
        const float *volume = x + (uint64_t)n * p->id * p->ih * p->iw * p->ic;
        for (uint32_t line = 0; line < lines_count; line++)
            line_fill(lines + line * length, conv_input_row(p, volume, oz, row % p->oh, line), (int64_t)ox * p->sw - p->pw,
                      positions, p->iw, p->ic);
        for (uint32_t k = 0; k < count; k++) {
            mac_copy(b + k * MAC_COLS, dy + (uint64_t)(at + k) * p->oc + col, columns);
            mac_zero(b + k * MAC_COLS + columns, MAC_COLS - columns);
        }
        for (uint32_t line = 0; line < lines_count; line++)
            for (uint32_t strip = 0; strip < r.count; strip++) {
                const float *a = lines + line * length + strip * r.a_step;
                float *to = acc + (uint64_t)(line * r.count + strip) * r.padded * MAC_COLS;
                for (uint32_t j = 0; j < r.padded; j += tile)
                    mac_tile(count, a + j, 1, (size_t)p->sw * p->ic, b, to + j * MAC_COLS, columns);
            }
        at += count;
    }
    uint32_t depth = lines_count * p->kw * p->ic;
    for (uint32_t o = 0; o < columns; o++) {
        float *out = partial + (uint64_t)(col + o) * depth;
        for (uint32_t strip = 0; strip < lines_count * r.count; strip++)
            for (uint32_t j = 0; j < r.length; j++, out++)
                *out = add_run(*out, acc[(strip * r.padded + j) * MAC_COLS + o], first);
    }
}

/* Pixels of a chunk, and how many chunks there are. */
static inline uint32_t chunk_pixels(const struct actc_params_conv *p, uint32_t *chunks)
{
    uint32_t pixels = p->batch * p->od * p->oh * p->ow, runs = (pixels + ACTC_FILTER_PIXELS - 1) / ACTC_FILTER_PIXELS;
    *chunks = (runs + p->runs - 1) / p->runs;
    return p->runs * ACTC_FILTER_PIXELS;
}

static void filter_lines(const struct actc_params_conv *p, void *const *views, uint32_t begin, uint32_t end, uint32_t stretch)
{
    uint32_t chunks, length = chunk_pixels(p, &chunks), pixels = p->batch * p->od * p->oh * p->ow;
    uint32_t col_blocks = (p->oc + MAC_COLS - 1) / MAC_COLS;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)chunks * col_blocks);
    float acc[LINE_DEPTH * MAC_COLS];
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        uint32_t col = unit % col_blocks * MAC_COLS, chunk = unit / col_blocks, first = chunk * length;
        float *partial = (float *)views[2] + (uint64_t)chunk * p->oc * p->kd * p->kh * p->kw * p->ic;
        for (uint32_t at = first; at < pixels && at - first < length; at += ACTC_FILTER_PIXELS)
            filter_run(p, views, at, at == first, partial, col, ACTC_MIN(MAC_COLS, p->oc - col), stretch, acc);
    }
}

/* By blocks of MAC_BLOCK_ROWS output channels and MAC_COLS of the products. */
static void filter_blocks(const struct actc_params_conv *p, void *const *views, uint32_t begin, uint32_t end)
{
    const mac_source source = {.params = p, .a = views[1], .b = views[0], .pack_a = pack_a, .pack_b = pack_b};
    uint32_t chunks, chunk_length = chunk_pixels(p, &chunks);
    uint32_t pixels = p->batch * p->od * p->oh * p->ow, length = p->kd * p->kh * p->kw * p->ic;
    uint32_t row_blocks = (p->oc + MAC_BLOCK_ROWS - 1) / MAC_BLOCK_ROWS;
    uint32_t col_blocks = (length + MAC_COLS - 1) / MAC_COLS;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)chunks * row_blocks * col_blocks);
    float acc[MAC_BLOCK_ROWS * MAC_COLS];
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        uint32_t col = unit % col_blocks * MAC_COLS, row = unit / col_blocks % row_blocks * MAC_BLOCK_ROWS;
        uint32_t chunk = unit / col_blocks / row_blocks, first = chunk * chunk_length;
        uint32_t rows = ACTC_MIN(MAC_BLOCK_ROWS, p->oc - row), columns = ACTC_MIN(MAC_COLS, length - col);
        for (uint32_t at = first; at < pixels && at - first < chunk_length; at += ACTC_FILTER_PIXELS) {
            mac_block(&source, row, rows, col, columns, at, ACTC_MIN(at + ACTC_FILTER_PIXELS, pixels), acc);
            for (uint32_t r = 0; r < rows; r++) {
                float *out = (float *)views[2] + ((uint64_t)chunk * p->oc + row + r) * length + col;
                for (uint32_t i = 0; i < columns; i++)
                    out[i] = add_run(out[i], acc[r * MAC_COLS + i], at == first);
            }
        }
    }
}

static void backward_filter(const struct actc_params_conv *p, void *const *views, uint32_t begin, uint32_t end)
{
    uint64_t lines = (uint64_t)p->kd * p->kh;
    uint32_t stretch = line_stretch(lines, p->sw, (uint64_t)(p->kw - 1) * p->dw + 1, p->ic, p->ow, 1);
    strips r = strips_of(p, MAC_ROWS_NARROW);
    if (stretch < 8 || lines * r.count * r.padded > LINE_DEPTH)
        filter_blocks(p, views, begin, end);
    else
        filter_lines(p, views, begin, end, stretch);
}

MAC_KERNEL(conv_bwd_filter)
{
    backward_filter(params, views, begin, end);
}
