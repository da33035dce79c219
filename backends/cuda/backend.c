/* backend.c: the table of functions that makes the CUDA backend. */
#include "cuda_internal.h"

const actc_backend ACTC_CUDA_BACKEND = {
    .name = ACTC_CUDA_NAME,
    .enumerate = actc_cuda_enumerate,
    .open = actc_cuda_open,
    .close = actc_cuda_close,
    .supports = actc_cuda_supports,
    .workspace_bytes = actc_cuda_workspace_bytes,
    .overhead_bytes = actc_cuda_overhead_bytes,
    .reserve = actc_cuda_reserve,
    .buffer_create = actc_cuda_buffer_create,
    .buffer_destroy = actc_cuda_buffer_destroy,
    .upload = actc_cuda_upload,
    .download = actc_cuda_download,
    .prepare = actc_cuda_prepare,
    .executable_destroy = actc_cuda_executable_destroy,
    .run = actc_cuda_run,
    .times = actc_cuda_times,
    .segments = actc_cuda_segments,
    .compile_all = actc_cuda_compile_all,
};
