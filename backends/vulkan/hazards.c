/* hazards.c: barriers, where commands meet in memory and nowhere else. */
#include "vulkan.h"

static const VkPipelineStageFlags device_stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;

void actc_vk_barrier_all(actc_vk_device *d, VkCommandBuffer commands, bool host)
{
    VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = host ? VK_ACCESS_HOST_READ_BIT
                              : VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
                                    VK_ACCESS_TRANSFER_WRITE_BIT,
    };
    d->vk.vkCmdPipelineBarrier(commands, device_stages, host ? VK_PIPELINE_STAGE_HOST_BIT : device_stages, 0, 1, &barrier, 0,
                               NULL, 0, NULL);
}

static bool must_wait(const actc_vk_access *before, const actc_vk_access *after)
{
    return (before->write || after->write) && before->buffer == after->buffer && before->begin < after->end &&
           after->begin < before->end;
}

/* A barrier from what is pending. It orders all of it, also what nobody waits for yet: one barrier for all costs less than
 * several, and afterwards nothing is pending. */
static void barrier(actc_vk_device *d, actc_vk_hazards *hazards, VkCommandBuffer commands)
{
    VkPipelineStageFlags stages = 0;
    VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
                         VK_ACCESS_TRANSFER_WRITE_BIT,
    };
    for (size_t i = 0; i < hazards->count; i++) {
        const actc_vk_access *a = &hazards->pending[i];
        stages |= a->transfer ? VK_PIPELINE_STAGE_TRANSFER_BIT : VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
        if (a->write)
            memory.srcAccessMask |= a->transfer ? VK_ACCESS_TRANSFER_WRITE_BIT : VK_ACCESS_SHADER_WRITE_BIT;
    }
    d->vk.vkCmdPipelineBarrier(commands, stages, device_stages, 0, 1, &memory, 0, NULL, 0, NULL);
    hazards->count = 0;
}

bool actc_vk_hazards_next(actc_vk_device *d, actc_vk_hazards *hazards, VkCommandBuffer commands,
                          const actc_vk_access *accesses, size_t count)
{
    bool wait = d->serialize && hazards->count > 0;
    for (size_t i = 0; i < hazards->count && !wait; i++)
        for (size_t j = 0; j < count && !wait; j++)
            wait = must_wait(&hazards->pending[i], &accesses[j]);
    if (wait && !d->no_barriers)
        barrier(d, hazards, commands);
    if (hazards->count + count > hazards->capacity) {
        size_t capacity = 2 * hazards->capacity + count + 64;
        actc_vk_access *grown = actc_realloc(hazards->pending, capacity * sizeof *grown);
        if (!grown)
            return false;
        hazards->pending = grown;
        hazards->capacity = capacity;
    }
    for (size_t j = 0; j < count; j++)
        hazards->pending[hazards->count++] = accesses[j];
    return true;
}
