/* program.c: a program as command buffers that are recorded once and submitted again and again.
 *
 * A segment is one command buffer: what lies between two host functions. Everything a run needs is made in prepare;
 * descriptor sets are written once, since views never move.
 */
#include <string.h>

#include "vulkan.h"

/* Workgroups in the first dimension of a dispatch; the rest of a launch goes into the second. */
#define DISPATCH_WIDTH 65535u

typedef struct segment {
    VkCommandBuffer commands;       /* none where a host function follows another */
    const actc_command *host;       /* the function that follows, or NULL */
    void *host_views[ACTC_MAX_VIEWS];
} segment;

struct actc_executable {
    VkCommandPool commands;
    VkDescriptorPool descriptors;
    segment *segments;
    uint32_t n_segments, submissions;
    uint64_t last; /* value of its last submission */
    /* of a timed program: its timestamps, before and after each command, and what host functions took */
    const actc_program *program;
    VkQueryPool queries;
    bool *stamped; /* [command]: it has timestamps */
    double *host_seconds;
};

/* What recording needs besides the executable. */
typedef struct recorder {
    actc_vk_device *d;
    actc_executable *executable;
    actc_buffer *const *buffers;
    uint32_t n_buffers;
    actc_vk_hazards hazards;
    VkCommandBuffer commands; /* being recorded, or none */
    actc_buffer *staging;     /* host functions' views, where memory is not mapped */
} recorder;

void actc_vk_executable_destroy(actc_device *device, actc_executable *executable)
{
    actc_vk_device *d = (actc_vk_device *)device;
    if (!executable)
        return;
    if (!actc_device_forked(device)) {
        actc_vk_wait(d, executable->last); /* a failure leaves nothing to wait for */
        d->vk.vkDestroyDescriptorPool(d->handle, executable->descriptors, NULL);
        d->vk.vkDestroyCommandPool(d->handle, executable->commands, NULL);
        d->vk.vkDestroyQueryPool(d->handle, executable->queries, NULL);
    }
    actc_free(executable->stamped);
    actc_free(executable->host_seconds);
    actc_free(executable->segments);
    actc_free(executable);
}

/* ---- recording ---- */

static bool view_present(const actc_view *view)
{
    return view->bytes > 0 && view->buffer != ACTC_NO_BUFFER;
}

static bool writes(uint8_t access)
{
    return access != 'r';
}

static actc_vk_access access_of(const recorder *r, const actc_view *view, bool write, bool transfer)
{
    return (actc_vk_access){
        .buffer = r->buffers[view->buffer]->handle,
        .begin = view->offset,
        .end = view->offset + actc_align(view->bytes, 4),
        .write = write,
        .transfer = transfer,
    };
}

static actc_status no_memory(const actc_vk_device *d)
{
    return actc_fail(d->base.context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: recording a program");
}

static actc_status begin_commands(recorder *r)
{
    actc_vk_device *d = r->d;
    actc_status status;
    VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = r->executable->commands,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VK_CREATE(r->commands, d->vk.vkAllocateCommandBuffers(d->handle, &allocate, &r->commands));
    VK(d->vk.vkBeginCommandBuffer(r->commands, &begin));
    r->hazards.count = 0; /* the semaphore orders submissions */
fail:
    return status;
}

/* Ends the segment. What it wrote is made visible to the host, which may read it once the submission is done. */
static actc_status end_segment(recorder *r, const actc_command *host)
{
    actc_vk_device *d = r->d;
    actc_status status = ACTC_OK;
    segment *s = &r->executable->segments[r->executable->n_segments++];
    s->host = host;
    if (r->commands) {
        s->commands = r->commands;
        actc_vk_barrier_all(d, r->commands, true);
        VK(d->vk.vkEndCommandBuffer(r->commands));
        r->executable->submissions++;
    }
fail:
    r->commands = VK_NULL_HANDLE;
    return status;
}

/* Descriptors of a launch. A view that has no bytes gets the first one that has: the kernel does not touch it, but a
 * descriptor must name something. */
static actc_status write_descriptors(recorder *r, const actc_command *command, VkDescriptorSet *set,
                                     actc_vk_access accesses[ACTC_MAX_VIEWS])
{
    actc_vk_device *d = r->d;
    actc_status status;
    VkDescriptorSetAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = r->executable->descriptors,
        .descriptorSetCount = 1,
        .pSetLayouts = &d->set_layout,
    };
    VkDescriptorBufferInfo infos[ACTC_MAX_VIEWS];
    VkWriteDescriptorSet list[ACTC_MAX_VIEWS];
    uint32_t present = 0;
    while (present < command->n_views && !view_present(&command->views[present]))
        present++;
    if (present == command->n_views)
        return actc_fail(d->base.context, ACTC_ERROR_INTERNAL, "%s: a launch without any view", command->label);
    VK_CREATE(*set, d->vk.vkAllocateDescriptorSets(d->handle, &allocate, set));
    for (uint32_t i = 0; i < command->n_views; i++) {
        const actc_view *view = &command->views[view_present(&command->views[i]) ? i : present];
        uint64_t bytes = actc_align(view->bytes, 4);
        if (bytes > d->physical.info.max_binding_bytes) {
            status = actc_fail(d->base.context, ACTC_ERROR_UNSUPPORTED, "%s: view %u has %llu bytes, a kernel sees %llu",
                               command->label, i, (unsigned long long)bytes,
                               (unsigned long long)d->physical.info.max_binding_bytes);
            goto fail;
        }
        accesses[i] = access_of(r, view, writes(command->access[i]), false);
        infos[i] = (VkDescriptorBufferInfo){accesses[i].buffer, view->offset, bytes};
        list[i] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = *set,
            .dstBinding = i,
            .descriptorCount = 1,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = &infos[i],
        };
    }
    d->vk.vkUpdateDescriptorSets(d->handle, command->n_views, list, 0, NULL);
    status = actc_vk_check_fault(d);
fail:
    return status;
}

static actc_status record_launch(recorder *r, const actc_vk_work *work)
{
    actc_vk_device *d = r->d;
    const actc_command *command = &work->command;
    const actc_kernel_info *kernel = &actc_kernel_infos[command->u.kernel.id];
    actc_vk_access accesses[ACTC_MAX_VIEWS];
    VkPipeline pipeline;
    VkDescriptorSet set;
    actc_status status = actc_vk_kernel_pipeline(d, command->u.kernel.id, work->tile, &pipeline);
    if (status == ACTC_OK)
        status = write_descriptors(r, command, &set, accesses);
    if (status != ACTC_OK)
        return status;
    if (!actc_vk_hazards_next(d, &r->hazards, r->commands, accesses, command->n_views))
        return no_memory(d);
    uint32_t groups = command->u.kernel.groups;
    uint32_t width = groups < DISPATCH_WIDTH ? groups : DISPATCH_WIDTH;
    uint32_t height = (groups - 1) / DISPATCH_WIDTH + 1;
    d->vk.vkCmdBindPipeline(r->commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    d->vk.vkCmdBindDescriptorSets(r->commands, VK_PIPELINE_BIND_POINT_COMPUTE, d->pipeline_layout, 0, 1, &set, 0, NULL);
    d->vk.vkCmdPushConstants(r->commands, d->pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, kernel->params_bytes,
                             command->u.kernel.params.bytes);
    d->vk.vkCmdDispatch(r->commands, width, height, 1);
    return actc_vk_check_fault(d);
}

static actc_status record_copy(recorder *r, const actc_command *command)
{
    const actc_view *from = &command->views[0], *to = &command->views[1];
    if (!view_present(to))
        return ACTC_OK;
    actc_vk_access accesses[2] = {access_of(r, from, false, true), access_of(r, to, true, true)};
    if (!actc_vk_hazards_next(r->d, &r->hazards, r->commands, accesses, 2))
        return no_memory(r->d);
    VkBufferCopy copy = {.srcOffset = from->offset, .dstOffset = to->offset, .size = to->bytes};
    r->d->vk.vkCmdCopyBuffer(r->commands, accesses[0].buffer, accesses[1].buffer, 1, &copy);
    return actc_vk_check_fault(r->d);
}

static actc_status record_fill(recorder *r, const actc_command *command)
{
    const actc_view *to = &command->views[0];
    if (!view_present(to))
        return ACTC_OK;
    actc_vk_access access = access_of(r, to, true, true);
    if (!actc_vk_hazards_next(r->d, &r->hazards, r->commands, &access, 1))
        return no_memory(r->d);
    r->d->vk.vkCmdFillBuffer(r->commands, access.buffer, to->offset, actc_align(to->bytes, 4), command->u.fill.word);
    return actc_vk_check_fault(r->d);
}

/* Where memory is not mapped, a host function's views are copied to staging memory before it and back after it. */
static actc_status record_staging(recorder *r, const actc_command *host, bool before)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < host->n_views; i++) {
        const actc_view *view = &host->views[i];
        if (!view_present(view))
            continue;
        uint64_t bytes = actc_align(view->bytes, 4);
        /* before: also what is only written, since a function may leave a part alone */
        if (before || writes(host->access[i])) {
            actc_vk_access arena = access_of(r, view, !before, true);
            actc_vk_access staging = {r->staging->handle, at, at + bytes, before, true};
            actc_vk_access accesses[2] = {arena, staging};
            VkBufferCopy copy = {before ? view->offset : at, before ? at : view->offset, bytes};
            if (!actc_vk_hazards_next(r->d, &r->hazards, r->commands, accesses, 2))
                return no_memory(r->d);
            r->d->vk.vkCmdCopyBuffer(r->commands, before ? arena.buffer : staging.buffer,
                                     before ? staging.buffer : arena.buffer, 1, &copy);
        }
        at += actc_align(bytes, ACTC_VIEW_ALIGNMENT);
    }
    return actc_vk_check_fault(r->d);
}

static uint64_t staging_bytes(const actc_command *host)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < host->n_views; i++)
        if (view_present(&host->views[i]))
            bytes += actc_align(host->views[i].bytes, ACTC_VIEW_ALIGNMENT);
    return bytes;
}

/* A host function ends the segment; the next one begins with what it wrote. */
static actc_status record_host(recorder *r, const actc_command *host)
{
    actc_status status = ACTC_OK;
    bool staged = !r->d->mapped && staging_bytes(host) > 0;
    if (staged && !r->commands)
        status = begin_commands(r);
    if (staged && status == ACTC_OK)
        status = record_staging(r, host, true);
    if (status == ACTC_OK)
        status = end_segment(r, host);
    if (status != ACTC_OK)
        return status;
    segment *s = &r->executable->segments[r->executable->n_segments - 1];
    uint64_t at = 0;
    for (uint32_t i = 0; i < host->n_views; i++) {
        const actc_view *view = &host->views[i];
        if (!view_present(view))
            continue;
        s->host_views[i] = r->d->mapped ? (char *)r->buffers[view->buffer]->mapped + view->offset
                                        : (char *)r->staging->mapped + at;
        at += actc_align(view->bytes, ACTC_VIEW_ALIGNMENT);
    }
    if (staged)
        status = begin_commands(r);
    if (staged && status == ACTC_OK)
        status = record_staging(r, host, false);
    return status;
}

static actc_status record(recorder *r, const actc_vk_work *work)
{
    const actc_command *command = &work->command;
    r->d->label = command->label;
    for (uint32_t i = 0; i < command->n_views; i++)
        if (view_present(&command->views[i]) && command->views[i].buffer >= r->n_buffers)
            return actc_fail(r->d->base.context, ACTC_ERROR_INTERNAL, "%s: view %u names buffer %u of %u", command->label,
                             i, command->views[i].buffer, r->n_buffers);
    if (command->type == ACTC_COMMAND_HOST)
        return record_host(r, work->source);
    if (!r->commands) {
        actc_status status = begin_commands(r);
        if (status != ACTC_OK)
            return status;
    }
    switch (command->type) {
    case ACTC_COMMAND_KERNEL: return record_launch(r, work);
    case ACTC_COMMAND_COPY: return record_copy(r, command);
    case ACTC_COMMAND_FILL: return record_fill(r, command);
    default: return actc_fail(r->d->base.context, ACTC_ERROR_INTERNAL, "%s: not expanded", command->label);
    }
}

/* ---- timestamps, of a timed program ---- */

static actc_status create_queries(actc_vk_device *d, actc_executable *executable, const actc_program *program)
{
    actc_status status;
    if (!d->physical.timestamp_bits || !(d->physical.timestamp_seconds > 0))
        return actc_fail(d->base.context, ACTC_ERROR_UNSUPPORTED, "%s: its queue has no timestamps (timestampValidBits is 0)",
                         d->base.info.spec);
    executable->program = program;
    executable->stamped = actc_calloc(program->n_commands, sizeof *executable->stamped);
    executable->host_seconds = actc_calloc(program->n_commands, sizeof *executable->host_seconds);
    if (!executable->stamped || !executable->host_seconds)
        return no_memory(d);
    VkQueryPoolCreateInfo queries = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = 2 * program->n_commands,
    };
    VK_CREATE(executable->queries, d->vk.vkCreateQueryPool(d->handle, &queries, NULL, &executable->queries));
    return ACTC_OK;
fail:
    return status;
}

/* Before: what was recorded earlier is done first, so that commands do not overlap. */
static actc_status record_stamp(recorder *r, const actc_command *source, bool before)
{
    actc_vk_device *d = r->d;
    actc_executable *executable = r->executable;
    uint32_t index = (uint32_t)(source - executable->program->commands);
    if (source->type == ACTC_COMMAND_HOST)
        return ACTC_OK;
    if (!r->commands) {
        actc_status status = begin_commands(r);
        if (status != ACTC_OK)
            return status;
    }
    if (before) {
        actc_vk_barrier_all(d, r->commands, false);
        r->hazards.count = 0;
        d->vk.vkCmdResetQueryPool(r->commands, executable->queries, 2 * index, 2);
    }
    d->vk.vkCmdWriteTimestamp(r->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, executable->queries, 2 * index + !before);
    executable->stamped[index] = true;
    return actc_vk_check_fault(d);
}

/* One of the list, with timestamps around all that came from the same command. */
static actc_status record_item(recorder *r, const actc_vk_work_list *list, size_t i)
{
    const actc_command *source = list->items[i].source;
    bool timed = r->executable->queries;
    actc_status status = ACTC_OK;
    if (timed && (i == 0 || list->items[i - 1].source != source))
        status = record_stamp(r, source, true);
    if (status == ACTC_OK)
        status = record(r, &list->items[i]);
    if (timed && status == ACTC_OK && (i + 1 == list->count || list->items[i + 1].source != source))
        status = record_stamp(r, source, false);
    return status;
}

actc_status actc_vk_times(actc_device *device, actc_executable *executable, double *seconds)
{
    actc_vk_device *d = (actc_vk_device *)device;
    d->label = "times";
    actc_status status = actc_vk_wait(d, executable->last);
    uint32_t bits = d->physical.timestamp_bits;
    uint64_t mask = bits < 64 ? ((uint64_t)1 << bits) - 1 : UINT64_MAX;
    for (uint32_t i = 0; i < executable->program->n_commands && status == ACTC_OK; i++) {
        uint64_t ticks[2] = {0, 0};
        if (executable->stamped[i])
            VK(d->vk.vkGetQueryPoolResults(d->handle, executable->queries, 2 * i, 2, sizeof ticks, ticks, sizeof *ticks,
                                           VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
        seconds[i] = executable->host_seconds[i] + (double)((ticks[1] - ticks[0]) & mask) * d->physical.timestamp_seconds;
    }
fail:
    d->label = NULL;
    return status;
}

/* ---- prepare ---- */

/* Pools for everything that the list needs. */
static actc_status create_pools(actc_vk_device *d, actc_executable *executable, const actc_vk_work_list *list)
{
    actc_status status;
    uint32_t launches = 0;
    for (size_t i = 0; i < list->count; i++)
        launches += list->items[i].command.type == ACTC_COMMAND_KERNEL;
    VkCommandPoolCreateInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .queueFamilyIndex = d->physical.queue_family,
    };
    VK_CREATE(executable->commands, d->vk.vkCreateCommandPool(d->handle, &commands, NULL, &executable->commands));
    if (launches > 0) {
        /* A set of the layout takes ACTC_MAX_VIEWS descriptors, whatever the kernel uses of them. */
        VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, launches * ACTC_MAX_VIEWS};
        VkDescriptorPoolCreateInfo descriptors = {
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
            .maxSets = launches,
            .poolSizeCount = 1,
            .pPoolSizes = &size,
        };
        VK_CREATE(executable->descriptors,
                  d->vk.vkCreateDescriptorPool(d->handle, &descriptors, NULL, &executable->descriptors));
    }
    return ACTC_OK;
fail:
    return status;
}

static actc_status prepare_list(recorder *r, const actc_vk_work_list *list)
{
    actc_vk_device *d = r->d;
    uint64_t staging = 0;
    uint32_t hosts = 0;
    for (size_t i = 0; i < list->count; i++) {
        const actc_command *command = &list->items[i].command;
        if (command->type != ACTC_COMMAND_HOST)
            continue;
        hosts++;
        if (staging_bytes(command) > staging)
            staging = staging_bytes(command);
    }
    actc_status status = create_pools(d, r->executable, list);
    if (status == ACTC_OK && staging > 0 && !d->mapped)
        status = actc_vk_staging(d, staging, &r->staging);
    if (status != ACTC_OK)
        return status;
    r->executable->segments = actc_calloc((size_t)hosts + 1, sizeof(segment));
    if (!r->executable->segments)
        return no_memory(d);
    for (size_t i = 0; i < list->count && status == ACTC_OK; i++)
        status = record_item(r, list, i);
    if (status == ACTC_OK && r->commands)
        status = end_segment(r, NULL);
    return status;
}

actc_status actc_vk_prepare(actc_device *device, const actc_program *program, actc_buffer *const *buffers,
                            uint32_t n_buffers, actc_executable **out)
{
    actc_vk_device *d = (actc_vk_device *)device;
    *out = NULL;
    d->label = program->name;
    actc_executable *executable = actc_calloc(1, sizeof *executable);
    if (!executable)
        return no_memory(d);
    recorder r = {.d = d, .executable = executable, .buffers = buffers, .n_buffers = n_buffers};
    actc_vk_work_list list = {0};
    actc_status status = ACTC_OK;
    for (uint32_t i = 0; i < program->n_commands && status == ACTC_OK; i++)
        status = actc_vk_expand(d, &program->commands[i], &list);
    if (status == ACTC_OK && program->timed)
        status = create_queries(d, executable, program);
    if (status == ACTC_OK)
        status = prepare_list(&r, &list);
    actc_free(r.hazards.pending);
    actc_free(list.items);
    d->label = NULL; /* labels are the program's */
    if (status == ACTC_OK)
        actc_vk_cache_save(d);
    if (status != ACTC_OK) {
        actc_vk_executable_destroy(device, executable);
        return status;
    }
    *out = executable;
    return ACTC_OK;
}

/* ---- run ---- */

actc_status actc_vk_run(actc_device *device, actc_executable *executable)
{
    actc_vk_device *d = (actc_vk_device *)device;
    d->label = "run";
    /* A command buffer must not be submitted again before it is done. */
    actc_status status = executable->last ? actc_vk_wait(d, executable->last) : ACTC_OK;
    for (uint32_t i = 0; i < executable->n_segments && status == ACTC_OK; i++) {
        segment *s = &executable->segments[i];
        if (s->commands) {
            status = actc_vk_submit(d, s->commands);
            executable->last = d->submitted;
        }
        if (status == ACTC_OK && s->host) {
            d->label = s->host->label;
            status = actc_vk_wait(d, d->submitted);
            double begin = actc_clock();
            int answer = status == ACTC_OK ? s->host->u.host.fn(s->host->u.host.user, s->host_views) : 0;
            if (executable->host_seconds)
                executable->host_seconds[s->host - executable->program->commands] = actc_clock() - begin;
            if (answer != 0)
                status = actc_fail(d->base.context, ACTC_ERROR_DEVICE, "%s: the host function returned %d",
                                   s->host->label, answer);
        }
    }
    d->label = NULL;
    return status;
}

uint32_t actc_vk_segments(const actc_executable *executable)
{
    return executable->submissions;
}
