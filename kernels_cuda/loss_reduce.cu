/* loss_reduce.cu: the batch's loss by 256 strided sums and a binary tree. One group. */
#include "common.cuh"

ACTC_CUDA_KERNEL(loss_reduce, const float *loss, const uint *step, uint *result)
{
    ACTC_GROUP(group);
    __shared__ float a[ACTC_GROUP_SIZE];
    const uint t = threadIdx.x;
    float sum = 0.0f;
    for (uint r = t; r < p.rows; r += ACTC_GROUP_SIZE)
        sum = ACTC_ADD(sum, actc_flush(loss[r]));
    a[t] = sum;
    for (uint s = ACTC_GROUP_SIZE / 2u; s > 0u; s /= 2u) {
        __syncthreads();
        if (t < s)
            a[t] = ACTC_ADD(a[t], a[t + s]);
    }
    if (t == 0u && group == 0u) {
        const float total = p.mean != 0u ? ACTC_MUL(a[0], ACTC_BITS_F32(step[ACTC_STEP_INV_ROWS])) : a[0];
        const uint bits = actc_canon_bits(total);
        result[ACTC_RESULT_LOSS] = bits;
        if (actc_not_finite(bits) != 0u)
            result[ACTC_RESULT_BAD] = 1u;
    }
}
