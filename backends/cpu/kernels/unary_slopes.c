/* unary_slopes.c: y = f(x), and f'(x) in a few bits an element. */
#include "kernel.h"

#include "exact/unary.h"

#define BLOCK 256u /* stays in the first-level cache between the two loops */

/* A loop for each operation that has such slopes, so that it has no branches. */
#define LOOP(op)                                                                                                          \
    case ACTC_UNARY_##op:                                                                                                 \
        ACTC_CPU_SIMD                                                                                                     \
        for (uint32_t k = 0; k < count; k++) {                                                                            \
            float in = actc_flush(x[k]), out = actc_canon(actc_unary(ACTC_UNARY_##op, in, 0.0f, 0.0f));                   \
            codes[k] = actc_unary_slope_code(ACTC_UNARY_##op, in, out, p->per_one, p->zero, last);                        \
            y[k] = ACTC_F32_BITS(out);                                                                                    \
        }                                                                                                                 \
        break;

/* clang leaves the larger functions as calls otherwise, around which no loop is a vector's. */
__attribute__((flatten)) ACTC_CPU_KERNEL(unary_slopes)
{
    const struct actc_params_unary_slopes *p = params;
    const uint32_t bits = p->bits, last = (1u << bits) - 1, per_word = 32 / bits;
    actc_cpu_span span = actc_cpu_elements(begin, end, p->n);
    for (uint32_t i = span.first; i < span.last; i += BLOCK) {
        const float *x = (const float *)views[0] + i;
        uint32_t *y = (uint32_t *)views[1] + i, *words = (uint32_t *)views[2] + i / per_word;
        uint32_t codes[BLOCK], count = ACTC_MIN(BLOCK, span.last - i);
        switch (p->op) {
            LOOP(SIGMOID)
            LOOP(TANH)
            LOOP(SILU)
            LOOP(GELU)
        }
        for (uint32_t k = count; k % per_word != 0; k++)
            codes[k] = 0;
        for (uint32_t k = 0; k < count; k += per_word) {
            uint32_t word = 0;
            for (uint32_t j = 0; j < per_word; j++)
                word |= codes[k + j] << (j * bits);
            words[k / per_word] = word;
        }
    }
}
