/* bad_icd.c: a Vulkan driver that fails as those of broken installations do. BAD_ICD names the call that fails: create (an
 * instance), enumerate (devices) or extensions (of its one device); BAD_ICD_RESULT is the VkResult. */
#include <stdlib.h>
#include <string.h>

#include <vulkan/vulkan.h>

#include <vulkan/vk_icd.h>

#define EXPORT __attribute__((visibility("default")))

static VK_LOADER_DATA instance = {ICD_LOADER_MAGIC}, device = {ICD_LOADER_MAGIC};

static VkResult result_of(const char *call)
{
    const char *failing = getenv("BAD_ICD"), *result = getenv("BAD_ICD_RESULT");
    return failing && result && !strcmp(failing, call) ? (VkResult)atoi(result) : VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL create(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator,
                                             VkInstance *out)
{
    (void)info, (void)allocator;
    *out = (VkInstance)(void *)&instance;
    return result_of("create");
}

static VKAPI_ATTR void VKAPI_CALL destroy(VkInstance handle, const VkAllocationCallbacks *allocator)
{
    (void)handle, (void)allocator;
}

static VKAPI_ATTR VkResult VKAPI_CALL enumerate(VkInstance handle, uint32_t *count, VkPhysicalDevice *devices)
{
    (void)handle;
    if (devices && *count)
        devices[0] = (VkPhysicalDevice)(void *)&device;
    *count = 1;
    return result_of("enumerate");
}

static VKAPI_ATTR void VKAPI_CALL properties(VkPhysicalDevice handle, VkPhysicalDeviceProperties *out)
{
    (void)handle;
    memset(out, 0, sizeof *out);
    out->apiVersion = VK_API_VERSION_1_2;
    out->deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    strcpy(out->deviceName, "bad device");
}

static VKAPI_ATTR void VKAPI_CALL memory(VkPhysicalDevice handle, VkPhysicalDeviceMemoryProperties *out)
{
    (void)handle;
    memset(out, 0, sizeof *out);
}

static VKAPI_ATTR VkResult VKAPI_CALL device_extensions(VkPhysicalDevice handle, const char *layer, uint32_t *count,
                                                        VkExtensionProperties *list)
{
    (void)handle, (void)layer, (void)list;
    *count = 0;
    return result_of("extensions");
}

static VKAPI_ATTR VkResult VKAPI_CALL extensions(const char *layer, uint32_t *count, VkExtensionProperties *list)
{
    (void)layer, (void)list;
    *count = 0;
    return VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL version(uint32_t *out)
{
    *out = VK_API_VERSION_1_2;
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL nothing(void)
{
}

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vk_icdGetInstanceProcAddr(VkInstance handle, const char *name)
{
    static const struct {
        const char *name;
        PFN_vkVoidFunction function;
    } functions[] = {
        {"vkCreateInstance", (PFN_vkVoidFunction)create},
        {"vkDestroyInstance", (PFN_vkVoidFunction)destroy},
        {"vkEnumeratePhysicalDevices", (PFN_vkVoidFunction)enumerate},
        {"vkGetPhysicalDeviceProperties", (PFN_vkVoidFunction)properties},
        {"vkGetPhysicalDeviceMemoryProperties", (PFN_vkVoidFunction)memory},
        {"vkEnumerateDeviceExtensionProperties", (PFN_vkVoidFunction)device_extensions},
        {"vkEnumerateInstanceExtensionProperties", (PFN_vkVoidFunction)extensions},
        {"vkEnumerateInstanceVersion", (PFN_vkVoidFunction)version},
    };
    (void)handle;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!strcmp(name, functions[i].name))
            return functions[i].function;
    return strstr(name, "EXT") || strstr(name, "KHR") ? NULL : nothing; /* the loader wants every function of Vulkan 1.0 */
}

EXPORT VKAPI_ATTR VkResult VKAPI_CALL vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *number)
{
    if (*number > 4)
        *number = 4;
    return VK_SUCCESS;
}
