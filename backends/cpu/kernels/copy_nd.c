/* copy_nd.c: a box of elements from one place and stride to another; moves bits, or adds. */
#include "kernel.h"

#define AXES 6u

/* The axes that are left when those of one element are dropped and neighbours that lie as one axis are joined. */
typedef struct space {
    uint32_t axes, size[AXES], ss[AXES], ds[AXES];
} space;

static space joined(const struct actc_params_copy_nd *p)
{
    space s = {0};
    for (uint32_t k = 0; k < AXES; k++) {
        if (p->size[k] == 1)
            continue;
        uint32_t last = s.axes - 1;
        if (s.axes && s.ss[last] == p->size[k] * p->ss[k] && s.ds[last] == p->size[k] * p->ds[k]) {
            s.size[last] *= p->size[k];
        } else {
            last = s.axes++;
            s.size[last] = p->size[k];
        }
        s.ss[last] = p->ss[k];
        s.ds[last] = p->ds[k];
    }
    if (!s.axes)
        s.size[s.axes++] = 1;
    return s;
}

static void line(const uint32_t *source, uint32_t from, uint32_t ss, uint32_t *target, uint32_t to, uint32_t ds, uint32_t count,
                 bool accumulate)
{
    if (ss == 1 && ds == 1) {
        const uint32_t *in = source + from;
        uint32_t *out = target + to;
        if (accumulate) {
            ACTC_CPU_SIMD
            for (uint32_t i = 0; i < count; i++)
                out[i] = actc_canon_bits(ACTC_ADD(actc_flush_bits(out[i]), actc_flush_bits(in[i])));
        } else {
            ACTC_CPU_SIMD
            for (uint32_t i = 0; i < count; i++)
                out[i] = in[i];
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++, from += ss, to += ds)
        target[to] = accumulate ? actc_canon_bits(ACTC_ADD(actc_flush_bits(target[to]), actc_flush_bits(source[from]))) : source[from];
}

ACTC_CPU_KERNEL(copy_nd)
{
    const struct actc_params_copy_nd *p = params;
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    const space s = joined(p);
    uint32_t at[AXES], rest = span.first, from = p->source_at, to = p->target_at;
    for (uint32_t k = s.axes; k-- > 0; rest /= s.size[k]) {
        at[k] = rest % s.size[k];
        from += at[k] * s.ss[k];
        to += at[k] * s.ds[k];
    }
    const uint32_t last = s.axes - 1;
    for (uint32_t i = span.first; i < span.last;) {
        uint32_t count = ACTC_MIN(s.size[last] - at[last], span.last - i);
        line(views[0], from, s.ss[last], views[1], to, s.ds[last], count, p->accumulate != 0);
        i += count;
        at[last] += count;
        from += count * s.ss[last];
        to += count * s.ds[last];
        for (uint32_t k = last; k > 0 && at[k] == s.size[k]; k--) {
            at[k] = 0;
            at[k - 1]++;
            from += s.ss[k - 1] - s.size[k] * s.ss[k];
            to += s.ds[k - 1] - s.size[k] * s.ds[k];
        }
    }
}
