/* codec_hist.c: histogram of a part of the bits of |y|, for the radix selection. */
#include "codec_pass.h"

ACTC_CPU_KERNEL(codec_hist)
{
    const struct actc_params_codec_hist *p = params;
    const uint32_t *y = views[0];
    const uint32_t *state = codec_state(views[1], p->region);
    uint32_t *histogram = views[2], bins[ACTC_CODEC_BINS] = {0};
    if (state[ACTC_CODEC_STATE_ALL])
        return;
    uint32_t prefix = state[ACTC_CODEC_STATE_KEY];
    uint64_t first = p->begin + (uint64_t)begin * ACTC_CODEC_HIST_COEFFICIENTS;
    uint64_t last = p->begin + (uint64_t)end * ACTC_CODEC_HIST_COEFFICIENTS;
    last = ACTC_MIN(last, p->end);
    for (uint64_t i = first; i < last; i++) {
        uint32_t key = y[(uint32_t)i - p->y_first] & ACTC_ABS_MASK;
        if (p->pass == 0 && key)
            bins[key >> 20]++;
        else if (p->pass == 1 && key >> 20 == prefix)
            bins[key >> 10 & 1023] += key != 0;
        else if (p->pass == 2 && key >> 10 == prefix)
            bins[key & 1023] += key != 0;
    }
    for (uint32_t b = 0; b < ACTC_CODEC_BINS; b++)
        if (bins[b])
            __atomic_fetch_add(&histogram[b], bins[b], __ATOMIC_RELAXED);
}
