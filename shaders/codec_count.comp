/* codec_count: how many keys of each piece are above the threshold, and how many equal it. */
#version 450
#include "common.glsl"

ACTC_READ(0, y);
ACTC_READ(1, constants);
ACTC_READ(2, state);
ACTC_WRITE(3, counts);
ACTC_WRITE(4, sums);

#define CODEC_PIECES
#include "codec.glsl"

shared uint above, equal;

void actc_kernel(uint group, uint lane)
{
    uint id = p.first_piece + group;
    codec_piece piece = codec_piece_of(p.regions, id);
    uint record = piece.region * ACTC_CODEC_STATE_WORDS, i = piece.tile * 256u + lane;
    if (lane == 0u) {
        above = 0u;
        equal = 0u;
    }
    barrier();
    if (i >= piece.begin && i < piece.end) {
        uint key = y[i - p.y_first] & ACTC_ABS_MASK, threshold = state[record + ACTC_CODEC_STATE_KEY];
        if (key > threshold)
            atomicAdd(above, 1u);
        else if (key == threshold && state[record + ACTC_CODEC_STATE_ALL] == 0u)
            atomicAdd(equal, 1u);
    }
    barrier();
    if (lane == 0u) {
        counts[2u * id] = above;
        counts[2u * id + 1u] = equal;
        atomicAdd(sums[2u * (piece.tile >> 8)], above);
        atomicAdd(sums[2u * (piece.tile >> 8) + 1u], equal);
    }
}
