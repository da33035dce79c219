/* column_sum_partial.c: sums of ACTC_SUM_ROWS rows, rows ascending, columns as vector lanes. */
#include "kernel.h"

#define LANES 8u /* columns summed side by side in registers */

static inline __attribute__((always_inline)) void sum_columns(const float *x, uint32_t stride, uint32_t rows,
                                                              uint32_t count, float *to)
{
    float sum[LANES] = {0.0f};
    for (uint32_t r = 0; r < rows; r++, x += stride) {
        ACTC_CPU_SIMD
        for (uint32_t k = 0; k < count; k++)
            sum[k] = ACTC_ADD(sum[k], actc_flush(x[k]));
    }
    for (uint32_t k = 0; k < count; k++)
        to[k] = actc_canon(sum[k]);
}

ACTC_CPU_KERNEL(column_sum_partial)
{
    const struct actc_params_column_sum_partial *p = params;
    const float *x = views[0];
    float *partial = views[1];
    uint32_t chunks = (p->rows + ACTC_SUM_ROWS - 1) / ACTC_SUM_ROWS;
    actc_cpu_span span = actc_cpu_invocations(begin, end, (uint64_t)chunks * p->cols);
    for (uint32_t i = span.first; i < span.last;) {
        uint32_t c = i % p->cols, chunk = i / p->cols;
        uint32_t count = ACTC_MIN(p->cols - c, span.last - i);
        uint32_t row = chunk * ACTC_SUM_ROWS, rows = ACTC_MIN(ACTC_SUM_ROWS, p->rows - row);
        const float *in = x + (uint64_t)row * p->cols + c;
        uint32_t k = 0;
        for (; k + LANES <= count; k += LANES)
            sum_columns(in + k, p->cols, rows, LANES, partial + i + k);
        if (k < count)
            sum_columns(in + k, p->cols, rows, count - k, partial + i + k);
        i += count;
    }
}
