/* dice_loss_fwd.c: the loss of each class from its sums, and what its gradient needs of them. */
#include "kernel.h"

#include "exact/loss.h"

ACTC_CPU_KERNEL(dice_loss_fwd)
{
    const struct actc_params_dice_loss_fwd *p = params;
    const float *overlap = views[0], *size = views[1];
    const uint32_t *step = views[2];
    float *loss = views[3], *quotients = views[4];
    const uint32_t n = p->outer * p->cols;
    actc_cpu_span span = actc_cpu_invocations(begin, end, n);
    for (uint32_t i = span.first; i < span.last; i++) {
        const bool counts = i / p->cols < step[ACTC_STEP_ROWS] && i % p->cols >= p->first;
        const float inverse = actc_dice_inverse(actc_flush(size[i]), p->smooth_dr);
        const float quotient = actc_dice_quotient(actc_flush(overlap[i]), inverse, p->smooth_nr);
        loss[i] = counts ? actc_canon(ACTC_SUB(1.0f, quotient)) : 0.0f;
        if (p->keep) {
            quotients[i] = counts ? actc_canon(quotient) : 0.0f;
            quotients[n + i] = counts ? actc_canon(inverse) : 0.0f;
        }
    }
}
