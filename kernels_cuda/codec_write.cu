/* codec_write.cu: tables, index entries and values of the kept coefficients, in order. */
/* Waits for memory most of the time: more blocks at once. */
#define ACTC_MIN_BLOCKS 6
#include "codec.cuh"

/* The slot of the first coefficient of a region kept after `above` and `equal` ones in all. */
static __device__ __forceinline__ uint slot_of(const uint *record, uint above, uint equal)
{
    return above + record[ACTC_CODEC_STATE_TIES_BEFORE] +
           codec_min(equal - record[ACTC_CODEC_STATE_EQUAL_BEFORE], record[ACTC_CODEC_STATE_TIES]);
}

ACTC_CUDA_KERNEL(codec_write, const uint *y, const uint *constants, const uint *state, const uint *counts, const uint *sums,
                 uint *payload, uint *values)
{
    ACTC_GROUP(group);
    __shared__ uint above_votes[CODEC_VOTE_WORDS], equal_votes[CODEC_VOTE_WORDS];
    __shared__ uint above_sums[CODEC_VOTE_WORDS], equal_sums[CODEC_VOTE_WORDS];
    const uint t = threadIdx.x, warp = t / 32u, id = p.first_piece + group;
    const codec_piece piece = codec_piece_of(constants, p.regions, id);
    if (piece.begin == piece.end) /* of the whole group */
        return;
    const uint i = piece.tile * 256u + t;
    const bool inside = i >= piece.begin && i < piece.end;
    const uint bits = inside ? y[i - p.y_first] : 0u, key = bits & ACTC_ABS_MASK;
    const codec_sink sink = codec_sink_of(p, payload, values);
    const uint *record = state + piece.region * ACTC_CODEC_STATE_WORDS;
    const uint segment = piece.tile >> 8, start_region = codec_region_of(constants, p.regions, segment << 16);
    /* what the segment's pieces before this one keep */
    uint own_above = 0u, own_equal = 0u;
    for (uint q = (segment << 8) + start_region + t; q < id; q += ACTC_GROUP_SIZE) {
        own_above += counts[2u * q];
        own_equal += counts[2u * q + 1u];
    }
    own_above = codec_warp_sum(own_above);
    own_equal = codec_warp_sum(own_equal);
    if (t % 32u == 0u) {
        above_sums[warp] = own_above;
        equal_sums[warp] = own_equal;
    }
    const uint threshold = record[ACTC_CODEC_STATE_KEY];
    const bool is_above = inside && key > threshold;
    const bool is_equal = inside && key == threshold && record[ACTC_CODEC_STATE_ALL] == 0u;
    codec_vote(above_votes, is_above);
    codec_vote(equal_votes, is_equal);
    __syncthreads();
    uint above_before = sums[2u * segment], equal_before = sums[2u * segment + 1u];
#pragma unroll
    for (uint w = 0u; w < CODEC_VOTE_WORDS; w++) {
        above_before += above_sums[w];
        equal_before += equal_sums[w];
    }
    const uint equal = equal_before + codec_votes_before(equal_votes);
    const uint slot = slot_of(record, above_before + codec_votes_before(above_votes), equal);
    const bool kept =
        is_above || (is_equal && equal - record[ACTC_CODEC_STATE_EQUAL_BEFORE] < record[ACTC_CODEC_STATE_TIES]);
    if (kept)
        codec_put(sink, slot, i, bits);
    if (p.index == INDEX_MASK)
        codec_put_mask(sink, piece.tile, kept);
    if (t == 0u && p.index != INDEX_U16 && piece.begin == piece.tile * 256u && (piece.tile & 255u) != 0u)
        codec_put_half(sink.payload, p.tile_byte + 2u * actc_tile_entry(piece.tile),
                       slot_of(record, above_before, equal_before) -
                           slot_of(state + start_region * ACTC_CODEC_STATE_WORDS, sums[2u * segment], sums[2u * segment + 1u]));
    if (i + 1u == piece.end && (piece.end == constants[REGION_BEGIN + p.regions] || (piece.end & 65535u) == 0u))
        codec_put_word(sink.payload, p.segment_word + segment, slot + (kept ? 1u : 0u));
}
