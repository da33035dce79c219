/* random_bits.h: the random numbers of consecutive elements (exact/exact.h), four a call of the generator. */
#ifndef ACTC_RANDOM_BITS_H
#define ACTC_RANDOM_BITS_H

#include "kernel.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define ACTC_CPU_RANDOM_BLOCK 256u /* numbers made at a time, at most */

/* Calls of the generator side by side, a lane each. Compilers make four multiplications of 64 bits where the instruction
 * sets have one of 32 x 32. */
#if defined(__AVX512F__)
#define ACTC_CPU_RANDOM_LANES 16u
typedef __m512i actc_cpu_words;
#define ACTC_WORDS(name) _mm512_##name
#define ACTC_WORDS_XOR _mm512_xor_si512
#define ACTC_WORDS_STORE(p, v) _mm512_storeu_si512(p, v)
#define ACTC_WORDS_LANES _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
#define ACTC_WORDS_ODD(even, odd) _mm512_mask_blend_epi32(0xaaaa, even, odd)
#elif defined(__AVX2__)
#define ACTC_CPU_RANDOM_LANES 8u
typedef __m256i actc_cpu_words;
#define ACTC_WORDS(name) _mm256_##name
#define ACTC_WORDS_XOR _mm256_xor_si256
#define ACTC_WORDS_STORE(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define ACTC_WORDS_LANES _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7)
#define ACTC_WORDS_ODD(even, odd) _mm256_blend_epi32(even, odd, 0xaa)
#elif defined(__SSE2__)
#define ACTC_CPU_RANDOM_LANES 4u
typedef __m128i actc_cpu_words;
#define ACTC_WORDS(name) _mm_##name
#define ACTC_WORDS_XOR _mm_xor_si128
#define ACTC_WORDS_STORE(p, v) _mm_storeu_si128((__m128i *)(void *)(p), v)
#define ACTC_WORDS_LANES _mm_setr_epi32(0, 1, 2, 3)
#define ACTC_WORDS_ODD(even, odd) \
    _mm_or_si128(_mm_and_si128(even, _mm_set_epi32(0, -1, 0, -1)), _mm_and_si128(odd, _mm_set_epi32(-1, 0, -1, 0)))
#else
#define ACTC_CPU_RANDOM_LANES 1u
#endif

#if ACTC_CPU_RANDOM_LANES > 1
static inline actc_cpu_words actc_cpu_words_set(uint32_t word)
{
    return ACTC_WORDS(set1_epi32)((int)word);
}

/* The upper halves of the products with a constant, and the lower ones. */
static inline actc_cpu_words actc_cpu_products(actc_cpu_words a, uint32_t b, actc_cpu_words *low)
{
    actc_cpu_words by = actc_cpu_words_set(b), even = ACTC_WORDS(mul_epu32)(a, by);
    actc_cpu_words odd = ACTC_WORDS(mul_epu32)(ACTC_WORDS(srli_epi64)(a, 32), by);
    *low = ACTC_WORDS_ODD(even, ACTC_WORDS(slli_epi64)(odd, 32));
    return ACTC_WORDS_ODD(ACTC_WORDS(srli_epi64)(even, 32), odd);
}

/* actc_philox of ACTC_CPU_RANDOM_LANES counters from c0 on: four numbers a lane, in the order of their elements. The lanes
 * take the counters in the order that the interleaving at the end turns into theirs. */
static inline void actc_cpu_philox(uint32_t *to, uint32_t counter, uint32_t path, const uint32_t *step)
{
    uint32_t k0 = step[ACTC_STEP_SEED_LO], k1 = step[ACTC_STEP_SEED_HI];
    actc_cpu_words c0 = ACTC_WORDS(add_epi32)(actc_cpu_words_set(counter), ACTC_WORDS_LANES), c1 = actc_cpu_words_set(path);
    actc_cpu_words c2 = actc_cpu_words_set(step[ACTC_STEP_STEP_LO]), c3 = actc_cpu_words_set(step[ACTC_STEP_STEP_HI]);
    for (int round = 0; round < 10; round++) {
        actc_cpu_words l0, l1, h0 = actc_cpu_products(c0, 0xD2511F53u, &l0), h1 = actc_cpu_products(c2, 0xCD9E8D57u, &l1);
        c0 = ACTC_WORDS_XOR(ACTC_WORDS_XOR(h1, c1), actc_cpu_words_set(k0));
        c1 = l1;
        c2 = ACTC_WORDS_XOR(ACTC_WORDS_XOR(h0, c3), actc_cpu_words_set(k1));
        c3 = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    actc_cpu_words a = ACTC_WORDS(unpacklo_epi32)(c0, c1), b = ACTC_WORDS(unpackhi_epi32)(c0, c1);
    actc_cpu_words c = ACTC_WORDS(unpacklo_epi32)(c2, c3), d = ACTC_WORDS(unpackhi_epi32)(c2, c3);
    ACTC_WORDS_STORE(to, ACTC_WORDS(unpacklo_epi64)(a, c));
    ACTC_WORDS_STORE(to + ACTC_CPU_RANDOM_LANES, ACTC_WORDS(unpackhi_epi64)(a, c));
    ACTC_WORDS_STORE(to + 2 * ACTC_CPU_RANDOM_LANES, ACTC_WORDS(unpacklo_epi64)(b, d));
    ACTC_WORDS_STORE(to + 3 * ACTC_CPU_RANDOM_LANES, ACTC_WORDS(unpackhi_epi64)(b, d));
}
#else
static inline void actc_cpu_philox(uint32_t *to, uint32_t counter, uint32_t path, const uint32_t *step)
{
    actc_u32x4 r = actc_philox(counter, path, step[ACTC_STEP_STEP_LO], step[ACTC_STEP_STEP_HI], step[ACTC_STEP_SEED_LO],
                               step[ACTC_STEP_SEED_HI]);
    to[0] = r.x;
    to[1] = r.y;
    to[2] = r.z;
    to[3] = r.w;
}
#endif

/* bits[0, count): those of the elements from first on. */
static inline void actc_cpu_draw(uint32_t *bits, uint32_t first, uint32_t count, uint32_t path, const uint32_t *step)
{
    uint32_t all[ACTC_CPU_RANDOM_BLOCK + 4 + 4 * ACTC_CPU_RANDOM_LANES], skip = first & 3u;
    for (uint32_t i = 0; i < skip + count; i += 4 * ACTC_CPU_RANDOM_LANES)
        actc_cpu_philox(all + i, (first + i) / 4, path, step);
    memcpy(bits, all + skip, count * sizeof *bits);
}

#endif
