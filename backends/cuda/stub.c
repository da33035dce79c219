/* stub.c: the CUDA backend of a build without it: no device, and the reason. */
#include "../backend.h"

static actc_status enumerate(actc_context *context, actc_device_sink sink, void *user)
{
    (void)context;
    actc_device_info info = {.spec = "cuda",
                             .backend = "cuda",
                             .type = ACTC_DEVICE_DISCRETE_GPU,
                             .reason = "this build of actc is without CUDA (no nvcc with cuBLAS was found, or -Dcuda=disabled)"};
    sink(user, &info);
    return ACTC_OK;
}

static actc_status open(actc_context *context, const actc_device_options *options, const actc_device_info *info,
                        actc_device **out)
{
    (void)options;
    (void)info;
    *out = NULL;
    return actc_fail(context, ACTC_ERROR_UNSUPPORTED, "cuda: this build of actc is without CUDA");
}

const actc_backend actc_backend_cuda = {.name = "cuda", .enumerate = enumerate, .open = open};
