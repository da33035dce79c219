/* test_driver.c: what the CUDA backend says of drivers that it cannot use, and that it finds cuBLASLt.
 *
 * Runs with the library of stub_driver.c first in the loader's path, and with ACTC_CUBLASLT naming the toolkit's
 * cuBLASLt: loading that needs no GPU. Nothing runs on a device here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../backends/cuda/cuda_internal.h"

static actc_context *context;
static actc_device_info seen;
static int count;

static void on_device(void *user, const actc_device_info *info)
{
    (void)user;
    seen = *info;
    count++;
}

static int set_up(void **state)
{
    (void)state;
    return actc_context_create(NULL, &context) == ACTC_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    actc_context_destroy(&context);
    return 0;
}

static void enumerate(const char *driver)
{
    setenv("ACTC_STUB_DRIVER", driver, 1);
    count = 0;
    assert_int_equal(actc_backend_cuda.enumerate(context, on_device, NULL), ACTC_OK);
    assert_int_equal(count, 1);
    assert_string_equal(seen.backend, "cuda");
}

static void refused(const char *driver, const char *reason)
{
    enumerate(driver);
    assert_false(seen.usable);
    if (!strstr(seen.reason, reason))
        fail_msg("%s: the reason is '%s' and should say '%s'", driver, seen.reason, reason);
}

static void drivers(void **state)
{
    (void)state;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "this build needs %d.0 or newer", CUDA_VERSION / 1000);
    refused("old", "CUDA driver too old: it is for CUDA 11.4");
    refused("old", wanted);
    refused("nodevice", "no CUDA-capable device is detected (100)");
    refused("broken", "the CUDA driver does not start");
    refused("turing", "compute capability 7.5; this build has kernels for 8.0 and newer");
    assert_string_equal(seen.spec, "cuda:0");
    enumerate("good");
    assert_true(seen.usable && seen.exact);
    assert_string_equal(seen.name, "stub of a test");
    assert_non_null(strstr(seen.driver, "compute capability 9.0"));
    assert_non_null(strstr(seen.exact_evidence, actc_cuda_sass_linted ? "machine code linted" : "not linted"));
}

/* A driver that fails when it is used: an error with the call, and nothing left behind. */
static void open_fails(void **state)
{
    (void)state;
    actc_device_options options = {.size = sizeof options};
    actc_device *device = (actc_device *)&options;
    enumerate("good");
    assert_int_equal(actc_backend_cuda.open(context, &options, &seen, &device), ACTC_ERROR_DEVICE);
    assert_null(device);
    assert_non_null(strstr(actc_error_message(context), "cuda:0: open: cuDevicePrimaryCtxRetain"));
    setenv("ACTC_STUB_DRIVER", "old", 1);
    assert_int_equal(actc_backend_cuda.open(context, &options, &seen, &device), ACTC_ERROR_NOT_FOUND);
    assert_non_null(strstr(actc_error_message(context), "too old"));
}

/* Every function that gemm.c calls is in the library, and it tells its version. */
static void blas(void **state)
{
    (void)state;
    actc_cuda_api api;
    memset(&api, 0, sizeof api);
    char *library = getenv("ACTC_CUBLASLT") ? strdup(getenv("ACTC_CUBLASLT")) : NULL;
    setenv("ACTC_CUBLASLT", "/nowhere/libcublasLt.so", 1);
    actc_cuda_load_blas(&api);
    assert_null(api.blas_library);
    assert_non_null(strstr(api.blas_name, "not found"));
    if (library) {
        char wanted[32];
        setenv("ACTC_CUBLASLT", library, 1);
        actc_cuda_load_blas(&api);
        if (!api.blas_library)
            fail_msg("%s", api.blas_name);
        snprintf(wanted, sizeof wanted, "cuBLASLt %d.", CUBLAS_VER_MAJOR);
        assert_non_null(strstr(api.blas_name, wanted));
        assert_string_equal(api.cublasLtGetStatusString(CUBLAS_STATUS_SUCCESS), "success");
        actc_cuda_unload(&api);
    }
    free(library);
}

/* The library carries every kernel of the list. */
static void images(void **state)
{
    (void)state;
    for (int id = 0; id < ACTC_KERNEL_COUNT; id++) {
        const actc_cuda_image *image = actc_cuda_find_image(actc_kernel_infos[id].name);
        if (!image || image->bytes < 1000)
            fail_msg("no code for kernel %s", actc_kernel_infos[id].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(drivers), cmocka_unit_test(open_fails), cmocka_unit_test(blas),
                                       cmocka_unit_test(images)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
