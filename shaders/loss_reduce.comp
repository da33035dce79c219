/* loss_reduce: the sum or mean of the rows' losses, by one group. */
#version 450
#include "common.glsl"
#include "exact/loss.h"

ACTC_READ(0, loss);
ACTC_READ(1, steps);
ACTC_WRITE(2, result);

shared float sums[ACTC_GROUP_SIZE];

void actc_kernel(uint group, uint lane)
{
    float sum = 0.0;
    for (uint row = lane; row < p.rows; row += ACTC_GROUP_SIZE)
        sum = ACTC_ADD(sum, ACTC_LOAD(loss, row));
    sums[lane] = sum;
    barrier();
    for (uint s = ACTC_GROUP_SIZE / 2u; s > 0u; s /= 2u) {
        if (lane < s)
            sums[lane] = ACTC_ADD(sums[lane], sums[lane + s]);
        barrier();
    }
    if (lane == 0u) {
        float sum = sums[0];
        if (p.mean != 0u)
            sum = ACTC_MUL(sum, ACTC_LOAD(steps, p.norm));
        uint value = actc_canon_bits(sum);
        uint bits = actc_loss_total(result[ACTC_RESULT_LOSS], p.first, value, p.weight);
        result[ACTC_RESULT_VALUES + p.slot] = value;
        result[ACTC_RESULT_LOSS] = bits;
        if (actc_not_finite(bits) != 0u)
            result[ACTC_RESULT_BAD] = 1u;
    }
}
