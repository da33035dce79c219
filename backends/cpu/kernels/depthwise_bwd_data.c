/* depthwise_bwd_data.c: each input gradient adds its products in the order (kz,ky,kx), and for each those of its outputs.
 * Input rows are shared out. */
#include "depthwise.h"

/* sums[pixel][c] += dy * w for the outputs `range`, whose inputs lie in the stretch that begins at x0; row: of dy. */
static void add_tap(const struct actc_params_conv *p, const float *row, const depthwise_weights *weights, uint32_t tap,
                    depthwise_range range, uint32_t x0, uint32_t channel, uint32_t count, float *sums)
{
    const uint32_t m = p->oc / p->ic;
    float buffer[DEPTHWISE_CHANNELS];
    for (uint32_t j = 0; j < m; j++) {
        const float *w = depthwise_vector(weights, tap, j, buffer);
        for (uint32_t ox = range.first; ox < range.last; ox++) {
            uint64_t ix = (uint64_t)((int64_t)ox * p->sw - p->pw + (int64_t)(tap % p->kw) * p->dw);
            const float *from = row + (uint64_t)ox * p->oc + channel * m + j;
            float *s = sums + (ix - x0) * DEPTHWISE_CHANNELS;
            depthwise_add(s, from, m, w, count);
        }
    }
}

static void backward_row(const struct actc_params_conv *p, void *const *views, const depthwise_weights *weights, uint32_t row,
                         uint32_t channel, uint32_t count)
{
    const float *dy = views[0], *bias = p->bias ? (const float *)views[2] + channel : NULL;
    const uint32_t taps = p->kd * p->kh * p->kw, iy = row % p->ih, iz = row / p->ih % p->id;
    const float *volume = dy + (uint64_t)(row / p->ih / p->id) * p->od * p->oh * p->ow * p->oc;
    float sums[DEPTHWISE_STRETCH * DEPTHWISE_CHANNELS];
    for (uint32_t x0 = 0; x0 < p->iw; x0 += DEPTHWISE_STRETCH) {
        uint32_t pixels = ACTC_MIN(DEPTHWISE_STRETCH, p->iw - x0);
        memset(sums, 0, sizeof sums);
        for (uint32_t tap = 0; tap < taps; tap++) {
            int64_t oz = depthwise_output(iz, tap / p->kw / p->kh, p->sd, p->pd, p->dd, p->od);
            int64_t oy = depthwise_output(iy, tap / p->kw % p->kh, p->sh, p->ph, p->dh, p->oh);
            if (oz < 0 || oy < 0)
                continue;
            add_tap(p, volume + ((uint64_t)oz * p->oh + (uint64_t)oy) * p->ow * p->oc, weights, tap,
                    depthwise_outputs(x0, x0 + pixels, tap % p->kw, p->sw, p->pw, p->dw, p->ow), x0, channel, count, sums);
        }
        for (uint32_t i = 0; i < pixels; i++) {
            const float *s = sums + i * DEPTHWISE_CHANNELS;
            float *out = (float *)views[3] + ((uint64_t)row * p->iw + x0 + i) * p->ic + channel;
            depthwise_store(s, bias, count, out);
        }
    }
}

ACTC_CPU_KERNEL(depthwise_bwd_data)
{
    const struct actc_params_conv *p = params;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)p->batch * p->id * p->ih);
    depthwise_weights weights;
    const uint32_t taps = p->kd * p->kh * p->kw, each = p->oc / p->ic;
    for (uint32_t channel = 0; channel < p->ic; channel += DEPTHWISE_CHANNELS) {
        uint32_t count = ACTC_MIN(DEPTHWISE_CHANNELS, p->ic - channel);
        depthwise_pack(&weights, (const float *)views[1] + (uint64_t)channel * each * taps, taps, each, count);
        for (uint32_t row = span.first; row < span.last; row++)
            backward_row(p, views, &weights, row, channel, count);
    }
}
