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
        float sum = 0;
        if (!p->inverse) {
            uint32_t u = o % w, channel = o / w % c;
            for (uint32_t j = 0; j < w; j++) {
                float v = actc_flush_bits(in[(r * w + j) * c + channel - p->in_first]);
                sum = ACTC_ADD(sum, ACTC_MUL(v, cosines[u * (2 * j + 1) % (4 * w)]));
            }
            sum = ACTC_MUL(sum, factor[u ? 1 : 0]);
        } else {
            uint32_t channel = o % c, j = o / c % w;
            for (uint32_t u = 0; u < w; u++) {
                float v = actc_flush_bits(in[(r * c + channel) * w + u - p->in_first]);
                v = ACTC_MUL(v, factor[u ? 3 : 2]);
                sum = ACTC_ADD(sum, ACTC_MUL(v, cosines[u * (2 * j + 1) % (4 * w)]));
            }
        }
        out[o - p->out_first] = actc_canon_bits(sum);
    }
}
