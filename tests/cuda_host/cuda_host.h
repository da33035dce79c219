/* cuda_host.h: the CUDA C++ that kernels_cuda/ uses, for an ordinary C++ compiler.
 *
 * Included by kernels_cuda/common.cuh where ACTC_CUDA_HOST is defined. Intrinsics round as CUDA's do; the build compiles
 * with -ffp-contract=off. ACTC_HOST_SHARED_SECTION (from the build) names the section that holds a kernel's
 * shared memory, so that the scheduler can fill it before each block.
 */
#ifndef ACTC_CUDA_HOST_H
#define ACTC_CUDA_HOST_H

#ifndef __cplusplus
#error "the kernels are C++"
#endif

#include <cstdint>
#include <cstring>
#include <utility>

#include "scheduler.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
/* AddressSanitizer watches over variables in ordinary sections only. */
#if defined(__SANITIZE_ADDRESS__)
#define ACTC_HOST_PLAIN_SHARED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ACTC_HOST_PLAIN_SHARED 1
#endif
#endif
#ifdef ACTC_HOST_PLAIN_SHARED
#define __shared__ static
#else
#define __shared__ static __attribute__((section(ACTC_HOST_TEXT(ACTC_HOST_SHARED_SECTION))))
#endif
#define ACTC_HOST_TEXT2(x) #x
#define ACTC_HOST_TEXT(x) ACTC_HOST_TEXT2(x)

#define threadIdx actc_host_thread_index
#define blockIdx actc_host_block_index
#define blockDim actc_host_block_dim
#define gridDim actc_host_grid_dim

/* ---- vector types ---- */

#define ACTC_HOST_VECTORS(type, name)                                            \
    struct alignas(2 * sizeof(type)) name##2 { type x, y; };                     \
    struct alignas(4 * sizeof(type)) name##4 { type x, y, z, w; };               \
    static inline name##2 make_##name##2(type x, type y)                         \
    {                                                                            \
        name##2 v;                                                               \
        v.x = x, v.y = y;                                                        \
        return v;                                                                \
    }                                                                            \
    static inline name##4 make_##name##4(type x, type y, type z, type w)         \
    {                                                                            \
        name##4 v;                                                               \
        v.x = x, v.y = y, v.z = z, v.w = w;                                      \
        return v;                                                                \
    }
ACTC_HOST_VECTORS(unsigned, uint)
ACTC_HOST_VECTORS(int, int)
ACTC_HOST_VECTORS(float, float)
ACTC_HOST_VECTORS(unsigned short, ushort)
ACTC_HOST_VECTORS(unsigned char, uchar)

/* ---- arithmetic ---- */

static inline unsigned __float_as_uint(float x)
{
    unsigned u;
    memcpy(&u, &x, sizeof u);
    return u;
}
static inline float __uint_as_float(unsigned u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}
static inline int __float_as_int(float x) { return (int)__float_as_uint(x); }
static inline float __int_as_float(int i) { return __uint_as_float((unsigned)i); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static inline int __popc(unsigned u) { return __builtin_popcount(u); }
static inline int __popcll(unsigned long long u) { return __builtin_popcountll(u); }
static inline int __clz(int i) { return i ? __builtin_clz((unsigned)i) : 32; }
static inline int __ffs(int i) { return __builtin_ffs(i); }
static inline unsigned __brev(unsigned u)
{
    unsigned r = 0;
    for (int i = 0; i < 32; i++)
        r |= (u >> i & 1u) << (31 - i);
    return r;
}
template <class T> static inline T __ldg(const T *p) { return *p; }

#define ACTC_HOST_MIN_MAX(type)                                          \
    static inline type min(type a, type b) { return a < b ? a : b; }     \
    static inline type max(type a, type b) { return a > b ? a : b; }
ACTC_HOST_MIN_MAX(int)
ACTC_HOST_MIN_MAX(unsigned)
ACTC_HOST_MIN_MAX(long long)
ACTC_HOST_MIN_MAX(unsigned long long)
ACTC_HOST_MIN_MAX(unsigned long)

/* ---- atomics: one thread runs at a time ---- */

template <class T> static inline T actc_host_atomic(T *p, T value)
{
    T old = *p;
    *p = value;
    return old;
}
#define ACTC_HOST_ATOMICS(type)                                                                                 \
    static inline type atomicAdd(type *p, type v) { return actc_host_atomic<type>(p, (type)(*p + v)); }         \
    static inline type atomicMin(type *p, type v) { return actc_host_atomic<type>(p, *p < v ? *p : v); }        \
    static inline type atomicMax(type *p, type v) { return actc_host_atomic<type>(p, *p > v ? *p : v); }        \
    static inline type atomicExch(type *p, type v) { return actc_host_atomic<type>(p, v); }                     \
    static inline type atomicAnd(type *p, type v) { return actc_host_atomic<type>(p, (type)(*p & v)); }         \
    static inline type atomicOr(type *p, type v) { return actc_host_atomic<type>(p, (type)(*p | v)); }          \
    static inline type atomicXor(type *p, type v) { return actc_host_atomic<type>(p, (type)(*p ^ v)); }         \
    static inline type atomicCAS(type *p, type compare, type v)                                                 \
    {                                                                                                           \
        return actc_host_atomic<type>(p, *p == compare ? v : *p);                                               \
    }
ACTC_HOST_ATOMICS(unsigned)
ACTC_HOST_ATOMICS(unsigned long long)
static inline unsigned atomicSub(unsigned *p, unsigned v) { return atomicAdd(p, 0u - v); }
static inline int atomicAdd(int *p, int v) { return (int)atomicAdd((unsigned *)p, (unsigned)v); }

static inline void __threadfence(void) {}
static inline void __threadfence_block(void) {}

/* ---- block and warp ---- */

#define __syncthreads() actc_host_block_wait(__LINE__)
#define __syncthreads_count(value) ((int)actc_host_block_count((value) != 0, __LINE__))
#define __syncthreads_or(value) (actc_host_block_count((value) != 0, __LINE__) != 0u)
#define __syncthreads_and(value) (actc_host_block_count((value) == 0, __LINE__) == 0u)
#define __syncwarp() ((void)actc_host_warp_exchange(0xffffffffu, 0, __LINE__))

static inline unsigned actc_host_lane(void)
{
    return threadIdx.x % ACTC_HOST_WARP;
}
/* The words that a shuffle moves: 32 or 64 bits of any type. */
template <class T> static inline uint64_t actc_host_pack(T value)
{
    static_assert(sizeof(T) <= 8, "shuffles move at most 64 bits");
    uint64_t word = 0;
    memcpy(&word, &value, sizeof value);
    return word;
}
template <class T> static inline T actc_host_unpack(uint64_t word)
{
    T value;
    memcpy(&value, &word, sizeof value);
    return value;
}
/* from: the lane asked; within groups of `width` lanes, out of range gives back one's own. */
template <class T>
static inline T actc_host_shuffle(unsigned mask, T value, int from, bool own, int line)
{
    const uint64_t *words = actc_host_warp_exchange(mask, actc_host_pack(value), line);
    return own ? value : actc_host_unpack<T>(words[from]);
}
#define ACTC_HOST_WIDTH(width) unsigned lane = actc_host_lane(), base = lane / (unsigned)(width) * (unsigned)(width)
template <class T> static inline T actc_host_shfl(unsigned mask, T v, int from, int line, int width = 32)
{
    ACTC_HOST_WIDTH(width);
    return actc_host_shuffle(mask, v, (int)(base + (unsigned)from % (unsigned)width), false, line);
}
template <class T> static inline T actc_host_shfl_up(unsigned mask, T v, unsigned delta, int line, int width = 32)
{
    ACTC_HOST_WIDTH(width);
    return actc_host_shuffle(mask, v, (int)lane - (int)delta, lane < base + delta, line);
}
template <class T> static inline T actc_host_shfl_down(unsigned mask, T v, unsigned delta, int line, int width = 32)
{
    ACTC_HOST_WIDTH(width);
    return actc_host_shuffle(mask, v, (int)(lane + delta), lane + delta >= base + (unsigned)width, line);
}
template <class T> static inline T actc_host_shfl_xor(unsigned mask, T v, int lanes, int line, int width = 32)
{
    ACTC_HOST_WIDTH(width);
    unsigned from = lane ^ (unsigned)lanes;
    return actc_host_shuffle(mask, v, (int)from, from >= base + (unsigned)width, line);
}
/* width, the optional last argument, moves behind the line */
#define __shfl_sync(mask, v, from, ...) actc_host_shfl(mask, v, from, __LINE__, ##__VA_ARGS__)
#define __shfl_up_sync(mask, v, delta, ...) actc_host_shfl_up(mask, v, delta, __LINE__, ##__VA_ARGS__)
#define __shfl_down_sync(mask, v, delta, ...) actc_host_shfl_down(mask, v, delta, __LINE__, ##__VA_ARGS__)
#define __shfl_xor_sync(mask, v, lanes, ...) actc_host_shfl_xor(mask, v, lanes, __LINE__, ##__VA_ARGS__)

static inline unsigned actc_host_ballot(unsigned mask, bool value, int line)
{
    const uint64_t *words = actc_host_warp_exchange(mask, value, line);
    unsigned bits = 0;
    for (unsigned i = 0; i < ACTC_HOST_WARP; i++)
        bits |= (unsigned)words[i] << i;
    return bits;
}
#define __ballot_sync(mask, value) actc_host_ballot(mask, (value) != 0, __LINE__)
#define __any_sync(mask, value) (actc_host_ballot(mask, (value) != 0, __LINE__) != 0u)
#define __all_sync(mask, value) (actc_host_ballot(mask, (value) != 0, __LINE__) == 0xffffffffu)

/* ---- kernels ---- */

/* Calls the body with its parameters by value and as many pointers as it takes. */
template <class P, class... V, std::size_t... I>
static inline void actc_host_call(void (*body)(P, V...), const void *params, void *const *views,
                                  std::index_sequence<I...>)
{
    body(*(const P *)params, (V)views[I]...);
}
template <class P, class... V>
static inline void actc_host_call(void (*body)(P, V...), const void *params, void *const *views)
{
    actc_host_call(body, params, views, std::index_sequence_for<V...>());
}

struct actc_host_shape {
    unsigned params_bytes, n_views;
};
template <class P, class... V> static constexpr actc_host_shape actc_host_shape_of(void (*)(P, V...))
{
    return {sizeof(P), sizeof...(V)};
}

#define ACTC_CUDA_KERNEL(name, ...)                                                                       \
    static void actc_host_body(const struct actc_params_##name p, __VA_ARGS__);                           \
    static void actc_host_entry_(const void *params, void *const *views)                                  \
    {                                                                                                     \
        actc_host_call(actc_host_body, params, views);                                                    \
    }                                                                                                     \
    static void actc_host_body(const struct actc_params_##name p, __VA_ARGS__)

#endif
