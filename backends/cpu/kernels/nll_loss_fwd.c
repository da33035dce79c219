/* nll_loss_fwd.c: the loss of each row, zero where the row does not count. */
#include "kernel.h"

ACTC_CPU_KERNEL(nll_loss_fwd)
{
    const struct actc_params_nll_loss_fwd *p = params;
    const float *log_p = views[0];
    const int32_t *labels = views[1];
    const uint32_t *step = views[2];
    float *loss = views[3];
    actc_cpu_span span = actc_cpu_invocations(begin, end, p->rows);
    for (uint32_t r = span.first; r < span.last; r++) {
        bool counts = actc_cpu_row_counts(r, labels[r], p->cols, p->positions, step);
        float v = counts ? actc_flush(log_p[(uint64_t)r * p->cols + (uint32_t)labels[r]]) : 0.0f;
        loss[r] = actc_canon(ACTC_SUB(0.0f, v));
    }
}
