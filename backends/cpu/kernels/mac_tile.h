/* mac_tile.h: sums of products over small tiles, for gemm and the convolutions.
 *
 * A tile holds MAC_ROWS rows and MAC_COLS columns; each element adds its products for k ascending, with a multiplication
 * and an addition that round on their own, so that neither the width of a vector nor the blocking shows in the result.
 * Factors pass through actc_factor when they are packed.
 */
#ifndef ACTC_CPU_MAC_TILE_H
#define ACTC_CPU_MAC_TILE_H

#include "kernel.h"

#if defined(__AVX512F__)
#define MAC_LANES 16u
#elif defined(__AVX2__)
#define MAC_LANES 8u
#else
#define MAC_LANES 4u
#endif
#define MAC_ROWS 4u
#define MAC_COLS (2u * MAC_LANES)
#define MAC_DEPTH 128u /* k packed at a time: A and B of a tile stay in the first-level cache */
#define MAC_BLOCK_ROWS 64u /* rows that share a packed B */

typedef float mac_vec __attribute__((vector_size(4 * MAC_LANES)));

static inline mac_vec mac_load(const float *p)
{
    mac_vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* acc[row][column] += sum over k of a[row][k] * b[k][column]. vectors: 1 where columns past MAC_LANES are not needed. */
static inline __attribute__((always_inline)) void mac_tile_(uint32_t depth, const float *a, const float *b, float *acc,
                                                            const uint32_t vectors)
{
    mac_vec s[MAC_ROWS][2];
    for (uint32_t r = 0; r < MAC_ROWS; r++)
        for (uint32_t v = 0; v < vectors; v++)
            s[r][v] = mac_load(acc + r * MAC_COLS + v * MAC_LANES);
    for (uint32_t k = 0; k < depth; k++) {
        mac_vec b0 = mac_load(b + k * MAC_COLS), b1 = b0;
        if (vectors > 1)
            b1 = mac_load(b + k * MAC_COLS + MAC_LANES);
#pragma GCC unroll 4
        for (uint32_t r = 0; r < MAC_ROWS; r++) {
            float f = a[r * MAC_DEPTH + k];
            s[r][0] = s[r][0] + b0 * f;
            if (vectors > 1)
                s[r][1] = s[r][1] + b1 * f;
        }
    }
    for (uint32_t r = 0; r < MAC_ROWS; r++)
        for (uint32_t v = 0; v < vectors; v++)
            memcpy(acc + r * MAC_COLS + v * MAC_LANES, &s[r][v], sizeof s[r][v]);
}

static inline void mac_tile(uint32_t depth, const float *a, const float *b, float *acc, uint32_t columns)
{
    if (columns > MAC_LANES)
        mac_tile_(depth, a, b, acc, 2);
    else
        mac_tile_(depth, a, b, acc, 1);
}

static inline void mac_copy(float *to, const float *from, uint32_t count)
{
    ACTC_CPU_SIMD
    for (uint32_t i = 0; i < count; i++)
        to[i] = actc_factor(from[i]);
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
    float a[MAC_ROWS * MAC_DEPTH], b[MAC_DEPTH * MAC_COLS];
    mac_zero(acc, MAC_BLOCK_ROWS * MAC_COLS);
    for (uint32_t k = k_first; k < k_last; k += MAC_DEPTH) {
        uint32_t depth = ACTC_MIN(MAC_DEPTH, k_last - k);
        source->pack_b(source, b, col, columns, k, depth);
        for (uint32_t r = 0; r < rows; r += MAC_ROWS) {
            uint32_t count = ACTC_MIN(MAC_ROWS, rows - r);
            for (uint32_t i = 0; i < count; i++)
                source->pack_a(source, a + i * MAC_DEPTH, row + r + i, k, depth);
            for (uint32_t i = count; i < MAC_ROWS; i++)
                mac_zero(a + i * MAC_DEPTH, depth);
            mac_tile(depth, a, b, acc + r * MAC_COLS, columns);
        }
    }
}

#endif
