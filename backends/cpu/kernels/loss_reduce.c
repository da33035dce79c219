/* loss_reduce.c: the batch's loss by 256 strided sums and a binary tree, as a workgroup of a GPU adds. One group. */
#include "kernel.h"

#include "exact/loss.h"

ACTC_CPU_KERNEL(loss_reduce)
{
    const struct actc_params_loss_reduce *p = params;
    const float *loss = views[0];
    const uint32_t *step = views[1];
    uint32_t *result = views[2];
    if (begin != 0 || end == 0)
        return;
    float a[ACTC_GROUP_SIZE];
    for (uint32_t t = 0; t < ACTC_GROUP_SIZE; t++) {
        a[t] = 0.0f;
        for (uint64_t r = t; r < p->rows; r += ACTC_GROUP_SIZE)
            a[t] = ACTC_ADD(a[t], actc_flush(loss[r]));
    }
    for (uint32_t s = ACTC_GROUP_SIZE / 2; s > 0; s /= 2)
        for (uint32_t t = 0; t < s; t++)
            a[t] = ACTC_ADD(a[t], a[t + s]);
    uint32_t value = actc_canon_bits(p->mean ? ACTC_MUL(a[0], actc_flush_bits(step[p->norm])) : a[0]);
    result[ACTC_RESULT_VALUES + p->slot] = value;
    result[ACTC_RESULT_LOSS] = actc_loss_total(result[ACTC_RESULT_LOSS], p->first, value, p->weight);
    if (actc_not_finite(result[ACTC_RESULT_LOSS]))
        result[ACTC_RESULT_BAD] = 1;
}
