/* codec_idwt.c: one level of the inverse wavelet transform along one axis. */
#include "codec_pass.h"

ACTC_CPU_KERNEL(codec_idwt)
{
    const struct actc_params_codec_idwt *p = params;
    const uint32_t *low = (const uint32_t *)views[0] + p->low_at, *high = (const uint32_t *)views[1] + p->high_at;
    const float *low_tap = (const float *)views[2] + p->table, *high_tap = low_tap + p->taps;
    uint32_t *out = (uint32_t *)views[3] + p->out_at;
    actc_cpu_span span = actc_cpu_invocations(begin, end, (uint64_t)p->outer * p->size * p->inner);
    for (uint32_t e = span.first; e < span.last; e++) {
        uint32_t k = e % p->inner, i = e / p->inner % p->size, a = e / p->inner / p->size;
        float l = 0, h = 0;
        for (uint32_t j = actc_idwt_first(i, p->taps, p->symmetric); j < p->taps; j += 2) {
            uint32_t o = actc_idwt_source(i, j, p->in_size, p->taps, p->symmetric);
            uint32_t at = (a * p->in_size + o) * p->inner + k;
            if (low_tap[j] != 0)
                l = ACTC_ADD(l, ACTC_MUL(actc_flush_bits(low[at]), low_tap[j]));
            if (high_tap[j] != 0)
                h = ACTC_ADD(h, ACTC_MUL(actc_flush_bits(high[at]), high_tap[j]));
        }
        out[e] = actc_canon_bits(ACTC_ADD(l, h));
    }
}
