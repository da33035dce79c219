/* row_lanes.h: totals along a row in the order of a group of ACTC_GROUP_SIZE lanes. */
#ifndef ACTC_CPU_ROW_LANES_H
#define ACTC_CPU_ROW_LANES_H

#include "kernel.h"

#define ROW_LANES ACTC_GROUP_SIZE

/* Half of the lanes that the tree begins with: those behind the columns hold what changes nothing (+0, or -Inf). */
static inline uint32_t row_half(uint32_t cols)
{
    uint32_t h = 1;
    while (h < cols && h < ROW_LANES)
        h *= 2;
    return h / 2;
}

static inline float row_total(float *a, uint32_t cols)
{
    for (uint32_t h = row_half(cols); h > 0; h /= 2) {
        const float *b = a + h;
        ACTC_CPU_SIMD
        for (uint32_t t = 0; t < h; t++)
            a[t] = ACTC_ADD(a[t], b[t]);
    }
    return a[0];
}

static inline float row_largest(float *a, uint32_t cols)
{
    for (uint32_t h = row_half(cols); h > 0; h /= 2) {
        const float *b = a + h;
        ACTC_CPU_SIMD
        for (uint32_t t = 0; t < h; t++)
            a[t] = b[t] > a[t] ? b[t] : a[t];
    }
    return a[0];
}

static inline void row_set(float *a, float value)
{
    for (uint32_t t = 0; t < ROW_LANES; t++)
        a[t] = value;
}

#endif
