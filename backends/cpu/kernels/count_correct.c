/* count_correct.c: rows whose highest score is at the label, a count for every ACTC_GROUP_SIZE of them. */
#include "kernel.h"

ACTC_CPU_KERNEL(count_correct)
{
    const struct actc_params_count_correct *p = params;
    const float *scores = views[0];
    const int32_t *labels = views[1];
    const uint32_t *step = views[2];
    uint32_t *counts = views[3];
    for (uint32_t g = begin; g < end; g++) {
        actc_cpu_span rows = actc_cpu_invocations(g, g + 1, p->rows);
        uint32_t correct = 0;
        for (uint32_t r = rows.first; r < rows.last; r++) {
            if (!actc_cpu_row_counts(r, labels[r], p->cols, p->positions, step))
                continue;
            const float *in = scores + (uint64_t)r * p->cols;
            uint32_t best = 0;
            float highest = actc_canon(in[0]);
            for (uint32_t c = 1; c < p->cols; c++) {
                float v = actc_canon(in[c]);
                if (actc_beats(v, highest)) {
                    highest = v;
                    best = c;
                }
            }
            correct += best == (uint32_t)labels[r];
        }
        counts[g] = correct;
    }
}
