/* attention_delta.c: of each query of each head, the products of its output and that output's gradient, added. */
#include "exact/attention.h"
#include "kernel.h"

ACTC_CPU_KERNEL(attention_delta)
{
    const struct actc_params_attention_delta *p = params;
    const uint64_t first = (uint64_t)begin * ACTC_ATTENTION_ROWS, last = (uint64_t)end * ACTC_ATTENTION_ROWS;
    float *delta = views[2];
    for (uint64_t r = first; r < last && r < p->rows; r++) {
        const float *a = (const float *)views[0] + r * p->head_dim, *b = (const float *)views[1] + r * p->head_dim;
        float sum[ACTC_ATTENTION_LANES] = {0};
        for (uint32_t d = 0; d < p->head_dim; d += ACTC_ATTENTION_LANES, a += ACTC_ATTENTION_LANES, b += ACTC_ATTENTION_LANES) {
            const uint32_t count = ACTC_MIN(ACTC_ATTENTION_LANES, p->head_dim - d);
            ACTC_CPU_SIMD
            for (uint32_t t = 0; t < count; t++)
                sum[t] = ACTC_ADD(sum[t], ACTC_MUL(actc_factor(a[t]), actc_factor(b[t])));
        }
        for (uint32_t h = ACTC_ATTENTION_LANES / 2; h > 0; h /= 2)
            for (uint32_t t = 0; t < h; t++)
                sum[t] = ACTC_ADD(sum[t], sum[t + h]);
        delta[r] = actc_canon(sum[0]);
    }
}
