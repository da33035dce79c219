/* driver.c: a CUDA driver that runs on the processor, in the place of backends/cuda/driver.c.
 *
 * It is stricter than a real one where that finds mistakes: device memory is filled with NaN bytes when it is obtained; work
 * put into a stream is done when somebody waits for the stream and not before, so that memory given up or written too
 * early shows; addresses must lie in memory that was obtained; calls need a current context; nothing may load or wait
 * while a stream is captured.
 */
#include "../../backends/cuda/cuda_internal.h"
#include "host_driver.h"
#include "scheduler.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define TOTAL_MEMORY ((size_t)8 << 30) /* of the device */

typedef enum op_kind { OP_COPY, OP_FILL, OP_KERNEL, OP_GRAPH, OP_EVENT } op_kind;

typedef struct op {
    op_kind kind;
    void *to;
    const void *from;
    size_t bytes;
    uint32_t word;
    const actc_host_kernel *kernel;
    unsigned grid_x, grid_y, threads;
    union {
        uint64_t words[ACTC_MAX_PARAMS_BYTES / 8];
        unsigned char bytes[ACTC_MAX_PARAMS_BYTES];
    } params;
    void *views[ACTC_MAX_VIEWS];
    CUgraphExec graph;
    CUevent event;
} op;

typedef struct op_list {
    op *ops;
    size_t count, capacity;
} op_list;

typedef struct block { /* of device or page-locked memory */
    struct block *next;
    char *begin;
    size_t bytes;
    bool device;
} block;

struct CUctx_st { int references; };
struct CUmod_st { const actc_host_kernel *kernel; };
struct CUgraph_st { op_list list; };
struct CUevent_st { double at; }; /* seconds; 0: not recorded yet */
struct CUgraphExec_st { op_list list; };
struct CUstream_st {
    op_list list;
    CUgraph capture; /* being captured into, or NULL */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct CUctx_st context;
static block *blocks;
static int live, captures; /* captures: streams being captured */
static unsigned calls, fail_at;
static CUresult sticky = CUDA_SUCCESS; /* the device failed: everything does until the context is given back */
static char failure[256] = "";
static _Thread_local int current;      /* contexts pushed on this thread */

/* ---- for tests ---- */

void actc_cuda_host_fail_at(unsigned n)
{
    pthread_mutex_lock(&lock);
    calls = 0;
    fail_at = n;
    pthread_mutex_unlock(&lock);
}

unsigned actc_cuda_host_calls(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = calls;
    pthread_mutex_unlock(&lock);
    return n;
}

int actc_cuda_host_live(void)
{
    pthread_mutex_lock(&lock);
    int n = live;
    pthread_mutex_unlock(&lock);
    return n;
}

/* ---- calls: BEGIN ... RETURN hold the lock ---- */

static CUresult begin(bool needs_context)
{
    pthread_mutex_lock(&lock);
    if (++calls == fail_at) {
        if (context.references == 0)
            return CUDA_ERROR_UNKNOWN;
        sticky = CUDA_ERROR_UNKNOWN;
    }
    if (sticky != CUDA_SUCCESS)
        return sticky;
    return needs_context && current == 0 ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

static CUresult end(CUresult result)
{
    pthread_mutex_unlock(&lock);
    return result;
}

#define BEGIN(needs_context)                   \
    do {                                       \
        CUresult begun = begin(needs_context); \
        if (begun != CUDA_SUCCESS)             \
            return end(begun);                 \
    } while (0)

static CUresult init(unsigned flags)
{
    (void)flags;
    return CUDA_SUCCESS;
}

static CUresult driver_version(int *version)
{
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}

static CUresult error_name(CUresult result, const char **text)
{
    static char name[32];
    snprintf(name, sizeof name, "error %d", (int)result);
    *text = name;
    return CUDA_SUCCESS;
}

static CUresult error_string(CUresult result, const char **text)
{
    *text = result == CUDA_ERROR_LAUNCH_FAILED      ? failure
            : result == CUDA_ERROR_OUT_OF_MEMORY    ? "out of memory"
            : result == CUDA_ERROR_INVALID_VALUE    ? "invalid value"
            : result == CUDA_ERROR_INVALID_CONTEXT  ? "no current context"
            : result == CUDA_ERROR_NOT_FOUND        ? "not found"
            : result == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED ? "not allowed while a stream is captured"
                                                    : "failure asked for by a test";
    return CUDA_SUCCESS;
}

/* ---- device and context ---- */

static CUresult device_count(int *count)
{
    BEGIN(false);
    *count = 1;
    return end(CUDA_SUCCESS);
}

static CUresult device_get(CUdevice *device, int ordinal)
{
    BEGIN(false);
    *device = ordinal;
    return end(ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

static CUresult device_name(char *name, int length, CUdevice device)
{
    (void)device;
    BEGIN(false);
    snprintf(name, (size_t)length, "CUDA kernels compiled for the processor (no GPU)");
    return end(CUDA_SUCCESS);
}

static CUresult device_attribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    (void)device;
    BEGIN(false);
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *value = 48 * 1024; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case CU_DEVICE_ATTRIBUTE_INTEGRATED: *value = 0; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 8; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = 0; break;
    default: return end(CUDA_ERROR_INVALID_VALUE);
    }
    return end(CUDA_SUCCESS);
}

static CUresult total_memory(size_t *bytes, CUdevice device)
{
    (void)device;
    BEGIN(false);
    *bytes = TOTAL_MEMORY;
    return end(CUDA_SUCCESS);
}

static CUresult context_retain(CUcontext *out, CUdevice device)
{
    (void)device;
    BEGIN(false);
    context.references++;
    live++;
    *out = &context;
    return end(CUDA_SUCCESS);
}

static CUresult context_release(CUdevice device)
{
    (void)device;
    pthread_mutex_lock(&lock);
    live--;
    if (--context.references == 0)
        sticky = CUDA_SUCCESS;
    return end(CUDA_SUCCESS);
}

static CUresult context_push(CUcontext which)
{
    pthread_mutex_lock(&lock);
    if (which != &context || context.references == 0)
        return end(CUDA_ERROR_INVALID_CONTEXT);
    current++;
    return end(CUDA_SUCCESS);
}

static CUresult context_pop(CUcontext *which)
{
    *which = &context;
    current--;
    return CUDA_SUCCESS;
}

/* ---- memory ---- */

static CUresult obtain(char **out, size_t bytes, bool device)
{
    block *b = bytes <= TOTAL_MEMORY ? actc_calloc(1, sizeof *b) : NULL;
    char *begun = b ? actc_malloc_pages(bytes) : NULL;
    if (!begun) {
        actc_free(b);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memset(begun, 0xff, bytes);
    *b = (block){.next = blocks, .begin = begun, .bytes = bytes, .device = device};
    blocks = b;
    live++;
    *out = begun;
    return CUDA_SUCCESS;
}

static CUresult give_back(char *begun)
{
    for (block **at = &blocks; *at; at = &(*at)->next) {
        block *b = *at;
        if (b->begin != begun)
            continue;
        *at = b->next;
        actc_free_pages(b->begin);
        actc_free(b);
        live--;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

/* Whether [begin, begin + bytes) lies in memory of the kind. */
static bool owned(const void *begun, size_t bytes, bool device)
{
    const char *p = begun;
    for (const block *b = blocks; b; b = b->next) {
        if (b->device == device && p >= b->begin && p + bytes <= b->begin + b->bytes)
            return true;
    }
    return false;
}

static CUresult mem_alloc(CUdeviceptr *address, size_t bytes)
{
    BEGIN(true);
    char *p = NULL;
    CUresult result = bytes ? obtain(&p, bytes, true) : CUDA_ERROR_INVALID_VALUE;
    *address = (CUdeviceptr)(uintptr_t)p;
    return end(result);
}

static CUresult mem_free(CUdeviceptr address)
{
    pthread_mutex_lock(&lock);
    return end(give_back((char *)(uintptr_t)address));
}

static CUresult mem_info(size_t *available, size_t *total)
{
    *available = 0;
    *total = TOTAL_MEMORY;
    return CUDA_SUCCESS;
}

static CUresult host_alloc(void **pointer, size_t bytes, unsigned flags)
{
    (void)flags;
    BEGIN(true);
    char *p = NULL;
    CUresult result = obtain(&p, bytes, false);
    *pointer = p;
    return end(result);
}

static CUresult host_free(void *pointer)
{
    pthread_mutex_lock(&lock);
    return end(give_back(pointer));
}

/* ---- streams and graphs ---- */

static void list_free(op_list *list)
{
    actc_free(list->ops);
    *list = (op_list){0};
}

static CUresult append(CUstream stream, const op *what)
{
    op_list *list = stream->capture ? &stream->capture->list : &stream->list;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        op *grown = actc_realloc(list->ops, capacity * sizeof *grown);
        if (!grown)
            return CUDA_ERROR_OUT_OF_MEMORY;
        list->ops = grown;
        list->capacity = capacity;
    }
    list->ops[list->count++] = *what;
    return CUDA_SUCCESS;
}

static void execute(const op_list *list)
{
    for (size_t i = 0; i < list->count && sticky == CUDA_SUCCESS; i++) {
        const op *o = &list->ops[i];
        switch (o->kind) {
        case OP_COPY:
            memcpy(o->to, o->from, o->bytes);
            break;
        case OP_FILL:
            for (size_t w = 0; w < o->bytes / 4; w++)
                ((uint32_t *)o->to)[w] = o->word;
            break;
        case OP_KERNEL:
            if (!actc_host_launch(o->kernel, o->grid_x, o->grid_y, o->threads, o->params.bytes, o->views, failure,
                                  sizeof failure))
                sticky = CUDA_ERROR_LAUNCH_FAILED;
            break;
        case OP_GRAPH:
            execute(&o->graph->list);
            break;
        case OP_EVENT:
            o->event->at = actc_clock();
            break;
        }
    }
}

static void drain(CUstream stream)
{
    execute(&stream->list);
    stream->list.count = 0;
}

static CUresult copy(void *to, const void *from, size_t bytes, CUstream stream)
{
    op o = {.kind = OP_COPY, .to = to, .from = from, .bytes = bytes};
    return append(stream, &o);
}

static CUresult copy_to_device(CUdeviceptr to, const void *from, size_t bytes, CUstream stream)
{
    BEGIN(true);
    void *p = (void *)(uintptr_t)to;
    return end(owned(p, bytes, true) && owned(from, bytes, false) ? copy(p, from, bytes, stream)
                                                                  : CUDA_ERROR_INVALID_VALUE);
}

static CUresult copy_to_host(void *to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    BEGIN(true);
    const void *p = (const void *)(uintptr_t)from;
    return end(owned(p, bytes, true) && owned(to, bytes, false) ? copy(to, p, bytes, stream) : CUDA_ERROR_INVALID_VALUE);
}

static CUresult copy_on_device(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    BEGIN(true);
    void *t = (void *)(uintptr_t)to;
    const void *f = (const void *)(uintptr_t)from;
    return end(owned(t, bytes, true) && owned(f, bytes, true) ? copy(t, f, bytes, stream) : CUDA_ERROR_INVALID_VALUE);
}

static CUresult fill(CUdeviceptr to, unsigned word, size_t count, CUstream stream)
{
    BEGIN(true);
    op o = {.kind = OP_FILL, .to = (void *)(uintptr_t)to, .bytes = 4 * count, .word = word};
    return end(owned(o.to, o.bytes, true) ? append(stream, &o) : CUDA_ERROR_INVALID_VALUE);
}

static CUresult stream_create(CUstream *stream, unsigned flags)
{
    (void)flags;
    BEGIN(true);
    *stream = actc_calloc(1, sizeof **stream);
    live += *stream != NULL;
    return end(*stream ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY);
}

static CUresult stream_destroy(CUstream stream)
{
    pthread_mutex_lock(&lock);
    drain(stream);
    list_free(&stream->list);
    actc_free(stream);
    live--;
    return end(CUDA_SUCCESS);
}

static CUresult stream_synchronize(CUstream stream)
{
    BEGIN(true);
    if (stream->capture)
        return end(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    drain(stream);
    return end(sticky);
}

static CUresult capture_begin(CUstream stream, CUstreamCaptureMode mode)
{
    (void)mode;
    BEGIN(true);
    if (stream->capture)
        return end(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    stream->capture = actc_calloc(1, sizeof *stream->capture);
    captures += stream->capture != NULL;
    live += stream->capture != NULL;
    return end(stream->capture ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY);
}

static CUresult capture_end(CUstream stream, CUgraph *graph)
{
    pthread_mutex_lock(&lock); /* gives back what capture_begin took: does not fail */
    *graph = stream->capture;
    captures -= stream->capture != NULL;
    stream->capture = NULL;
    return end(*graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

static CUresult graph_instantiate(CUgraphExec *exec, CUgraph graph, unsigned long long flags)
{
    (void)flags;
    BEGIN(true);
    CUgraphExec made = actc_calloc(1, sizeof *made);
    op *ops = made ? actc_malloc((graph->list.count + 1) * sizeof *ops) : NULL;
    if (!ops) {
        actc_free(made);
        return end(CUDA_ERROR_OUT_OF_MEMORY);
    }
    if (graph->list.count) /* an empty list has no array, which memcpy must not be handed */
        memcpy(ops, graph->list.ops, graph->list.count * sizeof *ops);
    made->list = (op_list){.ops = ops, .count = graph->list.count};
    live++;
    *exec = made;
    return end(CUDA_SUCCESS);
}

static CUresult graph_destroy(CUgraph graph)
{
    pthread_mutex_lock(&lock);
    list_free(&graph->list);
    actc_free(graph);
    live--;
    return end(CUDA_SUCCESS);
}

static CUresult graph_exec_destroy(CUgraphExec exec)
{
    pthread_mutex_lock(&lock);
    list_free(&exec->list);
    actc_free(exec);
    live--;
    return end(CUDA_SUCCESS);
}

static CUresult graph_launch(CUgraphExec exec, CUstream stream)
{
    BEGIN(true);
    op o = {.kind = OP_GRAPH, .graph = exec};
    return end(append(stream, &o));
}

static CUresult event_create(CUevent *event, unsigned flags)
{
    (void)flags;
    BEGIN(true);
    *event = actc_calloc(1, sizeof **event);
    live += *event != NULL;
    return end(*event ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY);
}

static CUresult event_destroy(CUevent event)
{
    pthread_mutex_lock(&lock);
    actc_free(event);
    live--;
    return end(CUDA_SUCCESS);
}

/* A graph holds an event that the host asks for only where it is external. */
static CUresult event_record(CUevent event, CUstream stream, unsigned flags)
{
    BEGIN(true);
    op o = {.kind = OP_EVENT, .event = event};
    return end((stream->capture != NULL) == (flags == CU_EVENT_RECORD_EXTERNAL) ? append(stream, &o) : CUDA_ERROR_INVALID_VALUE);
}

static CUresult event_elapsed(float *milliseconds, CUevent start, CUevent stop)
{
    BEGIN(true);
    if (!(start->at > 0) || stop->at < start->at)
        return end(CUDA_ERROR_INVALID_VALUE);
    *milliseconds = (float)((stop->at - start->at) * 1e3);
    return end(CUDA_SUCCESS);
}

/* ---- kernels ---- */

static CUresult module_load(CUmodule *module, const void *image)
{
    BEGIN(true);
    if (captures)
        return end(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    *module = actc_calloc(1, sizeof **module);
    if (!*module)
        return end(CUDA_ERROR_OUT_OF_MEMORY);
    (*module)->kernel = actc_cuda_host_replace ? actc_cuda_host_replace(image) : image;
    live++;
    return end(CUDA_SUCCESS);
}

static CUresult module_unload(CUmodule module)
{
    pthread_mutex_lock(&lock);
    actc_free(module);
    live--;
    return end(CUDA_SUCCESS);
}

static CUresult module_function(CUfunction *function, CUmodule module, const char *name)
{
    BEGIN(true);
    static const char prefix[] = "actc_cuda_";
    if (strncmp(name, prefix, strlen(prefix)) != 0 || strcmp(name + strlen(prefix), module->kernel->name) != 0)
        return end(CUDA_ERROR_NOT_FOUND);
    *function = (CUfunction)(uintptr_t)module->kernel;
    return end(CUDA_SUCCESS);
}

static CUresult function_attribute(int *value, CUfunction_attribute attribute, CUfunction function)
{
    BEGIN(true);
    const actc_host_kernel *kernel = (const actc_host_kernel *)function;
    *value = attribute == CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES && kernel->shared_begin
                 ? (int)(kernel->shared_end - kernel->shared_begin)
             : attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? (int)ACTC_HOST_MAX_THREADS
                                                                    : 0;
    return end(CUDA_SUCCESS);
}

static CUresult launch_kernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                              unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void **params,
                              void **extra)
{
    BEGIN(true);
    op o = {.kind = OP_KERNEL, .kernel = (const actc_host_kernel *)function, .grid_x = grid_x, .grid_y = grid_y,
            .threads = block_x};
    if (grid_x == 0 || grid_y == 0 || grid_y > 65535 || grid_z != 1 || block_y != 1 || block_z != 1 || shared_bytes ||
        extra || o.kernel->params_bytes > sizeof o.params || o.kernel->n_views > ACTC_MAX_VIEWS)
        return end(CUDA_ERROR_INVALID_VALUE);
    memcpy(o.params.bytes, params[0], o.kernel->params_bytes);
    for (unsigned i = 0; i < o.kernel->n_views; i++) {
        o.views[i] = (void *)(uintptr_t)*(const CUdeviceptr *)params[1 + i];
        if (o.views[i] && !owned(o.views[i], 4, true))
            return end(CUDA_ERROR_INVALID_VALUE);
    }
    return end(append(stream, &o));
}

/* ---- the table ---- */

bool actc_cuda_load(actc_cuda_api *api, char *reason, size_t reason_size)
{
    (void)reason;
    (void)reason_size;
    *api = (actc_cuda_api){
        .driver_version = CUDA_VERSION,
        .driver_name = "no driver: host build of the kernels",
        .cuInit = init,
        .cuDriverGetVersion = driver_version,
        .cuGetErrorName = error_name,
        .cuGetErrorString = error_string,
        .cuDeviceGetCount = device_count,
        .cuDeviceGet = device_get,
        .cuDeviceGetName = device_name,
        .cuDeviceGetAttribute = device_attribute,
        .cuDeviceTotalMem = total_memory,
        .cuDevicePrimaryCtxRetain = context_retain,
        .cuDevicePrimaryCtxRelease = context_release,
        .cuCtxPushCurrent = context_push,
        .cuCtxPopCurrent = context_pop,
        .cuMemAlloc = mem_alloc,
        .cuMemFree = mem_free,
        .cuMemGetInfo = mem_info,
        .cuMemHostAlloc = host_alloc,
        .cuMemFreeHost = host_free,
        .cuMemcpyHtoDAsync = copy_to_device,
        .cuMemcpyDtoHAsync = copy_to_host,
        .cuMemcpyDtoDAsync = copy_on_device,
        .cuMemsetD32Async = fill,
        .cuStreamCreate = stream_create,
        .cuStreamDestroy = stream_destroy,
        .cuStreamSynchronize = stream_synchronize,
        .cuStreamBeginCapture = capture_begin,
        .cuStreamEndCapture = capture_end,
        .cuEventCreate = event_create,
        .cuEventDestroy = event_destroy,
        .cuEventRecordWithFlags = event_record,
        .cuEventElapsedTime = event_elapsed,
        .cuGraphInstantiateWithFlags = graph_instantiate,
        .cuGraphDestroy = graph_destroy,
        .cuGraphExecDestroy = graph_exec_destroy,
        .cuGraphLaunch = graph_launch,
        .cuModuleLoadData = module_load,
        .cuModuleUnload = module_unload,
        .cuModuleGetFunction = module_function,
        .cuFuncGetAttribute = function_attribute,
        .cuLaunchKernel = launch_kernel,
    };
    return true;
}

void actc_cuda_load_blas(actc_cuda_api *api)
{
    snprintf(api->blas_name, sizeof api->blas_name, "no cuBLASLt in the host build");
}

void actc_cuda_unload(actc_cuda_api *api)
{
    memset(api, 0, sizeof *api);
}
