/* scan.c: looking through coefficients in units of 32: counting, collecting and keeping those above a key. */
#include "fused.h"
#include "simd.h"

/* A last part of fewer than 32, with zeros behind, which no key is below. */
CODEC_INLINE const uint32_t *padded(const uint32_t *y, uint32_t n, uint32_t room[32])
{
    memset(room, 0, 32 * sizeof *room);
    memcpy(room, y, n * sizeof *y);
    return room;
}

static uint32_t ones(uint32_t word)
{
    return (uint32_t)__builtin_popcount(word);
}

uint32_t ACTC_CPU_NAME(fused_count_above)(const uint32_t *y, uint32_t n, uint32_t key)
{
    uint32_t count = 0, room[32], whole = n & ~31u;
    for (uint32_t i = 0; i < whole; i += 32)
        count += ones(codec_above(y + i, key));
    if (whole < n)
        count += ones(codec_above(padded(y + whole, n - whole, room), key));
    return count;
}

uint32_t ACTC_CPU_NAME(fused_mark)(const uint32_t *y, uint32_t n, uint32_t low, uint32_t high, uint32_t *marks,
                                   uint32_t *above)
{
    uint32_t count = 0, over = 0, room[32], whole = n & ~31u;
    if (high < ACTC_ABS_MASK)
        for (uint32_t i = 0; i < whole; i += 32) {
            uint32_t upper = codec_above(y + i, high), found = codec_above(y + i, low) & ~upper;
            over += ones(upper);
            count += ones(found);
            marks[i / 32] = found;
        }
    else
        for (uint32_t i = 0; i < whole; i += 32) {
            uint32_t found = codec_above(y + i, low);
            count += ones(found);
            marks[i / 32] = found;
        }
    if (whole < n) {
        const uint32_t *at = padded(y + whole, n - whole, room);
        uint32_t upper = codec_above(at, high), found = codec_above(at, low) & ~upper;
        over += ones(upper);
        count += ones(found);
        marks[whole / 32] = found;
    }
    *above = over;
    return count;
}

void ACTC_CPU_NAME(fused_gather)(const uint32_t *y, uint32_t n, const uint32_t *marks, uint32_t first, uint32_t *bits,
                                 uint32_t *numbers)
{
    uint16_t words[CODEC_MARKS];
    uint32_t count = 0, used = 0;
    for (uint32_t i = 0; i < (n + 31) / 32; i++) { /* without branches, which would be guessed wrong */
        words[used] = (uint16_t)i;
        used += marks[i] != 0;
    }
    for (uint32_t w = 0; w < used; w++) {
        uint32_t i = words[w], found = marks[i];
        do {
            uint32_t j = i * 32 + (uint32_t)__builtin_ctz(found);
            bits[count] = y[j];
            numbers[count++] = first + j;
            found &= found - 1;
        } while (found);
    }
}

void ACTC_CPU_NAME(fused_histogram)(const uint32_t *y, uint32_t n, uint32_t low, uint32_t high, uint32_t shift,
                                    uint32_t last, uint32_t *bins)
{
    uint32_t room[32];
    for (uint32_t i = 0; i < n; i += 32) {
        const uint32_t *at = i + 32 <= n ? y + i : padded(y + i, n - i, room);
        uint32_t found = codec_above(at, low);
        if (found)
            found &= ~codec_above(at, high);
        for (; found; found &= found - 1) {
            uint32_t bin = ((at[__builtin_ctz(found)] & ACTC_ABS_MASK) - low - 1) >> shift;
            bins[bin < last ? bin : last]++;
        }
    }
}

uint32_t ACTC_CPU_NAME(fused_keep)(const uint32_t *y, uint32_t n, uint32_t key, uint32_t *ties, uint8_t *places,
                                   uint32_t *bits)
{
    uint32_t count = 0, room[32], whole = n & ~31u;
    if (*ties == 0) {
        for (uint32_t i = 0; i < whole; i += 32) {
            uint32_t found = codec_above(y + i, key);
            if (found || CODEC_COMPRESSES)
                count += codec_compress(y + i, found, i, bits + count, places + count);
        }
        if (whole < n) {
            const uint32_t *at = padded(y + whole, n - whole, room);
            count += codec_compress(at, codec_above(at, key), whole, bits + count, places + count);
        }
        return count;
    }
    for (uint32_t i = 0; i < n; i += 32) { /* the key is not 0 then */
        const uint32_t *at = i + 32 <= n ? y + i : padded(y + i, n - i, room);
        uint32_t found = codec_above(at, key), equal = codec_above(at, key - 1) & ~found;
        for (; equal && *ties; equal &= equal - 1, --*ties)
            found |= equal & -equal;
        count += codec_compress(at, found, i, bits + count, places + count);
    }
    return count;
}

/* Halves the interval of the key's bits until as many are above as are wanted, or one key is left, which ties. More than
 * `most` are above low, and fewer above high, which is the largest or above it. */
static uint32_t halve(const uint32_t *y, uint32_t n, uint32_t most, uint32_t low, uint32_t high, uint32_t *ties)
{
    uint32_t above_high = 0, step = 1u << 22; /* half an octave below the largest, then twice as far, until it is passed */
    *ties = 0;
    while (high - low > 1) {
        uint32_t span = high - low, key = span / 2 > step ? high - step : low + span / 2;
        uint32_t count = ACTC_CPU_NAME(fused_count_above)(y, n, key);
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

static uint32_t largest_of(const uint32_t *y, uint32_t n)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t a = y[i] & ACTC_ABS_MASK;
        largest = a > largest ? a : largest;
    }
    return largest;
}

#define HINT_BELOW (1u << 21) /* a quarter of an octave */

/* The key of `most` of a few, more than that, which lie above low: it has fewer than `most` before it, and of such it is the
 * least. Behind the list there is room for 32. */
static uint32_t key_of_list(uint32_t *list, uint32_t n, uint32_t most, uint32_t low, uint32_t *ties)
{
    uint32_t key = ACTC_ABS_MASK;
    if (n > 32)
        return halve(list, n, most, low, largest_of(list, n), ties);
    memset(list + n, 0, 32 * sizeof *list);
    bool short_list = n <= CODEC_LANES;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t a = list[i] & ACTC_ABS_MASK;
        uint32_t before = ones(short_list ? codec_above_few(list, a) : codec_above(list, a));
        a = ACTC_SELECT(before < most, a, ACTC_ABS_MASK);
        key = a < key ? a : key;
    }
    *ties = most - ones(codec_above(list, key));
    return key;
}

/* Neighbouring tiles are alike: what is kept is looked for among what lies above somewhat less than the last key. */
uint32_t ACTC_CPU_NAME(fused_keep_largest)(const uint32_t *y, uint32_t n, uint32_t most, uint32_t *hint, uint8_t *places,
                                           uint32_t *bits)
{
    uint32_t ties = 0, key = 0, kept = 0;
    if (most == 0)
        return 0;
    if (*hint) {
        uint32_t count = ACTC_CPU_NAME(fused_keep)(y, n, *hint, &ties, places, bits);
        if (count == most)
            return count;
        if (count > most && count <= 2 * most + 16) {
            key = key_of_list(bits, count, most, *hint, &ties);
            for (uint32_t i = 0; i < count; i++) { /* no branch on the key: it is anyone's guess */
                uint32_t a = bits[i] & ACTC_ABS_MASK, tie = (a == key) & (ties != 0);
                places[kept] = places[i];
                bits[kept] = bits[i];
                kept += (a > key) | tie;
                ties -= tie;
            }
            *hint = key > HINT_BELOW ? key - HINT_BELOW : 0;
            return kept;
        }
    }
    if (ACTC_CPU_NAME(fused_count_above)(y, n, 0) > most) {
        key = halve(y, n, most, 0, largest_of(y, n), &ties);
        *hint = key > HINT_BELOW ? key - HINT_BELOW : 0;
    }
    return ACTC_CPU_NAME(fused_keep)(y, n, key, &ties, places, bits);
}
