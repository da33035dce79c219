/* cuda_internal.h: inside of the CUDA backend.
 *
 * The backend talks to the driver (libcuda) and to cuBLASLt through tables of functions that are filled at run time
 * (driver.c), and carries its kernels as fat binaries. So libactc links against nothing of CUDA: it starts on a machine
 * without a driver and says there why there is no device. The CUDA headers are needed to build it; tests/cuda_host has
 * headers of the same names and fills the tables with functions that run the kernels on the processor.
 *
 * Every call into the driver is made between actc_cuda_enter and actc_cuda_leave, which make the device's primary
 * context current and give the caller's back.
 */
#ifndef ACTC_CUDA_INTERNAL_H
#define ACTC_CUDA_INTERNAL_H

#include "../backend.h"

#include <cublasLt.h>
#include <cuda.h>

#ifndef ACTC_CUDA_NAME /* tests/cuda_host builds the same sources under another name */
#define ACTC_CUDA_NAME "cuda"
#define ACTC_CUDA_BACKEND actc_backend_cuda
#define ACTC_CUDA_TYPE(integrated) ((integrated) ? ACTC_DEVICE_INTEGRATED_GPU : ACTC_DEVICE_DISCRETE_GPU)
/* On what grounds EXACT holds, by the major compute capability. */
#define ACTC_CUDA_EVIDENCE(major)                                                                       \
    ((major) > 9             ? "kernels name every rounding; the driver compiles them from PTX"         \
     : actc_cuda_sass_linted ? "machine code linted when built: no FFMA, MUFU or float atomics"         \
                             : "kernels name every rounding; machine code not linted (no cuobjdump when built)")
#endif

/* ---- functions found at run time (names as the headers' macros have them: cuMemAlloc becomes cuMemAlloc_v2) ---- */

#define ACTC_CUDA_DRIVER_FUNCTIONS(X)                                                                             \
    X(cuInit) X(cuDriverGetVersion) X(cuGetErrorName) X(cuGetErrorString)                                         \
    X(cuDeviceGetCount) X(cuDeviceGet) X(cuDeviceGetName) X(cuDeviceGetAttribute) X(cuDeviceTotalMem)             \
    X(cuDevicePrimaryCtxRetain) X(cuDevicePrimaryCtxRelease) X(cuCtxPushCurrent) X(cuCtxPopCurrent)               \
    X(cuMemAlloc) X(cuMemFree) X(cuMemGetInfo) X(cuMemHostAlloc) X(cuMemFreeHost)                                 \
    X(cuMemcpyHtoDAsync) X(cuMemcpyDtoHAsync) X(cuMemcpyDtoDAsync) X(cuMemsetD32Async)                            \
    X(cuStreamCreate) X(cuStreamDestroy) X(cuStreamSynchronize) X(cuStreamBeginCapture) X(cuStreamEndCapture)     \
    X(cuEventCreate) X(cuEventDestroy) X(cuEventRecordWithFlags) X(cuEventElapsedTime)                            \
    X(cuGraphInstantiateWithFlags) X(cuGraphDestroy) X(cuGraphExecDestroy) X(cuGraphLaunch)                       \
    X(cuModuleLoadData) X(cuModuleUnload) X(cuModuleGetFunction) X(cuFuncGetAttribute) X(cuLaunchKernel)

#define ACTC_CUDA_BLAS_FUNCTIONS(X)                                                                               \
    X(cublasLtCreate) X(cublasLtDestroy) X(cublasLtGetVersion) X(cublasLtGetStatusString)                         \
    X(cublasLtMatmulDescCreate) X(cublasLtMatmulDescDestroy) X(cublasLtMatmulDescSetAttribute)                    \
    X(cublasLtMatrixLayoutCreate) X(cublasLtMatrixLayoutSetAttribute) X(cublasLtMatrixLayoutDestroy)              \
    X(cublasLtMatmulPreferenceCreate) X(cublasLtMatmulPreferenceDestroy) X(cublasLtMatmulPreferenceSetAttribute)  \
    X(cublasLtMatmulAlgoGetHeuristic) X(cublasLtMatmul)

typedef struct actc_cuda_api {
    void *driver_library, *blas_library; /* NULL where not loaded */
    int driver_version;                  /* 13020 for 13.2 */
    char driver_name[64];                /* "CUDA 13.2" */
    char blas_name[64];                  /* "cuBLASLt 13.2.2", or why gemm uses actc's own kernel */
#define X(name) __typeof__(name) *name;
    ACTC_CUDA_DRIVER_FUNCTIONS(X)
    ACTC_CUDA_BLAS_FUNCTIONS(X)
#undef X
} actc_cuda_api;

/* Fills the driver's part; false with the reason where there is no driver, or one too old for this build. */
bool actc_cuda_load(actc_cuda_api *api, char *reason, size_t reason_size);
/* Fills cuBLASLt's part and blas_name; without the library blas_library stays NULL. */
void actc_cuda_load_blas(actc_cuda_api *api);
void actc_cuda_unload(actc_cuda_api *api);

/* ---- kernels ---- */

typedef struct actc_cuda_image {
    const char *name;  /* of the kernel; its function is actc_cuda_NAME */
    const void *data;  /* fat binary */
    size_t bytes;
} actc_cuda_image;

extern const actc_cuda_image actc_cuda_images[]; /* made by kernels_cuda/tools/embed.py */
extern const size_t actc_cuda_n_images;
extern const bool actc_cuda_sass_linted;         /* the build held the machine code of EXACT kernels to the lint */

/* ---- device ---- */

typedef struct actc_cuda_module {
    CUmodule module;     /* NULL: not loaded yet */
    CUfunction function;
} actc_cuda_module;

typedef struct actc_cuda_device {
    actc_device base;
    actc_cuda_api api;
    CUdevice device;
    CUcontext cuda_context;
    CUstream stream;
    cublasLtHandle_t blas; /* NULL: gemm runs actc's own kernel */
    actc_cuda_module modules[ACTC_KERNEL_COUNT];
    /* Page-locked memory that uploads and downloads go through. Uploads take it from the front on and return before the
     * copy is done; where it is used up they wait for the stream. */
    char *staging;
    uint64_t staging_bytes, staging_used;
    uint32_t n_buffers; /* the staging goes with the last one */
} actc_cuda_device;

struct actc_buffer {
    CUdeviceptr address;
    uint64_t bytes;
};

/* Makes the primary context current. */
actc_status actc_cuda_enter(actc_cuda_device *device);
void actc_cuda_leave(actc_cuda_device *device);

/* Keeps a message with the call, its result and `label` (what it was for) and returns ACTC_ERROR_DEVICE, or
 * ACTC_ERROR_OUT_OF_MEMORY. */
actc_status actc_cuda_fail(actc_cuda_device *device, CUresult result, const char *call, const char *label);
actc_status actc_cuda_blas_fail(actc_cuda_device *device, cublasStatus_t result, const char *call, const char *label);

/* Both need `device`, `status` and an exit label `error`. what: the command's label, or what the call is for. */
#define CU(call, what)                                                    \
    do {                                                                  \
        CUresult result_ = device->api.call;                              \
        if (result_ != CUDA_SUCCESS) {                                    \
            status = actc_cuda_fail(device, result_, #call, what);        \
            goto error;                                                   \
        }                                                                 \
    } while (0)
#define CUBLAS(call, what)                                                \
    do {                                                                  \
        cublasStatus_t result_ = device->api.call;                        \
        if (result_ != CUBLAS_STATUS_SUCCESS) {                           \
            status = actc_cuda_blas_fail(device, result_, #call, what);   \
            goto error;                                                   \
        }                                                                 \
    } while (0)

/* device.c */
actc_status actc_cuda_enumerate(actc_context *context, actc_device_sink sink, void *user);
actc_status actc_cuda_open(actc_context *context, const actc_device_options *options, const actc_device_info *info,
                           actc_device **out);
void actc_cuda_close(actc_device *device);
actc_status actc_cuda_compile_all(actc_device *device, actc_kernel_report_fn report, void *user);

/* module.c */
const actc_cuda_image *actc_cuda_find_image(const char *kernel);
/* Loads the kernel's module where it is not loaded yet. */
actc_status actc_cuda_kernel(actc_cuda_device *device, actc_kernel_id id, CUfunction *function);

/* memory.c */
uint64_t actc_cuda_overhead_bytes(actc_device *device, uint64_t transfer);
actc_status actc_cuda_reserve(actc_device *device, uint64_t transfer);
void actc_cuda_release_staging(actc_cuda_device *device);
actc_status actc_cuda_buffer_create(actc_device *device, uint64_t bytes, actc_buffer **out);
void actc_cuda_buffer_destroy(actc_device *device, actc_buffer *buffer);
actc_status actc_cuda_upload(actc_device *device, actc_buffer *buffer, uint64_t offset, const void *source,
                             uint64_t bytes);
actc_status actc_cuda_download(actc_device *device, actc_buffer *buffer, uint64_t offset, void *target, uint64_t bytes);

/* command.c: one command into the stream, which is being captured. */
bool actc_cuda_supports(actc_device *device, const actc_command *command, char *why, size_t why_size);
actc_status actc_cuda_workspace_bytes(actc_device *device, const actc_command *command, uint64_t *bytes);
/* Loads what the command needs, before the capture begins. */
actc_status actc_cuda_command_load(actc_cuda_device *device, const actc_command *command);
/* views: device addresses, 0 for empty views. */
actc_status actc_cuda_command_emit(actc_cuda_device *device, const actc_command *command, const CUdeviceptr *views);
/* Launches a kernel with as many of the views as it takes. */
actc_status actc_cuda_launch(actc_cuda_device *device, actc_kernel_id id, const void *params, uint32_t groups,
                             const CUdeviceptr *views, const char *label);

/* gemm.c */
uint64_t actc_cuda_gemm_workspace(const actc_cuda_device *device, const actc_gemm *gemm);
actc_status actc_cuda_gemm(actc_cuda_device *device, const actc_gemm *gemm, const CUdeviceptr *views,
                           uint64_t workspace_bytes, const char *label);

/* program.c */
actc_status actc_cuda_prepare(actc_device *device, const actc_program *program, actc_buffer *const *buffers,
                              uint32_t n_buffers, actc_executable **out);
void actc_cuda_executable_destroy(actc_device *device, actc_executable *executable);
actc_status actc_cuda_run(actc_device *device, actc_executable *executable);
actc_status actc_cuda_times(actc_device *device, actc_executable *executable, double *seconds);
uint32_t actc_cuda_segments(const actc_executable *executable);

#endif
