/* exact.h: all arithmetic of parity class EXACT, included by C, GLSL (ACTC_GLSL defined) and CUDA.
 *
 * What is written here gives the same bits on every backend, since it uses only: f32 add, subtract and
 * multiply, each rounded on its own; integer operations; comparisons and selects; conversions between
 * integers and f32 that are exact or truncate. No division, no square root, no fused multiply-add, no
 * library function. C is compiled with -ffp-contract=off, CUDA uses the _rn intrinsics, SPIR-V is
 * decorated NoContraction by the shader build.
 *
 * Subnormals: drivers differ, so arithmetic reads |x| < 2^-60 as +0 (actc_flush) and what it stores has
 * gone through actc_canon: NaN is 0x7fc00000, zero is +0, |x| < 2^-60 is +0.
 *
 * Functions take and return values only (GLSL has no pointers); loads and stores are the kernel's.
 */
#ifndef ACTC_EXACT_H
#define ACTC_EXACT_H

#if defined(ACTC_GLSL)
#define ACTC_FN
#define ACTC_F32_BITS(x) floatBitsToUint(x)
#define ACTC_BITS_F32(u) uintBitsToFloat(u)
#define ACTC_ADD(a, b) ((a) + (b))
#define ACTC_SUB(a, b) ((a) - (b))
#define ACTC_MUL(a, b) ((a) * (b))
#define ACTC_F32(i) float(i)
#define ACTC_U32(x) uint(x)
#define ACTC_I32(x) int(x)
#elif defined(__CUDACC__) || defined(ACTC_CUDA_HOST)
typedef unsigned int uint;
#define ACTC_FN static __device__ __forceinline__
#define ACTC_F32_BITS(x) __float_as_uint(x)
#define ACTC_BITS_F32(u) __uint_as_float(u)
#define ACTC_ADD(a, b) __fadd_rn((a), (b))
#define ACTC_SUB(a, b) __fsub_rn((a), (b))
#define ACTC_MUL(a, b) __fmul_rn((a), (b))
#define ACTC_F32(i) ((float)(i))
#define ACTC_U32(x) ((uint)(x))
#define ACTC_I32(x) ((int)(x))
#else
#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
_Static_assert(FLT_EVAL_METHOD == 0, "EXACT arithmetic needs f32 evaluated as f32");
#ifdef __FAST_MATH__
#error "EXACT arithmetic must not be compiled with -ffast-math"
#endif
typedef unsigned int uint;
#define ACTC_FN static inline
static inline uint actc_f32_bits_(float x)
{
    uint u;
    memcpy(&u, &x, sizeof u);
    return u;
}
static inline float actc_bits_f32_(uint u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}
#define ACTC_F32_BITS(x) actc_f32_bits_(x)
#define ACTC_BITS_F32(u) actc_bits_f32_(u)
#define ACTC_ADD(a, b) ((a) + (b))
#define ACTC_SUB(a, b) ((a) - (b))
#define ACTC_MUL(a, b) ((a) * (b))
#define ACTC_F32(i) ((float)(i))
#define ACTC_U32(x) ((uint)(x))
#define ACTC_I32(x) ((int)(x))
#endif

/* condition ? a : b of uints. In C without a branch: the compiler would turn chains of ?: into jumps around loads, and
 * loops over them would not vectorise. */
#if defined(ACTC_GLSL) || defined(__CUDACC__) || defined(ACTC_CUDA_HOST)
#define ACTC_SELECT(condition, a, b) ((condition) ? (a) : (b))
#else
#define ACTC_SELECT(condition, a, b) (((a) & (0u - (uint)(condition))) | ((b) & ~(0u - (uint)(condition))))
#endif

#define ACTC_ABS_MASK 0x7fffffffu
#define ACTC_INF_BITS 0x7f800000u
#define ACTC_NAN_BITS 0x7fc00000u
#define ACTC_TINY_BITS 0x21800000u /* 2^-60: magnitudes below are read as zero */

/* ---- loads and stores of arithmetic kernels ---- */

ACTC_FN float actc_flush_bits(uint u)
{
    return ACTC_BITS_F32(ACTC_SELECT((u & ACTC_ABS_MASK) < ACTC_TINY_BITS, 0u, u));
}

ACTC_FN float actc_flush(float x)
{
    return actc_flush_bits(ACTC_F32_BITS(x));
}

/* Bits to store for an arithmetic result. */
ACTC_FN uint actc_canon_bits(float x)
{
    uint u = ACTC_F32_BITS(x);
    uint a = u & ACTC_ABS_MASK;
    u = ACTC_SELECT(a < ACTC_TINY_BITS, 0u, u);
    return ACTC_SELECT(a > ACTC_INF_BITS, ACTC_NAN_BITS, u);
}

ACTC_FN float actc_canon(float x)
{
    return ACTC_BITS_F32(actc_canon_bits(x));
}

/* Factors of sums of products (gemm, convolution) are read with a higher bound, 2^-50: the products are then at least
 * 2^-100, every partial sum a multiple of 2^-123, and none of them subnormal, without a flush a product. */
#define ACTC_FACTOR_TINY_BITS 0x26800000u /* 2^-50 */
ACTC_FN float actc_factor(float x)
{
    uint u = ACTC_F32_BITS(x);
    return ACTC_BITS_F32(ACTC_SELECT((u & ACTC_ABS_MASK) < ACTC_FACTOR_TINY_BITS, 0u, u));
}

/* max(x, 0): canonical, NaN stays, zeros and negatives give +0. */
ACTC_FN uint actc_relu_bits(uint x)
{
    uint a = x & ACTC_ABS_MASK;
    uint u = ACTC_SELECT(x - ACTC_TINY_BITS <= ACTC_INF_BITS - ACTC_TINY_BITS, x, 0u); /* 2^-60 .. Inf */
    return ACTC_SELECT(a > ACTC_INF_BITS, ACTC_NAN_BITS, u);
}

/* In a scan for the maximum over canonical values: v takes the place of `best`, which came before it. */
ACTC_FN bool actc_beats(float v, float best)
{
    return v > best || (v != v && best == best);
}

/* 1 where x is NaN or Inf. */
ACTC_FN uint actc_not_finite(uint bits)
{
    return (bits & ACTC_ABS_MASK) >= ACTC_INF_BITS ? 1u : 0u;
}

/* ---- Philox4x32-10 (Salmon et al., SC 2011) ---- */

struct actc_u32x4 {
    uint x, y, z, w;
};
#if !defined(ACTC_GLSL)
typedef struct actc_u32x4 actc_u32x4;
#endif

ACTC_FN uint actc_mulhi(uint a, uint b)
{
#if defined(ACTC_GLSL)
    uint hi, lo;
    umulExtended(a, b, hi, lo);
    return hi;
#elif defined(__CUDACC__) || defined(ACTC_CUDA_HOST)
    return __umulhi(a, b);
#else
    return (uint)(((uint64_t)a * b) >> 32);
#endif
}

ACTC_FN actc_u32x4 actc_philox(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1)
{
    for (int round = 0; round < 10; round++) {
        uint h0 = actc_mulhi(0xD2511F53u, c0), l0 = 0xD2511F53u * c0;
        uint h1 = actc_mulhi(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
        c0 = h1 ^ c1 ^ k0;
        c1 = l1;
        c2 = h0 ^ c3 ^ k1;
        c3 = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    actc_u32x4 r;
    r.x = c0;
    r.y = c1;
    r.z = c2;
    r.w = c3;
    return r;
}

/* The 32 random bits of one element: key (seed), counter (element / 4, path hash, step), lane element % 4. */
ACTC_FN uint actc_random_bits(uint element, uint path, uint step_lo, uint step_hi, uint seed_lo, uint seed_hi)
{
    actc_u32x4 r = actc_philox(element >> 2, path, step_lo, step_hi, seed_lo, seed_hi);
    uint lane = element & 3u;
    return lane == 0u ? r.x : lane == 1u ? r.y : lane == 2u ? r.z : r.w;
}

/* Uniform in [0,1): 24 random bits. */
ACTC_FN float actc_uniform(uint bits)
{
    return ACTC_MUL(ACTC_F32(bits >> 8), 5.9604644775390625e-8f);
}

/* ---- 16-bit floats, by integers only ---- */

/* f32 bits -> f16 bits, round to nearest even; finite values saturate at +-65504. */
ACTC_FN uint actc_f16_bits(uint x)
{
    uint s = (x >> 16) & 0x8000u, em = x & ACTC_ABS_MASK;
    uint nan_inf = 0x7c00u | (em > ACTC_INF_BITS ? 0x200u : 0u);
    /* normal range: rebias, then round on the 13 bits dropped */
    uint r = em - 0x38000000u, q = r >> 13, rem = r & 0x1fffu;
    q += (rem > 0x1000u || (rem == 0x1000u && (q & 1u) != 0u)) ? 1u : 0u;
    q = q > 0x7bffu ? 0x7bffu : q;
    /* f16 subnormals: the significand shifted into place */
    uint e = em >> 23, m = (em & 0x7fffffu) | 0x800000u;
    uint sh = e < 126u ? 126u - e : 0u;
    sh = sh > 25u ? 25u : sh;
    uint t = m >> sh, rest = m & ((1u << sh) - 1u), half_ = (1u << sh) >> 1;
    t += (rest > half_ || (rest == half_ && sh != 0u && (t & 1u) != 0u)) ? 1u : 0u;
    uint v = em >= ACTC_INF_BITS ? nan_inf : em < 0x38800000u ? (em < 0x33000001u ? 0u : t) : q;
    return s | v;
}

ACTC_FN uint actc_f16_to_f32_bits(uint h)
{
    uint s = (h & 0x8000u) << 16, e = (h >> 10) & 31u, m = h & 0x3ffu;
    if (e == 31u)
        return s | ACTC_INF_BITS | (m << 13);
    if (e != 0u)
        return s | ((e + 112u) << 23) | (m << 13);
    /* subnormal: m * 2^-24, exact in f32 */
    return s | ACTC_F32_BITS(ACTC_MUL(ACTC_F32(m), 5.9604644775390625e-8f));
}

/* f32 bits -> bf16 bits, round to nearest even; NaN stays NaN. */
ACTC_FN uint actc_bf16_bits(uint x)
{
    uint r = (x + 0x7fffu + ((x >> 16) & 1u)) >> 16;
    return (x & ACTC_ABS_MASK) > ACTC_INF_BITS ? ((x >> 16) | 0x40u) : r;
}

ACTC_FN uint actc_bf16_to_f32_bits(uint b)
{
    return b << 16;
}

/* ---- roots, quotients, exponentials: integer seed, fixed Newton steps ---- */

/* sqrt(x) for x = 0 or 2^-60 <= x < 2^126; within 1 ulp. */
ACTC_FN float actc_sqrt(float x)
{
    float y = ACTC_BITS_F32(0x5f3759dfu - (ACTC_F32_BITS(x) >> 1));
    float h = ACTC_MUL(0.5f, x);
    /* (h*y)*y: with x = 0 the square of y would overflow, and 0 * Inf is NaN */
    y = ACTC_MUL(y, ACTC_SUB(1.5f, ACTC_MUL(ACTC_MUL(h, y), y)));
    y = ACTC_MUL(y, ACTC_SUB(1.5f, ACTC_MUL(ACTC_MUL(h, y), y)));
    y = ACTC_MUL(y, ACTC_SUB(1.5f, ACTC_MUL(ACTC_MUL(h, y), y)));
    float s = ACTC_MUL(x, y);
    /* one correction by the residual, which takes out the rounding of x*y */
    return ACTC_ADD(s, ACTC_MUL(ACTC_MUL(0.5f, y), ACTC_SUB(x, ACTC_MUL(s, s))));
}

/* 1/x for 2^-100 <= |x| <= 2^100; within 2 ulp. */
ACTC_FN float actc_reciprocal(float x)
{
    uint u = ACTC_F32_BITS(x);
    float a = ACTC_BITS_F32(u & ACTC_ABS_MASK);
    float y = ACTC_BITS_F32(0x7ef311c7u - (u & ACTC_ABS_MASK));
    y = ACTC_MUL(y, ACTC_SUB(2.0f, ACTC_MUL(a, y)));
    y = ACTC_MUL(y, ACTC_SUB(2.0f, ACTC_MUL(a, y)));
    y = ACTC_MUL(y, ACTC_SUB(2.0f, ACTC_MUL(a, y)));
    y = ACTC_ADD(y, ACTC_MUL(y, ACTC_SUB(1.0f, ACTC_MUL(a, y))));
    return ACTC_BITS_F32(ACTC_F32_BITS(y) | (u & 0x80000000u));
}

/* e^x within 2 ulp for -41 <= x <= 88; below, the result is under 2^-59 and given as 0; above it is Inf; NaN stays. */
ACTC_FN float actc_exp(float x)
{
    float t = ACTC_MUL(x, 1.44269504088896341f);
    t = ACTC_ADD(t, ACTC_BITS_F32((ACTC_F32_BITS(t) & 0x80000000u) | 0x3f000000u)); /* half away from 0 */
    uint w = ACTC_SELECT(t > -100.0f, ACTC_F32_BITS(t), 0xc2c80000u); /* -100 */
    int n = ACTC_I32(ACTC_BITS_F32(ACTC_SELECT(t < 200.0f, w, 0x43480000u))); /* 200, NaN too: the conversion is defined */
    float f = ACTC_F32(n);
    float r = ACTC_SUB(x, ACTC_MUL(f, 0.693359375f));
    r = ACTC_ADD(r, ACTC_MUL(f, 2.12194440e-4f));
    float p = 1.9875691500e-4f;
    p = ACTC_ADD(ACTC_MUL(p, r), 1.3981999507e-3f);
    p = ACTC_ADD(ACTC_MUL(p, r), 8.3334519073e-3f);
    p = ACTC_ADD(ACTC_MUL(p, r), 4.1665795894e-2f);
    p = ACTC_ADD(ACTC_MUL(p, r), 1.6666665459e-1f);
    p = ACTC_ADD(ACTC_MUL(p, r), 5.0000001201e-1f);
    p = ACTC_ADD(ACTC_ADD(ACTC_MUL(ACTC_MUL(p, r), r), r), 1.0f);
    int m = n > 127 ? 127 : n;
    m = m < -60 ? -60 : m;
    float v = ACTC_MUL(p, ACTC_BITS_F32(ACTC_U32(m + 127) << 23));
    uint u = ACTC_SELECT(x < -41.0f, 0u, ACTC_F32_BITS(v));
    u = ACTC_SELECT(x > 88.0f, ACTC_INF_BITS, u);
    return ACTC_BITS_F32(ACTC_SELECT(x != x, ACTC_NAN_BITS, u));
}

/* ln(x) within 2 ulp for 2^-60 <= x < Inf; 0 gives -Inf, negative and NaN give NaN, Inf stays. */
ACTC_FN float actc_log(float x)
{
    uint u = ACTC_F32_BITS(x);
    int e = ACTC_I32(u >> 23) - 126;
    float m = ACTC_BITS_F32((u & 0x007fffffu) | 0x3f000000u); /* [0.5, 1) */
    bool low = m < 0.70710678118654752f;
    e = low ? e - 1 : e;
    m = low ? ACTC_SUB(ACTC_ADD(m, m), 1.0f) : ACTC_SUB(m, 1.0f);
    float z = ACTC_MUL(m, m);
    float p = 7.0376836292e-2f;
    p = ACTC_ADD(ACTC_MUL(p, m), -1.1514610310e-1f);
    p = ACTC_ADD(ACTC_MUL(p, m), 1.1676998740e-1f);
    p = ACTC_ADD(ACTC_MUL(p, m), -1.2420140846e-1f);
    p = ACTC_ADD(ACTC_MUL(p, m), 1.4249322787e-1f);
    p = ACTC_ADD(ACTC_MUL(p, m), -1.6668057665e-1f);
    p = ACTC_ADD(ACTC_MUL(p, m), 2.0000714765e-1f);
    p = ACTC_ADD(ACTC_MUL(p, m), -2.4999993993e-1f);
    p = ACTC_ADD(ACTC_MUL(p, m), 3.3333331174e-1f);
    float y = ACTC_MUL(ACTC_MUL(p, m), z);
    float f = ACTC_F32(e);
    y = ACTC_ADD(y, ACTC_MUL(f, -2.12194440e-4f));
    y = ACTC_SUB(y, ACTC_MUL(0.5f, z));
    y = ACTC_ADD(ACTC_ADD(m, y), ACTC_MUL(f, 0.693359375f));
    uint r = ACTC_SELECT((u & ACTC_ABS_MASK) == 0u, 0xff800000u, ACTC_F32_BITS(y));
    r = ACTC_SELECT(u == ACTC_INF_BITS, u, r);
    bool none = (u & ACTC_ABS_MASK) > ACTC_INF_BITS || u > 0x80000000u;
    return ACTC_BITS_F32(ACTC_SELECT(none, ACTC_NAN_BITS, r));
}

/* ---- optimisers (Kingma and Ba 2015; Loshchilov and Hutter 2019; the forms of torch.optim) ---- */

struct actc_adam_state {
    float p, m, v;
};
#if !defined(ACTC_GLSL)
typedef struct actc_adam_state actc_adam_state;
#endif

/* step_size = lr / (1 - beta1^t), root = 1 / sqrt(1 - beta2^t), shrink = 1 - lr * weight_decay (AdamW, else 1),
 * l2 = weight_decay (Adam, else 0); all computed on the host in float64. */
ACTC_FN actc_adam_state actc_adam(actc_adam_state s, float g, float beta1_rest, float beta2, float beta2_rest,
                                  float epsilon, float step_size, float root, float shrink, float l2)
{
    float p = ACTC_MUL(actc_flush(s.p), shrink);
    float m = actc_flush(s.m), v = actc_flush(s.v);
    g = ACTC_ADD(actc_flush(g), ACTC_MUL(l2, p));
    g = actc_flush(g);
    m = actc_flush(ACTC_ADD(m, ACTC_MUL(beta1_rest, ACTC_SUB(g, m))));
    v = actc_flush(ACTC_ADD(ACTC_MUL(beta2, v), ACTC_MUL(beta2_rest, ACTC_MUL(g, g))));
    float d = ACTC_ADD(ACTC_MUL(actc_sqrt(v), root), epsilon);
    p = ACTC_SUB(p, ACTC_MUL(step_size, ACTC_MUL(m, actc_reciprocal(d))));
    actc_adam_state r;
    r.p = actc_canon(p);
    r.m = actc_canon(m);
    r.v = actc_canon(v);
    return r;
}

struct actc_sgd_state {
    float p, b; /* parameter, momentum buffer */
};
#if !defined(ACTC_GLSL)
typedef struct actc_sgd_state actc_sgd_state;
#endif

/* momentum 0: the buffer is not used. first: the buffer starts with the gradient. */
ACTC_FN actc_sgd_state actc_sgd(actc_sgd_state s, float g, float momentum, float weight_decay, float step_size, uint first)
{
    float p = actc_flush(s.p), b = actc_flush(s.b);
    g = actc_flush(ACTC_ADD(actc_flush(g), ACTC_MUL(weight_decay, p)));
    b = first != 0u ? g : actc_flush(ACTC_ADD(ACTC_MUL(momentum, b), g));
    p = ACTC_SUB(p, ACTC_MUL(step_size, momentum != 0.0f ? b : g));
    actc_sgd_state r;
    r.p = actc_canon(p);
    r.b = actc_canon(b);
    return r;
}

#endif
