/* codec.glsl: what the codec passes share. A kernel that includes it declares the views it names: `constants` for pieces,
 * `payload` for CODEC_PAYLOAD, `values` for CODEC_SINK.
 */
#ifndef ACTC_CODEC_GLSL
#define ACTC_CODEC_GLSL

#include "exact/codec.h"

const uint INDEX_MASK = 1u, INDEX_U8 = 2u, INDEX_U16 = 3u;

/* Words of the constants. */
const uint REGION_BEGIN = 0u, REGION_K = 32u, TABLES = 64u, WIDTH_MATRIX = 256u;

/* Inclusive sums of one word a lane; *_total holds all of them. Every lane must get here. */
shared uint codec_sums[ACTC_GROUP_SIZE];

uint codec_scan_lanes(uint lane, uint value)
{
    codec_sums[lane] = value;
    barrier();
    for (uint step = 1u; step < ACTC_GROUP_SIZE; step *= 2u) {
        uint before = lane >= step ? codec_sums[lane - step] : 0u;
        barrier();
        value += before;
        codec_sums[lane] = value;
        barrier();
    }
    return value;
}

uint codec_scan_total()
{
    return codec_sums[ACTC_GROUP_SIZE - 1u];
}

#if defined(CODEC_VOTES)
/* CODEC_VOTES votes of a bit a lane, 8 words each: cleared, a barrier, cast, a barrier, counted. Two barriers where a scan has
 * sixteen, and no subgroup operations, which not every driver has for whole words. */
shared uint codec_votes[CODEC_VOTES * 8u];

void codec_votes_clear(uint lane)
{
    if (lane < CODEC_VOTES * 8u)
        codec_votes[lane] = 0u;
}

void codec_vote(uint vote, uint lane, bool bit)
{
    if (bit)
        atomicOr(codec_votes[vote * 8u + lane / 32u], 1u << (lane % 32u));
}

/* Bits of the lanes below this one. */
uint codec_votes_before(uint vote, uint lane)
{
    uint before = uint(bitCount(codec_votes[vote * 8u + lane / 32u] & ((1u << (lane % 32u)) - 1u)));
    for (uint w = 0u; w < lane / 32u; w++)
        before += uint(bitCount(codec_votes[vote * 8u + w]));
    return before;
}

uint codec_votes_all(uint vote)
{
    uint all = 0u;
    for (uint w = 0u; w < 8u; w++)
        all += uint(bitCount(codec_votes[vote * 8u + w]));
    return all;
}
#endif

#if defined(CODEC_PIECES)
struct codec_piece {
    uint region, tile, begin, end; /* coefficients [begin, end), maybe none */
};

uint codec_region_of(uint regions, uint coefficient)
{
    uint r = 0u;
    while (r + 1u < regions && coefficient >= constants[REGION_BEGIN + r + 1u])
        r++;
    return r;
}

codec_piece codec_piece_of(uint regions, uint id)
{
    uint r = 0u;
    while (r + 1u < regions && (constants[REGION_BEGIN + r + 1u] >> 8) + r + 1u <= id)
        r++;
    codec_piece piece;
    piece.region = r;
    piece.tile = id - r;
    piece.begin = max(piece.tile * 256u, constants[REGION_BEGIN + r]);
    piece.end = max(min(piece.tile * 256u + 256u, constants[REGION_BEGIN + r + 1u]), piece.begin);
    return piece;
}
#endif

#if defined(CODEC_PAYLOAD)
/* Only words of the launch's window are written; parts of words are combined into zeroes. */
void codec_put_word(uint word, uint value)
{
    if (word - p.payload_first < p.payload_words)
        payload[word - p.payload_first] = value;
}

void codec_or_word(uint word, uint value)
{
    if (value != 0u && word - p.payload_first < p.payload_words)
        atomicOr(payload[word - p.payload_first], value);
}

void codec_put_byte(uint at, uint value)
{
    codec_or_word(at >> 2, value << (8u * (at & 3u)));
}

/* at is even. */
void codec_put_half(uint at, uint value)
{
    codec_or_word(at >> 2, value << (8u * (at & 2u)));
}
#endif

#if defined(CODEC_SINK)
/* Index entry (but the mask's, which go together: codec_put_mask) and value of a kept coefficient. */
void codec_put(uint slot, uint coefficient, uint bits)
{
    if (p.index == INDEX_U8)
        codec_put_byte(p.index_byte + slot, coefficient & 255u);
    else if (p.index == INDEX_U16)
        codec_put_half(p.index_byte + 2u * slot, coefficient & 65535u);
    if (p.to_values == 0u)
        codec_put_word(p.values_word + slot, bits);
    else if (slot - p.values_first < p.values_words)
        values[slot - p.values_first] = bits;
}

/* The tile's mask words, of the lanes that voted to keep theirs; after a barrier. */
void codec_put_mask(uint vote, uint lane, uint tile)
{
    if (lane < 8u)
        codec_or_word(p.mask_word + tile * 8u + lane, codec_votes[vote * 8u + lane]);
}
#endif

#endif
