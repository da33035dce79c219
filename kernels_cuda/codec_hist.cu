/* codec_hist.cu: histogram of a part of the bits of |y|, for the radix selection. */
#include "codec.cuh"

ACTC_CUDA_KERNEL(codec_hist, const uint *y, const uint *state, uint *histogram)
{
    ACTC_GROUP(group);
    __shared__ uint bins[ACTC_CODEC_BINS];
    const uint *record = state + p.region * ACTC_CODEC_STATE_WORDS;
    if (record[ACTC_CODEC_STATE_ALL] != 0u)
        return;
    for (uint b = threadIdx.x; b < ACTC_CODEC_BINS; b += ACTC_GROUP_SIZE)
        bins[b] = 0u;
    __syncthreads();
    const uint prefix = record[ACTC_CODEC_STATE_KEY], begin = p.begin + group * ACTC_CODEC_HIST_COEFFICIENTS;
    const uint count = codec_min(p.end - begin, ACTC_CODEC_HIST_COEFFICIENTS);
    for (uint i = threadIdx.x; i < count; i += ACTC_GROUP_SIZE) {
        const uint key = y[begin + i - p.y_first] & ACTC_ABS_MASK;
        const uint bin = p.pass == 0u ? key >> 20 : p.pass == 1u ? (key >> 10) & 1023u : key & 1023u;
        const bool counts = p.pass == 0u || (p.pass == 1u ? key >> 20 : key >> 10) == prefix;
        if (key != 0u && counts)
            atomicAdd(&bins[bin], 1u);
    }
    __syncthreads();
    for (uint b = threadIdx.x; b < ACTC_CODEC_BINS; b += ACTC_GROUP_SIZE)
        if (bins[b] != 0u)
            atomicAdd(&histogram[b], bins[b]);
}
