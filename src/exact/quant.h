/* quant.h: groups of 256 elements with a few bits each, shared by C, GLSL and CUDA: a power-of-two step, an offset,
 * stochastic rounding (src/codec/README.md).
 */
#ifndef ACTC_EXACT_QUANT_H
#define ACTC_EXACT_QUANT_H

#include "exact/exact.h"

#define ACTC_QUANT_GROUP 256u
/* A scale is the biased exponent of the step, or: */
#define ACTC_QUANT_NO_STEP 0u     /* every element is the offset */
#define ACTC_QUANT_NOT_FINITE 255u /* some element is NaN or Inf: all are restored as NaN */
/* 2^125: larger ones saturate, so that no step, level or sum overflows. */
#define ACTC_QUANT_MOST_BITS 0x7e000000u

/* An element as it is quantised: canonical and finite (what is not leaves no other trace than the group's scale). */
ACTC_FN uint actc_quant_read(uint bits)
{
    uint a = bits & ACTC_ABS_MASK;
    uint v = ACTC_SELECT(a > ACTC_QUANT_MOST_BITS, ACTC_QUANT_MOST_BITS, a) | (bits & 0x80000000u);
    return ACTC_SELECT(a < ACTC_TINY_BITS, 0u, v);
}

/* Elements in order as unsigned numbers, and back. */
ACTC_FN uint actc_quant_key(uint bits)
{
    return bits ^ ACTC_SELECT((bits >> 31) != 0u, 0xffffffffu, 0x80000000u);
}

ACTC_FN uint actc_quant_of_key(uint key)
{
    return key ^ ACTC_SELECT((key >> 31) != 0u, 0x80000000u, 0xffffffffu);
}

/* How many steps must reach: minmax from the smallest element to the largest, symmetric from 0 to the largest magnitude. */
ACTC_FN float actc_quant_reach(uint bits, uint minmax)
{
    return minmax != 0u ? ACTC_F32((1u << bits) - 1u) : bits == 1u ? 0.5f : ACTC_F32((1u << (bits - 1u)) - 1u);
}

/* x / step, in units of 2^-24 and modulo 2^32; what is below a unit is cut off. x from actc_quant_read. */
ACTC_FN uint actc_quant_fixed(uint bits, uint scale)
{
    uint a = bits & ACTC_ABS_MASK, e = (a >> 23) + 1u;
    uint significand = ACTC_SELECT(a != 0u, (a & 0x7fffffu) | 0x800000u, 0u);
    uint left = ACTC_SELECT(e > scale, e - scale, 0u), right = ACTC_SELECT(e > scale, 0u, scale - e);
    uint v = ACTC_SELECT(left > 31u, 0u, significand << (left & 31u));
    v = ACTC_SELECT(right > 31u, 0u, v >> (right & 31u));
    return ACTC_SELECT((bits >> 31) != 0u, 0u - v, v);
}

/* The least scale whose steps reach; low and high: bits of the smallest and the largest element of the group. */
ACTC_FN uint actc_quant_scale(uint low, uint high, uint bits, uint minmax)
{
    float l = ACTC_BITS_F32(low), h = ACTC_BITS_F32(high), n = ACTC_SUB(0.0f, l);
    uint steps = ACTC_F32_BITS(actc_quant_reach(bits, minmax));
    uint range = ACTC_F32_BITS(minmax != 0u ? ACTC_SUB(h, l) : n > h ? n : h) & ACTC_ABS_MASK;
    uint scale = (range >> 23) + 127u - (steps >> 23) + ((range & 0x7fffffu) > (steps & 0x7fffffu) ? 1u : 0u);
    /* the difference may have been rounded down */
    uint most = ((1u << bits) - 1u) << 24, reached = actc_quant_fixed(high, scale) - actc_quant_fixed(low, scale);
    scale += minmax != 0u && reached > most ? 1u : 0u;
    return range == 0u ? ACTC_QUANT_NO_STEP : scale;
}

/* What code 0 stands for. */
ACTC_FN uint actc_quant_offset(uint low, uint scale, uint bits, uint minmax)
{
    uint lowest = ACTC_F32_BITS(ACTC_MUL(actc_quant_reach(bits, 0u), ACTC_BITS_F32(scale << 23))) | 0x80000000u;
    uint offset = minmax != 0u ? low : scale == ACTC_QUANT_NO_STEP ? 0u : lowest;
    return scale == ACTC_QUANT_NOT_FINITE ? 0u : offset;
}

/* floor((x - offset) / step + uniform[0,1)). x from actc_quant_read; offset: its actc_quant_fixed. */
ACTC_FN uint actc_quant_code(uint x, uint offset, uint scale, uint random)
{
    uint t = actc_quant_fixed(x, scale) - offset;
    return ACTC_SELECT(scale == ACTC_QUANT_NOT_FINITE, 0u, (t + (random >> 8)) >> 24);
}

/* Bits of the f32 that a code stands for, whatever a damaged payload holds. */
ACTC_FN uint actc_quant_value(uint code, uint offset, uint scale)
{
    float step = ACTC_BITS_F32(scale << 23);
    uint v = actc_canon_bits(ACTC_ADD(actc_flush_bits(offset), ACTC_MUL(ACTC_F32(code), step)));
    return ACTC_SELECT(scale == ACTC_QUANT_NOT_FINITE, ACTC_NAN_BITS, v);
}

#endif
