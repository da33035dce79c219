/* codec.cuh: what the codec passes share: scans over a group, pieces, and the payload's window. */
#ifndef ACTC_CODEC_CUH
#define ACTC_CODEC_CUH

#include "common.cuh"

#include "exact/codec.h"

#define INDEX_MASK 1u
#define INDEX_U8 2u
#define INDEX_U16 3u

/* Words of the constants. */
#define REGION_BEGIN 0u
#define REGION_K 32u
#define TABLES 64u
#define WIDTH_MATRIX 256u

static __device__ __forceinline__ uint codec_min(uint a, uint b)
{
    return a < b ? a : b;
}

static __device__ __forceinline__ uint codec_max(uint a, uint b)
{
    return a > b ? a : b;
}

/* Inclusive sums of one word a thread, through `sums` of ACTC_GROUP_SIZE words; the last is the total. Every thread must
 * get here, and not write `sums` again before a barrier. */
static __device__ __forceinline__ uint codec_scan_threads(uint *sums, uint value)
{
    const uint t = threadIdx.x;
    sums[t] = value;
    __syncthreads();
    for (uint step = 1u; step < ACTC_GROUP_SIZE; step *= 2u) {
        const uint before = t >= step ? sums[t - step] : 0u;
        __syncthreads();
        value += before;
        sums[t] = value;
        __syncthreads();
    }
    return value;
}

/* A bit a thread: `words` of a group's 8 warps. Every thread must get to the vote; a barrier must follow before the words
 * are counted. */
#define CODEC_VOTE_WORDS 8u

static __device__ __forceinline__ void codec_vote(uint *words, bool bit)
{
    const uint word = __ballot_sync(0xffffffffu, bit);
    if (threadIdx.x % 32u == 0u)
        words[threadIdx.x / 32u] = word;
}

/* Bits of the threads below this one. */
static __device__ __forceinline__ uint codec_votes_before(const uint *words)
{
    const uint warp = threadIdx.x / 32u;
    uint before = (uint)__popc(words[warp] & ((1u << (threadIdx.x % 32u)) - 1u));
#pragma unroll
    for (uint w = 0u; w + 1u < CODEC_VOTE_WORDS; w++)
        before += w < warp ? (uint)__popc(words[w]) : 0u;
    return before;
}

static __device__ __forceinline__ uint codec_votes(const uint *words)
{
    uint all = 0u;
#pragma unroll
    for (uint w = 0u; w < CODEC_VOTE_WORDS; w++)
        all += (uint)__popc(words[w]);
    return all;
}

/* The sum of a warp's values, in every thread of it. */
static __device__ __forceinline__ uint codec_warp_sum(uint value)
{
#pragma unroll
    for (uint lanes = 16u; lanes > 0u; lanes /= 2u)
        value += __shfl_xor_sync(0xffffffffu, value, lanes);
    return value;
}

/* ---- pieces ---- */

struct codec_piece {
    uint region, tile, begin, end; /* coefficients [begin, end), maybe none */
};

static __device__ __forceinline__ uint codec_region_of(const uint *constants, uint regions, uint coefficient)
{
    uint r = 0u;
    while (r + 1u < regions && coefficient >= constants[REGION_BEGIN + r + 1u])
        r++;
    return r;
}

static __device__ __forceinline__ codec_piece codec_piece_of(const uint *constants, uint regions, uint id)
{
    uint r = 0u;
    while (r + 1u < regions && (constants[REGION_BEGIN + r + 1u] >> 8) + r + 1u <= id)
        r++;
    codec_piece piece;
    piece.region = r;
    piece.tile = id - r;
    piece.begin = codec_max(piece.tile * 256u, constants[REGION_BEGIN + r]);
    piece.end = codec_max(codec_min(piece.tile * 256u + 256u, constants[REGION_BEGIN + r + 1u]), piece.begin);
    return piece;
}

/* ---- the payload: only words of the launch's window are written; parts of words are combined into zeroes ---- */

struct codec_window {
    uint *data;
    uint first, words;
};

static __device__ __forceinline__ void codec_put_word(codec_window w, uint word, uint value)
{
    if (word - w.first < w.words)
        w.data[word - w.first] = value;
}

static __device__ __forceinline__ void codec_or_word(codec_window w, uint word, uint value)
{
    if (value != 0u && word - w.first < w.words)
        atomicOr(&w.data[word - w.first], value);
}

static __device__ __forceinline__ void codec_put_byte(codec_window w, uint at, uint value)
{
    codec_or_word(w, at >> 2, value << (8u * (at & 3u)));
}

/* at is even. */
static __device__ __forceinline__ void codec_put_half(codec_window w, uint at, uint value)
{
    codec_or_word(w, at >> 2, value << (8u * (at & 2u)));
}

/* Where kept coefficients go; values NULL: to the payload. */
struct codec_sink {
    codec_window payload;
    uint *values;
    uint values_first, values_words, index, mask_word, values_word, index_byte;
};

template <typename params>
static __device__ __forceinline__ codec_sink codec_sink_of(const params &p, uint *payload, uint *values)
{
    codec_sink s;
    s.payload.data = payload;
    s.payload.first = p.payload_first;
    s.payload.words = p.payload_words;
    s.values = p.to_values != 0u ? values : NULL;
    s.values_first = p.values_first;
    s.values_words = p.values_words;
    s.index = p.index;
    s.mask_word = p.mask_word;
    s.values_word = p.values_word;
    s.index_byte = p.index_byte;
    return s;
}

/* Index entry (but the mask's, which go together: codec_put_mask) and value of a kept coefficient. */
static __device__ __forceinline__ void codec_put(const codec_sink &s, uint slot, uint coefficient, uint bits)
{
    if (s.index == INDEX_U8)
        codec_put_byte(s.payload, s.index_byte + slot, coefficient & 255u);
    else if (s.index == INDEX_U16)
        codec_put_half(s.payload, s.index_byte + 2u * slot, coefficient & 65535u);
    if (s.values == NULL)
        codec_put_word(s.payload, s.values_word + slot, bits);
    else if (slot - s.values_first < s.values_words)
        s.values[slot - s.values_first] = bits;
}

/* The tile's mask words, a bit a thread. Every thread must get here. */
static __device__ __forceinline__ void codec_put_mask(const codec_sink &s, uint tile, bool kept)
{
    const uint word = __ballot_sync(0xffffffffu, kept);
    if (threadIdx.x % 32u == 0u)
        codec_or_word(s.payload, s.mask_word + tile * 8u + threadIdx.x / 32u, word);
}

#endif
