/* backend.h: what a backend is, and the programs it runs.
 *
 * Everything common to the backends is above this line (src/), and has been validated there: a backend may
 * assume that shapes, sizes and offsets are right. A backend sees this header, the kernel list, the kernels'
 * parameters, the arithmetic header, the codec plan and itself.
 */
#ifndef ACTC_BACKEND_H
#define ACTC_BACKEND_H

#include <locale.h>

#include <actc/context.h>

#include "kernel_params.h"
#include "util/host.h"

/* ---- kernels ---- */

typedef enum actc_kernel_id {
#define ACTC_KERNEL(name, class, access, family, grain) ACTC_KERNEL_##name,
#include "kernels.def"
    ACTC_KERNEL_COUNT
} actc_kernel_id;

typedef enum actc_parity { ACTC_PARITY_EXACT, ACTC_PARITY_TOLERANT } actc_parity;

typedef enum actc_kernel_family {
    ACTC_FAMILY_ELEMENT,
    ACTC_FAMILY_POOL,
    ACTC_FAMILY_REDUCE,
    ACTC_FAMILY_NORM,
    ACTC_FAMILY_ATTENTION,
    ACTC_FAMILY_LOSS,
    ACTC_FAMILY_UPDATE,
    ACTC_FAMILY_PRODUCT, /* gemm and convolution, in tiles */
    ACTC_FAMILY_DEPTHWISE, /* convolution of every channel by itself */
    ACTC_FAMILY_CODEC
} actc_kernel_family;

typedef enum actc_kernel_grain { ACTC_GRAIN_LIGHT, ACTC_GRAIN_HEAVY, ACTC_GRAIN_WHOLE } actc_kernel_grain;

/* A line of kernels.def, which says what the columns mean. */
typedef struct actc_kernel_info {
    const char *name;
    actc_parity parity;
    const char *access;    /* a letter a view: r, w, x */
    uint32_t params_bytes;
    actc_kernel_family family;
    actc_kernel_grain grain;
} actc_kernel_info;

extern const actc_kernel_info actc_kernel_infos[ACTC_KERNEL_COUNT]; /* src/lower/kernel_table.c */

/* ---- programs ---- */

#define ACTC_MAX_VIEWS 8
#define ACTC_NO_BUFFER UINT32_MAX

/* A range of a buffer. While a program is lowered `buffer` is the index of a virtual buffer; the planner rewrites
 * it to the index of an arena buffer. A view that a kernel does not need has bytes 0 and buffer ACTC_NO_BUFFER. */
typedef struct actc_view {
    uint32_t buffer;
    uint64_t offset, bytes;
} actc_view;

typedef enum actc_command_type {
    ACTC_COMMAND_KERNEL,
    ACTC_COMMAND_GEMM,
    ACTC_COMMAND_CONV,
    ACTC_COMMAND_PACK,   /* a codec: the backend chooses how, as for gemm and conv */
    ACTC_COMMAND_UNPACK,
    ACTC_COMMAND_COPY,   /* views: source, destination of the same bytes */
    ACTC_COMMAND_FILL,   /* view: destination; every 32-bit word becomes `word` */
    ACTC_COMMAND_HOST    /* a host function between two submissions; ends a segment */
} actc_command_type;

/* gemm. Views: a, b, bias, c, workspace; parameters as the kernel's (kernel_params.h). */
typedef struct actc_params_gemm actc_gemm;

/* The same with what is 0 filled in: one matrix, rows and matrices side by side, alpha 1. */
static inline actc_gemm actc_gemm_dense(actc_gemm g)
{
    g.lda = g.lda ? g.lda : g.trans_a ? g.m : g.k;
    g.ldb = g.ldb ? g.ldb : g.trans_b ? g.k : g.n;
    g.ldc = g.ldc ? g.ldc : g.n;
    g.batch = g.batch ? g.batch : 1;
    g.alpha = g.alpha < 0 || g.alpha > 0 ? g.alpha : 1;
    return g;
}

typedef enum actc_conv_pass { ACTC_CONV_FORWARD, ACTC_CONV_BACKWARD_DATA, ACTC_CONV_BACKWARD_FILTER } actc_conv_pass;

/* Convolution of volumes, channels last, weights O,KD,KH,KW,I; an image is a volume of depth 1 (id, od, kd, sd and dd are
 * 1, pd is 0), a row one of height 1 too. s, p, d: stride, padding before the image, dilation. groups: 1, or ic, and then oc
 * is a multiple of it and the weights are O,KD,KH,KW (depthwise; the same bits on every device).
 * Views, forward: x, w, bias, y, workspace. Backward data: dy, w, bias, dx, workspace. Backward filter: x, dy, -, dw,
 * workspace; dw is written, or added to where `add`.
 * A transposed convolution has the passes of the convolution whose gradient it is: its forward pass is backward data (hence
 * the bias, of ic elements there), its backward data is forward, its backward filter takes dy as x and x as dy. */
typedef struct actc_conv {
    actc_conv_pass pass;
    uint32_t batch, ic, id, ih, iw, oc, od, oh, ow, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw, groups;
    bool bias;
    bool add;
} actc_conv;
#define ACTC_WORKSPACE_VIEW 4 /* of gemm, conv, pack and unpack */

struct actc_codec_plan; /* src/codec/codec_plan.h */

/* pack. Views: x, payload, step block, constants, workspace. unpack: payload, x, step block, constants, workspace;
 * x holds the samples [first, first + count) of the tensor as the codec's plan counts them (depth planes of volumes), which
 * the plan allows where they are not all. */
typedef struct actc_codec_work_desc {
    const struct actc_codec_plan *plan;
    uint32_t tensor;       /* RNG key */
    uint32_t first, count; /* samples (unpack) */
} actc_codec_work_desc;

/* Returns 0, or anything else to fail the run; views are host pointers in the order of the command's views. */
typedef int (*actc_host_fn)(void *user, void *const *views);

typedef struct actc_command {
    actc_command_type type;
    const char *label;             /* "conv2: conv backward data"; belongs to the program, as the kind: */
    const char *kind;              /* "conv backward data", "bn forward"; NULL where it is of no network */
    uint8_t n_views;
    uint8_t access[ACTC_MAX_VIEWS]; /* 'r', 'w' or 'x' */
    actc_view views[ACTC_MAX_VIEWS];
    union {
        struct {
            actc_kernel_id id;
            uint32_t groups;
            union {
                uint32_t words[ACTC_MAX_PARAMS_BYTES / 4]; /* the kernel's struct */
                char bytes[ACTC_MAX_PARAMS_BYTES];
            } params;
        } kernel;
        actc_gemm gemm;
        actc_conv conv;
        actc_codec_work_desc codec;
        struct { uint32_t word; } fill;
        struct { actc_host_fn fn; void *user; } host;
    } u;
} actc_command;

typedef struct actc_program {
    const char *name; /* "train", "update", "eval" */
    actc_command *commands;
    uint32_t n_commands;
    bool timed; /* prepared so that `times` can tell of its runs, which compute the same bits and may take longer; where the
                 * device has no clock prepare says so with ACTC_ERROR_UNSUPPORTED */
} actc_program;

/* Submissions of one run, the same for every backend: runs of commands between host functions, empty ones left out. */
static inline uint32_t actc_program_segments(const actc_program *program)
{
    uint32_t segments = 0;
    bool open = false;
    for (uint32_t i = 0; i < program->n_commands; i++) {
        bool host = program->commands[i].type == ACTC_COMMAND_HOST;
        segments += !host && !open;
        open = !host;
    }
    return segments;
}

/* ---- the interface ---- */

typedef struct actc_backend actc_backend;
typedef struct actc_buffer actc_buffer;         /* a backend's own */
typedef struct actc_executable actc_executable; /* a prepared program */

/* First member of every backend's device. */
struct actc_device {
    const actc_backend *backend;
    actc_context *context;
    actc_device_info info;
    bool deterministic;
    bool compile_only; /* compile_all and close are all that is called */
    uint32_t process; /* actc_process_number at open, where the backend does not survive a fork */
    uint64_t allocated_bytes; /* counted where memory is obtained and given back */
};

typedef void (*actc_device_sink)(void *user, const actc_device_info *info);

struct actc_backend {
    const char *name;
    /* A child process may go on with a device that was opened before fork(). Where not, it is refused there, and close,
     * buffer_destroy and executable_destroy free host memory only: what else there is belongs to the parent. */
    bool survives_fork;

    /* Reports every device, and at least one entry with usable false and a reason where there is none. Where that fails
     * for another cause than this process's memory, the backend is listed as unusable with the message. */
    actc_status (*enumerate)(actc_context *context, actc_device_sink sink, void *user);
    /* info: one of those reported. */
    actc_status (*open)(actc_context *context, const actc_device_options *options, const actc_device_info *info,
                        actc_device **out);
    void (*close)(actc_device *device);

    /* False with the reason in `why` where the device cannot run the command. NULL: it can run everything. */
    bool (*supports)(actc_device *device, const actc_command *command, char *why, size_t why_size);
    /* Bytes of the workspace view of a gemm, conv, pack or unpack command (its other views are not resolved yet).
     * NULL: never any. */
    actc_status (*workspace_bytes)(actc_device *device, const actc_command *command, uint64_t *bytes);
    /* Bytes that the device obtains beside the arena, and beyond what it holds already, to move up to `transfer` bytes at
     * once (staging) and for its libraries; part of the plan. `transfer`: the largest upload or download, and the views of a host function
     * together, each aligned to ACTC_VIEW_ALIGNMENT. NULL: none. */
    uint64_t (*overhead_bytes)(actc_device *device, uint64_t transfer);
    /* Obtains what overhead_bytes promised; called once before the first buffer of a network. NULL: nothing to do. */
    actc_status (*reserve)(actc_device *device, uint64_t transfer);

    /* What a buffer of `bytes` takes of the device's memory; arenas are made of that size, so that the plan is what is
     * allocated. NULL: `bytes`. */
    uint64_t (*buffer_bytes)(actc_device *device, uint64_t bytes);
    /* bytes is a multiple of ACTC_VIEW_ALIGNMENT; the content is zero. Counted in allocated_bytes with exactly
     * `bytes`, or with what the driver needed where that is more. */
    actc_status (*buffer_create)(actc_device *device, uint64_t bytes, actc_buffer **out);
    void (*buffer_destroy)(actc_device *device, actc_buffer *buffer);
    /* Wait for work in flight. The range lies in the buffer. Any size and alignment of 4 bytes. */
    actc_status (*upload)(actc_device *device, actc_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes);
    actc_status (*download)(actc_device *device, actc_buffer *buffer, uint64_t offset, void *target, uint64_t bytes);

    /* program and buffers outlive the executable. Every resource that a run needs is made here. */
    actc_status (*prepare)(actc_device *device, const actc_program *program, actc_buffer *const *buffers,
                           uint32_t n_buffers, actc_executable **out);
    void (*executable_destroy)(actc_device *device, actc_executable *executable);
    /* May return before the work is done; upload, download and the next run wait. */
    actc_status (*run)(actc_device *device, actc_executable *executable);
    /* Seconds that each command of a timed program took in the last run, which it waits for. NULL: nothing takes time. */
    actc_status (*times)(actc_device *device, actc_executable *executable, double *seconds);
    /* Submissions of one run. */
    uint32_t (*segments)(const actc_executable *executable);

    /* NULL: one line that says there is nothing to compile. */
    actc_status (*compile_all)(actc_device *device, actc_kernel_report_fn report, void *user);
};

extern const actc_backend actc_backend_cpu;
extern const actc_backend actc_backend_null;
extern const actc_backend actc_backend_vulkan; /* a stub that says so where it is not built in */
extern const actc_backend actc_backend_cuda;

/* ---- what src/ offers to backends, beside util/host.h ---- */

/* The device is the parent's, and of no use in this process. */
bool actc_device_forked(const actc_device *device);

/* A report of which nothing is known but the kernel and a text. */
actc_kernel_report actc_kernel_report_of(const char *kernel, const char *text);

#endif
