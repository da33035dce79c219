/* codec_write.c: tables, index entries and values of the kept coefficients, in order. */
#include "codec_pass.h"

/* The slot of the first coefficient of region r kept after `above` and `equal` ones in all. */
static uint32_t slot_of(const uint32_t *state, uint32_t above, uint32_t equal)
{
    uint32_t ties = equal - state[ACTC_CODEC_STATE_EQUAL_BEFORE];
    ties = ACTC_MIN(ties, state[ACTC_CODEC_STATE_TIES]);
    return above + state[ACTC_CODEC_STATE_TIES_BEFORE] + ties;
}

ACTC_CPU_KERNEL(codec_write)
{
    const struct actc_params_codec_write *p = params;
    const uint32_t *y = views[0], *constants = views[1], *counts = views[3], *sums = views[4];
    codec_sink sink = {.payload = {views[5], p->payload_first, p->payload_words},
                       .values = p->to_values ? views[6] : NULL,
                       .values_first = p->values_first,
                       .values_words = p->values_words,
                       .index = p->index,
                       .mask_word = p->mask_word,
                       .values_word = p->values_word,
                       .index_byte = p->index_byte};
    uint32_t m = constants[ACTC_CODEC_REGION_BEGIN + p->regions];
    for (uint32_t g = begin; g < end; g++) {
        uint32_t id = p->first_piece + g;
        codec_piece piece = codec_piece_of(constants, p->regions, id);
        if (piece.begin == piece.end)
            continue;
        const uint32_t *state = codec_state(views[2], piece.region);
        uint32_t segment = piece.tile >> 8, start_region = codec_region_of(constants, p->regions, segment << 16);
        uint32_t above = sums[2 * segment], equal = sums[2 * segment + 1];
        uint32_t segment_slot = slot_of(codec_state(views[2], start_region), above, equal);
        for (uint32_t q = (segment << 8) + start_region; q < id; q++) {
            above += counts[2 * q];
            equal += counts[2 * q + 1];
        }
        uint32_t slot = slot_of(state, above, equal);
        if (p->index != ACTC_INDEX_U16 && piece.begin == piece.tile * 256 && piece.tile % 256)
            codec_put_half(sink.payload, p->tile_byte + 2 * actc_tile_entry(piece.tile), slot - segment_slot);
        uint32_t key = state[ACTC_CODEC_STATE_KEY], ties = equal - state[ACTC_CODEC_STATE_EQUAL_BEFORE];
        uint32_t most = state[ACTC_CODEC_STATE_TIES];
        for (uint32_t i = piece.begin; i < piece.end; i++) {
            uint32_t bits = y[i - p->y_first], k = bits & ACTC_ABS_MASK;
            bool kept = k > key;
            if (k == key && most)
                kept = ties++ < most;
            if (kept)
                codec_put(&sink, slot++, i, bits);
        }
        if (piece.end == m || piece.end == (segment + 1) << 16)
            codec_put_word(sink.payload, p->segment_word + segment, slot);
    }
}
