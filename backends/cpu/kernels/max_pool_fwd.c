/* max_pool_fwd.c: the largest value of each window, and its place in the window as one byte.
 *
 * Channels are innermost, so LANES channels of an output position are scanned position by position, in registers. */
#include "kernel.h"

#define LANES 8u

/* The positions of a window along one axis that lie inside the image, and where the first of them is; at least one does. */
typedef struct taps {
    uint32_t first, last;
    uint64_t at;
} taps;

static inline taps inside(uint32_t o, uint32_t stride, uint32_t padding, uint32_t size, uint32_t extent)
{
    int64_t origin = (int64_t)o * stride - padding, room = (int64_t)extent - origin;
    uint32_t first = origin < 0 ? (uint32_t)-origin : 0;
    return (taps){first, room < (int64_t)size ? (uint32_t)room : size, (uint64_t)(origin + first)};
}

/* Canonical values as integers of the same order, NaN above all: actc_beats(a, b) is key(a) > key(b). Its own inverse. */
static inline int32_t key(uint32_t bits)
{
    return (int32_t)(bits ^ (0u - (bits >> 31)) >> 1);
}

/* in: the first position inside the image, at the first of `count` channels. */
static inline __attribute__((always_inline)) void scan(const struct actc_params_max_pool_fwd *p, const taps window[3],
                                                       const float *in, uint32_t count, uint32_t *y, uint8_t *index)
{
    int32_t best[LANES];
    uint32_t place[LANES];
    for (uint32_t c = 0; c < LANES; c++) {
        best[c] = INT32_MIN; /* below every key: the first position wins */
        place[c] = 0;
    }
    for (uint32_t kz = window[0].first; kz < window[0].last; kz++) {
        for (uint32_t ky = window[1].first; ky < window[1].last; ky++) {
            uint64_t row = (uint64_t)(kz - window[0].first) * p->ih + (ky - window[1].first);
            const float *from = in + row * p->iw * p->channels;
            for (uint32_t kx = window[2].first; kx < window[2].last; kx++, from += p->channels) {
                uint32_t k = (kz * p->kh + ky) * p->kw + kx;
                ACTC_CPU_SIMD
                for (uint32_t c = 0; c < count; c++) {
                    int32_t v = key(actc_canon_bits(from[c]));
                    place[c] = v > best[c] ? k : place[c];
                    best[c] = v > best[c] ? v : best[c];
                }
            }
        }
    }
    for (uint32_t c = 0; c < count; c++) {
        y[c] = (uint32_t)key((uint32_t)best[c]);
        index[c] = (uint8_t)place[c];
    }
}

ACTC_CPU_KERNEL(max_pool_fwd)
{
    const struct actc_params_max_pool_fwd *p = params;
    const float *x = views[0];
    uint32_t *y = views[1];
    uint8_t *index = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    /* Divisions once a span; then counters. */
    uint32_t c = span.first % p->channels, position = span.first / p->channels;
    uint32_t ox = position % p->ow, oy = position / p->ow % p->oh;
    uint32_t oz = position / p->ow / p->oh % p->od, n = position / p->ow / p->oh / p->od;
    for (uint32_t i = span.first; i < span.last;) {
        const taps window[3] = {inside(oz, p->sd, p->pd, p->kd, p->id), inside(oy, p->sh, p->ph, p->kh, p->ih),
                                inside(ox, p->sw, p->pw, p->kw, p->iw)};
        uint64_t row = ((uint64_t)n * p->id + window[0].at) * p->ih + window[1].at;
        const float *in = x + (row * p->iw + window[2].at) * p->channels + c;
        uint32_t count = ACTC_MIN(p->channels - c, span.last - i), k = 0;
        for (; k + LANES <= count; k += LANES)
            scan(p, window, in + k, LANES, y + i + k, index + i + k);
        if (k < count)
            scan(p, window, in + k, count - k, y + i + k, index + i + k);
        i += count;
        c = 0;
        if (++ox < p->ow)
            continue;
        ox = 0;
        if (++oy < p->oh)
            continue;
        oy = 0;
        if (++oz < p->od)
            continue;
        oz = 0;
        n++;
    }
    if (span.last == p->n)
        for (uint32_t i = p->n; i % 4 != 0; i++)
            index[i] = 0;
}
