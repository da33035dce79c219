/* depthwise_fwd.c: each output adds its products in the order (kz,ky,kx). Output rows are shared out, and gone
 * through in tiles (depthwise_tile.h) where there is one for the kernel. */
#include "depthwise_tile.h"

/* sums[pixel][c] += x * w for outputs `range` of a stretch that begins at x0; row: the input row. */
static void add_tap(const struct actc_params_conv *p, const float *row, const float *w, depthwise_range range, uint32_t x0,
                    uint32_t kx, uint32_t channel, uint32_t count, float *sums)
{
    const uint32_t m = p->oc / p->ic;
    for (uint32_t ox = range.first; ox < range.last; ox++) {
        const float *from = row + (uint64_t)((int64_t)ox * p->sw - p->pw + (int64_t)kx * p->dw) * p->ic;
        float *s = sums + (ox - x0) * DEPTHWISE_CHANNELS;
        if (m == 1) {
            depthwise_add(s, from + channel, 1, w, count);
        } else {
            for (uint32_t c = 0; c < count; c++)
                s[c] = ACTC_ADD(s[c], ACTC_MUL(actc_factor(from[(channel + c) / m]), w[c]));
        }
    }
}

static void forward_row(const struct actc_params_conv *p, void *const *views, const depthwise_weights *weights, uint32_t row,
                        uint32_t channel, uint32_t count)
{
    const float *x = views[0], *bias = p->bias ? (const float *)views[2] + channel : NULL;
    const uint32_t taps = p->kd * p->kh * p->kw, oy = row % p->oh, oz = row / p->oh % p->od;
    const float *volume = x + (uint64_t)(row / p->oh / p->od) * p->id * p->ih * p->iw * p->ic;
    float sums[DEPTHWISE_STRETCH * DEPTHWISE_CHANNELS], buffer[DEPTHWISE_CHANNELS];
    for (uint32_t x0 = 0; x0 < p->ow; x0 += DEPTHWISE_STRETCH) {
        uint32_t pixels = ACTC_MIN(DEPTHWISE_STRETCH, p->ow - x0);
        memset(sums, 0, sizeof sums);
        for (uint32_t tap = 0; tap < taps; tap++) {
            uint32_t kx = tap % p->kw;
            int64_t iz = depthwise_input(oz, tap / p->kw / p->kh, p->sd, p->pd, p->dd, p->id);
            int64_t iy = depthwise_input(oy, tap / p->kw % p->kh, p->sh, p->ph, p->dh, p->ih);
            if (iz < 0 || iy < 0)
                continue;
            const float *w = depthwise_vector(weights, tap, 0, buffer);
            depthwise_range range = depthwise_outputs(0, p->iw, kx, p->sw, p->pw, p->dw, p->ow);
            range.first = range.first > x0 ? range.first : x0;
            range.last = ACTC_MIN(range.last, x0 + pixels);
            add_tap(p, volume + ((uint64_t)iz * p->ih + (uint64_t)iy) * p->iw * p->ic, w, range, x0, kx, channel, count, sums);
        }
        for (uint32_t i = 0; i < pixels; i++) {
            const float *s = sums + i * DEPTHWISE_CHANNELS;
            float *out = (float *)views[3] + ((uint64_t)row * p->ow + x0 + i) * p->oc + channel;
            depthwise_store(s, bias, count, out);
        }
    }
}

/* The same for DEPTHWISE_LANES channels whose weights are vectors. */
static void tile_row(const struct actc_params_conv *p, void *const *views, const float *weights, uint32_t row, uint32_t channel)
{
    const uint32_t oy = row % p->oh, oz = row / p->oh % p->od, apart = p->sw == 1 ? p->dw : 1;
    const float *bias = p->bias ? (const float *)views[2] + channel : NULL;
    const float *volume = (const float *)views[0] + (uint64_t)(row / p->oh / p->od) * p->id * p->ih * p->iw * p->ic + channel;
    float *out = (float *)views[3] + (uint64_t)row * p->ow * p->oc + channel;
    depthwise_rows rows = {.step = p->dw, .extent = p->iw, .pitch = p->ic, .weight_step = DEPTHWISE_LANES};
    for (uint32_t line = 0; line < p->kd * p->kh; line++) {
        int64_t iz = depthwise_input(oz, line / p->kh, p->sd, p->pd, p->dd, p->id);
        int64_t iy = depthwise_input(oy, line % p->kh, p->sh, p->ph, p->dh, p->ih);
        if (iz >= 0 && iy >= 0)
            rows.lines[rows.n_lines++] = (depthwise_line){volume + ((uint64_t)iz * p->ih + (uint64_t)iy) * p->iw * p->ic,
                                                          weights + line * p->kw * DEPTHWISE_LANES};
    }
    for (uint32_t x = 0; x < apart && x < p->ow; x++) { /* outputs that share what they read */
        rows.at = (int64_t)x * p->sw - p->pw;
        depthwise_tiles(&rows, bias, out + (uint64_t)x * p->oc, (int64_t)apart * p->oc, (p->ow - x + apart - 1) / apart, p->kw, p->sw);
    }
}

static bool has_tiles(const struct actc_params_conv *p)
{
    return p->oc == p->ic && depthwise_has_tile(p->kw, p->sw) && (p->sw == 1 || p->dw == 1) && p->kd * p->kh <= DEPTHWISE_MOST_LINES &&
           p->kd * p->kh * p->kw <= DEPTHWISE_VECTORS;
}

ACTC_CPU_KERNEL(depthwise_fwd)
{
    const struct actc_params_conv *p = params;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)p->batch * p->od * p->oh);
    depthwise_weights weights;
    const uint32_t taps = p->kd * p->kh * p->kw, tiled = has_tiles(p) ? p->oc / DEPTHWISE_LANES * DEPTHWISE_LANES : 0;
    const uint64_t floats = (uint64_t)p->iw * p->ic; /* of a row */
    const uint32_t at_once = depthwise_rows_at_once(floats), inputs = p->batch * p->id * p->ih;
    for (uint32_t first = span.first; tiled && first < span.last; first += at_once) {
        const uint64_t from = (uint64_t)first * inputs / (p->batch * p->od * p->oh), rows = ACTC_MIN(at_once * p->sh, inputs - from);
        depthwise_fetch((const float *)views[0] + from * floats, rows * floats);
        for (uint32_t channel = 0; channel < tiled; channel += DEPTHWISE_LANES) {
            depthwise_pack_tile(weights.vectors, (const float *)views[1] + (uint64_t)channel * taps, taps);
            for (uint32_t row = first; row < span.last && row < first + at_once; row++)
                tile_row(p, views, weights.vectors, row, channel);
        }
    }
    for (uint32_t channel = tiled; channel < p->oc; channel += DEPTHWISE_CHANNELS) {
        uint32_t count = ACTC_MIN(DEPTHWISE_CHANNELS, p->oc - channel);
        depthwise_pack(&weights, (const float *)views[1] + (uint64_t)channel * taps, taps, 1, count);
        for (uint32_t row = span.first; row < span.last; row++)
            forward_row(p, views, &weights, row, channel, count);
    }
}
