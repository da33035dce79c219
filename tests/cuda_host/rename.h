/* rename.h: included before every source of backends/cuda in the host build, so that its symbols do not meet those of the
 * real backend in one program. */
#ifndef ACTC_HOST_RENAME_H
#define ACTC_HOST_RENAME_H

#define ACTC_CUDA_NAME "cuda-host"
#define ACTC_CUDA_BACKEND actc_backend_cuda_host
#define ACTC_CUDA_TYPE(integrated) ((void)(integrated), ACTC_DEVICE_SOFTWARE)
#define ACTC_CUDA_EVIDENCE(major) ((void)(major), "compiled for the processor with -ffp-contract=off; says nothing of a GPU")

#define actc_backend_cuda actc_backend_cuda_host
#define actc_cuda_buffer_create actc_cuda_host_buffer_create
#define actc_cuda_buffer_destroy actc_cuda_host_buffer_destroy
#define actc_cuda_blas_fail actc_cuda_host_blas_fail
#define actc_cuda_close actc_cuda_host_close
#define actc_cuda_command_emit actc_cuda_host_command_emit
#define actc_cuda_command_load actc_cuda_host_command_load
#define actc_cuda_compile_all actc_cuda_host_compile_all
#define actc_cuda_download actc_cuda_host_download
#define actc_cuda_enter actc_cuda_host_enter
#define actc_cuda_enumerate actc_cuda_host_enumerate
#define actc_cuda_executable_destroy actc_cuda_host_executable_destroy
#define actc_cuda_fail actc_cuda_host_fail
#define actc_cuda_find_image actc_cuda_host_find_image
#define actc_cuda_gemm actc_cuda_host_gemm
#define actc_cuda_gemm_workspace actc_cuda_host_gemm_workspace
#define actc_cuda_images actc_cuda_host_images
#define actc_cuda_kernel actc_cuda_host_kernel
#define actc_cuda_launch actc_cuda_host_launch
#define actc_cuda_leave actc_cuda_host_leave
#define actc_cuda_load actc_cuda_host_load
#define actc_cuda_load_blas actc_cuda_host_load_blas
#define actc_cuda_n_images actc_cuda_host_n_images
#define actc_cuda_open actc_cuda_host_open
#define actc_cuda_overhead_bytes actc_cuda_host_overhead_bytes
#define actc_cuda_prepare actc_cuda_host_prepare
#define actc_cuda_release_staging actc_cuda_host_release_staging
#define actc_cuda_reserve actc_cuda_host_reserve
#define actc_cuda_run actc_cuda_host_run
#define actc_cuda_times actc_cuda_host_times
#define actc_cuda_sass_linted actc_cuda_host_sass_linted
#define actc_cuda_segments actc_cuda_host_segments
#define actc_cuda_supports actc_cuda_host_supports
#define actc_cuda_unload actc_cuda_host_unload
#define actc_cuda_upload actc_cuda_host_upload
#define actc_cuda_workspace_bytes actc_cuda_host_workspace_bytes

#endif
