/* physical.c: what the machine's Vulkan devices are, and whether they can be used. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vulkan.h"

bool actc_vk_knob(const char *name)
{
    const char *value = getenv(name);
    return value && *value && strcmp(value, "0") != 0;
}

uint64_t actc_vk_knob_number(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    char *end;
    if (!value || *value < '0' || *value > '9')
        return otherwise;
    unsigned long long number = strtoull(value, &end, 0);
    return *end ? otherwise : number;
}

static actc_device_type device_type(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return ACTC_DEVICE_INTEGRATED_GPU;
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return ACTC_DEVICE_DISCRETE_GPU;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return ACTC_DEVICE_SOFTWARE;
    default: return ACTC_DEVICE_VIRTUAL_GPU;
    }
}

/* Marks the device as one that cannot be used, for the first reason found. */
#define REJECT(...)                                                           \
    do {                                                                      \
        if (!info->reason[0])                                                 \
            snprintf(info->reason, sizeof info->reason, __VA_ARGS__);         \
    } while (0)

static void check_limits(const VkPhysicalDeviceLimits *limits, actc_device_info *info)
{
    const struct {
        const char *name;
        uint64_t has, needs;
    } minimum[] = {
        {"maxComputeSharedMemorySize", limits->maxComputeSharedMemorySize, 32768},
        {"maxPushConstantsSize", limits->maxPushConstantsSize, ACTC_MAX_PARAMS_BYTES},
        {"maxComputeWorkGroupInvocations", limits->maxComputeWorkGroupInvocations, ACTC_GROUP_SIZE},
        {"maxComputeWorkGroupSize[0]", limits->maxComputeWorkGroupSize[0], ACTC_GROUP_SIZE},
        {"maxComputeWorkGroupCount[0]", limits->maxComputeWorkGroupCount[0], 65535},
        {"maxComputeWorkGroupCount[1]", limits->maxComputeWorkGroupCount[1], 65535},
        {"maxPerStageDescriptorStorageBuffers", limits->maxPerStageDescriptorStorageBuffers, ACTC_MAX_VIEWS},
        {"maxPerStageResources", limits->maxPerStageResources, ACTC_MAX_VIEWS},
        {"maxDescriptorSetStorageBuffers", limits->maxDescriptorSetStorageBuffers, ACTC_MAX_VIEWS},
        {"maxStorageBufferRange", limits->maxStorageBufferRange, 128u << 20},
    };
    for (size_t i = 0; i < sizeof minimum / sizeof *minimum; i++)
        if (minimum[i].has < minimum[i].needs)
            REJECT("%s is %llu; at least %llu is needed", minimum[i].name, (unsigned long long)minimum[i].has,
                   (unsigned long long)minimum[i].needs);
    if (limits->minStorageBufferOffsetAlignment > ACTC_VIEW_ALIGNMENT)
        REJECT("minStorageBufferOffsetAlignment is %llu; at most %d can be used",
               (unsigned long long)limits->minStorageBufferOffsetAlignment, ACTC_VIEW_ALIGNMENT);
}

/* A queue that computes: one that does nothing else where there is one, since drivers give those more time before they
 * reset the device. */
static bool find_queue(const actc_vk_instance *instance, actc_vk_physical *physical)
{
    VkQueueFamilyProperties families[32];
    uint32_t count = sizeof families / sizeof *families;
    instance->vkGetPhysicalDeviceQueueFamilyProperties(physical->handle, &count, families);
    bool found = false;
    for (uint32_t i = 0; i < count; i++) {
        bool computes = (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) && families[i].queueCount > 0;
        bool draws = families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT;
        if (!computes || (found && draws))
            continue;
        physical->queue_family = i;
        physical->timestamp_bits = actc_vk_knob("ACTC_VK_NO_TIMESTAMPS") ? 0 : families[i].timestampValidBits;
        found = true;
        if (!draws)
            break;
    }
    return found;
}

static actc_status find_extensions(actc_vk_instance *instance, actc_vk_physical *physical, bool *maintenance4,
                                   bool *size_control)
{
    uint32_t count = 0;
    actc_device_info *info = &physical->info;
    VkResult result = instance->vkEnumerateDeviceExtensionProperties(physical->handle, NULL, &count, NULL);
    if (result != VK_SUCCESS) {
        REJECT("vkEnumerateDeviceExtensionProperties: %s", actc_vk_result_string(result));
        return ACTC_OK;
    }
    VkExtensionProperties *list = actc_calloc(count, sizeof *list);
    if (!list)
        return actc_fail(instance->context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: %u device extensions", count);
    result = instance->vkEnumerateDeviceExtensionProperties(physical->handle, NULL, &count, list);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE)
        count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *name = list[i].extensionName;
        physical->executable_properties |= !strcmp(name, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
        physical->portability_subset |= !strcmp(name, "VK_KHR_portability_subset");
        *maintenance4 |= !strcmp(name, VK_KHR_MAINTENANCE_4_EXTENSION_NAME);
        *size_control |= !strcmp(name, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    }
    actc_free(list);
    return ACTC_OK;
}

static void describe_memory(const actc_vk_instance *instance, actc_vk_physical *physical)
{
    VkPhysicalDeviceMemoryProperties memory;
    instance->vkGetPhysicalDeviceMemoryProperties(physical->handle, &memory);
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++)
        if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
            memory.memoryHeaps[i].size > physical->info.memory_bytes)
            physical->info.memory_bytes = memory.memoryHeaps[i].size;
}

static void describe_exactness(actc_vk_physical *physical, const VkPhysicalDeviceVulkan12Properties *p12)
{
    actc_device_info *info = &physical->info;
    physical->promises_exact = p12->shaderRoundingModeRTEFloat32 && p12->shaderSignedZeroInfNanPreserveFloat32 &&
                               !actc_vk_knob("ACTC_VK_NO_FLOAT_CONTROLS");
    info->exact = physical->promises_exact;
    if (info->exact)
        snprintf(info->exact_evidence, sizeof info->exact_evidence,
                 "driver reports RoundingModeRTE and SignedZeroInfNanPreserve for 32 bits; SPIR-V linted");
    else
        snprintf(info->exact_evidence, sizeof info->exact_evidence,
                 "driver does not report RoundingModeRTE and SignedZeroInfNanPreserve: a self-test decides when it is opened");
}

/* RADV_FORCE_FAMILY makes RADV compile for a GPU that is not there; mapping memory or submitting crashes. */
static bool is_null_device(const actc_vk_physical *physical)
{
    return physical->driver == VK_DRIVER_ID_MESA_RADV &&
           (actc_vk_knob("RADV_FORCE_FAMILY") || !strncasecmp(physical->info.name, "null hardware", 13));
}

static actc_status describe(actc_vk_instance *instance, uint32_t index, actc_vk_physical *physical)
{
    actc_device_info *info = &physical->info;
    VkPhysicalDeviceProperties basic;
    instance->vkGetPhysicalDeviceProperties(physical->handle, &basic);
    snprintf(info->spec, sizeof info->spec, "vulkan:%u", index);
    snprintf(info->backend, sizeof info->backend, "vulkan");
    snprintf(info->name, sizeof info->name, "%.*s", (int)sizeof info->name - 1, basic.deviceName);
    info->type = device_type(basic.deviceType);
    physical->type = basic.deviceType;
    physical->vendor_id = basic.vendorID;
    physical->device_id = basic.deviceID;
    physical->driver_version = basic.driverVersion;
    memcpy(physical->cache_uuid, basic.pipelineCacheUUID, sizeof physical->cache_uuid);
    info->max_binding_bytes = actc_vk_knob_number("ACTC_VK_MAX_BINDING", UINT64_MAX);
    if (basic.limits.maxStorageBufferRange < info->max_binding_bytes)
        info->max_binding_bytes = basic.limits.maxStorageBufferRange;
    info->max_binding_bytes -= info->max_binding_bytes % ACTC_VIEW_ALIGNMENT;
    info->shared_memory_bytes = basic.limits.maxComputeSharedMemorySize;
    physical->timestamp_seconds = (double)basic.limits.timestampPeriod * 1e-9;
    describe_memory(instance, physical);
    if (basic.apiVersion < VK_API_VERSION_1_2) {
        REJECT("Vulkan %u.%u; at least 1.2 is needed", VK_API_VERSION_MAJOR(basic.apiVersion),
               VK_API_VERSION_MINOR(basic.apiVersion));
        return ACTC_OK;
    }

    bool maintenance4 = false, size_control = false;
    actc_status status = find_extensions(instance, physical, &maintenance4, &size_control);
    if (status != ACTC_OK || info->reason[0])
        return status;
    VkPhysicalDeviceMaintenance4Properties p4 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES};
    VkPhysicalDeviceSubgroupSizeControlPropertiesEXT size = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT, .pNext = maintenance4 ? &p4 : NULL};
    VkPhysicalDeviceVulkan12Properties p12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
                                              .pNext = size_control ? (void *)&size : maintenance4 ? &p4 : NULL};
    VkPhysicalDeviceVulkan11Properties p11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES,
                                              .pNext = &p12};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &p11};
    instance->vkGetPhysicalDeviceProperties2(physical->handle, &properties);
    VkPhysicalDeviceVulkan12Features f12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &f12};
    instance->vkGetPhysicalDeviceFeatures2(physical->handle, &features);

    snprintf(info->driver, sizeof info->driver, "%.*s %.*s", 60, p12.driverName, 90, p12.driverInfo);
    physical->driver = p12.driverID;
    info->subgroup_size = p11.subgroupSize;
    info->max_buffer_bytes = p11.maxMemoryAllocationSize;
    if (maintenance4 && p4.maxBufferSize < info->max_buffer_bytes)
        info->max_buffer_bytes = p4.maxBufferSize;
    uint64_t knob = actc_vk_knob_number("ACTC_VK_MAX_BUFFER", UINT64_MAX);
    if (knob < info->max_buffer_bytes)
        info->max_buffer_bytes = knob;
    info->max_buffer_bytes -= info->max_buffer_bytes % ACTC_VIEW_ALIGNMENT;
    describe_exactness(physical, &p12);
    VkSubgroupFeatureFlags broadcasts = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_BALLOT_BIT;
    if ((p11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
        (p11.subgroupSupportedOperations & broadcasts) == broadcasts && (!size_control || size.minSubgroupSize == size.maxSubgroupSize))
        physical->fixed_subgroup = p11.subgroupSize;

    if (!f12.timelineSemaphore)
        REJECT("it has no timeline semaphores");
    check_limits(&basic.limits, info);
    if (!find_queue(instance, physical))
        REJECT("it has no queue that computes");
    if (!info->reason[0] && is_null_device(physical)) {
        REJECT("it is a compiler without hardware (RADV's null device): for actc-info --compile-all only");
        info->compiles = true;
    }
    info->usable = !info->reason[0];
    return ACTC_OK;
}

actc_status actc_vk_physical_list(actc_vk_instance *instance, actc_vk_physical *list, uint32_t *count)
{
    VkPhysicalDevice handles[ACTC_VK_MAX_PHYSICAL];
    *count = ACTC_VK_MAX_PHYSICAL;
    VkResult result = instance->vkEnumeratePhysicalDevices(instance->handle, count, handles);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
        *count = 0;
        if (result == VK_ERROR_INITIALIZATION_FAILED) /* what the loader says where there is none */
            return actc_vk_loader_failed(instance->context, ACTC_ERROR_NOT_FOUND, "no Vulkan driver finds a device");
        char what[80];
        snprintf(what, sizeof what, "vkEnumeratePhysicalDevices: %s", actc_vk_result_string(result));
        return actc_vk_loader_failed(instance->context, ACTC_ERROR_DEVICE, what);
    }
    for (uint32_t i = 0; i < *count; i++) {
        list[i] = (actc_vk_physical){.handle = handles[i]};
        actc_status status = describe(instance, i, &list[i]);
        if (status != ACTC_OK)
            return status;
    }
    return ACTC_OK;
}
