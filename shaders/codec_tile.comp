/* codec_tile: the largest of each tile on its own. */
#version 450
#include "common.glsl"

ACTC_READ(0, y);
ACTC_WRITE(1, payload);
ACTC_WRITE(2, values);

#define CODEC_PAYLOAD
#define CODEC_SINK
#define CODEC_VOTES 1u
#include "codec.glsl"

shared uint keys[256];

void actc_kernel(uint group, uint lane)
{
    uint tile = p.first_tile + group, i = tile * 256u + lane;
    uint first = actc_tile_slot(tile, p.k, p.m), most = actc_tile_slot(tile + 1u, p.k, p.m) - first;
    uint bits = i < p.m ? y[i - p.y_first] : 0u, key = bits & ACTC_ABS_MASK;
    keys[lane] = key;
    codec_votes_clear(lane);
    barrier();
    uint rank = 0u;
    for (uint j = 0u; j < 256u; j++)
        rank += keys[j] > key || (keys[j] == key && j < lane) ? 1u : 0u;
    bool kept = key != 0u && rank < most;
    codec_vote(0u, lane, kept);
    barrier();
    if (kept)
        codec_put(first + codec_votes_before(0u, lane), i, bits);
    if (p.index == INDEX_MASK)
        codec_put_mask(0u, lane, tile);
}
