/* codec_tile.cu: the largest of each tile on its own. */
#include "codec.cuh"

ACTC_CUDA_KERNEL(codec_tile, const uint *y, uint *payload, uint *values)
{
    ACTC_GROUP(group);
    __shared__ uint keys[256], votes[CODEC_VOTE_WORDS];
    const codec_sink sink = codec_sink_of(p, payload, values);
    const uint t = threadIdx.x, tile = p.first_tile + group, i = tile * 256u + t;
    const uint first = actc_tile_slot(tile, p.k, p.m), most = actc_tile_slot(tile + 1u, p.k, p.m) - first;
    const uint bits = i < p.m ? y[i - p.y_first] : 0u, key = bits & ACTC_ABS_MASK;
    keys[t] = key;
    __syncthreads();
    uint rank = 0u;
    for (uint j = 0u; j < 256u; j++)
        rank += keys[j] > key || (keys[j] == key && j < t) ? 1u : 0u;
    const bool kept = key != 0u && rank < most;
    codec_vote(votes, kept);
    __syncthreads();
    if (kept)
        codec_put(sink, first + codec_votes_before(votes), i, bits);
    if (p.index == INDEX_MASK)
        codec_put_mask(sink, tile, kept);
}
