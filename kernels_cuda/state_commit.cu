/* state_commit.cu: staged states become the states where the step was finite, else the other way round. */
#include "common.cuh"

ACTC_CUDA_KERNEL(state_commit, uint *staged, uint *states, const uint *result)
{
    ACTC_GROUP(group);
    const bool good = result[ACTC_RESULT_BAD] == 0u;
    for (uint j = 0; j < ACTC_GROUP_ELEMENTS; j += ACTC_GROUP_SIZE) {
        const uint i = group * ACTC_GROUP_ELEMENTS + j + threadIdx.x;
        if (i >= p.n)
            return;
        if (good)
            states[i] = staged[i];
        else
            staged[i] = states[i];
    }
}
