/* codec_count.c: how many keys of each piece are above the threshold, and how many equal it. */
#include "codec_pass.h"

ACTC_CPU_KERNEL(codec_count)
{
    const struct actc_params_codec_count *p = params;
    const uint32_t *y = views[0], *constants = views[1];
    uint32_t *counts = views[3], *sums = views[4];
    for (uint32_t g = begin; g < end; g++) {
        uint32_t id = p->first_piece + g;
        codec_piece piece = codec_piece_of(constants, p->regions, id);
        const uint32_t *state = codec_state(views[2], piece.region);
        uint32_t key = state[ACTC_CODEC_STATE_KEY], above = 0, equal = 0;
        for (uint32_t i = piece.begin; i < piece.end; i++) {
            uint32_t k = y[i - p->y_first] & ACTC_ABS_MASK;
            above += k > key;
            equal += k == key;
        }
        equal = state[ACTC_CODEC_STATE_ALL] ? 0 : equal;
        counts[2 * id] = above;
        counts[2 * id + 1] = equal;
        __atomic_fetch_add(&sums[2 * (piece.tile >> 8)], above, __ATOMIC_RELAXED);
        __atomic_fetch_add(&sums[2 * (piece.tile >> 8) + 1], equal, __ATOMIC_RELAXED);
    }
}
