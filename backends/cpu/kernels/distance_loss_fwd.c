/* distance_loss_fwd.c: sums of the distances of two tensors' elements, a sum a group. */
#include "exact/loss.h"
#include "row_lanes.h"

#define LOOP(op)                                                                    \
    case op:                                                                        \
        ACTC_CPU_SIMD                                                               \
        for (uint32_t t = 0; t < count; t++)                                        \
            a[t] = ACTC_ADD(a[t], actc_distance(op, actc_flush(u[t]), actc_flush(v[t]))); \
        break

ACTC_CPU_KERNEL(distance_loss_fwd)
{
    const struct actc_params_distance_loss_fwd *p = params;
    const float *x = views[0], *target = views[1];
    const uint32_t *step = views[2];
    float *sums = views[3];
    const uint64_t counted = ACTC_MIN(p->n, (uint64_t)step[ACTC_STEP_ROWS] * p->per_sample);
    for (uint32_t g = begin; g < end; g++) {
        const actc_cpu_span span = actc_cpu_elements(g, g + 1, counted);
        float a[ROW_LANES];
        row_set(a, 0.0f);
        for (uint32_t i = span.first; i < span.last; i += ROW_LANES) {
            const float *u = x + i, *v = target + i;
            const uint32_t count = ACTC_MIN(ROW_LANES, span.last - i);
            switch (p->op) {
                LOOP(ACTC_DISTANCE_L1);
                LOOP(ACTC_DISTANCE_L2);
            }
        }
        sums[g] = actc_canon(row_total(a, ROW_LANES));
    }
}
