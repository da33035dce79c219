/* count_reduce.c: the sum of counts. One group. */
#include "kernel.h"

ACTC_CPU_KERNEL(count_reduce)
{
    const struct actc_params_count_reduce *p = params;
    const uint32_t *counts = views[0];
    uint32_t *result = views[1], sum = 0;
    if (begin != 0 || end == 0)
        return;
    for (uint32_t i = 0; i < p->n; i++)
        sum += counts[i];
    result[ACTC_RESULT_VALUES + p->slot] = sum;
}
