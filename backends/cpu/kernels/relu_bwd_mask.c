/* relu_bwd_mask.c: dx = dy where the mask's bit is set. */
#include "mask_bits.h"

#define BLOCK 256u /* stays in the first-level cache between the two loops */

ACTC_CPU_KERNEL(relu_bwd_mask)
{
    const struct actc_params_relu_bwd_mask *p = params;
    const float *dy = views[0];
    const uint32_t *mask = views[1];
    uint32_t *dx = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    uint32_t pass[BLOCK];
    for (uint32_t i = span.first; i < span.last; i += BLOCK) {
        uint32_t count = ACTC_MIN(BLOCK, span.last - i);
        for (uint32_t j = 0; j < count; j += 32)
            actc_cpu_expand_bits(mask[(i + j) / 32], pass + j);
        const float *in = dy + i;
        uint32_t *out = dx + i;
        ACTC_CPU_SIMD
        for (uint32_t j = 0; j < count; j++)
            out[j] = actc_canon_bits(in[j]) & pass[j];
    }
}
