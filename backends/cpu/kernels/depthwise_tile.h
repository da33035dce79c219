/* depthwise_tile.h: a row of outputs from rows of inputs, for kernels of few columns: a vector of channels at a time, whose sums for a few
 * outputs stay in registers. Forward, or backward where the steps are negative.
 *
 * Output p reads, of each line, pixels at + (stride * p + k) * step, k ascending, and adds their products with the line's weights k.
 */
#ifndef ACTC_CPU_DEPTHWISE_TILE_H
#define ACTC_CPU_DEPTHWISE_TILE_H

#include "depthwise.h"

#if defined(__AVX512F__)
#define DEPTHWISE_LANES 16u
#elif defined(__AVX2__)
#define DEPTHWISE_LANES 8u
#else
#define DEPTHWISE_LANES 4u
#endif
#define DEPTHWISE_TILE 8u       /* outputs */
#define DEPTHWISE_MOST_LINES 32u
#define DEPTHWISE_ROWS_BYTES (256u << 10) /* of rows that are gone through for one vector of channels after the other: they stay in the cache */

typedef float depthwise_vec __attribute__((vector_size(4 * DEPTHWISE_LANES)));
typedef uint32_t depthwise_bits __attribute__((vector_size(4 * DEPTHWISE_LANES)));

/* One (kz,ky) that meets the row. */
typedef struct depthwise_line {
    const float *row;
    const float *weights; /* a vector a tap, `weight_step` floats from one to the next */
} depthwise_line;

typedef struct depthwise_rows {
    depthwise_line lines[DEPTHWISE_MOST_LINES];
    uint32_t n_lines;
    int64_t at, step;
    uint32_t extent;    /* pixels of a row; those outside take no part */
    uint64_t pitch;     /* floats from pixel to pixel */
    uint32_t weight_step;
} depthwise_rows;

/* actc_factor of each. */
static inline __attribute__((always_inline)) depthwise_vec depthwise_load(const float *from)
{
    depthwise_bits u;
    memcpy(&u, from, sizeof u);
    u &= (depthwise_bits)((u & ACTC_ABS_MASK) >= ACTC_FACTOR_TINY_BITS);
    return (depthwise_vec)u;
}

static inline __attribute__((always_inline)) void depthwise_tile(const depthwise_rows *r, int64_t at, const float *bias, float *out,
                                                                 int64_t out_step, uint32_t outputs, const uint32_t taps,
                                                                 const uint32_t stride)
{
    depthwise_vec s[DEPTHWISE_TILE] = {{0}}, w[7];
    for (uint32_t l = 0; l < r->n_lines; l++) {
        const depthwise_line *line = &r->lines[l];
#pragma GCC unroll 7
        for (uint32_t k = 0; k < taps; k++)
            memcpy(&w[k], line->weights + k * r->weight_step, sizeof w[k]);
#pragma GCC unroll 21
        for (uint32_t i = 0; i < (DEPTHWISE_TILE - 1) * stride + taps; i++) {
            const int64_t pixel = at + (int64_t)i * r->step;
            if ((uint64_t)pixel >= r->extent)
                continue;
            const depthwise_vec x = depthwise_load(line->row + (uint64_t)pixel * r->pitch);
#pragma GCC unroll 7
            for (uint32_t k = 0; k < taps; k++)
                if (i >= k && (i - k) % stride == 0 && (i - k) / stride < DEPTHWISE_TILE)
                    s[(i - k) / stride] += x * w[k];
        }
    }
#pragma GCC unroll 8
    for (uint32_t p = 0; p < DEPTHWISE_TILE; p++) {
        float sums[DEPTHWISE_LANES];
        memcpy(sums, &s[p], sizeof sums);
        if (p < outputs)
            depthwise_store(sums, bias, DEPTHWISE_LANES, out + (int64_t)p * out_step);
    }
}

/* Whether there is a tile for so many taps of a row at this stride. */
static inline bool depthwise_has_tile(uint32_t taps, uint32_t stride)
{
    return taps >= 1 && taps <= 7 && taps != 6 && (stride == 1 || (stride == 2 && taps % 2 && taps > 1));
}

#define DEPTHWISE_TILE_OF(taps, stride)                                                               \
    case 8 * stride + taps: depthwise_tile(r, at, bias, out, out_step, left, taps, stride); break

/* All `outputs` of them, `out_step` floats apart; in the order of memory. */
static inline void depthwise_tiles(const depthwise_rows *r, const float *bias, float *first_out, int64_t out_step, uint32_t outputs,
                            uint32_t taps, uint32_t stride)
{
    const uint32_t tiles = (outputs + DEPTHWISE_TILE - 1) / DEPTHWISE_TILE;
    for (uint32_t i = 0; i < tiles; i++) {
        const uint32_t done = (out_step < 0 ? tiles - 1 - i : i) * DEPTHWISE_TILE, left = outputs - done;
        const int64_t at = r->at + (int64_t)done * stride * r->step;
        float *out = first_out + (int64_t)done * out_step;
        switch (8 * stride + taps) {
            DEPTHWISE_TILE_OF(1, 1);
            DEPTHWISE_TILE_OF(2, 1);
            DEPTHWISE_TILE_OF(3, 1);
            DEPTHWISE_TILE_OF(4, 1);
            DEPTHWISE_TILE_OF(5, 1);
            DEPTHWISE_TILE_OF(7, 1);
            DEPTHWISE_TILE_OF(3, 2);
            DEPTHWISE_TILE_OF(5, 2);
            DEPTHWISE_TILE_OF(7, 2);
        }
    }
}

/* The weights of DEPTHWISE_LANES channels as vectors, in the order of the taps. */
static inline void depthwise_pack_tile(float *to, const float *weights, uint32_t taps)
{
    for (uint32_t tap = 0; tap < taps; tap++)
        for (uint32_t c = 0; c < DEPTHWISE_LANES; c++)
            to[tap * DEPTHWISE_LANES + c] = actc_factor(weights[(uint64_t)c * taps + tap]);
}

/* How many rows to go through at a time. */
static inline uint32_t depthwise_rows_at_once(uint64_t floats_a_row)
{
    const uint64_t rows = DEPTHWISE_ROWS_BYTES / (4 * floats_a_row);
    return rows < 8 ? 8 : rows > 64 ? 64 : (uint32_t)rows;
}

/* Lines of the cache in the order of memory, before they are gone through with a stride: as the memory gives them fastest. */
static inline void depthwise_fetch(const float *from, uint64_t floats)
{
    for (uint64_t k = 0; k < floats; k += 16)
        __builtin_prefetch(from + k);
}

#endif
