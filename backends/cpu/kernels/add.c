/* add.c: c = a + b. */
#include "kernel.h"

ACTC_CPU_KERNEL(add)
{
    const struct actc_params_add *p = params;
    const float *a = views[0], *b = views[1];
    uint32_t *c = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    ACTC_CPU_SIMD
    for (uint32_t i = span.first; i < span.last; i++)
        c[i] = actc_canon_bits(ACTC_ADD(actc_flush(a[i]), actc_flush(b[i])));
}
