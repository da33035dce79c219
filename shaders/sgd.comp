/* sgd: one step of actc_sgd. */
#version 450
#include "common.glsl"

ACTC_WRITE(0, parameter);
ACTC_READ(1, gradient);
ACTC_WRITE(2, momentum);
ACTC_READ(3, steps);
ACTC_READ(4, result);

void actc_kernel(uint group, uint lane)
{
    if (result[ACTC_RESULT_BAD] != 0u)
        return;
    float grad_scale = uintBitsToFloat(steps[ACTC_STEP_GRAD_SCALE]);
    float step_size = uintBitsToFloat(steps[ACTC_STEP_STEP_SIZE]);
    uint first = steps[ACTC_STEP_FIRST];
    bool buffered = p.momentum != 0.0; /* else the view is empty */
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        actc_sgd_state s;
        s.p = uintBitsToFloat(parameter[i]);
        s.b = 0.0;
        if (buffered)
            s.b = uintBitsToFloat(momentum[i]);
        float g = ACTC_MUL(ACTC_LOAD(gradient, i), grad_scale);
        s = actc_sgd(s, g, p.momentum, p.weight_decay, step_size, first);
        parameter[i] = floatBitsToUint(s.p);
        if (buffered)
            momentum[i] = floatBitsToUint(s.b);
    }
}
