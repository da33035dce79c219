/* codec_sample.h: select=random of one tile, from src/codec/README.md alone: by sorting, in wide numbers. */
#ifndef ACTC_CODEC_SAMPLE_H
#define ACTC_CODEC_SAMPLE_H

#include <math.h>

#include "codec_test.h"

static inline int codec_descending(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;
    return p < q ? 1 : p > q ? -1 : 0;
}

static inline float codec_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* What weights share of `most` slots: those of at least *bound are certain, the others take `slots` by chance and sum up to
 * *rest. */
static inline uint32_t codec_sample_split(const double *weights, uint32_t n, uint32_t most, double *rest, double *bound)
{
    double sorted[256], sum = 0;
    uint32_t certain = 0;
    memcpy(sorted, weights, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, codec_descending);
    for (uint32_t i = 0; i < n; i++)
        sum += sorted[i];
    while (certain < n && certain < most && sorted[certain] > 0 && sorted[certain] * (most - certain) >= sum)
        sum -= sorted[certain++];
    *rest = sum;
    *bound = certain ? sorted[certain - 1] : INFINITY;
    return most - certain;
}

/* |y| in integers below 2^23; false where one is not finite. */
static inline bool codec_sample_weights(const uint32_t *y, uint32_t n, double *weights)
{
    double largest = 0;
    int exponent = 0;
    for (uint32_t i = 0; i < n; i++) {
        if ((y[i] & 0x7fffffff) >= 0x7f800000)
            return false;
        largest = fmax(largest, fabs((double)codec_float(y[i])));
    }
    frexp(largest, &exponent);
    if (exponent < -125)
        exponent = -125; /* subnormal numbers */
    for (uint32_t i = 0; i < n; i++) {
        weights[i] = floor(ldexp(fabs((double)codec_float(y[i])), 23 - exponent));
        if (weights[i] < 1 && (y[i] & 0x7fffffff))
            weights[i] = 1;
    }
    return true;
}

/* Marks what is kept of the tile, and scales it. */
static inline void codec_sample_tile(uint32_t *y, uint32_t n, uint32_t most, uint64_t tile, bool *marks)
{
    double weights[256], rest, bound;
    if (!codec_sample_weights(y, n, weights)) { /* the largest */
        for (uint32_t i = 0; i < n; i++) {
            uint32_t key = y[i] & 0x7fffffff, rank = 0;
            for (uint32_t j = 0; j < n; j++)
                rank += (y[j] & 0x7fffffff) > key || ((y[j] & 0x7fffffff) == key && j < i);
            marks[i] = key && rank < most;
        }
        return;
    }
    uint32_t slots = codec_sample_split(weights, n, most, &rest, &bound);
    actc_u32x4 r = actc_philox(0x80000000u + (uint32_t)tile, CODEC_TENSOR, codec_step[2], codec_step[3], codec_step[0],
                               codec_step[1]);
    unsigned __int128 draw = (uint64_t)r.x << 32 | r.y;
    uint64_t whole = (uint64_t)rest, start = (uint64_t)(draw * whole >> 64), before = start;
    for (uint32_t i = 0; i < n; i++) {
        if (weights[i] >= bound) {
            marks[i] = true;
            continue;
        }
        if (weights[i] == 0)
            continue;
        uint64_t part = slots * (uint64_t)weights[i], after = before + part;
        marks[i] = after / whole > before / whole;
        before = after;
        if (!marks[i])
            continue;
        float value = (float)((long double)codec_float(y[i]) * (long double)whole / (long double)part);
        if (isinf(value))
            value = copysignf(0x1.fffffep127f, value);
        memcpy(&y[i], &value, sizeof value);
    }
}

#endif
