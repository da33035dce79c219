/* codec_tile.c: the largest of each tile on its own. */
#include "codec_pass.h"

ACTC_CPU_KERNEL(codec_tile)
{
    const struct actc_params_codec_tile *p = params;
    const uint32_t *y = views[0];
    codec_sink sink = {.payload = {views[1], p->payload_first, p->payload_words},
                       .values = p->to_values ? views[2] : NULL,
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
        for (uint32_t i = 0; i < n; i++) {
            uint32_t key = bits[i] & ACTC_ABS_MASK, rank = 0;
            for (uint32_t j = 0; j < n; j++) {
                uint32_t other = bits[j] & ACTC_ABS_MASK;
                rank += other > key || (other == key && j < i);
            }
            if (key && rank < most)
                codec_put(&sink, slot++, first + i, bits[i]);
        }
    }
}
