/* images.c: the table of kernels of the host build, in the place of the fat binaries. kernels.inc is made by the build. */
#include "../../backends/cuda/cuda_internal.h"
#include "scheduler.h"

#define KERNEL(name) extern const actc_host_kernel actc_host_kernel_##name;
#include "kernels.inc"
#undef KERNEL

const actc_cuda_image actc_cuda_images[] = {
#define KERNEL(name) {#name, &actc_host_kernel_##name, sizeof(actc_host_kernel)},
#include "kernels.inc"
#undef KERNEL
};
const size_t actc_cuda_n_images = sizeof actc_cuda_images / sizeof *actc_cuda_images;
const bool actc_cuda_sass_linted = false;
