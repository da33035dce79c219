/* codec_random.cu: uniform numbers in place of a tensor. */
#include "codec.cuh"

ACTC_CUDA_KERNEL(codec_random, const uint *step, uint *x)
{
    ACTC_GROUP(group);
    const uint end = codec_min(p.n, (group + 1u) * ACTC_GROUP_ELEMENTS);
    for (uint i = group * ACTC_GROUP_ELEMENTS + threadIdx.x; i < end; i += ACTC_GROUP_SIZE)
        x[i] = actc_canon_bits(actc_uniform(actc_random_bits(p.first + i, p.tensor, step[ACTC_STEP_STEP_LO],
                                                             step[ACTC_STEP_STEP_HI], step[ACTC_STEP_SEED_LO],
                                                             step[ACTC_STEP_SEED_HI])));
}
