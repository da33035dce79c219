/* codec_dwt.c: one level of the wavelet transform along one axis. */
#include "codec_pass.h"

ACTC_CPU_KERNEL(codec_dwt)
{
    const struct actc_params_codec_dwt *p = params;
    const uint32_t *in = (const uint32_t *)views[0] + p->in_at;
    const float *low_tap = (const float *)views[1] + p->table, *high_tap = low_tap + p->taps;
    uint32_t *low = (uint32_t *)views[2] + p->low_at, *high = (uint32_t *)views[3] + p->high_at;
    actc_cpu_span span = actc_cpu_invocations(begin, end, (uint64_t)p->outer * p->out_size * p->inner);
    for (uint32_t i = span.first; i < span.last; i++) {
        uint32_t k = i % p->inner, o = i / p->inner % p->out_size, a = i / p->inner / p->out_size;
        float l = 0, h = 0;
        for (uint32_t j = 0; j < p->taps; j++) {
            uint32_t source = actc_dwt_source(o, j, p->size, p->taps, p->symmetric);
            float v = actc_flush_bits(in[(a * p->size + source) * p->inner + k]);
            if (low_tap[j] != 0)
                l = ACTC_ADD(l, ACTC_MUL(v, low_tap[j]));
            if (high_tap[j] != 0)
                h = ACTC_ADD(h, ACTC_MUL(v, high_tap[j]));
        }
        low[i] = actc_canon_bits(l);
        high[i] = actc_canon_bits(h);
    }
}
