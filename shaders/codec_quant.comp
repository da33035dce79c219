/* codec_quant: elements in 8, 4, 2 or 1 bits, by groups. */
#version 450
#include "common.glsl"
#include "exact/quant.h"

ACTC_READ(0, x);
ACTC_READ(1, steps);
ACTC_WRITE(2, codes);
ACTC_WRITE(3, offsets);
ACTC_WRITE(4, scales);

/* Of the four groups of 256: the least and the largest key, whether one is not finite; then words of codes and scales. */
shared uint low[4], high[4], bad[4], scale_of[4], base_of[4], words[256];

/* Every invocation does four neighbours, whose random numbers come together: 64 of them a group. */
void actc_kernel(uint group, uint lane)
{
    uint first = p.first + group * ACTC_GROUP_ELEMENTS, i = first + 4u * lane, q = lane / 64u;
    uint v[4];
    if (lane < 4u) {
        low[lane] = 0xffffffffu;
        high[lane] = bad[lane] = 0u;
    }
    words[lane] = 0u;
    barrier();
    uint least = 0xffffffffu, most = 0u, broken = 0u;
    for (uint j = 0u; j < 4u; j++) {
        v[j] = 0u;
        if (i + j < p.end) {
            uint bits = x[i + j - p.x_first];
            v[j] = actc_quant_read(bits);
            least = min(least, actc_quant_key(v[j]));
            most = max(most, actc_quant_key(v[j]));
            broken |= actc_not_finite(bits);
        }
    }
    atomicMin(low[q], least);
    atomicMax(high[q], most);
    if (broken != 0u)
        atomicOr(bad[q], 1u);
    barrier();
    uint first_group = first / ACTC_QUANT_GROUP;
    if (lane < 4u) {
        bool there = first + ACTC_QUANT_GROUP * lane < p.end;
        uint l = actc_quant_of_key(low[lane]);
        uint s = bad[lane] != 0u ? ACTC_QUANT_NOT_FINITE : actc_quant_scale(l, actc_quant_of_key(high[lane]), p.bits, p.minmax);
        s = there ? s : 0u;
        scale_of[lane] = s;
        base_of[lane] = there ? actc_quant_offset(l, s, p.bits, p.minmax) : 0u;
        if (there && p.minmax != 0u)
            offsets[first_group + lane - p.offset_first] = base_of[lane];
    }
    barrier();
    uint scale = scale_of[q], base = actc_quant_fixed(base_of[q], scale);
    if (lane == 0u)
        scales[(first_group - p.scale_first) >> 2] = scale_of[0] | (scale_of[1] << 8) | (scale_of[2] << 16) | (scale_of[3] << 24);
    actc_u32x4 r = actc_philox(i >> 2, p.tensor, steps[ACTC_STEP_STEP_LO], steps[ACTC_STEP_STEP_HI], steps[ACTC_STEP_SEED_LO],
                               steps[ACTC_STEP_SEED_HI]);
    uint four = 0u;
    for (uint j = 0u; j < 4u; j++) {
        uint random = j == 0u ? r.x : j == 1u ? r.y : j == 2u ? r.z : r.w;
        if (i + j < p.end)
            four |= actc_quant_code(v[j], base, scale, random) << (p.bits * j);
    }
    uint at = 4u * lane * p.bits;
    if (four != 0u)
        atomicOr(words[at >> 5], four << (at & 31u));
    barrier();
    uint in_word = 32u / p.bits;
    if (lane < 32u * p.bits && first + lane * in_word < p.end)
        codes[first / in_word + lane - p.code_first] = words[lane];
}
