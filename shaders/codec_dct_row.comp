/* codec_dct_row: 1-D dct of whole rows by the sum itself, forward and inverse. */
#version 450
#include "common.glsl"
#include "codec.glsl"

ACTC_READ(0, source);
ACTC_READ(1, constants);
ACTC_WRITE(2, target);

float table_at(uint i)
{
    return uintBitsToFloat(constants[TABLES + i]);
}

void actc_kernel(uint group, uint lane)
{
    uint i = group * ACTC_GROUP_SIZE + lane, w = p.width, c = p.channels, factors = 4u * w;
    if (i >= p.n)
        return;
    uint o = p.out_begin + i, r = o / (w * c);
    uint channel = p.inverse != 0u ? o % c : o / w % c, position = p.inverse != 0u ? o / c % w : o % w;
    float sum = 0.0;
    for (uint first = 0u; first < w; first += ACTC_CODEC_ROW_GROUP) {
        float part = 0.0;
        for (uint j = first; j < min(w, first + ACTC_CODEC_ROW_GROUP); j++) {
            float v;
            uint angle;
            if (p.inverse != 0u) {
                v = ACTC_MUL(ACTC_LOAD(source, (r * c + channel) * w + j - p.in_first), table_at(factors + (j != 0u ? 3u : 2u)));
                angle = j * (2u * position + 1u);
            } else {
                v = ACTC_LOAD(source, (r * w + j) * c + channel - p.in_first);
                angle = position * (2u * j + 1u);
            }
            part = ACTC_ADD(part, ACTC_MUL(v, table_at(angle % (4u * w))));
        }
        sum = ACTC_ADD(sum, part);
    }
    if (p.inverse == 0u)
        sum = ACTC_MUL(sum, table_at(factors + (position != 0u ? 1u : 0u)));
    target[o - p.out_first] = actc_canon_bits(sum);
}
