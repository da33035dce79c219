/* fill.h: tensors with random and adversarial contents. */
#ifndef ACTC_TEST_FILL_H
#define ACTC_TEST_FILL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../parity/values.h"

static inline float *fill(test_rng *r, size_t n, uint32_t special)
{
    float *x = malloc((n ? n : 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = rng_adversarial(r, special);
    return x;
}

#endif
