/* unary_bwd_slopes.c: dx = dy * f'(.), from slopes in a few bits. */
#include "kernel.h"

#include "exact/unary.h"

/* A loop for each width, so that it is a vector's. */
#define LOOP(bits)                                                                                         \
    case bits:                                                                                             \
        ACTC_CPU_SIMD                                                                                      \
        for (uint32_t i = span.first; i < span.last; i++) {                                                \
            uint32_t code = words[i / (32 / bits)] >> (i % (32 / bits) * bits) & ((1u << bits) - 1);       \
            dx[i] = actc_canon_bits(ACTC_MUL(actc_flush(dy[i]), actc_slope_level(code, zero, step)));      \
        }                                                                                                  \
        break;

ACTC_CPU_KERNEL(unary_bwd_slopes)
{
    const struct actc_params_unary_bwd_slopes *p = params;
    const float *dy = views[0], step = p->step;
    const uint32_t *words = views[1], zero = p->zero;
    uint32_t *dx = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    switch (p->bits) {
        LOOP(2)
        LOOP(4)
        LOOP(8)
    }
}
