/* codec_select: the bin of a histogram in which the k-th largest key lies. */
#version 450
#include "common.glsl"

ACTC_READ(0, constants);
ACTC_WRITE(1, state);
ACTC_WRITE(2, histogram);

#include "codec.glsl"

const uint EACH = ACTC_CODEC_BINS / ACTC_GROUP_SIZE;

void actc_kernel(uint group, uint lane)
{
    uint record = p.region * ACTC_CODEC_STATE_WORDS;
    /* lane 0 has the highest bins */
    uint counts[EACH], own = 0u, top = ACTC_CODEC_BINS - 1u - lane * EACH;
    for (uint b = 0u; b < EACH; b++) {
        counts[b] = histogram[top - b];
        histogram[top - b] = 0u;
        own += counts[b];
    }
    uint wanted = p.pass == 0u ? constants[REGION_K + p.region] : state[record + ACTC_CODEC_STATE_TIES];
    uint prefix = p.pass == 0u ? 0u : state[record + ACTC_CODEC_STATE_KEY];
    bool all = p.pass != 0u && state[record + ACTC_CODEC_STATE_ALL] != 0u;
    uint through = codec_scan_lanes(lane, own), above = through - own;
    if (p.pass == 0u)
        all = codec_scan_total() <= wanted;
    barrier(); /* all lanes have read the record */
    if (all && lane == 0u) {
        state[record + ACTC_CODEC_STATE_ALL] = 1u;
        state[record + ACTC_CODEC_STATE_KEY] = 0u;
        state[record + ACTC_CODEC_STATE_TIES] = 0u;
        state[record + ACTC_CODEC_STATE_EQUAL] = 0u;
    }
    if (!all && above < wanted && through >= wanted) {
        uint b = 0u;
        for (; counts[b] < wanted - above; b++)
            above += counts[b];
        state[record + ACTC_CODEC_STATE_ALL] = 0u;
        state[record + ACTC_CODEC_STATE_KEY] = p.pass == 0u ? top - b : (prefix << 10) | (top - b);
        state[record + ACTC_CODEC_STATE_TIES] = wanted - above;
        state[record + ACTC_CODEC_STATE_EQUAL] = counts[b];
    }
    if (p.pass == 2u && lane == 0u) {
        uint before = record - ACTC_CODEC_STATE_WORDS;
        bool first = p.region == 0u;
        state[record + ACTC_CODEC_STATE_EQUAL_BEFORE] =
            first ? 0u : state[before + ACTC_CODEC_STATE_EQUAL_BEFORE] + state[before + ACTC_CODEC_STATE_EQUAL];
        state[record + ACTC_CODEC_STATE_TIES_BEFORE] =
            first ? 0u : state[before + ACTC_CODEC_STATE_TIES_BEFORE] + state[before + ACTC_CODEC_STATE_TIES];
    }
}
