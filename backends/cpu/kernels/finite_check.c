/* finite_check.c: notes the first gradient element that is not finite.
 *
 * Groups run on several threads, so the result word is lowered by compare and swap; that happens only where something is
 * wrong. */
#include <stdatomic.h>

#include "kernel.h"

ACTC_CPU_KERNEL(finite_check)
{
    const struct actc_params_finite_check *p = params;
    const uint32_t *g = views[0];
    _Atomic uint32_t *bad = (_Atomic uint32_t *)((uint32_t *)views[1] + ACTC_RESULT_BAD);
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    for (uint32_t i = span.first; i < span.last; i += ACTC_GROUP_ELEMENTS) {
        uint32_t stop = ACTC_MIN(i + ACTC_GROUP_ELEMENTS, span.last), any = 0;
#pragma omp simd reduction(| : any)
        for (uint32_t k = i; k < stop; k++)
            any |= (g[k] & ACTC_ABS_MASK) >= ACTC_INF_BITS ? 1u : 0u;
        if (!any)
            continue;
        uint32_t k = i;
        while (!actc_not_finite(g[k]))
            k++;
        uint32_t mine = p->first + k + 2, now = atomic_load_explicit(bad, memory_order_relaxed);
        while ((now == 0 || mine < now) &&
               !atomic_compare_exchange_weak_explicit(bad, &now, mine, memory_order_relaxed, memory_order_relaxed))
            ;
        return; /* later elements of this span come after it */
    }
}
