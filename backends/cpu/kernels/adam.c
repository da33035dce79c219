/* adam.c: Adam and AdamW; which of the two is in the step block's SHRINK and the parameter l2. */
#include "kernel.h"

ACTC_CPU_KERNEL(adam)
{
    const struct actc_params_adam *p = params;
    float *w = views[0], *m = views[2], *v = views[3];
    const float *g = views[1];
    const uint32_t *step = views[4], *result = views[5];
    if (result[ACTC_RESULT_BAD] != 0)
        return;
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    float scale = ACTC_BITS_F32(step[ACTC_STEP_GRAD_SCALE]), size = ACTC_BITS_F32(step[ACTC_STEP_STEP_SIZE]);
    float root = ACTC_BITS_F32(step[ACTC_STEP_ROOT]), shrink = ACTC_BITS_F32(step[ACTC_STEP_SHRINK]);
    float beta1_rest = p->beta1_rest, beta2 = p->beta2, beta2_rest = p->beta2_rest, epsilon = p->epsilon, l2 = p->l2;
    ACTC_CPU_SIMD
    for (uint32_t i = span.first; i < span.last; i++) {
        actc_adam_state s = {w[i], m[i], v[i]};
        s = actc_adam(s, ACTC_MUL(actc_flush(g[i]), scale), beta1_rest, beta2, beta2_rest, epsilon, size, root, shrink,
                      l2);
        w[i] = s.p;
        m[i] = s.m;
        v[i] = s.v;
    }
}
