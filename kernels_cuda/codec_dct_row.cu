/* codec_dct_row.cu: 1-D dct of whole rows by the sum itself, forward and inverse. */
#include "codec.cuh"

ACTC_CUDA_KERNEL(codec_dct_row, const uint *source, const uint *constants, uint *target)
{
    ACTC_GROUP(group);
    const float *cosines = (const float *)constants + TABLES, *factor = cosines + 4u * p.width;
    const uint i = group * ACTC_GROUP_SIZE + threadIdx.x, w = p.width, c = p.channels;
    if (i >= p.n)
        return;
    const uint o = p.out_begin + i, r = o / (w * c);
    const uint channel = p.inverse != 0u ? o % c : o / w % c, position = p.inverse != 0u ? o / c % w : o % w;
    float sum = 0.0f;
    for (uint first = 0u; first < w; first += ACTC_CODEC_ROW_GROUP) {
        float part = 0.0f;
        for (uint j = first; j < codec_min(w, first + ACTC_CODEC_ROW_GROUP); j++) {
            float v;
            uint angle;
            if (p.inverse != 0u) {
                v = ACTC_MUL(actc_flush_bits(source[(r * c + channel) * w + j - p.in_first]), factor[j != 0u ? 3 : 2]);
                angle = j * (2u * position + 1u);
            } else {
                v = actc_flush_bits(source[(r * w + j) * c + channel - p.in_first]);
                angle = position * (2u * j + 1u);
            }
            part = ACTC_ADD(part, ACTC_MUL(v, cosines[angle % (4u * w)]));
        }
        sum = ACTC_ADD(sum, part);
    }
    if (p.inverse == 0u)
        sum = ACTC_MUL(sum, factor[position != 0u ? 1 : 0]);
    target[o - p.out_first] = actc_canon_bits(sum);
}
