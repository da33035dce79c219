/* kernel_cases.c: every element-wise, pooling, loss and optimiser kernel of kernels.def, at sizes and values where
 * kernels go wrong; all EXACT. */
#include "exact/loss.h"
#include "kernel_case.h"

#include <stdio.h>

/* The step block of losses and optimisers. */
static void set_step(kernel_builder *b, uint32_t index, uint32_t rows, float lr, uint32_t first)
{
    kernel_view(b, index, ACTC_STEP_BLOCK_BYTES / 4, KERNEL_FILL_STEP);
    b->spec.rows = rows;
    b->spec.learning_rate = lr;
    b->spec.first = first;
}

static void set_result(kernel_builder *b, uint32_t index, uint32_t bad)
{
    kernel_view(b, index, ACTC_RESULT_BLOCK_BYTES / 4, KERNEL_FILL_RESULT);
    b->spec.bad = bad;
}

/* ---- element-wise kernels ---- */

/* One element, around a subgroup of any device, a mask word, a workgroup and a group, and primes. */
static const uint32_t sizes[] = {1,   3,   7,   8,   31,   32,   33,   63,   65,   127,
                                 129, 255, 256, 257, 1009, 1023, 1024, 1025, 4099, 20011};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static void elementwise(kernel_builder *b)
{
    for (size_t t = 0; t < 2 * N_SIZES; t++) {
        uint32_t n = sizes[t / 2];
        fill_kind kind = t % 2 ? FILL_SPECIAL : n == 257 ? FILL_EQUAL : FILL_TINY;
        const char *fill = fill_name(kind);
        uint64_t groups = element_groups(n);
        struct actc_params_relu_fwd p = {0, n, INFINITY};
        kernel_begin(b, ACTC_KERNEL_relu_fwd, groups, &p);
        kernel_view(b, 0, n, kind);
        kernel_view(b, 1, n, kind);
        kernel_end(b, "(n=%u,fill=%s)", n, fill);
        kernel_begin(b, ACTC_KERNEL_relu_fwd_mask, groups, &p);
        kernel_view(b, 0, n, kind);
        kernel_view(b, 1, n, kind);
        kernel_view(b, 2, (n + 31) / 32, kind);
        kernel_end(b, "(n=%u,fill=%s)", n, fill);
        kernel_begin(b, ACTC_KERNEL_relu_bwd_mask, groups, &p);
        kernel_view(b, 0, n, kind);
        kernel_view(b, 1, (n + 31) / 32, FILL_BITS);
        kernel_view(b, 2, n, kind);
        kernel_end(b, "(n=%u,fill=%s)", n, fill);
        kernel_begin(b, ACTC_KERNEL_relu_bwd_value, groups, &p);
        for (uint32_t v = 0; v < 3; v++)
            kernel_view(b, v, n, kind);
        kernel_end(b, "(n=%u,fill=%s)", n, fill);
        struct actc_params_finite_check check = {0, n, n == 1009 ? 1u << 20 : 0};
        kernel_begin(b, ACTC_KERNEL_finite_check, groups, &check);
        kernel_view(b, 0, n, kind);
        set_result(b, 1, n % 3 == 0 ? 0 : n % 3 == 1 ? 1 : 1u << 30);
        kernel_end(b, "(n=%u,fill=%s)", n, fill);
    }
}

static void dropout_transpose(kernel_builder *b)
{
    static const struct { uint32_t n, inner, channels; } drops[] = {
        {1, 1, 1}, {257, 1, 1}, {5000, 1, 1}, {24, 4, 3}, {784, 49, 8}, {4320, 144, 10}, {8400, 6, 700}, {9216, 9, 256}};
    for (size_t t = 0; t < sizeof drops / sizeof *drops; t++) {
        struct actc_params_dropout p = {
            0, drops[t].n, 0x9e3779b9u * (uint32_t)(t + 1), 0xc0000000u, drops[t].inner, drops[t].channels, 1.0f / 0.75f};
        kernel_begin(b, ACTC_KERNEL_dropout, element_groups(p.n), &p);
        kernel_view(b, 0, p.n, FILL_SPECIAL);
        kernel_view(b, 1, ACTC_STEP_BLOCK_BYTES / 4, FILL_BITS);
        kernel_view(b, 2, p.n, FILL_SPECIAL);
        kernel_end(b, "(n=%u,inner=%u,channels=%u)", p.n, p.inner, p.channels);
    }
    static const uint32_t spreads[][3] = {{1, 1, 1}, {3, 7, 5}, {2, 49, 64}, {5, 16, 257}, {130, 9, 3}};
    for (size_t t = 0; t < sizeof spreads / sizeof *spreads; t++) {
        struct actc_params_spread p = {0, spreads[t][0] * spreads[t][1] * spreads[t][2], spreads[t][1], spreads[t][2],
                                       1.0f / (float)spreads[t][1]};
        kernel_begin(b, ACTC_KERNEL_spread, element_groups(p.n), &p);
        kernel_view(b, 0, (size_t)spreads[t][0] * spreads[t][2], FILL_SPECIAL);
        kernel_view(b, 1, p.n, FILL_SPECIAL);
        kernel_end(b, "(samples=%u,inner=%u,channels=%u)", spreads[t][0], p.inner, p.channels);
    }
    static const uint32_t shapes[][3] = {{1, 1, 1},   {1, 1, 77},  {1, 77, 1},  {2, 3, 5},
                                         {3, 32, 32}, {1, 33, 65}, {5, 144, 8}, {2, 2000, 3}};
    for (size_t t = 0; t < sizeof shapes / sizeof *shapes; t++) {
        uint32_t n = shapes[t][0] * shapes[t][1] * shapes[t][2];
        struct actc_params_transpose p = {0, n, shapes[t][1], shapes[t][2]};
        kernel_begin(b, ACTC_KERNEL_transpose, element_groups(n), &p);
        kernel_view(b, 0, n, FILL_BITS);
        kernel_view(b, 1, n, FILL_BITS);
        kernel_end(b, "(batch=%u,rows=%u,cols=%u)", shapes[t][0], p.rows, p.cols);
    }
}

/* ---- pooling ---- */

typedef struct pool_case {
    uint32_t batch, channels, i[3], k[3], s[3], p[3]; /* depth, height, width */
} pool_case;

static void max_pool(kernel_builder *b, const pool_case *c, fill_kind kind)
{
    const uint32_t *i = c->i, *k = c->k, *s = c->s, *p = c->p;
    uint32_t o[3], inputs = c->batch * c->channels, outputs = inputs;
    for (int a = 0; a < 3; a++) {
        o[a] = (i[a] + 2 * p[a] - k[a]) / s[a] + 1;
        inputs *= i[a];
        outputs *= o[a];
    }
    struct actc_params_max_pool_fwd params = {0, outputs, c->channels, i[0], i[1], i[2], o[0], o[1], o[2],
                                              k[0], k[1], k[2], s[0], s[1], s[2], p[0], p[1], p[2]};
    char window[96];
    const bool flat = i[0] == 1 && k[0] == 1;
    if (flat)
        snprintf(window, sizeof window, "hw=%ux%u,k=%ux%u,s=%ux%u,p=%ux%u", i[1], i[2], k[1], k[2], s[1], s[2], p[1], p[2]);
    else
        snprintf(window, sizeof window, "dhw=%ux%ux%u,k=%ux%ux%u,s=%ux%ux%u,p=%ux%ux%u", i[0], i[1], i[2], k[0], k[1], k[2], s[0],
                 s[1], s[2], p[0], p[1], p[2]);
    b->name = flat ? "max_pool2d_fwd" : NULL;
    kernel_begin(b, ACTC_KERNEL_max_pool_fwd, element_groups(outputs), &params);
    kernel_view(b, 0, inputs, kind);
    kernel_view(b, 1, outputs, kind);
    kernel_view(b, 2, (outputs + 3) / 4, kind);
    kernel_end(b, "(n=%u,c=%u,%s,fill=%s)", c->batch, c->channels, window, fill_name(kind));
    params.n = inputs;
    b->name = flat ? "max_pool2d_bwd" : NULL;
    kernel_begin(b, ACTC_KERNEL_max_pool_bwd, element_groups(inputs), &params);
    kernel_view(b, 0, outputs, kind);
    kernel_view(b, 1, (outputs + 3) / 4, KERNEL_FILL_PLACES);
    b->spec.places = k[0] * k[1] * k[2];
    kernel_view(b, 2, inputs, kind);
    kernel_end(b, "(n=%u,c=%u,%s,fill=%s)", c->batch, c->channels, window, fill_name(kind));
}

/* k = 0: adaptive, to o[]. */
typedef struct average_case {
    uint32_t batch, channels, i[3], k[3], s[3], p[3], o[3];
    bool inside; /* only positions of the map count */
} average_case;

static void avg_pool(kernel_builder *b, const average_case *c, fill_kind kind)
{
    const uint32_t *i = c->i, *k = c->k, *s = c->s, *p = c->p;
    const bool adaptive = k[0] == 0;
    uint32_t o[3], inputs = c->batch * c->channels, outputs = inputs;
    for (int a = 0; a < 3; a++) {
        o[a] = adaptive ? c->o[a] : (i[a] + 2 * p[a] - k[a]) / s[a] + 1;
        inputs *= i[a];
        outputs *= o[a];
    }
    const float scale = adaptive || c->inside ? 0.0f : 1.0f / (float)(k[0] * k[1] * k[2]);
    struct actc_params_avg_pool_fwd params = {0, outputs, c->channels, i[0], i[1], i[2], o[0], o[1], o[2], k[0], k[1],
                                              k[2], s[0], s[1], s[2], p[0], p[1], p[2], adaptive, scale};
    struct actc_params_avg_pool_bwd back = {0, inputs, c->channels, i[0], i[1], i[2], o[0], o[1], o[2], k[0], k[1],
                                            k[2], s[0], s[1], s[2], p[0], p[1], p[2], adaptive, scale};
    char window[96];
    if (adaptive)
        snprintf(window, sizeof window, "adaptive=%ux%ux%u", o[0], o[1], o[2]);
    else
        snprintf(window, sizeof window, "k=%ux%ux%u,s=%ux%ux%u,p=%ux%ux%u%s", k[0], k[1], k[2], s[0], s[1], s[2], p[0], p[1], p[2],
                 c->inside ? ",count_include_pad=0" : "");
    for (int backward = 0; backward < 2; backward++) {
        if (backward)
            kernel_begin(b, ACTC_KERNEL_avg_pool_bwd, element_groups(inputs), &back);
        else
            kernel_begin(b, ACTC_KERNEL_avg_pool_fwd, element_groups(outputs), &params);
        kernel_view(b, 0, backward ? outputs : inputs, kind);
        kernel_view(b, 1, backward ? inputs : outputs, kind);
        kernel_end(b, "(n=%u,c=%u,dhw=%ux%ux%u,%s,fill=%s)", c->batch, c->channels, i[0], i[1], i[2], window, fill_name(kind));
    }
}

static void averages(kernel_builder *b)
{
    static const average_case cases[] = {
        {1, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, .inside = false},
        {2, 8, {1, 24, 24}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}, .inside = false},
        {1, 3, {1, 7, 9}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, .inside = false},
        {1, 3, {1, 7, 9}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, .inside = true},
        {1, 300, {1, 5, 5}, {1, 2, 2}, {1, 3, 1}, {0, 1, 0}, .inside = true}, /* a stride over the window leaves gaps */
        {1, 2, {1, 33, 31}, {1, 16, 16}, {1, 3, 5}, {0, 8, 7}, .inside = true},
        {1, 1, {1, 1, 1021}, {1, 1, 300}, {1, 1, 7}, {0, 0, 150}, .inside = false},
        {2, 5, {7, 9, 5}, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, .inside = true},
        {1, 12, {9, 11, 7}, {6, 6, 7}, {2, 3, 1}, {3, 2, 3}, .inside = false},
        {2, 12, {1, 13, 10}, .o = {1, 5, 7}},
        {1, 3, {7, 6, 11}, .o = {3, 2, 4}},
        {3, 1, {2, 3, 5}, .o = {5, 4, 3}}, /* more windows than positions */
        {1, 259, {1, 8, 8}, .o = {1, 4, 2}},
    };
    for (size_t t = 0; t < 2 * sizeof cases / sizeof *cases; t++)
        avg_pool(b, &cases[t / 2], t % 2 ? FILL_SPECIAL : FILL_NORMAL);
    avg_pool(b, &cases[7], FILL_TINY);
    avg_pool(b, &cases[10], FILL_TINY);
}

static void pooling(kernel_builder *b)
{
    static const pool_case cases[] = {
        {1, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
        {2, 8, {1, 24, 24}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}},
        {1, 3, {1, 7, 9}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}},
        {2, 5, {1, 6, 5}, {1, 3, 2}, {1, 1, 2}, {0, 1, 0}},
        {1, 300, {1, 5, 5}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}},
        {1, 2, {1, 33, 31}, {1, 16, 16}, {1, 3, 5}, {0, 8, 7}},
        {3, 7, {1, 4, 4}, {1, 4, 4}, {1, 4, 4}, {0, 0, 0}},
        {1, 1, {1, 5, 5}, {1, 2, 2}, {1, 3, 3}, {0, 0, 0}}, /* a stride over the window leaves gaps */
        {1, 1, {1, 1, 1021}, {1, 1, 3}, {1, 1, 1}, {0, 0, 1}},
        {2, 8, {6, 8, 10}, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}},
        {1, 5, {7, 9, 5}, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}},
        {2, 3, {5, 4, 6}, {3, 2, 1}, {1, 2, 2}, {1, 0, 0}},
        {1, 2, {9, 11, 7}, {6, 6, 7}, {2, 3, 1}, {3, 2, 3}},
        {3, 1, {5, 1, 3}, {2, 1, 1}, {3, 1, 2}, {0, 0, 0}},
    };
    for (size_t t = 0; t < 2 * sizeof cases / sizeof *cases; t++)
        max_pool(b, &cases[t / 2], t % 2 ? FILL_SPECIAL : FILL_EQUAL); /* ties: the first place must win */
    max_pool(b, &cases[10], FILL_TINY);
}

/* ---- resampling ---- */

typedef struct resize_case {
    uint32_t batch, channels, ih, iw, oh, ow, corners;
} resize_case;

static float resize_scale(uint32_t inputs, uint32_t outputs, uint32_t corners)
{
    if (!corners)
        return (float)inputs / (float)outputs;
    return outputs > 1 ? (float)(inputs - 1) / (float)(outputs - 1) : 0.0f;
}

static void bilinear(kernel_builder *b, const resize_case *c, fill_kind kind)
{
    const uint32_t planes = c->batch * c->channels, inputs = planes * c->ih * c->iw, outputs = planes * c->oh * c->ow;
    struct actc_params_bilinear_fwd p = {0, outputs, c->channels, c->ih, c->iw, c->oh, c->ow, c->corners,
                                         resize_scale(c->ih, c->oh, c->corners), resize_scale(c->iw, c->ow, c->corners)};
    for (int backward = 0; backward < 2; backward++) {
        p.n = backward ? inputs : outputs;
        kernel_begin(b, backward ? ACTC_KERNEL_bilinear_bwd : ACTC_KERNEL_bilinear_fwd, element_groups(p.n), &p);
        kernel_view(b, 0, backward ? outputs : inputs, kind);
        kernel_view(b, 1, p.n, kind);
        kernel_end(b, "(n=%u,c=%u,hw=%ux%u,to=%ux%u,corners=%u,fill=%s)", c->batch, c->channels, c->ih, c->iw, c->oh, c->ow,
                   c->corners, fill_name(kind));
    }
}

static void resampling(kernel_builder *b)
{
    static const resize_case cases[] = {
        {1, 1, 1, 1, 1, 1, 0},   {2, 3, 7, 5, 28, 20, 0},  {1, 21, 9, 11, 36, 44, 0}, {1, 300, 4, 3, 7, 5, 0},
        {2, 5, 1, 1, 9, 13, 0},  {1, 2, 33, 31, 1, 1, 0},  {1, 1, 3, 257, 3, 1021, 0}, {2, 7, 6, 6, 6, 6, 0},
        {1, 66, 5, 1, 3, 12, 0}, {3, 2, 16, 12, 5, 7, 0},  {1, 4, 40, 37, 4, 3, 0},
        {1, 2100, 2, 3, 3, 4, 0}, {1, 900, 2, 9, 3, 17, 0}, /* more than a table holds; a part of a row */
    };
    static const fill_kind kinds[] = {FILL_TINY, FILL_SPECIAL, FILL_NORMAL};
    for (size_t t = 0; t < 4 * sizeof cases / sizeof *cases; t++) {
        resize_case c = cases[t / 4];
        c.corners = t % 2;
        bilinear(b, &c, kinds[t / 2 % 3]);
    }
}

/* ---- losses, optimisers ---- */

static void losses_of(kernel_builder *b, uint32_t rows, uint32_t cols, uint32_t positions, uint32_t counted, float weight,
                      fill_kind kind)
{
    const size_t n = (size_t)rows * cols;
    const uint32_t norm = ACTC_STEP_NORM + (positions > 1 ? 3 : 0);
    char more[64] = ""; /* where it is not the one loss of single labels */
    if (positions > 1)
        snprintf(more, sizeof more, ",positions=%u,weight=%g", positions, (double)weight);
    const struct actc_params_nll_loss_fwd nll = {0, rows, cols, positions};
    const struct actc_params_nll_loss_bwd nll_bwd = {0, rows, cols, positions, norm, weight};
    const struct actc_params_cross_entropy_bwd entropy_bwd = {0, rows, cols, positions, norm, weight};
    const struct actc_params_count_correct count = {0, rows, cols, positions};
    const struct { actc_kernel_id id; const void *params; bool scores; uint64_t groups; size_t out; } kernels[] = {
        {ACTC_KERNEL_nll_loss_fwd, &nll, true, output_groups(rows), rows},
        {ACTC_KERNEL_nll_loss_bwd, &nll_bwd, false, element_groups(n), n},
        {ACTC_KERNEL_cross_entropy_bwd, &entropy_bwd, true, element_groups(n), n},
        {ACTC_KERNEL_count_correct, &count, true, output_groups(rows), output_groups(rows)},
    };
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
        kernel_begin(b, kernels[k].id, kernels[k].groups, kernels[k].params);
        uint32_t at = 0;
        if (kernels[k].scores)
            kernel_view(b, at++, n, kind);
        kernel_view(b, at++, rows, KERNEL_FILL_LABELS);
        b->spec.classes = cols;
        set_step(b, at++, counted, 1e-3f, 0);
        kernel_view(b, at, kernels[k].out, kind);
        kernel_end(b, "(rows=%u,cols=%u,counted=%u%s,fill=%s)", rows, cols, counted, more, fill_name(kind));
    }
}

static void losses(kernel_builder *b)
{
    static const struct { uint32_t rows, cols, positions, counted; float weight; } cases[] = {
        {1, 1, 1, 1, 1},     {128, 10, 1, 128, 1}, {300, 7, 1, 300, 1},      {700, 3, 1, 650, 1},     {257, 11, 1, 0, 1},
        {5, 1000, 1, 5, 1},  {693, 14, 77, 9, 1},  {693, 14, 77, 5, 0.3f}, {4096, 3, 1024, 3, 0.5f}, {258, 2, 2, 129, 2},
    };
    static const fill_kind kinds[] = {FILL_TINY, FILL_SPECIAL, FILL_EQUAL}; /* equal scores: the first is the answer */
    for (size_t t = 0; t < 3 * sizeof cases / sizeof *cases; t++) {
        uint32_t rows = cases[t / 3].rows, counted = cases[t / 3].counted;
        const fill_kind kind = kinds[t % 3];
        losses_of(b, rows, cases[t / 3].cols, cases[t / 3].positions, counted, cases[t / 3].weight, kind);
        if (cases[t / 3].positions > 1)
            continue;
        for (uint32_t k = 0; k < 4; k++) {
            const uint32_t mean = k % 2, slot = k < 2 ? 0 : ACTC_STEP_VALUES - 1;
            struct actc_params_loss_reduce q = {0, rows, mean, ACTC_STEP_NORM + slot, slot, k < 2, k < 2 ? 1.0f : 0.7f};
            kernel_begin(b, ACTC_KERNEL_loss_reduce, 1, &q);
            kernel_view(b, 0, rows, kind);
            set_step(b, 1, counted, 1e-3f, 0);
            set_result(b, 2, mean ? 7 : 0);
            kernel_end(b, "(rows=%u,counted=%u,mean=%u,slot=%u,first=%u,weight=%g,fill=%s)", rows, counted, mean, slot, q.first,
                       (double)q.weight, fill_name(kind));
        }
    }
    static const uint32_t counts[] = {1, 255, 256, 257, 5003};
    for (uint32_t t = 0; t < sizeof counts / sizeof *counts; t++) {
        struct actc_params_count_reduce p = {0, counts[t], t};
        kernel_begin(b, ACTC_KERNEL_count_reduce, 1, &p);
        kernel_view(b, 0, counts[t], FILL_BITS);
        set_result(b, 1, 0);
        kernel_end(b, "(n=%u,slot=%u)", p.n, p.slot);
    }
}

/* n elements, `sample` a sample, of `counted` samples. */
static void distance_loss(kernel_builder *b, uint32_t op, uint32_t n, uint32_t sample, uint32_t counted, float weight,
                          fill_kind kind)
{
    const char *const names[] = {"l1", "l2"};
    const struct actc_params_distance_loss_fwd p = {0, n, sample, op};
    const struct actc_params_distance_loss_bwd q = {0, n, sample, op, ACTC_STEP_NORM + 2, weight};
    for (int backward = 0; backward < 2; backward++) {
        kernel_begin(b, backward ? ACTC_KERNEL_distance_loss_bwd : ACTC_KERNEL_distance_loss_fwd, element_groups(n),
                     backward ? (const void *)&q : &p);
        kernel_view(b, 0, n, kind);
        kernel_view(b, 1, n, kind);
        set_step(b, 2, counted, 1e-3f, 0);
        kernel_view(b, 3, backward ? n : element_groups(n), kind);
        if (backward)
            kernel_end(b, "(op=%s,n=%u,counted=%ux%u,weight=%g,fill=%s)", names[op], n, counted, sample, (double)weight,
                       fill_name(kind));
        else
            kernel_end(b, "(op=%s,n=%u,counted=%ux%u,fill=%s)", names[op], n, counted, sample, fill_name(kind));
    }
}

static void distance_losses(kernel_builder *b)
{
    static const struct { uint32_t samples, sample, counted; float weight; } cases[] = {
        {1, 1, 1, 1},    {1, 255, 1, 1},   {2, 128, 1, 0.3f}, {257, 1, 200, 1},  {1, 1023, 1, 1},
        {4, 256, 4, 1},  {5, 205, 5, 2},   {3, 1366, 2, 1},   {7, 587, 0, 1},    {29, 691, 23, 0.5f},
    };
    static const fill_kind kinds[] = {FILL_TINY, FILL_SPECIAL, FILL_EQUAL, FILL_NORMAL};
    for (uint32_t t = 0; t < ACTC_DISTANCES * 2 * sizeof cases / sizeof *cases; t++) {
        const uint32_t k = t / ACTC_DISTANCES / 2, sample = cases[k].sample;
        distance_loss(b, t % ACTC_DISTANCES, cases[k].samples * sample, sample, cases[k].counted, cases[k].weight,
                      kinds[t / ACTC_DISTANCES % 4]);
    }
}

typedef struct dice_case {
    uint32_t outer, rows, cols, counted, first;
    float smooth_nr, weight;
} dice_case;

static void dice_loss(kernel_builder *b, const dice_case *c, uint32_t labels, uint32_t squares, fill_kind kind)
{
    const uint32_t n = c->outer * c->cols, rows = c->outer * c->rows, all = n * c->rows;
    const struct actc_params_dice_loss_fwd p = {0, c->outer, c->cols, c->first, labels, c->smooth_nr, 1e-5f};
    const struct actc_params_dice_loss_bwd q = {0, all, c->outer, c->rows, c->cols, labels, squares, ACTC_STEP_NORM + 1, c->weight};
    if (!squares) {
        kernel_begin(b, ACTC_KERNEL_dice_loss_fwd, output_groups(n), &p);
        kernel_view(b, 0, n, kind);
        kernel_view(b, 1, n, kind | KERNEL_FILL_POSITIVE);
        set_step(b, 2, c->counted, 1e-3f, 0);
        kernel_view(b, 3, n, kind);
        kernel_view(b, 4, p.keep ? 2 * n : 0, kind);
        kernel_end(b, "(outer=%u,cols=%u,counted=%u,first=%u,keep=%u,smooth_nr=%g,fill=%s)", c->outer, c->cols, c->counted,
                   c->first, p.keep, (double)p.smooth_nr, fill_name(kind));
    }
    kernel_begin(b, ACTC_KERNEL_dice_loss_bwd, element_groups(all), &q);
    kernel_view(b, 0, all, kind);
    kernel_view(b, 1, labels ? rows : all, labels ? (int)KERNEL_FILL_LABELS : (int)kind);
    b->spec.classes = c->cols;
    kernel_view(b, 2, 2 * n, kind);
    set_step(b, 3, c->counted, 1e-3f, 0);
    kernel_view(b, 4, all, kind);
    kernel_end(b, "(outer=%u,rows=%u,cols=%u,labels=%u,squares=%u,weight=%g,fill=%s)", c->outer, c->rows, c->cols, labels, squares,
               (double)c->weight, fill_name(kind));
}

static void dice_losses(kernel_builder *b)
{
    static const dice_case cases[] = {
        {1, 1, 1, 1, 0, 1e-5f, 1}, {2, 77, 3, 2, 0, 0, 1},        {3, 341, 4, 2, 1, 1e-5f, 0.5f}, {5, 13, 14, 5, 1, 1, 1},
        {300, 2, 2, 299, 0, 0, 1}, {2, 3, 2500, 1, 1, 1e-5f, 1}, {1, 1031, 5, 1, 1, 1e-5f, 2},   {2, 2, 600, 2, 0, 1e-5f, 1},
    };
    static const fill_kind kinds[] = {FILL_TINY, FILL_SPECIAL, FILL_NORMAL};
    for (uint32_t t = 0; t < 8 * sizeof cases / sizeof *cases; t++)
        dice_loss(b, &cases[t / 8], t & 1, t >> 1 & 1, kinds[t / 4 % 3]);
}

static void optimisers(kernel_builder *b)
{
    for (size_t t = 0; t < N_SIZES; t++) {
        uint32_t n = sizes[t];
        fill_kind kind = t % 4 == 3 ? FILL_SPECIAL : FILL_TINY;
        for (uint32_t bad = 0; bad < 2; bad++) {
            struct actc_params_state_commit c = {0, n};
            kernel_begin(b, ACTC_KERNEL_state_commit, element_groups(n), &c);
            kernel_view(b, 0, n, FILL_BITS);
            kernel_view(b, 1, n, FILL_BITS);
            set_result(b, 2, bad);
            kernel_end(b, "(n=%u,bad=%u)", n, bad);
            struct actc_params_adam a = {0, n, 1.0f - 0.9f, 0.999f, 1.0f - 0.999f, 1e-8f, t % 3 ? 0.0f : 1e-2f};
            kernel_begin(b, ACTC_KERNEL_adam, element_groups(n), &a);
            for (uint32_t v = 0; v < 4; v++)
                kernel_view(b, v, n, v == 3 ? kind | KERNEL_FILL_POSITIVE : kind); /* the last is a sum of squares */
            set_step(b, 4, 16, 1e-3f, 0);
            set_result(b, 5, bad * 5);
            kernel_end(b, "(n=%u,l2=%g,bad=%u,fill=%s)", n, (double)a.l2, bad, fill_name(kind));
            struct actc_params_sgd s = {0, n, t % 2 ? 0.9f : 0.0f, 1e-3f};
            kernel_begin(b, ACTC_KERNEL_sgd, element_groups(n), &s);
            kernel_view(b, 0, n, kind);
            kernel_view(b, 1, n, kind);
            kernel_view(b, 2, s.momentum != 0 ? n : 0, kind); /* no buffer without momentum */
            set_step(b, 3, 16, 1e-3f, t % 4 == 1);
            set_result(b, 4, bad * 5);
            kernel_end(b, "(n=%u,momentum=%g,first=%u,bad=%u,fill=%s)", n, (double)s.momentum, t % 4 == 1, bad,
                       fill_name(kind));
        }
    }
}

/* ---- large ones ---- */

/* More groups than one dimension of a dispatch holds (65,535). */
static void many_groups(kernel_builder *b)
{
    const uint32_t cols = 65536u * ACTC_GROUP_SIZE + 77; /* 65,537 groups */
    struct actc_params_reduce_final p = {0, 1, 1, 1, cols, 0, 1.0f};
    kernel_begin(b, ACTC_KERNEL_reduce_final, output_groups(cols), &p);
    kernel_view(b, 0, cols, FILL_NORMAL);
    kernel_view(b, 1, cols, FILL_NORMAL);
    kernel_end(b, "(outer=1,chunks=1,width=1,cols=%u,add=0)", cols);
}

/* Views longer than 128 MiB, which is all that many a device binds at once. */
static void long_views(kernel_builder *b)
{
    const uint32_t n = (32u << 20) + 4099;
    struct actc_params_relu_fwd p = {0, n, INFINITY};
    kernel_begin(b, ACTC_KERNEL_relu_fwd, element_groups(n), &p);
    kernel_view(b, 0, n, FILL_TINY);
    kernel_view(b, 1, n, FILL_TINY);
    kernel_end(b, "(n=%u,fill=tiny)", n);
    const struct actc_params_binary sum = {.n = n, .size = {1, 1, 1, n}, .sa = {0, 0, 0, 1}, .sb = {0, 0, 0, 1}};
    kernel_begin(b, ACTC_KERNEL_binary, element_groups(n), &sum);
    for (uint32_t v = 0; v < 3; v++)
        kernel_view(b, v, n, FILL_TINY);
    kernel_end(b, "(op=add,flat,n=%u,fill=tiny)", n);
    struct actc_params_finite_check check = {0, n, 0};
    kernel_begin(b, ACTC_KERNEL_finite_check, element_groups(n), &check);
    kernel_view(b, 0, n, FILL_TINY);
    set_result(b, 1, 0);
    kernel_end(b, "(n=%u,fill=tiny)", n);
}

/* What programs move without a kernel. */
static void moves(kernel_builder *b)
{
    static const uint32_t words[] = {1, 3, 64, 257, 4099, (33u << 20) + 1}; /* the last is over 128 MiB */
    for (size_t t = 0; t < sizeof words / sizeof *words; t++) {
        uint32_t n = words[t];
        b->spec = (kernel_spec){.command = {.type = ACTC_COMMAND_COPY, .label = "copy", .n_views = 2, .access = {'r', 'w'}}};
        kernel_view(b, 0, n, FILL_BITS);
        kernel_view(b, 1, n, FILL_BITS);
        parity_case *c = parity_add(b->list, PARITY_KERNEL, ACTC_PARITY_EXACT, kernel_case_run, &b->spec, sizeof b->spec,
                                    "copy(words=%u)", n);
        c->bench = kernel_case_bench;
        c->full = n > 1u << 20;
        b->spec = (kernel_spec){.command = {.type = ACTC_COMMAND_FILL, .label = "fill", .n_views = 1, .access = {'w'}}};
        b->spec.command.u.fill.word = 0x7f800001u + n; /* a signalling NaN that must stay one */
        kernel_view(b, 0, n, FILL_BITS);
        c = parity_add(b->list, PARITY_KERNEL, ACTC_PARITY_EXACT, kernel_case_run, &b->spec, sizeof b->spec,
                       "fill(words=%u)", n);
        c->bench = kernel_case_bench;
        c->full = n > 1u << 20;
    }
}

void parity_kernel_cases(parity_list *list)
{
    kernel_builder b = {.list = list};
    elementwise(&b);
    dropout_transpose(&b);
    pooling(&b);
    averages(&b);
    resampling(&b);
    losses(&b);
    distance_losses(&b);
    dice_losses(&b);
    optimisers(&b);
    moves(&b);
    many_groups(&b);
    b.full = true;
    long_views(&b);
    losses_of(&b, 4u << 18, 3, 1u << 18, 4, 1, FILL_NORMAL);
    for (uint32_t op = 0; op < ACTC_DISTANCES; op++)
        distance_loss(&b, op, 16 * 3 * 192 * 192, 3 * 192 * 192, 16, 1, FILL_NORMAL);
    dice_loss(&b, &(dice_case){1, 96 * 96 * 96, 3, 1, 0, 0, 1}, 0, 1, FILL_NORMAL);
    bilinear(&b, &(resize_case){1, 21, 128, 128, 512, 512, 0}, FILL_NORMAL);
    bilinear(&b, &(resize_case){8, 256, 28, 28, 112, 112, 1}, FILL_NORMAL);
    max_pool(&b, &(pool_case){1, 32, {64, 64, 64}, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}}, FILL_NORMAL);
    max_pool(&b, &(pool_case){32, 64, {1, 112, 112}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}}, FILL_NORMAL);
    avg_pool(&b, &(average_case){1, 32, {64, 64, 64}, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, .inside = true}, FILL_NORMAL);
    avg_pool(&b, &(average_case){8, 512, {1, 30, 30}, .o = {1, 7, 7}}, FILL_NORMAL);
}
