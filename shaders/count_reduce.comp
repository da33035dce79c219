/* count_reduce: the sum of counts, by one group. */
#version 450
#include "common.glsl"

ACTC_READ(0, counts);
ACTC_WRITE(1, result);

shared uint total;

void actc_kernel(uint group, uint lane)
{
    if (lane == 0u)
        total = 0u;
    barrier();
    uint sum = 0u;
    for (uint i = lane; i < p.n; i += ACTC_GROUP_SIZE)
        sum += counts[i];
    atomicAdd(total, sum);
    barrier();
    if (lane == 0u)
        result[ACTC_RESULT_VALUES + p.slot] = total;
}
