/* codec_random.c: uniform numbers in place of a tensor. */
#include "codec_pass.h"

ACTC_CPU_KERNEL(codec_random)
{
    const struct actc_params_codec_random *p = params;
    const uint32_t *step = views[0];
    float *x = views[1];
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    for (uint32_t i = span.first; i < span.last; i++)
        x[i] = actc_uniform(actc_random_bits(p->first + i, p->tensor, step[ACTC_STEP_STEP_LO], step[ACTC_STEP_STEP_HI],
                                             step[ACTC_STEP_SEED_LO], step[ACTC_STEP_SEED_HI]));
}
