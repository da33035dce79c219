/* distance_loss_fwd.cu: sums of the distances of two tensors' elements, a sum a block. */
#include "row.cuh"
#include "exact/loss.h"

ACTC_CUDA_KERNEL(distance_loss_fwd, const float *x, const float *target, const uint *step, float *sums)
{
    ACTC_GROUP(group);
    __shared__ float shared[ACTC_GROUP_SIZE];
    const uint counted = min(p.n, step[ACTC_STEP_ROWS] * p.per_sample), end = min(counted, (group + 1u) * ACTC_GROUP_ELEMENTS);
    float sum = 0.0f;
    for (uint i = group * ACTC_GROUP_ELEMENTS + threadIdx.x; i < end; i += ACTC_GROUP_SIZE)
        sum = ACTC_ADD(sum, actc_distance(p.op, actc_flush(x[i]), actc_flush(target[i])));
    sum = actc_row_total(shared, sum);
    if (threadIdx.x == 0u)
        sums[group] = actc_canon(sum);
}
