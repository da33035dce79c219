/* relu_bwd_value.c: dx = dy where 0 < y < cap, y perhaps restored from a compressed form. */
#include "kernel.h"

#include "exact/norm.h"

ACTC_CPU_KERNEL(relu_bwd_value)
{
    const struct actc_params_relu_bwd_value *p = params;
    const float *dy = views[0];
    const uint32_t *y = views[1], cap = ACTC_F32_BITS(p->cap);
    uint32_t *dx = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    ACTC_CPU_SIMD
    for (uint32_t i = span.first; i < span.last; i++) {
        uint32_t u = actc_clip_bits(actc_relu_bits(y[i]), cap);
        dx[i] = actc_canon_bits(dy[i]) & (0u - (uint32_t)((u != 0) & ((u != cap) | (cap == ACTC_INF_BITS)))); /* actc_clip_passes */
    }
}
