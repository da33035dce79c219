/* product_cases.c: gemm and convolution. On deterministic devices they are EXACT, and are given numbers that are not finite
 * too; else TOLERANT: each output within a bound of float64. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel_case.h"

/* ---- float64 ---- */

/* What every output is, and how far from it a float32 result may be; before make_sums is done, the sum of the magnitudes. */
typedef struct exact_sums {
    size_t n;
    double *wanted, *bound;
    double *dropped; /* the sum of the magnitudes of products that may be read as zero: a factor lies below 2^-50 */
} exact_sums;

static void free_sums(void *shared)
{
    exact_sums *s = shared;
    free(s->wanted);
    free(s->bound);
    free(s->dropped);
    free(s);
}

static void add_product(exact_sums *s, size_t o, float a, float b)
{
    double product = (double)a * (double)b;
    s->wanted[o] += product;
    s->bound[o] += fabs(product);
    if (fabsf(a) < 0x1p-50f || fabsf(b) < 0x1p-50f)
        s->dropped[o] += fabs(product);
}

static uint64_t sum_gemm(const actc_gemm *g, const float *a, const float *b, exact_sums *s)
{
    for (size_t i = 0; i < g->m; i++)
        for (size_t k = 0; k < g->k; k++)
            for (size_t j = 0; j < g->n; j++)
                add_product(s, i * g->n + j, a[g->trans_a ? k * g->m + i : i * g->k + k],
                            b[g->trans_b ? j * g->k + k : k * g->n + j]);
    return g->k;
}

/* Every pair of an output pixel and a tap inside of the image; x, w and y are what the pass reads or sums. */
static uint64_t sum_conv(const actc_conv *v, const float *a, const float *b, exact_sums *s)
{
    const size_t taps = (size_t)v->kh * v->kw * v->ic;
    for (size_t n = 0; n < v->batch; n++)
        for (size_t oy = 0; oy < v->oh; oy++)
            for (size_t ox = 0; ox < v->ow; ox++)
                for (size_t ky = 0; ky < v->kh; ky++)
                    for (size_t kx = 0; kx < v->kw; kx++) {
                        long iy = (long)(oy * v->sh + ky * v->dh) - (long)v->ph,
                             ix = (long)(ox * v->sw + kx * v->dw) - (long)v->pw;
                        if (iy < 0 || ix < 0 || iy >= (long)v->ih || ix >= (long)v->iw)
                            continue;
                        size_t y = ((n * v->oh + oy) * v->ow + ox) * v->oc, tap = (ky * v->kw + kx) * v->ic;
                        size_t x = ((n * v->ih + (size_t)iy) * v->iw + (size_t)ix) * v->ic;
                        for (size_t o = 0; o < v->oc; o++)
                            for (size_t i = 0; i < v->ic; i++) {
                                size_t w = o * taps + tap + i;
                                if (v->pass == ACTC_CONV_FORWARD)
                                    add_product(s, y + o, a[x + i], b[w]);
                                else if (v->pass == ACTC_CONV_BACKWARD_DATA)
                                    add_product(s, x + i, a[y + o], b[w]);
                                else
                                    add_product(s, w, a[x + i], b[y + o]);
                            }
                    }
    return v->pass == ACTC_CONV_FORWARD         ? taps
           : v->pass == ACTC_CONV_BACKWARD_DATA ? (uint64_t)v->kh * v->kw * v->oc
                                                : (uint64_t)v->batch * v->oh * v->ow;
}

/* Of a sum of k products, a bias and the old value, in any order, fused or not: at most k + 3 roundings touch a term, so the
 * error is at most gamma(k + 3) times the sum of the magnitudes (Higham, Accuracy and Stability, 3.1). A factor below 2^-50
 * may be read as zero, and so may the bias, the old value and the result below 2^-60. */
static exact_sums *make_sums(const kernel_spec *spec, void *const *data)
{
    const actc_command *command = &spec->command;
    exact_sums *s = calloc(1, sizeof *s);
    size_t n = (size_t)command->views[3].bytes / 4, columns;
    bool bias, add;
    if (!s)
        return NULL;
    *s = (exact_sums){n, calloc(n, sizeof(double)), calloc(n, sizeof(double)), calloc(n, sizeof(double))};
    if (!s->wanted || !s->bound || !s->dropped) {
        free_sums(s);
        return NULL;
    }
    uint64_t k;
    if (command->type == ACTC_COMMAND_GEMM) {
        k = sum_gemm(&command->u.gemm, data[0], data[1], s);
        bias = command->u.gemm.bias;
        add = command->u.gemm.add;
        columns = command->u.gemm.n;
    } else {
        k = sum_conv(&command->u.conv, data[0], data[1], s);
        bias = command->u.conv.bias;
        add = command->u.conv.add;
        columns = command->u.conv.oc;
    }
    double rounded = (double)(k + 3) * 0x1p-24, gamma = rounded / (1 - rounded);
    for (size_t o = 0; o < n; o++) {
        double b = bias ? (double)((float *)data[2])[o % columns] : 0, old = add ? (double)((float *)data[3])[o] : 0;
        s->wanted[o] += b + old;
        s->bound[o] = gamma * (s->bound[o] + fabs(b) + fabs(old)) + s->dropped[o] + 3 * 0x1p-60;
    }
    return s;
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
        run->shared = make_sums(spec, data);
        run->free_shared = free_sums;
    }
    exact_sums *s = run->shared;
    bool good = s ? kernel_run(run->device, &spec->command, data, message, sizeof message) || parity_fail(run, "%s", message)
                  : parity_fail(run, "out of memory");
    if (good)
        parity_bounded(run, "view 3", data[3], s->wanted, s->bound, s->n, 1e-12);
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

static void gemm(kernel_builder *b, bool exact, fill_kind kind, const actc_gemm *g)
{
    char name[160];
    start(b, ACTC_COMMAND_GEMM, "gemm", g->add);
    b->spec.command.u.gemm = *g;
    kernel_view(b, 0, (size_t)g->m * g->k, (int)kind);
    kernel_view(b, 1, (size_t)g->k * g->n, (int)kind);
    kernel_view(b, 2, g->bias ? g->n : 0, (int)kind);
    kernel_view(b, 3, (size_t)g->m * g->n, (int)kind);
    snprintf(name, sizeof name, "gemm%s(m=%u,n=%u,k=%u,ta=%u,tb=%u,add=%u,bias=%u,fill=%s)", exact ? "_exact" : "", g->m,
             g->n, g->k, g->trans_a, g->trans_b, g->add, g->bias, fill_name(kind));
    add_case(b, exact, exact ? ACTC_KERNEL_gemm_exact : ACTC_KERNEL_gemm, name);
}

/* One, edges of tiles of 16 and 64, sums of one product, long sums, primes; those of MnistNet's linear layers. */
static void gemms(kernel_builder *b, bool exact, fill_kind kind)
{
    static const uint32_t cases[][3] = {{1, 1, 1},   {1, 10, 7},   {16, 16, 16}, {17, 15, 33},  {64, 64, 64},   {65, 63, 17},
                                        {128, 10, 257}, {10, 128, 100}, {33, 257, 1}, {200, 130, 48}, {1, 1, 1021}};
    for (uint32_t t = 0; t < 4 * sizeof cases / sizeof *cases; t++) {
        actc_gemm g = {0, cases[t / 4][0], cases[t / 4][1], cases[t / 4][2], t & 1, t >> 1 & 1, (t + t / 4) % 3 == 1,
                       (t + t / 4) % 2};
        gemm(b, exact, kind, &g);
    }
    actc_gemm large = {0, 509, 257, 1031, 0, 1, 0, 1};
    b->full = true;
    gemm(b, exact, kind, &large);
    b->full = false;
}

static void conv(kernel_builder *b, bool exact, fill_kind kind, actc_conv c)
{
    static const char *const names[] = {"fwd", "bwd_data", "bwd_filter"};
    static const int kernels[2][3] = {
        {ACTC_KERNEL_conv2d_fwd, ACTC_KERNEL_conv2d_bwd_data, ACTC_KERNEL_conv2d_bwd_filter},
        {ACTC_KERNEL_conv2d_fwd_exact, ACTC_KERNEL_conv2d_bwd_data_exact, ACTC_KERNEL_conv2d_bwd_filter_exact}};
    char name[160];
    c.oh = (c.ih + 2 * c.ph - c.dh * (c.kh - 1) - 1) / c.sh + 1;
    c.ow = (c.iw + 2 * c.pw - c.dw * (c.kw - 1) - 1) / c.sw + 1;
    c.bias &= c.pass == ACTC_CONV_FORWARD;
    c.add &= c.pass == ACTC_CONV_BACKWARD_FILTER;
    size_t x = (size_t)c.batch * c.ih * c.iw * c.ic, w = (size_t)c.oc * c.kh * c.kw * c.ic;
    size_t y = (size_t)c.batch * c.oh * c.ow * c.oc;
    start(b, ACTC_COMMAND_CONV, "conv2d", c.add);
    b->spec.command.u.conv = c;
    kernel_view(b, 0, c.pass == ACTC_CONV_BACKWARD_DATA ? y : x, (int)kind);
    kernel_view(b, 1, c.pass == ACTC_CONV_BACKWARD_FILTER ? y : w, (int)kind);
    kernel_view(b, 2, c.bias ? c.oc : 0, (int)kind);
    kernel_view(b, 3, c.pass == ACTC_CONV_FORWARD ? y : c.pass == ACTC_CONV_BACKWARD_DATA ? x : w, (int)kind);
    snprintf(name, sizeof name,
             "conv2d%s.%s(n=%u,c=%u,hw=%ux%u,o=%u,k=%ux%u,s=%ux%u,p=%ux%u,d=%ux%u,bias=%d,add=%d,fill=%s)",
             exact ? "_exact" : "", names[c.pass], c.batch, c.ic, c.ih, c.iw, c.oc, c.kh, c.kw, c.sh, c.sw, c.ph, c.pw, c.dh,
             c.dw, c.bias, c.add, fill_name(kind));
    add_case(b, exact, kernels[exact][c.pass], name);
}

static void convolutions(kernel_builder *b, bool exact, fill_kind kind)
{
    static const struct { actc_conv conv; bool full; } cases[] = {
        {{0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, false, false}, false},
        {{0, 2, 1, 28, 28, 32, 0, 0, 3, 3, 1, 1, 0, 0, 1, 1, true, false}, false}, /* MnistNet's first */
        {{0, 1, 3, 19, 17, 5, 0, 0, 3, 3, 2, 2, 1, 1, 1, 1, true, false}, false},
        {{0, 2, 17, 9, 11, 33, 0, 0, 3, 2, 1, 2, 1, 0, 1, 1, false, true}, false}, /* one past a tile of channels */
        {{0, 1, 4, 15, 15, 6, 0, 0, 3, 3, 1, 1, 2, 2, 2, 2, true, false}, false},
        {{0, 1, 8, 7, 7, 16, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, false, false}, false},
        {{0, 1, 5, 8, 6, 7, 0, 0, 5, 4, 3, 2, 4, 3, 1, 1, true, true}, false}, /* windows that lie outside of the image */
        {{0, 3, 16, 20, 20, 70, 0, 0, 3, 3, 1, 1, 1, 1, 1, 1, true, false}, false}, /* more than one chunk of pixels */
        {{0, 1, 2, 40, 41, 3, 0, 0, 3, 3, 1, 1, 0, 0, 3, 2, false, true}, false},
        {{0, 2, 16, 19, 19, 16, 0, 0, 3, 3, 1, 1, 1, 1, 1, 1, false, false}, false},
        {{0, 16, 32, 26, 26, 32, 0, 0, 3, 3, 1, 1, 0, 0, 1, 1, true, false}, true}, /* MnistNet's second */
        {{0, 3, 67, 31, 29, 131, 0, 0, 3, 3, 2, 1, 1, 1, 1, 1, true, true}, true},
    };
    for (uint32_t t = 0; t < 3 * sizeof cases / sizeof *cases; t++) {
        actc_conv c = cases[t / 3].conv;
        c.pass = (actc_conv_pass)(t % 3);
        b->full = cases[t / 3].full;
        conv(b, exact, kind, c);
    }
    b->full = false;
}

/* ---- one order of addition at every position ---- */

/* A constant image gives a constant output away from the borders, whatever the order of addition is, if it is one order. */
static bool run_constant(const parity_case *c, parity_run *run)
{
    const kernel_spec *spec = c->data;
    const actc_conv *v = &spec->command.u.conv;
    void *data[ACTC_MAX_VIEWS];
    char message[1200];
    if (!kernel_data_make(spec, run->seed, data))
        return parity_fail(run, "out of memory");
    float *x = data[0], *y = data[3];
    for (size_t i = 0; i < spec->command.views[0].bytes / 4; i++)
        x[i] = 0.37f + 0.11f * (float)(i % v->ic);
    bool good = kernel_run(run->device, &spec->command, data, message, sizeof message) || parity_fail(run, "%s", message);
    for (size_t n = 0; good && n < v->batch; n++)
        for (size_t oy = 1; good && oy + 1 < v->oh; oy++)
            for (size_t ox = 1; good && ox + 1 < v->ow; ox++)
                if (memcmp(&y[((n * v->oh + oy) * v->ow + ox) * v->oc], &y[(v->ow + 1) * v->oc], 4 * v->oc))
                    good =
                        parity_fail(run,
                                    "sample %zu, row %zu, column %zu is not what row 1, column 1 of sample 0 is, though all "
                                    "that they sum is the same: additions in another order",
                                    n, oy, ox);
    kernel_data_free(data);
    return good;
}

static void constant_images(kernel_builder *b)
{
    for (uint32_t oc = 7; oc <= 112; oc *= 4) { /* each of the shapes that tiles have */
        actc_conv c = {.pass = ACTC_CONV_FORWARD,
                       .batch = 2,
                       .ic = 19,
                       .ih = 37,
                       .iw = 41,
                       .oc = oc,
                       .oh = 37,
                       .ow = 41,
                       .kh = 3,
                       .kw = 3,
                       .sh = 1,
                       .sw = 1,
                       .ph = 1,
                       .pw = 1,
                       .dh = 1,
                       .dw = 1};
        start(b, ACTC_COMMAND_CONV, "constant image", false);
        b->spec.command.u.conv = c;
        kernel_view(b, 0, (size_t)c.batch * c.ih * c.iw * c.ic, FILL_NORMAL);
        kernel_view(b, 1, (size_t)oc * 9 * c.ic, FILL_NORMAL);
        kernel_view(b, 3, (size_t)c.batch * c.oh * c.ow * oc, FILL_NORMAL);
        parity_add(b->list, PARITY_KERNEL, ACTC_PARITY_TOLERANT, run_constant, &b->spec, sizeof b->spec,
                   "conv2d.constant_image(n=2,c=19,hw=37x41,o=%u,k=3x3,p=1x1)", oc);
    }
}

void parity_product_cases(parity_list *list)
{
    kernel_builder b = {.list = list};
    gemms(&b, false, FILL_TINY);
    convolutions(&b, false, FILL_TINY);
    constant_images(&b);
    gemms(&b, true, FILL_TINY);
    convolutions(&b, true, FILL_TINY);
    gemms(&b, true, FILL_SPECIAL);
    convolutions(&b, true, FILL_SPECIAL);
}
