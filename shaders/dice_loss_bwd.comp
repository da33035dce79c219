/* dice_loss_bwd: the gradient of Dice with regard to the probabilities. */
#version 450
#include "common.glsl"
#include "exact/loss.h"

ACTC_READ(0, probabilities);
ACTC_READ(1, target);
ACTC_READ(2, quotients);
ACTC_READ(3, steps);
ACTC_WRITE(4, dp);

void actc_kernel(uint group, uint lane)
{
    float scale = actc_loss_scale(steps[p.norm], p.weight);
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint row = i / p.cols, c = i % p.cols, column = row / p.rows * p.cols + c;
        uint inverse = quotients[p.outer * p.cols + column];
        float t;
        if (p.labels != 0u)
            t = target[row] == c ? 1.0 : 0.0;
        else
            t = ACTC_LOAD(target, i);
        float factor = actc_flush(ACTC_MUL(actc_flush_bits(inverse), scale));
        float slope = actc_dice_slope(p.squares, ACTC_LOAD(probabilities, i), t, ACTC_LOAD(quotients, column), factor);
        dp[i] = (inverse & ACTC_ABS_MASK) < ACTC_TINY_BITS ? 0u : actc_canon_bits(slope);
    }
}
