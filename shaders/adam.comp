/* adam: one step of actc_adam. */
#version 450
#include "common.glsl"

ACTC_WRITE(0, parameter);
ACTC_READ(1, gradient);
ACTC_WRITE(2, m);
ACTC_WRITE(3, v);
ACTC_READ(4, steps);
ACTC_READ(5, result);

void actc_kernel(uint group, uint lane)
{
    if (result[ACTC_RESULT_BAD] != 0u)
        return;
    float grad_scale = uintBitsToFloat(steps[ACTC_STEP_GRAD_SCALE]);
    float step_size = uintBitsToFloat(steps[ACTC_STEP_STEP_SIZE]);
    float root = uintBitsToFloat(steps[ACTC_STEP_ROOT]);
    float shrink = uintBitsToFloat(steps[ACTC_STEP_SHRINK]);
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        actc_adam_state s;
        s.p = uintBitsToFloat(parameter[i]);
        s.m = uintBitsToFloat(m[i]);
        s.v = uintBitsToFloat(v[i]);
        float g = ACTC_MUL(ACTC_LOAD(gradient, i), grad_scale);
        s = actc_adam(s, g, p.beta1_rest, p.beta2, p.beta2_rest, p.epsilon, step_size, root, shrink, p.l2);
        parameter[i] = floatBitsToUint(s.p);
        m[i] = floatBitsToUint(s.m);
        v[i] = floatBitsToUint(s.v);
    }
}
