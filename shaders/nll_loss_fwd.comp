/* nll_loss_fwd: the loss of each row. */
#version 450
#include "common.glsl"

ACTC_READ(0, log_p);
ACTC_READ(1, labels);
ACTC_READ(2, steps);
ACTC_WRITE(3, loss);
#include "loss.glsl"

void actc_kernel(uint group, uint lane)
{
    uint row = group * ACTC_GROUP_SIZE + lane;
    if (row >= p.rows)
        return;
    uint label = actc_label_of(row);
    loss[row] = label < p.cols ? actc_canon_bits(-ACTC_LOAD(log_p, row * p.cols + label)) : 0u;
}
