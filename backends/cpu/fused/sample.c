/* sample.c: a random sample of a tile (select=random), found without sorting. */
#include "fused.h"
#include "simd.h"

#include "exact/codec.h"

/* Those kept for certain have a weight of at least rest / slots, where rest is the sum of the others' and slots what they
 * share. Beginning with none of them: each round the bound falls, and no further than it must. */
static uint32_t find_certain(const uint32_t *weights, uint32_t n, uint32_t most, uint32_t *rest)
{
    uint32_t slots = most, sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += weights[i];
    for (;;) {
        uint32_t count = 0, others = 0;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t certain = slots * weights[i] >= sum;
            count += certain;
            others += weights[i] & (certain - 1);
        }
        *rest = others;
        if (most - count == slots || others == 0)
            return most - count;
        slots = most - count;
        sum = others;
    }
}

uint32_t ACTC_CPU_NAME(fused_keep_sample)(const uint32_t *y, uint32_t n, uint32_t most, uint32_t high, uint32_t low,
                                          uint8_t *places, uint32_t *bits)
{
    uint32_t weights[ACTC_CODEC_TILE], largest = 0, rest, hint = 0, ties = 0, count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t a = y[i] & ACTC_ABS_MASK;
        largest = a > largest ? a : largest;
    }
    if (largest >= ACTC_INF_BITS)
        return ACTC_CPU_NAME(fused_keep_largest)(y, n, most, &hint, places, bits);
    if (ACTC_CPU_NAME(fused_count_above)(y, n, 0) <= most)
        return ACTC_CPU_NAME(fused_keep)(y, n, 0, &ties, places, bits);
    uint32_t exponent = actc_sample_exponent(largest);
    for (uint32_t i = 0; i < n; i++)
        weights[i] = actc_sample_weight(y[i], exponent);
    uint32_t slots = find_certain(weights, n, most, &rest), at = rest ? actc_sample_start(high, low, rest) : 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t part = slots * weights[i];
        bool certain = part >= rest && weights[i], passes = false;
        if (!certain) {
            at += part;
            passes = at >= rest && part;
            at = at >= rest ? at - rest : at;
        }
        if (!certain && !passes)
            continue;
        places[count] = (uint8_t)i;
        bits[count++] = certain ? y[i] : actc_sample_value(y[i], rest, part);
    }
    return count;
}
