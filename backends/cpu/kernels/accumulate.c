/* accumulate.c: b += a. */
#include "kernel.h"

ACTC_CPU_KERNEL(accumulate)
{
    const struct actc_params_accumulate *p = params;
    const float *a = views[0];
    float *b = views[1];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    ACTC_CPU_SIMD
    for (uint32_t i = span.first; i < span.last; i++)
        b[i] = actc_canon(ACTC_ADD(actc_flush(a[i]), actc_flush(b[i])));
}
