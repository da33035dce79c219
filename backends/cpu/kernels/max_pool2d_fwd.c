/* max_pool2d_fwd.c: the largest value of each window, and its place in the window as one byte.
 *
 * Channels are innermost, so LANES channels of an output pixel are scanned position by position, in registers. */
#include "kernel.h"

#define LANES 8u

/* The positions [ky0, ky1) x [kx0, kx1) of a window that lie inside the image; at least one does. */
typedef struct window {
    uint32_t ky0, ky1, kx0, kx1;
} window;

static inline uint32_t taps_begin(int64_t origin)
{
    return origin < 0 ? (uint32_t)-origin : 0;
}

static inline uint32_t taps_end(int64_t origin, uint32_t taps, uint32_t extent)
{
    int64_t inside = (int64_t)extent - origin;
    return inside < (int64_t)taps ? (uint32_t)inside : taps;
}

/* Canonical values as integers of the same order, NaN above all: actc_beats(a, b) is key(a) > key(b). Its own inverse. */
static inline int32_t key(uint32_t bits)
{
    return (int32_t)(bits ^ (0u - (bits >> 31)) >> 1);
}

/* in: the first position inside the image, at the first of `count` channels. */
static inline __attribute__((always_inline)) void scan(const struct actc_params_max_pool2d_fwd *p, const window *w,
                                                       const float *in, uint32_t count, uint32_t *y, uint8_t *index)
{
    int32_t best[LANES];
    uint32_t place[LANES];
    for (uint32_t c = 0; c < LANES; c++) {
        best[c] = INT32_MIN; /* below every key: the first position wins */
        place[c] = 0;
    }
    for (uint32_t ky = w->ky0; ky < w->ky1; ky++) {
        const float *from = in + (uint64_t)(ky - w->ky0) * p->iw * p->channels;
        for (uint32_t kx = w->kx0; kx < w->kx1; kx++, from += p->channels) {
            uint32_t k = ky * p->kw + kx;
            ACTC_CPU_SIMD
            for (uint32_t c = 0; c < count; c++) {
                int32_t v = key(actc_canon_bits(from[c]));
                place[c] = v > best[c] ? k : place[c];
                best[c] = v > best[c] ? v : best[c];
            }
        }
    }
    for (uint32_t c = 0; c < count; c++) {
        y[c] = (uint32_t)key((uint32_t)best[c]);
        index[c] = (uint8_t)place[c];
    }
}

ACTC_CPU_KERNEL(max_pool2d_fwd)
{
    const struct actc_params_max_pool2d_fwd *p = params;
    const float *x = views[0];
    uint32_t *y = views[1];
    uint8_t *index = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    /* Divisions once a span; then counters. */
    uint32_t c = span.first % p->channels, pixel = span.first / p->channels;
    uint32_t ox = pixel % p->ow, oy = pixel / p->ow % p->oh, n = pixel / p->ow / p->oh;
    for (uint32_t i = span.first; i < span.last;) {
        int64_t y0 = (int64_t)oy * p->sh - p->ph, x0 = (int64_t)ox * p->sw - p->pw;
        window w = {taps_begin(y0), taps_end(y0, p->kh, p->ih), taps_begin(x0), taps_end(x0, p->kw, p->iw)};
        uint64_t row = (uint64_t)n * p->ih + (uint64_t)(y0 + w.ky0), column = (uint64_t)(x0 + w.kx0);
        const float *in = x + (row * p->iw + column) * p->channels + c;
        uint32_t count = ACTC_MIN(p->channels - c, span.last - i), k = 0;
        for (; k + LANES <= count; k += LANES)
            scan(p, &w, in + k, LANES, y + i + k, index + i + k);
        if (k < count)
            scan(p, &w, in + k, count - k, y + i + k, index + i + k);
        i += count;
        c = 0;
        if (++ox == p->ow) {
            ox = 0;
            if (++oy == p->oh) {
                oy = 0;
                n++;
            }
        }
    }
    if (span.last == p->n)
        for (uint32_t i = p->n; i % 4 != 0; i++)
            index[i] = 0;
}
