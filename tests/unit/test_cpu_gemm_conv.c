/* test_cpu_gemm_conv.c: gemm and convolution of the CPU backend, run as programs.
 *
 * On a fast device (oneDNN, own gemm) every element is held to a bound against float64, and equal inputs must give equal outputs at
 * every position; on a deterministic one the bits are those of a scalar loop in ascending order, from every instruction
 * set and from 1 and 2 threads. What the device allocates is what the views and workspace_bytes add up to.
 */
#include <actc/context.h>

#include "../../backends/common/products.h"
#include "cpu_test.h"

/* ---- running one command ---- */

typedef struct fixture {
    actc_context *context;
    actc_device *fast, *exact[ACTC_CPU_ISA_COUNT][2]; /* instruction set x (1 or 2 threads) */
} fixture;

static void take_info(void *user, const actc_device_info *info)
{
    *(actc_device_info *)user = *info;
}

static actc_device *open_cpu(actc_context *context, bool deterministic, int threads)
{
    actc_device_info info = {0};
    assert_int_equal(actc_backend_cpu.enumerate(context, take_info, &info), ACTC_OK);
    assert_true(info.usable);
    actc_device_options options = {.size = sizeof options, .threads = threads, .deterministic = deterministic};
    actc_device *device = NULL;
    assert_int_equal(actc_backend_cpu.open(context, &options, &info, &device), ACTC_OK);
    return device;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f || actc_context_create(NULL, &f->context) != ACTC_OK)
        return -1;
    actc_cpu_isa best = actc_cpu_isa_detect();
    f->fast = open_cpu(f->context, false, 2);
    for (int isa = 0; isa <= (int)best; isa++) {
        setenv("ACTC_CPU_ISA", actc_cpu_isa_string((actc_cpu_isa)isa), 1);
        for (int threads = 1; threads <= 2; threads++)
            f->exact[isa][threads - 1] = open_cpu(f->context, true, threads);
    }
    unsetenv("ACTC_CPU_ISA");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    actc_backend_cpu.close(f->fast);
    for (int i = 0; i < ACTC_CPU_ISA_COUNT * 2; i++)
        actc_backend_cpu.close(f->exact[i / 2][i % 2]);
    actc_context_destroy(&f->context);
    free(f);
    return 0;
}

static void must(const fixture *f, actc_status status)
{
    if (status != ACTC_OK)
        fail_msg("%s", actc_error_message(f->context));
}

/* Runs the command twice over; arrays[i] of count[i] floats are its views but the workspace; result i is read back. */
static void run_command(const fixture *f, actc_device *device, actc_command *command, float *const *arrays,
                        const size_t *count, int n, int result)
{
    const actc_backend *backend = device->backend;
    uint64_t at = 0, workspace = 0;
    must(f, backend->workspace_bytes(device, command, &workspace));
    assert_int_equal(workspace % ACTC_VIEW_ALIGNMENT, 0);
    command->n_views = ACTC_WORKSPACE_VIEW + 1;
    for (int i = 0; i <= ACTC_WORKSPACE_VIEW; i++) {
        uint64_t bytes = i == ACTC_WORKSPACE_VIEW ? workspace : i < n ? count[i] * 4 : 0;
        command->views[i] = (actc_view){bytes ? 0 : ACTC_NO_BUFFER, bytes ? at : 0, bytes};
        at += actc_align(bytes, ACTC_VIEW_ALIGNMENT);
    }
    actc_buffer *buffer = NULL;
    uint64_t guard = at;
    must(f, backend->buffer_create(device, at + ACTC_VIEW_ALIGNMENT, &buffer));
    assert_int_equal(device->allocated_bytes, at + ACTC_VIEW_ALIGNMENT);
    uint32_t pattern[ACTC_VIEW_ALIGNMENT / 4], seen[ACTC_VIEW_ALIGNMENT / 4];
    for (size_t i = 0; i < ACTC_VIEW_ALIGNMENT / 4; i++)
        pattern[i] = 0xdeadbeef;
    must(f, backend->upload(device, buffer, guard, pattern, sizeof pattern));
    actc_program program = {"test", command, 1};
    actc_executable *executable = NULL;
    must(f, backend->prepare(device, &program, &buffer, 1, &executable));
    assert_int_equal(backend->segments(executable), 1);
    for (int run = 0; run < 2; run++) { /* the second on used workspace */
        for (int i = 0; i < n; i++)
            if (count[i])
                must(f, backend->upload(device, buffer, command->views[i].offset, arrays[i], count[i] * 4));
        must(f, backend->run(device, executable));
    }
    must(f, backend->download(device, buffer, command->views[result].offset, arrays[result], count[result] * 4));
    must(f, backend->download(device, buffer, guard, seen, sizeof seen));
    assert_memory_equal(pattern, seen, sizeof seen); /* the workspace is no larger than was said */
    backend->executable_destroy(device, executable);
    backend->buffer_destroy(device, buffer);
    assert_int_equal(device->allocated_bytes, 0);
}

/* ---- one element of a result: the scalar loop and float64 ---- */

typedef struct sum {
    float exact;        /* ascending, two roundings a term */
    double wide, scale; /* the same in float64, and the sum of magnitudes */
    double dropped;     /* of that, what EXACT kernels read as zero: a factor lies below 2^-50 */
    uint32_t terms;
} sum;

static void add_product(sum *s, float a, float b)
{
    s->exact += ref_factor(a) * ref_factor(b);
    s->wide += (double)a * b;
    s->scale += fabs((double)a * b);
    if (fabsf(a) < 0x1p-50f || fabsf(b) < 0x1p-50f)
        s->dropped += fabs((double)a * b);
    s->terms++;
}

static void add_term(sum *s, float a)
{
    s->exact += ref_flush(a);
    s->wide += a;
    s->scale += fabs((double)a);
    s->terms++;
}

/* Compares every element: the fast device's by a bound, the exact devices' by bits. `run` runs on a device into got. */
typedef void (*runner)(const fixture *f, actc_device *device, void *user, float *got);

static void compare(const fixture *f, const char *name, const sum *expected, size_t n, runner run, void *user)
{
    float *got = malloc(n * sizeof *got);
    assert_non_null(got);
    run(f, f->fast, user, got);
    double error = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs(got[i] - expected[i].wide), bound = 1.5 * 0x1p-24 * sqrt(expected[i].terms + 8.0) * expected[i].scale;
        if (!(d <= bound + expected[i].dropped + 0x1p-60))
            fail_msg("%s, fast device: element %zu is %.9g and should be %.9g +- %.3g", name, i, got[i], expected[i].wide, bound);
        error += d * d;
        norm += expected[i].wide * expected[i].wide;
    }
    assert_true(error <= 1e-12 * norm);
    for (int k = 0; k < ACTC_CPU_ISA_COUNT * 2; k++) {
        if (!f->exact[k / 2][k % 2])
            continue;
        memset(got, 0xff, n * sizeof *got);
        run(f, f->exact[k / 2][k % 2], user, got);
        for (size_t i = 0; i < n; i++)
            if (float_bits(got[i]) != float_bits(ref_canon(expected[i].exact)))
                fail_msg("%s, %s, %d threads: element %zu is %08x and should be %08x", name,
                         actc_cpu_isa_string((actc_cpu_isa)(k / 2)), k % 2 + 1, i, float_bits(got[i]),
                         float_bits(ref_canon(expected[i].exact)));
    }
    free(got);
}

/* Values for sums: normal, with zeros and magnitudes on both sides of the factor's threshold. */
static float *fill_factors(test_rng *r, size_t n)
{
    float *x = fill(r, n, 0);
    for (size_t i = 0; i < n; i++)
        if (rng_next(r) % 32 == 0)
            x[i] = rng_next(r) % 2 ? 0.0f : x[i] * 0x1p-50f;
    return x;
}

/* ---- gemm ---- */

typedef struct gemm_case {
    actc_gemm p;
    float *a, *b, *bias, *c;
} gemm_case;

static void run_gemm(const fixture *f, actc_device *device, void *user, float *got)
{
    gemm_case *g = user;
    size_t n = (size_t)g->p.m * g->p.n;
    memcpy(got, g->c, n * 4);
    actc_command command = {.type = ACTC_COMMAND_GEMM, .label = "gemm"};
    command.u.gemm = actc_gemm_dense(g->p);
    float *arrays[] = {g->a, g->b, g->bias, got};
    size_t count[] = {(size_t)g->p.m * g->p.k, (size_t)g->p.k * g->p.n, g->p.bias ? g->p.n : 0, n};
    run_command(f, device, &command, arrays, count, 4, 3);
}

static void gemm(void **state)
{
    const fixture *f = *state;
    test_rng r = {11};
    static const uint32_t shapes[][3] = {{1, 1, 1},    {2, 3, 5},      {128, 128, 1152}, {128, 10, 128}, {10, 128, 128},
                                         {65, 33, 129}, {7, 100, 1},   {1, 200, 300},    {300, 1, 17},   {64, 32, 128}};
    for (size_t t = 0; t < sizeof shapes / sizeof *shapes; t++) {
        for (uint32_t variant = 0; variant < 16; variant++) {
            gemm_case g = {.p = {.m = shapes[t][0], .n = shapes[t][1], .k = shapes[t][2], .trans_a = variant & 1,
                                 .trans_b = variant >> 1 & 1, .add = variant >> 2 & 1, .bias = variant >> 3 & 1}};
            uint32_t m = g.p.m, n = g.p.n, k = g.p.k;
            g.a = fill_factors(&r, (size_t)m * k);
            g.b = fill_factors(&r, (size_t)k * n);
            g.bias = fill(&r, n, 0);
            g.c = fill(&r, (size_t)m * n, 0);
            sum *expected = calloc((size_t)m * n, sizeof *expected);
            assert_non_null(expected);
            for (uint32_t i = 0; i < m; i++)
                for (uint32_t j = 0; j < n; j++) {
                    sum *s = &expected[(size_t)i * n + j];
                    for (uint32_t l = 0; l < k; l++)
                        add_product(s, g.p.trans_a ? g.a[(size_t)l * m + i] : g.a[(size_t)i * k + l],
                                    g.p.trans_b ? g.b[(size_t)j * k + l] : g.b[(size_t)l * n + j]);
                    if (g.p.bias)
                        add_term(s, g.bias[j]);
                    if (g.p.add)
                        add_term(s, g.c[(size_t)i * n + j]);
                }
            char name[96];
            snprintf(name, sizeof name, "gemm(m=%u,n=%u,k=%u,trans=%u%u,add=%u,bias=%u)", m, n, k, g.p.trans_a, g.p.trans_b,
                     g.p.add, g.p.bias);
            compare(f, name, expected, (size_t)m * n, run_gemm, &g);
            free(g.a);
            free(g.b);
            free(g.bias);
            free(g.c);
            free(expected);
        }
    }
}

/* ---- convolution ---- */

typedef struct conv_case {
    actc_conv c;
    float *x, *w, *bias, *y; /* y: output, or the output's gradient */
    float *old;              /* backward filter with add */
} conv_case;

static size_t x_count(const actc_conv *c) { return (size_t)c->batch * c->id * c->ih * c->iw * c->ic; }
static size_t w_count(const actc_conv *c) { return (size_t)c->oc * c->kd * c->kh * c->kw * (c->ic / c->groups); }
static size_t y_count(const actc_conv *c) { return (size_t)c->batch * c->od * c->oh * c->ow * c->oc; }

static void run_conv(const fixture *f, actc_device *device, void *user, float *got)
{
    conv_case *t = user;
    const actc_conv *c = &t->c;
    actc_command command = {.type = ACTC_COMMAND_CONV, .label = "conv"};
    command.u.conv = *c;
    if (c->pass == ACTC_CONV_FORWARD) {
        float *arrays[] = {t->x, t->w, t->bias, got};
        size_t count[] = {x_count(c), w_count(c), c->bias ? c->oc : 0, y_count(c)};
        run_command(f, device, &command, arrays, count, 4, 3);
    } else if (c->pass == ACTC_CONV_BACKWARD_DATA) {
        float *arrays[] = {t->y, t->w, t->bias, got};
        size_t count[] = {y_count(c), w_count(c), c->bias ? c->ic : 0, x_count(c)};
        run_command(f, device, &command, arrays, count, 4, 3);
    } else {
        memcpy(got, t->old, w_count(c) * 4);
        float *arrays[] = {t->x, t->y, NULL, got};
        size_t count[] = {x_count(c), y_count(c), 0, w_count(c)};
        run_command(f, device, &command, arrays, count, 4, 3);
    }
}

/* Every product of a convolution, in the order (batch, oz, oy, ox, o, kz, ky, kx, i); positions outside the image left out. */
typedef void (*product_fn)(const conv_case *t, sum *s, size_t x, size_t w, size_t y);

static void conv_products(const conv_case *t, sum *s, product_fn fn)
{
    const actc_conv *c = &t->c;
    const uint32_t pixels = c->batch * c->od * c->oh * c->ow, taps = c->kd * c->kh * c->kw, own = c->ic / c->groups;
    for (uint32_t p = 0; p < pixels; p++)
        for (uint32_t o = 0; o < c->oc; o++)
            for (uint32_t k = 0; k < taps; k++) {
                int64_t iz = (int64_t)(p / c->ow / c->oh % c->od) * c->sd + (int64_t)(k / c->kw / c->kh) * c->dd - c->pd;
                int64_t iy = (int64_t)(p / c->ow % c->oh) * c->sh + (int64_t)(k / c->kw % c->kh) * c->dh - c->ph;
                int64_t ix = (int64_t)(p % c->ow) * c->sw + (int64_t)(k % c->kw) * c->dw - c->pw;
                if (iz < 0 || iy < 0 || ix < 0 || iz >= c->id || iy >= c->ih || ix >= c->iw)
                    continue;
                size_t n = p / c->ow / c->oh / c->od;
                size_t x = (((n * c->id + (size_t)iz) * c->ih + (size_t)iy) * c->iw + (size_t)ix) * c->ic;
                for (uint32_t i = 0; i < own; i++)
                    fn(t, s, x + (c->groups > 1 ? o / (c->oc / c->groups) : i), ((size_t)o * taps + k) * own + i,
                       (size_t)p * c->oc + o);
            }
}

static void forward_product(const conv_case *t, sum *s, size_t x, size_t w, size_t y)
{
    add_product(&s[y], t->x[x], t->w[w]);
}

/* Backward data adds in the order (kz,ky,kx,o). */
static void backward_data_sums(const conv_case *t, sum *s)
{
    const actc_conv *c = &t->c;
    const uint32_t taps = c->kd * c->kh * c->kw, own = c->ic / c->groups;
    for (size_t at = 0; at < x_count(c); at++) {
        size_t i = at % c->ic, pixel = at / c->ic, n = pixel / c->iw / c->ih / c->id;
        for (uint32_t k = 0; k < taps; k++) {
            int64_t qz = (int64_t)(pixel / c->iw / c->ih % c->id) + c->pd - (int64_t)(k / c->kw / c->kh) * c->dd;
            int64_t qy = (int64_t)(pixel / c->iw % c->ih) + c->ph - (int64_t)(k / c->kw % c->kh) * c->dh;
            int64_t qx = (int64_t)(pixel % c->iw) + c->pw - (int64_t)(k % c->kw) * c->dw;
            if (qz < 0 || qy < 0 || qx < 0 || qz % c->sd || qy % c->sh || qx % c->sw || qz / c->sd >= c->od ||
                qy / c->sh >= c->oh || qx / c->sw >= c->ow)
                continue;
            size_t row = (n * c->od + (size_t)(qz / c->sd)) * c->oh + (size_t)(qy / c->sh);
            size_t y = (row * c->ow + (size_t)(qx / c->sw)) * c->oc;
            for (uint32_t o = 0; o < c->oc; o++)
                if (c->groups == 1 || o / (c->oc / c->groups) == i)
                    add_product(&s[at], t->y[y + o], t->w[((size_t)o * taps + k) * own + (c->groups == 1 ? i : 0)]);
        }
    }
}

/* Backward filter: chunks of ACTC_FILTER_PIXELS output pixels, each summed by itself, then added in order. */
static sum *filter_partial;
static void filter_product(const conv_case *t, sum *s, size_t x, size_t w, size_t y)
{
    size_t chunk = y / t->c.oc / ACTC_FILTER_PIXELS;
    add_product(&filter_partial[chunk * w_count(&t->c) + w], t->x[x], t->y[y]);
    (void)s;
}

static void backward_filter_sums(const conv_case *t, sum *s)
{
    const actc_conv *c = &t->c;
    size_t chunks = (y_count(c) / c->oc + ACTC_FILTER_PIXELS - 1) / ACTC_FILTER_PIXELS, n = w_count(c);
    filter_partial = calloc(chunks * n, sizeof *filter_partial);
    assert_non_null(filter_partial);
    conv_products(t, s, filter_product);
    for (size_t w = 0; w < n; w++) {
        for (size_t j = 0; j < chunks; j++) {
            const sum *p = &filter_partial[j * n + w];
            s[w].exact += ref_canon(p->exact);
            s[w].wide += p->wide;
            s[w].scale += p->scale;
            s[w].dropped += p->dropped;
            s[w].terms += p->terms;
        }
        if (c->add) {
            float exact = ref_flush(t->old[w]) + s[w].exact;
            add_term(&s[w], t->old[w]);
            s[w].exact = exact;
        }
    }
    free(filter_partial);
}

typedef struct conv_shape {
    uint32_t batch, ic, ih, iw, oc, kh, kw, sh, sw, ph, pw, dh, dw;
    uint32_t id, kd, sd, pd, dd; /* 0, 0, ...: an image */
    bool depthwise;
} conv_shape;

static const conv_shape conv_shapes[] = {
    {3, 1, 28, 28, 16, 3, 3, 1, 1, 0, 0, 1, 1},  /* MnistNet conv1 */
    {3, 16, 26, 26, 8, 3, 3, 1, 1, 0, 0, 1, 1},  /* MnistNet conv2 */
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1},
    {2, 3, 9, 7, 5, 3, 3, 1, 1, 1, 1, 1, 1},
    {2, 3, 9, 8, 20, 3, 3, 2, 2, 1, 1, 1, 1},
    {1, 4, 5, 5, 6, 2, 2, 2, 2, 0, 0, 1, 1},     /* the last column is never read */
    {2, 7, 11, 12, 9, 3, 2, 2, 1, 1, 1, 2, 3},
    {1, 16, 14, 14, 32, 1, 1, 1, 1, 0, 0, 1, 1},
    {2, 64, 8, 8, 40, 1, 1, 2, 2, 0, 0, 1, 1},
    {1, 24, 10, 9, 33, 5, 5, 1, 1, 2, 2, 1, 1},
    {1, 8, 12, 12, 8, 3, 3, 1, 1, 2, 2, 2, 2},
    {1, 2, 6, 6, 3, 5, 5, 1, 1, 4, 4, 1, 1},     /* more padding than image on some sides */
    {2, 3, 30, 30, 17, 7, 7, 2, 2, 3, 3, 1, 1},
    {1, 5, 9, 8, 7, 3, 3, 1, 1, 1, 1, 1, 1, 6, 3, 1, 1, 1, false},     /* volumes */
    {2, 3, 7, 9, 18, 3, 2, 2, 1, 1, 0, 1, 2, 8, 3, 2, 2, 1, false},
    {1, 40, 6, 5, 36, 3, 3, 1, 1, 1, 1, 1, 1, 5, 3, 1, 2, 2, false},
    {2, 33, 11, 20, 33, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, true},  /* depthwise, one past a block */
    {1, 6, 9, 8, 12, 5, 3, 2, 1, 2, 1, 1, 2, 5, 3, 2, 1, 1, true},
    {1, 32, 6, 70, 32, 3, 3, 1, 2, 1, 1, 1, 1, 4, 2, 1, 0, 1, true},
    {2, 48, 9, 21, 48, 5, 5, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, 0, true},   /* rows of outputs in tiles, and what is left of them */
    {1, 35, 10, 25, 35, 3, 3, 1, 1, 3, 3, 3, 3, 0, 0, 0, 0, 0, true},
    {2, 20, 8, 9, 20, 7, 7, 1, 1, 3, 3, 1, 1, 0, 0, 0, 0, 0, true},
    {1, 18, 40, 33, 18, 3, 3, 3, 2, 0, 2, 1, 1, 0, 0, 0, 0, 0, true},
};

static actc_conv conv_of(const conv_shape *s)
{
    bool volume = s->id > 0;
    actc_conv c = {.batch = s->batch, .ic = s->ic, .id = 1, .ih = s->ih, .iw = s->iw, .oc = s->oc, .od = 1, .kd = 1,
                   .kh = s->kh, .kw = s->kw, .sd = 1, .sh = s->sh, .sw = s->sw, .ph = s->ph, .pw = s->pw, .dd = 1,
                   .dh = s->dh, .dw = s->dw, .groups = s->depthwise ? s->ic : 1};
    if (volume) {
        c.id = s->id;
        c.kd = s->kd;
        c.sd = s->sd;
        c.pd = s->pd;
        c.dd = s->dd;
        c.od = (c.id + 2 * c.pd - c.dd * (c.kd - 1) - 1) / c.sd + 1;
    }
    c.oh = (c.ih + 2 * c.ph - c.dh * (c.kh - 1) - 1) / c.sh + 1;
    c.ow = (c.iw + 2 * c.pw - c.dw * (c.kw - 1) - 1) / c.sw + 1;
    return c;
}

static void conv(void **state)
{
    const fixture *f = *state;
    test_rng r = {12};
    for (size_t i = 0; i < sizeof conv_shapes / sizeof *conv_shapes; i++) {
        for (int variant = 0; variant < 6; variant++) { /* forward, data, filter: plain, with bias or added to what is there */
            conv_case t = {.c = conv_of(&conv_shapes[i])};
            t.c.pass = (actc_conv_pass)(variant / 2);
            t.c.bias = variant == 1 || variant == 3;
            t.c.add = variant == 5;
            t.x = fill_factors(&r, x_count(&t.c));
            t.w = fill_factors(&r, w_count(&t.c));
            t.y = fill_factors(&r, y_count(&t.c));
            uint32_t channels = t.c.pass == ACTC_CONV_FORWARD ? t.c.oc : t.c.ic;
            t.bias = fill(&r, channels, 0);
            t.old = fill(&r, w_count(&t.c), 0);
            size_t n = variant < 2 ? y_count(&t.c) : variant < 4 ? x_count(&t.c) : w_count(&t.c);
            sum *expected = calloc(n, sizeof *expected);
            assert_non_null(expected);
            if (variant < 2)
                conv_products(&t, expected, forward_product);
            else if (variant < 4)
                backward_data_sums(&t, expected);
            else
                backward_filter_sums(&t, expected);
            if (t.c.bias)
                for (size_t k = 0; k < n; k++)
                    add_term(&expected[k], t.bias[k % channels]);
            char name[96];
            snprintf(name, sizeof name, "convolution case %zu, variant %d", i, variant);
            compare(f, name, expected, n, run_conv, &t);
            free(t.x);
            free(t.w);
            free(t.y);
            free(t.bias);
            free(t.old);
            free(expected);
        }
    }
}

/* ---- one order of additions at every position ---- */

/* Whether every tap from output coordinate `at` lies inside the image, or, backwards, every tap that leads from input
 * coordinate `at` to an output at all leads to one that exists. */
static bool inside(bool backward, uint32_t at, uint32_t k, uint32_t stride, uint32_t padding, uint32_t dilation,
                   uint32_t extent)
{
    for (uint32_t tap = 0; tap < k; tap++) {
        int64_t q = backward ? (int64_t)at + padding - (int64_t)tap * dilation
                             : (int64_t)at * stride + (int64_t)tap * dilation - padding;
        if (backward && q % stride != 0)
            continue;
        if (q < 0 || (backward ? q / stride : q) >= extent)
            return false;
    }
    return true;
}

static void check_constant(const fixture *f, actc_device *device, const conv_shape *shape, bool backward, uint32_t seed)
{
    test_rng r = {seed};
    conv_case t = {.c = conv_of(shape)};
    t.c.pass = backward ? ACTC_CONV_BACKWARD_DATA : ACTC_CONV_FORWARD;
    t.c.bias = !backward;
    size_t n_in = backward ? y_count(&t.c) : x_count(&t.c), n_out = backward ? x_count(&t.c) : y_count(&t.c);
    uint32_t c_in = backward ? t.c.oc : t.c.ic, c_out = backward ? t.c.ic : t.c.oc;
    uint32_t h = backward ? t.c.ih : t.c.oh, w = backward ? t.c.iw : t.c.ow;
    float *pixel = fill(&r, c_in, 0), *in = malloc(n_in * 4), *got = malloc(n_out * 4);
    assert_true(in && got);
    for (size_t i = 0; i < n_in; i++)
        in[i] = pixel[i % c_in];
    t.x = t.y = in;
    t.w = fill(&r, w_count(&t.c), 0);
    t.bias = fill(&r, t.c.oc, 0);
    run_conv(f, device, &t, got);
    /* Backwards, the same residue modulo the stride meets the same taps. */
    uint32_t sy = backward ? t.c.sh : 1, sx = backward ? t.c.sw : 1, compared = 0;
    uint32_t eh = backward ? t.c.oh : t.c.ih, ew = backward ? t.c.ow : t.c.iw;
    size_t first[64] = {0}; /* by residue: 1 + the first position inside */
    assert_true(sy * sx <= 64);
    for (size_t p = 0; p < (size_t)t.c.batch * h * w; p++) {
        uint32_t x = (uint32_t)(p % w), y = (uint32_t)(p / w % h);
        if (!inside(backward, y, t.c.kh, t.c.sh, t.c.ph, t.c.dh, eh) ||
            !inside(backward, x, t.c.kw, t.c.sw, t.c.pw, t.c.dw, ew))
            continue;
        size_t *reference = &first[y % sy * sx + x % sx];
        if (*reference == 0)
            *reference = p + 1;
        for (uint32_t c = 0; c < c_out; c++, compared++) {
            size_t at = p * c_out + c, from = (*reference - 1) * c_out + c;
            if (float_bits(got[at]) != float_bits(got[from]))
                fail_msg("%s of a constant image, ic %u oc %u k %ux%u stride %u: %08x at (%u,%u,%u), %08x at the first",
                         backward ? "gradient" : "convolution", t.c.ic, t.c.oc, t.c.kh, t.c.kw, t.c.sh,
                         float_bits(got[at]), y, x, c, float_bits(got[from]));
        }
    }
    assert_true(compared > 0);
    free(pixel);
    free(in);
    free(got);
    free(t.w);
    free(t.bias);
}

static void constant_images(void **state)
{
    const fixture *f = *state;
    static const conv_shape shapes[] = {
        {3, 1, 28, 28, 16, 3, 3, 1, 1, 0, 0, 1, 1},  {3, 16, 26, 26, 8, 3, 3, 1, 1, 0, 0, 1, 1},
        {2, 3, 33, 41, 20, 3, 3, 1, 1, 1, 1, 1, 1},  {2, 64, 30, 30, 64, 3, 3, 1, 1, 1, 1, 1, 1},
        {1, 100, 19, 23, 70, 1, 1, 1, 1, 0, 0, 1, 1}, {2, 256, 14, 15, 64, 1, 1, 1, 1, 0, 0, 1, 1},
        {1, 24, 40, 40, 36, 3, 3, 2, 2, 1, 1, 1, 1}, {1, 7, 41, 43, 5, 5, 5, 1, 1, 2, 2, 1, 1},
        {1, 8, 40, 40, 8, 3, 3, 1, 1, 2, 2, 2, 2},   {2, 3, 64, 64, 64, 7, 7, 2, 2, 3, 3, 1, 1},
        {1, 128, 20, 20, 128, 3, 3, 1, 1, 1, 1, 1, 1}, {128, 512, 7, 7, 16, 1, 1, 1, 1, 0, 0, 1, 1},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int backward = 0; backward < 2; backward++) {
            check_constant(f, f->fast, &shapes[i], backward, 100 + (uint32_t)i);
            if (i < 3)
                check_constant(f, f->exact[actc_cpu_isa_detect()][1], &shapes[i], backward, 100 + (uint32_t)i);
        }
}

/* Equal rows of a give equal rows of c, equal columns of b equal columns. */
static void constant_matrices(void **state)
{
    const fixture *f = *state;
    test_rng r = {13};
    static const uint32_t shapes[][3] = {{128, 128, 1152}, {128, 10, 128}, {10, 128, 128}, {128, 1152, 128}, {129, 67, 500},
                                         {1000, 48, 333},  {33, 1000, 64}, {5, 7, 4096},   {16, 16, 20000}};
    for (size_t t = 0; t < sizeof shapes / sizeof *shapes; t++)
        for (uint32_t variant = 0; variant < 16; variant++) {
            gemm_case g = {.p = {.m = shapes[t][0], .n = shapes[t][1], .k = shapes[t][2], .trans_a = variant & 1,
                                 .trans_b = variant >> 1 & 1, .bias = variant >> 2 & 1}};
            bool rows = variant >> 3;
            uint32_t m = g.p.m, n = g.p.n, k = g.p.k;
            g.a = fill(&r, (size_t)m * k, 0);
            g.b = fill(&r, (size_t)k * n, 0);
            g.bias = fill(&r, n, 0);
            g.c = calloc((size_t)m * n, 4);
            float *got = malloc((size_t)m * n * 4);
            assert_true(g.c && got);
            for (uint32_t i = 0; rows && i < m; i++)
                for (uint32_t l = 0; l < k; l++)
                    g.a[g.p.trans_a ? (size_t)l * m + i : (size_t)i * k + l] =
                        g.a[g.p.trans_a ? (size_t)l * m : (size_t)l];
            for (uint32_t j = 0; !rows && j < n; j++) {
                g.bias[j] = g.bias[0];
                for (uint32_t l = 0; l < k; l++)
                    g.b[g.p.trans_b ? (size_t)j * k + l : (size_t)l * n + j] =
                        g.b[g.p.trans_b ? (size_t)l : (size_t)l * n];
            }
            run_gemm(f, f->fast, &g, got);
            for (uint32_t i = 0; i < m; i++)
                for (uint32_t j = 0; j < n; j++) {
                    size_t at = (size_t)i * n + j, first = rows ? j : (size_t)i * n;
                    if (float_bits(got[at]) != float_bits(got[first]))
                        fail_msg("gemm m=%u n=%u k=%u trans=%u%u, equal %s: %08x at (%u,%u), %08x at the first", m, n, k,
                                 g.p.trans_a, g.p.trans_b, rows ? "rows" : "columns", float_bits(got[at]), i, j,
                                 float_bits(got[first]));
                }
            free(g.a);
            free(g.b);
            free(g.bias);
            free(g.c);
            free(got);
        }
}

/* ---- partial sums of filters ---- */

/* Chunks are runs of ACTC_FILTER_PIXELS while their sums fit; then they grow, and the workspace does not. */
static void filter_chunks(void **state)
{
    (void)state;
    static const struct {
        uint32_t ic, oc, extent, kernel, chunks;
    } cases[] = {{32, 32, 26, 3, 18},       /* 26^3 pixels, 27,648 weights: today's length */
                 {32, 32, 128, 3, 147},     /* 2048 runs by fourteen */
                 {320, 320, 32, 3, 1},      /* 2,764,800 weights: one chunk */
                 {1, 1, 200, 1, 3907},      /* 7,813 runs by two */
                 {2048, 2049, 10, 1, 1}};   /* more weights than the limit */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int add = 0; add < 2; add++) {
            uint32_t e = cases[i].extent, k = cases[i].kernel, p = k / 2;
            actc_command command = {.type = ACTC_COMMAND_CONV, .label = "filter"};
            command.u.conv = (actc_conv){
                .pass = ACTC_CONV_BACKWARD_FILTER, .batch = 1, .ic = cases[i].ic, .id = e, .ih = e, .iw = e, .oc = cases[i].oc,
                .od = e, .oh = e, .ow = e, .kd = k, .kh = k, .kw = k, .sd = 1, .sh = 1, .sw = 1, .pd = p, .ph = p, .pw = p,
                .dd = 1, .dh = 1, .dw = 1, .groups = 1, .add = add};
            actc_product product;
            actc_product_lower(&command, true, &product);
            uint64_t weights = (uint64_t)k * k * k * cases[i].ic * cases[i].oc;
            assert_int_equal(product.launches[0].copies, cases[i].chunks);
            assert_int_equal(product.count, cases[i].chunks == 1 && !add ? 1 : 2);
            assert_int_equal(product.workspace_bytes, product.count == 1 ? 0 : actc_align(4 * cases[i].chunks * weights, 256));
            assert_true(cases[i].chunks == 1 || product.workspace_bytes <= 16 << 20);
        }
}

static void too_large(void **state)
{
    const fixture *f = *state;
    char why[256] = "";
    actc_command command = {.type = ACTC_COMMAND_GEMM, .label = "large"};
    command.u.gemm = actc_gemm_dense((actc_gemm){.m = 70000, .n = 2, .k = 70000});
    assert_false(f->fast->backend->supports(f->fast, &command, why, sizeof why));
    assert_string_equal(why, "matrix product 70000x2x70000 has an operand of 4900000000 elements, at most 2147483647 can be");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm),
        cmocka_unit_test(conv),
        cmocka_unit_test(constant_images),
        cmocka_unit_test(constant_matrices),
        cmocka_unit_test(filter_chunks),
        cmocka_unit_test(too_large),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
