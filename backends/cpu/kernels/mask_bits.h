/* mask_bits.h: 32 words to a word of bits and back, which compilers do not vectorise on their own. */
#ifndef ACTC_CPU_MASK_BITS_H
#define ACTC_CPU_MASK_BITS_H

#include "kernel.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

/* Bit j is set where y[j] is not 0. */
static inline uint32_t actc_cpu_nonzero_bits(const uint32_t *y)
{
#if defined(__AVX512F__)
    __m512i a = _mm512_loadu_si512(y), b = _mm512_loadu_si512(y + 16);
    return (uint32_t)_mm512_test_epi32_mask(a, a) | (uint32_t)_mm512_test_epi32_mask(b, b) << 16;
#elif defined(__AVX2__)
    uint32_t zero = 0;
    for (int q = 0; q < 4; q++) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(y + 8 * q));
        __m256i is_zero = _mm256_cmpeq_epi32(v, _mm256_setzero_si256());
        zero |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(is_zero)) << 8 * q;
    }
    return ~zero;
#elif defined(__SSE2__)
    uint32_t zero = 0;
    for (int q = 0; q < 8; q++) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(y + 4 * q));
        __m128i is_zero = _mm_cmpeq_epi32(v, _mm_setzero_si128());
        zero |= (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(is_zero)) << 4 * q;
    }
    return ~zero;
#else
    uint32_t bits = 0;
    for (int j = 0; j < 32; j++)
        bits |= (y[j] != 0 ? 1u : 0u) << j;
    return bits;
#endif
}

/* to[j] = all ones where bit j is set, else 0. */
static inline void actc_cpu_expand_bits(uint32_t bits, uint32_t *to)
{
#if defined(__AVX512F__)
    _mm512_storeu_si512(to, _mm512_maskz_set1_epi32((__mmask16)bits, -1));
    _mm512_storeu_si512(to + 16, _mm512_maskz_set1_epi32((__mmask16)(bits >> 16), -1));
#elif defined(__AVX2__)
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    for (int q = 0; q < 4; q++) {
        __m256i hit = _mm256_and_si256(_mm256_set1_epi32((int)(bits >> 8 * q)), lane);
        _mm256_storeu_si256((__m256i *)(void *)(to + 8 * q), _mm256_cmpeq_epi32(hit, lane));
    }
#elif defined(__SSE2__)
    const __m128i lane = _mm_setr_epi32(1, 2, 4, 8);
    for (int q = 0; q < 8; q++) {
        __m128i hit = _mm_and_si128(_mm_set1_epi32((int)(bits >> 4 * q)), lane);
        _mm_storeu_si128((__m128i *)(void *)(to + 4 * q), _mm_cmpeq_epi32(hit, lane));
    }
#else
    for (int j = 0; j < 32; j++)
        to[j] = 0u - (bits >> j & 1u);
#endif
}

#endif
