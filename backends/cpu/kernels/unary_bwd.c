/* unary_bwd.c: dx = dy * f'(.), from what the operation saves. */
#include "kernel.h"

#include "exact/unary.h"

/* What an operation saves. */
#define SAVED_INPUT actc_flush(saved[i])
#define SAVED_OUTPUT actc_flush(saved[i])
#define SAVED_NOTHING 0.0f

/* A loop for each operation, so that it has no branches. */
#define LOOP(op, name, from)                                                                                              \
    case ACTC_UNARY_##op:                                                                                                 \
        ACTC_CPU_SIMD                                                                                                     \
        for (uint32_t i = span.first; i < span.last; i++)                                                                 \
            dx[i] = actc_canon_bits(ACTC_MUL(actc_flush(dy[i]), actc_unary_slope(ACTC_UNARY_##op, SAVED_##from, p->a)));  \
        break;

/* clang leaves the larger functions as calls otherwise, around which no loop is a vector's. */
__attribute__((flatten)) ACTC_CPU_KERNEL(unary_bwd)
{
    const struct actc_params_unary_bwd *p = params;
    const float *dy = views[0], *saved = views[1];
    uint32_t *dx = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    switch (p->op) {
        ACTC_UNARY_LIST(LOOP)
    }
}
