/* codec_scan: exclusive sums over the segments. */
#version 450
#include "common.glsl"

ACTC_WRITE(0, sums);

#include "codec.glsl"

void actc_kernel(uint group, uint lane)
{
    for (uint word = 0u; word < 2u; word++) {
        uint before = 0u;
        for (uint first = 0u; first < p.segments; first += ACTC_GROUP_SIZE) {
            uint s = first + lane, own = s < p.segments ? sums[2u * s + word] : 0u;
            uint through = codec_scan_lanes(lane, own);
            if (s < p.segments)
                sums[2u * s + word] = before + through - own;
            before += codec_scan_total();
            barrier(); /* the total is read before the next scan writes it */
        }
    }
}
