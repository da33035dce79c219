/* avg_pool_bwd.c: each input element gathers its part of the gradients of the windows that hold it, in ascending (oz, oy, ox). */
#include "kernel.h"

#include "exact/pool.h"

#define LANES 8u

/* The windows that hold a position, by axis. */
typedef struct holders {
    actc_range z, y, x;
} holders;

static inline uint32_t length(actc_range r)
{
    return r.last - r.first;
}

/* dy: the image's first window, at the first of `count` channels. */
static inline __attribute__((always_inline)) void gather(const struct actc_params_avg_pool_bwd *p, const holders *o, const float *dy,
                                                         uint32_t count, float *dx)
{
    float sum[LANES] = {0.0f};
    for (uint32_t l = o->z.first; l < o->z.last; l++) {
        const uint32_t depth = length(actc_pool_window(l, p->id, p->od, p->kd, p->sd, p->pd, p->adaptive));
        for (uint32_t j = o->y.first; j < o->y.last; j++) {
            const uint32_t plane = depth * length(actc_pool_window(j, p->ih, p->oh, p->kh, p->sh, p->ph, p->adaptive));
            const float *from = dy + (((uint64_t)l * p->oh + j) * p->ow + o->x.first) * p->channels;
            for (uint32_t i = o->x.first; i < o->x.last; i++, from += p->channels) {
                /* The same for all channels, and where it is the same for all windows nothing to compute. */
                const float factor =
                    p->scale != 0.0f
                        ? p->scale
                        : actc_pool_factor(0.0f, plane * length(actc_pool_window(i, p->iw, p->ow, p->kw, p->sw, p->pw, p->adaptive)));
                ACTC_CPU_SIMD
                for (uint32_t k = 0; k < count; k++)
                    sum[k] = ACTC_ADD(sum[k], ACTC_MUL(actc_flush(from[k]), factor));
            }
        }
    }
    ACTC_CPU_SIMD
    for (uint32_t k = 0; k < count; k++)
        dx[k] = actc_canon(sum[k]);
}

/* The channels [c, channels) of the columns of input row `row` (of all slices and images) from ix on, at most `elements`. */
static void gather_row(const struct actc_params_avg_pool_bwd *p, const float *dy, float *dx, uint32_t row, uint32_t ix, uint32_t c,
                       uint32_t elements)
{
    const uint32_t slice = row / p->ih;
    holders o = {.z = actc_pool_holders(slice % p->id, p->id, p->od, p->kd, p->sd, p->pd, p->adaptive),
                 .y = actc_pool_holders(row % p->ih, p->ih, p->oh, p->kh, p->sh, p->ph, p->adaptive)};
    dy += (uint64_t)(slice / p->id) * p->od * p->oh * p->ow * p->channels;
    for (; elements > 0; ix++, c = 0) {
        o.x = actc_pool_holders(ix, p->iw, p->ow, p->kw, p->sw, p->pw, p->adaptive);
        const uint32_t count = ACTC_MIN(p->channels - c, elements);
        uint32_t k = 0;
        for (; k + LANES <= count; k += LANES)
            gather(p, &o, dy + c + k, LANES, dx + k);
        if (k < count)
            gather(p, &o, dy + c + k, count - k, dx + k);
        dx += count;
        elements -= count;
    }
}

ACTC_CPU_KERNEL(avg_pool_bwd)
{
    const struct actc_params_avg_pool_bwd *p = params;
    float *dx = views[1];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    uint32_t row_elements = p->iw * p->channels;
    for (uint32_t i = span.first; i < span.last;) {
        uint32_t row = i / row_elements, at = i % row_elements, count = ACTC_MIN(row_elements - at, span.last - i);
        gather_row(p, views[0], dx + i, row, at / p->channels, at % p->channels, count);
        i += count;
    }
}
