/* device.c: a backend that allocates host memory and runs nothing: for plans, tests and fuzzing. Buffers hold what is
 * uploaded; a run leaves them alone and succeeds. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../backend.h"

struct actc_buffer {
    void *data;
    uint64_t bytes;
};

struct actc_executable {
    const actc_program *program;
};

static actc_status enumerate(actc_context *context, actc_device_sink sink, void *user)
{
    (void)context;
    actc_device_info info = {.spec = "null", .backend = "null", .name = "null", .type = ACTC_DEVICE_NULL, .usable = true};
    snprintf(info.driver, sizeof info.driver, "allocates host memory, runs nothing");
    snprintf(info.exact_evidence, sizeof info.exact_evidence, "runs nothing");
    info.max_buffer_bytes = (uint64_t)PTRDIFF_MAX / ACTC_VIEW_ALIGNMENT * ACTC_VIEW_ALIGNMENT;
    info.max_binding_bytes = info.max_buffer_bytes;
    sink(user, &info);
    return ACTC_OK;
}

static actc_status open_device(actc_context *context, const actc_device_options *options, const actc_device_info *info,
                               actc_device **out)
{
    *out = actc_calloc(1, sizeof **out);
    if (!*out)
        return actc_fail(context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: %zu bytes for a device", sizeof **out);
    **out = (actc_device){.backend = &actc_backend_null,
                          .context = context,
                          .info = *info,
                          .deterministic = options->deterministic};
    return ACTC_OK;
}

static void close_device(actc_device *device)
{
    actc_free(device);
}

/* What is never written takes no memory, so a plan may be larger than the machine's; of a large one the system must not
 * reserve anything, which calloc would have it do. */
#define UNRESERVED ((uint64_t)1 << 30)

static void *zeros(uint64_t bytes)
{
    if (bytes > SIZE_MAX)
        return NULL;
    if (bytes < UNRESERVED)
        return actc_calloc(1, (size_t)bytes);
    void *data = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return data == MAP_FAILED ? NULL : data;
}

static actc_status buffer_create(actc_device *device, uint64_t bytes, actc_buffer **out)
{
    *out = NULL;
    actc_buffer *buffer = actc_calloc(1, sizeof *buffer);
    void *data = buffer ? zeros(bytes) : NULL;
    if (!data) {
        actc_free(buffer);
        return actc_fail(device->context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: %llu bytes for a buffer",
                         (unsigned long long)bytes);
    }
    buffer->data = data;
    buffer->bytes = bytes;
    device->allocated_bytes += bytes;
    *out = buffer;
    return ACTC_OK;
}

static void buffer_destroy(actc_device *device, actc_buffer *buffer)
{
    if (!buffer)
        return;
    device->allocated_bytes -= buffer->bytes;
    if (buffer->bytes < UNRESERVED)
        actc_free(buffer->data);
    else
        munmap(buffer->data, (size_t)buffer->bytes);
    actc_free(buffer);
}

static actc_status upload(actc_device *device, actc_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes)
{
    (void)device;
    if (bytes)
        memcpy((char *)buffer->data + offset, source, (size_t)bytes);
    return ACTC_OK;
}

static actc_status download(actc_device *device, actc_buffer *buffer, uint64_t offset, void *target, uint64_t bytes)
{
    (void)device;
    if (bytes)
        memcpy(target, (const char *)buffer->data + offset, (size_t)bytes);
    return ACTC_OK;
}

static actc_status prepare(actc_device *device, const actc_program *program, actc_buffer *const *buffers,
                           uint32_t n_buffers, actc_executable **out)
{
    (void)buffers;
    (void)n_buffers;
    *out = actc_calloc(1, sizeof **out);
    if (!*out)
        return actc_fail(device->context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: program %s", program->name);
    (*out)->program = program;
    return ACTC_OK;
}

static void executable_destroy(actc_device *device, actc_executable *executable)
{
    (void)device;
    actc_free(executable);
}

static actc_status run(actc_device *device, actc_executable *executable)
{
    (void)device;
    (void)executable;
    return ACTC_OK;
}

static uint32_t segments(const actc_executable *executable)
{
    return actc_program_segments(executable->program);
}

const actc_backend actc_backend_null = {
    .name = "null",
    .survives_fork = true,
    .enumerate = enumerate,
    .open = open_device,
    .close = close_device,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .upload = upload,
    .download = download,
    .prepare = prepare,
    .executable_destroy = executable_destroy,
    .run = run,
    .segments = segments,
};
