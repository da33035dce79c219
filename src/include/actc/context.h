/* actc/context.h: contexts and devices.
 *
 * A context owns the last error message, the log callback and the registered codecs. Contexts share
 * nothing: several may run side by side on different threads; one thread uses a context (and all that
 * was made from it) at a time.
 */
#ifndef ACTC_CONTEXT_H
#define ACTC_CONTEXT_H

#include <actc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct actc_context actc_context;
typedef struct actc_device actc_device;

typedef enum actc_log_level {
    ACTC_LOG_ERROR = 0,   /* something failed; a status says so too */
    ACTC_LOG_WARNING = 1, /* it goes on, but not as the caller may expect */
    ACTC_LOG_INFO = 2,    /* decisions worth a line in a run's log */
    ACTC_LOG_DEBUG = 3
} actc_log_level;

/* message: one line without a newline, valid during the call only. */
typedef void (*actc_log_fn)(void *user, actc_log_level level, const char *message);

typedef struct actc_context_options {
    size_t size;              /* set by actc_context_options_default */
    actc_log_fn log;          /* NULL: no logging */
    void *log_user;           /* handed to log; must outlive the context */
    actc_log_level log_level; /* messages above this level are not formatted */
} actc_context_options;

ACTC_API actc_context_options actc_context_options_default(void);

/* options: NULL for the defaults. Fails with OUT_OF_MEMORY or INVALID_ARGUMENT, *out is then NULL. */
ACTC_API actc_status actc_context_create(const actc_context_options *options, actc_context **out);
/* Everything made from the context must have been destroyed before. */
ACTC_API void actc_context_destroy(actc_context **context);

/* The message of the last call on this context that failed; "" before the first. Valid until the next
 * call that fails. At most 1023 bytes: a longer one has " ... " for its middle. */
ACTC_API const char *actc_error_message(const actc_context *context);

typedef enum actc_device_type {
    ACTC_DEVICE_CPU = 0,
    ACTC_DEVICE_INTEGRATED_GPU = 1,
    ACTC_DEVICE_DISCRETE_GPU = 2,
    ACTC_DEVICE_VIRTUAL_GPU = 3,
    ACTC_DEVICE_SOFTWARE = 4, /* a software Vulkan driver */
    ACTC_DEVICE_NULL = 5      /* plans and allocates, runs nothing */
} actc_device_type;

ACTC_API const char *actc_device_type_string(actc_device_type type);

/* One device of one backend, or a backend that has none here (usable false, reason says why). */
typedef struct actc_device_info {
    size_t size;
    char spec[32];     /* what actc_device_open takes: "cpu", "vulkan:0", "cuda:0", "null" */
    char backend[16];  /* "cpu", "vulkan", "cuda", "null" */
    char name[128];    /* as the driver reports it */
    char driver[160];  /* driver name and version; for the CPU the libraries used */
    actc_device_type type;
    bool usable;
    char reason[640];  /* why not usable; "" where it is */
    bool exact;        /* the EXACT parity class holds */
    char exact_evidence[160]; /* on what grounds, in words */
    uint64_t memory_bytes;            /* device memory, 0 where unknown */
    uint64_t max_buffer_bytes;        /* largest single allocation */
    uint64_t max_binding_bytes;       /* largest range one kernel can see of a buffer */
    uint32_t subgroup_size;           /* 0 where it has no meaning */
    uint32_t shared_memory_bytes;     /* per workgroup, 0 where it has no meaning */
    uint32_t threads;                 /* CPU threads used by default, 0 elsewhere */
    bool compiles;                    /* where not usable: can still be opened with compile_only */
} actc_device_info;

/* Fills up to `capacity` entries of `infos` (NULL allowed when capacity is 0) and sets *count to the
 * number there are. infos[0].size must be set by the caller to sizeof(actc_device_info): the array's entries are that
 * far apart, and all get it as their size. Every backend appears at least once, one that cannot enumerate as unusable
 * with the reason. Does not open a device. */
ACTC_API actc_status actc_device_list(actc_context *context, actc_device_info *infos, size_t capacity,
                                      size_t *count);

typedef struct actc_device_options {
    size_t size;
    const char *device; /* "auto", "cpu", "vulkan[:N]", "cuda[:N]" or "null"; N is an index or a part of
                         * the device's or driver's name, case ignored ("vulkan:llvmpipe"). Plain "vulkan"
                         * takes hardware first, else software. auto: CUDA, then a hardware Vulkan device,
                         * then the CPU; a warning says where it goes without a backend that cannot enumerate. */
    int threads;        /* CPU threads, 0: all that the process may use; must be 0..1024 */
    bool validate;      /* Vulkan: load the Khronos validation layer with synchronization validation; an
                         * error it reports makes the call fail that caused it */
    bool deterministic; /* EXACT versions of every kernel: slower, bits the same on every backend */
    bool compile_only;  /* for actc_device_compile_all and nothing else: also opens devices that are a compiler without
                         * hardware (RADV's null device); memory and programs are refused */
} actc_device_options;

ACTC_API actc_device_options actc_device_options_default(void);

/* The device belongs to the caller and must be destroyed before the context. */
ACTC_API actc_status actc_device_open(actc_context *context, const actc_device_options *options,
                                      actc_device **out);
ACTC_API void actc_device_destroy(actc_device **device);
/* Belongs to the device; its size is what this library knows of the struct. */
ACTC_API const actc_device_info *actc_device_get_info(const actc_device *device);

/* Bytes that this device object has obtained and not given back: arenas, staging memory and library
 * workspaces, counted where the memory is obtained. */
ACTC_API uint64_t actc_device_allocated_bytes(const actc_device *device);

/* What a driver's compiler made of a kernel. Numbers are -1 where the driver does not tell. */
typedef struct actc_kernel_report {
    size_t size;
    const char *kernel;     /* its name, and which variant it is */
    const char *text;       /* all that the driver tells, in its words */
    bool exact;             /* of parity class EXACT */
    int64_t registers;      /* of an invocation (AMD: VGPRs) */
    int64_t scalar_registers; /* of a subgroup (AMD: SGPRs) */
    int64_t spilled;        /* registers that did not fit and went to memory */
    int64_t scratch_bytes;  /* memory of an invocation's own */
    int64_t shared_bytes;   /* of a workgroup (AMD: LDS) */
    int64_t code_bytes;
    int64_t latency;        /* cycles from first to last instruction, as the compiler estimates */
    int64_t inexact;        /* instructions that fuse a multiplication and an addition, or approximate: none may be in an
                             * EXACT kernel */
    const char *inexact_example; /* the first of them; "" for none */
} actc_kernel_report;
typedef void (*actc_kernel_report_fn)(void *user, const actc_kernel_report *report);

/* Creates every kernel's pipeline and hands what the driver tells to `report` (may be NULL). Backends without pipelines
 * report one entry. */
ACTC_API actc_status actc_device_compile_all(actc_device *device, actc_kernel_report_fn report, void *user);

#ifdef __cplusplus
}
#endif
#endif
