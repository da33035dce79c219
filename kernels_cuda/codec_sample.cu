/* codec_sample.cu: a random sample of each tile. */
#include "codec.cuh"

ACTC_CUDA_KERNEL(codec_sample, const uint *y, const uint *step, uint *payload, uint *values)
{
    ACTC_GROUP(group);
    __shared__ uint keys[256], weights[256], sums[256], certain[CODEC_VOTE_WORDS], votes[CODEC_VOTE_WORDS], largest;
    const codec_sink sink = codec_sink_of(p, payload, values);
    const uint t = threadIdx.x, tile = p.first_tile + group, i = tile * 256u + t;
    const uint first = actc_tile_slot(tile, p.k, p.m), most = actc_tile_slot(tile + 1u, p.k, p.m) - first;
    const uint bits = i < p.m ? y[i - p.y_first] : 0u, key = bits & ACTC_ABS_MASK;
    if (t == 0u)
        largest = 0u;
    __syncthreads();
    atomicMax(&largest, key);
    __syncthreads();
    const bool finite = largest < ACTC_INF_BITS;
    const uint weight = actc_sample_weight(bits, actc_sample_exponent(largest));
    keys[t] = key;
    weights[t] = weight;
    __syncthreads();
    uint rank = 0u, sum = 0u;
    if (finite)
        for (uint j = 0u; j < 256u; j++)
            sum += codec_min(weight, weights[j]);
    else
        for (uint j = 0u; j < 256u; j++)
            rank += keys[j] > key || (keys[j] == key && j < t) ? 1u : 0u;
    const bool always = key != 0u && (finite ? sum <= most * weight : rank < most);
    codec_vote(certain, always);
    const uint before = codec_scan_threads(sums, finite && !always ? weight : 0u);
    const uint rest = sums[ACTC_GROUP_SIZE - 1u], slots = most - codec_votes(certain), part = slots * weight;
    bool kept = always;
    if (rest != 0u && weight != 0u && !always) {
        const actc_u32x4 random = actc_philox(ACTC_SAMPLE_DRAWS + tile, p.tensor, step[ACTC_STEP_STEP_LO],
                                              step[ACTC_STEP_STEP_HI], step[ACTC_STEP_SEED_LO], step[ACTC_STEP_SEED_HI]);
        kept = actc_sample_point(before, slots, actc_sample_start(random.x, random.y, rest), rest) < part;
    }
    codec_vote(votes, kept);
    __syncthreads();
    if (kept)
        codec_put(sink, first + codec_votes_before(votes), i, always ? bits : actc_sample_value(bits, rest, part));
    if (p.index == INDEX_MASK)
        codec_put_mask(sink, tile, kept);
}
