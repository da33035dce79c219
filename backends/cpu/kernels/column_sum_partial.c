/* column_sum_partial.c: sums of ACTC_SUM_ROWS rows, rows ascending, columns as vector lanes. */
#include "kernel.h"

ACTC_CPU_KERNEL(column_sum_partial)
{
    const struct actc_params_column_sum_partial *p = params;
    const float *x = views[0];
    float *partial = views[1];
    uint32_t chunks = (p->rows + ACTC_SUM_ROWS - 1) / ACTC_SUM_ROWS;
    actc_cpu_span span = actc_cpu_invocations(begin, end, (uint64_t)chunks * p->cols);
    float sum[ACTC_GROUP_SIZE];
    for (uint32_t i = span.first; i < span.last;) {
        uint32_t c = i % p->cols, chunk = i / p->cols;
        uint32_t count = ACTC_MIN(ACTC_MIN(p->cols - c, ACTC_GROUP_SIZE), span.last - i);
        uint32_t row = chunk * ACTC_SUM_ROWS, stop = ACTC_MIN(row + ACTC_SUM_ROWS, p->rows);
        for (uint32_t k = 0; k < count; k++)
            sum[k] = 0.0f;
        for (; row < stop; row++) {
            const float *in = x + (uint64_t)row * p->cols + c;
            ACTC_CPU_SIMD
            for (uint32_t k = 0; k < count; k++)
                sum[k] = ACTC_ADD(sum[k], actc_flush(in[k]));
        }
        ACTC_CPU_SIMD
        for (uint32_t k = 0; k < count; k++)
            partial[i + k] = actc_canon(sum[k]);
        i += count;
    }
}
