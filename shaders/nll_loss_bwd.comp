/* nll_loss_bwd: -scale at the label of each row that counts, else +0. */
#version 450
#include "common.glsl"

ACTC_READ(0, labels);
ACTC_READ(1, steps);
ACTC_WRITE(2, dx);
#include "loss.glsl"

void actc_kernel(uint group, uint lane)
{
    float scale = actc_loss_scale(steps[p.norm], p.weight);
    ACTC_FOR_ELEMENTS(i, p.rows * p.cols)
        dx[i] = i % p.cols == actc_label_of(i / p.cols) ? actc_canon_bits(-scale) : 0u;
}
