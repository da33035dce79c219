/* device.c: the CPU as a device: what it is, its buffers, and the backend's table of functions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu_device.h"

/* The processor's name as the kernel of the operating system reports it. */
static void processor_name(char *name, size_t size)
{
    snprintf(name, size, "CPU");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file)
        return;
    char line[512];
    while (fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = '\0';
        if (*colon)
            snprintf(name, size, "%s", colon);
        break;
    }
    fclose(file);
}

static actc_device_info describe(void)
{
    actc_device_info info = {.spec = "cpu", .backend = "cpu", .type = ACTC_DEVICE_CPU, .usable = true, .exact = true};
    char library[64];
    processor_name(info.name, sizeof info.name);
    actc_dnnl_version_text(library, sizeof library);
    snprintf(info.driver, sizeof info.driver, "%s, %s, %s kernels", library, actc_parallel_name(),
             actc_cpu_isa_string(actc_cpu_isa_detect()));
    snprintf(info.exact_evidence, sizeof info.exact_evidence, "executed; -ffp-contract=off, FLT_EVAL_METHOD 0");
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    info.memory_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    info.max_buffer_bytes = (uint64_t)PTRDIFF_MAX / ACTC_VIEW_ALIGNMENT * ACTC_VIEW_ALIGNMENT;
    info.max_binding_bytes = info.max_buffer_bytes;
    info.threads = (uint32_t)actc_parallel_default_threads();
    return info;
}

static actc_status enumerate(actc_context *context, actc_device_sink sink, void *user)
{
    (void)context;
    actc_device_info info = describe();
    sink(user, &info);
    return ACTC_OK;
}

static void close_device(actc_device *base)
{
    actc_cpu_device *device = (actc_cpu_device *)base;
    if (!device)
        return;
    actc_dnnl_close(device);
    actc_free(device->library_status);
    actc_free(device);
}

static actc_status open_device(actc_context *context, const actc_device_options *options, const actc_device_info *info,
                               actc_device **out)
{
    *out = NULL;
    actc_cpu_device *device = actc_calloc(1, sizeof *device);
    if (!device)
        return actc_fail(context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: %zu bytes for a device", sizeof *device);
    device->base.backend = &actc_backend_cpu;
    device->base.context = context;
    device->base.info = *info;
    device->base.deterministic = options->deterministic;
    device->threads = options->threads > 0 ? options->threads : actc_parallel_default_threads();
    if (device->threads > ACTC_MAX_THREADS)
        device->threads = ACTC_MAX_THREADS;
    device->isa = actc_cpu_isa_detect();
    device->codec = actc_cpu_codec_way_of_environment(device->isa, device->threads);
    device->timed = getenv("ACTC_PERF") != NULL;
    device->library_status = actc_calloc((size_t)device->threads, sizeof *device->library_status);
    actc_status status = device->library_status ? actc_dnnl_open(device)
                                                : actc_fail(context, ACTC_ERROR_OUT_OF_MEMORY,
                                                            "out of host memory: CPU device of %d threads", device->threads);
    if (status != ACTC_OK) {
        close_device(&device->base);
        return status;
    }
    *out = &device->base;
    return ACTC_OK;
}

static actc_status buffer_create(actc_device *device, uint64_t bytes, actc_buffer **out)
{
    *out = NULL;
    actc_buffer *buffer = actc_calloc(1, sizeof *buffer);
    void *data = buffer && bytes <= SIZE_MAX ? actc_malloc_pages((size_t)bytes) : NULL;
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
    actc_free_pages(buffer->data);
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

const actc_backend actc_backend_cpu = {
    .name = "cpu",
    .survives_fork = true,
    .enumerate = enumerate,
    .open = open_device,
    .close = close_device,
    .supports = actc_cpu_supports,
    .workspace_bytes = actc_cpu_workspace_bytes,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .upload = upload,
    .download = download,
    .prepare = actc_cpu_prepare,
    .executable_destroy = actc_cpu_executable_destroy,
    .run = actc_cpu_run,
    .times = actc_cpu_times,
    .segments = actc_cpu_segments,
};
