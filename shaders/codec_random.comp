/* codec_random: uniform numbers in place of a tensor. */
#version 450
#include "common.glsl"

ACTC_READ(0, steps);
ACTC_WRITE(1, x);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
        x[i] = actc_canon_bits(actc_uniform(actc_random_bits(p.first + i, p.tensor, steps[ACTC_STEP_STEP_LO],
                                                             steps[ACTC_STEP_STEP_HI], steps[ACTC_STEP_SEED_LO],
                                                             steps[ACTC_STEP_SEED_HI])));
}
