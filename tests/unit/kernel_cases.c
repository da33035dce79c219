/* kernel_cases.c: commands with data on which backends are compared. */
#include "kernel_cases.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- random and adversarial values ---- */

typedef struct case_rng {
    uint64_t state; /* splitmix64 */
} case_rng;

static uint32_t next(case_rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32);
}

static uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

typedef enum fill_kind {
    FILL_NORMAL,  /* sums of uniforms, with ties: quarters */
    FILL_TINY,    /* also zeros of both signs, subnormals, both sides of the flush thresholds, powers of two */
    FILL_SPECIAL, /* also NaN of several payloads, infinities, the largest numbers */
    FILL_EQUAL,   /* one value: everything ties */
    FILL_BITS     /* any bits */
} fill_kind;

static uint32_t value(case_rng *r, fill_kind kind)
{
    static const uint32_t tiny[] = {
        0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x00800000, 0x217fffff, 0x21800000, 0xa17fffff,
        0xa1800000, 0x267fffff, 0x26800000, 0xa67fffff, 0x3f800000, 0xbf800000, 0x33800000, 0x4b800001, 0x3f000000,
    };
    static const uint32_t special[] = {
        0x7fc00000, 0xffc00000, 0x7f800001, 0xff923456, 0x7f800000, 0xff800000, 0x7f7fffff, 0xff7fffff,
    };
    if (kind == FILL_BITS)
        return next(r);
    if (kind == FILL_EQUAL)
        return 0x3fa00000;
    uint32_t odd = next(r) % 8;
    if (kind != FILL_NORMAL && odd == 0)
        return tiny[next(r) % (sizeof tiny / sizeof *tiny)];
    if (kind == FILL_SPECIAL && odd == 1)
        return special[next(r) % (sizeof special / sizeof *special)];
    float x = 0;
    for (int i = 0; i < 4; i++)
        x += (float)(next(r) >> 8) * 0x1p-24f - 0.5f;
    x *= 1.7f;
    return bits_of(odd == 2 ? rintf(4 * x) / 4 : x);
}

/* ---- building a case ---- */

typedef struct builder {
    case_rng rng;
    kernel_case_fn use;
    void *user;
    kernel_case c;
} builder;

static void *allocate(size_t words)
{
    void *memory = calloc(words ? words : 1, 4);
    if (!memory)
        abort(); /* a test has nothing better to do */
    return memory;
}

/* Starts a case of a kernel; the format gives what follows the kernel's name. */
static void begin(builder *b, actc_kernel_id id, uint64_t groups, const void *params, const char *format, ...)
{
    va_list args;
    memset(&b->c, 0, sizeof b->c);
    b->c.command = kernel_run_command(id, (uint32_t)groups, params);
    int used = snprintf(b->c.name, sizeof b->c.name, "%s", actc_kernel_infos[id].name);
    va_start(args, format);
    vsnprintf(b->c.name + used, sizeof b->c.name - (size_t)used, format, args);
    va_end(args);
}

/* A view of so many words, filled where the kernel reads it. */
static uint32_t *view(builder *b, uint32_t index, size_t words, fill_kind kind)
{
    b->c.command.views[index].bytes = 4 * (uint64_t)words;
    if (b->c.command.access[index] == 'w' || words == 0)
        return NULL;
    uint32_t *data = allocate(words);
    for (size_t i = 0; i < words; i++)
        data[i] = value(&b->rng, kind);
    b->c.data[index] = data;
    return data;
}

static void end(builder *b)
{
    b->use(b->user, &b->c);
    for (uint32_t i = 0; i < ACTC_MAX_VIEWS; i++) {
        free(b->c.data[i]);
        b->c.data[i] = NULL;
    }
}

static uint64_t element_groups(uint64_t n)
{
    return (n + ACTC_GROUP_ELEMENTS - 1) / ACTC_GROUP_ELEMENTS;
}

static uint64_t output_groups(uint64_t n)
{
    return (n + ACTC_GROUP_SIZE - 1) / ACTC_GROUP_SIZE;
}

/* Sets the words of a step block that losses and optimisers read. */
static void set_step(builder *b, uint32_t index, uint32_t rows, float lr, uint32_t first)
{
    uint32_t *step = view(b, index, ACTC_STEP_BLOCK_BYTES / 4, FILL_BITS);
    step[ACTC_STEP_ROWS] = rows;
    step[ACTC_STEP_INV_ROWS] = bits_of(rows ? 1.0f / (float)rows : 0.0f);
    step[ACTC_STEP_GRAD_SCALE] = bits_of(0.5f);
    step[ACTC_STEP_STEP_SIZE] = bits_of(lr / (1.0f - 0.9f));
    step[ACTC_STEP_ROOT] = bits_of(1.0f / sqrtf(1.0f - 0.999f));
    step[ACTC_STEP_SHRINK] = bits_of(1.0f - lr * 0.01f);
    step[ACTC_STEP_FIRST] = first;
}

static void set_result(builder *b, uint32_t index, uint32_t bad)
{
    uint32_t *result = view(b, index, ACTC_RESULT_BLOCK_BYTES / 4, FILL_BITS);
    result[ACTC_RESULT_BAD] = bad;
}

/* ---- element-wise kernels ---- */

/* One element, around a subgroup of any device, a mask word, a workgroup and a group, and primes. */
static const uint32_t sizes[] = {1, 3, 7, 8, 31, 32, 33, 63, 65, 127, 129, 255, 256, 257, 1009, 1023, 1024, 1025, 4099, 20011};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static void elementwise(builder *b)
{
    for (size_t t = 0; t < 2 * N_SIZES; t++) {
        uint32_t n = sizes[t / 2];
        fill_kind kind = t % 2 ? FILL_SPECIAL : n == 257 ? FILL_EQUAL : FILL_TINY;
        const char *fill = t % 2 ? "special" : n == 257 ? "equal" : "tiny";
        uint64_t groups = element_groups(n);
        struct actc_params_relu_fwd p = {0, n};
        begin(b, ACTC_KERNEL_relu_fwd, groups, &p, "(n=%u,fill=%s)", n, fill);
        view(b, 0, n, kind);
        view(b, 1, n, kind);
        end(b);
        begin(b, ACTC_KERNEL_relu_fwd_mask, groups, &p, "(n=%u,fill=%s)", n, fill);
        view(b, 0, n, kind);
        view(b, 1, n, kind);
        view(b, 2, (n + 31) / 32, kind);
        end(b);
        begin(b, ACTC_KERNEL_relu_bwd_mask, groups, &p, "(n=%u,fill=%s)", n, fill);
        view(b, 0, n, kind);
        view(b, 1, (n + 31) / 32, FILL_BITS);
        view(b, 2, n, kind);
        end(b);
        begin(b, ACTC_KERNEL_relu_bwd_value, groups, &p, "(n=%u,fill=%s)", n, fill);
        for (uint32_t v = 0; v < 3; v++)
            view(b, v, n, kind);
        end(b);
        begin(b, ACTC_KERNEL_add, groups, &p, "(n=%u,fill=%s)", n, fill);
        for (uint32_t v = 0; v < 3; v++)
            view(b, v, n, kind);
        end(b);
        begin(b, ACTC_KERNEL_accumulate, groups, &p, "(n=%u,fill=%s)", n, fill);
        view(b, 0, n, kind);
        view(b, 1, n, kind);
        end(b);
        begin(b, ACTC_KERNEL_finite_check, groups, &p, "(n=%u,fill=%s)", n, fill);
        view(b, 0, n, kind);
        set_result(b, 1, n % 3 == 0 ? 0 : n % 3 == 1 ? 1 : 1u << 30);
        end(b);
    }
}

static void dropout_transpose(builder *b)
{
    static const struct { uint32_t n, inner, channels; } drops[] = {
        {1, 1, 1}, {257, 1, 1}, {5000, 1, 1}, {24, 4, 3}, {784, 49, 8}, {4320, 144, 10}, {8400, 6, 700}, {9216, 9, 256}};
    for (size_t t = 0; t < sizeof drops / sizeof *drops; t++) {
        struct actc_params_dropout p = {0, drops[t].n, next(&b->rng), 0xc0000000u, drops[t].inner, drops[t].channels, 1.0f / 0.75f};
        begin(b, ACTC_KERNEL_dropout, element_groups(p.n), &p, "(n=%u,inner=%u,channels=%u)", p.n, p.inner, p.channels);
        view(b, 0, p.n, FILL_SPECIAL);
        view(b, 1, ACTC_STEP_BLOCK_BYTES / 4, FILL_BITS);
        view(b, 2, p.n, FILL_SPECIAL);
        end(b);
    }
    static const uint32_t shapes[][3] = {{1, 1, 1}, {1, 1, 77}, {1, 77, 1}, {2, 3, 5}, {3, 32, 32}, {1, 33, 65}, {5, 144, 8}, {2, 2000, 3}};
    for (size_t t = 0; t < sizeof shapes / sizeof *shapes; t++) {
        uint32_t n = shapes[t][0] * shapes[t][1] * shapes[t][2];
        struct actc_params_transpose p = {0, n, shapes[t][1], shapes[t][2]};
        begin(b, ACTC_KERNEL_transpose, element_groups(n), &p, "(batch=%u,rows=%u,cols=%u)", shapes[t][0], p.rows, p.cols);
        view(b, 0, n, FILL_BITS);
        view(b, 1, n, FILL_BITS);
        end(b);
    }
}

/* ---- pooling ---- */

static void pooling(builder *b)
{
    static const struct { uint32_t batch, channels, ih, iw, kh, kw, sh, sw, ph, pw; } cases[] = {
        {1, 1, 1, 1, 1, 1, 1, 1, 0, 0},   {2, 8, 24, 24, 2, 2, 2, 2, 0, 0}, {1, 3, 7, 9, 3, 3, 2, 2, 1, 1},
        {2, 5, 6, 5, 3, 2, 1, 2, 1, 0},   {1, 300, 5, 5, 2, 2, 2, 2, 0, 0}, {1, 2, 33, 31, 16, 16, 3, 5, 8, 7},
        {3, 7, 4, 4, 4, 4, 4, 4, 0, 0},   {1, 1, 5, 5, 2, 2, 3, 3, 0, 0}, /* a stride over the window leaves gaps */
        {1, 1, 1, 1021, 1, 3, 1, 1, 0, 1},
    };
    for (size_t t = 0; t < 2 * sizeof cases / sizeof *cases; t++) {
        uint32_t i = (uint32_t)t / 2, batch = cases[i].batch, channels = cases[i].channels, ih = cases[i].ih, iw = cases[i].iw;
        uint32_t kh = cases[i].kh, kw = cases[i].kw, sh = cases[i].sh, sw = cases[i].sw, ph = cases[i].ph, pw = cases[i].pw;
        uint32_t oh = (ih + 2 * ph - kh) / sh + 1, ow = (iw + 2 * pw - kw) / sw + 1;
        uint32_t inputs = batch * ih * iw * channels, outputs = batch * oh * ow * channels;
        fill_kind kind = t % 2 ? FILL_SPECIAL : FILL_EQUAL; /* ties: the first place must win */
        struct actc_params_max_pool2d_fwd p = {0, outputs, channels, ih, iw, oh, ow, kh, kw, sh, sw, ph, pw};
        begin(b, ACTC_KERNEL_max_pool2d_fwd, element_groups(outputs), &p, "(n=%u,c=%u,hw=%ux%u,k=%ux%u,s=%ux%u,p=%ux%u,fill=%s)",
              batch, channels, ih, iw, kh, kw, sh, sw, ph, pw, t % 2 ? "special" : "equal");
        view(b, 0, inputs, kind);
        view(b, 1, outputs, kind);
        view(b, 2, (outputs + 3) / 4, kind);
        end(b);
        p.n = inputs;
        begin(b, ACTC_KERNEL_max_pool2d_bwd, element_groups(inputs), &p, "(n=%u,c=%u,hw=%ux%u,k=%ux%u,s=%ux%u,p=%ux%u)", batch,
              channels, ih, iw, kh, kw, sh, sw, ph, pw);
        view(b, 0, outputs, kind);
        uint8_t *index = (uint8_t *)view(b, 1, (outputs + 3) / 4, FILL_BITS);
        for (uint32_t o = 0; o < outputs; o++)
            index[o] = (uint8_t)(index[o] % (kh * kw)); /* any place of the window, in the image or not */
        view(b, 2, inputs, kind);
        end(b);
    }
}

/* ---- sums, losses, optimisers ---- */

static void sums(builder *b)
{
    static const uint32_t cases[][2] = {{1, 1}, {64, 16}, {65, 16}, {1000, 8}, {127, 10}, {200, 700}, {3, 257}, {4096, 1}, {63, 255}};
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        uint32_t rows = cases[t][0], cols = cases[t][1], chunks = (rows + ACTC_SUM_ROWS - 1) / ACTC_SUM_ROWS;
        fill_kind kind = t % 3 == 2 ? FILL_SPECIAL : FILL_TINY;
        struct actc_params_column_sum_partial p = {0, rows, cols};
        begin(b, ACTC_KERNEL_column_sum_partial, output_groups(chunks * cols), &p, "(rows=%u,cols=%u)", rows, cols);
        view(b, 0, (size_t)rows * cols, kind);
        view(b, 1, (size_t)chunks * cols, kind);
        end(b);
        struct actc_params_column_sum_final q = {0, rows, cols, t % 2};
        begin(b, ACTC_KERNEL_column_sum_final, output_groups(cols), &q, "(chunks=%u,cols=%u,add=%u)", rows, cols, q.add);
        view(b, 0, (size_t)rows * cols, kind);
        view(b, 1, cols, kind);
        end(b);
    }
}

static void losses(builder *b)
{
    static const uint32_t cases[][3] = {{1, 1, 1}, {128, 10, 128}, {300, 7, 300}, {700, 3, 650}, {257, 11, 0}, {5, 1000, 5}};
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        uint32_t rows = cases[t][0], cols = cases[t][1], counted = cases[t][2];
        size_t n = (size_t)rows * cols;
        fill_kind kind = t % 2 ? FILL_TINY : FILL_SPECIAL;
        struct actc_params_log_softmax_fwd p = {0, rows, cols};
        begin(b, ACTC_KERNEL_log_softmax_fwd, output_groups(rows), &p, "(rows=%u,cols=%u)", rows, cols);
        view(b, 0, n, kind);
        view(b, 1, n, kind);
        end(b);
        begin(b, ACTC_KERNEL_log_softmax_bwd, output_groups(rows), &p, "(rows=%u,cols=%u)", rows, cols);
        for (uint32_t v = 0; v < 3; v++)
            view(b, v, n, kind);
        end(b);
        static const actc_kernel_id ids[] = {ACTC_KERNEL_nll_loss_fwd, ACTC_KERNEL_nll_loss_bwd, ACTC_KERNEL_cross_entropy_bwd,
                                             ACTC_KERNEL_count_correct};
        for (size_t k = 0; k < 4; k++) {
            uint64_t groups = k == 0 ? output_groups(rows) : k == 3 ? 1 : element_groups(n);
            begin(b, ids[k], groups, &p, "(rows=%u,cols=%u,counted=%u)", rows, cols, counted);
            uint32_t at = 0;
            if (ids[k] != ACTC_KERNEL_nll_loss_bwd)
                view(b, at++, n, kind);
            uint32_t *labels = view(b, at++, rows, FILL_BITS);
            for (uint32_t i = 0; i < rows; i++) /* some are -1, some outside, which must not be read behind the row */
                labels[i] = labels[i] % 8 == 0 ? UINT32_MAX : labels[i] % 16 == 1 ? cols + labels[i] % 7 : labels[i] % cols;
            set_step(b, at++, counted, 1e-3f, 0);
            if (k == 3)
                set_result(b, at, 0);
            else
                view(b, at, k == 0 ? rows : n, kind);
            end(b);
        }
        for (uint32_t mean = 0; mean < 2; mean++) {
            struct actc_params_loss_reduce q = {0, rows, mean};
            begin(b, ACTC_KERNEL_loss_reduce, 1, &q, "(rows=%u,mean=%u)", rows, mean);
            view(b, 0, rows, t == 4 ? FILL_SPECIAL : FILL_TINY);
            set_step(b, 1, counted, 1e-3f, 0);
            set_result(b, 2, mean ? 7 : 0);
            end(b);
        }
    }
}

static void optimisers(builder *b)
{
    for (size_t t = 0; t < N_SIZES; t++) {
        uint32_t n = sizes[t];
        fill_kind kind = t % 4 == 3 ? FILL_SPECIAL : FILL_TINY;
        for (uint32_t bad = 0; bad < 2; bad++) {
            struct actc_params_adam a = {0, n, 1.0f - 0.9f, 0.999f, 1.0f - 0.999f, 1e-8f, t % 3 ? 0.0f : 1e-2f};
            begin(b, ACTC_KERNEL_adam, element_groups(n), &a, "(n=%u,l2=%g,bad=%u)", n, (double)a.l2, bad);
            for (uint32_t v = 0; v < 4; v++)
                view(b, v, n, kind);
            uint32_t *v2 = b->c.data[3];
            for (uint32_t i = 0; i < n; i++)
                v2[i] &= 0x7fffffffu; /* a sum of squares */
            set_step(b, 4, 16, 1e-3f, 0);
            set_result(b, 5, bad * 5);
            end(b);
            struct actc_params_sgd s = {0, n, t % 2 ? 0.9f : 0.0f, 1e-3f};
            begin(b, ACTC_KERNEL_sgd, element_groups(n), &s, "(n=%u,momentum=%g,bad=%u)", n, (double)s.momentum, bad);
            view(b, 0, n, kind);
            view(b, 1, n, kind);
            view(b, 2, s.momentum != 0 ? n : 0, kind); /* no buffer without momentum */
            set_step(b, 3, 16, 1e-3f, t % 4 == 1);
            set_result(b, 4, bad * 5);
            end(b);
        }
    }
}

void kernel_cases(uint64_t seed, kernel_case_fn use, void *user)
{
    builder b = {.rng = {seed}, .use = use, .user = user};
    elementwise(&b);
    dropout_transpose(&b);
    pooling(&b);
    sums(&b);
    losses(&b);
    optimisers(&b);
}

/* ---- gemm and convolution ---- */

static void gemms(builder *b, fill_kind kind)
{
    static const uint32_t cases[][3] = {{1, 1, 1},   {1, 10, 7},   {16, 16, 16}, {17, 15, 33},  {64, 64, 64},   {65, 63, 17},
                                        {128, 10, 257}, {10, 128, 100}, {33, 257, 1}, {200, 130, 48}, {1, 1, 1021}};
    for (uint32_t t = 0; t < 4 * sizeof cases / sizeof *cases; t++) {
        uint32_t m = cases[t / 4][0], n = cases[t / 4][1], k = cases[t / 4][2];
        memset(&b->c, 0, sizeof b->c);
        actc_gemm *g = &b->c.command.u.gemm;
        *g = (actc_gemm){0, m, n, k, t & 1, t >> 1 & 1, (t + t / 4) % 3 == 1, (t + t / 4) % 2};
        snprintf(b->c.name, sizeof b->c.name, "gemm(m=%u,n=%u,k=%u,ta=%u,tb=%u,add=%u,bias=%u)", m, n, k, g->trans_a, g->trans_b,
                 g->add, g->bias);
        b->c.command.type = ACTC_COMMAND_GEMM;
        b->c.command.label = "gemm";
        b->c.command.n_views = 4;
        memcpy(b->c.command.access, (const uint8_t[]){'r', 'r', 'r', g->add ? 'x' : 'w'}, 4);
        view(b, 0, (size_t)m * k, kind);
        view(b, 1, (size_t)k * n, kind);
        view(b, 2, g->bias ? n : 0, kind);
        view(b, 3, (size_t)m * n, kind);
        end(b);
    }
}

static void convolutions(builder *b, fill_kind kind)
{
    static const actc_conv cases[] = {
        {0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, false, false},
        {0, 2, 1, 28, 28, 32, 0, 0, 3, 3, 1, 1, 0, 0, 1, 1, true, false},
        {0, 1, 3, 19, 17, 5, 0, 0, 3, 3, 2, 2, 1, 1, 1, 1, true, false},
        {0, 2, 17, 9, 11, 33, 0, 0, 3, 2, 1, 2, 1, 0, 1, 1, false, true},
        {0, 1, 4, 15, 15, 6, 0, 0, 3, 3, 1, 1, 2, 2, 2, 2, true, false},
        {0, 1, 8, 7, 7, 16, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, false, false},
        {0, 1, 5, 8, 6, 7, 0, 0, 5, 4, 3, 2, 4, 3, 1, 1, true, true},
        {0, 3, 16, 20, 20, 70, 0, 0, 3, 3, 1, 1, 1, 1, 1, 1, true, false}, /* more than one chunk of pixels */
        {0, 1, 2, 40, 41, 3, 0, 0, 3, 3, 1, 1, 0, 0, 3, 2, false, true},
    };
    static const char *const pass_names[] = {"fwd", "bwd_data", "bwd_filter"};
    for (uint32_t t = 0; t < 3 * sizeof cases / sizeof *cases; t++) {
        actc_conv c = cases[t / 3];
        c.pass = (actc_conv_pass)(t % 3);
        c.oh = (c.ih + 2 * c.ph - c.dh * (c.kh - 1) - 1) / c.sh + 1;
        c.ow = (c.iw + 2 * c.pw - c.dw * (c.kw - 1) - 1) / c.sw + 1;
        c.bias &= c.pass == ACTC_CONV_FORWARD;
        c.add &= c.pass == ACTC_CONV_BACKWARD_FILTER;
        memset(&b->c, 0, sizeof b->c);
        snprintf(b->c.name, sizeof b->c.name, "conv2d.%s(n=%u,c=%u,hw=%ux%u,o=%u,k=%ux%u,s=%ux%u,p=%ux%u,d=%ux%u,bias=%d,add=%d)",
                 pass_names[c.pass], c.batch, c.ic, c.ih, c.iw, c.oc, c.kh, c.kw, c.sh, c.sw, c.ph, c.pw, c.dh, c.dw, c.bias,
                 c.add);
        b->c.command.type = ACTC_COMMAND_CONV;
        b->c.command.label = "conv2d";
        b->c.command.n_views = 4;
        b->c.command.u.conv = c;
        memcpy(b->c.command.access, (const uint8_t[]){'r', 'r', 'r', c.add ? 'x' : 'w'}, 4);
        size_t x = (size_t)c.batch * c.ih * c.iw * c.ic, w = (size_t)c.oc * c.kh * c.kw * c.ic;
        size_t y = (size_t)c.batch * c.oh * c.ow * c.oc;
        view(b, 0, c.pass == ACTC_CONV_BACKWARD_DATA ? y : x, kind);
        view(b, 1, c.pass == ACTC_CONV_BACKWARD_FILTER ? y : w, kind);
        view(b, 2, c.bias ? c.oc : 0, kind);
        view(b, 3, c.pass == ACTC_CONV_FORWARD ? y : c.pass == ACTC_CONV_BACKWARD_DATA ? x : w, kind);
        end(b);
    }
}

void kernel_cases_products(uint64_t seed, bool special, kernel_case_fn use, void *user)
{
    builder b = {.rng = {seed}, .use = use, .user = user};
    gemms(&b, FILL_TINY);
    convolutions(&b, FILL_TINY);
    if (special) {
        gemms(&b, FILL_SPECIAL);
        convolutions(&b, FILL_SPECIAL);
    }
}
