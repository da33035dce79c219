/* instance.c: the Vulkan loader, instances, and the validation layer's messages. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan.h"

#define LAYER "VK_LAYER_KHRONOS_validation"

/* volk keeps what it loads in variables of the process. They are touched only under this lock, so contexts on different
 * threads do not meet in them; everything else uses the tables of the instance and the device. */
static pthread_mutex_t volk_lock = PTHREAD_MUTEX_INITIALIZER;
static bool volk_ready;

static bool load_volk(void)
{
    pthread_mutex_lock(&volk_lock);
    if (!volk_ready)
        volk_ready = volkInitialize() == VK_SUCCESS;
    bool ready = volk_ready;
    pthread_mutex_unlock(&volk_lock);
    return ready;
}

void actc_vk_load_device(const actc_vk_instance *instance, VkDevice device, struct VolkDeviceTable *table)
{
    pthread_mutex_lock(&volk_lock);
    vkGetDeviceProcAddr = instance->vkGetDeviceProcAddr; /* what volkLoadDeviceTable calls */
    volkLoadDeviceTable(table, device);
    pthread_mutex_unlock(&volk_lock);
}

const char *actc_vk_result_string(VkResult result)
{
    switch (result) {
#define NAME(r) case r: return #r;
        NAME(VK_SUCCESS)
        NAME(VK_NOT_READY)
        NAME(VK_TIMEOUT)
        NAME(VK_INCOMPLETE)
        NAME(VK_ERROR_OUT_OF_HOST_MEMORY)
        NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY)
        NAME(VK_ERROR_INITIALIZATION_FAILED)
        NAME(VK_ERROR_DEVICE_LOST)
        NAME(VK_ERROR_MEMORY_MAP_FAILED)
        NAME(VK_ERROR_LAYER_NOT_PRESENT)
        NAME(VK_ERROR_EXTENSION_NOT_PRESENT)
        NAME(VK_ERROR_FEATURE_NOT_PRESENT)
        NAME(VK_ERROR_INCOMPATIBLE_DRIVER)
        NAME(VK_ERROR_TOO_MANY_OBJECTS)
        NAME(VK_ERROR_FRAGMENTED_POOL)
        NAME(VK_ERROR_OUT_OF_POOL_MEMORY)
        NAME(VK_ERROR_FRAGMENTATION)
        NAME(VK_ERROR_INVALID_SHADER_NV)
        NAME(VK_ERROR_VALIDATION_FAILED_EXT)
        NAME(VK_ERROR_UNKNOWN)
#undef NAME
    default: return "an unnamed VkResult";
    }
}

actc_status actc_vk_result_status(VkResult result)
{
    switch (result) {
    case VK_SUCCESS: return ACTC_OK;
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_OUT_OF_POOL_MEMORY:
    case VK_ERROR_FRAGMENTED_POOL:
    case VK_ERROR_TOO_MANY_OBJECTS: return ACTC_ERROR_OUT_OF_MEMORY;
    default: return ACTC_ERROR_DEVICE;
    }
}

/* ---- validation ---- */

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    actc_vk_instance *instance = user;
    const char *text = data && data->pMessage ? data->pMessage : "";
    if (!(types & VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT))
        return VK_FALSE; /* the loader's own news */
    if (severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT) {
        if (!instance->fault[0])
            snprintf(instance->fault, sizeof instance->fault, "%s", text);
        actc_log_message(instance->context, ACTC_LOG_ERROR, "vulkan validation: %s", text);
    } else {
        actc_log_message(instance->context, ACTC_LOG_WARNING, "vulkan validation: %s", text);
    }
    return VK_FALSE;
}

static bool layer_present(void)
{
    VkLayerProperties layers[128];
    uint32_t count = sizeof layers / sizeof *layers;
    VkResult result = vkEnumerateInstanceLayerProperties(&count, layers);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!strcmp(layers[i].layerName, LAYER))
            return true;
    return false;
}

/* ---- what the loader could not do ---- */

/* Where the loader looks for drivers, in its own order. */
static void name_manifests(char *text, size_t size)
{
    static const char *const variables[] = {"VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"};
    enum { VARIABLES = sizeof variables / sizeof *variables, ADDED = VARIABLES - 1, SHOWN = 200 };
    for (int i = 0; i < VARIABLES; i++) {
        const char *value = getenv(variables[i]);
        if (!value || !*value)
            continue;
        snprintf(text, size, "%s%s=%.*s%s", i == ADDED ? "its default search and " : "", variables[i], SHOWN, value,
                 strlen(value) > SHOWN ? "..." : "");
        return;
    }
    snprintf(text, size, "its default search, vulkan/icd.d");
}

typedef struct loader_news {
    char text[256]; /* the first error; "" for none */
} loader_news;

static VKAPI_ATTR VkBool32 VKAPI_CALL on_news(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                              VkDebugUtilsMessageTypeFlagsEXT types,
                                              const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    (void)severity;
    (void)types;
    loader_news *news = user;
    if (news->text[0] || !data || !data->pMessage)
        return VK_FALSE;
    snprintf(news->text, sizeof news->text, "%s", data->pMessage);
    for (char *p = news->text; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    for (size_t n = strlen(news->text); n && strchr(" .", news->text[n - 1]); n--)
        news->text[n - 1] = '\0';
    return VK_FALSE;
}

/* The VkResult alone does not say which driver is at fault; the loader tells whoever listens. So it is asked again. */
static void ask_loader(loader_news *news)
{
    news->text[0] = '\0';
    VkDebugUtilsMessengerCreateInfoEXT messenger = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT,
        .pfnUserCallback = on_news,
        .pUserData = news,
    };
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_2};
    const char *extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = &messenger,
        .pApplicationInfo = &application,
        .enabledExtensionCount = 1,
        .ppEnabledExtensionNames = &extension,
    };
    VkInstance handle;
    if (vkCreateInstance(&info, NULL, &handle) != VK_SUCCESS)
        return;
    PFN_vkCreateDebugUtilsMessengerEXT listen =
        (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(handle, "vkCreateDebugUtilsMessengerEXT");
    PFN_vkDestroyDebugUtilsMessengerEXT leave =
        (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(handle, "vkDestroyDebugUtilsMessengerEXT");
    PFN_vkEnumeratePhysicalDevices enumerate =
        (PFN_vkEnumeratePhysicalDevices)vkGetInstanceProcAddr(handle, "vkEnumeratePhysicalDevices");
    PFN_vkDestroyInstance destroy = (PFN_vkDestroyInstance)vkGetInstanceProcAddr(handle, "vkDestroyInstance");
    VkDebugUtilsMessengerEXT listener;
    uint32_t count;
    if (listen && leave && enumerate && listen(handle, &messenger, NULL, &listener) == VK_SUCCESS) {
        enumerate(handle, &count, NULL);
        leave(handle, listener, NULL);
    }
    if (destroy)
        destroy(handle, NULL);
}

actc_status actc_vk_loader_failed(actc_context *context, actc_status status, const char *what)
{
    char manifests[300];
    loader_news news;
    name_manifests(manifests, sizeof manifests);
    ask_loader(&news);
    return actc_fail(context, status, "%s%s%s; the Vulkan loader was pointed at %s", what, news.text[0] ? ": " : "", news.text,
                     manifests);
}

/* ---- creation ---- */

actc_status actc_vk_instance_create(actc_context *context, bool validate, actc_vk_instance *instance)
{
    *instance = (actc_vk_instance){.context = context, .validate = validate};
    if (!load_volk())
        return actc_fail(context, ACTC_ERROR_NOT_FOUND, "no Vulkan loader: libvulkan.so.1 is not installed");
    if (volkGetInstanceVersion() < VK_API_VERSION_1_2)
        return actc_fail(context, ACTC_ERROR_NOT_FOUND, "the Vulkan loader is older than version 1.2");
    if (validate && !layer_present())
        return actc_fail(context, ACTC_ERROR_NOT_FOUND,
                         "validation was asked for, but the layer " LAYER
                         " is not installed (Debian: vulkan-validationlayers)");

    VkDebugUtilsMessengerCreateInfoEXT messenger = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = instance,
    };
    VkValidationFeatureEnableEXT enabled = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    VkValidationFeaturesEXT features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .pNext = &messenger, /* also what is found while the instance is made and destroyed */
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures = &enabled,
    };
    const char *layer = LAYER;
    const char *extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME};
    /* The version is pinned: a driver may compile the same SPIR-V otherwise for an application of a later one. */
    VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "actc",
        .pEngineName = "actc",
        .apiVersion = VK_API_VERSION_1_2,
    };
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = validate ? &features : NULL,
        .pApplicationInfo = &application,
        .enabledLayerCount = validate ? 1 : 0,
        .ppEnabledLayerNames = &layer,
        .enabledExtensionCount = validate ? 2 : 0,
        .ppEnabledExtensionNames = extensions,
    };
    VkResult result = vkCreateInstance(&info, NULL, &instance->handle);
    if (result != VK_SUCCESS) {
        instance->handle = VK_NULL_HANDLE;
        /* what the loader says where no driver is installed */
        if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
            return actc_vk_loader_failed(context, ACTC_ERROR_NOT_FOUND, "no Vulkan driver is installed");
        /* DEVICE also where it is "out of memory": so loaders call a manifest that they cannot parse */
        char what[80];
        snprintf(what, sizeof what, "vkCreateInstance: %s", actc_vk_result_string(result));
        return actc_vk_loader_failed(context, ACTC_ERROR_DEVICE, what);
    }
#define LOAD(name) instance->name = (PFN_##name)vkGetInstanceProcAddr(instance->handle, #name);
    ACTC_VK_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    if (validate) {
        result = instance->vkCreateDebugUtilsMessengerEXT
                     ? instance->vkCreateDebugUtilsMessengerEXT(instance->handle, &messenger, NULL, &instance->messenger)
                     : VK_ERROR_EXTENSION_NOT_PRESENT;
        if (result != VK_SUCCESS) {
            actc_vk_instance_destroy(instance);
            return actc_fail(context, actc_vk_result_status(result), "vkCreateDebugUtilsMessengerEXT: %s",
                             actc_vk_result_string(result));
        }
    }
    return ACTC_OK;
}

void actc_vk_instance_destroy(actc_vk_instance *instance)
{
    if (!instance->handle)
        return;
    if (instance->messenger)
        instance->vkDestroyDebugUtilsMessengerEXT(instance->handle, instance->messenger, NULL);
    instance->vkDestroyInstance(instance->handle, NULL);
    instance->handle = VK_NULL_HANDLE;
    instance->messenger = VK_NULL_HANDLE;
}
