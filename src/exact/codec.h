/* codec.h: integer parts of the codecs, shared by C, GLSL and CUDA: value forms, tile slots, signal extension. */
#ifndef ACTC_EXACT_CODEC_H
#define ACTC_EXACT_CODEC_H

#include "exact.h"

#define ACTC_CODEC_F32 0u
#define ACTC_CODEC_F16 1u
#define ACTC_CODEC_BF16 2u
#define ACTC_CODEC_INT8 3u
#define ACTC_CODEC_INT4 4u

/* ---- int8 and int4: a power-of-two scale for 256 values, stochastic rounding; width: bits of a code ---- */

ACTC_FN uint actc_int_width(uint form)
{
    return form == ACTC_CODEC_INT4 ? 4u : 8u;
}

/* The code of NaN; Inf is the one below, -Inf the one above, and the largest magnitude two below: 126 or 6. */
ACTC_FN uint actc_int_nan(uint width)
{
    return 1u << (width - 1u);
}

/* The scale's biased exponent for the largest finite |v| of the group (its bits): the smallest that leaves
 * |v| / 2^(scale - 127) <= 126 (6), and at least 1; 0 where no value is finite and not zero. */
ACTC_FN uint actc_int_scale(uint largest, uint width)
{
    uint most = ACTC_F32_BITS(ACTC_F32(actc_int_nan(width) - 2u));
    uint e = (largest >> 23) + ((largest & 0x7fffffu) > (most & 0x7fffffu) ? 1u : 0u);
    return largest == 0u ? 0u : e > width - 1u ? e - (width - 2u) : 1u;
}

/* A value's code: floor(|v| / scale + uniform[0,1)), with the sign; integers only, so that subnormals count. */
ACTC_FN uint actc_int_code(uint bits, uint scale, uint random, uint width)
{
    uint a = bits & ACTC_ABS_MASK, e = a >> 23, nan = actc_int_nan(width), least = 25u - width;
    uint significand = e != 0u ? (a & 0x7fffffu) | 0x800000u : a;
    e = e != 0u ? e : 1u;
    uint shift = 23u + scale - e; /* at least `least` for values up to the largest; NaN and Inf get any */
    uint over = shift > 31u ? shift - 31u : 0u;
    significand = over > 31u ? 0u : significand >> over;
    shift = shift > 31u ? 31u : shift < least ? least : shift;
    uint q = (significand + (random >> (32u - shift))) >> shift;
    uint most = scale == 257u - width ? nan / 2u - 1u : nan - 2u; /* the next power of two would be Inf */
    q = q > most ? most : q;
    q = (bits >> 31) != 0u ? (0u - q) & (2u * nan - 1u) : q;
    q = a == ACTC_INF_BITS ? ((bits >> 31) != 0u ? nan + 1u : nan - 1u) : q;
    return a > ACTC_INF_BITS ? nan : a == 0u ? 0u : q;
}

/* Bits of the f32 that a code stands for. */
ACTC_FN uint actc_int_bits(uint code, uint scale, uint width)
{
    uint nan = actc_int_nan(width), most = 257u - width;
    uint magnitude = (code & nan) != 0u ? 2u * nan - code : code;
    uint v = ACTC_F32_BITS(ACTC_MUL(ACTC_F32(magnitude), ACTC_BITS_F32((scale < most ? scale : most) << 23)));
    v = v != 0u && (code & nan) != 0u ? v | 0x80000000u : v;
    v = code == nan - 1u ? ACTC_INF_BITS : code == nan + 1u ? 0xff800000u : v;
    return code == nan ? ACTC_NAN_BITS : v;
}

/* ---- 16-bit values ---- */

/* form: ACTC_CODEC_F16 or ACTC_CODEC_BF16; what rounds to zero is +0. */
ACTC_FN uint actc_value16_code(uint bits, uint form)
{
    uint h = form == ACTC_CODEC_F16 ? actc_f16_bits(bits) : actc_bf16_bits(bits);
    return (h & 0x7fffu) == 0u ? 0u : h;
}

ACTC_FN uint actc_value16_bits(uint code, uint form)
{
    return form == ACTC_CODEC_F16 ? actc_f16_to_f32_bits(code) : actc_bf16_to_f32_bits(code);
}

/* ---- counting ---- */

/* floor(a * b / m) for a, b <= m < 2^31, without 64-bit integers. */
ACTC_FN uint actc_muldiv(uint a, uint b, uint m)
{
    uint quotient = 0u, rest = 0u;
    for (int bit = 30; bit >= 0; bit--) {
        quotient *= 2u;
        rest *= 2u;
        if (rest >= m) {
            rest -= m;
            quotient += 1u;
        }
        if (((a >> ACTC_U32(bit)) & 1u) != 0u)
            rest += b;
        if (rest >= m) {
            rest -= m;
            quotient += 1u;
        }
    }
    return quotient;
}

/* The tile table's entry for tile t; the first tile of a segment has none. */
ACTC_FN uint actc_tile_entry(uint t)
{
    return t - (t >> 8) - 1u;
}

/* First value slot of tile t with select=tile: m coefficients, k values. */
ACTC_FN uint actc_tile_slot(uint t, uint k, uint m)
{
    return t >= (m + 255u) / 256u ? k : actc_muldiv(t * 256u, k, m);
}

/* ---- select=random: a random sample of a tile (src/codec/README.md) ---- */

/* First word of the random counter: this and the tile's number, which no slot's and no element's reaches. */
#define ACTC_SAMPLE_DRAWS 0x80000000u

/* The biased exponent that weights of a tile are counted from: of its largest |y|, whose bits these are. */
ACTC_FN uint actc_sample_exponent(uint largest)
{
    return largest >= 0x800000u ? largest >> 23 : 1u;
}

/* |y| in units of 2^-23 of that exponent's power, rounded down but at least 1, and 0 for 0: below 2^23. */
ACTC_FN uint actc_sample_weight(uint bits, uint exponent)
{
    uint a = bits & ACTC_ABS_MASK, e = actc_sample_exponent(a);
    uint significand = a >= 0x800000u ? (a & 0x7fffffu) | 0x800000u : a;
    uint shift = exponent - e + 1u;
    uint w = significand >> (shift < 31u ? shift : 31u);
    return a == 0u ? 0u : w == 0u ? 1u : w;
}

/* floor(u rest) for the u in [0, 1) of 64 random bits, `high` the upper. */
ACTC_FN uint actc_sample_start(uint high, uint low, uint rest)
{
    uint part = high * rest, sum = part + actc_mulhi(low, rest);
    return actc_mulhi(high, rest) + (sum < part ? 1u : 0u);
}

/* (slots * sum + start) mod rest; sum <= rest < 2^31, slots < 256, start < rest. */
ACTC_FN uint actc_sample_point(uint sum, uint slots, uint start, uint rest)
{
    uint r = 0u;
    for (int bit = 7; bit >= 0; bit--) {
        r *= 2u;
        r = r >= rest ? r - rest : r;
        r += ((slots >> ACTC_U32(bit)) & 1u) != 0u ? sum : 0u;
        r = r >= rest ? r - rest : r;
    }
    r += start;
    return r >= rest ? r - rest : r;
}

/* y * rest / part, part < rest < 2^31, rounded to nearest even, at most the largest finite number; y is finite. */
ACTC_FN uint actc_sample_value(uint bits, uint rest, uint part)
{
    uint a = bits & ACTC_ABS_MASK, e = actc_sample_exponent(a);
    uint significand = (a >= 0x800000u ? (a & 0x7fffffu) | 0x800000u : a) << 2;
    /* quotient: its upper 26 bits, below which `dropped` bits were; all with two bits behind the point */
    uint quotient = 0u, dropped = 0u, sticky = 0u;
#if defined(ACTC_GLSL) || defined(__CUDACC__) || defined(ACTC_CUDA_HOST)
    uint high = actc_mulhi(significand, rest), low = significand * rest, remainder = 0u;
    for (int bit = 56; bit >= 0; bit--) {
        uint word = bit >= 32 ? high : low;
        remainder = remainder * 2u + ((word >> ACTC_U32(bit & 31)) & 1u);
        uint one = remainder >= part ? 1u : 0u;
        remainder -= one != 0u ? part : 0u;
        if (quotient < 0x2000000u) {
            quotient = quotient * 2u + one;
        } else {
            dropped += 1u;
            sticky |= one;
        }
    }
    sticky |= remainder != 0u ? 1u : 0u;
#else
    uint64_t product = (uint64_t)significand * rest, whole = product / part;
    uint length = 64u - (uint)__builtin_clzll(whole | 1u);
    dropped = length > 26u ? length - 26u : 0u;
    quotient = (uint)(whole >> dropped);
    sticky = product % part != 0u || (whole & (((uint64_t)1 << dropped) - 1u)) != 0u ? 1u : 0u;
#endif
    uint v = quotient >> 2, behind = ((quotient & 3u) << 1) | sticky;
    v += behind > 4u || (behind == 4u && (v & 1u) != 0u) ? 1u : 0u;
    v += (e + dropped - 1u) << 23;
    v = v >= ACTC_INF_BITS ? ACTC_INF_BITS - 1u : v;
    return v | (bits & 0x80000000u);
}

/* ---- signal extension of the wavelets ---- */

/* The sample that forward tap j reads for output o of a signal of `length`. Periodic: an odd length repeats its last
 * sample; then it wraps. Symmetric: half-sample reflection. */
ACTC_FN uint actc_dwt_source(uint o, uint j, uint length, uint taps, uint symmetric)
{
    int i = symmetric != 0u ? ACTC_I32(2u * o + 1u) - ACTC_I32(j) : ACTC_I32(taps / 2u + 2u * o) - ACTC_I32(j);
    int period = symmetric != 0u ? ACTC_I32(2u * length) : ACTC_I32(length + (length & 1u));
    while (i < 0) /* % of a negative number is undefined in GLSL */
        i += period;
    i = i % period;
    int last = ACTC_I32(length) - 1;
    int mirrored = symmetric != 0u ? period - 1 - i : last;
    return ACTC_U32(i > last ? mirrored : i);
}

/* The coefficient that inverse tap j reads for output i; `count` coefficients; j has the parity of actc_idwt_first. */
ACTC_FN uint actc_idwt_source(uint i, uint j, uint count, uint taps, uint symmetric)
{
    int o = (ACTC_I32(i + (symmetric != 0u ? taps - 2u : taps / 2u - 1u)) - ACTC_I32(j)) / 2;
    while (o < 0)
        o += ACTC_I32(count);
    return ACTC_U32(o % ACTC_I32(count));
}

/* The first of the taps (every second one) that take part in output i. */
ACTC_FN uint actc_idwt_first(uint i, uint taps, uint symmetric)
{
    return (i + (symmetric != 0u ? 0u : taps / 2u - 1u)) & 1u;
}

#endif
