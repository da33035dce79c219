/* memory.c: buffers, and moving bytes between them and the host.
 *
 * A buffer is one VkBuffer with one allocation of its own: arenas are few and large. Where the device shares the host's
 * memory (integrated, software) buffers stay mapped and there is no staging; elsewhere bytes go through a staging buffer
 * that the host reserves once. It belongs to the device, serves all of its networks and is given back with the last buffer, so
 * that what is allocated is what the plans of the networks that are there say. Everything is counted in allocated_bytes at
 * vkAllocateMemory.
 */
#include <string.h>

#include "vulkan.h"

/* Staging that upload and download make for themselves where nothing was reserved. */
#define UNRESERVED_STAGING_BYTES (1u << 20)

#define MAPPED_FLAGS (VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)

typedef enum memory_use { DEVICE_ARENA, MAPPED_ARENA, STAGING } memory_use;

/* The memory type for a use, by the flags that it should have besides those it must: the first list that any type
 * fulfils. */
static bool find_memory_type(const actc_vk_device *d, uint32_t types, memory_use use, uint32_t *index)
{
    static const VkMemoryPropertyFlags wanted[3][3] = {
        [DEVICE_ARENA] = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0, 0},
        [MAPPED_ARENA] = {MAPPED_FLAGS | VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                          MAPPED_FLAGS | VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                          MAPPED_FLAGS | VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT},
        [STAGING] = {MAPPED_FLAGS | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, MAPPED_FLAGS, MAPPED_FLAGS},
    };
    for (size_t w = 0; w < 3; w++)
        for (uint32_t i = 0; i < d->memory.memoryTypeCount; i++)
            if ((types & 1u << i) && (d->memory.memoryTypes[i].propertyFlags & wanted[use][w]) == wanted[use][w]) {
                *index = i;
                return true;
            }
    return false;
}

bool actc_vk_can_map(const actc_vk_device *d)
{
    uint32_t index;
    bool shared = d->physical.type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU ||
                  d->physical.type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    return shared && !actc_vk_knob("ACTC_VK_STAGING") && find_memory_type(d, UINT32_MAX, MAPPED_ARENA, &index);
}

static VkBufferCreateInfo buffer_info(uint64_t bytes, memory_use use)
{
    return (VkBufferCreateInfo){
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                 (use == STAGING ? 0 : VK_BUFFER_USAGE_STORAGE_BUFFER_BIT),
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
}

/* What the driver needs for a buffer, without allocating it; `bytes` where it does not answer. */
static uint64_t needed_bytes(actc_vk_device *d, uint64_t bytes, memory_use use)
{
    VkBufferCreateInfo info = buffer_info(bytes, use);
    VkBuffer probe;
    if (bytes == 0 || d->vk.vkCreateBuffer(d->handle, &info, NULL, &probe) != VK_SUCCESS)
        return bytes;
    VkMemoryRequirements needs;
    d->vk.vkGetBufferMemoryRequirements(d->handle, probe, &needs);
    d->vk.vkDestroyBuffer(d->handle, probe, NULL);
    return needs.size > bytes ? needs.size : bytes;
}

static void free_buffer(actc_vk_device *d, actc_buffer *buffer)
{
    if (!buffer)
        return;
    if (!actc_device_forked(&d->base)) {
        d->vk.vkDestroyBuffer(d->handle, buffer->handle, NULL);
        d->vk.vkFreeMemory(d->handle, buffer->memory, NULL);
    }
    d->base.allocated_bytes -= buffer->memory_bytes;
    actc_free(buffer);
}

static actc_status allocate_buffer(actc_vk_device *d, uint64_t bytes, memory_use use, const char *name, actc_buffer **out)
{
    actc_status status;
    *out = NULL;
    actc_buffer *buffer = actc_calloc(1, sizeof *buffer);
    if (!buffer)
        return actc_fail(d->base.context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: %zu bytes for a buffer",
                         sizeof *buffer);
    buffer->bytes = bytes;
    VkBufferCreateInfo info = buffer_info(bytes, use);
    VkMemoryRequirements needs;
    VkMemoryAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    VK_CREATE(buffer->handle, d->vk.vkCreateBuffer(d->handle, &info, NULL, &buffer->handle));
    d->vk.vkGetBufferMemoryRequirements(d->handle, buffer->handle, &needs);
    allocate.allocationSize = needs.size;
    if (!find_memory_type(d, needs.memoryTypeBits, use, &allocate.memoryTypeIndex)) {
        status = actc_fail(d->base.context, ACTC_ERROR_UNSUPPORTED, "%s has no memory for a %s", d->base.info.name, name);
        goto fail;
    }
    VkResult result = d->vk.vkAllocateMemory(d->handle, &allocate, NULL, &buffer->memory);
    if (result != VK_SUCCESS) {
        status = actc_fail(d->base.context, actc_vk_result_status(result), "vkAllocateMemory of %llu bytes for a %s: %s on %s",
                           (unsigned long long)needs.size, name, actc_vk_result_string(result), d->base.info.name);
        buffer->memory = VK_NULL_HANDLE;
        goto fail;
    }
    buffer->memory_bytes = needs.size;
    d->base.allocated_bytes += needs.size;
    VK(d->vk.vkBindBufferMemory(d->handle, buffer->handle, buffer->memory, 0));
    if (use != DEVICE_ARENA)
        VK(d->vk.vkMapMemory(d->handle, buffer->memory, 0, VK_WHOLE_SIZE, 0, &buffer->mapped));
    actc_vk_name(d, VK_OBJECT_TYPE_BUFFER, (uint64_t)buffer->handle, name);
    *out = buffer;
    return ACTC_OK;
fail:
    free_buffer(d, buffer);
    return status;
}

/* ---- staging ---- */

static bool have_staging(const actc_vk_device *d, uint64_t bytes)
{
    return d->n_staging > 0 && d->staging[d->n_staging - 1]->bytes >= bytes;
}

/* What reserve would obtain beyond what there is: all of a new buffer, for programs that are recorded use the old one. */
uint64_t actc_vk_overhead_bytes(actc_device *device, uint64_t transfer)
{
    actc_vk_device *d = (actc_vk_device *)device;
    return d->mapped || have_staging(d, transfer) ? 0 : needed_bytes(d, actc_align(transfer, ACTC_VIEW_ALIGNMENT), STAGING);
}

actc_status actc_vk_reserve(actc_device *device, uint64_t transfer)
{
    actc_vk_device *d = (actc_vk_device *)device;
    actc_buffer *buffer;
    return d->mapped || transfer == 0 ? ACTC_OK : actc_vk_staging(d, transfer, &buffer);
}

actc_status actc_vk_staging(actc_vk_device *d, uint64_t bytes, actc_buffer **out)
{
    if (have_staging(d, bytes)) {
        *out = d->staging[d->n_staging - 1];
        return ACTC_OK;
    }
    actc_buffer **grown = actc_realloc(d->staging, (d->n_staging + 1) * sizeof *grown);
    if (!grown)
        return actc_fail(d->base.context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: list of staging buffers");
    d->staging = grown;
    actc_status status = allocate_buffer(d, actc_align(bytes, ACTC_VIEW_ALIGNMENT), STAGING, "staging buffer", out);
    if (status == ACTC_OK)
        d->staging[d->n_staging++] = *out;
    return status;
}

void actc_vk_staging_free(actc_vk_device *d)
{
    for (size_t i = 0; i < d->n_staging; i++)
        free_buffer(d, d->staging[i]);
    actc_free(d->staging);
    d->staging = NULL;
    d->n_staging = 0;
}

/* ---- transfers ---- */

typedef enum transfer_kind { UPLOAD, DOWNLOAD, ZERO } transfer_kind;

/* One transfer, complete when this returns. */
static actc_status transfer(actc_vk_device *d, transfer_kind kind, const actc_buffer *buffer, uint64_t offset,
                            const actc_buffer *staging, uint64_t bytes)
{
    actc_status status;
    VkCommandBuffer commands = d->transfer_commands;
    VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    VK(d->vk.vkBeginCommandBuffer(commands, &begin));
    VkBufferCopy copy = {.size = bytes};
    if (kind == ZERO) {
        d->vk.vkCmdFillBuffer(commands, buffer->handle, offset, bytes, 0);
    } else if (kind == UPLOAD) {
        copy.dstOffset = offset;
        d->vk.vkCmdCopyBuffer(commands, staging->handle, buffer->handle, 1, &copy);
    } else {
        copy.srcOffset = offset;
        d->vk.vkCmdCopyBuffer(commands, buffer->handle, staging->handle, 1, &copy);
        actc_vk_barrier_all(d, commands, true);
    }
    VK(d->vk.vkEndCommandBuffer(commands));
    status = actc_vk_submit(d, commands);
    if (status == ACTC_OK)
        status = actc_vk_wait(d, d->submitted);
fail:
    return status;
}

static actc_status move(actc_vk_device *d, transfer_kind kind, actc_buffer *buffer, uint64_t offset, char *host,
                        uint64_t bytes)
{
    actc_status status = actc_vk_wait(d, d->submitted);
    if (status != ACTC_OK || bytes == 0)
        return status;
    if (buffer->mapped) {
        if (kind == UPLOAD)
            memcpy((char *)buffer->mapped + offset, host, (size_t)bytes);
        else
            memcpy(host, (char *)buffer->mapped + offset, (size_t)bytes);
        return ACTC_OK;
    }
    actc_buffer *staging;
    if (d->n_staging > 0) {
        staging = d->staging[d->n_staging - 1];
    } else {
        status = actc_vk_staging(d, UNRESERVED_STAGING_BYTES, &staging);
        if (status != ACTC_OK)
            return status;
    }
    while (bytes > 0 && status == ACTC_OK) {
        uint64_t part = bytes < staging->bytes ? bytes : staging->bytes;
        if (kind == UPLOAD)
            memcpy(staging->mapped, host, (size_t)part);
        status = transfer(d, kind, buffer, offset, staging, part);
        if (kind == DOWNLOAD && status == ACTC_OK)
            memcpy(host, staging->mapped, (size_t)part);
        host += part;
        offset += part;
        bytes -= part;
    }
    return status;
}

actc_status actc_vk_upload(actc_device *device, actc_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes)
{
    actc_vk_device *d = (actc_vk_device *)device;
    d->label = "upload";
    return move(d, UPLOAD, buffer, offset, (char *)source, bytes);
}

actc_status actc_vk_download(actc_device *device, actc_buffer *buffer, uint64_t offset, void *target, uint64_t bytes)
{
    actc_vk_device *d = (actc_vk_device *)device;
    d->label = "download";
    return move(d, DOWNLOAD, buffer, offset, target, bytes);
}

/* ---- arenas ---- */

uint64_t actc_vk_buffer_bytes(actc_device *device, uint64_t bytes)
{
    actc_vk_device *d = (actc_vk_device *)device;
    return needed_bytes(d, bytes, d->mapped ? MAPPED_ARENA : DEVICE_ARENA);
}

actc_status actc_vk_buffer_create(actc_device *device, uint64_t bytes, actc_buffer **out)
{
    actc_vk_device *d = (actc_vk_device *)device;
    d->label = "arena";
    *out = NULL;
    if (bytes > d->base.info.max_buffer_bytes)
        return actc_fail(d->base.context, ACTC_ERROR_OUT_OF_MEMORY, "a buffer of %llu bytes; %s allows %llu",
                         (unsigned long long)bytes, d->base.info.name,
                         (unsigned long long)d->base.info.max_buffer_bytes);
    actc_buffer *buffer;
    actc_status status = allocate_buffer(d, bytes, d->mapped ? MAPPED_ARENA : DEVICE_ARENA, "arena", &buffer);
    if (status != ACTC_OK)
        return status;
    if (buffer->mapped)
        memset(buffer->mapped, 0, (size_t)bytes);
    else
        status = transfer(d, ZERO, buffer, 0, NULL, bytes);
    if (status != ACTC_OK) {
        free_buffer(d, buffer);
        return status;
    }
    d->n_buffers++;
    *out = buffer;
    return ACTC_OK;
}

void actc_vk_buffer_destroy(actc_device *device, actc_buffer *buffer)
{
    actc_vk_device *d = (actc_vk_device *)device;
    if (!buffer)
        return;
    actc_vk_wait(d, d->submitted); /* a failure leaves nothing to wait for */
    free_buffer(d, buffer);
    if (--d->n_buffers == 0)
        actc_vk_staging_free(d);
}
