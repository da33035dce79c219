/* column_sum_final.c: adds partial sums, chunks ascending. */
#include "kernel.h"

ACTC_CPU_KERNEL(column_sum_final)
{
    const struct actc_params_column_sum_final *p = params;
    const float *partial = views[0];
    float *total = views[1];
    actc_cpu_span span = actc_cpu_invocations(begin, end, p->cols);
    float sum[ACTC_GROUP_SIZE];
    for (uint32_t c = span.first; c < span.last; c += ACTC_GROUP_SIZE) {
        uint32_t count = ACTC_MIN(ACTC_GROUP_SIZE, span.last - c);
        for (uint32_t k = 0; k < count; k++)
            sum[k] = 0.0f;
        for (uint32_t j = 0; j < p->chunks; j++) {
            const float *in = partial + (uint64_t)j * p->cols + c;
            ACTC_CPU_SIMD
            for (uint32_t k = 0; k < count; k++)
                sum[k] = ACTC_ADD(sum[k], actc_flush(in[k]));
        }
        if (p->add)
            for (uint32_t k = 0; k < count; k++)
                sum[k] = ACTC_ADD(actc_flush(total[c + k]), sum[k]);
        for (uint32_t k = 0; k < count; k++)
            total[c + k] = actc_canon(sum[k]);
    }
}
