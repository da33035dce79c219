/* state_commit: staged states become the states where the step was finite, else the other way round. */
#version 450
#include "common.glsl"

ACTC_WRITE(0, staged);
ACTC_WRITE(1, states);
ACTC_READ(2, result);

void actc_kernel(uint group, uint lane)
{
    bool good = result[ACTC_RESULT_BAD] == 0u;
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        if (good)
            states[i] = staged[i];
        else
            staged[i] = states[i];
    }
}
