/* bench.h: what actc-bench's measurements share. */
#ifndef ACTC_TOOLS_BENCH_H
#define ACTC_TOOLS_BENCH_H

#include "common.h"

/* SplitMix64 (Steele et al. 2014): the next number of 64 bits. */
uint64_t bench_random(uint64_t *state);
/* A standard normal number by Box and Muller. */
double bench_normal(uint64_t *state);
/* Sorts the values; returns their median. */
double bench_median(double *values, size_t count);

/* actc-bench step (bench_step.c); argv[0] is "step". */
int bench_step(int argc, char **argv);

#endif
