/* cpu_device.h: the device of the CPU backend, and what device.c, program.c and dnnl.c share. */
#ifndef ACTC_CPU_DEVICE_H
#define ACTC_CPU_DEVICE_H

#include "cpu.h"

struct dnnl_engine;
struct dnnl_stream;

typedef struct actc_cpu_device {
    actc_device base;
    int threads;
    actc_cpu_isa isa;
    actc_cpu_codec_way codec;
    bool timed; /* ACTC_PERF in the environment: time every command, log the means when its program is destroyed */
    struct dnnl_engine *engine;
    struct dnnl_stream **streams;             /* one a thread */
    int *library_status;                      /* of each thread in a run */
    void (*set_library_threads)(int threads); /* omp_set_num_threads, or NULL */
    int (*get_library_threads)(void);         /* omp_get_max_threads, or NULL */
} actc_cpu_device;

struct actc_buffer {
    void *data;
    uint64_t bytes;
};

/* ---- program.c ---- */

bool actc_cpu_supports(actc_device *device, const actc_command *command, char *why, size_t why_size);
actc_status actc_cpu_workspace_bytes(actc_device *device, const actc_command *command, uint64_t *bytes);
actc_status actc_cpu_prepare(actc_device *device, const actc_program *program, actc_buffer *const *buffers,
                             uint32_t n_buffers, actc_executable **out);
void actc_cpu_executable_destroy(actc_device *device, actc_executable *executable);
actc_status actc_cpu_run(actc_device *device, actc_executable *executable);
actc_status actc_cpu_times(actc_device *device, actc_executable *executable, double *seconds);
uint32_t actc_cpu_segments(const actc_executable *executable);

/* ---- dnnl.c: convolution through oneDNN ---- */

/* as "oneDNN 2.6.3" */
void actc_dnnl_version_text(char *text, size_t size);
actc_status actc_dnnl_open(actc_cpu_device *device);
void actc_dnnl_close(actc_cpu_device *device);

/* A conv command as primitives with their memory objects. */
typedef struct actc_dnnl_op actc_dnnl_op;
/* *suits: false, and *bytes 0, where oneDNN has no implementation that adds in one order everywhere. */
actc_status actc_dnnl_workspace_bytes(actc_cpu_device *device, const actc_command *command, uint64_t *bytes,
                                      bool *suits);
/* views: host pointers of the command's views, which stay where they are for the life of the op. *out is NULL and the
 * status ACTC_OK where oneDNN does not suit. */
actc_status actc_dnnl_prepare(actc_cpu_device *device, const actc_command *command, void *const *views,
                              actc_dnnl_op **out);
actc_status actc_dnnl_run(actc_cpu_device *device, const actc_dnnl_op *op);
void actc_dnnl_op_destroy(actc_dnnl_op *op);

#endif
