/* reduce_final.c: adds partial sums, chunks ascending. */
#include "sum_rows.h"

ACTC_CPU_KERNEL(reduce_final)
{
    const struct actc_params_reduce_final *p = params;
    const float *partial = views[0];
    float *const totals[2] = {views[1], views[2]};
    const uint32_t cols = p->width * p->cols;
    const size_t elements = (size_t)p->outer * p->chunks * cols;
    actc_cpu_span span = actc_cpu_invocations(begin, end, (uint64_t)p->outer * cols);
    sum_rows_source s = {.stride = cols, .rows = p->chunks};
    sum_rows_result sums;
    for (uint32_t i = span.first; i < span.last; i += s.count) {
        uint32_t c = i % cols, outer = i / cols;
        size_t at = (size_t)outer * p->chunks * cols + c;
        s.count = sum_rows_block(ACTC_MIN(cols - c, span.last - i));
        s.left = elements - at;
        s.x = s.y = partial + at;
        sum_rows(ACTC_REDUCE_SUM, &s, &sums);
        for (uint32_t k = 0; k < s.count; k++) {
            uint32_t w = (c + k) / p->cols;
            float *to = totals[w] + (size_t)outer * p->cols + (c + k - w * p->cols);
            float sum = ACTC_MUL(p->scale, sums.first[k]);
            *to = actc_canon(p->add ? ACTC_ADD(actc_flush(*to), sum) : sum);
        }
    }
}
