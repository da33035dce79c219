/* test_vulkan.c: what the Vulkan backend does beside kernels: programs, staging, limits, validation, the self-test, failures, the
 * pipeline cache; with the validation layer on. Kernels are compared by actc-parity (tests/parity).
 *
 * Runs on whatever devices the environment shows (meson pins lavapipe). A machine without one fails: a skip would hide
 * that nothing was tested.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/alloc.h"

#include "keep_loaded.h"
#include "../parity/kernel_run.h"

typedef struct fixture {
    actc_context *context;
    actc_device *vulkan;
    char log[4096]; /* errors and warnings */
} fixture;

static void on_log(void *user, actc_log_level level, const char *message)
{
    fixture *f = user;
    size_t used = strlen(f->log);
    if (level <= ACTC_LOG_WARNING)
        snprintf(f->log + used, sizeof f->log - used, "%s\n", message);
}

static void open_context(fixture *f)
{
    actc_context_options options = actc_context_options_default();
    options.log = on_log;
    options.log_user = f;
    assert_int_equal(actc_context_create(&options, &f->context), ACTC_OK);
}

static void open_vulkan(fixture *f, bool deterministic, bool validate)
{
    char message[1200];
    actc_device_options options = {.size = sizeof options, .threads = 2, .validate = validate, .deterministic = deterministic};
    if (!kernel_run_open(f->context, &actc_backend_vulkan, NULL, &options, &f->vulkan, message, sizeof message))
        fail_msg("%s", message);
}

static void close_vulkan(fixture *f)
{
    uint64_t left = f->vulkan->allocated_bytes;
    f->vulkan->backend->close(f->vulkan);
    f->vulkan = NULL;
    if (f->log[0])
        fail_msg("messages of the library or the validation layer:\n%s", f->log);
    assert_int_equal(left, 0);
}

/* ---- programs ---- */

static int double_first(void *user, void *const *views)
{
    const uint32_t *in = views[0];
    uint32_t *out = views[1];
    int *calls = user;
    out[0] = 2 * in[0];
    return ++*calls == 3 ? 42 : 0; /* the third call fails */
}

/* Fill, copy, kernels and host functions that depend on each other, in segments, run several times. */
static void program_runs(fixture *f, uint32_t expected_segments)
{
    const actc_backend *backend = f->vulkan->backend;
    int calls = 0;
    /* views at 0, 1024, 2048: a, b, c of 64 words */
    const actc_view a = {0, 0, 256}, b = {0, 1024, 256}, c = {0, 2048, 256};
    struct actc_params_binary add = {1, 64, .size = {1, 1, 1, 64}, .sa = {0, 0, 0, 1}, .sb = {0, 0, 0, 1}};
    actc_command commands[8] = {
        {.type = ACTC_COMMAND_FILL, .label = "fill a", .n_views = 1, .access = {'w'}, .views = {a}, .u.fill = {0x3f800000}},
        {.type = ACTC_COMMAND_COPY, .label = "copy a to b", .n_views = 2, .access = {'r', 'w'}, .views = {a, b}},
        kernel_run_command(ACTC_KERNEL_binary, 1, &add), /* c = a + b = 2 */
        kernel_run_command(ACTC_KERNEL_binary, 1, &add), /* a = c + b = 3 */
        {.type = ACTC_COMMAND_HOST, .label = "double", .n_views = 2, .access = {'r', 'w'}, .views = {a, b},
         .u.host = {double_first, &calls}},
        {.type = ACTC_COMMAND_COPY, .label = "copy b to c", .n_views = 2, .access = {'r', 'w'}, .views = {b, c}},
        kernel_run_command(ACTC_KERNEL_binary, 1, &add), /* c += a */
        kernel_run_command(ACTC_KERNEL_binary, 1, &add), /* b += c, in place after being read */
    };
    memcpy(commands[2].views, (actc_view[]){a, b, c}, 3 * sizeof a);
    memcpy(commands[3].views, (actc_view[]){c, b, a}, 3 * sizeof a);
    memcpy(commands[6].views, (actc_view[]){a, c, c}, 3 * sizeof a);
    memcpy(commands[7].views, (actc_view[]){c, b, b}, 3 * sizeof a);
    actc_program program = {"test", commands, 8};
    actc_buffer *buffer;
    actc_executable *executable;
    assert_int_equal(backend->buffer_create(f->vulkan, 4096, &buffer), ACTC_OK);
    uint32_t words[1024];
    assert_int_equal(backend->download(f->vulkan, buffer, 0, words, sizeof words), ACTC_OK);
    for (int i = 0; i < 1024; i++)
        assert_int_equal(words[i], 0);
    if (backend->prepare(f->vulkan, &program, &buffer, 1, &executable) != ACTC_OK)
        fail_msg("%s", actc_error_message(f->context));
    assert_int_equal(backend->segments(executable), expected_segments);
    for (int run = 0; run < 2; run++)
        if (backend->run(f->vulkan, executable) != ACTC_OK)
            fail_msg("%s", actc_error_message(f->context));
    assert_int_equal(backend->download(f->vulkan, buffer, 0, words, sizeof words), ACTC_OK);
    float values[1024];
    memcpy(values, words, sizeof values);
    /* The host function doubled the bits of 3.0: 0x80800000, a small negative number. */
    uint32_t doubled = 0x80800000u;
    assert_true(values[0] == 3.0f && values[1] == 3.0f);
    assert_true(values[512 + 1] == 3.0f + 1.0f && values[256 + 1] == 1.0f + 4.0f);
    assert_int_equal(doubled, 2u * 0x40400000u);
    assert_true(values[512] == 3.0f && values[256] == 3.0f); /* which reads as zero */
    assert_int_equal(backend->run(f->vulkan, executable), ACTC_ERROR_DEVICE);
    assert_non_null(strstr(actc_error_message(f->context), "double: the host function returned 42"));
    backend->executable_destroy(f->vulkan, executable);
    backend->buffer_destroy(f->vulkan, buffer);
}

static void programs(void **state)
{
    (void)state;
    fixture f = {0};
    open_context(&f);
    open_vulkan(&f, false, true);
    program_runs(&f, 2);
    close_vulkan(&f);
    setenv("ACTC_VK_SERIALIZE", "1", 1);
    open_vulkan(&f, false, true);
    program_runs(&f, 2);
    close_vulkan(&f);
    unsetenv("ACTC_VK_SERIALIZE");
    actc_context_destroy(&f.context);
}

/* The same where the host does not see the device's memory; what is reserved is what was said, and goes with the last buffer. */
static void staging(void **state)
{
    (void)state;
    fixture f = {0};
    open_context(&f);
    setenv("ACTC_VK_STAGING", "1", 1);
    open_vulkan(&f, false, true);
    const actc_backend *backend = f.vulkan->backend;
    const uint64_t transfer = 1000;
    uint64_t overhead = backend->overhead_bytes(f.vulkan, transfer);
    assert_true(overhead >= transfer);
    assert_int_equal(backend->reserve(f.vulkan, transfer), ACTC_OK);
    assert_int_equal(f.vulkan->allocated_bytes, overhead);
    assert_int_equal(backend->overhead_bytes(f.vulkan, transfer), 0); /* nothing beyond what there is */
    program_runs(&f, 2);
    assert_int_equal(f.vulkan->allocated_bytes, 0);
    assert_int_equal(backend->overhead_bytes(f.vulkan, transfer), overhead);
    assert_int_equal(backend->reserve(f.vulkan, transfer), ACTC_OK);

    /* transfers larger than the staging buffer, at odd offsets */
    actc_buffer *buffer;
    uint64_t bytes = backend->buffer_bytes(f.vulkan, 65536);
    assert_int_equal(backend->buffer_create(f.vulkan, bytes, &buffer), ACTC_OK);
    assert_int_equal(f.vulkan->allocated_bytes, overhead + bytes);
    uint32_t *out = malloc(65536), *in = malloc(65536);
    assert_true(out && in);
    for (uint32_t i = 0; i < 16384; i++)
        out[i] = i * 2654435761u;
    assert_int_equal(backend->upload(f.vulkan, buffer, 20, out, 65516), ACTC_OK);
    assert_int_equal(backend->download(f.vulkan, buffer, 24, in, 65000), ACTC_OK);
    assert_memory_equal(in, out + 1, 65000);
    assert_int_equal(backend->upload(f.vulkan, buffer, 4, out, 4), ACTC_OK);
    assert_int_equal(backend->download(f.vulkan, buffer, 0, in, 24), ACTC_OK);
    assert_true(in[0] == 0 && in[1] == out[0] && in[2] == 0 && in[5] == out[0]);
    free(out);
    free(in);
    backend->buffer_destroy(f.vulkan, buffer);
    assert_int_equal(f.vulkan->allocated_bytes, 0);
    backend->close(f.vulkan);
    f.vulkan = NULL;
    unsetenv("ACTC_VK_STAGING");
    assert_string_equal(f.log, "");
    actc_context_destroy(&f.context);
}

/* ---- errors ---- */

static void limits_are_errors(void **state)
{
    (void)state;
    fixture f = {0};
    open_context(&f);
    setenv("ACTC_VK_MAX_BUFFER", "1048576", 1);
    setenv("ACTC_VK_MAX_BINDING", "65536", 1);
    open_vulkan(&f, false, true);
    const actc_backend *backend = f.vulkan->backend;
    assert_int_equal(f.vulkan->info.max_buffer_bytes, 1048576);
    actc_buffer *buffer;
    assert_int_equal(backend->buffer_create(f.vulkan, 1048576 + 256, &buffer), ACTC_ERROR_OUT_OF_MEMORY);
    assert_null(buffer);
    assert_non_null(strstr(actc_error_message(f.context), "1048832"));
    struct actc_params_binary p = {0, 20000, .size = {1, 1, 1, 20000}, .sa = {0, 0, 0, 1}, .sb = {0, 0, 0, 1}};
    actc_command command = kernel_run_command(ACTC_KERNEL_binary, 20, &p);
    for (int i = 0; i < 3; i++)
        command.views[i].bytes = 80000;
    char why[256] = "";
    assert_false(backend->supports(f.vulkan, &command, why, sizeof why));
    assert_non_null(strstr(why, "80000"));
    actc_program program = {"test", &command, 1};
    actc_executable *executable;
    for (int i = 0; i < 3; i++)
        command.views[i] = (actc_view){0, 0, 80000};
    assert_int_equal(backend->buffer_create(f.vulkan, 262144, &buffer), ACTC_OK);
    assert_int_equal(backend->prepare(f.vulkan, &program, &buffer, 1, &executable), ACTC_ERROR_UNSUPPORTED);
    assert_null(executable);
    backend->buffer_destroy(f.vulkan, buffer);
    close_vulkan(&f);
    unsetenv("ACTC_VK_MAX_BUFFER");
    unsetenv("ACTC_VK_MAX_BINDING");
    actc_context_destroy(&f.context);
}

/* What the validation layer reports makes the call fail: a copy past the end of its buffer, and a barrier left out. */
static void validation_faults(void **state)
{
    (void)state;
    fixture f = {0};
    open_context(&f);
    setenv("ACTC_VK_NO_BARRIERS", "1", 1);
    open_vulkan(&f, false, true);
    const actc_backend *backend = f.vulkan->backend;
    actc_buffer *buffer;
    actc_executable *executable;
    assert_int_equal(backend->buffer_create(f.vulkan, 4096, &buffer), ACTC_OK);
    actc_command wild = {.type = ACTC_COMMAND_COPY, .label = "wild copy", .n_views = 2, .access = {'r', 'w'},
                         .views = {{0, 0, 1024}, {0, 4096 - 512, 1024}}};
    actc_program program = {"wild", &wild, 1};
    assert_int_equal(backend->prepare(f.vulkan, &program, &buffer, 1, &executable), ACTC_ERROR_DEVICE);
    assert_null(executable);
    assert_non_null(strstr(actc_error_message(f.context), "wild copy"));
    assert_non_null(strstr(actc_error_message(f.context), "Vulkan validation"));

    actc_command racing[2] = {
        {.type = ACTC_COMMAND_FILL, .label = "fill", .n_views = 1, .access = {'w'}, .views = {{0, 0, 1024}}},
        {.type = ACTC_COMMAND_COPY, .label = "racing copy", .n_views = 2, .access = {'r', 'w'},
         .views = {{0, 512, 256}, {0, 2048, 256}}},
    };
    program = (actc_program){"racing", racing, 2};
    assert_int_equal(backend->prepare(f.vulkan, &program, &buffer, 1, &executable), ACTC_ERROR_DEVICE);
    assert_non_null(strstr(actc_error_message(f.context), "racing copy"));
    assert_non_null(strstr(actc_error_message(f.context), "SYNC-HAZARD"));
    unsetenv("ACTC_VK_NO_BARRIERS");
    backend->buffer_destroy(f.vulkan, buffer);
    f.log[0] = '\0';
    close_vulkan(&f);

    open_vulkan(&f, false, true); /* with its barriers the same program is silent */
    assert_int_equal(backend->buffer_create(f.vulkan, 4096, &buffer), ACTC_OK);
    assert_int_equal(backend->prepare(f.vulkan, &program, &buffer, 1, &executable), ACTC_OK);
    assert_int_equal(backend->run(f.vulkan, executable), ACTC_OK);
    backend->executable_destroy(f.vulkan, executable);
    backend->buffer_destroy(f.vulkan, buffer);
    close_vulkan(&f);
    actc_context_destroy(&f.context);
}

/* ---- exactness without the driver's word ---- */

static void selftest(void **state)
{
    (void)state;
    fixture f = {0};
    open_context(&f);
    setenv("ACTC_VK_NO_FLOAT_CONTROLS", "1", 1);
    for (int staged = 0; staged < 2; staged++) {
        if (staged)
            setenv("ACTC_VK_STAGING", "1", 1);
        open_vulkan(&f, true, true); /* deterministic: refused unless EXACT holds */
        assert_true(f.vulkan->info.exact);
        assert_non_null(strstr(f.vulkan->info.exact_evidence, "self-test passed"));
        close_vulkan(&f);
    }
    unsetenv("ACTC_VK_NO_FLOAT_CONTROLS");
    unsetenv("ACTC_VK_STAGING");
    open_vulkan(&f, false, true);
    assert_true(f.vulkan->info.exact);
    assert_true(strstr(f.vulkan->info.exact_evidence, "driver reports") || strstr(f.vulkan->info.exact_evidence, "self-test passed"));
    close_vulkan(&f);
    actc_context_destroy(&f.context);
}

/* ---- allocation failures ---- */

typedef struct countdown {
    long left;
} countdown;

static bool count_down(void *user, size_t bytes)
{
    (void)bytes;
    countdown *c = user;
    return c->left-- != 0;
}

static void on_nothing(void *user, const actc_device_info *info)
{
    (void)info;
    ++*(int *)user;
}

/* The whole life of a device with the n-th allocation of host memory failing, for every n there is. */
static void allocation_failures(void **state)
{
    (void)state;
    fixture f = {0};
    open_context(&f);
    setenv("ACTC_VK_STAGING", "1", 1);
    setenv("ACTC_VK_NO_FLOAT_CONTROLS", "1", 1);
    actc_device_info info = {0};
    open_vulkan(&f, false, false);
    info = f.vulkan->info;
    close_vulkan(&f);
    struct actc_params_binary add = {1, 64, .size = {1, 1, 1, 64}, .sa = {0, 0, 0, 1}, .sb = {0, 0, 0, 1}};
    actc_command commands[3] = {kernel_run_command(ACTC_KERNEL_binary, 1, &add),
                                {.type = ACTC_COMMAND_CONV, .label = "conv", .n_views = 5, .access = {'r', 'r', 'r', 'w', 'x'}},
                                {.type = ACTC_COMMAND_HOST, .label = "host", .n_views = 1, .access = {'r'}, .views = {{0, 0, 256}}}};
    for (uint32_t i = 0; i < 3; i++)
        commands[0].views[i] = (actc_view){0, 1024 * i, 256};
    commands[1].u.conv = (actc_conv){.pass = ACTC_CONV_BACKWARD_FILTER, .batch = 1, .ic = 1, .id = 1, .ih = 4, .iw = 4,
                                     .oc = 1, .od = 1, .oh = 4, .ow = 4, .kd = 1, .kh = 1, .kw = 1, .sd = 1, .sh = 1, .sw = 1,
                                     .dd = 1, .dh = 1, .dw = 1, .groups = 1, .add = true};
    for (uint32_t i = 0; i < 5; i++)
        commands[1].views[i] = (actc_view){i == 2 ? ACTC_NO_BUFFER : 0, 256 * i, i == 2 ? 0 : 256};
    actc_program program = {"test", commands, 3};
    bool finished = false;
    long failures = 0;
    for (long n = 0; !finished && n < 200; n++) {
        countdown c = {n};
        actc_device *device = NULL;
        actc_buffer *buffer = NULL;
        actc_executable *executable = NULL;
        actc_device_options options = {.size = sizeof options};
        int devices = 0;
        actc_alloc_set_hook(count_down, &c);
        actc_status status = actc_backend_vulkan.enumerate(f.context, on_nothing, &devices);
        if (status == ACTC_OK)
            status = actc_backend_vulkan.open(f.context, &options, &info, &device);
        if (status == ACTC_OK)
            status = actc_backend_vulkan.reserve(device, 256);
        if (status == ACTC_OK)
            status = actc_backend_vulkan.buffer_create(device, 4096, &buffer);
        if (status == ACTC_OK)
            status = actc_backend_vulkan.prepare(device, &program, &buffer, 1, &executable);
        actc_alloc_set_hook(NULL, NULL);
        /* a failed write of the pipeline cache is no error, so the last few allocations may fail unseen */
        finished = c.left >= 0;
        failures += status != ACTC_OK;
        if (status != ACTC_OK)
            assert_int_equal(status, ACTC_ERROR_OUT_OF_MEMORY);
        if (device) {
            actc_backend_vulkan.executable_destroy(device, executable);
            actc_backend_vulkan.buffer_destroy(device, buffer);
            actc_backend_vulkan.close(device);
        }
    }
    assert_true(finished);
    assert_in_range(failures, 10, 199);
    unsetenv("ACTC_VK_STAGING");
    unsetenv("ACTC_VK_NO_FLOAT_CONTROLS");
    actc_context_destroy(&f.context);
}

/* ---- pipeline cache and statistics ---- */

static int reported;

static void on_report(void *user, const actc_kernel_report *report)
{
    (void)user;
    assert_true(report->size == sizeof *report && report->kernel[0] && report->text[0]);
    reported++;
}

static void compile_all(void **state)
{
    (void)state;
    fixture f = {0};
    open_context(&f);
    open_vulkan(&f, false, true);
    assert_int_equal(f.vulkan->backend->compile_all(f.vulkan, on_report, NULL), ACTC_OK);
    assert_true(reported >= ACTC_KERNEL_COUNT);
    close_vulkan(&f);
    setenv("ACTC_VK_NO_SUBGROUP", "1", 1);
    open_vulkan(&f, false, true);
    assert_int_equal(f.vulkan->backend->compile_all(f.vulkan, NULL, NULL), ACTC_OK);
    close_vulkan(&f);
    unsetenv("ACTC_VK_NO_SUBGROUP");
    actc_context_destroy(&f.context);
}

/* Bytes of the one file in the cache's folder, whose path goes to `path`; -1 for none. */
static long cache_file(const char *folder, char *path, size_t size)
{
    char command[512];
    struct stat info;
    path[0] = '\0';
    snprintf(command, sizeof command, "ls %s/actc/vulkan-*.bin 2>/dev/null", folder);
    FILE *list = popen(command, "r");
    assert_non_null(list);
    if (fgets(path, (int)size, list))
        path[strcspn(path, "\n")] = '\0';
    char more[16];
    assert_null(fgets(more, sizeof more, list));
    pclose(list);
    return path[0] && stat(path, &info) == 0 ? (long)info.st_size : -1;
}

/* XDG_CACHE_HOME is another while the device is open: it was read before. */
static void run_one_kernel(fixture *f)
{
    char message[1200];
    uint32_t x[7] = {0x3f800000, 0xbf800000}, y[7];
    void *data[2] = {x, y};
    struct actc_params_relu_fwd p = {0, 7, INFINITY};
    char *home = strdup(getenv("XDG_CACHE_HOME"));
    open_vulkan(f, false, true);
    setenv("XDG_CACHE_HOME", "/proc/elsewhere", 1);
    actc_command command = kernel_run_command(ACTC_KERNEL_relu_fwd, 1, &p);
    command.views[0].bytes = command.views[1].bytes = sizeof x;
    if (!kernel_run(f->vulkan, &command, data, message, sizeof message))
        fail_msg("%s", message);
    assert_true(y[0] == x[0] && y[1] == 0);
    close_vulkan(f);
    setenv("XDG_CACHE_HOME", home, 1);
    free(home);
}

static void pipeline_cache(void **state)
{
    (void)state;
    char folder[] = "/tmp/actc-cache-XXXXXX", path[512], command[600];
    fixture f = {0};
    const char *old = getenv("XDG_CACHE_HOME");
    char *saved = old ? strdup(old) : NULL;
    open_context(&f);
    assert_non_null(mkdtemp(folder));
    setenv("XDG_CACHE_HOME", folder, 1);
    setenv("ACTC_VK_NO_CACHE", "1", 1);
    run_one_kernel(&f);
    assert_int_equal(cache_file(folder, path, sizeof path), -1);
    unsetenv("ACTC_VK_NO_CACHE");
    run_one_kernel(&f);
    long bytes = cache_file(folder, path, sizeof path);
    assert_true(bytes > 32);
    run_one_kernel(&f); /* reads it */
    for (int damage = 0; damage < 3; damage++) {
        FILE *file = fopen(path, damage == 0 ? "r+b" : "wb"); /* a changed byte, an empty file, rubbish */
        assert_non_null(file);
        if (damage != 1) {
            fseek(file, damage == 0 ? bytes - 1 : 0, SEEK_SET);
            fputc(0x5a, file);
        }
        fclose(file);
        run_one_kernel(&f);
        assert_int_equal(cache_file(folder, path, sizeof path), bytes); /* written anew */
    }
    setenv("XDG_CACHE_HOME", "/proc/nowhere", 1); /* cannot be written, whoever we are */
    run_one_kernel(&f);
    if (saved)
        setenv("XDG_CACHE_HOME", saved, 1);
    else
        unsetenv("XDG_CACHE_HOME");
    free(saved);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    actc_context_destroy(&f.context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs),          cmocka_unit_test(staging),     cmocka_unit_test(limits_are_errors),
        cmocka_unit_test(validation_faults), cmocka_unit_test(selftest),    cmocka_unit_test(allocation_failures),
        cmocka_unit_test(compile_all),       cmocka_unit_test(pipeline_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
