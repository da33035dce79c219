/* log_softmax_bwd.c: dx = dy - exp(y) * sum(dy) along each row. */
#include "kernel.h"

ACTC_CPU_KERNEL(log_softmax_bwd)
{
    const struct actc_params_log_softmax_bwd *p = params;
    const float *dy = views[0], *y = views[1];
    float *dx = views[2];
    actc_cpu_span span = actc_cpu_invocations(begin, end, p->rows);
    for (uint32_t r = span.first; r < span.last; r++) {
        uint64_t at = (uint64_t)r * p->cols;
        float s = 0.0f;
        for (uint32_t c = 0; c < p->cols; c++)
            s = ACTC_ADD(s, actc_flush(dy[at + c]));
        ACTC_CPU_SIMD
        for (uint32_t c = 0; c < p->cols; c++)
            dx[at + c] = actc_canon(ACTC_SUB(actc_flush(dy[at + c]), ACTC_MUL(actc_exp(actc_flush(y[at + c])), s)));
    }
}
