/* unary.c: y = f(x). */
#include "kernel.h"

#include "exact/unary.h"

/* A loop for each operation, so that it has no branches. */
#define LOOP(op, name, saved)                                                                    \
    case ACTC_UNARY_##op:                                                                        \
        ACTC_CPU_SIMD                                                                            \
        for (uint32_t i = span.first; i < span.last; i++)                                        \
            y[i] = actc_canon_bits(actc_unary(ACTC_UNARY_##op, actc_flush(x[i]), p->a, p->b));   \
        break;

/* clang leaves the larger functions as calls otherwise, around which no loop is a vector's. */
__attribute__((flatten)) ACTC_CPU_KERNEL(unary)
{
    const struct actc_params_unary *p = params;
    const float *x = views[0];
    uint32_t *y = views[1];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    switch (p->op) {
        ACTC_UNARY_LIST(LOOP)
    }
}
