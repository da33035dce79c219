/* dropout.h: what dropout with probability p is to kernels. */
#ifndef ACTC_OPS_DROPOUT_H
#define ACTC_OPS_DROPOUT_H

#include <stdint.h>

/* Random bits below it keep an element. */
static inline uint32_t actc_dropout_threshold(double p)
{
    const double keep = (1 - p) * 4294967296.0;
    return keep >= 4294967295.0 ? UINT32_MAX : (uint32_t)keep;
}

/* What is kept is multiplied with it. */
static inline float actc_dropout_scale(double p)
{
    return (float)(1 / (1 - p));
}

#endif
