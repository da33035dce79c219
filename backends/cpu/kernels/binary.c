/* binary.c: y = f(a, b) over an index space, with broadcasting. */
#include "kernel.h"

#include "exact/binary.h"

/* Along the innermost axis; a stride is 0, 1 or any. */
static inline __attribute__((always_inline)) void line(const uint32_t op, const float *a, uint32_t sa, const float *b, uint32_t sb,
                                                       float alpha, uint32_t *y, uint32_t count)
{
    if (sa == 1 && sb == 1) {
        ACTC_CPU_SIMD
        for (uint32_t i = 0; i < count; i++)
            y[i] = actc_canon_bits(actc_binary(op, actc_flush(a[i]), actc_flush(b[i]), alpha));
    } else if (sa == 1 && sb == 0) {
        const float second = actc_flush(*b);
        ACTC_CPU_SIMD
        for (uint32_t i = 0; i < count; i++)
            y[i] = actc_canon_bits(actc_binary(op, actc_flush(a[i]), second, alpha));
    } else {
        for (uint32_t i = 0; i < count; i++)
            y[i] = actc_canon_bits(actc_binary(op, actc_flush(a[(uint64_t)i * sa]), actc_flush(b[(uint64_t)i * sb]), alpha));
    }
}

static void line_of(const struct actc_params_binary *p, const float *a, uint32_t sa, const float *b, uint32_t sb, uint32_t *y,
                    uint32_t count)
{
    switch (p->op) {
    case ACTC_BINARY_ADD: line(ACTC_BINARY_ADD, a, sa, b, sb, 0.0f, y, count); break;
    case ACTC_BINARY_SUB: line(ACTC_BINARY_SUB, a, sa, b, sb, 0.0f, y, count); break;
    case ACTC_BINARY_MUL: line(ACTC_BINARY_MUL, a, sa, b, sb, 0.0f, y, count); break;
    default: line(ACTC_BINARY_AXPY, a, sa, b, sb, p->alpha, y, count); break;
    }
}

ACTC_CPU_KERNEL(binary)
{
    const struct actc_params_binary *p = params;
    const float *a = views[0], *b = views[1];
    uint32_t *y = views[2], size[4] = {1}, sa[4] = {0}, sb[4] = {0}, axes = 0;
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    for (uint32_t k = 0; k < 4; k++) { /* axes of one element dropped, neighbours that lie as one axis joined */
        if (p->size[k] == 1)
            continue;
        if (axes && sa[axes - 1] == p->size[k] * p->sa[k] && sb[axes - 1] == p->size[k] * p->sb[k])
            size[axes - 1] *= p->size[k];
        else
            size[axes++] = p->size[k];
        sa[axes - 1] = p->sa[k];
        sb[axes - 1] = p->sb[k];
    }
    axes = axes ? axes : 1;
    for (uint32_t i = span.first; i < span.last;) {
        uint32_t rest = i / size[axes - 1], at = i % size[axes - 1], count = ACTC_MIN(size[axes - 1] - at, span.last - i);
        uint64_t ia = (uint64_t)at * sa[axes - 1], ib = (uint64_t)at * sb[axes - 1];
        for (uint32_t k = axes - 1; k-- > 0; rest /= size[k]) {
            ia += (uint64_t)(rest % size[k]) * sa[k];
            ib += (uint64_t)(rest % size[k]) * sb[k];
        }
        line_of(p, a + ia, sa[axes - 1], b + ib, sb[axes - 1], y + i, count);
        i += count;
    }
}
