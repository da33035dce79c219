/* stub.c: stands in for the CPU backend where it is not built. */
#include <stdio.h>

#include "../backend.h"

static actc_status enumerate(actc_context *context, actc_device_sink sink, void *user)
{
    (void)context;
    actc_device_info info = {.spec = "cpu", .backend = "cpu", .name = "CPU", .type = ACTC_DEVICE_CPU, .usable = false};
    snprintf(info.reason, sizeof info.reason, "built without the CPU backend");
    sink(user, &info);
    return ACTC_OK;
}

static actc_status open_device(actc_context *context, const actc_device_options *options, const actc_device_info *info,
                               actc_device **out)
{
    (void)options;
    (void)info;
    *out = NULL;
    return actc_fail(context, ACTC_ERROR_UNSUPPORTED, "built without the CPU backend");
}

const actc_backend actc_backend_cpu = {.name = "cpu", .enumerate = enumerate, .open = open_device};
