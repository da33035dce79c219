/* log_softmax_fwd.c: y = x - max - log(sum(exp(x - max))) along each row. */
#include "kernel.h"

#define BLOCK 256u

ACTC_CPU_KERNEL(log_softmax_fwd)
{
    const struct actc_params_log_softmax_fwd *p = params;
    const float *x = views[0];
    float *y = views[1];
    actc_cpu_span span = actc_cpu_invocations(begin, end, p->rows);
    float e[BLOCK];
    for (uint32_t r = span.first; r < span.last; r++) {
        const float *in = x + (uint64_t)r * p->cols;
        float *out = y + (uint64_t)r * p->cols;
        float m = actc_flush(in[0]);
        for (uint32_t c = 1; c < p->cols; c++) {
            float v = actc_flush(in[c]);
            m = v > m ? v : m;
        }
        float s = 0.0f;
        for (uint32_t c = 0; c < p->cols; c += BLOCK) {
            uint32_t count = ACTC_MIN(BLOCK, p->cols - c);
            ACTC_CPU_SIMD
            for (uint32_t k = 0; k < count; k++)
                e[k] = actc_exp(ACTC_SUB(actc_flush(in[c + k]), m));
            for (uint32_t k = 0; k < count; k++) /* in order: not a vector reduction */
                s = ACTC_ADD(s, e[k]);
        }
        float l = actc_log(s);
        ACTC_CPU_SIMD
        for (uint32_t c = 0; c < p->cols; c++)
            out[c] = actc_canon(ACTC_SUB(ACTC_SUB(actc_flush(in[c]), m), l));
    }
}
