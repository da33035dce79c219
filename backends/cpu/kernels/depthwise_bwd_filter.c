/* depthwise_bwd_filter.c: weight gradients as partial sums over chunks of output pixels, pixels ascending. Chunks, blocks of
 * channels and of taps are shared out. Tiles of pixels where there is one for the kernel. */
#include "depthwise_tile.h"

#define TAPS 64u    /* of a channel whose sums are kept at once, */
#define SUMS 16384u /* and sums in all */

/* sums += x * dy for `count` pixels side by side; x_step: floats from input to input. */
static inline void add_pixels(const float *x, const float *dy, uint32_t pixels, uint64_t x_step, uint32_t oc, uint32_t count,
                              float *sums)
{
    float s[DEPTHWISE_CHANNELS];
    memcpy(s, sums, sizeof s);
    for (uint32_t i = 0; i < pixels; i++) {
        ACTC_CPU_SIMD
        for (uint32_t c = 0; c < count; c++)
            s[c] = ACTC_ADD(s[c], ACTC_MUL(actc_factor(x[c]), actc_factor(dy[c])));
        x += x_step;
        dy += oc;
    }
    memcpy(sums, s, sizeof s);
}

static void add_row(const struct actc_params_conv *p, const float *row, const float *dy, depthwise_range range, uint32_t kx,
                    uint32_t channel, uint32_t count, float *sums)
{
    const uint32_t m = p->oc / p->ic;
    if (range.first >= range.last)
        return;
    const float *from = row + (uint64_t)((int64_t)range.first * p->sw - p->pw + (int64_t)kx * p->dw) * p->ic;
    uint32_t pixels = range.last - range.first;
    uint64_t step = (uint64_t)p->sw * p->ic;
    if (m == 1 && count == DEPTHWISE_CHANNELS) {
        add_pixels(from + channel, dy, pixels, step, p->oc, DEPTHWISE_CHANNELS, sums);
    } else if (m == 1) {
        add_pixels(from + channel, dy, pixels, step, p->oc, count, sums);
    } else {
        for (uint32_t i = 0; i < pixels; i++)
            for (uint32_t c = 0; c < count; c++)
                sums[c] = ACTC_ADD(sums[c], ACTC_MUL(actc_factor(from[i * step + (channel + c) / m]),
                                                     actc_factor(dy[(uint64_t)i * p->oc + c])));
    }
}

/* As it lies among the sums. */
typedef depthwise_vec depthwise_sums __attribute__((aligned(4), may_alias));

/* The taps of one line, DEPTHWISE_TILE outputs and DEPTHWISE_LANES channels; output i reads pixels at + stride * i + k. */
static inline __attribute__((always_inline)) void filter_tile(const struct actc_params_conv *p, const float *row, int64_t at,
                                                              const float *dy, float *sums, const uint32_t taps, const uint32_t stride)
{
    depthwise_vec s[7], g[DEPTHWISE_TILE];
#pragma GCC unroll 7
    for (uint32_t k = 0; k < taps; k++)
        s[k] = *(const depthwise_sums *)(sums + k * DEPTHWISE_CHANNELS);
#pragma GCC unroll 8
    for (uint32_t i = 0; i < DEPTHWISE_TILE; i++)
        g[i] = depthwise_load(dy + (uint64_t)i * p->oc);
#pragma GCC unroll 21
    for (uint32_t i = 0; i < (DEPTHWISE_TILE - 1) * stride + taps; i++) {
        const int64_t pixel = at + i;
        if ((uint64_t)pixel >= p->iw)
            continue;
        const depthwise_vec x = depthwise_load(row + (uint64_t)pixel * p->ic);
#pragma GCC unroll 7
        for (uint32_t k = 0; k < taps; k++)
            if (i >= k && (i - k) % stride == 0 && (i - k) / stride < DEPTHWISE_TILE)
                s[k] += x * g[(i - k) / stride];
    }
#pragma GCC unroll 7
    for (uint32_t k = 0; k < taps; k++)
        *(depthwise_sums *)(sums + k * DEPTHWISE_CHANNELS) = s[k];
}

#define FILTER_TILE_OF(taps, stride)                                          \
    case 8 * stride + taps: filter_tile(p, row, at, dy, sums, taps, stride); break

static void tile_of(const struct actc_params_conv *p, const float *row, int64_t at, const float *dy, float *sums)
{
    switch (8 * p->sw + p->kw) {
        FILTER_TILE_OF(3, 1);
        FILTER_TILE_OF(5, 1);
        FILTER_TILE_OF(7, 1);
        FILTER_TILE_OF(3, 2);
        FILTER_TILE_OF(5, 2);
        FILTER_TILE_OF(7, 2);
    }
}

static bool has_tiles(const struct actc_params_conv *p)
{
    return p->oc == p->ic && (p->kw == 3 || p->kw == 5 || p->kw == 7) && (p->sw == 1 || p->sw == 2) && p->dw == 1;
}

/* A line of taps, [tap, tap + n_taps) of its kw, for the outputs [first, last) of a row: dy is where the row begins, sums are of its first
 * tap, all at the block of channels. Those of a tile together, the rest tap by tap. */
static void add_line(const struct actc_params_conv *p, const float *row, const float *dy, uint32_t first, uint32_t last, uint32_t tap,
                     uint32_t n_taps, uint32_t channel, uint32_t count, float *sums)
{
    const uint32_t tiled = n_taps == p->kw && has_tiles(p) && last - first >= DEPTHWISE_TILE ? count / DEPTHWISE_LANES * DEPTHWISE_LANES : 0;
    uint32_t from = first;
    for (; tiled && from + DEPTHWISE_TILE <= last; from += DEPTHWISE_TILE)
        for (uint32_t c = 0; c < tiled; c += DEPTHWISE_LANES)
            tile_of(p, row + channel + c, (int64_t)from * p->sw - p->pw, dy + (uint64_t)from * p->oc + c, sums + c);
    for (uint32_t kx = tap; kx < tap + n_taps; kx++) {
        depthwise_range range = depthwise_outputs(0, p->iw, kx, p->sw, p->pw, p->dw, p->ow), rest = range;
        float *of_tap = sums + (kx - tap) * DEPTHWISE_CHANNELS;
        range.first = range.first > from ? range.first : from;
        range.last = ACTC_MIN(range.last, last);
        add_row(p, row, dy + (uint64_t)range.first * p->oc, range, kx, channel, tiled ? tiled : count, of_tap);
        rest.first = rest.first > first ? rest.first : first;
        rest.last = range.last;
        if (tiled && tiled < count)
            add_row(p, row, dy + (uint64_t)rest.first * p->oc + tiled, rest, kx, channel + tiled, count - tiled, of_tap + tiled);
    }
}

/* Blocks of channels and their taps [tap, tap + n_taps), whose sums are made at once, one block behind the other. */
typedef struct filter_group {
    uint32_t channel, end, tap, n_taps;
} filter_group;

/* The run of pixels from `at` on: row by row, so that what is read is read in the order of memory. */
static void filter_run(const struct actc_params_conv *p, void *const *views, uint32_t at, uint32_t end, const filter_group *g, float *sums)
{
    const float *x = views[0], *dy = views[1];
    while (at < end) {
        uint32_t ox = at % p->ow, row = at / p->ow, oy = row % p->oh, oz = row / p->oh % p->od;
        uint32_t pixels = ACTC_MIN(p->ow - ox, end - at), n;
        const float *volume = x + (uint64_t)(row / p->oh / p->od) * p->id * p->ih * p->iw * p->ic;
        if (g->end - g->channel == p->oc) { /* what the next row of outputs reads and this one did not */
            const uint64_t floats = (uint64_t)p->iw * p->ic, rows = (uint64_t)p->batch * p->id * p->ih;
            const uint64_t next = (uint64_t)(row / p->oh) * p->sd * p->ih + oy * p->sh + p->kh;
            if (next < rows)
                depthwise_fetch(x + next * floats, ACTC_MIN(p->sh, rows - next) * floats);
            depthwise_fetch(dy + (uint64_t)at * p->oc, (uint64_t)pixels * p->oc);
        }
        for (uint32_t channel = g->channel; channel < g->end; channel += DEPTHWISE_CHANNELS) {
            uint32_t count = ACTC_MIN(DEPTHWISE_CHANNELS, g->end - channel);
            float *of_block = sums + (uint64_t)(channel - g->channel) * g->n_taps;
            for (uint32_t t = g->tap; t < g->tap + g->n_taps; t += n) {
                n = ACTC_MIN(p->kw - t % p->kw, g->tap + g->n_taps - t);
                int64_t iz = depthwise_input(oz, t / p->kw / p->kh, p->sd, p->pd, p->dd, p->id);
                int64_t iy = depthwise_input(oy, t / p->kw % p->kh, p->sh, p->ph, p->dh, p->ih);
                if (iz >= 0 && iy >= 0)
                    add_line(p, volume + ((uint64_t)iz * p->ih + (uint64_t)iy) * p->iw * p->ic,
                             dy + (uint64_t)row * p->ow * p->oc + channel, ox, ox + pixels, t % p->kw, n, channel, count,
                             of_block + (t - g->tap) * DEPTHWISE_CHANNELS);
            }
        }
        at += pixels;
    }
}

/* partial (oc,taps) of a chunk: its first run's sums, or added to. */
static void store_run(const filter_group *g, const float *sums, bool first, uint32_t taps, float *partial)
{
    for (uint32_t channel = g->channel; channel < g->end; channel++) {
        const uint32_t block = (channel - g->channel) / DEPTHWISE_CHANNELS, c = (channel - g->channel) % DEPTHWISE_CHANNELS;
        const float *from = sums + (uint64_t)block * DEPTHWISE_CHANNELS * g->n_taps + c;
        for (uint32_t t = 0; t < g->n_taps; t++) {
            float *to = &partial[(uint64_t)channel * taps + g->tap + t], s = actc_canon(from[t * DEPTHWISE_CHANNELS]);
            *to = first ? s : actc_canon(ACTC_ADD(*to, s));
        }
    }
}

ACTC_CPU_KERNEL(depthwise_bwd_filter)
{
    const struct actc_params_conv *p = params;
    const uint32_t taps = p->kd * p->kh * p->kw, pixels = p->batch * p->od * p->oh * p->ow;
    const uint32_t all_runs = (pixels + ACTC_FILTER_PIXELS - 1) / ACTC_FILTER_PIXELS, chunks = (all_runs + p->runs - 1) / p->runs;
    const uint32_t blocks = (p->oc + DEPTHWISE_CHANNELS - 1) / DEPTHWISE_CHANNELS, parts = (taps + TAPS - 1) / TAPS;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)chunks * parts * blocks);
    float sums[SUMS];
    for (uint32_t unit = span.first, done; unit < span.last; unit += done) {
        const uint32_t block = unit % blocks, chunk = unit / blocks / parts, tap = unit / blocks % parts * TAPS;
        filter_group g = {.channel = block * DEPTHWISE_CHANNELS, .tap = tap, .n_taps = ACTC_MIN(TAPS, taps - tap)};
        done = ACTC_MIN(ACTC_MIN(blocks - block, span.last - unit), SUMS / DEPTHWISE_CHANNELS / g.n_taps);
        g.end = ACTC_MIN(g.channel + done * DEPTHWISE_CHANNELS, p->oc);
        for (uint32_t run = 0; run < p->runs && chunk * p->runs + run < all_runs; run++) {
            uint32_t at = (chunk * p->runs + run) * ACTC_FILTER_PIXELS;
            memset(sums, 0, sizeof(float) * done * DEPTHWISE_CHANNELS * g.n_taps);
            filter_run(p, views, at, ACTC_MIN(at + ACTC_FILTER_PIXELS, pixels), &g, sums);
            store_run(&g, sums, run == 0, taps, (float *)views[2] + (uint64_t)chunk * p->oc * taps);
        }
    }
}
