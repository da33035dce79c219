/* state_commit.c: staged states become the states where the step was finite, else the other way round. */
#include "kernel.h"

ACTC_CPU_KERNEL(state_commit)
{
    const struct actc_params_state_commit *p = params;
    const uint32_t *result = views[2];
    uint32_t *staged = views[0], *states = views[1];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    const uint32_t *from = result[ACTC_RESULT_BAD] == 0 ? staged : states;
    uint32_t *to = result[ACTC_RESULT_BAD] == 0 ? states : staged;
    for (uint32_t i = span.first; i < span.last; i++)
        to[i] = from[i];
}
