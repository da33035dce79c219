/* dice_loss_bwd.cu: the gradient of Dice with regard to the probabilities. */
#include "index.cuh"
#include "exact/loss.h"

ACTC_CUDA_KERNEL(dice_loss_bwd, const float *probabilities, const uint *target, const float *quotients, const uint *step, float *dp)
{
    ACTC_GROUP(group);
    const float scale = actc_loss_scale(step[p.norm], p.weight);
    const actc_divisor by_cols = actc_divide_by(p.cols), by_rows = actc_divide_by(p.rows);
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        uint c = i;
        const uint row = actc_div_rem(c, by_cols);
        uint rest = row;
        const uint column = actc_div_rem(rest, by_rows) * p.cols + c;
        const float inverse = actc_flush(quotients[p.outer * p.cols + column]), factor = actc_flush(ACTC_MUL(inverse, scale));
        const float t = p.labels == 0u ? actc_flush_bits(target[i]) : target[row] == c ? 1.0f : 0.0f;
        const float slope = actc_dice_slope(p.squares, actc_flush(probabilities[i]), t, actc_flush(quotients[column]), factor);
        dp[i] = inverse == 0.0f ? 0.0f : actc_canon(slope);
    }
}
