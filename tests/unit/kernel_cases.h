/* kernel_cases.h: commands with data on which backends are compared: every kernel of kernels.def, gemm and convolution,
 * at sizes and values where kernels go wrong. */
#ifndef ACTC_KERNEL_CASES_H
#define ACTC_KERNEL_CASES_H

#include "kernel_run.h"

typedef struct kernel_case {
    char name[160];              /* the kernel and its parameters */
    actc_command command;
    void *data[ACTC_MAX_VIEWS];  /* what 'r' and 'x' views hold; NULL for 'w' views */
} kernel_case;

typedef void (*kernel_case_fn)(void *user, const kernel_case *c);

/* Element-wise kernels, losses, sums, optimisers: KERNEL commands, all EXACT. */
void kernel_cases(uint64_t seed, kernel_case_fn use, void *user);
/* GEMM and CONV commands: EXACT on a deterministic device, TOLERANT else. special: also values that are not finite. */
void kernel_cases_products(uint64_t seed, bool special, kernel_case_fn use, void *user);

#endif
