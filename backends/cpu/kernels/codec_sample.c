/* codec_sample.c: a random sample of each tile. */
#include "codec_pass.h"

ACTC_CPU_KERNEL(codec_sample)
{
    const struct actc_params_codec_sample *p = params;
    const uint32_t *y = views[0], *step = views[1];
    codec_sink sink = {.payload = {views[2], p->payload_first, p->payload_words},
                       .values = p->to_values ? views[3] : NULL,
                       .values_first = p->values_first,
                       .values_words = p->values_words,
                       .index = p->index,
                       .mask_word = p->mask_word,
                       .values_word = p->values_word,
                       .index_byte = p->index_byte};
    for (uint32_t g = begin; g < end; g++) {
        uint32_t tile = p->first_tile + g, first = tile * 256, n = ACTC_MIN(256, p->m - first);
        uint32_t slot = actc_tile_slot(tile, p->k, p->m), most = actc_tile_slot(tile + 1, p->k, p->m) - slot;
        const uint32_t *bits = y + (first - p->y_first);
        uint32_t largest = 0, weights[256], certain = 0, rest = 0;
        bool always[256];
        for (uint32_t i = 0; i < n; i++)
            largest = (bits[i] & ACTC_ABS_MASK) > largest ? bits[i] & ACTC_ABS_MASK : largest;
        bool finite = largest < ACTC_INF_BITS;
        for (uint32_t i = 0; i < n; i++)
            weights[i] = actc_sample_weight(bits[i], actc_sample_exponent(largest));
        for (uint32_t i = 0; i < n; i++) {
            uint32_t key = bits[i] & ACTC_ABS_MASK, rank = 0, sum = 0;
            for (uint32_t j = 0; j < n; j++) {
                uint32_t other = bits[j] & ACTC_ABS_MASK;
                rank += other > key || (other == key && j < i);
                sum += ACTC_MIN(weights[i], weights[j]);
            }
            always[i] = key && (finite ? sum <= most * weights[i] : rank < most);
            certain += always[i];
            rest += finite && !always[i] ? weights[i] : 0;
        }
        actc_u32x4 random = actc_philox(ACTC_SAMPLE_DRAWS + tile, p->tensor, step[ACTC_STEP_STEP_LO], step[ACTC_STEP_STEP_HI],
                                        step[ACTC_STEP_SEED_LO], step[ACTC_STEP_SEED_HI]);
        uint32_t start = actc_sample_start(random.x, random.y, rest), before = 0;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t part = (most - certain) * weights[i];
            if (always[i]) {
                codec_put(&sink, slot++, first + i, bits[i]);
            } else if (rest && weights[i]) {
                before += weights[i];
                if (actc_sample_point(before, most - certain, start, rest) < part)
                    codec_put(&sink, slot++, first + i, actc_sample_value(bits[i], rest, part));
            }
        }
    }
}
