/* module.c: kernels, each a module of its own that is loaded when a program first needs it. */
#include "cuda_internal.h"

#include <stdio.h>
#include <string.h>

const actc_cuda_image *actc_cuda_find_image(const char *kernel)
{
    for (size_t i = 0; i < actc_cuda_n_images; i++) {
        if (!strcmp(actc_cuda_images[i].name, kernel))
            return &actc_cuda_images[i];
    }
    return NULL;
}

actc_status actc_cuda_kernel(actc_cuda_device *device, actc_kernel_id id, CUfunction *function)
{
    actc_status status = ACTC_OK;
    actc_cuda_module *module = &device->modules[id];
    const char *name = actc_kernel_infos[id].name;
    *function = NULL;
    if (!module->module) {
        const actc_cuda_image *image = actc_cuda_find_image(name);
        if (!image)
            return actc_fail(device->base.context, ACTC_ERROR_UNSUPPORTED, "%s: this build has no CUDA kernel %s",
                             device->base.info.spec, name);
        char symbol[96];
        snprintf(symbol, sizeof symbol, "actc_cuda_%s", name);
        CU(cuModuleLoadData(&module->module, image->data), name);
        CU(cuModuleGetFunction(&module->function, module->module, symbol), name);
    }
    *function = module->function;
error:
    return status;
}
