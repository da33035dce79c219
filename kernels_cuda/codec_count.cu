/* codec_count.cu: how many keys of each piece are above the threshold, and how many equal it. */
#include "codec.cuh"

ACTC_CUDA_KERNEL(codec_count, const uint *y, const uint *constants, const uint *state, uint *counts, uint *sums)
{
    ACTC_GROUP(group);
    __shared__ uint above_votes[CODEC_VOTE_WORDS], equal_votes[CODEC_VOTE_WORDS];
    const uint t = threadIdx.x, id = p.first_piece + group;
    const codec_piece piece = codec_piece_of(constants, p.regions, id);
    const uint *record = state + piece.region * ACTC_CODEC_STATE_WORDS;
    const uint i = piece.tile * 256u + t, threshold = record[ACTC_CODEC_STATE_KEY];
    const bool inside = i >= piece.begin && i < piece.end;
    const uint key = inside ? y[i - p.y_first] & ACTC_ABS_MASK : 0u;
    codec_vote(above_votes, inside && key > threshold);
    codec_vote(equal_votes, inside && key == threshold && record[ACTC_CODEC_STATE_ALL] == 0u);
    __syncthreads();
    if (t == 0u) {
        const uint above = codec_votes(above_votes), equal = codec_votes(equal_votes);
        counts[2u * id] = above;
        counts[2u * id + 1u] = equal;
        atomicAdd(&sums[2u * (piece.tile >> 8)], above);
        atomicAdd(&sums[2u * (piece.tile >> 8) + 1u], equal);
    }
}
