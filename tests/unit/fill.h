/* fill.h: random and adversarial contents of tensors. */
#ifndef ACTC_TEST_FILL_H
#define ACTC_TEST_FILL_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

static inline float *fill(test_rng *r, size_t n, uint32_t special)
{
    float *x = malloc((n ? n : 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = rng_adversarial(r, special);
    return x;
}

#endif
