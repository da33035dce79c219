/* codec_count.cu: how many keys of each piece are above the threshold, and how many equal it. */
#include "codec.cuh"

ACTC_CUDA_KERNEL(codec_count, const uint *y, const uint *constants, const uint *state, uint *counts, uint *sums)
{
    ACTC_GROUP(group);
    __shared__ uint above, equal;
    const uint t = threadIdx.x, id = p.first_piece + group;
    const codec_piece piece = codec_piece_of(constants, p.regions, id);
    const uint *record = state + piece.region * ACTC_CODEC_STATE_WORDS;
    const uint i = piece.tile * 256u + t;
    if (t == 0u) {
        above = 0u;
        equal = 0u;
    }
    __syncthreads();
    if (i >= piece.begin && i < piece.end) {
        const uint key = y[i - p.y_first] & ACTC_ABS_MASK, threshold = record[ACTC_CODEC_STATE_KEY];
        if (key > threshold)
            atomicAdd(&above, 1u);
        else if (key == threshold && record[ACTC_CODEC_STATE_ALL] == 0u)
            atomicAdd(&equal, 1u);
    }
    __syncthreads();
    if (t == 0u) {
        counts[2u * id] = above;
        counts[2u * id + 1u] = equal;
        atomicAdd(&sums[2u * (piece.tile >> 8)], above);
        atomicAdd(&sums[2u * (piece.tile >> 8) + 1u], equal);
    }
}
