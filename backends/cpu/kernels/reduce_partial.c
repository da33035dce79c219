/* reduce_partial.c: sums of terms over chunks of ACTC_SUM_ROWS rows. */
#include "sum_rows.h"

ACTC_CPU_KERNEL(reduce_partial)
{
    const struct actc_params_reduce_partial *p = params;
    const float *x = views[0], *y = views[1], *statistics = views[2];
    float *partial = views[3];
    const uint32_t cols = p->cols, width = ACTC_REDUCE_WIDTH(p->op);
    const bool with_y = p->op != ACTC_REDUCE_SUM && p->op != ACTC_REDUCE_SQUARE && p->op != ACTC_REDUCE_MOMENTS &&
                        p->op < ACTC_REDUCE_OVERLAP_LABELS;
    const size_t total = (size_t)p->outer * p->rows * cols;
    const float *inverse = statistics ? statistics + (size_t)p->outer * (p->op == ACTC_REDUCE_NORM_ROWS ? p->rows : cols) : NULL;
    actc_cpu_span span = actc_cpu_invocations(begin, end, (uint64_t)p->outer * p->chunks * cols);
    sum_rows_source s = {.stride = cols};
    sum_rows_result sums;
    for (uint32_t i = span.first; i < span.last; i += s.count) {
        uint32_t c = i % cols, piece = i / cols, chunk = piece % p->chunks, outer = piece / p->chunks;
        uint32_t row = chunk * ACTC_SUM_ROWS, first_row = outer * p->rows + row;
        size_t at = (size_t)first_row * cols + c;
        s.rows = ACTC_MIN(ACTC_SUM_ROWS, p->rows - row);
        s.count = sum_rows_block(ACTC_MIN(cols - c, span.last - i));
        s.left = total - at;
        s.x = x + at;
        s.y = (with_y ? y : x) + at;
        if (p->op == ACTC_REDUCE_SQUARE || p->op == ACTC_REDUCE_NORM_COLUMNS)
            for (uint32_t k = 0; k < s.count; k++) {
                s.mean[k] = actc_flush(statistics[(size_t)outer * cols + c + k]);
                s.inverse[k] = p->op == ACTC_REDUCE_SQUARE ? 0.0f : actc_flush(inverse[(size_t)outer * cols + c + k]);
            }
        float row_mean[ACTC_SUM_ROWS], row_inverse[ACTC_SUM_ROWS];
        if (p->op == ACTC_REDUCE_NORM_ROWS)
            for (uint32_t r = 0; r < s.rows; r++) {
                row_mean[r] = actc_flush(statistics[first_row + r]);
                row_inverse[r] = actc_flush(inverse[first_row + r]);
            }
        s.row_mean = row_mean;
        s.row_inverse = row_inverse;
        s.labels = (const uint32_t *)views[1] + (p->op < ACTC_REDUCE_OVERLAP_LABELS ? 0 : first_row);
        s.column = c;
        float *to = partial + (size_t)piece * width * cols + c;
        if (p->op == ACTC_REDUCE_MOMENTS) {
            sum_rows(ACTC_REDUCE_SUM, &s, &sums);
            for (uint32_t k = 0; k < s.count; k++) {
                to[k] = actc_canon(sums.first[k]);
                s.mean[k] = actc_chunk_mean(sums.first[k], s.rows);
            }
            sum_rows(ACTC_REDUCE_SQUARE, &s, &sums);
            for (uint32_t k = 0; k < s.count; k++)
                to[cols + k] = actc_canon(sums.first[k]);
            continue;
        }
        sum_rows(p->op, &s, &sums);
        for (uint32_t k = 0; k < s.count; k++)
            to[k] = actc_canon(sums.first[k]);
        for (uint32_t k = 0; k < s.count && width == 2; k++)
            to[cols + k] = actc_canon(sums.second[k]);
    }
}
