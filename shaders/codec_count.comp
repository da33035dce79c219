/* codec_count: how many keys of each piece are above the threshold, and how many equal it. */
#version 450
#include "common.glsl"

ACTC_READ(0, y);
ACTC_READ(1, constants);
ACTC_READ(2, state);
ACTC_WRITE(3, counts);
ACTC_WRITE(4, sums);

#define CODEC_PIECES
#define CODEC_VOTES 2u
#include "codec.glsl"

void actc_kernel(uint group, uint lane)
{
    uint id = p.first_piece + group;
    codec_piece piece = codec_piece_of(p.regions, id);
    uint record = piece.region * ACTC_CODEC_STATE_WORDS, i = piece.tile * 256u + lane;
    bool inside = i >= piece.begin && i < piece.end;
    uint key = inside ? y[i - p.y_first] & ACTC_ABS_MASK : 0u, threshold = state[record + ACTC_CODEC_STATE_KEY];
    codec_votes_clear(lane);
    barrier();
    codec_vote(0u, lane, inside && key > threshold);
    codec_vote(1u, lane, inside && key == threshold && state[record + ACTC_CODEC_STATE_ALL] == 0u);
    barrier();
    if (lane == 0u) {
        uint above = codec_votes_all(0u), equal = codec_votes_all(1u);
        counts[2u * id] = above;
        counts[2u * id + 1u] = equal;
        atomicAdd(sums[2u * (piece.tile >> 8)], above);
        atomicAdd(sums[2u * (piece.tile >> 8) + 1u], equal);
    }
}
