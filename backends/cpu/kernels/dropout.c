/* dropout.c: y = x * scale where the element's random bits are below the threshold; its own backward. */
#include "random_bits.h"

#define BLOCK ACTC_CPU_RANDOM_BLOCK

static void apply(const float *x, uint32_t *y, const uint32_t *bits, uint32_t count, uint32_t threshold, float scale)
{
    ACTC_CPU_SIMD
    for (uint32_t i = 0; i < count; i++)
        y[i] = bits[i] < threshold ? actc_canon_bits(ACTC_MUL(actc_flush(x[i]), scale)) : 0u;
}

ACTC_CPU_KERNEL(dropout)
{
    const struct actc_params_dropout *p = params;
    const float *x = views[0];
    const uint32_t *step = views[1];
    uint32_t *y = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    uint32_t bits[BLOCK];
    if (p->inner == 1) {
        for (uint32_t i = span.first; i < span.last; i += BLOCK) {
            uint32_t count = ACTC_MIN(BLOCK, span.last - i);
            actc_cpu_draw(bits, i, count, p->path, step);
            apply(x + i, y + i, bits, count, p->threshold, p->scale);
        }
        return;
    }
    /* One number a sample and channel: drawn once for each block of channels of each sample met. */
    uint64_t sample_elements = (uint64_t)p->inner * p->channels;
    for (uint64_t i = span.first; i < span.last;) {
        uint64_t sample = i / sample_elements, stop = ACTC_MIN((sample + 1) * sample_elements, (uint64_t)span.last);
        for (uint32_t c = 0; c < p->channels; c += BLOCK) {
            uint32_t count = ACTC_MIN(BLOCK, p->channels - c);
            actc_cpu_draw(bits, (uint32_t)sample * p->channels + c, count, p->path, step);
            for (uint64_t pixel = i / p->channels * p->channels; pixel < stop; pixel += p->channels) {
                uint64_t from = pixel + c, to = ACTC_MIN(from + count, stop), at = from > i ? from : i;
                if (at < to)
                    apply(x + at, y + at, bits + (at - from), (uint32_t)(to - at), p->threshold, p->scale);
            }
        }
        i = stop;
    }
}
