/* loss.h: EXACT arithmetic of losses; the rules of exact.h hold. */
#ifndef ACTC_EXACT_LOSS_H
#define ACTC_EXACT_LOSS_H

#include "norm.h"

/* What a loss's gradients are multiplied by; norm: a word of the step block. */
ACTC_FN float actc_loss_scale(uint norm, float weight)
{
    return actc_flush(ACTC_MUL(actc_flush_bits(norm), weight));
}

/* The bits of the losses' weighted sum, with `value` in it; total: what it was before, unless this is the first. */
ACTC_FN uint actc_loss_total(uint total, uint first, uint value, float weight)
{
    float term = actc_flush(ACTC_MUL(actc_flush_bits(value), weight));
    return actc_canon_bits(first != 0u ? term : ACTC_ADD(actc_flush_bits(total), term));
}

/* Of two numbers that have been read through actc_flush. */
#define ACTC_DISTANCE_L1 0u /* |x - y| */
#define ACTC_DISTANCE_L2 1u /* (x - y)^2 */
#define ACTC_DISTANCES 2u

ACTC_FN float actc_distance(uint op, float x, float y)
{
    if (op == ACTC_DISTANCE_L1)
        return ACTC_BITS_F32(ACTC_F32_BITS(ACTC_SUB(x, y)) & ACTC_ABS_MASK);
    return actc_squared_distance(x, y);
}

/* With regard to x; 0 at the kink of |x - y|, NaN where that is. */
ACTC_FN float actc_distance_slope(uint op, float x, float y)
{
    float d = ACTC_SUB(x, y);
    uint u = ACTC_F32_BITS(d), sign = (u & 0x80000000u) | 0x3f800000u;
    bool none = (u & ACTC_ABS_MASK) == 0u || (u & ACTC_ABS_MASK) > ACTC_INF_BITS;
    return op == ACTC_DISTANCE_L1 ? ACTC_BITS_F32(ACTC_SELECT(none, u, sign)) : ACTC_ADD(d, d);
}

/* Dice: 1 - (2 overlap + smooth_nr) / (size + smooth_dr). */

/* 1 / (size + smooth_dr); NaN where that sum is not 2^-60 to 2^100. */
ACTC_FN float actc_dice_inverse(float size, float smooth_dr)
{
    float d = ACTC_ADD(size, actc_flush(smooth_dr));
    bool good = ACTC_F32_BITS(d) - ACTC_TINY_BITS <= 0x71800000u - ACTC_TINY_BITS; /* 2^100 */
    return ACTC_BITS_F32(ACTC_SELECT(good, ACTC_F32_BITS(actc_flush(actc_reciprocal(good ? d : 1.0f))), ACTC_NAN_BITS));
}

ACTC_FN float actc_dice_quotient(float overlap, float inverse, float smooth_nr)
{
    return actc_flush(ACTC_MUL(ACTC_ADD(ACTC_ADD(overlap, overlap), actc_flush(smooth_nr)), inverse));
}

/* With regard to the probability p; factor: the inverse, times what the gradient is times. */
ACTC_FN float actc_dice_slope(uint squares, float p, float target, float quotient, float factor)
{
    float part = squares != 0u ? ACTC_MUL(quotient, ACTC_ADD(p, p)) : quotient;
    return ACTC_MUL(ACTC_SUB(part, ACTC_ADD(target, target)), factor);
}

#endif
