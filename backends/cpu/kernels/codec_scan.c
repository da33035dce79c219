/* codec_scan.c: exclusive sums over the segments. */
#include "codec_pass.h"

ACTC_CPU_KERNEL(codec_scan)
{
    const struct actc_params_codec_scan *p = params;
    uint32_t *sums = views[0], above = 0, equal = 0;
    (void)begin;
    (void)end;
    for (uint32_t s = 0; s < p->segments; s++) {
        uint32_t a = sums[2 * s], e = sums[2 * s + 1];
        sums[2 * s] = above;
        sums[2 * s + 1] = equal;
        above += a;
        equal += e;
    }
}
