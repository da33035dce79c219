/* distance_loss_bwd.cu: the gradient of a loss of two tensors' elements. */
#include "common.cuh"
#include "exact/loss.h"

ACTC_CUDA_KERNEL(distance_loss_bwd, const float *x, const float *target, const uint *step, float *dx)
{
    ACTC_GROUP(group);
    const float scale = actc_loss_scale(step[p.norm], p.weight);
    const uint counted = step[ACTC_STEP_ROWS] * p.per_sample;
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        const float slope = i < counted ? actc_distance_slope(p.op, actc_flush(x[i]), actc_flush(target[i])) : 0.0f;
        dx[i] = actc_canon(ACTC_MUL(slope, scale));
    }
}
