/* relu_fwd_mask.c: y = max(x, 0), and a bit an element that says where the gradient passes. */
#include "mask_bits.h"

#define BLOCK 256u /* stays in the first-level cache between the two loops */

ACTC_CPU_KERNEL(relu_fwd_mask)
{
    const struct actc_params_relu_fwd_mask *p = params;
    const uint32_t *x = views[0];
    uint32_t *y = views[1], *mask = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    for (uint32_t i = span.first; i < span.last; i += BLOCK) {
        uint32_t stop = ACTC_MIN(i + BLOCK, span.last), j = i;
        ACTC_CPU_SIMD
        for (uint32_t k = i; k < stop; k++)
            y[k] = actc_relu_bits(x[k]);
        for (; j + 32 <= stop; j += 32)
            mask[j / 32] = actc_cpu_nonzero_bits(y + j);
        if (j < stop) {
            uint32_t word = 0;
            for (uint32_t k = j; k < stop; k++)
                word |= (y[k] != 0 ? 1u : 0u) << (k - j);
            mask[j / 32] = word;
        }
    }
}
