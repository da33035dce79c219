/* codec_dct_row.c: 1-D dct of whole rows by the plain sum, forward and inverse. */
#include "codec_pass.h"

ACTC_CPU_KERNEL(codec_dct_row)
{
    const struct actc_params_codec_dct_row *p = params;
    const uint32_t *in = views[0];
    const float *cosines = (const float *)views[1] + ACTC_CODEC_TABLES, *factor = cosines + 4 * p->width;
    uint32_t *out = views[2];
    actc_cpu_span span = actc_cpu_invocations(begin, end, p->n);
    uint32_t w = p->width, c = p->channels;
    for (uint32_t i = span.first; i < span.last; i++) {
        uint32_t o = p->out_begin + i, r = o / (w * c);
        uint32_t channel = p->inverse ? o % c : o / w % c, position = p->inverse ? o / c % w : o % w;
        float sum = 0;
        for (uint32_t group = 0; group < w; group += ACTC_CODEC_ROW_GROUP) {
            float part = 0;
            for (uint32_t j = group; j < w && j < group + ACTC_CODEC_ROW_GROUP; j++) {
                float v;
                uint32_t angle;
                if (p->inverse) {
                    v = ACTC_MUL(actc_flush_bits(in[(r * c + channel) * w + j - p->in_first]), factor[j ? 3 : 2]);
                    angle = j * (2 * position + 1);
                } else {
                    v = actc_flush_bits(in[(r * w + j) * c + channel - p->in_first]);
                    angle = position * (2 * j + 1);
                }
                part = ACTC_ADD(part, ACTC_MUL(v, cosines[angle % (4 * w)]));
            }
            sum = ACTC_ADD(sum, part);
        }
        if (!p->inverse)
            sum = ACTC_MUL(sum, factor[position ? 1 : 0]);
        out[o - p->out_first] = actc_canon_bits(sum);
    }
}
