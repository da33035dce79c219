/* relu_bwd_mask.c: dx = dy where the mask's bit is set. */
#include "kernel.h"

ACTC_CPU_KERNEL(relu_bwd_mask)
{
    const struct actc_params_relu_bwd_mask *p = params;
    const float *dy = views[0];
    const uint32_t *mask = views[1];
    uint32_t *dx = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    uint32_t i = span.first;
    for (; i + 32 <= span.last; i += 32) {
        uint32_t word = mask[i / 32];
        ACTC_CPU_SIMD
        for (uint32_t j = 0; j < 32; j++)
            dx[i + j] = (word & 1u << j) != 0 ? actc_canon_bits(dy[i + j]) : 0u;
    }
    for (; i < span.last; i++)
        dx[i] = (mask[i / 32] >> (i % 32) & 1u) != 0 ? actc_canon_bits(dy[i]) : 0u;
}
