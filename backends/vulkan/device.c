/* device.c: a Vulkan device: opening, submitting, waiting, and the backend's table of functions. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "vulkan.h"

/* ---- errors ---- */

actc_status actc_vk_check_fault(actc_vk_device *d)
{
    if (!d->instance.fault[0])
        return ACTC_OK;
    actc_status status = actc_fail(d->base.context, ACTC_ERROR_DEVICE, "%s%sVulkan validation: %s", d->label ? d->label : "",
                                   d->label ? ": " : "", d->instance.fault);
    d->instance.fault[0] = '\0';
    return status;
}

actc_status actc_vk_check(actc_vk_device *d, VkResult result, const char *call)
{
    if (result >= VK_SUCCESS) /* VK_INCOMPLETE and the like are answers */
        return d->instance.fault[0] ? actc_vk_check_fault(d) : ACTC_OK;
    const char *name = strstr(call, "vk.vk"); /* "d->vk.vkFoo(d->handle, ...": the function's name is what helps */
    name = name ? name + 3 : call;
    return actc_fail(d->base.context, actc_vk_result_status(result), "%s%s%.*s: %s on %s", d->label ? d->label : "",
                     d->label ? ": " : "", (int)strcspn(name, "("), name, actc_vk_result_string(result),
                     d->base.info.name);
}

void actc_vk_name(actc_vk_device *d, VkObjectType type, uint64_t handle, const char *name)
{
    if (!d->instance.validate || !d->instance.vkSetDebugUtilsObjectNameEXT)
        return;
    VkDebugUtilsObjectNameInfoEXT info = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
        .objectType = type,
        .objectHandle = handle,
        .pObjectName = name,
    };
    d->instance.vkSetDebugUtilsObjectNameEXT(d->handle, &info);
}

/* ---- work ---- */

/* Made at the first submission: drivers that only compile (RADV's null device) have no semaphores. */
static actc_status create_timeline(actc_vk_device *d)
{
    actc_status status;
    VkSemaphoreTypeCreateInfo type = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
        .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
    };
    VkSemaphoreCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    VK_CREATE(d->timeline, d->vk.vkCreateSemaphore(d->handle, &info, NULL, &d->timeline));
fail:
    return status;
}

actc_status actc_vk_submit(actc_vk_device *d, VkCommandBuffer commands)
{
    if (!d->timeline) {
        actc_status made = create_timeline(d);
        if (made != ACTC_OK)
            return made;
    }
    uint64_t wait = d->submitted, signal = d->submitted + 1;
    VkTimelineSemaphoreSubmitInfo timeline = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .waitSemaphoreValueCount = 1,
        .pWaitSemaphoreValues = &wait,
        .signalSemaphoreValueCount = 1,
        .pSignalSemaphoreValues = &signal,
    };
    VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .pNext = &timeline,
        .waitSemaphoreCount = 1,
        .pWaitSemaphores = &d->timeline,
        .pWaitDstStageMask = &stage,
        .commandBufferCount = 1,
        .pCommandBuffers = &commands,
        .signalSemaphoreCount = 1,
        .pSignalSemaphores = &d->timeline,
    };
    VkResult result = d->vk.vkQueueSubmit(d->queue, 1, &info, VK_NULL_HANDLE);
    if (result == VK_SUCCESS)
        d->submitted = signal; /* it runs, whatever the validation layer thinks of it */
    return actc_vk_check(d, result, "vkQueueSubmit");
}

actc_status actc_vk_wait(actc_vk_device *d, uint64_t value)
{
    actc_status status;
    if (value == 0 || actc_device_forked(&d->base))
        return ACTC_OK; /* nothing was submitted, by this process at least */
    VkSemaphoreWaitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
        .semaphoreCount = 1,
        .pSemaphores = &d->timeline,
        .pValues = &value,
    };
    VK(d->vk.vkWaitSemaphores(d->handle, &info, UINT64_MAX));
    return ACTC_OK;
fail:
    return status;
}

/* ---- forks ---- */

/* How many devices are open, and in which process. A driver keeps threads for them that a forked child has not: there even a
 * new device may hang (SwiftShader's does), so that the driver is left alone. */
static atomic_uint open_devices, opener;

static bool driver_works(void)
{
    return atomic_load(&open_devices) == 0 || atomic_load(&opener) == actc_process_number();
}

static void count_open(void)
{
    atomic_store(&opener, actc_process_number());
    atomic_fetch_add(&open_devices, 1);
}

/* ---- enumerate ---- */

/* An entry that says why there is no device. */
static void report_none(actc_device_sink sink, void *user, const char *reason)
{
    actc_device_info none = {.spec = "vulkan", .backend = "vulkan", .name = "none", .type = ACTC_DEVICE_VIRTUAL_GPU};
    snprintf(none.reason, sizeof none.reason, "%s", reason);
    sink(user, &none);
}

static actc_status enumerate(actc_context *context, actc_device_sink sink, void *user)
{
    if (!driver_works()) {
        report_none(sink, user, "a Vulkan device was open at fork(): drivers do not work in the child of such a process");
        return ACTC_OK;
    }
    actc_vk_instance instance;
    actc_vk_physical *list = actc_calloc(ACTC_VK_MAX_PHYSICAL, sizeof *list);
    if (!list)
        return actc_fail(context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: list of Vulkan devices");
    uint32_t count = 0;
    actc_status status = actc_vk_instance_create(context, false, &instance);
    if (status == ACTC_OK) {
        status = actc_vk_physical_list(&instance, list, &count);
        actc_vk_instance_destroy(&instance);
    }
    for (uint32_t i = 0; i < count && status == ACTC_OK; i++)
        sink(user, &list[i].info);
    actc_free(list);
    if (status != ACTC_OK && status != ACTC_ERROR_NOT_FOUND)
        return status;
    if (count == 0)
        report_none(sink, user, status == ACTC_OK ? "no Vulkan driver finds a device" : actc_error_message(context));
    return ACTC_OK;
}

/* ---- open and close ---- */

static void close_device(actc_device *base)
{
    actc_vk_device *d = (actc_vk_device *)base;
    if (!d)
        return;
    if (actc_device_forked(base)) {
        actc_vk_staging_free(d);
        actc_free(d);
        return;
    }
    if (d->handle && d->vk.vkDestroyDevice) {
        d->label = NULL;
        if (d->submitted > 0) {
            actc_vk_wait(d, d->submitted); /* a failure leaves nothing to wait for */
            /* The driver may still be busy with the last submission when its semaphore has been seen: lavapipe's thread
             * (Mesa 22.3) uses the semaphore after signalling it. */
            d->vk.vkDeviceWaitIdle(d->handle);
        }
        actc_vk_cache_save(d);
        for (size_t k = 0; k < ACTC_KERNEL_COUNT; k++)
            for (size_t t = 0; t < ACTC_VK_TILES; t++)
                d->vk.vkDestroyPipeline(d->handle, d->pipelines[k][t], NULL);
        actc_vk_staging_free(d);
        d->vk.vkDestroyPipelineCache(d->handle, d->cache, NULL);
        d->vk.vkDestroyPipelineLayout(d->handle, d->pipeline_layout, NULL);
        d->vk.vkDestroyDescriptorSetLayout(d->handle, d->set_layout, NULL);
        d->vk.vkDestroyCommandPool(d->handle, d->transfer_pool, NULL);
        d->vk.vkDestroySemaphore(d->handle, d->timeline, NULL);
        d->vk.vkDestroyDevice(d->handle, NULL);
        atomic_fetch_sub(&open_devices, 1);
    }
    actc_vk_instance_destroy(&d->instance);
    actc_free(d);
}

/* The physical device that `info` was reported for. */
static actc_status find_physical(actc_vk_device *d, const actc_device_info *info, bool compile_only)
{
    actc_vk_physical *list = actc_calloc(ACTC_VK_MAX_PHYSICAL, sizeof *list);
    if (!list)
        return actc_fail(d->base.context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: list of Vulkan devices");
    uint32_t count;
    actc_status status = actc_vk_physical_list(&d->instance, list, &count);
    if (status == ACTC_OK) {
        status = ACTC_ERROR_NOT_FOUND;
        for (uint32_t i = 0; i < count; i++)
            if (!strcmp(list[i].info.spec, info->spec) && !strcmp(list[i].info.name, info->name)) {
                d->physical = list[i];
                status = ACTC_OK;
            }
        if (status != ACTC_OK)
            actc_fail(d->base.context, status, "%s (%s) is not there any more", info->spec, info->name);
        else if (!d->physical.info.usable && !(compile_only && d->physical.info.compiles))
            status = actc_fail(d->base.context, ACTC_ERROR_UNSUPPORTED, "%s (%s) cannot be used: %s", info->spec, info->name,
                               d->physical.info.reason);
    }
    actc_free(list);
    return status;
}

static actc_status create_device(actc_vk_device *d)
{
    float priority = 1.0f;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = d->physical.queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const char *extensions[2];
    uint32_t n_extensions = 0;
    if (d->physical.executable_properties)
        extensions[n_extensions++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    if (d->physical.portability_subset)
        extensions[n_extensions++] = "VK_KHR_portability_subset";
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pipelineExecutableInfo = VK_TRUE,
    };
    /* Robust buffer access stays off: kernels check their bounds, and it costs time on every load. */
    VkPhysicalDeviceVulkan12Features f12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .pNext = d->physical.executable_properties ? &executable : NULL,
        .timelineSemaphore = VK_TRUE,
    };
    VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &f12,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = n_extensions,
        .ppEnabledExtensionNames = extensions,
    };
    actc_status status;
    VkDevice handle;
    VkResult result = d->instance.vkCreateDevice(d->physical.handle, &info, NULL, &handle);
    if (result == VK_SUCCESS) {
        d->handle = handle;
        count_open();
        actc_vk_load_device(&d->instance, handle, &d->vk);
    }
    status = actc_vk_check(d, result, "vkCreateDevice");
    if (status != ACTC_OK)
        return status;
    d->vk.vkGetDeviceQueue(d->handle, d->physical.queue_family, 0, &d->queue);

    VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = d->physical.queue_family,
    };
    VK_CREATE(d->transfer_pool, d->vk.vkCreateCommandPool(d->handle, &pool, NULL, &d->transfer_pool));
    VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = d->transfer_pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    VK(d->vk.vkAllocateCommandBuffers(d->handle, &allocate, &d->transfer_commands));
    return ACTC_OK;
fail:
    return status;
}

static actc_status open_device(actc_context *context, const actc_device_options *options, const actc_device_info *info,
                               actc_device **out)
{
    *out = NULL;
    actc_vk_device *d = actc_calloc(1, sizeof *d);
    if (!d)
        return actc_fail(context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: %zu bytes for a device", sizeof *d);
    d->base.backend = &actc_backend_vulkan;
    d->base.context = context;
    d->base.process = actc_process_number();
    d->base.info = *info;
    d->base.deterministic = options->deterministic;
    d->serialize = actc_vk_knob("ACTC_VK_SERIALIZE");
    d->no_barriers = actc_vk_knob("ACTC_VK_NO_BARRIERS");
    actc_status status =
        actc_vk_instance_create(context, options->validate || actc_vk_knob("ACTC_VK_VALIDATE"), &d->instance);
    if (status == ACTC_OK)
        status = find_physical(d, info, options->compile_only);
    if (status == ACTC_OK) {
        d->base.info = d->physical.info;
        d->instance.vkGetPhysicalDeviceMemoryProperties(d->physical.handle, &d->memory);
        d->mapped = actc_vk_can_map(d);
        /* On a software device, a subgroup is a vector of the processor (shaders/include/tile.glsl). */
        if (d->base.info.type == ACTC_DEVICE_SOFTWARE && !actc_vk_knob("ACTC_VK_NO_SUBGROUP") &&
            (d->physical.fixed_subgroup == 4 || d->physical.fixed_subgroup == 8))
            d->subgroup = d->physical.fixed_subgroup;
        status = create_device(d);
    }
    if (status == ACTC_OK)
        status = actc_vk_layouts_create(d);
    if (status == ACTC_OK)
        status = actc_vk_cache_open(d);
    if (status == ACTC_OK && options->compile_only) {
        if (!d->physical.promises_exact)
            snprintf(d->base.info.exact_evidence, sizeof d->base.info.exact_evidence,
                     "not known: opened to compile only, the self-test was not run");
    } else if (status == ACTC_OK && (!d->physical.promises_exact || actc_vk_knob("ACTC_VK_SELFTEST"))) {
        bool passed;
        status = actc_vk_selftest(d, &passed);
        if (status == ACTC_OK)
            d->base.info.exact = passed;
    }
    if (status == ACTC_OK && d->base.deterministic && !d->base.info.exact)
        status = actc_fail(context, ACTC_ERROR_UNSUPPORTED, "%s (%s) cannot be deterministic: %s", d->base.info.spec,
                           d->base.info.name, d->base.info.exact_evidence);
    if (status != ACTC_OK) {
        close_device(&d->base);
        return status;
    }
    if (!d->base.info.exact && !options->compile_only)
        actc_log_message(context, ACTC_LOG_WARNING, "%s: EXACT does not hold: %s", d->base.info.name,
                         d->base.info.exact_evidence);
    *out = &d->base;
    return ACTC_OK;
}

const actc_backend actc_backend_vulkan = {
    .name = "vulkan",
    .enumerate = enumerate,
    .open = open_device,
    .close = close_device,
    .supports = actc_vk_supports,
    .workspace_bytes = actc_vk_workspace_bytes,
    .buffer_bytes = actc_vk_buffer_bytes,
    .overhead_bytes = actc_vk_overhead_bytes,
    .reserve = actc_vk_reserve,
    .buffer_create = actc_vk_buffer_create,
    .buffer_destroy = actc_vk_buffer_destroy,
    .upload = actc_vk_upload,
    .download = actc_vk_download,
    .prepare = actc_vk_prepare,
    .executable_destroy = actc_vk_executable_destroy,
    .run = actc_vk_run,
    .times = actc_vk_times,
    .segments = actc_vk_segments,
    .compile_all = actc_vk_compile_all,
};
