/* test_cuda_host.c: what the CUDA backend, compiled for the processor (tests/cuda_host), does beside kernels: that work is
 * ordered, that nothing is lost where a call fails, limits, figures. Kernels are compared by actc-parity (tests/parity).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_driver.h"
#include "util/alloc.h"

#include "../parity/kernel_run.h"

typedef struct fixture {
    actc_context *context;
    actc_device *cuda;
    char log[2048];
} fixture;

static fixture f;

static void on_log(void *user, actc_log_level level, const char *message)
{
    (void)user;
    size_t used = strlen(f.log);
    if (level <= ACTC_LOG_WARNING)
        snprintf(f.log + used, sizeof f.log - used, "%s\n", message);
}

static int set_up(void **state)
{
    (void)state;
    actc_context_options options = actc_context_options_default();
    options.log = on_log;
    f = (fixture){0};
    return actc_context_create(&options, &f.context) == ACTC_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    actc_context_destroy(&f.context);
    assert_int_equal(actc_cuda_host_live(), 0);
    return 0;
}

static void open_cuda(void)
{
    char message[1200];
    actc_device_options options = {.size = sizeof options};
    if (!kernel_run_open(f.context, &actc_backend_cuda_host, NULL, &options, &f.cuda, message, sizeof message))
        fail_msg("%s", message);
    assert_string_equal(f.cuda->info.backend, "cuda-host");
    assert_string_equal(f.cuda->info.spec, "cuda-host:0");
    assert_int_equal(f.cuda->info.type, ACTC_DEVICE_SOFTWARE); /* never chosen by "auto" */
    assert_non_null(strstr(f.cuda->info.name, "no GPU"));
}

static void close_cuda(void)
{
    f.cuda->backend->close(f.cuda);
    assert_int_equal(actc_cuda_host_live(), 0);
}

static void what_it_says(void **state)
{
    (void)state;
    open_cuda();
    assert_non_null(strstr(f.cuda->info.driver, "no cuBLASLt")); /* so the products are the project's own kernels */
    assert_non_null(strstr(f.log, "own kernel"));
    close_cuda();
}

/* ---- programs ---- */

static int add_one(void *user, void *const *views)
{
    const uint32_t *in = views[0];
    uint32_t *out = views[1], *both = views[3];
    int *calls = user;
    assert_null(views[2]);
    out[0] = in[0] + 1;
    both[0] += 10;
    return ++*calls == 3 ? 42 : 0; /* the third call fails */
}

#define AT(word) {0, 4ull * (word), 256}
/* Fill, copy, kernels and two host functions, in three segments. Words at 0, 64, 128, 192 of the buffer. */
static const actc_command program_commands[] = {
    {.type = ACTC_COMMAND_FILL, .label = "fill", .n_views = 1, .access = {'w'}, .views = {AT(0)}, .u.fill = {5}},
    {.type = ACTC_COMMAND_COPY, .label = "copy", .n_views = 2, .access = {'r', 'w'}, .views = {AT(0), AT(64)}},
    {.type = ACTC_COMMAND_HOST, .label = "first host function", .n_views = 4, .access = {'r', 'w', 'r', 'x'},
     .views = {AT(64), AT(128), {ACTC_NO_BUFFER, 0, 0}, AT(192)}, .u.host = {add_one, NULL}},
    {.type = ACTC_COMMAND_COPY, .label = "copy", .n_views = 2, .access = {'r', 'w'}, .views = {AT(128), AT(64)}},
    {.type = ACTC_COMMAND_HOST, .label = "second host function", .n_views = 4, .access = {'r', 'w', 'r', 'x'},
     .views = {AT(64), AT(128), {ACTC_NO_BUFFER, 0, 0}, AT(192)}, .u.host = {add_one, NULL}},
    {.type = ACTC_COMMAND_COPY, .label = "copy", .n_views = 2, .access = {'r', 'w'}, .views = {AT(128), AT(0)}},
};
#define COMMANDS (sizeof program_commands / sizeof *program_commands)

/* Opens, reserves, makes a buffer, prepares, uploads, runs, downloads, and gives all of it back, whatever failed. */
static actc_status whole_life(const actc_device_info *info, uint32_t *word, uint64_t *left)
{
    const actc_backend *cuda = &actc_backend_cuda_host;
    actc_device_options options = {.size = sizeof options};
    actc_command commands[COMMANDS];
    actc_program program = {"test", commands, COMMANDS};
    actc_device *device = NULL;
    actc_buffer *buffer = NULL;
    actc_executable *executable = NULL;
    int calls = 0;
    uint32_t start[64] = {7};
    memcpy(commands, program_commands, sizeof commands);
    commands[2].u.host.user = commands[4].u.host.user = &calls;
    actc_status status = cuda->open(f.context, &options, info, &device);
    if (status != ACTC_OK) {
        assert_null(device);
        return status;
    }
    uint64_t overhead = cuda->overhead_bytes(device, 1024);
    status = cuda->reserve(device, 1024);
    if (status == ACTC_OK)
        status = cuda->buffer_create(device, 4096, &buffer);
    if (status == ACTC_OK)
        status = cuda->prepare(device, &program, &buffer, 1, &executable);
    if (status == ACTC_OK)
        assert_int_equal(cuda->segments(executable), 3);
    if (status == ACTC_OK)
        status = cuda->upload(device, buffer, 4 * 192, start, sizeof start);
    if (status == ACTC_OK)
        status = cuda->run(device, executable);
    if (status == ACTC_OK)
        status = cuda->download(device, buffer, 0, word, 4);
    if (status == ACTC_OK)
        status = cuda->download(device, buffer, 4 * 192, word + 1, 4);
    if (status == ACTC_OK) {
        assert_int_equal(device->allocated_bytes, 4096 + overhead);
        assert_int_equal(cuda->overhead_bytes(device, 1024), 0); /* it is there already */
    }
    cuda->executable_destroy(device, executable);
    cuda->buffer_destroy(device, buffer);
    *left = device->allocated_bytes;
    cuda->close(device);
    return status;
}

static void take_info(void *user, const actc_device_info *info)
{
    *(actc_device_info *)user = *info;
}

static void programs(void **state)
{
    (void)state;
    actc_device_info info = {0};
    uint32_t words[2] = {0};
    uint64_t left;
    assert_int_equal(actc_backend_cuda_host.enumerate(f.context, take_info, &info), ACTC_OK);
    if (whole_life(&info, words, &left) != ACTC_OK)
        fail_msg("%s", actc_error_message(f.context));
    assert_int_equal(left, 0); /* the staging went with the last buffer */
    assert_int_equal(words[0], 7);  /* 5, and one more in each host function */
    assert_int_equal(words[1], 27); /* 7, and ten more in each */
    assert_int_equal(actc_cuda_host_live(), 0);
}

/* A host function that fails ends the run with its label and answer. */
static void host_function_fails(void **state)
{
    (void)state;
    actc_command commands[COMMANDS];
    actc_program program = {"test", commands, COMMANDS};
    actc_buffer *buffer;
    actc_executable *executable;
    int calls = 0;
    memcpy(commands, program_commands, sizeof commands);
    commands[2].u.host.user = commands[4].u.host.user = &calls;
    open_cuda();
    const actc_backend *cuda = f.cuda->backend;
    assert_int_equal(cuda->buffer_create(f.cuda, 4096, &buffer), ACTC_OK);
    assert_int_equal(cuda->prepare(f.cuda, &program, &buffer, 1, &executable), ACTC_OK);
    assert_int_equal(cuda->run(f.cuda, executable), ACTC_OK);
    assert_int_equal(cuda->run(f.cuda, executable), ACTC_ERROR_DEVICE);
    assert_string_equal(actc_error_message(f.context), "first host function: the host function returned 42");
    assert_int_equal(cuda->run(f.cuda, executable), ACTC_OK); /* and the device lives on */
    cuda->executable_destroy(f.cuda, executable);
    cuda->buffer_destroy(f.cuda, buffer);
    close_cuda();
}

/* Many uploads of odd sizes in a row, more than the staging holds, then the whole content. The driver of the test copies
 * as late as it may, so staging that is used again too early shows. */
static void staging(void **state)
{
    (void)state;
    open_cuda();
    const actc_backend *cuda = f.cuda->backend;
    const uint64_t bytes = 1u << 20;
    actc_buffer *buffer;
    uint32_t *wanted = malloc(bytes), *got = malloc(bytes);
    assert_true(wanted && got);
    uint64_t overhead = cuda->overhead_bytes(f.cuda, 1000);
    assert_int_equal(cuda->reserve(f.cuda, 1000), ACTC_OK);
    assert_int_equal(f.cuda->allocated_bytes, overhead);
    assert_int_equal(cuda->buffer_create(f.cuda, bytes, &buffer), ACTC_OK);
    assert_int_equal(cuda->download(f.cuda, buffer, 0, got, bytes), ACTC_OK);
    for (uint64_t i = 0; i < bytes / 4; i++) {
        assert_int_equal(got[i], 0);
        wanted[i] = (uint32_t)i * 2654435761u;
    }
    uint64_t at = 0;
    for (uint64_t part = 4; at < bytes; part = part * 3 + 4) {
        uint64_t length = part % 300000 / 4 * 4 + 4;
        length = length < bytes - at ? length : bytes - at;
        uint32_t *once = malloc(length); /* the source may go right after the call */
        assert_non_null(once);
        memcpy(once, wanted + at / 4, length);
        assert_int_equal(cuda->upload(f.cuda, buffer, at, once, length), ACTC_OK);
        memset(once, 0, length);
        free(once);
        at += length;
    }
    assert_int_equal(cuda->download(f.cuda, buffer, 0, got, bytes), ACTC_OK);
    assert_memory_equal(wanted, got, bytes);
    assert_int_equal(f.cuda->allocated_bytes, overhead + bytes);
    cuda->buffer_destroy(f.cuda, buffer);
    assert_int_equal(f.cuda->allocated_bytes, 0);
    free(wanted);
    free(got);
    close_cuda();
}

/* ---- failures ---- */

/* The n-th call of the driver fails, for every n there is: an error with the device's name, and nothing is left. */
static void driver_failures(void **state)
{
    (void)state;
    actc_device_info info = {0};
    uint32_t words[2];
    uint64_t left = 0;
    assert_int_equal(actc_backend_cuda_host.enumerate(f.context, take_info, &info), ACTC_OK);
    actc_cuda_host_fail_at(0);
    assert_int_equal(whole_life(&info, words, &left), ACTC_OK);
    unsigned calls = actc_cuda_host_calls(), failed = 0;
    assert_in_range(calls, 30, 200);
    for (unsigned n = 1; n <= calls; n++) {
        actc_cuda_host_fail_at(n);
        actc_status status = whole_life(&info, words, &left);
        actc_cuda_host_fail_at(0);
        failed += status != ACTC_OK; /* not where what fails is only waited for before giving back */
        if (status != ACTC_OK) {
            assert_int_equal(status, ACTC_ERROR_DEVICE);
            assert_non_null(strstr(actc_error_message(f.context), "cuda-host:0"));
            assert_non_null(strstr(actc_error_message(f.context), "failure asked for by a test"));
        }
        assert_int_equal(actc_cuda_host_live(), 0);
    }
    assert_in_range(failed, calls - 4, calls);
}

typedef struct countdown {
    long left;
} countdown;

static bool count_down(void *user, size_t bytes)
{
    (void)bytes;
    countdown *c = user;
    return c->left-- != 0;
}

/* The same with the n-th allocation of host memory, which here is the device's memory too. */
static void allocation_failures(void **state)
{
    (void)state;
    actc_device_info info = {0};
    uint32_t words[2];
    uint64_t left = 0;
    assert_int_equal(actc_backend_cuda_host.enumerate(f.context, take_info, &info), ACTC_OK);
    long failures = 0;
    for (long n = 0;; n++) {
        countdown c = {n};
        actc_alloc_set_hook(count_down, &c);
        actc_status status = whole_life(&info, words, &left);
        actc_alloc_set_hook(NULL, NULL);
        assert_int_equal(actc_cuda_host_live(), 0);
        if (c.left >= 0)
            break;
        failures++;
        assert_int_equal(status, ACTC_ERROR_OUT_OF_MEMORY);
        assert_true(strstr(actc_error_message(f.context), "out of") || strstr(actc_error_message(f.context), "memory"));
    }
    assert_in_range(failures, 10, 100);
}

/* What a device cannot run is refused with the shape; a program that holds it anyway is not prepared. */
static void limits(void **state)
{
    (void)state;
    char why[256] = "";
    open_cuda();
    actc_command command = {.type = ACTC_COMMAND_GEMM, .label = "huge"};
    command.u.gemm = actc_gemm_dense((actc_gemm){.m = 70000, .n = 70000, .k = 1});
    assert_false(f.cuda->backend->supports(f.cuda, &command, why, sizeof why));
    assert_non_null(strstr(why, "70000x70000x1"));
    command = (actc_command){.type = ACTC_COMMAND_CONV, .label = "huge"};
    command.u.conv = (actc_conv){.batch = 4096, .ic = 1024, .id = 1, .ih = 32, .iw = 32, .oc = 1, .od = 1, .oh = 32, .ow = 32,
                                 .kd = 1, .kh = 1, .kw = 1, .sd = 1, .sh = 1, .sw = 1, .dd = 1, .dh = 1, .dw = 1, .groups = 1};
    assert_false(f.cuda->backend->supports(f.cuda, &command, why, sizeof why));
    assert_non_null(strstr(why, "convolution"));
    actc_buffer *buffer = NULL;
    assert_int_equal(f.cuda->backend->buffer_create(f.cuda, 1ull << 60, &buffer), ACTC_ERROR_OUT_OF_MEMORY);
    assert_null(buffer);
    assert_non_null(strstr(actc_error_message(f.context), "1152921504606846976 bytes wanted"));
    close_cuda();
}

/* ---- figures about kernels ---- */

static int reported;

static void on_report(void *user, const actc_kernel_report *report)
{
    (void)user;
    if (!strstr(report->text, "registers") || report->registers < 0)
        fail_msg("%s: %s", report->kernel, report->text);
    reported++;
}

static void compile_all(void **state)
{
    (void)state;
    open_cuda();
    assert_int_equal(f.cuda->backend->compile_all(f.cuda, on_report, NULL), ACTC_OK);
    assert_int_equal(reported, ACTC_KERNEL_COUNT);
    assert_int_equal(f.cuda->backend->compile_all(f.cuda, NULL, NULL), ACTC_OK);
    close_cuda();
}

/* Every kernel's function takes the parameters and views that kernels.def says. */
static void signatures(void **state)
{
    (void)state;
    for (int id = 0; id < ACTC_KERNEL_COUNT; id++) {
        const actc_kernel_info *info = &actc_kernel_infos[id];
        unsigned params_bytes, n_views;
        if (!actc_cuda_host_signature(info->name, &params_bytes, &n_views))
            fail_msg("%s has no CUDA source", info->name);
        if (params_bytes != info->params_bytes || n_views != strlen(info->access))
            fail_msg("%s: %u bytes of parameters and %u views; the list says %u and %zu", info->name, params_bytes, n_views,
                     info->params_bytes, strlen(info->access));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_it_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(programs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(host_function_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(staging, set_up, tear_down),
        cmocka_unit_test_setup_teardown(driver_failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(allocation_failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compile_all, set_up, tear_down),
        cmocka_unit_test(signatures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
