/* max_pool2d_fwd.c: the largest value of each window, and its place in the window as one byte.
 *
 * Channels are innermost, so a run of channels at one output pixel is scanned position by position with the channels as
 * vector lanes. */
#include "kernel.h"

#define BLOCK 256u

/* One run of at most BLOCK channels of an output pixel whose input window starts at (y0, x0). */
static void scan(const struct actc_params_max_pool2d_fwd *p, const float *x, int64_t y0, int64_t x0, uint32_t count,
                 float *restrict best, uint32_t *restrict place)
{
    bool first = true;
    for (uint32_t ky = 0; ky < p->kh; ky++) {
        int64_t iy = y0 + ky;
        if (iy < 0 || iy >= (int64_t)p->ih)
            continue;
        for (uint32_t kx = 0; kx < p->kw; kx++) {
            int64_t ix = x0 + kx;
            if (ix < 0 || ix >= (int64_t)p->iw)
                continue;
            const float *in = x + ((uint64_t)iy * p->iw + (uint64_t)ix) * p->channels;
            uint32_t k = ky * p->kw + kx;
            if (first) {
                ACTC_CPU_SIMD
                for (uint32_t c = 0; c < count; c++) {
                    best[c] = actc_canon(in[c]);
                    place[c] = k;
                }
                first = false;
                continue;
            }
            ACTC_CPU_SIMD
            for (uint32_t c = 0; c < count; c++) {
                float v = actc_canon(in[c]), b = best[c];
                bool take = (v > b) | ((v != v) & (b == b)); /* actc_beats without branches */
                best[c] = take ? v : b;
                place[c] = take ? k : place[c];
            }
        }
    }
}

ACTC_CPU_KERNEL(max_pool2d_fwd)
{
    const struct actc_params_max_pool2d_fwd *p = params;
    const float *x = views[0];
    float *y = views[1];
    uint8_t *index = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    float best[BLOCK];
    uint32_t place[BLOCK];
    for (uint32_t i = span.first; i < span.last;) {
        uint32_t c = i % p->channels, pixel = i / p->channels;
        uint32_t ox = pixel % p->ow, oy = pixel / p->ow % p->oh, n = pixel / p->ow / p->oh;
        uint32_t count = ACTC_MIN(ACTC_MIN(p->channels - c, BLOCK), span.last - i);
        scan(p, x + (uint64_t)n * p->ih * p->iw * p->channels + c, (int64_t)oy * p->sh - p->ph,
             (int64_t)ox * p->sw - p->pw, count, best, place);
        for (uint32_t k = 0; k < count; k++) {
            y[i + k] = best[k];
            index[i + k] = (uint8_t)place[k];
        }
        i += count;
    }
    if (span.last == p->n)
        for (uint32_t i = p->n; i % 4 != 0; i++)
            index[i] = 0;
}
