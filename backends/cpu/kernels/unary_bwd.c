/* unary_bwd.c: dx = dy * f'(.), from what the operation saves. */
#include "kernel.h"

#include "exact/unary.h"

/* A loop for each operation, so that it has no branches; v: what it saves. */
#define LOOP(op, v)                                                                                                \
    case op:                                                                                                       \
        ACTC_CPU_SIMD                                                                                              \
        for (uint32_t i = span.first; i < span.last; i++)                                                          \
            dx[i] = actc_canon_bits(ACTC_MUL(actc_flush(dy[i]), actc_unary_slope(op, v, p->a)));                   \
        break

ACTC_CPU_KERNEL(unary_bwd)
{
    const struct actc_params_unary_bwd *p = params;
    const float *dy = views[0], *saved = views[1];
    uint32_t *dx = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    switch (p->op) {
        LOOP(ACTC_UNARY_SIGMOID, actc_flush(saved[i]));
        LOOP(ACTC_UNARY_TANH, actc_flush(saved[i]));
        LOOP(ACTC_UNARY_SILU, actc_flush(saved[i]));
        LOOP(ACTC_UNARY_GELU, actc_flush(saved[i]));
        LOOP(ACTC_UNARY_SCALE, 0.0f);
    }
}
