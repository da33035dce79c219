/* sgd.c: stochastic gradient descent with momentum and weight decay. */
#include "kernel.h"

ACTC_CPU_KERNEL(sgd)
{
    const struct actc_params_sgd *p = params;
    float *w = views[0], *buffer = views[2];
    const float *g = views[1];
    const uint32_t *step = views[3], *result = views[4];
    if (result[ACTC_RESULT_BAD] != 0)
        return;
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    float scale = ACTC_BITS_F32(step[ACTC_STEP_GRAD_SCALE]), size = ACTC_BITS_F32(step[ACTC_STEP_STEP_SIZE]);
    uint32_t first = step[ACTC_STEP_FIRST];
    float momentum = p->momentum, decay = p->weight_decay;
    if (momentum == 0.0f) {
        ACTC_CPU_SIMD
        for (uint32_t i = span.first; i < span.last; i++) {
            actc_sgd_state s = {w[i], 0.0f};
            w[i] = actc_sgd(s, ACTC_MUL(actc_flush(g[i]), scale), 0.0f, decay, size, 0).p;
        }
        return;
    }
    ACTC_CPU_SIMD
    for (uint32_t i = span.first; i < span.last; i++) {
        actc_sgd_state s = {w[i], buffer[i]};
        s = actc_sgd(s, ACTC_MUL(actc_flush(g[i]), scale), momentum, decay, size, first);
        w[i] = s.p;
        buffer[i] = s.b;
    }
}
