/* codec_sample: a random sample of each tile. */
#version 450
#include "common.glsl"

ACTC_READ(0, y);
ACTC_READ(1, steps);
ACTC_WRITE(2, payload);
ACTC_WRITE(3, values);

#define CODEC_PAYLOAD
#define CODEC_SINK
#define CODEC_VOTES 2u
#include "codec.glsl"

shared uint keys[256];
shared uint weights[256];
shared uint largest;

const uint CERTAIN = 0u, KEPT = 1u;

void actc_kernel(uint group, uint lane)
{
    uint tile = p.first_tile + group, i = tile * 256u + lane;
    uint first = actc_tile_slot(tile, p.k, p.m), most = actc_tile_slot(tile + 1u, p.k, p.m) - first;
    uint bits = i < p.m ? y[i - p.y_first] : 0u, key = bits & ACTC_ABS_MASK;
    if (lane == 0u)
        largest = 0u;
    codec_votes_clear(lane);
    barrier();
    atomicMax(largest, key);
    barrier();
    bool finite = largest < ACTC_INF_BITS;
    uint weight = actc_sample_weight(bits, actc_sample_exponent(largest));
    keys[lane] = key;
    weights[lane] = weight;
    barrier();
    uint rank = 0u, sum = 0u;
    if (finite)
        for (uint j = 0u; j < 256u; j++)
            sum += min(weight, weights[j]);
    else
        for (uint j = 0u; j < 256u; j++)
            rank += keys[j] > key || (keys[j] == key && j < lane) ? 1u : 0u;
    bool always = key != 0u && (finite ? sum <= most * weight : rank < most);
    codec_vote(CERTAIN, lane, always);
    uint before = codec_scan_lanes(lane, finite && !always ? weight : 0u);
    uint rest = codec_scan_total(), slots = most - codec_votes_all(CERTAIN), part = slots * weight;
    bool kept = always;
    if (rest != 0u && weight != 0u && !always) {
        actc_u32x4 random = actc_philox(ACTC_SAMPLE_DRAWS + tile, p.tensor, steps[ACTC_STEP_STEP_LO],
                                        steps[ACTC_STEP_STEP_HI], steps[ACTC_STEP_SEED_LO], steps[ACTC_STEP_SEED_HI]);
        kept = actc_sample_point(before, slots, actc_sample_start(random.x, random.y, rest), rest) < part;
    }
    codec_vote(KEPT, lane, kept);
    barrier();
    if (kept)
        codec_put(first + codec_votes_before(KEPT, lane), i, always ? bits : actc_sample_value(bits, rest, part));
    if (p.index == INDEX_MASK)
        codec_put_mask(KEPT, lane, tile);
}
