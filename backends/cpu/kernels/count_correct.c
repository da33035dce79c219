/* count_correct.c: rows whose highest score is at the label. One group. */
#include "kernel.h"

ACTC_CPU_KERNEL(count_correct)
{
    const struct actc_params_count_correct *p = params;
    const float *scores = views[0];
    const int32_t *labels = views[1];
    const uint32_t *step = views[2];
    uint32_t *result = views[3];
    if (begin != 0 || end == 0)
        return;
    uint32_t correct = 0;
    for (uint32_t r = 0; r < p->rows; r++) {
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
        correct += actc_cpu_row_counts(r, labels[r], p->cols, step) && best == (uint32_t)labels[r];
    }
    result[ACTC_RESULT_CORRECT] = correct;
}
