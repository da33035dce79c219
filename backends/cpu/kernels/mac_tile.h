/* mac_tile.h: sums of products over small tiles, for gemm and the convolutions.
 *
 * A tile holds MAC_ROWS rows and MAC_COLS columns; each element adds its products for k ascending, so that neither the
 * width of a vector nor the blocking nor the position shows in the result. The files that include this are built twice:
 * with ACTC_EXACT_VARIANT a multiplication and an addition round on their own and factors pass through actc_factor; without
 * it (TOLERANT) the build lets the compiler fuse the two where the instruction set can.
 */
#ifndef ACTC_CPU_MAC_TILE_H
#define ACTC_CPU_MAC_TILE_H

#include "kernel.h"

/* Rows: as many accumulators as leave registers for two vectors of B, one of A and a product. */
#if defined(__AVX512F__)
#define MAC_LANES 16u
#define MAC_ROWS 12u
#elif defined(__AVX2__)
#define MAC_LANES 8u
#define MAC_ROWS 6u
#else
#define MAC_LANES 4u
#define MAC_ROWS 6u
#endif
#define MAC_COLS (2u * MAC_LANES)
#define MAC_ROWS_NARROW 12u /* of tiles one vector wide: enough sums side by side to hide the latency of an addition */
#define MAC_DEPTH 128u      /* k packed at a time: A and B of a tile stay in the first-level cache */
#define MAC_BLOCK_ROWS 192u /* rows that share a packed B; a multiple of the rows of every tile */

#ifdef ACTC_EXACT_VARIANT
#define MAC_FACTOR(x) actc_factor(x)
#define MAC_KERNEL(name) ACTC_CPU_KERNEL(name##_exact)
#else
#define MAC_FACTOR(x) (x)
#define MAC_KERNEL(name) ACTC_CPU_KERNEL(name)
#endif

typedef float mac_vec __attribute__((vector_size(4 * MAC_LANES)));

/* As it lies among floats. */
typedef mac_vec mac_floats __attribute__((aligned(4), may_alias));

static inline __attribute__((always_inline)) mac_vec mac_load(const float *p)
{
    return *(const mac_floats *)p;
}

static inline __attribute__((always_inline)) void mac_put(mac_vec v, float *p)
{
    *(mac_floats *)p = v;
}

/* acc[r][column] += sum over k of a[r * row_step + at(k)] * b[k][column], acc and b with rows of MAC_COLS. at(k) is
 * offsets[k], or k * k_step where offsets is NULL. depth > 0. Constants where it is inlined: rows; vectors, 1 where columns past
 * MAC_LANES are not needed; apart: the sum is made by itself and then added, which rounds less; whether there are offsets. */
static inline __attribute__((always_inline)) void mac_tile_(uint32_t depth, const float *a, size_t row_step, size_t k_step,
                                                            const uint32_t *offsets, const float *b, float *acc,
                                                            const uint32_t rows, const uint32_t vectors, const bool apart)
{
    mac_vec s[12][2];
#pragma GCC unroll 12
    for (uint32_t r = 0; r < rows; r++) {
        s[r][0] = apart ? (mac_vec){0} : mac_load(acc + r * MAC_COLS);
        s[r][1] = vectors > 1 && !apart ? mac_load(acc + r * MAC_COLS + MAC_LANES) : s[r][0];
    }
    uint32_t k = 0;
    do {
        mac_vec b0 = mac_load(b), b1 = vectors > 1 ? mac_load(b + MAC_LANES) : b0;
        const float *from = offsets ? a + offsets[k] : a;
#pragma GCC unroll 12
        for (uint32_t r = 0; r < rows; r++) {
            float f = from[r * row_step];
            s[r][0] = s[r][0] + b0 * f;
            if (vectors > 1)
                s[r][1] = s[r][1] + b1 * f;
        }
        a += k_step;
        b += MAC_COLS;
    } while (++k < depth);
#pragma GCC unroll 12
    for (uint32_t r = 0; r < rows; r++) {
        if (apart)
            s[r][0] = mac_load(acc + r * MAC_COLS) + s[r][0];
        if (apart && vectors > 1)
            s[r][1] = mac_load(acc + r * MAC_COLS + MAC_LANES) + s[r][1];
        mac_put(s[r][0], acc + r * MAC_COLS);
        if (vectors > 1)
            mac_put(s[r][1], acc + r * MAC_COLS + MAC_LANES);
    }
}

/* Rows of a tile for this many columns. */
static inline uint32_t mac_rows(uint32_t columns)
{
    return columns > MAC_LANES ? MAC_ROWS : MAC_ROWS_NARROW;
}

/* A tile of mac_rows(columns) rows. */
static inline __attribute__((always_inline)) void mac_tile(uint32_t depth, const float *a, size_t row_step, size_t k_step,
                                                           const float *b, float *acc, uint32_t columns)
{
    if (columns > MAC_LANES)
        mac_tile_(depth, a, row_step, k_step, NULL, b, acc, MAC_ROWS, 2, false);
    else
        mac_tile_(depth, a, row_step, k_step, NULL, b, acc, MAC_ROWS_NARROW, 1, false);
}

static inline __attribute__((always_inline)) void mac_tile_offsets(uint32_t depth, const float *a, size_t row_step,
                                                                   const uint32_t *offsets, const float *b, float *acc,
                                                                   uint32_t columns)
{
    if (columns > MAC_LANES)
        mac_tile_(depth, a, row_step, 0, offsets, b, acc, MAC_ROWS, 2, false);
    else
        mac_tile_(depth, a, row_step, 0, offsets, b, acc, MAC_ROWS_NARROW, 1, false);
}

static inline void mac_copy(float *to, const float *from, uint32_t count)
{
    ACTC_CPU_SIMD
    for (uint32_t i = 0; i < count; i++)
        to[i] = MAC_FACTOR(from[i]);
}

static inline void mac_zero(float *to, uint32_t count)
{
    memset(to, 0, count * sizeof *to);
}

/* What a kernel hands to mac_block. */
typedef struct mac_source {
    const void *params;
    const float *a, *b;
    /* Fills one packed row of A with the factors k0 .. k0 + depth of output row `row`. */
    void (*pack_a)(const struct mac_source *source, float *to, uint32_t row, uint32_t k0, uint32_t depth);
    /* Fills B: to[k * MAC_COLS + c] for columns col .. col + columns; the rest of each row is 0. */
    void (*pack_b)(const struct mac_source *source, float *to, uint32_t col, uint32_t columns, uint32_t k0,
                   uint32_t depth);
} mac_source;

/* acc[MAC_BLOCK_ROWS][MAC_COLS] = the sums for `rows` rows and `columns` columns, k in [k_first, k_last). Inlined, so
 * that the packing functions are too. */
static inline __attribute__((always_inline)) void mac_block(const mac_source *source, uint32_t row, uint32_t rows,
                                                            uint32_t col, uint32_t columns, uint32_t k_first,
                                                            uint32_t k_last, float *acc)
{
    float a[MAC_ROWS_NARROW * MAC_DEPTH], b[MAC_DEPTH * MAC_COLS];
    const uint32_t tile = mac_rows(columns);
    mac_zero(acc, (rows + tile - 1) / tile * tile * MAC_COLS);
    for (uint32_t k = k_first; k < k_last; k += MAC_DEPTH) {
        uint32_t depth = ACTC_MIN(MAC_DEPTH, k_last - k);
        source->pack_b(source, b, col, columns, k, depth);
        for (uint32_t r = 0; r < rows; r += tile) {
            uint32_t count = ACTC_MIN(tile, rows - r);
            for (uint32_t i = 0; i < count; i++)
                source->pack_a(source, a + i * MAC_DEPTH, row + r + i, k, depth);
            for (uint32_t i = count; i < tile; i++)
                mac_zero(a + i * MAC_DEPTH, depth);
            mac_tile(depth, a, MAC_DEPTH, 1, b, acc + r * MAC_COLS, columns);
        }
    }
}

/* Stores sums of a convolution, with the bias of the columns where it is not NULL; the rows of y lie `stride` apart. */
static inline void mac_store(const float *acc, uint32_t rows, uint32_t columns, const float *bias, float *y, uint32_t stride)
{
    for (uint32_t r = 0; r < rows; r++) {
        const float *from = acc + r * MAC_COLS;
        float *out = y + (uint64_t)r * stride;
        if (bias) {
            ACTC_CPU_SIMD
            for (uint32_t i = 0; i < columns; i++)
                out[i] = actc_canon(ACTC_ADD(from[i], actc_flush(bias[i])));
        } else {
            ACTC_CPU_SIMD
            for (uint32_t i = 0; i < columns; i++)
                out[i] = actc_canon(from[i]);
        }
    }
}

#endif
