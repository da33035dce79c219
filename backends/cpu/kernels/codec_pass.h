/* codec_pass.h: what the codec passes share on the CPU. Groups run on several threads, so that words which two groups
 * write are combined atomically; bytes and half words are stored as such (the payload is little-endian). */
#ifndef ACTC_CODEC_PASS_H
#define ACTC_CODEC_PASS_H

#include "../../../src/codec/codec_plan.h"
#include "exact/codec.h"
#include "kernel.h"

typedef struct codec_piece {
    uint32_t region, tile, begin, end; /* coefficients [begin, end), maybe none */
} codec_piece;

static inline uint32_t codec_region_of(const uint32_t *constants, uint32_t regions, uint32_t coefficient)
{
    uint32_t r = 0;
    while (r + 1 < regions && coefficient >= constants[ACTC_CODEC_REGION_BEGIN + r + 1])
        r++;
    return r;
}

static inline codec_piece codec_piece_of(const uint32_t *constants, uint32_t regions, uint32_t p)
{
    const uint32_t *begin = constants + ACTC_CODEC_REGION_BEGIN;
    uint32_t r = 0;
    while (r + 1 < regions && (begin[r + 1] >> 8) + r + 1 <= p)
        r++;
    uint32_t tile = p - r, first = tile * 256, last = first + 256;
    first = first > begin[r] ? first : begin[r];
    last = last < begin[r + 1] ? last : begin[r + 1];
    return (codec_piece){r, tile, first, last > first ? last : first};
}

static inline const uint32_t *codec_state(const uint32_t *state, uint32_t region)
{
    return state + region * ACTC_CODEC_STATE_WORDS;
}

/* A payload seen through the window of words [first, first + words). */
typedef struct codec_window {
    uint32_t *data;
    uint32_t first, words;
} codec_window;

static inline void codec_put_word(codec_window w, uint32_t word, uint32_t value)
{
    if (word - w.first < w.words)
        w.data[word - w.first] = value;
}

static inline void codec_or_word(codec_window w, uint32_t word, uint32_t value)
{
    if (word - w.first < w.words)
        __atomic_fetch_or(&w.data[word - w.first], value, __ATOMIC_RELAXED);
}

static inline void codec_put_byte(codec_window w, uint32_t byte, uint32_t value)
{
    if (byte / 4 - w.first < w.words)
        ((uint8_t *)(w.data + (byte / 4 - w.first)))[byte % 4] = (uint8_t)value;
}

static inline void codec_put_half(codec_window w, uint32_t byte, uint32_t value)
{
    codec_put_byte(w, byte, value & 255);
    codec_put_byte(w, byte + 1, value >> 8);
}

/* Index entry and value of one kept coefficient. */
typedef struct codec_sink {
    codec_window payload;
    uint32_t *values; /* or NULL: values go to the payload */
    uint32_t values_first, values_words;
    uint32_t index, mask_word, values_word, index_byte;
} codec_sink;

static inline void codec_put(const codec_sink *s, uint32_t slot, uint32_t coefficient, uint32_t bits)
{
    if (s->index == ACTC_INDEX_MASK)
        codec_or_word(s->payload, s->mask_word + coefficient / 32, 1u << coefficient % 32);
    else if (s->index == ACTC_INDEX_U8)
        codec_put_byte(s->payload, s->index_byte + slot, coefficient & 255);
    else
        codec_put_half(s->payload, s->index_byte + 2 * slot, coefficient & 65535);
    if (!s->values)
        codec_put_word(s->payload, s->values_word + slot, bits);
    else if (slot - s->values_first < s->values_words)
        s->values[slot - s->values_first] = bits;
}

#endif
