/* attention.h: the arithmetic of attention, included like exact.h and held to its rules.
 *
 * Sums of products of numbers that actc_factor has read are multiples of 2^-123 (exact.h), so none of them is subnormal. Weights
 * and slopes are such factors; scores and rescaled sums have gone through actc_flush.
 */
#ifndef ACTC_EXACT_ATTENTION_H
#define ACTC_EXACT_ATTENTION_H

#include "exact/exact.h"

/* The score of a query and a key from the sum of their products: -Inf where the query does not see the key. */
ACTC_FN float actc_attention_score(float sum, float scale, bool seen)
{
    uint u = ACTC_F32_BITS(actc_flush(ACTC_MUL(sum, scale)));
    return ACTC_BITS_F32(ACTC_SELECT(seen, u, 0xff800000u));
}

/* e^(score - top), below 2^-50 as +0. */
ACTC_FN float actc_attention_weight(float score, float top)
{
    return actc_factor(actc_exp(ACTC_SUB(score, top)));
}

/* A running sum that goes over to another maximum, and a tile's sum. alpha is 0 or above 2^-60, so that nothing is subnormal before
 * the flush. */
ACTC_FN float actc_attention_rescaled(float before, float alpha, float sum)
{
    return actc_flush(ACTC_ADD(ACTC_MUL(before, alpha), sum));
}

/* What a running sum over keys is multiplied with in the end. */
ACTC_FN float actc_attention_share(float rescale, float total)
{
    return actc_flush(ACTC_MUL(rescale, actc_reciprocal(total)));
}

/* The gradient of a score: of its weight in the softmax, that of the weight, and delta, the row's sum of both. */
ACTC_FN float actc_attention_slope(float weight, float gradient, float delta)
{
    return actc_factor(ACTC_MUL(weight, actc_flush(ACTC_SUB(actc_flush(gradient), delta))));
}

/* Random bits of a query's pairs with the keys 4 * quad to 4 * quad + 3. `matrix` is the number of the softmax matrix, `quads` how
 * many quads of keys there are. */
ACTC_FN actc_u32x4 actc_attention_random(uint path, uint matrix, uint query, uint quad, uint quads, uint step_lo, uint step_hi,
                                         uint seed_lo, uint seed_hi)
{
    return actc_philox(query * quads + quad, path + 0x85ebca6bu * (matrix + 1u), step_lo, step_hi, seed_lo, seed_hi);
}

#endif
