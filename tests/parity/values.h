/* values.h: random and adversarial contents of tensors, for cases and unit tests. */
#ifndef ACTC_TEST_VALUES_H
#define ACTC_TEST_VALUES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    return u;
}

static inline float bits_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, 4);
    return x;
}

/* splitmix64 */
typedef struct test_rng {
    uint64_t state;
} test_rng;

static inline uint32_t rng_next(test_rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32);
}

/* About normal: the sum of four uniforms. */
static inline float rng_normal(test_rng *r)
{
    float s = 0.0f;
    for (int i = 0; i < 4; i++)
        s += (float)(rng_next(r) >> 8) * 0x1p-24f - 0.5f;
    return s * 1.7f;
}

/* What breaks kernels: NaN of several payloads and signs, infinities, both zeros, subnormals, both sides of the flush
 * thresholds, ties, the largest and smallest values. `special` in 256 of the elements are such. */
static inline float rng_adversarial(test_rng *r, uint32_t special)
{
    static const uint32_t odd[] = {
        0x7fc00000, 0xffc00000, 0x7f800001, 0xff923456, 0x7f800000, 0xff800000, 0x00000000, 0x80000000,
        0x00000001, 0x80000001, 0x007fffff, 0x00800000, 0x217fffff, 0x21800000, 0xa17fffff, 0xa1800000,
        0x267fffff, 0x26800000, 0xa67fffff, 0x7f7fffff, 0xff7fffff, 0x3f800000, 0xbf800000, 0x3f800000,
    };
    if ((rng_next(r) & 255) < special)
        return bits_float(odd[rng_next(r) % (sizeof odd / sizeof *odd)]);
    float x = rng_normal(r);
    if ((rng_next(r) & 15) == 0)
        x = rintf(x * 4) / 4; /* ties */
    return x;
}

/* Contents of the views of single kernels. */
typedef enum fill_kind {
    FILL_NORMAL,  /* about normal, with ties: quarters */
    FILL_TINY,    /* also zeros of both signs, subnormals, both sides of the flush thresholds, powers of two */
    FILL_SPECIAL, /* also NaN of several payloads, infinities, the largest numbers */
    FILL_EQUAL,   /* one value: everything ties */
    FILL_BITS,    /* any bits */
    FILL_WIDE     /* magnitudes from 2^-20 to 2^7, evenly by exponent: where functions of one number bend and saturate */
} fill_kind;

static inline const char *fill_name(fill_kind kind)
{
    static const char *const names[] = {"normal", "tiny", "special", "equal", "bits", "wide"};
    return names[kind];
}

static inline uint32_t fill_value(test_rng *r, fill_kind kind)
{
    static const uint32_t tiny[] = {
        0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x00800000, /* zeros, subnormals, the least normal */
        0x217fffff, 0x21800000, 0xa17fffff, 0xa1800000, /* both sides of 2^-60, below which numbers are read as 0 */
        0x267fffff, 0x26800000, 0xa67fffff,             /* and of 2^-50, for factors of products */
        0x3f800000, 0xbf800000, 0x33800000, 0x4b800001, 0x3f000000, /* powers of two: half-way cases of sums */
    };
    static const uint32_t special[] = {
        0x7fc00000, 0xffc00000, 0x7f800001, 0xff923456, 0x7f800000, 0xff800000, 0x7f7fffff, 0xff7fffff,
    };
    if (kind == FILL_BITS)
        return rng_next(r);
    if (kind == FILL_WIDE) {
        uint32_t u = rng_next(r);
        return (u & 0x807fffffu) | (107 + rng_next(r) % 27) << 23;
    }
    if (kind == FILL_EQUAL)
        return 0x3fa00000;
    uint32_t odd = rng_next(r) % 8;
    if (kind != FILL_NORMAL && odd == 0)
        return tiny[rng_next(r) % (sizeof tiny / sizeof *tiny)];
    if (kind == FILL_SPECIAL && odd == 1)
        return special[rng_next(r) % (sizeof special / sizeof *special)];
    float x = rng_normal(r);
    return float_bits(odd == 2 ? rintf(4 * x) / 4 : x);
}

#endif
