/* simd.h: vectors as wide as the instruction set: `codec_vf` of CODEC_LANES floats. Lanes are independent elements. */
#ifndef ACTC_CPU_FUSED_SIMD_H
#define ACTC_CPU_FUSED_SIMD_H

#include "../kernels/kernel.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define CODEC_LANES 16
#elif defined(__AVX2__)
#define CODEC_LANES 8
#else
#define CODEC_LANES 4
#endif

typedef float codec_vf __attribute__((vector_size(4 * CODEC_LANES)));
typedef int32_t codec_vi __attribute__((vector_size(4 * CODEC_LANES)));
typedef float codec_vf_any __attribute__((vector_size(4 * CODEC_LANES), aligned(4), may_alias));
typedef int32_t codec_vi_any __attribute__((vector_size(4 * CODEC_LANES), aligned(4), may_alias));

#define CODEC_INLINE static inline __attribute__((always_inline))

CODEC_INLINE codec_vf codec_load(const float *p)
{
    return *(const codec_vf_any *)p;
}

CODEC_INLINE void codec_store(float *p, codec_vf v)
{
    *(codec_vf_any *)p = v;
}

/* actc_flush of every lane. Compilers make much of the masks of AVX-512 from vector types. */
CODEC_INLINE codec_vf codec_flush(codec_vf v)
{
#if defined(__AVX512F__)
    __m512i a = _mm512_and_si512((__m512i)v, _mm512_set1_epi32((int)ACTC_ABS_MASK));
    __mmask16 stays = _mm512_cmpge_epi32_mask(a, _mm512_set1_epi32((int)ACTC_TINY_BITS));
    return (codec_vf)_mm512_maskz_mov_epi32(stays, (__m512i)v);
#else
    codec_vi u = (codec_vi)v;
    codec_vi tiny = (u & (int32_t)ACTC_ABS_MASK) < (int32_t)ACTC_TINY_BITS;
    return (codec_vf)(u & ~tiny);
#endif
}

/* actc_canon of every lane. */
CODEC_INLINE codec_vf codec_canon(codec_vf v)
{
#if defined(__AVX512F__)
    __mmask16 nan = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
    return (codec_vf)_mm512_mask_mov_epi32((__m512i)codec_flush(v), nan, _mm512_set1_epi32((int)ACTC_NAN_BITS));
#elif defined(__AVX2__)
    __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32((int)ACTC_NAN_BITS));
    return (codec_vf)_mm256_blendv_ps((__m256)codec_flush(v), nan, _mm256_cmp_ps((__m256)v, (__m256)v, _CMP_UNORD_Q));
#else
    codec_vi u = (codec_vi)v, a = u & (int32_t)ACTC_ABS_MASK;
    codec_vi tiny = a < (int32_t)ACTC_TINY_BITS, nan = a > (int32_t)ACTC_INF_BITS;
    return (codec_vf)(((u & ~tiny) & ~nan) | (nan & (int32_t)ACTC_NAN_BITS));
#endif
}

/* The first `count` lanes, the others 0. */
CODEC_INLINE codec_vf codec_load_part(const float *p, uint32_t count)
{
#if defined(__AVX512F__)
    return (codec_vf)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#else
    float all[CODEC_LANES] = {0};
    for (uint32_t i = 0; i < count; i++)
        all[i] = p[i];
    return codec_load(all);
#endif
}

CODEC_INLINE void codec_store_part(float *p, codec_vf v, uint32_t count)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)v);
#elif defined(__AVX2__)
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane), (__m256)v);
#else
    float all[CODEC_LANES];
    codec_store(all, v);
    for (uint32_t i = 0; i < count; i++)
        p[i] = all[i];
#endif
}

/* r[i] lane j becomes r[j] lane i. */
CODEC_INLINE void codec_transpose(codec_vf *r)
{
#if defined(__AVX512F__)
    __m512 a[16], b[16];
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_ps((__m512)r[i], (__m512)r[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps((__m512)r[i], (__m512)r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        b[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a[i]), _mm512_castps_pd(a[i + 2])));
        b[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a[i]), _mm512_castps_pd(a[i + 2])));
        b[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a[i + 1]), _mm512_castps_pd(a[i + 3])));
        b[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a[i + 1]), _mm512_castps_pd(a[i + 3])));
    }
    /* b[4q + i], 128-bit part p: columns 4p + i of rows 4q to 4q + 3 */
    for (int i = 0; i < 4; i++) {
        __m512 t0 = _mm512_shuffle_f32x4(b[i], b[4 + i], 0x88), t1 = _mm512_shuffle_f32x4(b[8 + i], b[12 + i], 0x88);
        __m512 t2 = _mm512_shuffle_f32x4(b[i], b[4 + i], 0xdd), t3 = _mm512_shuffle_f32x4(b[8 + i], b[12 + i], 0xdd);
        r[i] = (codec_vf)_mm512_shuffle_f32x4(t0, t1, 0x88);
        r[8 + i] = (codec_vf)_mm512_shuffle_f32x4(t0, t1, 0xdd);
        r[4 + i] = (codec_vf)_mm512_shuffle_f32x4(t2, t3, 0x88);
        r[12 + i] = (codec_vf)_mm512_shuffle_f32x4(t2, t3, 0xdd);
    }
#elif defined(__AVX2__)
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps((__m256)r[i], (__m256)r[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps((__m256)r[i], (__m256)r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = (codec_vf)_mm256_permute2f128_ps(b[i], b[4 + i], 0x20);
        r[4 + i] = (codec_vf)_mm256_permute2f128_ps(b[i], b[4 + i], 0x31);
    }
#elif defined(__SSE2__)
    __m128 r0 = (__m128)r[0], r1 = (__m128)r[1], r2 = (__m128)r[2], r3 = (__m128)r[3];
    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    r[0] = (codec_vf)r0;
    r[1] = (codec_vf)r1;
    r[2] = (codec_vf)r2;
    r[3] = (codec_vf)r3;
#else
    for (int i = 0; i < CODEC_LANES; i++)
        for (int j = 0; j < i; j++) {
            float t = r[i][j];
            r[i][j] = r[j][i];
            r[j][i] = t;
        }
#endif
}

/* Bit j is set where (y[j] & ~sign) > key, j < 32. */
CODEC_INLINE uint32_t codec_above(const uint32_t *y, uint32_t key)
{
#if defined(__AVX512F__)
    const __m512i magnitude = _mm512_set1_epi32((int)ACTC_ABS_MASK), k = _mm512_set1_epi32((int)key);
    __m512i a = _mm512_and_si512(_mm512_loadu_si512(y), magnitude);
    __m512i b = _mm512_and_si512(_mm512_loadu_si512(y + 16), magnitude);
    return (uint32_t)_mm512_cmpgt_epi32_mask(a, k) | (uint32_t)_mm512_cmpgt_epi32_mask(b, k) << 16;
#elif defined(__AVX2__)
    const __m256i magnitude = _mm256_set1_epi32((int)ACTC_ABS_MASK), k = _mm256_set1_epi32((int)key);
    uint32_t bits = 0;
    for (int q = 0; q < 4; q++) {
        __m256i v = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(const void *)(y + 8 * q)), magnitude);
        bits |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(v, k))) << 8 * q;
    }
    return bits;
#elif defined(__SSE2__)
    const __m128i magnitude = _mm_set1_epi32((int)ACTC_ABS_MASK), k = _mm_set1_epi32((int)key);
    uint32_t bits = 0;
    for (int q = 0; q < 8; q++) {
        __m128i v = _mm_and_si128(_mm_loadu_si128((const __m128i *)(const void *)(y + 4 * q)), magnitude);
        bits |= (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpgt_epi32(v, k))) << 4 * q;
    }
    return bits;
#else
    uint32_t bits = 0;
    for (int j = 0; j < 32; j++)
        bits |= ((y[j] & ACTC_ABS_MASK) > key ? 1u : 0u) << j;
    return bits;
#endif
}

/* The same of CODEC_LANES elements. */
CODEC_INLINE uint32_t codec_above_few(const uint32_t *y, uint32_t key)
{
#if defined(__AVX512F__)
    __m512i a = _mm512_and_si512(_mm512_loadu_si512(y), _mm512_set1_epi32((int)ACTC_ABS_MASK));
    return (uint32_t)_mm512_cmpgt_epi32_mask(a, _mm512_set1_epi32((int)key));
#elif defined(__AVX2__)
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)y);
    v = _mm256_cmpgt_epi32(_mm256_and_si256(v, _mm256_set1_epi32((int)ACTC_ABS_MASK)), _mm256_set1_epi32((int)key));
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(v));
#else
    uint32_t bits = 0;
    for (int j = 0; j < CODEC_LANES; j++)
        bits |= ((y[j] & ACTC_ABS_MASK) > key ? 1u : 0u) << j;
    return bits;
#endif
}

/* Whether codec_compress of nothing costs less than a branch that is guessed wrong. */
#if defined(__AVX2__)
#define CODEC_COMPRESSES 1
#else
#define CODEC_COMPRESSES 0
#endif

/* The elements of y whose bits are set in `found`, of 32, and their places from `place` on, without branches where the
 * instruction set allows. Writes up to 16 behind what it keeps. Returns their number. */
CODEC_INLINE uint32_t codec_compress(const uint32_t *y, uint32_t found, uint32_t place, uint32_t *bits, uint8_t *places)
{
#if defined(__AVX512F__)
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint32_t count = 0;
    for (uint32_t q = 0; q < 32; q += 16) {
        __mmask16 m = (__mmask16)(found >> q);
        _mm512_storeu_si512(bits + count, _mm512_maskz_compress_epi32(m, _mm512_loadu_si512(y + q)));
        __m512i at = _mm512_maskz_compress_epi32(m, _mm512_add_epi32(lane, _mm512_set1_epi32((int)(place + q))));
        _mm_storeu_si128((__m128i *)(void *)(places + count), _mm512_cvtepi32_epi8(at));
        count += (uint32_t)__builtin_popcount(m);
    }
    return count;
#elif defined(__AVX2__)
    static const int32_t order[16][4] = {{0, 0, 0, 0}, {0, 0, 0, 0}, {1, 0, 0, 0}, {0, 1, 0, 0}, {2, 0, 0, 0}, {0, 2, 0, 0},
                                         {1, 2, 0, 0}, {0, 1, 2, 0}, {3, 0, 0, 0}, {0, 3, 0, 0}, {1, 3, 0, 0}, {0, 1, 3, 0},
                                         {2, 3, 0, 0}, {0, 2, 3, 0}, {1, 2, 3, 0}, {0, 1, 2, 3}};
    static const uint32_t packed[16] = {0, 0, 1, 0x100, 2, 0x200, 0x201, 0x20100, 3, 0x300, 0x301, 0x30100, 0x302, 0x30200,
                                        0x30201, 0x3020100};
    uint32_t count = 0;
    for (uint32_t q = 0; q < 32; q += 4) {
        uint32_t m = found >> q & 15;
        __m128 v = _mm_loadu_ps((const float *)(const void *)(y + q));
        __m128i by = _mm_loadu_si128((const __m128i *)(const void *)order[m]);
        _mm_storeu_ps((float *)(void *)(bits + count), _mm_permutevar_ps(v, by));
        uint32_t at = packed[m] + (place + q) * 0x1010101u; /* no byte overflows: places are below 256 */
        memcpy(places + count, &at, sizeof at);
        count += (uint32_t)__builtin_popcount(m);
    }
    return count;
#else
    uint32_t count = 0;
    for (; found; found &= found - 1) {
        uint32_t j = (uint32_t)__builtin_ctz(found);
        places[count] = (uint8_t)(place + j);
        bits[count++] = y[j];
    }
    return count;
#endif
}

#endif
