/* bench.h: the parts of actc-bench. */
#ifndef ACTC_TOOLS_BENCH_H
#define ACTC_TOOLS_BENCH_H

#include "common_network.h"

/* What is asked for; fields that a bench does not know stay as they are. */
typedef struct bench_settings {
    const char *codec, *shape, *device, *input, *format;              /* codec; device and format for both */
    const char *network, *compress, *optim;                           /* step */
    tool_network net;
    int64_t threads, batch, steps;
    uint64_t seed;
    bool deterministic;
} bench_settings;

/* Standard normal numbers of a seed, by Box and Muller. */
double bench_normal(uint64_t *state);
uint64_t bench_random(uint64_t *state);
/* For qsort, of doubles; and the median of them. */
int bench_compare(const void *a, const void *b);

int bench_codec(const tool *t, const bench_settings *s);
int bench_step(const tool *t, const bench_settings *s);

#endif
