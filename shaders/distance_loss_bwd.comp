/* distance_loss_bwd: the gradient of a loss of two tensors' elements. */
#version 450
#include "common.glsl"
#include "exact/loss.h"

ACTC_READ(0, x);
ACTC_READ(1, target);
ACTC_READ(2, steps);
ACTC_WRITE(3, dx);

void actc_kernel(uint group, uint lane)
{
    float scale = actc_loss_scale(steps[p.norm], p.weight);
    uint counted = steps[ACTC_STEP_ROWS] * p.per_sample;
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        float slope = 0.0;
        if (i < counted)
            slope = actc_distance_slope(p.op, ACTC_LOAD(x, i), ACTC_LOAD(target, i));
        dx[i] = i < counted ? actc_canon_bits(ACTC_MUL(slope, scale)) : 0u;
    }
}
