/* memory.c: device memory, and the page-locked staging that moves data in and out.
 *
 * The staging belongs to the device and serves all of its networks; it is given back with the last buffer, so that what is
 * allocated is what the plans of the networks that are there say.
 *
 * All work goes to one stream, so an upload needs no wait for kernels in flight: it is ordered behind them. What it needs
 * is staging that no earlier upload still reads, hence the front-to-back use of it. A download waits for everything.
 */
#include "cuda_internal.h"

#include <string.h>

/* Room for what a step uploads beside its batch (labels, step block), so that a step's uploads do not wait for each
 * other. */
#define STAGING_EXTRA (64u * 1024u)

static uint64_t staging_for(uint64_t transfer)
{
    return actc_align(transfer, ACTC_VIEW_ALIGNMENT) + STAGING_EXTRA;
}

/* What reserve would obtain beyond what there is. */
uint64_t actc_cuda_overhead_bytes(actc_device *base, uint64_t transfer)
{
    uint64_t there = ((actc_cuda_device *)base)->staging_bytes, bytes = staging_for(transfer);
    return bytes > there ? bytes - there : 0;
}

void actc_cuda_release_staging(actc_cuda_device *device)
{
    if (!device->staging)
        return;
    if (!actc_device_forked(&device->base))
        device->api.cuMemFreeHost(device->staging);
    device->base.allocated_bytes -= device->staging_bytes;
    device->staging = NULL;
    device->staging_bytes = device->staging_used = 0;
}

/* Waits for all work in flight: the staging is free again then. */
static actc_status wait(actc_cuda_device *device, const char *what)
{
    actc_status status = ACTC_OK;
    CU(cuStreamSynchronize(device->stream), what);
    device->staging_used = 0;
error:
    return status;
}

actc_status actc_cuda_reserve(actc_device *base, uint64_t transfer)
{
    actc_cuda_device *device = (actc_cuda_device *)base;
    uint64_t bytes = staging_for(transfer);
    if (bytes <= device->staging_bytes)
        return ACTC_OK;
    actc_status status = actc_cuda_enter(device);
    if (status != ACTC_OK)
        return status;
    status = wait(device, "reserve staging");
    if (status != ACTC_OK)
        goto error;
    actc_cuda_release_staging(device);
    void *staging = NULL;
    CU(cuMemHostAlloc(&staging, bytes, 0), "reserve staging");
    device->staging = staging;
    device->staging_bytes = bytes;
    device->base.allocated_bytes += bytes;
error:
    actc_cuda_leave(device);
    return status;
}

actc_status actc_cuda_buffer_create(actc_device *base, uint64_t bytes, actc_buffer **out)
{
    actc_cuda_device *device = (actc_cuda_device *)base;
    *out = NULL;
    actc_buffer *buffer = actc_calloc(1, sizeof *buffer);
    if (!buffer)
        return actc_fail(base->context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: %zu bytes for a buffer",
                         sizeof *buffer);
    actc_status status = actc_cuda_enter(device);
    if (status != ACTC_OK) {
        actc_free(buffer);
        return status;
    }
    CUresult result = device->api.cuMemAlloc(&buffer->address, bytes);
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
        size_t available = 0, total = 0;
        device->api.cuMemGetInfo(&available, &total);
        status = actc_fail(base->context, ACTC_ERROR_OUT_OF_MEMORY,
                           "%s: out of device memory: %llu bytes wanted, %llu of %llu free", base->info.spec,
                           (unsigned long long)bytes, (unsigned long long)available, (unsigned long long)total);
        goto error;
    }
    if (result != CUDA_SUCCESS) {
        status = actc_cuda_fail(device, result, "cuMemAlloc", "create a buffer");
        goto error;
    }
    buffer->bytes = bytes;
    base->allocated_bytes += bytes;
    device->n_buffers++;
    CU(cuMemsetD32Async(buffer->address, 0, bytes / 4, device->stream), "clear a buffer");
error:
    actc_cuda_leave(device);
    if (status != ACTC_OK) {
        actc_cuda_buffer_destroy(base, buffer);
        return status;
    }
    *out = buffer;
    return ACTC_OK;
}

void actc_cuda_buffer_destroy(actc_device *base, actc_buffer *buffer)
{
    actc_cuda_device *device = (actc_cuda_device *)base;
    if (!buffer)
        return;
    if (actc_device_forked(base)) {
        base->allocated_bytes -= buffer->bytes;
        if (--device->n_buffers == 0)
            actc_cuda_release_staging(device);
    } else if (buffer->address && actc_cuda_enter(device) == ACTC_OK) {
        device->api.cuStreamSynchronize(device->stream);
        device->api.cuMemFree(buffer->address);
        base->allocated_bytes -= buffer->bytes;
        if (--device->n_buffers == 0)
            actc_cuda_release_staging(device);
        actc_cuda_leave(device);
    }
    actc_free(buffer);
}

/* A network reserves before it creates buffers; a buffer used on its own (the codec interface) may not have. */
static actc_status need_staging(actc_device *base)
{
    return ((actc_cuda_device *)base)->staging ? ACTC_OK : actc_cuda_reserve(base, 0);
}

actc_status actc_cuda_upload(actc_device *base, actc_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes)
{
    actc_cuda_device *device = (actc_cuda_device *)base;
    actc_status status = need_staging(base);
    if (status != ACTC_OK || (status = actc_cuda_enter(device)) != ACTC_OK)
        return status;
    const char *from = source;
    while (bytes) {
        uint64_t room = device->staging_bytes - device->staging_used;
        if (room < bytes && device->staging_used) {
            status = wait(device, "upload");
            if (status != ACTC_OK)
                goto error;
            room = device->staging_bytes;
        }
        uint64_t part = bytes < room ? bytes : room;
        char *to = device->staging + device->staging_used;
        memcpy(to, from, part);
        CU(cuMemcpyHtoDAsync(buffer->address + offset, to, part, device->stream), "upload");
        device->staging_used += actc_align(part, ACTC_VIEW_ALIGNMENT);
        if (device->staging_used > device->staging_bytes)
            device->staging_used = device->staging_bytes;
        from += part;
        offset += part;
        bytes -= part;
    }
error:
    actc_cuda_leave(device);
    return status;
}

actc_status actc_cuda_download(actc_device *base, actc_buffer *buffer, uint64_t offset, void *target, uint64_t bytes)
{
    actc_cuda_device *device = (actc_cuda_device *)base;
    actc_status status = need_staging(base);
    if (status != ACTC_OK || (status = actc_cuda_enter(device)) != ACTC_OK)
        return status;
    char *to = target;
    status = wait(device, "download");
    while (bytes && status == ACTC_OK) {
        uint64_t part = bytes < device->staging_bytes ? bytes : device->staging_bytes;
        CU(cuMemcpyDtoHAsync(device->staging, buffer->address + offset, part, device->stream), "download");
        status = wait(device, "download");
        if (status == ACTC_OK)
            memcpy(to, device->staging, part);
        to += part;
        offset += part;
        bytes -= part;
    }
error:
    actc_cuda_leave(device);
    return status;
}
