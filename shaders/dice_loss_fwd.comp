/* dice_loss_fwd: the loss of each class from its sums, and what its gradient needs of them. */
#version 450
#include "common.glsl"
#include "exact/loss.h"

ACTC_READ(0, overlap);
ACTC_READ(1, sizes);
ACTC_READ(2, steps);
ACTC_WRITE(3, loss);
ACTC_WRITE(4, quotients);

void actc_kernel(uint group, uint lane)
{
    uint i = group * ACTC_GROUP_SIZE + lane, n = p.outer * p.cols;
    if (i >= n)
        return;
    bool counts = i / p.cols < steps[ACTC_STEP_ROWS] && i % p.cols >= p.first;
    float inverse = actc_dice_inverse(ACTC_LOAD(sizes, i), p.smooth_dr);
    float quotient = actc_dice_quotient(ACTC_LOAD(overlap, i), inverse, p.smooth_nr);
    loss[i] = counts ? actc_canon_bits(ACTC_SUB(1.0, quotient)) : 0u;
    if (p.keep != 0u) {
        quotients[i] = counts ? actc_canon_bits(quotient) : 0u;
        quotients[n + i] = counts ? actc_canon_bits(inverse) : 0u;
    }
}
