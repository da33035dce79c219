/* test_cuda_host.c: every CUDA kernel, compiled for the processor (tests/cuda_host), against the CPU backend.
 *
 * EXACT kernels must leave the same bytes, in their views and around them; TOLERANT ones stay within a bound for each
 * element. Data is adversarial (cpu_test.h); sizes lie at the edges of threads, words, groups and tiles, and on primes.
 */
#include "cpu_test.h"

#include <actc/context.h>

#include "host_driver.h"
#include "scheduler.h"
#include "../../backends/cuda/cuda_internal.h"

#define GUARD 256 /* bytes before and after every view, and what its last 256 bytes leave over */
#define SENTINEL 0xa5

typedef struct fixture {
    actc_context *context;
    actc_device *cpu, *fast, *exact; /* cpu: deterministic; the other two cuda-host */
} fixture;

static fixture f;
static bool kernel_checked[ACTC_KERNEL_COUNT];

static void take_info(void *user, const actc_device_info *info)
{
    *(actc_device_info *)user = *info;
}

static actc_device *open_device(const actc_backend *backend, bool deterministic)
{
    actc_device_info info = {0};
    assert_int_equal(backend->enumerate(f.context, take_info, &info), ACTC_OK);
    assert_true(info.usable);
    actc_device_options options = {.size = sizeof options, .threads = 1, .deterministic = deterministic};
    actc_device *device = NULL;
    if (backend->open(f.context, &options, &info, &device) != ACTC_OK)
        fail_msg("%s: %s", backend->name, actc_error_message(f.context));
    return device;
}

static int set_up(void **state)
{
    (void)state;
    if (actc_context_create(NULL, &f.context) != ACTC_OK)
        return -1;
    f.cpu = open_device(&actc_backend_cpu, true);
    f.fast = open_device(&actc_backend_cuda_host, false);
    f.exact = open_device(&actc_backend_cuda_host, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    f.cpu->backend->close(f.cpu);
    f.fast->backend->close(f.fast);
    f.exact->backend->close(f.exact);
    actc_context_destroy(&f.context);
    assert_int_equal(actc_cuda_host_live(), 0);
    return 0;
}

/* ---- running one command on a device ---- */

typedef struct view {
    const void *data; /* what is there before; NULL: NaN bits, since the kernel writes all of it */
    size_t bytes;     /* 0: an empty view */
} view;

/* The memory of all views with guards between them. */
typedef struct image {
    unsigned char *bytes;
    size_t size;
    size_t offset[ACTC_MAX_VIEWS];
} image;

static image make_image(const view *views, int n_views, size_t workspace)
{
    image m = {.size = GUARD};
    for (int i = 0; i <= n_views; i++) {
        size_t bytes = i < n_views ? views[i].bytes : workspace;
        m.offset[i] = m.size;
        m.size += (bytes + 255) / 256 * 256 + GUARD;
    }
    m.bytes = malloc(m.size);
    assert_non_null(m.bytes);
    memset(m.bytes, SENTINEL, m.size);
    for (int i = 0; i < n_views; i++) {
        if (views[i].data)
            memcpy(m.bytes + m.offset[i], views[i].data, views[i].bytes);
        else
            memset(m.bytes + m.offset[i], 0xff, views[i].bytes);
    }
    return m;
}

#define MUST(device, call)                                                                                     \
    do {                                                                                                       \
        actc_status must_ = (device)->backend->call;                                                           \
        if (must_ != ACTC_OK)                                                                                  \
            fail_msg("%s: %s: %s", (device)->info.spec, #call, actc_error_message((device)->context));         \
    } while (0)

/* Runs the command (its views are made here) and returns the memory afterwards. gemm and conv: five views, the last of
 * them the workspace, which is not compared. */
static image run_command(actc_device *device, actc_command command, const view *views, int n_views)
{
    bool with_workspace = command.type != ACTC_COMMAND_KERNEL && n_views == ACTC_WORKSPACE_VIEW;
    uint64_t workspace = 0;
    char why[256] = "";
    if (device->backend->supports && !device->backend->supports(device, &command, why, sizeof why))
        fail_msg("%s: not supported: %s", device->info.spec, why);
    if (with_workspace && device->backend->workspace_bytes)
        MUST(device, workspace_bytes(device, &command, &workspace));
    image m = make_image(views, n_views, workspace);
    command.label = "test";
    command.n_views = (uint8_t)(n_views + with_workspace);
    for (int i = 0; i < command.n_views; i++) {
        uint64_t bytes = i < n_views ? views[i].bytes : workspace;
        command.views[i] = (actc_view){bytes ? 0 : ACTC_NO_BUFFER, bytes ? m.offset[i] : 0, bytes};
        command.access[i] = 'x';
    }
    actc_program program = {"test", &command, 1};
    actc_buffer *buffer = NULL;
    actc_executable *executable = NULL;
    MUST(device, buffer_create(device, actc_align(m.size, 256), &buffer));
    MUST(device, upload(device, buffer, 0, m.bytes, m.size));
    MUST(device, prepare(device, &program, &buffer, 1, &executable));
    assert_int_equal(device->backend->segments(executable), 1);
    MUST(device, run(device, executable));
    MUST(device, download(device, buffer, 0, m.bytes, m.size));
    device->backend->executable_destroy(device, executable);
    device->backend->buffer_destroy(device, buffer);
    m.size = m.offset[n_views]; /* up to the workspace */
    return m;
}

static uint32_t word_at(const image *m, size_t at)
{
    uint32_t u;
    memcpy(&u, m->bytes + at, 4);
    return u;
}

static void same_bytes(const char *what, const image *a, const image *b)
{
    assert_int_equal(a->size, b->size);
    if (memcmp(a->bytes, b->bytes, a->size) == 0)
        return;
    int shown = 0;
    char text[512] = "";
    for (size_t i = 0; i + 4 <= a->size && shown < 5; i += 4) {
        if (word_at(a, i) == word_at(b, i))
            continue;
        int which = 0;
        while (which + 1 < ACTC_MAX_VIEWS && a->offset[which + 1] && a->offset[which + 1] <= i)
            which++;
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, " view %d word %td: cpu %08x, cuda-host %08x;", which,
                 ((ptrdiff_t)i - (ptrdiff_t)a->offset[which]) / 4, (unsigned)word_at(a, i), (unsigned)word_at(b, i));
        shown++;
    }
    fail_msg("%s:%s", what, text);
}

static void check_exact(const char *what, const actc_command *command, const view *views, int n_views)
{
    image cpu = run_command(f.cpu, *command, views, n_views);
    image cuda = run_command(f.exact, *command, views, n_views);
    same_bytes(what, &cpu, &cuda);
    free(cpu.bytes);
    free(cuda.bytes);
}

static uint64_t groups_of_elements(uint64_t n)
{
    return (n + ACTC_GROUP_ELEMENTS - 1) / ACTC_GROUP_ELEMENTS;
}

static uint64_t groups_of_invocations(uint64_t n)
{
    return (n + ACTC_GROUP_SIZE - 1) / ACTC_GROUP_SIZE;
}

static void check_kernel(actc_kernel_id id, const void *params, size_t params_bytes, uint64_t groups, const view *views)
{
    actc_command command = {.type = ACTC_COMMAND_KERNEL};
    char what[128];
    uint32_t words[ACTC_MAX_PARAMS_BYTES / 4] = {0};
    memcpy(words, params, params_bytes);
    words[0] = (uint32_t)groups;
    command.u.kernel.id = id;
    command.u.kernel.groups = (uint32_t)groups;
    memcpy(command.u.kernel.params.bytes, words, sizeof words);
    snprintf(what, sizeof what, "%s(%u,%u,%u,%u)", actc_kernel_infos[id].name, (unsigned)words[1], (unsigned)words[2],
             (unsigned)words[3], (unsigned)words[4]);
    kernel_checked[id] = true;
    check_exact(what, &command, views, (int)strlen(actc_kernel_infos[id].access));
}

#define CHECK(name, groups, views, ...)                                                                \
    do {                                                                                               \
        struct actc_params_##name params_ = {0, __VA_ARGS__};                                          \
        check_kernel(ACTC_KERNEL_##name, &params_, sizeof params_, groups, views);                     \
    } while (0)

/* Around a word, a warp, a group, and primes. */
static const uint32_t sizes[] = {1, 2, 3, 4, 5, 31, 32, 33, 127, 255, 256, 257, 1021, 1023, 1024, 1025, 2053, 8191, 16384};
#define SIZES (sizeof sizes / sizeof *sizes)

static uint32_t *step_block(test_rng *r, uint32_t rows)
{
    uint32_t *s = calloc(1, ACTC_STEP_BLOCK_BYTES);
    assert_non_null(s);
    for (int i = 0; i < 4; i++)
        s[i] = rng_next(r);
    s[ACTC_STEP_ROWS] = rows;
    s[ACTC_STEP_INV_ROWS] = float_bits(rows ? 1.0f / (float)rows : 0.0f);
    s[ACTC_STEP_GRAD_SCALE] = float_bits(0.5f);
    s[ACTC_STEP_STEP_SIZE] = float_bits(1.3e-3f);
    s[ACTC_STEP_ROOT] = float_bits(7.25f);
    s[ACTC_STEP_SHRINK] = float_bits(0.9990234375f);
    return s;
}

/* ---- the kernels ---- */

static void test_element_wise(void **state)
{
    (void)state;
    test_rng r = {1};
    for (size_t i = 0; i < SIZES; i++) {
        uint32_t n = sizes[i];
        size_t words = (n + 31) / 32;
        float *a = fill(&r, n, 40), *b = fill(&r, n, 40), *bits = fill(&r, words, 256);
        view unary[] = {{a, 4 * n}, {NULL, 4 * n}}, binary[] = {{a, 4 * n}, {b, 4 * n}, {NULL, 4 * n}};
        view masked[] = {{a, 4 * n}, {NULL, 4 * n}, {NULL, 4 * words}}, unmasked[] = {{a, 4 * n}, {bits, 4 * words}, {NULL, 4 * n}};
        view update[] = {{a, 4 * n}, {b, 4 * n}};
        for (size_t w = 0; w < words; w++)
            ((uint32_t *)bits)[w] = rng_next(&r);
        CHECK(relu_fwd, groups_of_elements(n), unary, .n = n);
        CHECK(relu_fwd_mask, groups_of_elements(n), masked, .n = n);
        CHECK(relu_bwd_mask, groups_of_elements(n), unmasked, .n = n);
        CHECK(relu_bwd_value, groups_of_elements(n), binary, .n = n);
        CHECK(add, groups_of_elements(n), binary, .n = n);
        CHECK(accumulate, groups_of_elements(n), update, .n = n);
        free(a);
        free(b);
        free(bits);
    }
}

static void test_dropout(void **state)
{
    (void)state;
    test_rng r = {2};
    static const uint32_t maps[][3] = {{1, 1, 1}, {3, 5, 4}, {2, 7, 3}, {5, 64, 16}, {2, 169, 10}, {3, 1, 37}, {1, 1024, 2}};
    for (size_t i = 0; i < SIZES; i++) {
        uint32_t n = sizes[i];
        float *x = fill(&r, n, 30);
        uint32_t *step = step_block(&r, n);
        view views[] = {{x, 4 * n}, {step, ACTC_STEP_BLOCK_BYTES}, {NULL, 4 * n}};
        CHECK(dropout, groups_of_elements(n), views, n, 77, 0xc0000000u, 1, 1, 1.0f / 0.75f);
        CHECK(dropout, groups_of_elements(n), views, n, 77, 0u, 1, 1, 2.0f);
        free(x);
        free(step);
    }
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) { /* batch, inner, channels */
        uint32_t n = maps[i][0] * maps[i][1] * maps[i][2];
        float *x = fill(&r, n, 30);
        uint32_t *step = step_block(&r, n);
        view views[] = {{x, 4 * n}, {step, ACTC_STEP_BLOCK_BYTES}, {NULL, 4 * n}};
        CHECK(dropout, groups_of_elements(n), views, n, 5, 0x80000000u, maps[i][1], maps[i][2], 2.0f);
        free(x);
        free(step);
    }
}

static void test_transpose(void **state)
{
    (void)state;
    test_rng r = {3};
    static const uint32_t shapes[][3] = {{1, 1, 1}, {2, 3, 5}, {1, 32, 32}, {3, 31, 33}, {2, 1, 257}, {2, 257, 1}, {1, 64, 129}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        uint32_t n = shapes[i][0] * shapes[i][1] * shapes[i][2];
        float *x = fill(&r, n, 128); /* moves bits: NaN payloads and subnormals stay */
        view views[] = {{x, 4 * n}, {NULL, 4 * n}};
        CHECK(transpose, groups_of_elements(n), views, n, shapes[i][1], shapes[i][2]);
        free(x);
    }
}

static void test_max_pool(void **state)
{
    (void)state;
    test_rng r = {4};
    /* batch, channels, ih, iw, kh, kw, sh, sw, ph, pw */
    static const uint32_t cases[][10] = {
        {1, 1, 1, 1, 1, 1, 1, 1, 0, 0},  {2, 4, 8, 8, 2, 2, 2, 2, 0, 0},  {2, 3, 7, 9, 2, 2, 2, 2, 0, 0},
        {1, 16, 13, 11, 3, 3, 2, 2, 1, 1}, {2, 5, 6, 6, 3, 2, 1, 1, 1, 1}, {1, 8, 5, 5, 5, 5, 5, 5, 0, 0},
        {3, 2, 4, 10, 2, 3, 3, 4, 0, 1}, {1, 12, 26, 26, 2, 2, 2, 2, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint32_t *c = cases[i];
        uint32_t oh = (c[2] + 2 * c[8] - c[4]) / c[6] + 1, ow = (c[3] + 2 * c[9] - c[5]) / c[7] + 1;
        uint32_t n_in = c[0] * c[1] * c[2] * c[3], n_out = c[0] * c[1] * oh * ow;
        size_t index_bytes = (n_out + 3) / 4 * 4;
        float *x = fill(&r, n_in, 30), *dy = fill(&r, n_out, 30);
        uint8_t *index = calloc(1, index_bytes);
        assert_non_null(index);
        for (uint32_t k = 0; k < n_out; k++)
            index[k] = (uint8_t)(rng_next(&r) % (c[4] * c[5]));
        view forward[] = {{x, 4 * n_in}, {NULL, 4 * n_out}, {NULL, index_bytes}};
        view backward[] = {{dy, 4 * n_out}, {index, index_bytes}, {NULL, 4 * n_in}};
        CHECK(max_pool2d_fwd, groups_of_elements(n_out), forward, n_out, c[1], c[2], c[3], oh, ow, c[4], c[5], c[6], c[7], c[8],
              c[9]);
        CHECK(max_pool2d_bwd, groups_of_elements(n_in), backward, n_in, c[1], c[2], c[3], oh, ow, c[4], c[5], c[6], c[7], c[8],
              c[9]);
        free(x);
        free(dy);
        free(index);
    }
}

static void test_column_sums(void **state)
{
    (void)state;
    test_rng r = {5};
    static const uint32_t shapes[][2] = {{1, 1}, {63, 3}, {64, 10}, {65, 10}, {128, 257}, {129, 255}, {1000, 7}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        uint32_t rows = shapes[i][0], cols = shapes[i][1], chunks = (rows + ACTC_SUM_ROWS - 1) / ACTC_SUM_ROWS;
        float *x = fill(&r, (size_t)rows * cols, 4), *sum = fill(&r, cols, 4);
        view partial[] = {{x, 4ul * rows * cols}, {NULL, 4ul * chunks * cols}};
        view final[] = {{x, 4ul * rows * cols}, {sum, 4 * cols}};
        CHECK(column_sum_partial, groups_of_invocations((uint64_t)chunks * cols), partial, rows, cols);
        CHECK(column_sum_final, groups_of_invocations(cols), final, rows, cols, 0);
        CHECK(column_sum_final, groups_of_invocations(cols), final, rows, cols, 1);
        free(x);
        free(sum);
    }
}

/* More groups than one dimension of a grid holds. */
static void test_many_groups(void **state)
{
    (void)state;
    test_rng r = {6};
    uint32_t cols = 65535u * 256u + 300u;
    uint32_t *x = malloc(4ul * cols);
    assert_non_null(x);
    for (uint32_t i = 0; i < cols; i++)
        x[i] = 0x3f800000u + (i * 2654435761u >> 9);
    (void)rng_next(&r);
    view views[] = {{x, 4ul * cols}, {NULL, 4ul * cols}};
    CHECK(column_sum_final, groups_of_invocations(cols), views, 1, cols, 0);
    free(x);
}

static void test_losses(void **state)
{
    (void)state;
    test_rng r = {7};
    static const uint32_t shapes[][2] = {{1, 1}, {1, 10}, {31, 10}, {255, 3}, {256, 10}, {257, 10}, {600, 2}, {3, 1000}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (uint32_t special = 0; special <= 8; special += 8) {
            uint32_t rows = shapes[i][0], cols = shapes[i][1], n = rows * cols;
            float *x = fill(&r, n, special), *dy = fill(&r, n, special), *loss = fill(&r, rows, special);
            int32_t *labels = malloc(4 * rows);
            uint32_t *step = step_block(&r, rows - rows / 8), result[ACTC_RESULT_BLOCK_BYTES / 4] = {0};
            assert_non_null(labels);
            for (uint32_t k = 0; k < rows; k++) /* -1 is ignored, as is what lies past the end */
                labels[k] = rng_next(&r) % 16 == 0 ? -1 : (int32_t)(rng_next(&r) % (cols + 1));
            view softmax[] = {{x, 4 * n}, {NULL, 4 * n}}, backward[] = {{dy, 4 * n}, {x, 4 * n}, {NULL, 4 * n}};
            view nll[] = {{x, 4 * n}, {labels, 4 * rows}, {step, ACTC_STEP_BLOCK_BYTES}, {NULL, 4 * rows}};
            view nll_b[] = {{labels, 4 * rows}, {step, ACTC_STEP_BLOCK_BYTES}, {NULL, 4 * n}};
            view cross[] = {{x, 4 * n}, {labels, 4 * rows}, {step, ACTC_STEP_BLOCK_BYTES}, {NULL, 4 * n}};
            view reduce[] = {{loss, 4 * rows}, {step, ACTC_STEP_BLOCK_BYTES}, {result, sizeof result}};
            view correct[] = {{x, 4 * n}, {labels, 4 * rows}, {step, ACTC_STEP_BLOCK_BYTES}, {result, sizeof result}};
            CHECK(log_softmax_fwd, groups_of_invocations(rows), softmax, rows, cols);
            CHECK(log_softmax_bwd, groups_of_invocations(rows), backward, rows, cols);
            CHECK(nll_loss_fwd, groups_of_invocations(rows), nll, rows, cols);
            CHECK(nll_loss_bwd, groups_of_elements(n), nll_b, rows, cols);
            CHECK(cross_entropy_bwd, groups_of_elements(n), cross, rows, cols);
            CHECK(loss_reduce, 1, reduce, rows, 0);
            CHECK(loss_reduce, 1, reduce, rows, 1);
            CHECK(count_correct, 1, correct, rows, cols);
            free(x);
            free(dy);
            free(loss);
            free(labels);
            free(step);
        }
    }
}

static void test_updates(void **state)
{
    (void)state;
    test_rng r = {8};
    for (size_t i = 0; i < SIZES; i++) {
        uint32_t n = sizes[i];
        float *p = fill(&r, n, 20), *g = fill(&r, n, 20), *m = fill(&r, n, 20), *v = fill(&r, n, 20);
        for (uint32_t k = 0; k < n; k++)
            v[k] = fabsf(v[k]);
        for (uint32_t bad = 0; bad < 2; bad++) {
            uint32_t *step = step_block(&r, n), result[ACTC_RESULT_BLOCK_BYTES / 4] = {0};
            result[ACTC_RESULT_BAD] = bad * 9;
            view sgd[] = {{p, 4 * n}, {g, 4 * n}, {m, 4 * n}, {step, ACTC_STEP_BLOCK_BYTES}, {result, sizeof result}};
            view plain[] = {{p, 4 * n}, {g, 4 * n}, {NULL, 0}, {step, ACTC_STEP_BLOCK_BYTES}, {result, sizeof result}};
            view adam[] = {{p, 4 * n}, {g, 4 * n}, {m, 4 * n}, {v, 4 * n}, {step, ACTC_STEP_BLOCK_BYTES}, {result, sizeof result}};
            view check[] = {{g, 4 * n}, {result, sizeof result}};
            CHECK(sgd, groups_of_elements(n), plain, n, 0.0f, 1e-4f);
            CHECK(sgd, groups_of_elements(n), sgd, n, 0.9f, 1e-4f);
            step[ACTC_STEP_FIRST] = 1;
            CHECK(sgd, groups_of_elements(n), sgd, n, 0.9f, 0.0f);
            CHECK(adam, groups_of_elements(n), adam, n, 0.1f, 0.999f, 0.001f, 1e-8f, 0.0f);
            CHECK(adam, groups_of_elements(n), adam, n, 0.1f, 0.999f, 0.001f, 1e-8f, 1e-2f);
            result[ACTC_RESULT_BAD] = bad * (2 + n / 2);
            CHECK(finite_check, groups_of_elements(n), check, n);
            free(step);
        }
        free(p);
        free(g);
        free(m);
        free(v);
    }
}

/* ---- gemm and convolution ---- */

static float *absolute(const float *x, size_t n)
{
    float *a = malloc((n ? n : 1) * sizeof *a);
    assert_non_null(a);
    for (size_t i = 0; i < n; i++)
        a[i] = fabsf(x[i]);
    return a;
}

/* The fast kernels against the exact sums: |difference| <= 2 (length + 2) 2^-24 times the sum of magnitudes, which the CPU
 * computes from the magnitudes of the operands. */
static void check_tolerant(const char *what, const actc_command *command, const view *views, int n_views, int out,
                           uint64_t length)
{
    float *magnitudes[ACTC_MAX_VIEWS] = {0};
    view positive[ACTC_MAX_VIEWS];
    for (int i = 0; i < n_views; i++) {
        magnitudes[i] = views[i].data ? absolute(views[i].data, views[i].bytes / 4) : NULL;
        positive[i] = (view){magnitudes[i], views[i].bytes};
    }
    image cpu = run_command(f.cpu, *command, views, n_views), cuda = run_command(f.fast, *command, views, n_views);
    image bound = run_command(f.cpu, *command, positive, n_views);
    const float *e = (const float *)(void *)(cpu.bytes + cpu.offset[out]), *g = (const float *)(void *)(cuda.bytes + cuda.offset[out]);
    const float *s = (const float *)(void *)(bound.bytes + bound.offset[out]);
    for (size_t i = 0; i < views[out].bytes / 4; i++) {
        double most = 2.0 * (double)(length + 2) * 0x1p-24 * s[i] + 0x1p-100;
        if (!(fabs((double)e[i] - g[i]) <= most))
            fail_msg("%s: output %zu: cpu %.9g, cuda-host %.9g, bound %.3g", what, i, e[i], g[i], most);
    }
    memcpy(cuda.bytes + cuda.offset[out], e, views[out].bytes); /* the rest to the byte: nothing else was written */
    same_bytes(what, &cpu, &cuda);
    for (int i = 0; i < n_views; i++)
        free(magnitudes[i]);
    free(cpu.bytes);
    free(cuda.bytes);
    free(bound.bytes);
}

static void test_gemm(void **state)
{
    (void)state;
    test_rng r = {9};
    /* around the tiles of 64x64, 128x32 and 256x16, and steps of 16 and 8 */
    static const uint32_t shapes[][3] = {{1, 1, 1}, {64, 64, 16}, {65, 65, 17}, {63, 33, 15}, {130, 31, 40}, {257, 10, 23},
                                         {5, 128, 300}, {127, 16, 9}, {128, 10, 130}, {3, 100, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        uint32_t m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
        for (uint32_t flags = 0; flags < 16; flags++) {
            for (uint32_t special = 0; special <= 2; special += 2) {
                float *a = fill(&r, (size_t)m * k, special), *b = fill(&r, (size_t)n * k, special);
                float *bias = fill(&r, n, special), *c = fill(&r, (size_t)m * n, special);
                actc_command command = {.type = ACTC_COMMAND_GEMM};
                command.u.gemm = (actc_gemm){.m = m, .n = n, .k = k, .trans_a = flags & 1, .trans_b = flags >> 1 & 1,
                                             .add = flags >> 2 & 1, .bias = flags >> 3 & 1};
                view views[] = {{a, 4ul * m * k}, {b, 4ul * n * k}, {bias, command.u.gemm.bias ? 4ul * n : 0},
                                {command.u.gemm.add ? c : NULL, 4ul * m * n}};
                char what[96];
                snprintf(what, sizeof what, "gemm(m=%u,n=%u,k=%u,flags=%u)", m, n, k, flags);
                check_exact(what, &command, views, 4);
                if (special == 0)
                    check_tolerant(what, &command, views, 4, 3, k);
                free(a);
                free(b);
                free(bias);
                free(c);
            }
        }
    }
    kernel_checked[ACTC_KERNEL_gemm] = kernel_checked[ACTC_KERNEL_gemm_exact] = true;
}

static void test_conv(void **state)
{
    (void)state;
    test_rng r = {10};
    /* batch, ic, ih, iw, oc, kh, kw, sh, sw, ph, pw, dh, dw */
    static const uint32_t cases[][13] = {
        {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1},   {2, 1, 28, 28, 16, 3, 3, 1, 1, 0, 0, 1, 1},
        {2, 16, 12, 12, 32, 3, 3, 1, 1, 1, 1, 1, 1}, {1, 3, 13, 11, 65, 5, 3, 2, 2, 2, 1, 1, 1},
        {3, 5, 9, 10, 7, 3, 4, 2, 3, 1, 2, 2, 1},  {2, 17, 7, 7, 17, 1, 1, 1, 1, 0, 0, 1, 1},
        {1, 4, 20, 20, 33, 3, 3, 3, 2, 0, 0, 2, 3}, {5, 2, 33, 17, 3, 3, 3, 1, 1, 1, 1, 1, 1},
        {1, 33, 6, 5, 2, 6, 5, 1, 1, 0, 0, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint32_t *c = cases[i];
        actc_conv conv = {.batch = c[0], .ic = c[1], .ih = c[2], .iw = c[3], .oc = c[4], .kh = c[5], .kw = c[6], .sh = c[7],
                          .sw = c[8], .ph = c[9], .pw = c[10], .dh = c[11], .dw = c[12]};
        conv.oh = (conv.ih + 2 * conv.ph - conv.dh * (conv.kh - 1) - 1) / conv.sh + 1;
        conv.ow = (conv.iw + 2 * conv.pw - conv.dw * (conv.kw - 1) - 1) / conv.sw + 1;
        size_t nx = (size_t)conv.batch * conv.ih * conv.iw * conv.ic, ny = (size_t)conv.batch * conv.oh * conv.ow * conv.oc;
        size_t nw = (size_t)conv.oc * conv.kh * conv.kw * conv.ic;
        for (uint32_t special = 0; special <= 2; special += 2) {
            float *x = fill(&r, nx, special), *w = fill(&r, nw, special), *dy = fill(&r, ny, special);
            float *bias = fill(&r, conv.oc, special), *old = fill(&r, nw, special);
            for (uint32_t pass = 0; pass < 3; pass++) {
                for (uint32_t flag = 0; flag < (pass == ACTC_CONV_BACKWARD_DATA ? 1u : 2u); flag++) {
                    actc_command command = {.type = ACTC_COMMAND_CONV};
                    conv.pass = (actc_conv_pass)pass;
                    conv.bias = pass == ACTC_CONV_FORWARD && flag;
                    conv.add = pass == ACTC_CONV_BACKWARD_FILTER && flag;
                    command.u.conv = conv;
                    view forward[] = {{x, 4 * nx}, {w, 4 * nw}, {bias, conv.bias ? 4ul * conv.oc : 0}, {NULL, 4 * ny}};
                    view data[] = {{dy, 4 * ny}, {w, 4 * nw}, {NULL, 0}, {NULL, 4 * nx}};
                    view filter[] = {{x, 4 * nx}, {dy, 4 * ny}, {NULL, 0}, {conv.add ? old : NULL, 4 * nw}};
                    const view *views = pass == ACTC_CONV_FORWARD ? forward : pass == ACTC_CONV_BACKWARD_DATA ? data : filter;
                    uint64_t length = pass == ACTC_CONV_FORWARD         ? nw / conv.oc
                                      : pass == ACTC_CONV_BACKWARD_DATA ? nw / conv.ic
                                                                        : (uint64_t)conv.batch * conv.oh * conv.ow;
                    char what[96];
                    snprintf(what, sizeof what, "conv case %zu pass %u flag %u", i, pass, flag);
                    check_exact(what, &command, views, 4);
                    if (special == 0)
                        check_tolerant(what, &command, views, 4, 3, length);
                }
            }
            free(x);
            free(w);
            free(dy);
            free(bias);
            free(old);
        }
    }
    for (int id = ACTC_KERNEL_conv2d_fwd; id <= ACTC_KERNEL_conv2d_bwd_filter_exact; id++)
        kernel_checked[id] = true;
}

/* Equal inputs give equal outputs wherever they lie: a constant image shows it. */
static void test_constant_image(void **state)
{
    (void)state;
    test_rng r = {11};
    actc_conv conv = {.pass = ACTC_CONV_FORWARD, .batch = 2, .ic = 5, .ih = 23, .iw = 19, .oc = 20, .oh = 21, .ow = 17, .kh = 3,
                      .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .bias = true};
    size_t nx = 2ul * 23 * 19 * 5, nw = 20ul * 9 * 5, ny = 2ul * 21 * 17 * 20;
    float *x = malloc(4 * nx), *w = fill(&r, nw, 0), *bias = fill(&r, 20, 0);
    assert_non_null(x);
    for (size_t i = 0; i < nx; i++)
        x[i] = 0.1f;
    actc_command command = {.type = ACTC_COMMAND_CONV, .u.conv = conv};
    view views[] = {{x, 4 * nx}, {w, 4 * nw}, {bias, 80}, {NULL, 4 * ny}};
    image m = run_command(f.fast, command, views, 4);
    for (size_t i = 20; i < ny; i++)
        assert_int_equal(word_at(&m, m.offset[3] + 4 * i), word_at(&m, m.offset[3] + 4 * (i % 20)));
    free(m.bytes);
    free(x);
    free(w);
    free(bias);
}

/* ---- the list ---- */

/* Every kernel's function takes the parameters and views that the list says. */
static void test_signatures(void **state)
{
    (void)state;
    for (int id = 0; id < ACTC_KERNEL_COUNT; id++) {
        const actc_kernel_info *info = &actc_kernel_infos[id];
        const actc_host_kernel *kernel = NULL;
        for (size_t i = 0; i < actc_cuda_n_images; i++)
            if (!strcmp(actc_cuda_images[i].name, info->name))
                kernel = actc_cuda_images[i].data;
        if (!kernel && strncmp(info->name, "codec_", 6) == 0)
            continue; /* not written yet */
        if (!kernel)
            fail_msg("%s has no CUDA source", info->name);
        else if (kernel->params_bytes != info->params_bytes || kernel->n_views != strlen(info->access))
            fail_msg("%s: %u bytes of parameters and %u views; the list says %u and %zu", info->name, kernel->params_bytes,
                     kernel->n_views, (unsigned)info->params_bytes, strlen(info->access));
    }
}

static void test_every_kernel_checked(void **state)
{
    (void)state;
    for (int id = 0; id < ACTC_KERNEL_COUNT; id++)
        if (!kernel_checked[id] && strncmp(actc_kernel_infos[id].name, "codec_", 6) != 0) /* test_cuda_codec.c */
            fail_msg("%s has no case here", actc_kernel_infos[id].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_element_wise), cmocka_unit_test(test_dropout),        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_max_pool),     cmocka_unit_test(test_column_sums),    cmocka_unit_test(test_many_groups),
        cmocka_unit_test(test_losses),       cmocka_unit_test(test_updates),        cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_conv),         cmocka_unit_test(test_constant_image), cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_every_kernel_checked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
