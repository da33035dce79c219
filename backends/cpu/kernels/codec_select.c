/* codec_select.c: the bin of a histogram in which the k-th largest key lies. */
#include "codec_pass.h"

ACTC_CPU_KERNEL(codec_select)
{
    const struct actc_params_codec_select *p = params;
    const uint32_t *constants = views[0];
    uint32_t *state = (uint32_t *)views[1] + p->region * ACTC_CODEC_STATE_WORDS, *histogram = views[2];
    (void)begin;
    (void)end;
    if (p->pass == 0) {
        uint64_t total = 0;
        for (uint32_t b = 0; b < ACTC_CODEC_BINS; b++)
            total += histogram[b];
        state[ACTC_CODEC_STATE_KEY] = 0;
        state[ACTC_CODEC_STATE_TIES] = constants[ACTC_CODEC_REGION_K + p->region];
        state[ACTC_CODEC_STATE_ALL] = total <= state[ACTC_CODEC_STATE_TIES];
    }
    if (state[ACTC_CODEC_STATE_ALL]) {
        state[ACTC_CODEC_STATE_TIES] = state[ACTC_CODEC_STATE_EQUAL] = 0;
    } else {
        uint32_t bin = p->pass == 0 ? 2047 : 1023, wanted = state[ACTC_CODEC_STATE_TIES];
        for (; histogram[bin] < wanted; bin--)
            wanted -= histogram[bin];
        state[ACTC_CODEC_STATE_KEY] = p->pass == 0 ? bin : state[ACTC_CODEC_STATE_KEY] << 10 | bin;
        state[ACTC_CODEC_STATE_TIES] = wanted;
        state[ACTC_CODEC_STATE_EQUAL] = histogram[bin];
    }
    for (uint32_t b = 0; b < ACTC_CODEC_BINS; b++)
        histogram[b] = 0;
    if (p->pass == 2) {
        const uint32_t *before = state - ACTC_CODEC_STATE_WORDS;
        bool first = p->region == 0;
        state[ACTC_CODEC_STATE_EQUAL_BEFORE] =
            first ? 0 : before[ACTC_CODEC_STATE_EQUAL_BEFORE] + before[ACTC_CODEC_STATE_EQUAL];
        state[ACTC_CODEC_STATE_TIES_BEFORE] =
            first ? 0 : before[ACTC_CODEC_STATE_TIES_BEFORE] + before[ACTC_CODEC_STATE_TIES];
    }
}
