/* sgd.cu: stochastic gradient descent with momentum and weight decay. */
#include "common.cuh"

ACTC_CUDA_KERNEL(sgd, float *w, const float *g, float *momentum, const uint *step, const uint *result)
{
    ACTC_GROUP(group);
    if (result[ACTC_RESULT_BAD] != 0u)
        return;
    const float scale = ACTC_BITS_F32(step[ACTC_STEP_GRAD_SCALE]), size = ACTC_BITS_F32(step[ACTC_STEP_STEP_SIZE]);
    const uint first = step[ACTC_STEP_FIRST];
    const bool has_momentum = p.momentum != 0.0f;
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        actc_sgd_state s;
        s.p = w[i];
        s.b = has_momentum ? momentum[i] : 0.0f;
        s = actc_sgd(s, ACTC_MUL(actc_flush(g[i]), scale), p.momentum, p.weight_decay, size, has_momentum ? first : 0u);
        w[i] = s.p;
        if (has_momentum)
            momentum[i] = s.b;
    }
}
