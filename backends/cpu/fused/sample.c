/* sample.c: a random sample of a tile (select=random), found without sorting. */
#include "fused.h"
#include "simd.h"

#include "exact/codec.h"

/* What the weights that are not certain add up to, and how many slots they share. Certain ones are at least rest / slots:
 * beginning with none of them, each round that bound falls, and no further than it must. Slots are fewer than weights. */
static uint32_t find_certain(const uint32_t *weights, uint32_t n, uint32_t most, uint32_t *rest)
{
    uint32_t slots = most, sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += weights[i];
    for (;;) {
        const uint32_t bound = sum / slots + (sum % slots != 0);
        uint32_t count = 0, others = 0;
        for (uint32_t i = 0; i < n; i++) {
            count += weights[i] >= bound;
            others += weights[i] >= bound ? 0 : weights[i];
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
    uint32_t weights[ACTC_CODEC_TILE], parts[ACTC_CODEC_TILE], certain[ACTC_CODEC_TILE];
    uint32_t largest = 0, rest, hint = 0, ties = 0, count = 0;
    if (most == 0)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t a = y[i] & ACTC_ABS_MASK;
        largest = a > largest ? a : largest;
    }
    if (largest >= ACTC_INF_BITS)
        return ACTC_CPU_NAME(fused_keep_largest)(y, n, most, &hint, places, bits);
    if (ACTC_CPU_NAME(fused_count_above)(y, n, 0) <= most)
        return ACTC_CPU_NAME(fused_keep)(y, n, 0, &ties, places, bits);
    const uint32_t exponent = actc_sample_exponent(largest);
    for (uint32_t i = 0; i < n; i++)
        weights[i] = actc_sample_weight(y[i], exponent);
    const uint32_t slots = find_certain(weights, n, most, &rest);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t part = slots * weights[i];
        certain[i] = (part >= rest) & (weights[i] != 0);
        parts[i] = certain[i] ? 0 : part;
    }
    /* no branch on what is drawn: it is anyone's guess */
    const uint32_t end = rest ? rest : 1;
    uint32_t at = actc_sample_start(high, low, rest);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t behind = at + parts[i], passed = behind >= end;
        at = passed ? behind - end : behind;
        places[count] = (uint8_t)i;
        count += passed | certain[i];
    }
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t i = places[k];
        bits[k] = certain[i] ? y[i] : actc_sample_value(y[i], rest, parts[i]);
    }
    return count;
}
