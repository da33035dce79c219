/* nll_loss_bwd.c: the gradient with respect to the log-probabilities. */
#include "kernel.h"

#include "exact/loss.h"

ACTC_CPU_KERNEL(nll_loss_bwd)
{
    const struct actc_params_nll_loss_bwd *p = params;
    const int32_t *labels = views[0];
    const uint32_t *step = views[1];
    uint32_t *dx = views[2];
    actc_cpu_span span = actc_cpu_elements(begin, end, (uint64_t)p->rows * p->cols);
    uint32_t value = actc_canon_bits(ACTC_SUB(0.0f, actc_loss_scale(step[p->norm], p->weight)));
    for (uint32_t i = span.first; i < span.last; i++) {
        uint32_t r = i / p->cols, c = i % p->cols;
        bool hit = actc_cpu_row_counts(r, labels[r], p->cols, p->positions, step) && c == (uint32_t)labels[r];
        dx[i] = hit ? value : 0u;
    }
}
