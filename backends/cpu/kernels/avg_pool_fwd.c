/* avg_pool_fwd.c: the mean of each window.
 *
 * Channels are innermost, so LANES channels of an output position are summed position by position, in registers. */
#include "kernel.h"

#include "exact/pool.h"

#define LANES 8u

/* in: the window's first position, at the first of `count` channels. */
static inline __attribute__((always_inline)) void sum_window(const struct actc_params_avg_pool_fwd *p, const actc_range window[3],
                                                             const float *in, uint32_t count, float factor, uint32_t *y)
{
    const uint32_t depth = window[0].last - window[0].first, height = window[1].last - window[1].first,
                   width = window[2].last - window[2].first;
    float sum[LANES] = {0.0f};
    for (uint32_t z = 0; z < depth; z++) {
        for (uint32_t r = 0; r < height; r++) {
            const float *from = in + ((uint64_t)z * p->ih + r) * p->iw * p->channels;
            float row[LANES] = {0.0f};
            for (uint32_t k = 0; k < width; k++, from += p->channels) {
                ACTC_CPU_SIMD
                for (uint32_t c = 0; c < count; c++)
                    row[c] = ACTC_ADD(row[c], actc_flush(from[c]));
            }
            ACTC_CPU_SIMD
            for (uint32_t c = 0; c < count; c++)
                sum[c] = ACTC_ADD(sum[c], row[c]);
        }
    }
    ACTC_CPU_SIMD
    for (uint32_t c = 0; c < count; c++)
        y[c] = actc_canon_bits(ACTC_MUL(sum[c], factor));
}

/* The channels [c, channels) of the columns of output row `row` (of all slices and images) from ox on, at most `elements`. */
static void sum_row(const struct actc_params_avg_pool_fwd *p, const float *x, uint32_t *y, uint32_t row, uint32_t ox, uint32_t c,
                    uint32_t elements)
{
    const uint32_t oz = row / p->oh % p->od, oy = row % p->oh;
    actc_range window[3] = {actc_pool_window(oz, p->id, p->od, p->kd, p->sd, p->pd, p->adaptive),
                            actc_pool_window(oy, p->ih, p->oh, p->kh, p->sh, p->ph, p->adaptive)};
    const uint32_t rows = (window[0].last - window[0].first) * (window[1].last - window[1].first);
    const uint64_t first = ((uint64_t)(row / p->oh / p->od) * p->id + window[0].first) * p->ih + window[1].first;
    for (; elements > 0; ox++, c = 0) {
        window[2] = actc_pool_window(ox, p->iw, p->ow, p->kw, p->sw, p->pw, p->adaptive);
        const float factor = actc_pool_factor(p->scale, rows * (window[2].last - window[2].first));
        const float *in = x + (first * p->iw + window[2].first) * p->channels + c;
        const uint32_t count = ACTC_MIN(p->channels - c, elements);
        uint32_t k = 0;
        for (; k + LANES <= count; k += LANES)
            sum_window(p, window, in + k, LANES, factor, y + k);
        if (k < count)
            sum_window(p, window, in + k, count - k, factor, y + k);
        y += count;
        elements -= count;
    }
}

ACTC_CPU_KERNEL(avg_pool_fwd)
{
    const struct actc_params_avg_pool_fwd *p = params;
    uint32_t *y = views[1];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    uint32_t row_elements = p->ow * p->channels;
    for (uint32_t i = span.first; i < span.last;) {
        uint32_t row = i / row_elements, at = i % row_elements, count = ACTC_MIN(row_elements - at, span.last - i);
        sum_row(p, views[0], y + i, row, at / p->channels, at % p->channels, count);
        i += count;
    }
}
