/* images.c: the table of kernels of the host build, in the place of the fat binaries. kernels.inc is made by the build. */
#include "../../backends/cuda/cuda_internal.h"
#include "host_driver.h"
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

bool actc_cuda_host_signature(const char *kernel, unsigned *params_bytes, unsigned *n_views)
{
    const actc_cuda_image *image = actc_cuda_find_image(kernel);
    const actc_host_kernel *found = image ? image->data : NULL;
    *params_bytes = found ? found->params_bytes : 0;
    *n_views = found ? found->n_views : 0;
    return found != NULL;
}
