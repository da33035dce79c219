/* quant_words.h: codes of 1, 2, 4 and 8 bits packed into words and taken out, eight at a time. */
#ifndef ACTC_QUANT_WORDS_H
#define ACTC_QUANT_WORDS_H

#include "exact/quant.h"
#include "kernel.h"

#define ACTC_QUANT_INLINE static inline __attribute__((always_inline))

/* Eight codes, a byte each, into the lowest 8 * bits bits: pairs, then pairs of these, then of those. */
ACTC_QUANT_INLINE uint64_t actc_quant_squeeze(uint64_t v, uint32_t bits)
{
    if (bits == 8)
        return v;
    v = (v | v >> (8 - bits)) & 0x0001000100010001u * ((1u << 2 * bits) - 1);
    v = (v | v >> (16 - 2 * bits)) & 0x0000000100000001u * ((1u << 4 * bits) - 1);
    return (v | v >> (32 - 4 * bits)) & ((1ull << 8 * bits) - 1);
}

ACTC_QUANT_INLINE uint64_t actc_quant_spread(uint64_t v, uint32_t bits)
{
    if (bits == 8)
        return v;
    v = (v | v << (32 - 4 * bits)) & 0x0000000100000001u * ((1u << 4 * bits) - 1);
    v = (v | v << (16 - 2 * bits)) & 0x0001000100010001u * ((1u << 2 * bits) - 1);
    return (v | v << (8 - bits)) & 0x0101010101010101u * ((1u << bits) - 1);
}

/* A group's codes, a byte each, to bytes of the payload, `bits` of them for eight codes; and back. */
ACTC_QUANT_INLINE void actc_quant_squeeze_group(const uint8_t *codes, uint8_t *to, uint32_t bits)
{
    for (uint32_t i = 0; i < ACTC_QUANT_GROUP / 8; i++) {
        uint64_t v;
        memcpy(&v, codes + 8 * i, 8);
        v = actc_quant_squeeze(v, bits);
        memcpy(to + bits * i, &v, bits);
    }
}

ACTC_QUANT_INLINE void actc_quant_spread_group(const uint8_t *from, uint8_t *codes, uint32_t bits)
{
    for (uint32_t i = 0; i < ACTC_QUANT_GROUP / 8; i++) {
        uint64_t v = 0;
        memcpy(&v, from + bits * i, bits);
        v = actc_quant_spread(v, bits);
        memcpy(codes + 8 * i, &v, 8);
    }
}

#endif
