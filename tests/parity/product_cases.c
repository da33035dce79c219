/* product_cases.c: gemm and convolution. On deterministic devices they are EXACT, and are given numbers that are not finite
 * too; else TOLERANT: each output within a bound of float64. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel_case.h"
#include "reference.h"

/* What float64 says of the command's result, view 3, and the bounds. NULL where memory has run out. */
static reference_view *wanted_of(const kernel_spec *spec, void *const *data)
{
    reference_view *views = calloc(ACTC_MAX_VIEWS, sizeof *views);
    if (views && reference_views_make(&spec->command, data, views) && reference_command(&spec->command, views))
        return views;
    if (views)
        reference_views_free(views);
    free(views);
    return NULL;
}

static void free_wanted(void *views)
{
    reference_views_free(views);
    free(views);
}

static bool run_tolerant(const parity_case *c, parity_run *run)
{
    const kernel_spec *spec = c->data;
    void *data[ACTC_MAX_VIEWS];
    char message[1200], why[256] = "";
    const actc_backend *backend = run->device->backend;
    if (backend->supports && !backend->supports(run->device, &spec->command, why, sizeof why))
        return parity_skip(run, "not supported: %s", why);
    if (!kernel_data_make(spec, run->seed, data))
        return parity_fail(run, "out of memory");
    if (!run->shared) {
        run->shared = wanted_of(spec, data);
        run->free_shared = free_wanted;
    }
    const reference_view *views = run->shared;
    bool good = views ? kernel_run(run->device, &spec->command, data, message, sizeof message) || parity_fail(run, "%s", message)
                      : parity_fail(run, "out of memory");
    if (good)
        parity_bounded(run, "view 3", data[3], views[3].value, views[3].error, views[3].words, 1e-12);
    kernel_data_free(data);
    return good;
}

/* EXACT, and within the bound. */
static bool run_exact_bounded(const parity_case *c, parity_run *run)
{
    const kernel_spec *spec = c->data;
    void *data[ACTC_MAX_VIEWS];
    char message[1200];
    if (!kernel_data_make(spec, run->seed, data))
        return parity_fail(run, "out of memory");
    reference_view *views = wanted_of(spec, data);
    bool good = views ? kernel_run(run->device, &spec->command, data, message, sizeof message) || parity_fail(run, "%s", message)
                      : parity_fail(run, "out of memory");
    good = good && (reference_agrees(&spec->command, views, data, message, sizeof message) || parity_fail(run, "%s", message));
    if (good)
        parity_exact(run, "view 3", data[3], 4 * views[3].words);
    if (views)
        free_wanted(views);
    kernel_data_free(data);
    return good;
}

/* ---- the cases ---- */

static void add_case(kernel_builder *b, bool exact, int kernel, const char *name)
{
    parity_case *c = parity_add(b->list, PARITY_KERNEL, exact ? ACTC_PARITY_EXACT : ACTC_PARITY_TOLERANT,
                                exact ? kernel_case_run : run_tolerant, &b->spec, sizeof b->spec, "%s", name);
    c->deterministic = exact;
    c->kernel = kernel;
    c->bench = kernel_case_bench;
    c->full = b->full;
}

static void start(kernel_builder *b, actc_command_type type, const char *label, bool add)
{
    b->spec =
        (kernel_spec){.command = {.type = type, .label = label, .n_views = 4, .access = {'r', 'r', 'r', add ? 'x' : 'w'}}};
    for (uint32_t i = 0; i < 4; i++)
        b->spec.command.views[i].buffer = ACTC_NO_BUFFER;
}

static size_t matrices(uint32_t batch, uint32_t stride, uint32_t rows, uint32_t ld, uint32_t columns)
{
    return (size_t)(batch - 1) * stride + (size_t)(rows - 1) * ld + columns;
}

static void gemm(kernel_builder *b, bool exact, fill_kind kind, const actc_gemm *given)
{
    char name[300], batch[160] = "";
    const actc_gemm g = actc_gemm_dense(*given);
    start(b, ACTC_COMMAND_GEMM, "gemm", g.add);
    b->spec.command.u.gemm = g;
    kernel_view(b, 0, matrices(g.batch, g.stride_a, g.trans_a ? g.k : g.m, g.lda, g.trans_a ? g.m : g.k), (int)kind);
    kernel_view(b, 1, matrices(g.batch, g.stride_b, g.trans_b ? g.n : g.k, g.ldb, g.trans_b ? g.k : g.n), (int)kind);
    kernel_view(b, 2, g.bias ? g.n : 0, (int)kind);
    kernel_view(b, 3, matrices(g.batch, g.stride_c, g.m, g.ldc, g.n), (int)kind);
    if (given->batch)
        snprintf(batch, sizeof batch, "batch=%u,ld=%u/%u/%u,stride=%u/%u/%u,alpha=%g,", g.batch, g.lda, g.ldb, g.ldc, g.stride_a,
                 g.stride_b, g.stride_c, (double)g.alpha);
    snprintf(name, sizeof name, "gemm%s(%sm=%u,n=%u,k=%u,ta=%u,tb=%u,add=%u,bias=%u,fill=%s)", exact ? "_exact" : "", batch, g.m,
             g.n, g.k, g.trans_a, g.trans_b, g.add, g.bias, fill_name(kind));
    add_case(b, exact, exact ? ACTC_KERNEL_gemm_exact : ACTC_KERNEL_gemm, name);
}

/* Matrices one behind the other, heads that lie between each other as in attention, one operand for all, and gaps in c,
 * which stay as they are (such a c must be added to, or it would not be written in full). */
static void batches(kernel_builder *b, bool exact, fill_kind kind)
{
    static const actc_gemm cases[] = {
        {.m = 17, .n = 19, .k = 23, .batch = 3, .stride_a = 17 * 23, .stride_b = 23 * 19, .stride_c = 17 * 19},
        {.m = 65, .n = 65, .k = 16, .trans_b = 1, .batch = 4, .lda = 192, .ldb = 192, .stride_a = 16, .stride_b = 16,
         .stride_c = 65 * 65, .alpha = 0.25f},                                                           /* q k^T */
        {.m = 65, .n = 16, .k = 65, .batch = 4, .ldb = 192, .ldc = 64, .stride_a = 65 * 65, .stride_b = 16,
         .stride_c = 16},                                                                                /* p v */
        {.m = 65, .n = 16, .k = 65, .trans_a = 1, .batch = 4, .ldb = 64, .ldc = 192, .stride_a = 65 * 65, .stride_b = 16,
         .stride_c = 16, .add = 1, .alpha = -0.3f},
        {.m = 5, .n = 70, .k = 33, .batch = 7, .lda = 40, .ldb = 71, .ldc = 90, .stride_b = 71 * 33, .stride_c = 500, .add = 1,
         .bias = 1},
        {.m = 130, .n = 3, .k = 7, .trans_a = 1, .trans_b = 1, .batch = 2, .lda = 131, .ldb = 9, .ldc = 3, .stride_a = 1000,
         .stride_c = 390, .bias = 1, .alpha = 3.0f},
        {.m = 1, .n = 1, .k = 5, .batch = 300, .stride_a = 5, .stride_b = 5, .stride_c = 1},
    };
    for (uint32_t t = 0; t < sizeof cases / sizeof *cases; t++)
        gemm(b, exact, kind, &cases[t]);
    for (uint32_t t = 0; t < 4; t++) { /* so many that the CPU's blocks are as wide as they get */
        const actc_gemm many = {.m = 13, .n = 137, .k = 131, .trans_a = t & 1, .trans_b = t >> 1, .batch = 64, .stride_a = 13 * 131,
                                .stride_b = 131 * 137, .stride_c = 13 * 137, .bias = t == 1, .add = t == 2};
        gemm(b, exact, kind, &many);
    }
}

/* One, edges of tiles of 16 and 64, sums of one product, long sums, primes; those of MnistNet's linear layers. */
static void gemms(kernel_builder *b, bool exact, fill_kind kind)
{
    static const uint32_t cases[][3] = {{1, 1, 1},   {1, 10, 7},   {16, 16, 16}, {17, 15, 33},  {64, 64, 64},   {65, 63, 17},
                                        {128, 10, 257}, {10, 128, 100}, {33, 257, 1}, {200, 130, 48}, {1, 1, 1021}};
    for (uint32_t t = 0; t < 4 * sizeof cases / sizeof *cases; t++) {
        const uint32_t *mnk = cases[t / 4];
        actc_gemm g = {.m = mnk[0], .n = mnk[1], .k = mnk[2], .trans_a = t & 1, .trans_b = t >> 1 & 1,
                       .add = (t + t / 4) % 3 == 1, .bias = (t + t / 4) % 2};
        gemm(b, exact, kind, &g);
    }
    actc_gemm large = {.m = 509, .n = 257, .k = 1031, .trans_b = 1, .bias = 1};
    b->full = true;
    gemm(b, exact, kind, &large);
    b->full = false;
    batches(b, exact, kind);
}

/* Of the two and three dimensions of an image or a volume; those of the output follow. */
typedef struct conv_shape {
    uint32_t batch, ic, in[3], oc, kernel[3], stride[3], padding[3], dilation[3];
    bool bias, add;
    bool transposed; /* backward data has the bias */
    bool depthwise;
    bool full;
} conv_shape;

static actc_conv conv_of(const conv_shape *s, actc_conv_pass pass)
{
    uint32_t out[3];
    for (int i = 0; i < 3; i++)
        out[i] = (s->in[i] + 2 * s->padding[i] - s->dilation[i] * (s->kernel[i] - 1) - 1) / s->stride[i] + 1;
    return (actc_conv){
        .pass = pass, .batch = s->batch, .ic = s->ic, .id = s->in[0], .ih = s->in[1], .iw = s->in[2], .oc = s->oc,
        .od = out[0], .oh = out[1], .ow = out[2], .kd = s->kernel[0], .kh = s->kernel[1], .kw = s->kernel[2],
        .sd = s->stride[0], .sh = s->stride[1], .sw = s->stride[2], .pd = s->padding[0], .ph = s->padding[1],
        .pw = s->padding[2], .dd = s->dilation[0], .dh = s->dilation[1], .dw = s->dilation[2],
        .groups = s->depthwise ? s->ic : 1,
        .bias = s->bias && pass == (s->transposed ? ACTC_CONV_BACKWARD_DATA : ACTC_CONV_FORWARD),
        .add = s->add && pass == ACTC_CONV_BACKWARD_FILTER};
}

/* "3x5", of volumes "2x3x5" */
static const char *extents(char text[40], bool volume, uint32_t depth, uint32_t height, uint32_t width)
{
    if (volume)
        snprintf(text, 40, "%ux%ux%u", depth, height, width);
    else
        snprintf(text, 40, "%ux%u", height, width);
    return text;
}

/* Elements of the operands of a convolution. */
typedef struct conv_sizes {
    size_t x, w, y, bias;
} conv_sizes;

static conv_sizes conv_sizes_of(const actc_conv *v)
{
    return (conv_sizes){.x = (size_t)v->batch * v->id * v->ih * v->iw * v->ic,
                        .w = (size_t)v->oc * v->kd * v->kh * v->kw * (v->ic / v->groups),
                        .y = (size_t)v->batch * v->od * v->oh * v->ow * v->oc,
                        .bias = v->pass == ACTC_CONV_BACKWARD_DATA ? v->ic : v->oc};
}

static void conv(kernel_builder *b, bool exact, fill_kind kind, const conv_shape *shape, bool volume, actc_conv_pass pass)
{
    static const char *const names[] = {"fwd", "bwd_data", "bwd_filter"};
    static const int kernels[3][3] = {
        {ACTC_KERNEL_conv_fwd, ACTC_KERNEL_conv_bwd_data, ACTC_KERNEL_conv_bwd_filter},
        {ACTC_KERNEL_conv_fwd_exact, ACTC_KERNEL_conv_bwd_data_exact, ACTC_KERNEL_conv_bwd_filter_exact},
        {ACTC_KERNEL_depthwise_fwd, ACTC_KERNEL_depthwise_bwd_data, ACTC_KERNEL_depthwise_bwd_filter}};
    const actc_conv c = conv_of(shape, pass);
    const conv_sizes n = conv_sizes_of(&c);
    char name[400], in[40], k[40], s[40], p[40], d[40];
    start(b, ACTC_COMMAND_CONV, "conv", c.add);
    b->spec.command.u.conv = c;
    kernel_view(b, 0, pass == ACTC_CONV_BACKWARD_DATA ? n.y : n.x, (int)kind);
    kernel_view(b, 1, pass == ACTC_CONV_BACKWARD_FILTER ? n.y : n.w, (int)kind);
    kernel_view(b, 2, c.bias ? n.bias : 0, (int)kind);
    kernel_view(b, 3, pass == ACTC_CONV_FORWARD ? n.y : pass == ACTC_CONV_BACKWARD_DATA ? n.x : n.w, (int)kind);
    snprintf(name, sizeof name, "%s%s%s.%s(n=%u,c=%u,%s=%s,o=%u,k=%s,s=%s,p=%s,d=%s,bias=%d,add=%d,fill=%s)",
             shape->depthwise ? "depthwise" : "conv", volume ? "3d" : "2d",
             exact && !shape->depthwise ? "_exact" : "", names[pass], c.batch, c.ic, volume ? "dhw" : "hw",
             extents(in, volume, c.id, c.ih, c.iw), c.oc, extents(k, volume, c.kd, c.kh, c.kw),
             extents(s, volume, c.sd, c.sh, c.sw), extents(p, volume, c.pd, c.ph, c.pw), extents(d, volume, c.dd, c.dh, c.dw),
             c.bias, c.add, fill_name(kind));
    b->full = shape->full;
    if (shape->depthwise && kind != FILL_SPECIAL) {
        parity_case *added = parity_add(b->list, PARITY_KERNEL, ACTC_PARITY_EXACT, run_exact_bounded, &b->spec, sizeof b->spec,
                                        "%s", name);
        added->kernel = kernels[2][pass];
        added->bench = kernel_case_bench;
        added->full = b->full;
    } else {
        add_case(b, exact, kernels[shape->depthwise ? 2 : exact][pass], name);
    }
    b->full = false;
}

#define ONE {1, 1, 1}
#define NO {0, 0, 0}

static void convolutions(kernel_builder *b, bool exact, fill_kind kind)
{
    static const conv_shape images[] = {
        {1, 1, {1, 1, 1}, 1, ONE, ONE, NO, ONE, .bias = false},
        {2, 1, {1, 28, 28}, 32, {1, 3, 3}, ONE, NO, ONE, .bias = true}, /* MnistNet's first */
        {1, 3, {1, 19, 17}, 5, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, ONE, .bias = true},
        {2, 17, {1, 9, 11}, 33, {1, 3, 2}, {1, 1, 2}, {0, 1, 0}, ONE, .add = true}, /* one past a tile of channels */
        {1, 4, {1, 15, 15}, 6, {1, 3, 3}, ONE, {0, 2, 2}, {1, 2, 2}, .bias = true},
        {1, 8, {1, 7, 7}, 16, ONE, ONE, NO, ONE, .bias = false},
        /* windows that lie outside of the image */
        {1, 5, {1, 8, 6}, 7, {1, 5, 4}, {1, 3, 2}, {0, 4, 3}, ONE, .bias = true, .add = true},
        {3, 16, {1, 20, 20}, 70, {1, 3, 3}, ONE, {0, 1, 1}, ONE, .bias = true}, /* more than one run of pixels */
        {1, 2, {1, 40, 41}, 3, {1, 3, 3}, ONE, NO, {1, 3, 2}, .add = true},
        {2, 16, {1, 19, 19}, 16, {1, 3, 3}, ONE, {0, 1, 1}, ONE, .bias = false},
        {16, 32, {1, 26, 26}, 32, {1, 3, 3}, ONE, NO, ONE, .bias = true, .full = true}, /* MnistNet's second */
        {3, 67, {1, 31, 29}, 131, {1, 3, 3}, {1, 2, 1}, {0, 1, 1}, ONE, .bias = true, .add = true, .full = true},
    };
    static const conv_shape volumes[] = {
        {2, 3, {5, 7, 6}, 4, {3, 3, 3}, ONE, {1, 1, 1}, ONE, .bias = true},
        {1, 2, {9, 8, 11}, 17, {3, 2, 3}, {2, 2, 1}, {1, 0, 1}, ONE, .bias = true, .add = true},
        {2, 5, {1, 9, 1}, 3, {1, 4, 1}, {1, 3, 1}, {0, 2, 0}, {1, 2, 1}, .bias = true}, /* rows: one dimension */
        {1, 19, {4, 5, 6}, 14, {3, 3, 3}, ONE, {2, 2, 2}, {2, 1, 2}, .add = true}, /* more padding than planes */
        {1, 8, {6, 5, 4}, 33, {1, 1, 1}, {2, 1, 2}, NO, ONE, .bias = true},
        {1, 4, {12, 13, 11}, 6, {3, 3, 3}, ONE, {1, 1, 1}, ONE, .bias = true, .add = true}, /* two runs */
        {1, 32, {12, 12, 12}, 32, {3, 3, 3}, ONE, {1, 1, 1}, ONE, .bias = true, .full = true},
        {2, 23, {9, 10, 17}, 35, {2, 3, 3}, {2, 1, 2}, {1, 1, 0}, ONE, .bias = true, .add = true, .full = true},
    };
    /* transposed: what is called input here is their output */
    static const conv_shape transposed[] = {
        {2, 7, {1, 10, 12}, 5, {1, 2, 2}, {1, 2, 2}, NO, ONE, .bias = true, .transposed = true},
        {1, 3, {1, 13, 11}, 20, {1, 3, 4}, {1, 2, 3}, {0, 1, 1}, ONE, .bias = true, .transposed = true},
        {1, 16, {8, 6, 10}, 34, {2, 2, 2}, {2, 2, 2}, NO, ONE, .bias = true, .transposed = true},
        {1, 5, {7, 9, 8}, 3, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, ONE, .bias = true, .transposed = true},
    };
    /* more runs of pixels than there are chunks */
    static const conv_shape large = {1, 1, {1, 2049, 2050}, 2, ONE, ONE, NO, ONE, .add = true, .full = true};
    if (kind == FILL_TINY)
        conv(b, exact, kind, &large, false, ACTC_CONV_BACKWARD_FILTER);
    for (uint32_t t = 0; t < 3 * sizeof images / sizeof *images; t++)
        conv(b, exact, kind, &images[t / 3], false, (actc_conv_pass)(t % 3));
    for (uint32_t t = 0; t < 3 * sizeof volumes / sizeof *volumes; t++)
        conv(b, exact, kind, &volumes[t / 3], true, (actc_conv_pass)(t % 3));
    for (uint32_t t = 0; t < sizeof transposed / sizeof *transposed; t++)
        conv(b, exact, kind, &transposed[t], transposed[t].in[0] > 1, ACTC_CONV_BACKWARD_DATA);
}

/* EXACT on every device. */
static void depthwise(kernel_builder *b, fill_kind kind)
{
    static const conv_shape images[] = {
        {2, 3, {1, 5, 7}, 3, {1, 3, 3}, ONE, {0, 1, 1}, ONE, .bias = true, .depthwise = true},
        {1, 32, {1, 13, 70}, 32, {1, 5, 5}, {1, 2, 2}, {0, 2, 2}, ONE, .add = true, .depthwise = true}, /* a whole block */
        {3, 37, {1, 19, 21}, 37, {1, 3, 3}, ONE, {0, 1, 1}, {1, 2, 1}, .bias = true, .depthwise = true}, /* two runs */
        {1, 5, {1, 9, 8}, 15, {1, 3, 2}, {1, 1, 2}, {0, 4, 3}, ONE, .bias = true, .depthwise = true}, /* 3 outputs a channel */
        {1, 2, {1, 11, 1}, 34, {1, 9, 8}, {1, 3, 1}, {0, 4, 7}, ONE, .add = true, .depthwise = true}, /* many taps */
        {2, 50, {1, 7, 19}, 50, {1, 5, 5}, ONE, {0, 2, 2}, ONE, .bias = true, .depthwise = true}, /* rows in tiles and a rest */
        {1, 32, {1, 9, 34}, 32, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, ONE, .bias = true, .depthwise = true},
        {4, 96, {1, 28, 28}, 96, {1, 3, 3}, ONE, {0, 1, 1}, ONE, .bias = true, .depthwise = true, .full = true},
    };
    static const conv_shape volumes[] = {
        {2, 3, {4, 5, 6}, 3, {3, 3, 3}, ONE, {1, 1, 1}, ONE, .bias = true, .depthwise = true},
        {1, 33, {7, 6, 5}, 66, {3, 2, 3}, {2, 1, 2}, {1, 0, 1}, {1, 2, 1}, .add = true, .depthwise = true},
        {1, 4, {6, 7, 5}, 4, {2, 2, 2}, {2, 2, 2}, NO, ONE, .bias = true, .transposed = true, .depthwise = true},
        {1, 32, {16, 16, 16}, 32, {3, 3, 3}, ONE, {1, 1, 1}, ONE, .bias = true, .depthwise = true, .full = true},
    };
    for (uint32_t t = 0; t < 3 * sizeof images / sizeof *images; t++)
        conv(b, true, kind, &images[t / 3], false, (actc_conv_pass)(t % 3));
    for (uint32_t t = 0; t < 3 * sizeof volumes / sizeof *volumes; t++)
        conv(b, true, kind, &volumes[t / 3], true, (actc_conv_pass)(t % 3));
}

/* Chunks of several runs of pixels, as filters of many pixels have them: the kernel by itself, in one tile a chunk. */
static void filter_runs(kernel_builder *b)
{
    const conv_shape shape = {1, 2, {3, 41, 43}, 3, {2, 3, 3}, {1, 1, 1}, {0, 1, 1}, ONE, .bias = false};
    const actc_conv c = conv_of(&shape, ACTC_CONV_BACKWARD_FILTER);
    const conv_sizes n = conv_sizes_of(&c);
    for (uint32_t runs = 1; runs <= 4; runs++) {
        struct actc_params_conv params = {.batch = c.batch, .ic = c.ic, .id = c.id, .ih = c.ih, .iw = c.iw, .oc = c.oc,
                                          .od = c.od, .oh = c.oh, .ow = c.ow, .kd = c.kd, .kh = c.kh, .kw = c.kw, .sd = c.sd,
                                          .sh = c.sh, .sw = c.sw, .pd = c.pd, .ph = c.ph, .pw = c.pw, .dd = c.dd, .dh = c.dh,
                                          .dw = c.dw, .runs = runs};
        uint32_t all = (c.od * c.oh * c.ow + ACTC_FILTER_PIXELS - 1) / ACTC_FILTER_PIXELS, chunks = (all + runs - 1) / runs;
        kernel_begin(b, ACTC_KERNEL_conv_bwd_filter_exact, chunks, &params);
        kernel_view(b, 0, n.x, FILL_NORMAL);
        kernel_view(b, 1, n.y, FILL_NORMAL);
        kernel_view(b, 2, chunks * n.w, FILL_NORMAL);
        kernel_end(b, "(c=2,dhw=3x41x43,o=3,k=2x3x3,p=0x1x1,runs=%u)", runs);
        params.oc = 4;
        const size_t pixels = (size_t)c.batch * c.od * c.oh * c.ow, weights = (size_t)params.oc * c.kd * c.kh * c.kw;
        kernel_begin(b, ACTC_KERNEL_depthwise_bwd_filter, output_groups(chunks * weights), &params);
        kernel_view(b, 0, n.x, FILL_NORMAL);
        kernel_view(b, 1, pixels * params.oc, FILL_NORMAL);
        kernel_view(b, 2, chunks * weights, FILL_NORMAL);
        kernel_end(b, "(c=2,dhw=3x41x43,o=4,k=2x3x3,p=0x1x1,runs=%u)", runs);
    }
}

/* ---- one order of addition at every position ---- */

/* A constant image gives a constant output away from the borders, whatever the order of addition is, if it is one order; so
 * do constant output gradients. */
static bool run_constant(const parity_case *c, parity_run *run)
{
    const kernel_spec *spec = c->data;
    const actc_conv *v = &spec->command.u.conv;
    const bool forward = v->pass == ACTC_CONV_FORWARD;
    const uint32_t from = forward ? v->ic : v->oc, channels = forward ? v->oc : v->ic;
    const uint32_t depth = forward ? v->od : v->id, height = forward ? v->oh : v->ih, width = forward ? v->ow : v->iw;
    void *data[ACTC_MAX_VIEWS];
    char message[1200];
    if (!kernel_data_make(spec, run->seed, data))
        return parity_fail(run, "out of memory");
    float *x = data[0], *y = data[3];
    for (size_t i = 0; i < spec->command.views[0].bytes / 4; i++)
        x[i] = 0.37f + 0.11f * (float)(i % from);
    bool good = kernel_run(run->device, &spec->command, data, message, sizeof message) || parity_fail(run, "%s", message);
    const size_t pixels = (size_t)v->batch * depth * height * width;
    const float *first = NULL;
    for (size_t pixel = 0; good && pixel < pixels; pixel++) {
        size_t ox = pixel % width, oy = pixel / width % height, oz = pixel / width / height % depth;
        bool inner = ox && ox + 1 < width && oy && oy + 1 < height && (depth == 1 || (oz && oz + 1 < depth));
        if (!inner)
            continue;
        if (!first)
            first = &y[pixel * channels];
        if (memcmp(&y[pixel * channels], first, 4 * channels))
            good = parity_fail(run,
                               "pixel %zu (plane %zu, row %zu, column %zu) is not what the first inner one is, though all that "
                               "they sum is the same: additions in another order",
                               pixel, oz, oy, ox);
    }
    kernel_data_free(data);
    return good;
}

static void constant_image(kernel_builder *b, const conv_shape *shape, actc_conv_pass pass, const char *name)
{
    const actc_conv c = conv_of(shape, pass);
    const conv_sizes n = conv_sizes_of(&c);
    start(b, ACTC_COMMAND_CONV, "constant image", false);
    b->spec.command.u.conv = c;
    kernel_view(b, 0, pass == ACTC_CONV_FORWARD ? n.x : n.y, FILL_NORMAL);
    kernel_view(b, 1, n.w, FILL_NORMAL);
    kernel_view(b, 3, pass == ACTC_CONV_FORWARD ? n.y : n.x, FILL_NORMAL);
    parity_add(b->list, PARITY_KERNEL, ACTC_PARITY_TOLERANT, run_constant, &b->spec, sizeof b->spec, "%s", name);
}

static void constant_images(kernel_builder *b)
{
    char name[120];
    for (uint32_t oc = 7; oc <= 112; oc *= 4) { /* each of the shapes that tiles have */
        const conv_shape image = {2, 19, {1, 37, 41}, oc, {1, 3, 3}, ONE, {0, 1, 1}, ONE, .bias = false};
        snprintf(name, sizeof name, "conv2d.constant_image(n=2,c=19,hw=37x41,o=%u,k=3x3,p=1x1)", oc);
        constant_image(b, &image, ACTC_CONV_FORWARD, name);
    }
    static const conv_shape volumes[] = {{1, 14, {13, 11, 12}, 14, {3, 3, 3}, ONE, {1, 1, 1}, ONE, .bias = false},
                                         {2, 16, {9, 11, 12}, 32, {3, 3, 3}, ONE, {1, 1, 1}, ONE, .bias = false}};
    for (uint32_t t = 0; t < 2 * sizeof volumes / sizeof *volumes; t++) {
        const conv_shape *v = &volumes[t / 2];
        snprintf(name, sizeof name, "conv3d.constant_%s(n=%u,c=%u,dhw=%ux%ux%u,o=%u,k=3x3x3,p=1x1x1)",
                 t % 2 ? "gradient" : "image", v->batch, v->ic, v->in[0], v->in[1], v->in[2], v->oc);
        constant_image(b, v, t % 2 ? ACTC_CONV_BACKWARD_DATA : ACTC_CONV_FORWARD, name);
    }
}

void parity_product_cases(parity_list *list)
{
    kernel_builder b = {.list = list};
    gemms(&b, false, FILL_TINY);
    convolutions(&b, false, FILL_TINY);
    constant_images(&b);
    filter_runs(&b);
    depthwise(&b, FILL_TINY);
    depthwise(&b, FILL_SPECIAL);
    gemms(&b, true, FILL_TINY);
    convolutions(&b, true, FILL_TINY);
    gemms(&b, true, FILL_SPECIAL);
    convolutions(&b, true, FILL_SPECIAL);
}
