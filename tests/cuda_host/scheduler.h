/* scheduler.h: runs the blocks of a kernel that was compiled for the processor.
 *
 * One block runs at a time, and in it one CUDA thread at a time, as a fiber. A thread runs until it ends or waits: at a
 * block barrier, or in an operation of its warp. Threads that never wait share one fiber. The order of threads
 * alternates from wait to wait, and shared memory holds NaN when a block begins, so that a missing barrier or a read of
 * what was never written shows.
 *
 * What CUDA leaves undefined is an error here: threads that wait at different barriers, warp operations without all
 * 32 threads. The launch then fails, as it would on a GPU that notices.
 */
#ifndef ACTC_HOST_SCHEDULER_H
#define ACTC_HOST_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACTC_HOST_WARP 32u
#define ACTC_HOST_MAX_THREADS 1024u

struct actc_host_dim {
    unsigned x, y, z;
};

/* Of the CUDA thread that is running. */
extern struct actc_host_dim actc_host_thread_index, actc_host_block_index, actc_host_block_dim, actc_host_grid_dim;

/* A kernel compiled for the host: calls its body once, for the current thread. */
typedef void (*actc_host_entry)(const void *params, void *const *views);

typedef struct actc_host_kernel {
    const char *name;
    actc_host_entry entry;
    unsigned params_bytes, n_views;  /* as its function declares them */
    char *shared_begin, *shared_end; /* its __shared__ variables, or NULL */
} actc_host_kernel;

/* Runs grid_x * grid_y blocks of `threads` threads. False with a reason where the kernel breaks a rule, or memory ran
 * out. */
bool actc_host_launch(const actc_host_kernel *kernel, unsigned grid_x, unsigned grid_y, unsigned threads,
                      const void *params, void *const *views, char *reason, size_t reason_size);

/* Called by kernels. line: where in the source, to tell one wait from another. */
void actc_host_block_wait(int line);
/* All threads give a value; returns how many gave one that is not 0. */
unsigned actc_host_block_count(unsigned value, int line);
/* All 32 threads of the warp give a word; returns the 32 words, valid until the thread's next but one exchange. */
const uint64_t *actc_host_warp_exchange(unsigned mask, uint64_t value, int line);

#ifdef __cplusplus
}
#endif

#endif
