/* dropout: y = x * scale where the element's random bits are below the threshold, else +0. */
#version 450
#include "common.glsl"

ACTC_READ(0, x);
ACTC_READ(1, steps);
ACTC_WRITE(2, y);

void actc_kernel(uint group, uint lane)
{
    uint seed_lo = steps[ACTC_STEP_SEED_LO], seed_hi = steps[ACTC_STEP_SEED_HI];
    uint step_lo = steps[ACTC_STEP_STEP_LO], step_hi = steps[ACTC_STEP_STEP_HI];
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint element = i / (p.inner * p.channels) * p.channels + i % p.channels;
        uint bits = actc_random_bits(element, p.path, step_lo, step_hi, seed_lo, seed_hi);
        y[i] = bits < p.threshold ? actc_canon_bits(ACTC_MUL(ACTC_LOAD(x, i), p.scale)) : 0u;
    }
}
