/* depthwise_bwd_data.c: each input gradient adds its products in the order (kz,ky,kx), and for each those of its outputs.
 * Input rows are shared out, and gone through in tiles (depthwise_tile.h) where there is one for the kernel. */
#include "depthwise_tile.h"

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

/* The same for DEPTHWISE_LANES channels whose weights are vectors. Inputs from the last to the first, so that taps ascend as outputs
 * descend; at stride 2 every other tap leads to one. */
static void tile_row(const struct actc_params_conv *p, void *const *views, const float *weights, uint32_t row, uint32_t channel)
{
    const uint32_t iy = row % p->ih, iz = row / p->ih % p->id, apart = p->sw == 1 ? p->dw : p->sw;
    const float *bias = p->bias ? (const float *)views[2] + channel : NULL;
    const float *volume = (const float *)views[0] + (uint64_t)(row / p->ih / p->id) * p->od * p->oh * p->ow * p->oc + channel;
    float *out = (float *)views[3] + (uint64_t)row * p->iw * p->ic + channel;
    depthwise_rows rows = {.step = -(int64_t)(p->sw == 1 ? p->dw : 1), .extent = p->ow, .pitch = p->oc,
                           .weight_step = p->sw * DEPTHWISE_LANES};
    for (uint32_t line = 0; line < p->kd * p->kh; line++) {
        int64_t oz = depthwise_output(iz, line / p->kh, p->sd, p->pd, p->dd, p->od);
        int64_t oy = depthwise_output(iy, line % p->kh, p->sh, p->ph, p->dh, p->oh);
        if (oz >= 0 && oy >= 0)
            rows.lines[rows.n_lines++] = (depthwise_line){volume + ((uint64_t)oz * p->oh + (uint64_t)oy) * p->ow * p->oc,
                                                          weights + line * p->kw * DEPTHWISE_LANES};
    }
    for (uint32_t x = 0; x < apart && x < p->iw; x++) { /* inputs that share what they read */
        const uint32_t inputs = (p->iw - x + apart - 1) / apart, last = x + (inputs - 1) * apart, tap = (last + p->pw) % p->sw;
        depthwise_rows these = rows;
        these.at = (last + p->pw - tap) / p->sw;
        for (uint32_t l = 0; l < these.n_lines; l++)
            these.lines[l].weights += tap * DEPTHWISE_LANES;
        depthwise_tiles(&these, bias, out + (uint64_t)last * p->ic, -(int64_t)apart * p->ic, inputs, (p->kw - tap + p->sw - 1) / p->sw, 1);
    }
}

static bool has_tiles(const struct actc_params_conv *p)
{
    return p->oc == p->ic && (p->sw == 1 || (p->sw == 2 && p->dw == 1)) && p->kw >= p->sw && depthwise_has_tile((p->kw + p->sw - 1) / p->sw, 1) &&
           depthwise_has_tile(p->kw / p->sw, 1) && p->kd * p->kh <= DEPTHWISE_MOST_LINES && p->kd * p->kh * p->kw <= DEPTHWISE_VECTORS;
}

ACTC_CPU_KERNEL(depthwise_bwd_data)
{
    const struct actc_params_conv *p = params;
    actc_cpu_span span = actc_cpu_share(begin, end, p->groups, (uint64_t)p->batch * p->id * p->ih);
    depthwise_weights weights;
    const uint32_t taps = p->kd * p->kh * p->kw, each = p->oc / p->ic, tiled = has_tiles(p) ? p->ic / DEPTHWISE_LANES * DEPTHWISE_LANES : 0;
    const uint64_t floats = (uint64_t)p->ow * p->oc; /* of a row */
    const uint32_t at_once = depthwise_rows_at_once((uint64_t)p->iw * p->ic), outputs = p->batch * p->od * p->oh;
    for (uint32_t first = span.first; tiled && first < span.last; first += at_once) {
        const uint64_t from = (uint64_t)first * outputs / (p->batch * p->id * p->ih), rows = ACTC_MIN(at_once / p->sh + 1, outputs - from);
        depthwise_fetch((const float *)views[0] + from * floats, rows * floats);
        for (uint32_t channel = 0; channel < tiled; channel += DEPTHWISE_LANES) {
            depthwise_pack_tile(weights.vectors, (const float *)views[1] + (uint64_t)channel * taps, taps);
            for (uint32_t row = first; row < span.last && row < first + at_once; row++)
                tile_row(p, views, weights.vectors, row, channel);
        }
    }
    for (uint32_t channel = tiled; channel < p->ic; channel += DEPTHWISE_CHANNELS) {
        uint32_t count = ACTC_MIN(DEPTHWISE_CHANNELS, p->ic - channel);
        depthwise_pack(&weights, (const float *)views[1] + (uint64_t)channel * each * taps, taps, each, count);
        for (uint32_t row = span.first; row < span.last; row++)
            backward_row(p, views, &weights, row, channel, count);
    }
}
