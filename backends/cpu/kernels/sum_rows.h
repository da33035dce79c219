/* sum_rows.h: sums of terms over rows, rows ascending, with columns as vector lanes. */
#ifndef ACTC_CPU_SUM_ROWS_H
#define ACTC_CPU_SUM_ROWS_H

#include "exact/norm.h"
#include "kernel.h"

#define SUM_LANES 64u  /* columns summed side by side: several vectors hide the latency of an addition */
#define SUM_NARROW 16u /* of what is left of a row */

/* Rows of `stride` elements. Where fewer columns than lanes are wanted, the lanes behind read what follows in the view, and
 * their sums are dropped: `left` is what may be read from x (and y) on. */
typedef struct sum_rows_source {
    const float *x, *y;
    size_t stride, left;
    uint32_t rows, count; /* count: columns wanted, at most the lanes */
    float mean[SUM_LANES], inverse[SUM_LANES]; /* of columns */
    const float *row_mean, *row_inverse;
} sum_rows_source;

typedef struct sum_rows_result {
    float first[SUM_LANES], second[SUM_LANES];
} sum_rows_result;

static inline __attribute__((always_inline)) void sum_rows_add(const uint32_t op, const uint32_t lanes, const float *x,
                                                               const float *y, const float *mean, const float *inverse,
                                                               float row_mean, float row_inverse, float *first, float *second)
{
    ACTC_CPU_SIMD
    for (uint32_t k = 0; k < lanes; k++) {
        float v = actc_flush(x[k]);
        if (op == ACTC_REDUCE_SUM) {
            first[k] = ACTC_ADD(first[k], v);
        } else if (op == ACTC_REDUCE_PRODUCT) {
            first[k] = ACTC_ADD(first[k], actc_product(v, actc_flush(y[k])));
        } else if (op == ACTC_REDUCE_SQUARE) {
            first[k] = ACTC_ADD(first[k], actc_squared_distance(v, mean[k]));
        } else {
            float w = actc_flush(y[k]);
            if (op == ACTC_REDUCE_NORM_COLUMNS)
                w = actc_normalise(w, mean[k], inverse[k]);
            if (op == ACTC_REDUCE_NORM_ROWS)
                w = actc_normalise(w, row_mean, row_inverse);
            first[k] = ACTC_ADD(first[k], v);
            second[k] = ACTC_ADD(second[k], actc_product(v, w));
        }
    }
}

/* Constants where it is inlined: op, lanes. MOMENTS is SUM, and then SQUARE. */
static inline __attribute__((always_inline)) void sum_rows_(const uint32_t op, const uint32_t lanes, const sum_rows_source *s,
                                                            sum_rows_result *result)
{
    float first[SUM_LANES], second[SUM_LANES];
    const bool with_y = op != ACTC_REDUCE_SUM && op != ACTC_REDUCE_SQUARE, by_row = op == ACTC_REDUCE_NORM_ROWS;
    for (uint32_t k = 0; k < lanes; k++)
        first[k] = second[k] = 0.0f;
    size_t whole = s->rows; /* rows of which all lanes may be read */
    if (s->count < lanes) {
        size_t readable = s->left < lanes ? 0 : (s->left - lanes) / s->stride + 1;
        whole = ACTC_MIN(whole, readable);
    }
    const float *x = s->x, *y = s->y;
    for (uint32_t r = 0; r < whole; r++, x += s->stride, y += with_y ? s->stride : 0)
        sum_rows_add(op, lanes, x, y, s->mean, s->inverse, by_row ? s->row_mean[r] : 0.0f, by_row ? s->row_inverse[r] : 0.0f,
                     first, second);
    for (uint32_t r = (uint32_t)whole; r < s->rows; r++, x += s->stride, y += with_y ? s->stride : 0) {
        float px[SUM_LANES] = {0.0f}, py[SUM_LANES] = {0.0f};
        memcpy(px, x, s->count * sizeof *px);
        if (with_y)
            memcpy(py, y, s->count * sizeof *py);
        sum_rows_add(op, lanes, px, py, s->mean, s->inverse, by_row ? s->row_mean[r] : 0.0f, by_row ? s->row_inverse[r] : 0.0f,
                     first, second);
    }
    memcpy(result->first, first, lanes * sizeof *first);
    memcpy(result->second, second, lanes * sizeof *second);
}

static inline __attribute__((always_inline)) void sum_rows_lanes(const uint32_t lanes, uint32_t op, const sum_rows_source *s,
                                                                 sum_rows_result *result)
{
    switch (op) {
    case ACTC_REDUCE_SUM: sum_rows_(ACTC_REDUCE_SUM, lanes, s, result); break;
    case ACTC_REDUCE_PRODUCT: sum_rows_(ACTC_REDUCE_PRODUCT, lanes, s, result); break;
    case ACTC_REDUCE_SQUARE: sum_rows_(ACTC_REDUCE_SQUARE, lanes, s, result); break;
    case ACTC_REDUCE_PAIR: sum_rows_(ACTC_REDUCE_PAIR, lanes, s, result); break;
    case ACTC_REDUCE_NORM_COLUMNS: sum_rows_(ACTC_REDUCE_NORM_COLUMNS, lanes, s, result); break;
    case ACTC_REDUCE_NORM_ROWS: sum_rows_(ACTC_REDUCE_NORM_ROWS, lanes, s, result); break;
    default: break;
    }
}

static inline void sum_rows(uint32_t op, const sum_rows_source *s, sum_rows_result *result)
{
    if (s->count > SUM_NARROW)
        sum_rows_lanes(SUM_LANES, op, s, result);
    else
        sum_rows_lanes(SUM_NARROW, op, s, result);
}

/* Columns of the next block of `columns` that are left: all lanes, or narrow ones for the rest. */
static inline uint32_t sum_rows_block(uint32_t columns)
{
    return columns >= SUM_LANES ? SUM_LANES : ACTC_MIN(columns, SUM_NARROW);
}

#endif
