/* conv_line.h: convolutions of few channels without packing a patch for every pixel.
 *
 * The image rows that a stretch of one output row meets are copied once, side by side and with zeros for what lies outside
 * the image; every pixel of the stretch then finds its factors at the same offsets from its own place. Serves where the
 * weights of a block of columns fit into the first-level caches; conv_patch.h and mac_block do the rest.
 */
#ifndef ACTC_CPU_CONV_LINE_H
#define ACTC_CPU_CONV_LINE_H

#include "mac_tile.h"

/* On the stack of a thread, with all else less than 160 KiB. */
#define LINE_DEPTH 640u   /* most products a result */
#define LINE_FLOATS 8192u /* image rows of a stretch */
#define LINE_STRETCH 96u  /* most output pixels of a stretch */

/* to: positions x0 .. x0 + count of an image row of `extent` pixels, zeros outside; row NULL: zeros only. */
static inline void line_fill(float *to, const float *row, int64_t x0, uint32_t count, uint32_t extent, uint32_t channels)
{
    int64_t last = x0 + count, low = x0 < 0 ? 0 : x0, high = last < (int64_t)extent ? last : (int64_t)extent;
    if (!row || low >= high) {
        mac_zero(to, count * channels);
        return;
    }
    mac_zero(to, (uint32_t)(low - x0) * channels);
    mac_copy(to + (low - x0) * channels, row + low * channels, (uint32_t)(high - low) * channels);
    mac_zero(to + (high - x0) * channels, (uint32_t)(last - high) * channels);
}

/* The longest stretch whose rows fit, or 0. taps: rows; step: positions from pixel to pixel; reach: positions that one
 * pixel sees. tile: stretches are made up to whole tiles. */
static inline uint32_t line_stretch(uint64_t taps, uint32_t step, uint64_t reach, uint32_t channels, uint32_t width,
                                    uint32_t tile)
{
    uint64_t most = LINE_FLOATS / (taps * channels);
    if (most < reach)
        return 0;
    uint64_t pixels = (most - reach) / step + 1;
    pixels = ACTC_MIN(pixels, LINE_STRETCH) / tile * tile;
    uint64_t whole = (width + tile - 1) / tile * tile;
    return (uint32_t)ACTC_MIN(pixels, whole);
}

#endif
