/* relu_fwd_mask.c: y = max(x, 0), and a bit an element that says where the gradient passes. */
#include "kernel.h"

ACTC_CPU_KERNEL(relu_fwd_mask)
{
    const struct actc_params_relu_fwd_mask *p = params;
    const uint32_t *x = views[0];
    uint32_t *y = views[1], *mask = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    uint32_t i = span.first;
    for (; i + 32 <= span.last; i += 32) {
        uint32_t word = 0;
#pragma omp simd reduction(| : word)
        for (uint32_t j = 0; j < 32; j++) {
            uint32_t u = actc_relu_bits(x[i + j]);
            y[i + j] = u;
            word |= u != 0 ? 1u << j : 0u;
        }
        mask[i / 32] = word;
    }
    if (i < span.last) {
        uint32_t word = 0;
        for (uint32_t j = 0; i + j < span.last; j++) {
            uint32_t u = actc_relu_bits(x[i + j]);
            y[i + j] = u;
            word |= (u != 0 ? 1u : 0u) << j;
        }
        mask[i / 32] = word;
    }
}
