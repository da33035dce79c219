/* cross_entropy_bwd.c: the gradient of softmax cross-entropy from the log-probabilities. */
#include "kernel.h"

#include "exact/loss.h"

ACTC_CPU_KERNEL(cross_entropy_bwd)
{
    const struct actc_params_cross_entropy_bwd *p = params;
    const float *log_p = views[0];
    const int32_t *labels = views[1];
    const uint32_t *step = views[2];
    float *dx = views[3];
    actc_cpu_span span = actc_cpu_elements(begin, end, (uint64_t)p->rows * p->cols);
    float scale = actc_loss_scale(step[p->norm], p->weight);
    for (uint32_t i = span.first; i < span.last;) {
        uint32_t r = i / p->cols, c = i % p->cols, count = ACTC_MIN(p->cols - c, span.last - i);
        bool counts = actc_cpu_row_counts(r, labels[r], p->cols, p->positions, step);
        uint32_t label = counts ? (uint32_t)labels[r] : 0u;
        const float *in = log_p + i;
        float *out = dx + i;
        ACTC_CPU_SIMD
        for (uint32_t k = 0; k < count; k++) {
            float target = c + k == label ? 1.0f : 0.0f;
            float g = actc_canon(ACTC_MUL(ACTC_SUB(actc_exp(actc_flush(in[k])), target), scale));
            out[k] = counts ? g : 0.0f;
        }
        i += count;
    }
}
