/* spread.c: the gradient of a mean over positions: each of them gets its part. */
#include "kernel.h"

ACTC_CPU_KERNEL(spread)
{
    const struct actc_params_spread *p = params;
    const float *dy = views[0];
    float *dx = views[1];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    uint32_t channels = p->channels, pixel = span.first / channels, c = span.first % channels;
    for (uint32_t i = span.first; i < span.last; pixel++, c = 0) {
        const float *from = dy + (size_t)(pixel / p->inner) * channels + c;
        float *to = dx + i;
        uint32_t count = ACTC_MIN(channels - c, span.last - i);
        ACTC_CPU_SIMD
        for (uint32_t k = 0; k < count; k++)
            to[k] = actc_canon(ACTC_MUL(actc_flush(from[k]), p->scale));
        i += count;
    }
}
