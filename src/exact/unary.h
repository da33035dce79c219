/* unary.h: functions of one number, and their slopes; the rules of exact.h hold.
 *
 * An operation is a number and an entry of the list here, a line in actc_unary and in actc_unary_slope, and a case in
 * tests/parity/reference_element.c.
 */
#ifndef ACTC_EXACT_UNARY_H
#define ACTC_EXACT_UNARY_H

#include "exact.h"

/* y, and what the slope is computed from. */
#define ACTC_UNARY_SIGMOID 0u /* 1 / (1 + e^-x); y */
#define ACTC_UNARY_TANH 1u    /* y */
#define ACTC_UNARY_SILU 2u    /* x * sigmoid(x); x */
#define ACTC_UNARY_GELU 3u    /* x * (1 + erf(x / sqrt(2))) / 2; x */
#define ACTC_UNARY_SCALE 4u   /* a * x + b; nothing */
#define ACTC_UNARY_LEAKY_RELU 5u /* x > 0 ? x : a * x, a > 0; y */
#define ACTC_UNARY_OPS 6u
/* What their slopes are computed from, for lists of them in C: X(number, name, INPUT, OUTPUT or NOTHING). */
#define ACTC_UNARY_LIST(X) \
    X(SIGMOID, sigmoid, OUTPUT) X(TANH, tanh, OUTPUT) X(SILU, silu, INPUT) X(GELU, gelu, INPUT) X(SCALE, scale, NOTHING) \
    X(LEAKY_RELU, leaky_relu, OUTPUT)

ACTC_FN float actc_magnitude(float x)
{
    return ACTC_BITS_F32(ACTC_F32_BITS(x) & ACTC_ABS_MASK);
}

/* sigmoid(|x|), or sigmoid(-|x|) where `lower`, from e = e^-|x|: no cancellation on either side. */
ACTC_FN float actc_sigmoid_side(float e, bool lower)
{
    float r = actc_reciprocal(ACTC_ADD(1.0f, e));
    return ACTC_BITS_F32(ACTC_SELECT(lower, ACTC_F32_BITS(ACTC_MUL(e, r)), ACTC_F32_BITS(r)));
}

/* Within 4 ulp; 0 below -41. */
ACTC_FN float actc_sigmoid_value(float x)
{
    return actc_sigmoid_side(actc_exp(ACTC_SUB(0.0f, actc_magnitude(x))), x < 0.0f);
}

/* Within 4 ulp. Near 0 an odd polynomial (Cephes, tanhf), since 1 - e would cancel. */
ACTC_FN float actc_tanh_value(float x)
{
    float m = actc_magnitude(x), z = actc_flush(ACTC_MUL(x, x));
    float p = -5.70498872745e-3f;
    p = ACTC_ADD(ACTC_MUL(p, z), 2.06390887954e-2f);
    p = ACTC_ADD(ACTC_MUL(p, z), -5.37397155531e-2f);
    p = ACTC_ADD(ACTC_MUL(p, z), 1.33314422036e-1f);
    p = ACTC_ADD(ACTC_MUL(p, z), -3.33332819422e-1f);
    float near = ACTC_ADD(ACTC_MUL(ACTC_MUL(p, z), x), x);
    float e = actc_exp(ACTC_MUL(-2.0f, m));
    float far = ACTC_MUL(ACTC_SUB(1.0f, e), actc_reciprocal(ACTC_ADD(1.0f, e)));
    uint signed_far = ACTC_F32_BITS(far) | (ACTC_F32_BITS(x) & 0x80000000u);
    return ACTC_BITS_F32(ACTC_SELECT(m < 0.625f, ACTC_F32_BITS(near), signed_far));
}

/* (1 + erf(x / sqrt(2))) / 2, within 1.2e-7, and within (18 + 2 x^2) half ulp where x < -sqrt(2). Up to there erf by a
 * polynomial (Cephes, erff), beyond erfc by Chebyshev's fit of its logarithm (Numerical Recipes, erfcc). */
ACTC_FN float actc_normal_cdf(float x)
{
    float z = ACTC_MUL(actc_magnitude(x), 0.70710678f);
    z = ACTC_BITS_F32(ACTC_SELECT(z > 16.0f, 0x41800000u, ACTC_F32_BITS(z))); /* 16: erfc is 0; the reciprocal has a range */
    float q = actc_flush(ACTC_MUL(z, z));
    float p = 7.853861353153693e-5f;
    p = ACTC_ADD(ACTC_MUL(p, q), -8.010193625184903e-4f);
    p = ACTC_ADD(ACTC_MUL(p, q), 5.188327685732524e-3f);
    p = ACTC_ADD(ACTC_MUL(p, q), -2.685381193529856e-2f);
    p = ACTC_ADD(ACTC_MUL(p, q), 1.128358514861418e-1f);
    p = ACTC_ADD(ACTC_MUL(p, q), -3.761262582423300e-1f);
    p = ACTC_ADD(ACTC_MUL(p, q), 1.128379165726710f);
    float half_erf = ACTC_MUL(0.5f, ACTC_MUL(z, p));
    float t = actc_reciprocal(ACTC_ADD(1.0f, ACTC_MUL(0.5f, z)));
    float w = 0.17087277f;
    w = ACTC_ADD(ACTC_MUL(w, t), -0.82215223f);
    w = ACTC_ADD(ACTC_MUL(w, t), 1.48851587f);
    w = ACTC_ADD(ACTC_MUL(w, t), -1.13520398f);
    w = ACTC_ADD(ACTC_MUL(w, t), 0.27886807f);
    w = ACTC_ADD(ACTC_MUL(w, t), -0.18628806f);
    w = ACTC_ADD(ACTC_MUL(w, t), 0.09678418f);
    w = ACTC_ADD(ACTC_MUL(w, t), 0.37409196f);
    w = ACTC_ADD(ACTC_MUL(w, t), 1.00002368f);
    w = ACTC_SUB(ACTC_SUB(ACTC_MUL(w, t), 1.26551223f), q);
    float half_erfc = ACTC_MUL(0.5f, ACTC_MUL(t, actc_exp(w)));
    bool near = z < 1.0f, below = x < 0.0f;
    uint low = ACTC_SELECT(near, ACTC_F32_BITS(ACTC_SUB(0.5f, half_erf)), ACTC_F32_BITS(half_erfc));
    uint high = ACTC_SELECT(near, ACTC_F32_BITS(ACTC_ADD(0.5f, half_erf)), ACTC_F32_BITS(ACTC_SUB(1.0f, half_erfc)));
    return ACTC_BITS_F32(ACTC_SELECT(below, low, high));
}

ACTC_FN float actc_unary(uint op, float x, float a, float b)
{
    if (op == ACTC_UNARY_SIGMOID)
        return actc_sigmoid_value(x);
    if (op == ACTC_UNARY_TANH)
        return actc_tanh_value(x);
    if (op == ACTC_UNARY_SILU)
        return ACTC_MUL(x, actc_sigmoid_value(x));
    if (op == ACTC_UNARY_GELU)
        return ACTC_MUL(x, actc_normal_cdf(x));
    if (op == ACTC_UNARY_LEAKY_RELU)
        return ACTC_BITS_F32(ACTC_SELECT(x > 0.0f, ACTC_F32_BITS(x), ACTC_F32_BITS(ACTC_MUL(actc_flush(a), x))));
    return ACTC_ADD(ACTC_MUL(actc_flush(a), x), actc_flush(b));
}

ACTC_FN float actc_unary_slope(uint op, float saved, float a)
{
    if (op == ACTC_UNARY_SIGMOID)
        return ACTC_MUL(saved, ACTC_SUB(1.0f, saved));
    if (op == ACTC_UNARY_TANH)
        return ACTC_SUB(1.0f, ACTC_MUL(saved, saved));
    if (op == ACTC_UNARY_SILU) { /* s * (1 + x * sigmoid(-x)) */
        float e = actc_exp(ACTC_SUB(0.0f, actc_magnitude(saved)));
        float s = actc_sigmoid_side(e, saved < 0.0f), rest = actc_sigmoid_side(e, saved >= 0.0f);
        return ACTC_MUL(s, ACTC_ADD(1.0f, ACTC_MUL(saved, rest)));
    }
    if (op == ACTC_UNARY_GELU) { /* cdf + x * density */
        float density = ACTC_MUL(0.398942280f, actc_exp(ACTC_MUL(ACTC_MUL(-0.5f, saved), saved)));
        return ACTC_ADD(actc_normal_cdf(saved), ACTC_MUL(saved, density));
    }
    if (op == ACTC_UNARY_LEAKY_RELU && saved > 0.0f)
        return 1.0f;
    return actc_flush(a);
}

/* ---- slopes kept in 2, 4 or 8 bits: evenly spaced levels, of which `zero` is 0 and `zero` + per_one is 1 ---- */

/* The nearest level, of two as near the upper; NaN has level 0. last: the highest. */
ACTC_FN uint actc_slope_code(float slope, float per_one, uint zero, uint last)
{
    float t = ACTC_ADD(ACTC_MUL(slope, per_one), ACTC_ADD(ACTC_F32(zero), 0.5f));
    uint u = ACTC_SELECT(t > 0.0f, ACTC_F32_BITS(t), 0u);
    u = ACTC_SELECT(t > ACTC_F32(last), ACTC_F32_BITS(ACTC_F32(last)), u);
    return ACTC_U32(ACTC_BITS_F32(u));
}

/* step: 1 / per_one. */
ACTC_FN float actc_slope_level(uint code, uint zero, float step)
{
    return ACTC_MUL(ACTC_F32(ACTC_I32(code) - ACTC_I32(zero)), step);
}

/* The code of op's slope at x, where y = f(x) is. */
ACTC_FN uint actc_unary_slope_code(uint op, float x, float y, float per_one, uint zero, uint last)
{
    bool from_y = op == ACTC_UNARY_SIGMOID || op == ACTC_UNARY_TANH;
    float saved = ACTC_BITS_F32(ACTC_SELECT(from_y, ACTC_F32_BITS(y), ACTC_F32_BITS(x)));
    return actc_slope_code(actc_unary_slope(op, saved, 0.0f), per_one, zero, last);
}

#endif
