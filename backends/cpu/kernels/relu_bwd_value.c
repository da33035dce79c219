/* relu_bwd_value.c: dx = dy where y > 0, y perhaps restored from a compressed form. */
#include "kernel.h"

ACTC_CPU_KERNEL(relu_bwd_value)
{
    const struct actc_params_relu_bwd_value *p = params;
    const float *dy = views[0];
    const uint32_t *y = views[1];
    uint32_t *dx = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    ACTC_CPU_SIMD
    for (uint32_t i = span.first; i < span.last; i++)
        dx[i] = actc_canon_bits(dy[i]) & (0u - (uint32_t)(actc_relu_bits(y[i]) != 0));
}
