/* test_scheduler.cpp: the host build of CUDA finds what it is there to find.
 *
 * Small kernels, some right, some wrong in one way: a missing barrier, a barrier that not all threads reach, warp operations
 * without all threads. Shuffles and votes against their definitions.
 */
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
#include <cmocka.h>
}

#define ACTC_HOST_SHARED_SECTION actc_shared_scheduler_test
#include "cuda_host.h"

typedef unsigned uint;
extern "C" {
extern char __start_actc_shared_scheduler_test[] __attribute__((weak));
extern char __stop_actc_shared_scheduler_test[] __attribute__((weak));
}

struct params {
    uint variant;
};

/* Runs `blocks` blocks of 256 threads of body(variant, out). */
template <void (*BODY)(uint, uint *)> static bool run(uint variant, uint blocks, uint *out, char *reason, size_t size)
{
    actc_host_kernel kernel = {"test",
                               [](const void *p, void *const *views) { BODY(((const params *)p)->variant, (uint *)views[0]); },
                               sizeof(params),
                               1,
                               __start_actc_shared_scheduler_test,
                               __stop_actc_shared_scheduler_test};
    params p = {variant};
    void *views[1] = {out};
    reason[0] = '\0';
    return actc_host_launch(&kernel, blocks, 1, 256, &p, views, reason, size);
}

/* ---- barriers ---- */

/* Sum of 256 numbers by a tree. variant 1: a barrier is missing; what the block before left is then no right number (under
 * AddressSanitizer shared memory is not filled between blocks). */
static void tree(uint variant, uint *out)
{
    __shared__ uint a[256];
    const uint t = threadIdx.x;
    a[t] = t + blockIdx.x + 1u;
    if (variant == 0u)
        __syncthreads();
    for (uint s = 128; s > 0u; s /= 2u) {
        if (t < s)
            a[t] += a[t + s];
        __syncthreads();
    }
    if (t == 0u)
        out[blockIdx.x] = a[0];
}

static void missing_barrier(void **state)
{
    (void)state;
    char reason[256];
    uint right[4] = {0}, wrong[4] = {0};
    assert_true(run<tree>(0, 4, right, reason, sizeof reason));
    assert_true(run<tree>(1, 4, wrong, reason, sizeof reason));
    uint bad = 0;
    for (uint b = 0; b < 4; b++) {
        assert_int_equal(right[b], 255 * 256 / 2 + 256 * (b + 1));
        bad += wrong[b] != right[b];
    }
    assert_true(bad >= 2); /* one order of threads hides it, the other does not */
}

/* variant 1: threads of a block wait at different barriers; 2: in different warp operations; 3: a mask that is not full;
 * 4: a warp operation after some threads ended; 5: a barrier after some threads ended, which is allowed. */
static void rules(uint variant, uint *out)
{
    const uint t = threadIdx.x;
    if (variant == 1u) {
        if (t < 100u)
            __syncthreads();
        else
            __syncthreads();
    }
    if (variant == 2u) {
        if (t % 32u < 7u)
            out[0] = __ballot_sync(0xffffffffu, t);
        else
            out[0] = __shfl_sync(0xffffffffu, t, 0);
    }
    if (variant == 3u)
        out[0] = __ballot_sync(0x0000ffffu, t);
    if (variant >= 4u && t >= 200u)
        return;
    if (variant == 4u)
        out[0] = __ballot_sync(0xffffffffu, t);
    if (variant == 5u)
        __syncthreads();
    if (t == 0u)
        out[0] = 77u;
}

static void broken_rules(void **state)
{
    (void)state;
    static const char *const wanted[] = {nullptr, "different barriers", "different operations", "full mask", "never ends", nullptr};
    char reason[256];
    for (uint variant = 0; variant < 6; variant++) {
        uint out = 0;
        bool good = run<rules>(variant, 1, &out, reason, sizeof reason);
        if (wanted[variant]) {
            assert_false(good);
            if (!strstr(reason, wanted[variant]))
                fail_msg("variant %u: '%s' should say '%s'", variant, reason, wanted[variant]);
        } else {
            assert_true(good);
            assert_int_equal(out, 77);
        }
    }
    actc_host_kernel kernel = {"test", nullptr, 0, 0, nullptr, nullptr};
    assert_false(actc_host_launch(&kernel, 1, 1, 33, nullptr, nullptr, reason, sizeof reason));
}

/* ---- what a kernel must not rely on ---- */

/* The last writer wins: which thread that is must not be relied on, and changes. Shared memory is not zero. */
static void last_writer(uint variant, uint *out)
{
    __shared__ uint word;
    if (variant == 0u) {
        out[blockIdx.x] = threadIdx.x;
    } else if (threadIdx.x == 0u) {
        out[blockIdx.x] = word;
        word = variant + blockIdx.x; /* what a compiler cannot foresee */
    }
}

static void orders(void **state)
{
    (void)state;
    char reason[256];
    uint out[2];
    assert_true(run<last_writer>(0, 2, out, reason, sizeof reason));
    assert_true(out[0] != out[1]);
#ifndef ACTC_HOST_PLAIN_SHARED
    assert_true(run<last_writer>(1, 2, out, reason, sizeof reason));
    assert_int_equal(out[0], 0xffffffffu);
    assert_int_equal(out[1], 0xffffffffu);
#endif
}

/* ---- shuffles, votes, atomics ---- */

static void shuffles(uint variant, uint *out)
{
    const uint t = threadIdx.x, v = 1000u + t;
    uint r = 0u;
    switch (variant) {
    case 0: r = __shfl_sync(0xffffffffu, v, 5); break;
    case 1: r = __shfl_sync(0xffffffffu, v, (int)(t * 7u), 8); break;
    case 2: r = __shfl_up_sync(0xffffffffu, v, 3u); break;
    case 3: r = __shfl_up_sync(0xffffffffu, v, 3u, 16); break;
    case 4: r = __shfl_down_sync(0xffffffffu, v, 9u); break;
    case 5: r = __shfl_down_sync(0xffffffffu, v, 2u, 4); break;
    case 6: r = __shfl_xor_sync(0xffffffffu, v, 17); break;
    case 7: r = __ballot_sync(0xffffffffu, t % 3u == 0u); break;
    case 8: r = __any_sync(0xffffffffu, t == 70u) ? 1u : 0u; break;
    case 9: r = __all_sync(0xffffffffu, t >= 32u) ? 1u : 0u; break;
    case 10: r = (uint)__syncthreads_count(t % 5u == 0u); break;
    case 11: r = (__syncthreads_or(t == 255u) ? 1u : 0u) | (__syncthreads_and(t != 255u) ? 2u : 0u); break;
    case 12: /* many in a row: buffers are not written too early */
        for (uint i = 0; i < 20u; i++)
            r += __shfl_xor_sync(0xffffffffu, v * (i + 1u), 1) & 0xffffu;
        break;
    case 13: r = (uint)(__shfl_sync(0xffffffffu, (unsigned long long)v << 32, 3) >> 32); break;
    }
    out[t] = r;
}

static uint shuffled(uint variant, uint t)
{
    const uint lane = t % 32u, base = t - lane;
    switch (variant) {
    case 0: return 1000u + base + 5u;
    case 1: return 1000u + t / 8u * 8u + t * 7u % 8u;
    case 2: return 1000u + (lane >= 3u ? t - 3u : t);
    case 3: return 1000u + (t % 16u >= 3u ? t - 3u : t);
    case 4: return 1000u + (lane + 9u < 32u ? t + 9u : t);
    case 5: return 1000u + (t % 4u + 2u < 4u ? t + 2u : t);
    case 6: return 1000u + base + (lane ^ 17u);
    case 7: {
        uint bits = 0u;
        for (uint i = 0; i < 32u; i++)
            bits |= ((base + i) % 3u == 0u ? 1u : 0u) << i;
        return bits;
    }
    case 8: return base == 64u ? 1u : 0u;
    case 9: return base >= 32u ? 1u : 0u;
    case 10: return 52u;
    case 11: return 1u;
    case 12: {
        uint r = 0u;
        for (uint i = 0; i < 20u; i++)
            r += (1000u + (t ^ 1u)) * (i + 1u) & 0xffffu;
        return r;
    }
    default: return 1000u + base + 3u;
    }
}

static void warp_operations(void **state)
{
    (void)state;
    char reason[256];
    for (uint variant = 0; variant < 14; variant++) {
        uint out[256] = {0};
        if (!run<shuffles>(variant, 1, out, reason, sizeof reason))
            fail_msg("variant %u: %s", variant, reason);
        for (uint t = 0; t < 256; t++)
            if (out[t] != shuffled(variant, t))
                fail_msg("variant %u, thread %u: %u, should be %u", variant, t, out[t], shuffled(variant, t));
    }
}

static void atomics(uint variant, uint *out)
{
    (void)variant;
    const uint t = threadIdx.x;
    atomicAdd(&out[0], t);
    atomicMax(&out[1], t * 37u % 256u);
    atomicMin(&out[2], t * 37u % 256u + 9u);
    atomicOr(&out[3], 1u << t % 32u);
    atomicAnd(&out[4], ~(1u << t % 31u));
    atomicXor(&out[5], t);
    atomicSub(&out[6], 1u);
    if (atomicCAS(&out[7], 0u, t + 1u) == 0u)
        atomicExch(&out[8], 5u);
}

static void atomic_operations(void **state)
{
    (void)state;
    char reason[256];
    uint out[9] = {0, 0, 0xffffffffu, 0, 0xffffffffu, 0, 256, 0, 0};
    assert_true(run<atomics>(0, 1, out, reason, sizeof reason));
    assert_int_equal(out[0], 255 * 256 / 2);
    assert_int_equal(out[1], 255);
    assert_int_equal(out[2], 9);
    assert_int_equal(out[3], 0xffffffffu);
    assert_int_equal(out[4], 0x80000000u);
    assert_int_equal(out[5], 0);
    assert_int_equal(out[6], 0);
    assert_in_range(out[7], 1, 256);
    assert_int_equal(out[8], 5);
}

static void intrinsics(void **state)
{
    (void)state;
    assert_int_equal(__umulhi(0xdeadbeefu, 0xcafebabeu), (uint)(0xdeadbeefull * 0xcafebabeull >> 32));
    assert_int_equal(__brev(0x00000001u), 0x80000000u);
    assert_int_equal(__brev(0xf0a05011u), 0x880a050fu);
    assert_int_equal(__popc(0xf0f0u), 8);
    assert_int_equal(__clz(1), 31);
    assert_int_equal(__clz(0), 32);
    assert_int_equal(__ffs(0x50), 5);
    assert_int_equal(__ffs(0), 0);
    assert_int_equal(__float_as_uint(__uint_as_float(0x7f812345u)), 0x7f812345u);
    assert_true(min(3u, 5u) == 3u && max(-2, 1) == 1);
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_barrier), cmocka_unit_test(broken_rules),      cmocka_unit_test(orders),
        cmocka_unit_test(warp_operations), cmocka_unit_test(atomic_operations), cmocka_unit_test(intrinsics),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
