/* adam.cu: Adam and AdamW; which of the two is in the step block's SHRINK and the parameter l2. */
#include "common.cuh"

ACTC_CUDA_KERNEL(adam, float *w, const float *g, float *m, float *v, const uint *step, const uint *result)
{
    ACTC_GROUP(group);
    if (result[ACTC_RESULT_BAD] != 0u)
        return;
    const float scale = ACTC_BITS_F32(step[ACTC_STEP_GRAD_SCALE]), size = ACTC_BITS_F32(step[ACTC_STEP_STEP_SIZE]);
    const float root = ACTC_BITS_F32(step[ACTC_STEP_ROOT]), shrink = ACTC_BITS_F32(step[ACTC_STEP_SHRINK]);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        actc_adam_state s;
        s.p = w[i];
        s.m = m[i];
        s.v = v[i];
        s = actc_adam(s, ACTC_MUL(actc_flush(g[i]), scale), p.beta1_rest, p.beta2, p.beta2_rest, p.epsilon, size, root,
                      shrink, p.l2);
        w[i] = s.p;
        m[i] = s.m;
        v[i] = s.v;
    }
}
