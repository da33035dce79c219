/* distance_loss_fwd: sums of the distances of two tensors' elements, a sum a group. */
#version 450
#include "common.glsl"
#include "exact/loss.h"
#include "row.glsl"

ACTC_READ(0, x);
ACTC_READ(1, target);
ACTC_READ(2, steps);
ACTC_WRITE(3, sums);

void actc_kernel(uint group, uint lane)
{
    float sum = 0.0;
    ACTC_FOR_ELEMENTS(i, min(p.n, steps[ACTC_STEP_ROWS] * p.per_sample))
        sum = ACTC_ADD(sum, actc_distance(p.op, ACTC_LOAD(x, i), ACTC_LOAD(target, i)));
    sum = row_total(lane, sum);
    if (lane == 0u)
        sums[group] = actc_canon_bits(sum);
}
