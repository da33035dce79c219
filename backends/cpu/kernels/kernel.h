/* kernel.h: what every CPU kernel file includes.
 *
 * Each file is compiled once for every instruction set; a file holds no function that is not static but those made by
 * ACTC_CPU_KERNEL, whose names carry the set. Loops over independent elements are marked ACTC_CPU_SIMD, which also says
 * that views are either the same memory or do not overlap, so that a kernel may run in place. Inside them an array is
 * indexed by the loop's variable alone: the sum of two 32-bit numbers may wrap round, and the compiler then gives up.
 */
#ifndef ACTC_CPU_KERNEL_H
#define ACTC_CPU_KERNEL_H

#include "../cpu.h"
#include "exact/exact.h"

#define ACTC_CPU_SIMD _Pragma("omp simd")

#define ACTC_MIN(a, b) ((a) < (b) ? (a) : (b))

/* The elements [first, last) of the groups [begin, end) of an element-wise kernel. */
typedef struct actc_cpu_span {
    uint32_t first, last;
} actc_cpu_span;

static inline actc_cpu_span actc_cpu_elements(uint32_t begin, uint32_t end, uint64_t n)
{
    uint64_t first = (uint64_t)begin * ACTC_GROUP_ELEMENTS, last = (uint64_t)end * ACTC_GROUP_ELEMENTS;
    return (actc_cpu_span){(uint32_t)ACTC_MIN(first, n), (uint32_t)ACTC_MIN(last, n)};
}

/* The same for a kernel with one invocation an output. */
static inline actc_cpu_span actc_cpu_invocations(uint32_t begin, uint32_t end, uint64_t n)
{
    uint64_t first = (uint64_t)begin * ACTC_GROUP_SIZE, last = (uint64_t)end * ACTC_GROUP_SIZE;
    return (actc_cpu_span){(uint32_t)ACTC_MIN(first, n), (uint32_t)ACTC_MIN(last, n)};
}

/* The part [begin, end) of `groups` of `units` units of work, for kernels whose groups the backend chooses. */
static inline actc_cpu_span actc_cpu_share(uint32_t begin, uint32_t end, uint32_t groups, uint64_t units)
{
    return (actc_cpu_span){(uint32_t)(units * begin / groups), (uint32_t)(units * end / groups)};
}

/* Whether a row of a loss counts: of a sample that does, and with a label in range. */
static inline bool actc_cpu_row_counts(uint32_t row, int32_t label, uint32_t cols, uint32_t positions, const uint32_t *step)
{
    return row < step[ACTC_STEP_ROWS] * positions && (uint32_t)label < cols;
}

#endif
