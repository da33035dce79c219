/* depthwise.h: what the depthwise convolutions share: blocks of channels, and which outputs a tap meets. */
#ifndef ACTC_CPU_DEPTHWISE_H
#define ACTC_CPU_DEPTHWISE_H

#include "kernel.h"

#define DEPTHWISE_CHANNELS 32u /* of a block: sums of a stretch of pixels stay in the first-level cache */
#define DEPTHWISE_STRETCH 64u  /* pixels of a row */

typedef struct depthwise_range {
    uint32_t first, last;
} depthwise_range;

/* The outputs of [0, extent) whose window position `tap` lies in [low, high) of the input. */
static inline depthwise_range depthwise_outputs(uint32_t low, uint32_t high, uint32_t tap, uint32_t stride, uint32_t padding,
                                                uint32_t dilation, uint32_t extent)
{
    int64_t shift = (int64_t)padding - (int64_t)tap * dilation; /* at = (input + shift) / stride */
    int64_t first = (int64_t)low + shift, last = (int64_t)high + shift;
    first = first <= 0 ? 0 : (first + stride - 1) / stride;
    last = last <= 0 ? 0 : (last + stride - 1) / stride;
    return (depthwise_range){(uint32_t)ACTC_MIN(first, (int64_t)extent), (uint32_t)ACTC_MIN(last, (int64_t)extent)};
}

/* The input coordinate of output `at`, or -1 where that lies outside. */
static inline int64_t depthwise_input(uint32_t at, uint32_t tap, uint32_t stride, uint32_t padding, uint32_t dilation,
                                      uint32_t extent)
{
    int64_t i = (int64_t)at * stride - padding + (int64_t)tap * dilation;
    return i < 0 || i >= (int64_t)extent ? -1 : i;
}

/* The output coordinate that tap `tap` leads to from input `at`, or -1. */
static inline int64_t depthwise_output(uint32_t at, uint32_t tap, uint32_t stride, uint32_t padding, uint32_t dilation,
                                       uint32_t extent)
{
    int64_t q = (int64_t)at + padding - (int64_t)tap * dilation;
    return q < 0 || q % stride || q / stride >= (int64_t)extent ? -1 : q / stride;
}

/* s[c] += factor(x[c * step]) * w[c] for the channels of a block, a whole one as a constant. */
static inline void depthwise_add(float *s, const float *x, uint64_t step, const float *w, uint32_t count)
{
    if (step == 1 && count == DEPTHWISE_CHANNELS) {
        ACTC_CPU_SIMD
        for (uint32_t c = 0; c < DEPTHWISE_CHANNELS; c++)
            s[c] = ACTC_ADD(s[c], ACTC_MUL(actc_factor(x[c]), w[c]));
    } else if (step == 1) {
        ACTC_CPU_SIMD
        for (uint32_t c = 0; c < count; c++)
            s[c] = ACTC_ADD(s[c], ACTC_MUL(actc_factor(x[c]), w[c]));
    } else {
        for (uint32_t c = 0; c < count; c++)
            s[c] = ACTC_ADD(s[c], ACTC_MUL(actc_factor(x[c * step]), w[c]));
    }
}

static inline void depthwise_store(const float *s, const float *bias, uint32_t count, float *out)
{
    if (bias) {
        ACTC_CPU_SIMD
        for (uint32_t c = 0; c < count; c++)
            out[c] = actc_canon(ACTC_ADD(s[c], actc_flush(bias[c])));
    } else {
        ACTC_CPU_SIMD
        for (uint32_t c = 0; c < count; c++)
            out[c] = actc_canon(s[c]);
    }
}

/* The weights of a block of channels as vectors, for outputs or inputs of one channel `each` of them in a row: those of few taps
 * are put side by side once, of more when they are asked for. */
#define DEPTHWISE_VECTORS 128u
typedef struct depthwise_weights {
    const float *from;
    uint32_t taps, each, count;
    bool packed;
    float vectors[DEPTHWISE_VECTORS * DEPTHWISE_CHANNELS];
} depthwise_weights;

static inline void depthwise_gather(const depthwise_weights *w, uint32_t tap, uint32_t j, float *to)
{
    const float *from = w->from + (uint64_t)j * w->taps + tap;
    for (uint32_t c = 0; c < w->count; c++)
        to[c] = actc_factor(from[(uint64_t)c * w->each * w->taps]);
}

static inline void depthwise_pack(depthwise_weights *w, const float *from, uint32_t taps, uint32_t each, uint32_t count)
{
    w->from = from;
    w->taps = taps;
    w->each = each;
    w->count = count;
    w->packed = (uint64_t)taps * each <= DEPTHWISE_VECTORS;
    for (uint32_t k = 0; w->packed && k < taps * each; k++)
        depthwise_gather(w, k / each, k % each, w->vectors + k * DEPTHWISE_CHANNELS);
}

/* The vector of a tap and output j of the channel. */
static inline const float *depthwise_vector(const depthwise_weights *w, uint32_t tap, uint32_t j, float *buffer)
{
    if (w->packed)
        return w->vectors + (tap * w->each + j) * DEPTHWISE_CHANNELS;
    depthwise_gather(w, tap, j, buffer);
    return buffer;
}

#endif
