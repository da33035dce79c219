/* relu_fwd_mask.c: y = min(max(x, 0), cap), and a bit an element that says where the gradient passes. */
#include "mask_bits.h"

#include "exact/norm.h"

#define BLOCK 256u /* stays in the first-level cache between the two loops */

ACTC_CPU_KERNEL(relu_fwd_mask)
{
    const struct actc_params_relu_fwd_mask *p = params;
    const uint32_t cap = ACTC_F32_BITS(p->cap);
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    for (uint32_t i = span.first; i < span.last; i += BLOCK) {
        const uint32_t *x = (const uint32_t *)views[0] + i, count = ACTC_MIN(BLOCK, span.last - i);
        uint32_t *y = (uint32_t *)views[1] + i, *mask = (uint32_t *)views[2] + i / 32, passes[BLOCK];
        ACTC_CPU_SIMD
        for (uint32_t k = 0; k < count; k++) {
            uint32_t u = actc_clip_bits(actc_relu_bits(x[k]), cap);
            passes[k] = ACTC_SELECT(u == cap && cap != ACTC_INF_BITS, 0u, u); /* actc_clip_passes where it is not 0 */
            y[k] = u;
        }
        for (uint32_t k = count; k % 32 != 0; k++)
            passes[k] = 0;
        for (uint32_t k = 0; k < count; k += 32)
            mask[k / 32] = actc_cpu_nonzero_bits(passes + k);
    }
}
