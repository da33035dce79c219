/* stub.c: stands in for the Vulkan backend where it is not built. */
#include <stdio.h>

#include "../backend.h"

/* ACTC_VULKAN_MISSING: what the build did not find, or that it was not asked for. */
static actc_status enumerate(actc_context *context, actc_device_sink sink, void *user)
{
    (void)context;
    actc_device_info info = {.spec = "vulkan", .backend = "vulkan", .name = "none", .type = ACTC_DEVICE_VIRTUAL_GPU};
    snprintf(info.reason, sizeof info.reason, "built without Vulkan: %s", ACTC_VULKAN_MISSING);
    sink(user, &info);
    return ACTC_OK;
}

static actc_status open_device(actc_context *context, const actc_device_options *options, const actc_device_info *info,
                               actc_device **out)
{
    (void)options;
    (void)info;
    *out = NULL;
    return actc_fail(context, ACTC_ERROR_UNSUPPORTED, "built without Vulkan: %s", ACTC_VULKAN_MISSING);
}

const actc_backend actc_backend_vulkan = {.name = "vulkan", .enumerate = enumerate, .open = open_device};
