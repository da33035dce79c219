/* dice_loss_fwd.cu: the loss of each class from its sums, and what its gradient needs of them. */
#include "common.cuh"
#include "exact/loss.h"

ACTC_CUDA_KERNEL(dice_loss_fwd, const float *overlap, const float *sizes, const uint *step, float *loss, float *quotients)
{
    ACTC_GROUP(group);
    const uint i = group * ACTC_GROUP_SIZE + threadIdx.x, n = p.outer * p.cols;
    if (i >= n)
        return;
    const bool counts = i / p.cols < step[ACTC_STEP_ROWS] && i % p.cols >= p.first;
    const float inverse = actc_dice_inverse(actc_flush(sizes[i]), p.smooth_dr);
    const float quotient = actc_dice_quotient(actc_flush(overlap[i]), inverse, p.smooth_nr);
    loss[i] = counts ? actc_canon(ACTC_SUB(1.0f, quotient)) : 0.0f;
    if (p.keep != 0u) {
        quotients[i] = counts ? actc_canon(quotient) : 0.0f;
        quotients[n + i] = counts ? actc_canon(inverse) : 0.0f;
    }
}
