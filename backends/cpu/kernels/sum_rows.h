/* sum_rows.h: sums of terms over rows, rows ascending, with columns as vector lanes. */
#ifndef ACTC_CPU_SUM_ROWS_H
#define ACTC_CPU_SUM_ROWS_H

#include "exact/norm.h"
#include "kernel.h"

#define SUM_WIDE 512u  /* columns summed side by side of long rows: sums in memory, rows read in long stretches */
#define SUM_LANES 64u  /* of shorter rows: sums in registers, several vectors to hide the latency of an addition */
#define SUM_NARROW 16u /* of what is left of a row */

/* Rows of `stride` elements. Where fewer columns than lanes are wanted, the lanes behind read what follows in the view, and
 * their sums are dropped: `left` is what may be read from x (and y) on. */
typedef struct sum_rows_source {
    const float *x, *y; /* y is x where an op has none */
    size_t stride, left;
    uint32_t rows, count; /* count: columns wanted, at most the lanes */
    float mean[SUM_WIDE], inverse[SUM_WIDE]; /* of columns */
    const float *row_mean, *row_inverse;
    const uint32_t *labels; /* of rows, and the column of x: y is 1 where the two agree */
    uint32_t column;
} sum_rows_source;

typedef struct sum_rows_result {
    float first[SUM_WIDE], second[SUM_WIDE];
} sum_rows_result;

/* Adds the terms of one element. */
static inline __attribute__((always_inline)) void sum_rows_term(const uint32_t op, float x, float y, float mean, float inverse,
                                                                float *first, float *second)
{
    float v = actc_flush(x), w = actc_flush(y);
    if (op >= ACTC_REDUCE_OVERLAP) {
        const uint32_t squares = op == ACTC_REDUCE_OVERLAP_SQUARES || op == ACTC_REDUCE_OVERLAP_LABELS_SQUARES;
        *first = ACTC_ADD(*first, actc_product(v, w));
        *second = ACTC_ADD(*second, actc_dice_size(squares, v, w));
        return;
    }
    if (op == ACTC_REDUCE_SQUARE)
        v = actc_squared_distance(v, mean);
    else if (op == ACTC_REDUCE_PRODUCT)
        v = actc_product(v, w);
    else if (op == ACTC_REDUCE_NORM_COLUMNS || op == ACTC_REDUCE_NORM_ROWS)
        w = actc_normalise(w, mean, inverse);
    *first = ACTC_ADD(*first, v);
    if (op != ACTC_REDUCE_SUM && op != ACTC_REDUCE_SQUARE && op != ACTC_REDUCE_PRODUCT)
        *second = ACTC_ADD(*second, actc_product(v, w));
}

/* The lane of a row's label. */
static inline __attribute__((always_inline)) uint32_t sum_rows_label(const uint32_t op, const sum_rows_source *s, uint32_t row)
{
    return op >= ACTC_REDUCE_OVERLAP_LABELS ? s->labels[row] - s->column : 0;
}

/* y of lane k. */
static inline __attribute__((always_inline)) float sum_rows_y(const uint32_t op, float y, uint32_t k, uint32_t label)
{
    return op >= ACTC_REDUCE_OVERLAP_LABELS ? (k == label ? 1.0f : 0.0f) : y;
}

static inline __attribute__((always_inline)) void sum_rows_add(const uint32_t op, const uint32_t lanes,
                                                               const sum_rows_source *s, const float *x, const float *y,
                                                               uint32_t row, float *first, float *second)
{
    const bool by_row = op == ACTC_REDUCE_NORM_ROWS;
    const float row_mean = by_row ? s->row_mean[row] : 0.0f, row_inverse = by_row ? s->row_inverse[row] : 0.0f;
    const uint32_t label = sum_rows_label(op, s, row);
    ACTC_CPU_SIMD
    for (uint32_t k = 0; k < lanes; k++)
        sum_rows_term(op, x[k], sum_rows_y(op, y[k], k, label), by_row ? row_mean : s->mean[k],
                      by_row ? row_inverse : s->inverse[k], &first[k], &second[k]);
}

/* Four rows for one load and store of the sums. */
static inline __attribute__((always_inline)) void sum_rows_add4(const uint32_t op, const uint32_t lanes,
                                                                const sum_rows_source *s, const float *x0, const float *y0,
                                                                uint32_t row, float *first, float *second)
{
    const bool by_row = op == ACTC_REDUCE_NORM_ROWS;
    const float *x1 = x0 + s->stride, *x2 = x1 + s->stride, *x3 = x2 + s->stride;
    const float *y1 = y0 + s->stride, *y2 = y1 + s->stride, *y3 = y2 + s->stride;
    float m[4] = {0.0f}, i[4] = {0.0f};
    const uint32_t l0 = sum_rows_label(op, s, row), l1 = sum_rows_label(op, s, row + 1), l2 = sum_rows_label(op, s, row + 2),
                   l3 = sum_rows_label(op, s, row + 3);
    for (uint32_t q = 0; q < 4 && by_row; q++) {
        m[q] = s->row_mean[row + q];
        i[q] = s->row_inverse[row + q];
    }
    ACTC_CPU_SIMD
    for (uint32_t k = 0; k < lanes; k++) {
        float f = first[k], t = second[k];
        const float mean = s->mean[k], inverse = s->inverse[k];
        sum_rows_term(op, x0[k], sum_rows_y(op, y0[k], k, l0), by_row ? m[0] : mean, by_row ? i[0] : inverse, &f, &t);
        sum_rows_term(op, x1[k], sum_rows_y(op, y1[k], k, l1), by_row ? m[1] : mean, by_row ? i[1] : inverse, &f, &t);
        sum_rows_term(op, x2[k], sum_rows_y(op, y2[k], k, l2), by_row ? m[2] : mean, by_row ? i[2] : inverse, &f, &t);
        sum_rows_term(op, x3[k], sum_rows_y(op, y3[k], k, l3), by_row ? m[3] : mean, by_row ? i[3] : inverse, &f, &t);
        first[k] = f;
        second[k] = t;
    }
}

/* Constants where they are inlined: op, lanes. MOMENTS is SUM, and then SQUARE. */
static inline __attribute__((always_inline)) void sum_rows_narrow(const uint32_t op, const uint32_t lanes,
                                                                  const sum_rows_source *s, sum_rows_result *result)
{
    float first[SUM_LANES], second[SUM_LANES];
    for (uint32_t k = 0; k < lanes; k++)
        first[k] = second[k] = 0.0f;
    size_t whole = s->rows; /* rows of which all lanes may be read */
    if (s->count < lanes) {
        size_t readable = s->left < lanes ? 0 : (s->left - lanes) / s->stride + 1;
        whole = ACTC_MIN(whole, readable);
    }
    const float *x = s->x, *y = s->y;
    for (uint32_t r = 0; r < whole; r++, x += s->stride, y += s->stride)
        sum_rows_add(op, lanes, s, x, y, r, first, second);
    for (uint32_t r = (uint32_t)whole; r < s->rows; r++, x += s->stride, y += s->stride) {
        float px[SUM_LANES] = {0.0f}, py[SUM_LANES] = {0.0f};
        memcpy(px, x, s->count * sizeof *px);
        memcpy(py, y, s->count * sizeof *py);
        sum_rows_add(op, lanes, s, px, py, r, first, second);
    }
    memcpy(result->first, first, lanes * sizeof *first);
    memcpy(result->second, second, lanes * sizeof *second);
}

static inline __attribute__((always_inline)) void sum_rows_wide(const uint32_t op, const sum_rows_source *s,
                                                                sum_rows_result *result)
{
    const float *x = s->x, *y = s->y;
    memset(result->first, 0, s->count * sizeof *result->first);
    memset(result->second, 0, s->count * sizeof *result->second);
    uint32_t r = 0;
    for (; r + 4 <= s->rows; r += 4, x += 4 * s->stride, y += 4 * s->stride)
        sum_rows_add4(op, s->count, s, x, y, r, result->first, result->second);
    for (; r < s->rows; r++, x += s->stride, y += s->stride)
        sum_rows_add(op, s->count, s, x, y, r, result->first, result->second);
}

static inline __attribute__((always_inline)) void sum_rows_op(const uint32_t op, const sum_rows_source *s, sum_rows_result *result)
{
    if (s->count > SUM_LANES)
        sum_rows_wide(op, s, result);
    else if (s->count > SUM_NARROW)
        sum_rows_narrow(op, SUM_LANES, s, result);
    else
        sum_rows_narrow(op, SUM_NARROW, s, result);
}

static inline void sum_rows(uint32_t op, const sum_rows_source *s, sum_rows_result *result)
{
    switch (op) {
    case ACTC_REDUCE_SUM: sum_rows_op(ACTC_REDUCE_SUM, s, result); break;
    case ACTC_REDUCE_PRODUCT: sum_rows_op(ACTC_REDUCE_PRODUCT, s, result); break;
    case ACTC_REDUCE_SQUARE: sum_rows_op(ACTC_REDUCE_SQUARE, s, result); break;
    case ACTC_REDUCE_PAIR: sum_rows_op(ACTC_REDUCE_PAIR, s, result); break;
    case ACTC_REDUCE_NORM_COLUMNS: sum_rows_op(ACTC_REDUCE_NORM_COLUMNS, s, result); break;
    case ACTC_REDUCE_NORM_ROWS: sum_rows_op(ACTC_REDUCE_NORM_ROWS, s, result); break;
    case ACTC_REDUCE_OVERLAP: sum_rows_op(ACTC_REDUCE_OVERLAP, s, result); break;
    case ACTC_REDUCE_OVERLAP_SQUARES: sum_rows_op(ACTC_REDUCE_OVERLAP_SQUARES, s, result); break;
    case ACTC_REDUCE_OVERLAP_LABELS: sum_rows_op(ACTC_REDUCE_OVERLAP_LABELS, s, result); break;
    case ACTC_REDUCE_OVERLAP_LABELS_SQUARES: sum_rows_op(ACTC_REDUCE_OVERLAP_LABELS_SQUARES, s, result); break;
    default: break;
    }
}

/* Columns of the next block of `columns` that are left. */
static inline uint32_t sum_rows_block(uint32_t columns)
{
    if (columns >= SUM_WIDE)
        return SUM_WIDE;
    return columns >= SUM_LANES ? SUM_LANES : ACTC_MIN(columns, SUM_NARROW);
}

#endif
