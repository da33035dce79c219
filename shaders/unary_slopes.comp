/* unary_slopes: y = f(x), and f'(x) in a few bits an element. */
#version 450
#include "common.glsl"
#include "exact/unary.h"

ACTC_READ(0, x);
ACTC_WRITE(1, y);
ACTC_WRITE(2, codes);

shared uint words[ACTC_GROUP_ELEMENTS / 4u]; /* of the widest */

void actc_kernel(uint group, uint lane)
{
    uint per_word = 32u / p.bits, group_words = ACTC_GROUP_ELEMENTS / per_word;
    words[lane] = 0u;
    barrier();
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        float v = ACTC_LOAD(x, i);
        uint u = actc_canon_bits(actc_unary(p.op, v, 0.0, 0.0));
        uint code = actc_unary_slope_code(p.op, v, uintBitsToFloat(u), p.per_one, p.zero, (1u << p.bits) - 1u);
        y[i] = u;
        atomicOr(words[i % ACTC_GROUP_ELEMENTS / per_word], code << (i % per_word * p.bits));
    }
    barrier();
    uint word = group * group_words + lane;
    if (lane < group_words && word < (p.n + per_word - 1u) / per_word)
        codes[word] = words[lane];
}
