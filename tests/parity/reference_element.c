/* reference_element.c: element-wise kernels and moves in float64. */
#include "reference.h"

#include <math.h>

void reference_copy_nd(const void *params, reference_view *views)
{
    const struct actc_params_copy_nd *p = params;
    const reference_view *source = &views[0];
    reference_view *target = &views[1];
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t rest = i, from = p->source_at, to = p->target_at;
        for (int k = 5; k >= 0; k--) {
            from += rest % p->size[k] * p->ss[k];
            to += rest % p->size[k] * p->ds[k];
            rest /= p->size[k];
        }
        if (p->accumulate) {
            double value = target->value[to] + source->value[from], error = target->error[to] + source->error[from];
            reference_store(target, to, value, error, 1, fabs(value) + error);
        } else {
            target->value[to] = source->value[from];
            target->error[to] = source->error[from];
            target->bits[to] = source->bits[from];
        }
    }
}
