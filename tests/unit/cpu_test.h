/* cpu_test.h: what the tests of the CPU backend share: random and adversarial fills, the reference forms of flushing
 * and canonical results, and a comparison that names the first difference. */
#ifndef ACTC_CPU_TEST_H
#define ACTC_CPU_TEST_H

#include "fill.h"

#include "../../backends/cpu/cpu.h"

static inline float ref_flush(float x)
{
    return fabsf(x) < 0x1p-60f ? 0.0f : x;
}

static inline float ref_factor(float x)
{
    return fabsf(x) < 0x1p-50f ? 0.0f : x;
}

static inline float ref_canon(float x)
{
    return isnan(x) ? bits_float(0x7fc00000) : ref_flush(x);
}

#endif
