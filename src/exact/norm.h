/* norm.h: the arithmetic of sums over rows and of normalisation, included like exact.h and held to its rules.
 *
 * Arguments have been read through actc_flush. What is returned is +0 or at least 2^-100, so that no sum of such terms
 * is ever subnormal.
 */
#ifndef ACTC_EXACT_NORM_H
#define ACTC_EXACT_NORM_H

#include "exact/exact.h"

/* a * b, read as +0 below 2^-60 as a tensor of products would be. */
ACTC_FN float actc_product(float a, float b)
{
    return actc_flush(ACTC_MUL(a, b));
}

/* The sizes of x and y in the denominator of Dice: of the numbers, or of their squares. */
ACTC_FN float actc_dice_size(uint squares, float x, float y)
{
    if (squares != 0u)
        return ACTC_ADD(actc_product(x, x), actc_product(y, y));
    return ACTC_ADD(x, y);
}

/* (x - mean)^2 */
ACTC_FN float actc_squared_distance(float x, float mean)
{
    float d = actc_factor(ACTC_SUB(x, mean));
    return ACTC_MUL(d, d);
}

/* (x - mean) / standard deviation, by the inverse of the latter. */
ACTC_FN float actc_normalise(float x, float mean, float inverse_deviation)
{
    return actc_flush(ACTC_MUL(ACTC_SUB(x, mean), inverse_deviation));
}

/* 1 / sqrt(variance + epsilon), within 4 ulp for 2^-60 <= epsilon and a variance below 2^126; NaN above. */
ACTC_FN float actc_inverse_deviation(float variance, float epsilon)
{
    return actc_flush(actc_reciprocal(actc_sqrt(ACTC_ADD(variance, epsilon))));
}

/* The mean of n values from their sum, for n rows of a chunk: 1/n is exact in a full one. */
ACTC_FN float actc_chunk_mean(float sum, uint n)
{
    float inverse = n == 64u ? 0.015625f : actc_reciprocal(ACTC_F32(n)); /* ACTC_SUM_ROWS */
    return actc_flush(ACTC_MUL(sum, inverse));
}

/* Gradient of y = xhat * scale + shift with regard to x, where xhat = actc_normalise(x, ...) over n values:
 * inverse_deviation * (g - mean of g - xhat * mean of g * xhat), g = dy * scale; the inverse deviation, and where it is a
 * constant over those values the scale too, is the factor. */
ACTC_FN float actc_normalise_slope(float g, float xhat, float mean_g, float mean_g_xhat, float factor)
{
    return ACTC_MUL(factor, ACTC_SUB(ACTC_SUB(g, mean_g), ACTC_MUL(xhat, mean_g_xhat)));
}

/* min(max(x, 0), cap) of canonical bits; NaN stays. cap: bits of a positive number, or of Inf. */
ACTC_FN uint actc_clip_bits(uint x, uint cap)
{
    uint u = ACTC_SELECT(x > 0x7fffffffu, 0u, x);
    return ACTC_SELECT(u - cap <= ACTC_INF_BITS - cap, cap, u); /* cap .. Inf */
}

/* Whether the gradient passes where actc_clip_bits gave y: strictly between 0 and cap, or NaN; Inf where there is no cap. */
ACTC_FN bool actc_clip_passes(uint y, uint cap)
{
    return y != 0u && (y != cap || cap == ACTC_INF_BITS);
}

#endif
