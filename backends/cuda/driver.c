/* driver.c: finds the CUDA driver and cuBLASLt at run time.
 *
 * The driver is libcuda.so.1. It must be at least of the CUDA major version that the backend was built with: its
 * machine code runs on every driver of that version or a newer one. cuBLASLt is looked for under the name in
 * ACTC_CUBLASLT (a path, for installations outside the loader's reach), then as libcublasLt.so.MAJOR.
 */
#include "cuda_internal.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NODELETE: both start threads and keep state that does not survive being unmapped. */
#define LOAD_FLAGS (RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)
#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

static bool find(void *library, const char *name, void *slot, char *reason, size_t reason_size)
{
    void *symbol = dlsym(library, name);
    if (!symbol) {
        snprintf(reason, reason_size, "the library has no function %s", name);
        return false;
    }
    memcpy(slot, &symbol, sizeof symbol); /* ISO C has no cast from an object to a function pointer */
    return true;
}

static bool load_driver(actc_cuda_api *api, char *reason, size_t reason_size)
{
    api->driver_library = dlopen("libcuda.so.1", LOAD_FLAGS);
    if (!api->driver_library) {
        snprintf(reason, reason_size, "no CUDA driver (libcuda.so.1 is not installed)");
        return false;
    }
    char missing[128];
#define X(name)                                                                                  \
    if (!find(api->driver_library, TEXT(name), &api->name, missing, sizeof missing)) {           \
        snprintf(reason, reason_size, "CUDA driver too old: %s", missing);                       \
        return false;                                                                            \
    }
    ACTC_CUDA_DRIVER_FUNCTIONS(X)
#undef X
    if (api->cuDriverGetVersion(&api->driver_version) != CUDA_SUCCESS)
        api->driver_version = 0;
    const int wanted = CUDA_VERSION / 1000 * 1000;
    if (api->driver_version < wanted) {
        snprintf(reason, reason_size, "CUDA driver too old: it is for CUDA %d.%d, this build needs %d.0 or newer",
                 api->driver_version / 1000, api->driver_version % 1000 / 10, wanted / 1000);
        return false;
    }
    snprintf(api->driver_name, sizeof api->driver_name, "CUDA %d.%d", api->driver_version / 1000,
             api->driver_version % 1000 / 10);
    CUresult result = api->cuInit(0);
    if (result != CUDA_SUCCESS) {
        const char *text = NULL;
        api->cuGetErrorString(result, &text);
        snprintf(reason, reason_size, "the CUDA driver does not start: %s (%d)", text ? text : "unknown error",
                 (int)result);
        return false;
    }
    return true;
}

void actc_cuda_load_blas(actc_cuda_api *api)
{
    const char *path = getenv("ACTC_CUBLASLT");
    const char *name = path && *path ? path : "libcublasLt.so." TEXT(CUBLAS_VER_MAJOR);
    void *library = dlopen(name, LOAD_FLAGS);
    if (!library) {
        snprintf(api->blas_name, sizeof api->blas_name, "%.40s not found", name);
        return;
    }
    char missing[128];
#define X(name)                                                                                    \
    if (!find(library, TEXT(name), &api->name, missing, sizeof missing)) {                         \
        snprintf(api->blas_name, sizeof api->blas_name, "%.63s", missing);                         \
        dlclose(library);                                                                          \
        return;                                                                                    \
    }
    ACTC_CUDA_BLAS_FUNCTIONS(X)
#undef X
    api->blas_library = library;
    size_t version = api->cublasLtGetVersion();
    snprintf(api->blas_name, sizeof api->blas_name, "cuBLASLt %zu.%zu.%zu", version / 10000, version / 100 % 100,
             version % 100);
}

bool actc_cuda_load(actc_cuda_api *api, char *reason, size_t reason_size)
{
    memset(api, 0, sizeof *api);
    if (!load_driver(api, reason, reason_size)) {
        actc_cuda_unload(api);
        return false;
    }
    return true;
}

void actc_cuda_unload(actc_cuda_api *api)
{
    if (api->blas_library)
        dlclose(api->blas_library);
    if (api->driver_library)
        dlclose(api->driver_library);
    memset(api, 0, sizeof *api);
}
