/* depthwise_bwd_filter.c: weight gradients as partial sums over chunks of output pixels, pixels ascending. Chunks, blocks of
 * channels and of taps are shared out. */
#include "depthwise.h"

#define TAPS 64u /* whose sums are kept at once */

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

/* The run of pixels from `at` on, for taps tap .. tap + n_taps. */
static void filter_run(const struct actc_params_conv *p, void *const *views, uint32_t at, uint32_t end, uint32_t tap,
                       uint32_t n_taps, uint32_t channel, uint32_t count, float *sums)
{
    const float *x = views[0], *dy = views[1];
    memset(sums, 0, sizeof(float) * TAPS * DEPTHWISE_CHANNELS);
    while (at < end) {
        uint32_t ox = at % p->ow, row = at / p->ow, oy = row % p->oh, oz = row / p->oh % p->od;
        uint32_t pixels = ACTC_MIN(p->ow - ox, end - at);
        const float *volume = x + (uint64_t)(row / p->oh / p->od) * p->id * p->ih * p->iw * p->ic;
        for (uint32_t t = tap; t < tap + n_taps; t++) {
            int64_t iz = depthwise_input(oz, t / p->kw / p->kh, p->sd, p->pd, p->dd, p->id);
            int64_t iy = depthwise_input(oy, t / p->kw % p->kh, p->sh, p->ph, p->dh, p->ih);
            if (iz < 0 || iy < 0)
                continue;
            depthwise_range range = depthwise_outputs(0, p->iw, t % p->kw, p->sw, p->pw, p->dw, p->ow);
            range.first = range.first > ox ? range.first : ox;
            range.last = ACTC_MIN(range.last, ox + pixels);
            add_row(p, volume + ((uint64_t)iz * p->ih + (uint64_t)iy) * p->iw * p->ic,
                    dy + ((uint64_t)row * p->ow + range.first) * p->oc + channel, range, t % p->kw, channel, count,
                    sums + (t - tap) * DEPTHWISE_CHANNELS);
        }
        at += pixels;
    }
}

ACTC_CPU_KERNEL(depthwise_bwd_filter)
{
    const struct actc_params_conv *p = params;
    const uint32_t taps = p->kd * p->kh * p->kw, pixels = p->batch * p->od * p->oh * p->ow;
    const uint32_t all_runs = (pixels + ACTC_FILTER_PIXELS - 1) / ACTC_FILTER_PIXELS, chunks = (all_runs + p->runs - 1) / p->runs;
    const uint32_t blocks = (p->oc + DEPTHWISE_CHANNELS - 1) / DEPTHWISE_CHANNELS, parts = (taps + TAPS - 1) / TAPS;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)chunks * blocks * parts);
    float sums[TAPS * DEPTHWISE_CHANNELS];
    for (uint32_t unit = span.first; unit < span.last; unit++) {
        uint32_t tap = unit % parts * TAPS, n_taps = ACTC_MIN(TAPS, taps - tap);
        uint32_t channel = unit / parts % blocks * DEPTHWISE_CHANNELS, count = ACTC_MIN(DEPTHWISE_CHANNELS, p->oc - channel);
        uint32_t chunk = unit / parts / blocks;
        float *partial = (float *)views[2] + ((uint64_t)chunk * p->oc + channel) * taps + tap;
        for (uint32_t run = 0; run < p->runs && chunk * p->runs + run < all_runs; run++) {
            uint32_t at = (chunk * p->runs + run) * ACTC_FILTER_PIXELS;
            filter_run(p, views, at, ACTC_MIN(at + ACTC_FILTER_PIXELS, pixels), tap, n_taps, channel, count, sums);
            for (uint32_t c = 0; c < count; c++)
                for (uint32_t t = 0; t < n_taps; t++) {
                    float *to = &partial[(uint64_t)c * taps + t], s = actc_canon(sums[t * DEPTHWISE_CHANNELS + c]);
                    *to = run == 0 ? s : actc_canon(ACTC_ADD(*to, s));
                }
        }
    }
}
