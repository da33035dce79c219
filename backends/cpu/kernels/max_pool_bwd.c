/* max_pool_bwd.c: each input element gathers the gradients of the windows that chose it, in ascending (oz, oy, ox). */
#include "kernel.h"

#define LANES 8u

/* The windows [first, last) along one axis that hold padded coordinate `at`: o * stride <= at < o * stride + taps. */
typedef struct range {
    uint32_t first, last;
} range;

static inline range windows(uint32_t at, uint32_t taps, uint32_t stride, uint32_t extent)
{
    uint32_t last = at / stride + 1;
    return (range){at < taps ? 0 : (at - taps) / stride + 1, ACTC_MIN(last, extent)};
}

/* A position: its padded coordinates, and the windows that hold it. */
typedef struct position {
    uint32_t z, y, x;
    range oz, oy, ox;
} position;

/* dy, index: the image's first window, at the first of `count` channels. */
static inline __attribute__((always_inline)) void gather(const struct actc_params_max_pool_bwd *p, const position *o,
                                                         const float *dy, const uint8_t *index, uint32_t count, float *dx)
{
    float sum[LANES] = {0.0f};
    for (uint32_t l = o->oz.first; l < o->oz.last; l++) {
        for (uint32_t j = o->oy.first; j < o->oy.last; j++) {
            uint64_t at = (((uint64_t)l * p->oh + j) * p->ow + o->ox.first) * p->channels;
            uint32_t row = (o->z - l * p->sd) * p->kh + (o->y - j * p->sh);
            uint32_t place = row * p->kw + (o->x - o->ox.first * p->sw);
            for (uint32_t i = o->ox.first; i < o->ox.last; i++, at += p->channels, place -= p->sw) {
                const float *from = dy + at;
                const uint8_t *chosen = index + at;
                uint32_t wide[LANES];
                for (uint32_t k = 0; k < count; k++)
                    wide[k] = chosen[k];
                /* A window that chose another position adds +0, which changes nothing: no sum here is ever -0. */
                ACTC_CPU_SIMD
                for (uint32_t k = 0; k < count; k++) {
                    uint32_t hit = 0u - (uint32_t)(wide[k] == place);
                    sum[k] = ACTC_ADD(sum[k], ACTC_BITS_F32(ACTC_F32_BITS(actc_flush(from[k])) & hit));
                }
            }
        }
    }
    ACTC_CPU_SIMD
    for (uint32_t k = 0; k < count; k++)
        dx[k] = actc_canon(sum[k]);
}

/* The channels [c, channels) of the columns of input row `row` (of all slices and images) from ix on, at most `elements`.
 * Divisions are done once a row. */
static void gather_row(const struct actc_params_max_pool_bwd *p, const float *dy, const uint8_t *index, float *dx,
                       uint32_t row, uint32_t ix, uint32_t c, uint32_t elements)
{
    uint32_t slice = row / p->ih;
    position o = {.z = slice % p->id + p->pd, .y = row % p->ih + p->ph};
    o.oz = windows(o.z, p->kd, p->sd, p->od);
    o.oy = windows(o.y, p->kh, p->sh, p->oh);
    range ox = windows(ix + p->pw, p->kw, p->sw, UINT32_MAX);
    uint64_t image = (uint64_t)(slice / p->id) * p->od * p->oh * p->ow * p->channels;
    dy += image;
    index += image;
    while (elements > 0) {
        o.x = ix + p->pw;
        o.ox = (range){ox.first, ACTC_MIN(ox.last, p->ow)};
        uint32_t count = ACTC_MIN(p->channels - c, elements), k = 0;
        for (; k + LANES <= count; k += LANES)
            gather(p, &o, dy + c + k, index + c + k, LANES, dx + k);
        if (k < count)
            gather(p, &o, dy + c + k, index + c + k, count - k, dx + k);
        dx += count;
        elements -= count;
        c = 0;
        ix++;
        ox.last += ox.last * p->sw <= o.x + 1;
        ox.first += ox.first * p->sw + p->kw <= o.x + 1;
    }
}

ACTC_CPU_KERNEL(max_pool_bwd)
{
    const struct actc_params_max_pool_bwd *p = params;
    float *dx = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    uint32_t row_elements = p->iw * p->channels;
    for (uint32_t i = span.first; i < span.last;) {
        uint32_t row = i / row_elements, at = i % row_elements, count = ACTC_MIN(row_elements - at, span.last - i);
        gather_row(p, views[0], views[1], dx + i, row, at / p->channels, at % p->channels, count);
        i += count;
    }
}
