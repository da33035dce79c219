/* distance_loss_bwd.c: the gradient of a loss of two tensors' elements. */
#include "kernel.h"

#include "exact/loss.h"

#define LOOP(op)                                                                                          \
    case op:                                                                                              \
        ACTC_CPU_SIMD                                                                                     \
        for (uint32_t i = span.first; i < counted; i++)                                                   \
            dx[i] = actc_canon(ACTC_MUL(actc_distance_slope(op, actc_flush(x[i]), actc_flush(target[i])), scale)); \
        break

ACTC_CPU_KERNEL(distance_loss_bwd)
{
    const struct actc_params_distance_loss_bwd *p = params;
    const float *x = views[0], *target = views[1];
    const uint32_t *step = views[2];
    float *dx = views[3];
    const actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    const uint32_t counted = (uint32_t)ACTC_MIN(span.last, (uint64_t)step[ACTC_STEP_ROWS] * p->per_sample);
    const float scale = actc_loss_scale(step[p->norm], p->weight);
    switch (p->op) {
        LOOP(ACTC_DISTANCE_L1);
        LOOP(ACTC_DISTANCE_L2);
    }
    for (uint32_t i = counted > span.first ? counted : span.first; i < span.last; i++)
        dx[i] = 0.0f;
}
