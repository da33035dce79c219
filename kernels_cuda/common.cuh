/* common.cuh: what every kernel of this folder begins with.
 *
 * A kernel is written once and compiled three ways: by nvcc for the GPU; by nvcc again with ACTC_EXACT_VARIANT where
 * kernels.def lists a variant; and as C++ for the host (ACTC_CUDA_HOST, tests/cuda_host), which runs it in CI.
 *
 *     ACTC_CUDA_KERNEL(binary, const uint *a, const uint *b, uint *y)
 *     {
 *         ACTC_GROUP(group);
 *         ...
 *     }
 *
 * declares the kernel of that name: its parameters are `p` (struct actc_params_binary, by value) and one pointer a view in
 * the order of kernels.def, NULL where a view is empty. Blocks have ACTC_GROUP_SIZE threads in x; the grid is folded
 * into two dimensions, so ACTC_GROUP gives the group's index and returns from blocks past the last group.
 * No pointer is __restrict__ unless the kernel can never run in place: the planner lets views alias.
 *
 * Arithmetic: EXACT kernels use exact/exact.h only. ACTC_MAC is the multiply-add of kernels that have both classes.
 */
#ifndef ACTC_COMMON_CUH
#define ACTC_COMMON_CUH

#ifdef __FAST_MATH__ /* host builds; nvcc has no macro that tells, so build/compile.py refuses its flags and reads the PTX */
#error "actc kernels must not be compiled with fast-math: the EXACT parity class would not hold"
#endif

#ifdef ACTC_CUDA_HOST
#include "cuda_host.h" /* tests/cuda_host: __global__, threadIdx, intrinsics and ACTC_CUDA_KERNEL for the host */
#endif
#include "exact/exact.h"
#include "kernel_params.h"

#ifdef ACTC_EXACT_VARIANT
#define ACTC_CUDA_VARIANT(name) name##_exact
#define ACTC_MAC(sum, a, b) ACTC_ADD(sum, ACTC_MUL(a, b))
#else
#define ACTC_CUDA_VARIANT(name) name
#define ACTC_MAC(sum, a, b) ((a) * (b) + (sum)) /* contracted by nvcc in TOLERANT kernels */
#endif
#define ACTC_CUDA_JOIN2(a, b) a##b
#define ACTC_CUDA_JOIN(a, b) ACTC_CUDA_JOIN2(a, b)
#define ACTC_CUDA_SYMBOL(name) ACTC_CUDA_JOIN(actc_cuda_, ACTC_CUDA_VARIANT(name))

/* Blocks that a multiprocessor must hold at once, hence 128 registers a thread at most. Without a number ptxas aims higher
 * and spills in the convolutions. */
#ifndef ACTC_MIN_BLOCKS
#define ACTC_MIN_BLOCKS 2
#endif

#ifndef ACTC_CUDA_HOST
#define ACTC_CUDA_KERNEL(name, ...)                                                                                \
    extern "C" __global__ void __launch_bounds__(ACTC_GROUP_SIZE, ACTC_MIN_BLOCKS)                                 \
        ACTC_CUDA_SYMBOL(name)(const struct actc_params_##name p, __VA_ARGS__)
#endif

#define ACTC_GROUP(group)                                  \
    const uint group = blockIdx.y * gridDim.x + blockIdx.x; \
    if (group >= p.groups)                                 \
    return

#endif
