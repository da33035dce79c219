/* codec_hist: histogram of a part of the bits of |y|, for the radix selection. */
#version 450
#include "common.glsl"

ACTC_READ(0, y);
ACTC_READ(1, state);
ACTC_WRITE(2, histogram);

shared uint bins[ACTC_CODEC_BINS];

void actc_kernel(uint group, uint lane)
{
    uint record = p.region * ACTC_CODEC_STATE_WORDS;
    if (state[record + ACTC_CODEC_STATE_ALL] != 0u)
        return;
    for (uint b = lane; b < ACTC_CODEC_BINS; b += ACTC_GROUP_SIZE)
        bins[b] = 0u;
    barrier();
    uint prefix = state[record + ACTC_CODEC_STATE_KEY], begin = p.begin + group * ACTC_CODEC_HIST_COEFFICIENTS;
    uint count = min(p.end - begin, ACTC_CODEC_HIST_COEFFICIENTS);
    for (uint i = lane; i < count; i += ACTC_GROUP_SIZE) {
        uint key = y[begin + i - p.y_first] & ACTC_ABS_MASK;
        uint bin = p.pass == 0u ? key >> 20 : p.pass == 1u ? (key >> 10) & 1023u : key & 1023u;
        bool counts = p.pass == 0u || (p.pass == 1u ? key >> 20 : key >> 10) == prefix;
        if (key != 0u && counts)
            atomicAdd(bins[bin], 1u);
    }
    barrier();
    for (uint b = lane; b < ACTC_CODEC_BINS; b += ACTC_GROUP_SIZE)
        if (bins[b] != 0u)
            atomicAdd(histogram[b], bins[b]);
}
