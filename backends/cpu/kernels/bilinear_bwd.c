/* bilinear_bwd.c: the gradient of bilinear resampling, row by row: what an input row has of the output rows, in ascending order,
 * and of that what each input has, in ascending order. */
#include "kernel.h"

#include "exact/resize.h"

#define TABLE 2048u /* outputs whose rows are summed at once */

typedef struct row_sum {
    uint32_t iy, first, last; /* output rows [first, last) have something of row iy */
    const float *dy;          /* of the image */
} row_sum;

/* table[k] = the sum over output rows of elements at + k of a row. */
static void sum_rows_of(const struct actc_params_bilinear_bwd *p, const row_sum *r, uint32_t at, uint32_t count, float *table)
{
    const size_t row = (size_t)p->ow * p->channels;
    for (uint32_t k = 0; k < count; k++)
        table[k] = 0.0f;
    for (uint32_t oy = r->first; oy < r->last; oy++) {
        const float share = actc_resize_share(oy, r->iy, p->sy, p->corners, p->ih), *from = r->dy + oy * row + at;
        ACTC_CPU_SIMD
        for (uint32_t k = 0; k < count; k++)
            table[k] = ACTC_ADD(table[k], ACTC_MUL(share, actc_flush(from[k])));
    }
    ACTC_CPU_SIMD
    for (uint32_t k = 0; k < count; k++)
        table[k] = actc_flush(table[k]);
}

/* Elements [first, last) of a row of dx, which begins at `to`. */
typedef struct target {
    float *to;
    uint32_t first, last;
} target;

/* Adds share * from to elements [at, at + count) of the row, where they are wanted. */
static inline void add(const target *t, uint32_t at, uint32_t count, float share, const float *from)
{
    const uint32_t begin = at < t->first ? t->first : at, end = ACTC_MIN(at + count, t->last);
    if (begin >= end)
        return;
    float *to = t->to + (begin - t->first);
    const float *in = from + (begin - at);
    const uint32_t n = end - begin;
    ACTC_CPU_SIMD
    for (uint32_t k = 0; k < n; k++)
        to[k] = ACTC_ADD(to[k], ACTC_MUL(share, in[k]));
}

/* Every output column gives to its two inputs, so that each input has its outputs in ascending order. */
static void give(const struct actc_params_bilinear_bwd *p, const target *t, uint32_t at, uint32_t count, const float *table)
{
    for (uint32_t k = 0; k < count;) {
        const uint32_t ox = (at + k) / p->channels, c = (at + k) % p->channels, n = ACTC_MIN(p->channels - c, count - k);
        const float source = actc_resize_source(ox, p->sx, p->corners);
        const uint32_t first = actc_resize_first(source, p->iw);
        const float weight = actc_resize_weight(source, first), rest = ACTC_SUB(1.0f, weight);
        if (first + 1 < p->iw) {
            add(t, first * p->channels + c, n, rest, table + k);
            add(t, (first + 1) * p->channels + c, n, weight, table + k);
        } else {
            add(t, first * p->channels + c, n, ACTC_ADD(rest, weight), table + k);
        }
        k += n;
    }
}

ACTC_CPU_KERNEL(bilinear_bwd)
{
    const struct actc_params_bilinear_bwd *p = params;
    const float *dy = views[0];
    float *dx = views[1], table[TABLE];
    const uint32_t row_elements = p->iw * p->channels;
    const size_t image = (size_t)p->oh * p->ow * p->channels;
    const actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    for (uint32_t i = span.first; i < span.last;) {
        const uint32_t line = i / row_elements, at = i % row_elements, count = ACTC_MIN(row_elements - at, span.last - i);
        const uint32_t iy = line % p->ih, ix = at / p->channels, last = (at + count - 1) / p->channels;
        const row_sum r = {iy, iy ? actc_resize_begin(iy - 1, p->sy, p->corners, p->ih, p->oh) : 0,
                           actc_resize_begin(iy + 1, p->sy, p->corners, p->ih, p->oh), dy + line / p->ih * image};
        const target t = {dx + i, at, at + count};
        const uint32_t first_ox = ix ? actc_resize_begin(ix - 1, p->sx, p->corners, p->iw, p->ow) : 0;
        const uint32_t stop = actc_resize_begin(last + 1, p->sx, p->corners, p->iw, p->ow) * p->channels;
        memset(t.to, 0, count * sizeof *t.to);
        for (uint32_t from = first_ox * p->channels; from < stop; from += TABLE) {
            const uint32_t n = ACTC_MIN(TABLE, stop - from);
            sum_rows_of(p, &r, from, n, table);
            give(p, &t, from, n, table);
        }
        ACTC_CPU_SIMD
        for (uint32_t k = 0; k < count; k++)
            t.to[k] = actc_canon(t.to[k]);
        i += count;
    }
}
