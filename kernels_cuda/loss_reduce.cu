/* loss_reduce.cu: the batch's loss by 256 strided sums and a binary tree. One group. */
#include "loss.cuh"

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
        const uint value = actc_canon_bits(p.mean != 0u ? ACTC_MUL(a[0], actc_flush_bits(step[p.norm])) : a[0]);
        const uint bits = actc_loss_total(result[ACTC_RESULT_LOSS], p.first, value, p.weight);
        result[ACTC_RESULT_VALUES + p.slot] = value;
        result[ACTC_RESULT_LOSS] = bits;
        if (actc_not_finite(bits) != 0u)
            result[ACTC_RESULT_BAD] = 1u;
    }
}
