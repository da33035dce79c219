/* loss_reduce: the sum or mean of the rows' losses, by one group. */
#version 450
#include "common.glsl"

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
        float total = sums[0];
        if (p.mean != 0u)
            total = ACTC_MUL(total, uintBitsToFloat(steps[ACTC_STEP_INV_ROWS]));
        uint bits = actc_canon_bits(total);
        result[ACTC_RESULT_LOSS] = bits;
        if (actc_not_finite(bits) != 0u)
            result[ACTC_RESULT_BAD] = 1u;
    }
}
