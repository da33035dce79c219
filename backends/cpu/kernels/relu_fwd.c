/* relu_fwd.c: y = min(max(x, 0), cap). */
#include "kernel.h"

#include "exact/norm.h"

ACTC_CPU_KERNEL(relu_fwd)
{
    const struct actc_params_relu_fwd *p = params;
    const uint32_t *x = views[0], cap = ACTC_F32_BITS(p->cap);
    uint32_t *y = views[1];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    ACTC_CPU_SIMD
    for (uint32_t i = span.first; i < span.last; i++)
        y[i] = actc_clip_bits(actc_relu_bits(x[i]), cap);
}
