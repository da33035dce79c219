/* test_cpu_device.c: the CPU and null backends as devices: the parallel loop and its floating-point modes, buffers and
 * what they count, copies, fills, host functions and segments, failing allocations. */
#include <actc/codec.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu_test.h"
#include "util/alloc.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/* ---- the parallel loop ---- */

typedef struct visits {
    atomic_uchar *seen;
    uint32_t grain, total;
    int threads;
    atomic_int wrong;
} visits;

static void visit(void *user, uint32_t begin, uint32_t end, int thread)
{
    visits *v = user;
    if (begin >= end || end > v->total || thread < 0 || thread >= v->threads ||
        (end - begin < v->grain && end != v->total))
        atomic_fetch_add(&v->wrong, 1);
    for (uint32_t i = begin; i < end; i++)
        atomic_fetch_add(&v->seen[i], 1);
#if defined(__x86_64__)
    if ((_mm_getcsr() & 0xffc0u) != 0x1f80u) /* round to nearest, no flushing; flags aside */
        atomic_fetch_add(&v->wrong, 1);
#endif
}

static bool loop_is_right(int threads, uint32_t total, uint32_t grain)
{
    visits v = {calloc(total ? total : 1, 1), grain, total, threads, 0};
    if (!v.seen)
        return false;
    actc_parallel_for(threads, total, grain, visit, &v);
    bool right = atomic_load(&v.wrong) == 0;
    for (uint32_t i = 0; i < total; i++)
        right &= atomic_load(&v.seen[i]) == 1;
    free(v.seen);
    return right;
}

static void every_element_once(void **state)
{
    (void)state;
    static const uint32_t totals[] = {0, 1, 2, 3, 7, 64, 1000, 4097};
    static const uint32_t grains[] = {1, 2, 5, 64, 5000};
    for (int threads = 1; threads <= 9; threads++)
        for (size_t t = 0; t < sizeof totals / sizeof *totals; t++)
            for (size_t g = 0; g < sizeof grains / sizeof *grains; g++)
                assert_true(loop_is_right(threads, totals[t], grains[g]));
}

static void *many_loops(void *result)
{
    bool right = true;
    for (int i = 0; i < 300; i++)
        right &= loop_is_right(3, 500, 1);
    *(bool *)result = right;
    return NULL;
}

/* Contexts may run side by side on threads of the embedding program. */
static void several_callers(void **state)
{
    (void)state;
    pthread_t threads[3];
    bool right[3] = {false};
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_loops, &right[i]), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(right[i]);
    }
}

/* OpenMP runtimes do not survive a fork, and thread sanitizers do not like one. */
#if !defined(ACTC_TEST_OPENMP) && !defined(__SANITIZE_THREAD__)
static void after_fork(void **state)
{
    (void)state;
    assert_true(loop_is_right(2, 100, 1));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(loop_is_right(2, 100, 1) ? 0 : 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

#if defined(__x86_64__)
static void callers_modes_come_back(void **state)
{
    (void)state;
    unsigned before = _mm_getcsr(), odd = 0x1f80u | 0x8040u | 0x6000u; /* FTZ, DAZ, towards zero */
    _mm_setcsr(odd);
    bool right = loop_is_right(1, 10, 1) && loop_is_right(2, 100, 1);
    unsigned after = _mm_getcsr();
    _mm_setcsr(before);
    assert_true(right);
    assert_int_equal(after & 0xffc0u, odd & 0xffc0u);
}
#endif

/* ---- devices ---- */

static void take_info(void *user, const actc_device_info *info)
{
    *(actc_device_info *)user = *info;
}

static actc_status open_device(const actc_backend *backend, actc_context *context, bool deterministic,
                               actc_device **device)
{
    actc_device_info info = {0};
    actc_status status = backend->enumerate(context, take_info, &info);
    actc_device_options options = {.size = sizeof options, .threads = 2, .deterministic = deterministic};
    return status != ACTC_OK ? status : backend->open(context, &options, &info, device);
}

static void information(void **state)
{
    actc_context *context = *state;
    actc_device_info info = {0};
    assert_int_equal(actc_backend_cpu.enumerate(context, take_info, &info), ACTC_OK);
    assert_string_equal(info.spec, "cpu");
    assert_true(info.usable && info.exact && info.threads >= 1 && info.memory_bytes > 0);
    assert_true(info.name[0] && strstr(info.driver, "oneDNN ") && info.exact_evidence[0]);
    assert_int_equal(actc_backend_null.enumerate(context, take_info, &info), ACTC_OK);
    assert_string_equal(info.spec, "null");
    assert_true(info.usable && info.type == ACTC_DEVICE_NULL);
}

typedef struct host_state {
    int calls, answer;
} host_state;

static int host(void *user, void *const *views)
{
    host_state *s = user;
    s->calls++;
    ((uint32_t *)views[0])[0] += 1;
    return s->answer;
}

/* fill 0..., copy, host, fill, host, host, copy: segments where commands lie between host functions. */
static void commands(const actc_backend *backend, actc_context *context)
{
    enum { BYTES = 3 * 262144 + 512 }; /* more than one piece of a copy, with a remainder */
    host_state user = {0, 0};
    actc_command list[8] = {
        {.type = ACTC_COMMAND_FILL, .label = "fill", .n_views = 1, .views = {{0, 0, BYTES}}, .u.fill.word = 0x01020304},
        {.type = ACTC_COMMAND_COPY, .label = "copy", .n_views = 2, .views = {{0, 0, BYTES}, {1, 256, BYTES}}},
        {.type = ACTC_COMMAND_HOST, .label = "host", .n_views = 1, .views = {{1, 256, BYTES}}, .u.host = {host, &user}},
        {.type = ACTC_COMMAND_FILL, .label = "zero", .n_views = 1, .views = {{0, 256, 256}}},
        {.type = ACTC_COMMAND_HOST, .label = "host", .n_views = 1, .views = {{1, 256, BYTES}}, .u.host = {host, &user}},
        {.type = ACTC_COMMAND_HOST, .label = "host", .n_views = 1, .views = {{1, 256, BYTES}}, .u.host = {host, &user}},
        {.type = ACTC_COMMAND_COPY, .label = "back", .n_views = 2, .views = {{1, 256, 256}, {0, 512, 256}}},
    };
    actc_program program = {"commands", list, 7};
    actc_device *device = NULL;
    assert_int_equal(open_device(backend, context, false, &device), ACTC_OK);
    actc_buffer *buffers[2] = {NULL, NULL};
    assert_int_equal(backend->buffer_create(device, BYTES, &buffers[0]), ACTC_OK);
    assert_int_equal(backend->buffer_create(device, BYTES + 256, &buffers[1]), ACTC_OK);
    assert_int_equal(device->allocated_bytes, 2 * BYTES + 256);
    uint32_t *words = malloc(BYTES);
    assert_non_null(words);
    assert_int_equal(backend->download(device, buffers[0], 0, words, BYTES), ACTC_OK);
    for (size_t i = 0; i < BYTES / 4; i++)
        assert_int_equal(words[i], 0);
    actc_executable *executable = NULL;
    assert_int_equal(backend->prepare(device, &program, buffers, 2, &executable), ACTC_OK);
    assert_int_equal(backend->segments(executable), 3);
    assert_int_equal(backend->run(device, executable), ACTC_OK);
    bool runs = backend == &actc_backend_cpu;
    assert_int_equal(user.calls, runs ? 3 : 0);
    assert_int_equal(backend->download(device, buffers[0], 0, words, BYTES), ACTC_OK);
    for (size_t i = 0; runs && i < BYTES / 4; i++)
        assert_int_equal(words[i], i >= 64 && i < 128 ? 0 : i == 128 ? 0x01020307 : 0x01020304);
    if (runs) {
        user.answer = 7;
        assert_int_equal(backend->run(device, executable), ACTC_ERROR_DEVICE);
        assert_non_null(strstr(actc_error_message(context), "host"));
        assert_non_null(strstr(actc_error_message(context), "7"));
    }
    free(words);
    backend->executable_destroy(device, executable);
    backend->buffer_destroy(device, buffers[0]);
    backend->buffer_destroy(device, buffers[1]);
    assert_int_equal(device->allocated_bytes, 0);
    backend->close(device);
}

static void cpu_commands(void **state)
{
    commands(&actc_backend_cpu, *state);
}

static void null_commands(void **state)
{
    commands(&actc_backend_null, *state);
}

/* ---- failing allocations ---- */

typedef struct countdown {
    int left;
} countdown;

static bool allow(void *user, size_t bytes)
{
    (void)bytes;
    return ((countdown *)user)->left-- > 0;
}

static actc_status use_device(const actc_backend *backend, actc_context *context, bool deterministic)
{
    actc_command list[2] = {
        {.type = ACTC_COMMAND_CONV, .label = "conv", .n_views = 5,
         .u.conv = {.pass = ACTC_CONV_BACKWARD_FILTER, .batch = 9, .ic = 3, .id = 1, .ih = 8, .iw = 8, .oc = 4, .od = 1,
                    .oh = 8, .ow = 8, .kd = 1, .kh = 3, .kw = 3, .sd = 1, .sh = 1, .sw = 1, .ph = 1, .pw = 1, .dd = 1,
                    .dh = 1, .dw = 1, .groups = 1, .add = true}},
        {.type = ACTC_COMMAND_GEMM, .label = "gemm", .n_views = 5,
         .u.gemm = {.m = 4, .n = 4, .k = 4, .batch = 1, .lda = 4, .ldb = 4, .ldc = 4, .alpha = 1}},
    };
    actc_program program = {"use", list, 2};
    actc_device *device = NULL;
    actc_buffer *buffer = NULL;
    actc_executable *executable = NULL;
    actc_status status = open_device(backend, context, deterministic, &device);
    uint64_t at = 0;
    for (int i = 0; i < 2 && status == ACTC_OK; i++) {
        uint64_t bytes[5] = {9 * 64 * 3 * 4, 9 * 64 * 4 * 4, 0, 4 * 27 * 4, 0};
        if (backend->workspace_bytes)
            status = backend->workspace_bytes(device, &list[i], &bytes[4]);
        for (int v = 0; v < 5; v++) {
            list[i].views[v] = (actc_view){bytes[v] ? 0 : ACTC_NO_BUFFER, at, bytes[v]};
            at += actc_align(bytes[v], ACTC_VIEW_ALIGNMENT);
        }
    }
    if (status == ACTC_OK)
        status = backend->buffer_create(device, at, &buffer);
    if (status == ACTC_OK)
        status = backend->prepare(device, &program, &buffer, 1, &executable);
    if (status == ACTC_OK)
        status = backend->run(device, executable);
    if (device) {
        if (executable)
            backend->executable_destroy(device, executable);
        if (buffer)
            backend->buffer_destroy(device, buffer);
        assert_int_equal(device->allocated_bytes, 0);
        backend->close(device);
    }
    return status;
}

static void failing_allocations(void **state)
{
    actc_context *context = *state;
    static const actc_backend *const backends[] = {&actc_backend_cpu, &actc_backend_cpu, &actc_backend_null};
    for (int b = 0; b < 3; b++) {
        actc_status status = ACTC_ERROR_INTERNAL;
        int allowed = 0;
        for (; allowed < 100 && status != ACTC_OK; allowed++) {
            countdown c = {allowed};
            actc_alloc_set_hook(allow, &c);
            status = use_device(backends[b], context, b == 1);
            actc_alloc_set_hook(NULL, NULL);
            if (status != ACTC_OK) {
                assert_int_equal(status, ACTC_ERROR_OUT_OF_MEMORY);
                assert_non_null(strstr(actc_error_message(context), "out of host memory"));
            }
        }
        assert_int_equal(status, ACTC_OK);
        assert_true(allowed > 3);
    }
}

/* ---- the environment ---- */

enum { SAMPLES = 6, CHANNELS = 5, ROWS = 20, COLUMNS = 10 };

static void count_lines(void *user, actc_log_level level, const char *message)
{
    (void)level;
    *(int *)user += strstr(message, " us  ") != NULL;
}

/* Variables that are set or taken away while a device is open change nothing about it: not what a codec's workspace is made
 * for, nor whether its commands are timed. */
static void environment_is_read_at_open(void **state)
{
    (void)state;
    static const char *const names[] = {"ACTC_CPU_CODEC", "ACTC_CPU_CODEC_VIEW", "ACTC_PERF", "ACTC_CPU_ISA"};
    static const char *const values[] = {"passes", "16384", "1", "baseline"};
    enum { VARIABLES = sizeof names / sizeof *names };
    const actc_shape shape = {.ndim = 4, .dims = {SAMPLES, CHANNELS, ROWS, COLUMNS}};
    enum { ELEMENTS = SAMPLES * CHANNELS * ROWS * COLUMNS };
    static float x[ELEMENTS], restored[2][ELEMENTS];
    static unsigned char payload[2][4 * ELEMENTS];
    for (int i = 0; i < ELEMENTS; i++)
        x[i] = (float)((uint32_t)i * 2654435761u >> 8) / 16777216.0f - 0.5f;
    for (int inside = 0; inside < 2; inside++) { /* set from open to create, or after it */
        int lines = 0;
        actc_context_options options = actc_context_options_default();
        options.log = count_lines;
        options.log_user = &lines;
        options.log_level = ACTC_LOG_INFO;
        actc_context *context;
        actc_device *device;
        actc_codec *codec;
        actc_codec_info info = {.size = sizeof info};
        assert_int_equal(actc_context_create(&options, &context), ACTC_OK);
        for (int i = 0; inside && i < VARIABLES; i++)
            setenv(names[i], values[i], 1);
        actc_device_options where = actc_device_options_default();
        where.device = "cpu";
        where.threads = 2;
        assert_int_equal(actc_device_open(context, &where, &device), ACTC_OK);
        assert_int_equal(actc_codec_create(device, "dct:lambda=3", &shape, &codec), ACTC_OK);
        assert_int_equal(actc_codec_info_get(codec, &info), ACTC_OK);
        assert_true(info.payload_bytes <= sizeof payload[0]);
        for (int i = 0; i < VARIABLES; i++)
            if (inside)
                unsetenv(names[i]);
            else
                setenv(names[i], values[i], 1);
        assert_int_equal(actc_codec_pack(codec, x, NULL, payload[inside]), ACTC_OK);
        assert_int_equal(actc_codec_unpack(codec, payload[inside], NULL, restored[inside]), ACTC_OK);
        const actc_codec_key key = {.tensor = 1}; /* other commands: prepared again */
        assert_int_equal(actc_codec_pack(codec, x, &key, payload[inside]), ACTC_OK);
        actc_codec_destroy(&codec);
        actc_device_destroy(&device);
        actc_context_destroy(&context);
        for (int i = 0; i < VARIABLES; i++)
            unsetenv(names[i]);
        assert_int_equal(lines, inside ? 3 : 0);
        assert_memory_equal(payload[inside], payload[0], info.payload_bytes);
    }
    assert_memory_equal(restored[0], restored[1], sizeof x);
}

static int make_context(void **state)
{
    return actc_context_create(NULL, (actc_context **)state) == ACTC_OK ? 0 : -1;
}

static int drop_context(void **state)
{
    actc_context_destroy((actc_context **)state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_element_once),
        cmocka_unit_test(several_callers),
#if !defined(ACTC_TEST_OPENMP) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(after_fork),
#endif
#if defined(__x86_64__)
        cmocka_unit_test(callers_modes_come_back),
#endif
        cmocka_unit_test(information),
        cmocka_unit_test(cpu_commands),
        cmocka_unit_test(null_commands),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(environment_is_read_at_open),
    };
    return cmocka_run_group_tests(tests, make_context, drop_context);
}
