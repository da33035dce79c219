/* stub_driver.c: a libcuda.so.1 with next to nothing in it, to test what backends/cuda/driver.c makes of drivers.
 *
 * ACTC_STUB_DRIVER: old (of CUDA 11.4), nodevice, broken (does not start), turing (one device of compute capability 7.5),
 * good (one of 9.0). Functions that are not here fail (stub_rest.c).
 */
#include <cuda.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is(const char *mode)
{
    const char *chosen = getenv("ACTC_STUB_DRIVER");
    return chosen && !strcmp(chosen, mode);
}

CUresult cuDriverGetVersion(int *version)
{
    *version = is("old") ? 11040 : CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult cuInit(unsigned flags)
{
    (void)flags;
    return is("broken") ? CUDA_ERROR_UNKNOWN : is("nodevice") ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
    *text = error == CUDA_ERROR_NO_DEVICE ? "no CUDA-capable device is detected" : "unknown error";
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
    *count = 1;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    *device = ordinal;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int length, CUdevice device)
{
    (void)device;
    snprintf(name, (size_t)length, "stub of a test");
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device)
{
    (void)device;
    *bytes = 1u << 20;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    (void)device;
    *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR   ? (is("turing") ? 7 : 9)
             : attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR ? (is("turing") ? 5 : 0)
             : attribute == CU_DEVICE_ATTRIBUTE_WARP_SIZE                ? 32
                                                                         : 0;
    return CUDA_SUCCESS;
}
