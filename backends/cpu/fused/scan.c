/* scan.c: looking through coefficients in units of 32: counting, collecting and keeping those above a key. */
#include "fused.h"
#include "simd.h"

/* A last part of fewer than 32, with zeros behind, which no key is below. */
CODEC_INLINE const uint32_t *padded(const uint32_t *y, uint32_t n, uint32_t at, uint32_t room[32])
{
    if (at + 32 <= n)
        return y + at;
    memset(room, 0, 32 * sizeof *room);
    memcpy(room, y + at, (n - at) * sizeof *y);
    return room;
}

uint32_t ACTC_CPU_NAME(fused_count_above)(const uint32_t *y, uint32_t n, uint32_t key)
{
    uint32_t count = 0, room[32];
    for (uint32_t i = 0; i < n; i += 32)
        count += (uint32_t)__builtin_popcount(codec_above(padded(y, n, i, room), key));
    return count;
}

uint32_t ACTC_CPU_NAME(fused_collect)(const uint32_t *y, uint32_t n, uint32_t low, uint32_t high, uint32_t first, uint32_t *bits,
                                      uint32_t *numbers)
{
    uint32_t count = 0, room[32];
    bool bounded = high < ACTC_ABS_MASK;
    for (uint32_t i = 0; i < n; i += 32) {
        const uint32_t *at = padded(y, n, i, room);
        uint32_t found = codec_above(at, low);
        if (bounded && found)
            found &= ~codec_above(at, high);
        for (; found; found &= found - 1) {
            uint32_t j = (uint32_t)__builtin_ctz(found);
            bits[count] = at[j];
            numbers[count++] = first + i + j;
        }
    }
    return count;
}

void ACTC_CPU_NAME(fused_histogram)(const uint32_t *y, uint32_t n, uint32_t low, uint32_t high, uint32_t shift, uint32_t last,
                                    uint32_t *bins)
{
    uint32_t room[32];
    for (uint32_t i = 0; i < n; i += 32) {
        const uint32_t *at = padded(y, n, i, room);
        uint32_t found = codec_above(at, low);
        if (found)
            found &= ~codec_above(at, high);
        for (; found; found &= found - 1) {
            uint32_t bin = ((at[__builtin_ctz(found)] & ACTC_ABS_MASK) - low - 1) >> shift;
            bins[bin < last ? bin : last]++;
        }
    }
}

uint32_t ACTC_CPU_NAME(fused_keep)(const uint32_t *y, uint32_t n, uint32_t key, uint32_t *ties, uint8_t *places, uint32_t *bits)
{
    uint32_t count = 0, room[32];
    for (uint32_t i = 0; i < n; i += 32) {
        const uint32_t *at = padded(y, n, i, room);
        uint32_t found = codec_above(at, key);
        if (*ties) { /* key is not 0 then */
            uint32_t equal = codec_above(at, key - 1) & ~found;
            for (; equal && *ties; equal &= equal - 1, --*ties)
                found |= equal & -equal;
        }
        for (; found; found &= found - 1) {
            uint32_t j = (uint32_t)__builtin_ctz(found);
            places[count] = (uint8_t)(i + j);
            bits[count++] = at[j];
        }
    }
    return count;
}

/* Halves the interval of the key's bits until as many are above as are wanted, or one key is left, which ties. */
uint32_t ACTC_CPU_NAME(fused_tile_key)(const uint32_t *y, uint32_t n, uint32_t most, uint32_t *ties)
{
    uint32_t room[32], low = 0, high = ACTC_ABS_MASK; /* more than `most` above low, fewer above high */
    uint32_t above_high = 0;
    *ties = 0;
    if (most == 0)
        return ACTC_ABS_MASK;
    if (ACTC_CPU_NAME(fused_count_above)(y, n, 0) <= most)
        return 0;
    uint32_t largest = 0, step = 1u << 22; /* half an octave below the largest, then twice as far, until it is passed */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t a = y[i] & ACTC_ABS_MASK;
        largest = a > largest ? a : largest;
    }
    high = largest;
    while (high - low > 1) {
        uint32_t span = high - low, key = span / 2 > step ? high - step : low + span / 2;
        uint32_t count = 0;
        for (uint32_t i = 0; i < n; i += 32)
            count += (uint32_t)__builtin_popcount(codec_above(padded(y, n, i, room), key));
        if (count == most)
            return key;
        if (count > most) {
            low = key;
        } else {
            high = key;
            above_high = count;
            step = step < 1u << 29 ? 2 * step : step;
        }
    }
    *ties = most - above_high;
    return high;
}
