/* device.c: devices of the CUDA backend: what there is, opening one, and the driver's figures about its kernels. */
#include "cuda_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Oldest compute capability that the fat binaries hold code for (kernels_cuda/tools/compile.py). */
#define OLDEST_MAJOR 8
#define OLDEST_MINOR 0

static void describe(actc_cuda_api *api, int index, actc_device_info *info)
{
    CUdevice device;
    int major = 0, minor = 0, shared = 0, warp = 0, integrated = 0;
    size_t memory = 0;
    if (api->cuDeviceGet(&device, index) != CUDA_SUCCESS ||
        api->cuDeviceGetName(info->name, (int)sizeof info->name, device) != CUDA_SUCCESS ||
        api->cuDeviceTotalMem(&memory, device) != CUDA_SUCCESS ||
        api->cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device) != CUDA_SUCCESS ||
        api->cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device) != CUDA_SUCCESS ||
        api->cuDeviceGetAttribute(&shared, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, device) != CUDA_SUCCESS ||
        api->cuDeviceGetAttribute(&warp, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device) != CUDA_SUCCESS ||
        api->cuDeviceGetAttribute(&integrated, CU_DEVICE_ATTRIBUTE_INTEGRATED, device) != CUDA_SUCCESS) {
        snprintf(info->reason, sizeof info->reason, "the driver does not describe CUDA device %d", index);
        return;
    }
    snprintf(info->driver, sizeof info->driver, "%s, compute capability %d.%d", api->driver_name, major, minor);
    info->type = ACTC_CUDA_TYPE(integrated);
    info->memory_bytes = info->max_buffer_bytes = info->max_binding_bytes = memory;
    info->subgroup_size = (uint32_t)warp;
    info->shared_memory_bytes = (uint32_t)shared;
    if (major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR)) {
        snprintf(info->reason, sizeof info->reason, "compute capability %d.%d; this build has kernels for %d.%d and newer",
                 major, minor, OLDEST_MAJOR, OLDEST_MINOR);
        return;
    }
    info->usable = true;
    info->exact = true;
    snprintf(info->exact_evidence, sizeof info->exact_evidence, "%s", ACTC_CUDA_EVIDENCE(major));
}

actc_status actc_cuda_enumerate(actc_context *context, actc_device_sink sink, void *user)
{
    (void)context;
    actc_cuda_api api;
    actc_device_info info = {.backend = ACTC_CUDA_NAME, .spec = ACTC_CUDA_NAME, .type = ACTC_CUDA_TYPE(0)};
    if (!actc_cuda_load(&api, info.reason, sizeof info.reason)) {
        sink(user, &info);
        return ACTC_OK;
    }
    int count = 0;
    CUresult result = api.cuDeviceGetCount(&count);
    if (result != CUDA_SUCCESS || count == 0) {
        snprintf(info.reason, sizeof info.reason, "the CUDA driver reports no device");
        sink(user, &info);
    }
    for (int i = 0; i < count; i++) {
        actc_device_info one = {.backend = ACTC_CUDA_NAME, .type = ACTC_CUDA_TYPE(0)};
        snprintf(one.spec, sizeof one.spec, ACTC_CUDA_NAME ":%d", i);
        describe(&api, i, &one);
        sink(user, &one);
    }
    actc_cuda_unload(&api);
    return ACTC_OK;
}

actc_status actc_cuda_fail(actc_cuda_device *device, CUresult result, const char *call, const char *label)
{
    const char *name = NULL, *text = NULL;
    device->api.cuGetErrorName(result, &name);
    device->api.cuGetErrorString(result, &text);
    /* `call` is the source of the call with its arguments; its name is enough */
    return actc_fail(device->base.context,
                     result == CUDA_ERROR_OUT_OF_MEMORY ? ACTC_ERROR_OUT_OF_MEMORY : ACTC_ERROR_DEVICE,
                     "%s: %s: %.*s: %s (%s)", device->base.info.spec, label, (int)strcspn(call, "("), call,
                     text ? text : "unknown error", name ? name : "?");
}

actc_status actc_cuda_blas_fail(actc_cuda_device *device, cublasStatus_t result, const char *call, const char *label)
{
    return actc_fail(device->base.context,
                     result == CUBLAS_STATUS_ALLOC_FAILED ? ACTC_ERROR_OUT_OF_MEMORY : ACTC_ERROR_DEVICE,
                     "%s: %s: %.*s: %s", device->base.info.spec, label, (int)strcspn(call, "("), call,
                     device->api.cublasLtGetStatusString(result));
}

actc_status actc_cuda_enter(actc_cuda_device *device)
{
    CUresult result = device->api.cuCtxPushCurrent(device->cuda_context);
    return result == CUDA_SUCCESS ? ACTC_OK : actc_cuda_fail(device, result, "cuCtxPushCurrent", "make current");
}

void actc_cuda_leave(actc_cuda_device *device)
{
    CUcontext previous;
    device->api.cuCtxPopCurrent(&previous);
}

void actc_cuda_close(actc_device *base)
{
    actc_cuda_device *device = (actc_cuda_device *)base;
    if (actc_device_forked(base)) {
        actc_cuda_release_staging(device);
        actc_free(device);
        return;
    }
    if (device->cuda_context) {
        if (actc_cuda_enter(device) == ACTC_OK) {
            if (device->stream) {
                device->api.cuStreamSynchronize(device->stream);
                device->api.cuStreamDestroy(device->stream);
            }
            if (device->blas)
                device->api.cublasLtDestroy(device->blas);
            for (size_t i = 0; i < ACTC_KERNEL_COUNT; i++) {
                if (device->modules[i].module)
                    device->api.cuModuleUnload(device->modules[i].module);
            }
            actc_cuda_release_staging(device);
            actc_cuda_leave(device);
        }
        device->api.cuDevicePrimaryCtxRelease(device->device);
    }
    actc_cuda_unload(&device->api);
    actc_free(device);
}

/* cuBLASLt for fast gemm; without it actc's own kernel does the work, and the log and the device's name say so. */
static actc_status open_blas(actc_cuda_device *device)
{
    actc_status status = ACTC_OK;
    size_t used = strlen(device->base.info.driver);
    if (device->base.deterministic)
        return ACTC_OK; /* gemm_exact */
    actc_cuda_load_blas(&device->api);
    snprintf(device->base.info.driver + used, sizeof device->base.info.driver - used, ", %s", device->api.blas_name);
    if (!device->api.blas_library) {
        actc_log_message(device->base.context, ACTC_LOG_WARNING, "%s: %s: matrix products use actc's own kernel, which is slower",
                 device->base.info.spec, device->api.blas_name);
        return ACTC_OK;
    }
    CUBLAS(cublasLtCreate(&device->blas), "open");
error:
    return status;
}

actc_status actc_cuda_open(actc_context *context, const actc_device_options *options, const actc_device_info *info,
                           actc_device **out)
{
    actc_status status = ACTC_OK;
    *out = NULL;
    actc_cuda_device *device = actc_calloc(1, sizeof *device);
    if (!device)
        return actc_fail(context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: %zu bytes for a CUDA device",
                         sizeof *device);
    device->base.backend = &ACTC_CUDA_BACKEND;
    device->base.context = context;
    device->base.process = actc_process_number();
    device->base.info = *info;
    device->base.deterministic = options->deterministic;
    char reason[sizeof info->reason];
    if (!actc_cuda_load(&device->api, reason, sizeof reason)) {
        actc_free(device);
        return actc_fail(context, ACTC_ERROR_NOT_FOUND, "%s: %s", info->spec, reason);
    }
    const char *colon = strchr(info->spec, ':');
    CU(cuDeviceGet(&device->device, colon ? atoi(colon + 1) : 0), "open");
    CU(cuDevicePrimaryCtxRetain(&device->cuda_context, device->device), "open");
    status = actc_cuda_enter(device);
    if (status != ACTC_OK)
        goto error;
    CUresult result = device->api.cuStreamCreate(&device->stream, CU_STREAM_NON_BLOCKING);
    if (result != CUDA_SUCCESS)
        status = actc_cuda_fail(device, result, "cuStreamCreate", "open");
    if (status == ACTC_OK)
        status = open_blas(device);
    /* One kernel now: a driver that cannot load this build's machine code or PTX says so here, not in the first step. */
    CUfunction function;
    if (status == ACTC_OK)
        status = actc_cuda_kernel(device, ACTC_KERNEL_binary, &function);
    actc_cuda_leave(device);
    if (status != ACTC_OK)
        goto error;
    *out = &device->base;
    return ACTC_OK;
error:
    actc_cuda_close(&device->base);
    return status;
}

actc_status actc_cuda_compile_all(actc_device *base, actc_kernel_report_fn report, void *user)
{
    actc_cuda_device *device = (actc_cuda_device *)base;
    actc_status status = actc_cuda_enter(device);
    if (status != ACTC_OK)
        return status;
    for (int id = 0; id < ACTC_KERNEL_COUNT; id++) {
        const char *name = actc_kernel_infos[id].name;
        CUfunction function;
        int registers, local, shared, constant, threads, version;
        if (!actc_cuda_find_image(name)) {
            actc_kernel_report none = actc_kernel_report_of(name, "not in this build");
            if (report)
                report(user, &none);
            continue;
        }
        status = actc_cuda_kernel(device, (actc_kernel_id)id, &function);
        if (status != ACTC_OK)
            goto error;
        CU(cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, function), name);
        CU(cuFuncGetAttribute(&local, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, function), name);
        CU(cuFuncGetAttribute(&shared, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function), name);
        CU(cuFuncGetAttribute(&constant, CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES, function), name);
        CU(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function), name);
        CU(cuFuncGetAttribute(&version, CU_FUNC_ATTRIBUTE_BINARY_VERSION, function), name);
        if (report) {
            char text[160];
            snprintf(text, sizeof text,
                     "sm_%d, %d registers, %d bytes local, %d bytes shared, %d bytes constant, up to %d threads", version,
                     registers, local, shared, constant, threads);
            actc_kernel_report about = actc_kernel_report_of(name, text);
            about.exact = actc_kernel_infos[id].parity == ACTC_PARITY_EXACT;
            about.registers = registers;
            about.scratch_bytes = local;
            about.shared_bytes = shared;
            report(user, &about);
        }
    }
error:
    actc_cuda_leave(device);
    return status;
}
