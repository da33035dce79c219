/* codec_write: tables, index entries and values of the kept coefficients, in order. */
#version 450
#include "common.glsl"

ACTC_READ(0, y);
ACTC_READ(1, constants);
ACTC_READ(2, state);
ACTC_READ(3, counts);
ACTC_READ(4, sums);
ACTC_WRITE(5, payload);
ACTC_WRITE(6, values);

#define CODEC_PIECES
#define CODEC_PAYLOAD
#define CODEC_SINK
#define CODEC_VOTES 3u
#include "codec.glsl"

shared uint above_before, equal_before;

/* The slot of the first coefficient of a region kept after `above` and `equal` ones in all. */
uint slot_of(uint record, uint above, uint equal)
{
    return above + state[record + ACTC_CODEC_STATE_TIES_BEFORE] +
           min(equal - state[record + ACTC_CODEC_STATE_EQUAL_BEFORE], state[record + ACTC_CODEC_STATE_TIES]);
}

void actc_kernel(uint group, uint lane)
{
    uint id = p.first_piece + group;
    codec_piece piece = codec_piece_of(p.regions, id);
    if (piece.begin == piece.end) /* of the whole group */
        return;
    uint i = piece.tile * 256u + lane;
    bool inside = i >= piece.begin && i < piece.end;
    uint bits = inside ? y[i - p.y_first] : 0u, key = bits & ACTC_ABS_MASK;
    uint record = piece.region * ACTC_CODEC_STATE_WORDS, segment = piece.tile >> 8;
    uint start_region = codec_region_of(p.regions, segment << 16), threshold = state[record + ACTC_CODEC_STATE_KEY];
    codec_votes_clear(lane);
    if (lane == 0u) {
        above_before = sums[2u * segment];
        equal_before = sums[2u * segment + 1u];
    }
    barrier();
    uint own_above = 0u, own_equal = 0u;
    for (uint q = (segment << 8) + start_region + lane; q < id; q += ACTC_GROUP_SIZE) {
        own_above += counts[2u * q];
        own_equal += counts[2u * q + 1u];
    }
    if (own_above != 0u)
        atomicAdd(above_before, own_above);
    if (own_equal != 0u)
        atomicAdd(equal_before, own_equal);
    bool is_above = inside && key > threshold;
    bool is_equal = inside && key == threshold && state[record + ACTC_CODEC_STATE_ALL] == 0u;
    codec_vote(0u, lane, is_above);
    codec_vote(1u, lane, is_equal);
    barrier();
    uint equal = equal_before + codec_votes_before(1u, lane);
    uint slot = slot_of(record, above_before + codec_votes_before(0u, lane), equal);
    bool kept = is_above ||
                (is_equal && equal - state[record + ACTC_CODEC_STATE_EQUAL_BEFORE] < state[record + ACTC_CODEC_STATE_TIES]);
    if (kept)
        codec_put(slot, i, bits);
    if (p.index == INDEX_MASK) {
        codec_vote(2u, lane, kept);
        barrier();
        codec_put_mask(2u, lane, piece.tile);
    }
    if (lane == 0u && p.index != INDEX_U16 && piece.begin == piece.tile * 256u && (piece.tile & 255u) != 0u)
        codec_put_half(p.tile_byte + 2u * actc_tile_entry(piece.tile),
                       slot_of(record, above_before, equal_before) -
                           slot_of(start_region * ACTC_CODEC_STATE_WORDS, sums[2u * segment], sums[2u * segment + 1u]));
    if (i + 1u == piece.end && (piece.end == constants[REGION_BEGIN + p.regions] || (piece.end & 65535u) == 0u))
        codec_put_word(p.segment_word + segment, slot + (kept ? 1u : 0u));
}
