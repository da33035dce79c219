/* operator_float64.c: one training step of a small network in float64, with a bound of the error of float32.
 *
 * Every tensor has its value and, for each element, a bound of what a float32 implementation may be away from it: what its
 * inputs' bounds become, and what its own roundings add (Higham, Accuracy and Stability, chapter 3). Where an input's bound
 * leaves open which way a ReLU or a maximum goes, both ways lie within the bound.
 */
#include "operator_net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exact/exact.h"
#include "util/util.h"

#define UNIT 0x1p-24
#define READ_AS_ZERO 0x1p-40 /* of a product: factors below 2^-50, times others of less than 2^10, are read as 0 */

static double gamma_of(double roundings)
{
    return roundings * UNIT / (1 - roundings * UNIT);
}

static bool make(net_tensor *t, size_t n)
{
    *t = (net_tensor){n, calloc(n ? n : 1, sizeof(double)), calloc(n ? n : 1, sizeof(double))};
    return t->value && t->error;
}

static void drop(net_tensor *t)
{
    free(t->value);
    free(t->error);
    *t = (net_tensor){0};
}

/* Sums of products: the value, the inputs' errors, the sum of magnitudes for the roundings. */
typedef struct sums {
    net_tensor t;
    double *size;
    size_t *terms;
} sums;

static bool make_sums(sums *s, size_t n)
{
    s->size = calloc(n ? n : 1, sizeof(double));
    s->terms = calloc(n ? n : 1, sizeof(size_t));
    return make(&s->t, n) && s->size && s->terms;
}

static void add_product(sums *s, size_t o, double a, double ea, double b, double eb)
{
    s->t.value[o] += a * b;
    s->t.error[o] += fabs(a) * eb + ea * fabs(b) + ea * eb;
    s->size[o] += (fabs(a) + ea) * (fabs(b) + eb);
    s->terms[o]++;
}

/* The finished tensor; its magnitudes are given back. Zeros beyond an image's edge may take part in a sum, so it has `extra`
 * terms more at most. */
static net_tensor finish(sums *s, size_t extra)
{
    for (size_t o = 0; o < s->t.n; o++) {
        double terms = (double)(s->terms[o] + extra + 3);
        s->t.error[o] += gamma_of(terms) * s->size[o] + terms * READ_AS_ZERO;
    }
    free(s->size);
    free(s->terms);
    return s->t;
}

static void drop_sums(sums *s)
{
    free(s->size);
    free(s->terms);
    drop(&s->t);
}

/* ---- a step ---- */

typedef struct geometry {
    int64_t c, h, w;
} geometry;

typedef struct float64_step {
    const operator_net *net;
    uint64_t seed;
    const float *const *weights, *const *biases;
    geometry shapes[NET_LAYERS + 1];
    net_tensor x[NET_LAYERS + 1]; /* inputs of the layers, and what the loss gets */
    int layers;
} float64_step;

static size_t elements(const float64_step *s, int layer)
{
    const geometry *g = &s->shapes[layer];
    return (size_t)(s->net->batch * g->c * g->h * g->w);
}

/* Goes over all products of a convolution or linear layer; each is given as x, weight, y. */
typedef void (*product_fn)(void *user, size_t x, size_t w, size_t y);

static void products(const float64_step *s, int layer, product_fn use, void *user)
{
    const net_layer *l = &s->net->layers[layer];
    geometry in = s->shapes[layer], out = s->shapes[layer + 1];
    bool conv = l->kind == NET_CONV2D;
    int64_t kh = conv ? l->kernel[0] : 1, kw = conv ? l->kernel[1] : 1, sh = conv ? l->stride[0] : 1,
            sw = conv ? l->stride[1] : 1;
    int64_t ph = conv ? l->padding[0] : 0, pw = conv ? l->padding[1] : 0, dh = conv ? l->dilation[0] : 1,
            dw = conv ? l->dilation[1] : 1;
    for (int64_t n = 0; n < s->net->batch; n++)
        for (int64_t o = 0; o < out.c; o++)
            for (int64_t oy = 0; oy < out.h; oy++)
                for (int64_t ox = 0; ox < out.w; ox++)
                    for (int64_t i = 0; i < in.c; i++)
                        for (int64_t ky = 0; ky < kh; ky++)
                            for (int64_t kx = 0; kx < kw; kx++) {
                                int64_t iy = oy * sh - ph + ky * dh, ix = ox * sw - pw + kx * dw;
                                if (iy < 0 || ix < 0 || iy >= in.h || ix >= in.w)
                                    continue;
                                use(user, (size_t)(((n * in.c + i) * in.h + iy) * in.w + ix),
                                    (size_t)(((o * in.c + i) * kh + ky) * kw + kx),
                                    (size_t)(((n * out.c + o) * out.h + oy) * out.w + ox));
                            }
}

typedef struct product_user {
    sums s;
    const net_tensor *x, *dy;
    const float *w;
} product_user;

static void forward_product(void *user, size_t x, size_t w, size_t y)
{
    product_user *u = user;
    add_product(&u->s, y, u->x->value[x], u->x->error[x], (double)u->w[w], 0);
}

static void weight_product(void *user, size_t x, size_t w, size_t y)
{
    product_user *u = user;
    add_product(&u->s, w, u->x->value[x], u->x->error[x], u->dy->value[y], u->dy->error[y]);
}

static void data_product(void *user, size_t x, size_t w, size_t y)
{
    product_user *u = user;
    add_product(&u->s, x, u->dy->value[y], u->dy->error[y], (double)u->w[w], 0);
}

static bool forward_products(float64_step *s, int layer)
{
    const net_layer *l = &s->net->layers[layer];
    product_user u = {.x = &s->x[layer], .w = s->weights[layer]};
    geometry out = s->shapes[layer + 1];
    size_t pixels = (size_t)(out.h * out.w), taps = l->kind == NET_CONV2D ? (size_t)(l->kernel[0] * l->kernel[1]) : 1;
    if (!make_sums(&u.s, elements(s, layer + 1))) {
        drop_sums(&u.s);
        return false;
    }
    products(s, layer, forward_product, &u);
    for (size_t o = 0; s->biases[layer] && o < u.s.t.n; o++) {
        double bias = (double)s->biases[layer][o / pixels % (size_t)out.c];
        u.s.t.value[o] += bias;
        u.s.size[o] += fabs(bias);
    }
    s->x[layer + 1] = finish(&u.s, taps * (size_t)s->shapes[layer].c);
    return true;
}

/* Which positions of a window may be its maximum: true for the one that is, and for those whose bounds reach it. */
typedef void (*window_fn)(void *user, size_t y, size_t x, bool is, bool may);

static void windows(const float64_step *s, int layer, window_fn use, void *user)
{
    const net_layer *l = &s->net->layers[layer];
    const net_tensor *x = &s->x[layer];
    geometry in = s->shapes[layer], out = s->shapes[layer + 1];
    for (int64_t plane = 0; plane < s->net->batch * in.c; plane++)
        for (int64_t oy = 0; oy < out.h; oy++)
            for (int64_t ox = 0; ox < out.w; ox++) {
                size_t y = (size_t)((plane * out.h + oy) * out.w + ox), best = SIZE_MAX;
                for (int pass = 0; pass < 2; pass++)
                    for (int64_t k = 0; k < l->kernel[0] * l->kernel[1]; k++) {
                        int64_t iy = oy * l->stride[0] - l->padding[0] + k / l->kernel[1];
                        int64_t ix = ox * l->stride[1] - l->padding[1] + k % l->kernel[1];
                        if (iy < 0 || ix < 0 || iy >= in.h || ix >= in.w)
                            continue;
                        size_t i = (size_t)((plane * in.h + iy) * in.w + ix);
                        if (pass == 0)
                            best = best == SIZE_MAX || x->value[i] > x->value[best] ? i : best;
                        else if (i == best || x->value[i] + x->error[i] >= x->value[best] - x->error[best])
                            use(user, y, i, i == best, true);
                    }
            }
}

typedef struct window_user {
    const net_tensor *x, *dy;
    net_tensor *out;
} window_user;

static void window_forward(void *user, size_t y, size_t x, bool is, bool may)
{
    window_user *u = user;
    (void)may;
    if (is)
        u->out->value[y] = u->x->value[x];
    if (u->x->error[x] > u->out->error[y])
        u->out->error[y] = u->x->error[x];
}

/* How many candidates a window has; 1 where the maximum is certain. */
static void window_count(void *user, size_t y, size_t x, bool is, bool may)
{
    unsigned *count = user;
    (void)x;
    (void)is;
    (void)may;
    count[y]++;
}

typedef struct window_back {
    window_user w;
    const unsigned *count;
} window_back;

static void window_backward(void *user, size_t y, size_t x, bool is, bool may)
{
    window_back *u = user;
    (void)may;
    double dy = u->w.dy->value[y], e = u->w.dy->error[y];
    if (is)
        u->w.out->value[x] += dy;
    u->w.out->error[x] += e + (u->count[y] > 1 ? fabs(dy) : 0) + gamma_of(64) * (fabs(dy) + e);
}

/* The factor of an element: the scale where it is kept, else 0. */
static double dropout_factor(const float64_step *s, int layer, size_t i)
{
    const net_layer *l = &s->net->layers[layer];
    geometry g = s->shapes[layer];
    char name[32];
    size_t pixels = (size_t)(g.h * g.w), channel = i / pixels % (size_t)g.c, sample = i / pixels / (size_t)g.c;
    size_t element = (sample * pixels + i % pixels) * (size_t)g.c + channel; /* in memory: channels last */
    if (l->kind == NET_DROPOUT2D && s->net->ndim == 3)
        element = sample * (size_t)g.c + channel;
    uint32_t bits = actc_random_bits((uint32_t)element, actc_hash(operator_net_name(layer, name, sizeof name)), 0, 0,
                                     (uint32_t)s->seed, (uint32_t)(s->seed >> 32));
    return bits < (1 - l->p) * 4294967296.0 ? 1 / (1 - l->p) : 0;
}

static bool forward_layer(float64_step *s, int layer)
{
    const net_tensor *x = &s->x[layer];
    net_tensor *y = &s->x[layer + 1];
    const net_layer *l = &s->net->layers[layer];
    if (l->kind == NET_CONV2D || l->kind == NET_LINEAR)
        return forward_products(s, layer);
    if (!make(y, elements(s, layer + 1)))
        return false;
    if (l->kind == NET_MAX_POOL2D) {
        window_user u = {.x = x, .out = y};
        windows(s, layer, window_forward, &u);
        return true;
    }
    for (size_t i = 0; i < x->n; i++) {
        double v = x->value[i], e = x->error[i], relu = v > 0 ? v : 0, factor;
        switch (l->kind) {
        case NET_RELU:
            y->value[i] = relu;
            y->error[i] = v < -e ? 0 : e;
            break;
        case NET_ADD:
            y->value[i] = v + relu;
            y->error[i] = (v < -e ? e : 2 * e) + 2 * UNIT * (fabs(v) + e) * 2;
            break;
        case NET_DROPOUT:
        case NET_DROPOUT2D:
            factor = dropout_factor(s, layer, i);
            y->value[i] = v * factor;
            y->error[i] = factor * (e + gamma_of(3) * (fabs(v) + e));
            break;
        default:
            y->value[i] = v;
            y->error[i] = e;
        }
    }
    return true;
}

/* ---- the loss ---- */

/* exp and log are the header's own, right to a few units; the bound allows 8 of each. */
static bool loss_step(const float64_step *s, const int32_t *labels, net_tensor *loss, net_tensor *dx)
{
    const net_tensor *x = &s->x[s->layers];
    size_t classes = (size_t)operator_net_classes(s->net), counted = 0;
    if (!make(loss, 1) || !make(dx, x->n))
        return false;
    for (int64_t r = 0; r < s->net->batch; r++)
        counted += labels[r] >= 0;
    double inverse = 1 / (double)counted, size = 0;
    for (int64_t r = 0; r < s->net->batch; r++) {
        const double *v = x->value + (size_t)r * classes, *e = x->error + (size_t)r * classes;
        double most = v[0], sum = 0, worst = 0;
        for (size_t c = 0; c < classes; c++) {
            most = v[c] > most ? v[c] : most;
            worst = e[c] > worst ? e[c] : worst;
        }
        double spread = 0;
        for (size_t c = 0; c < classes; c++) {
            sum += exp(v[c] - most);
            spread = most - v[c] > spread ? most - v[c] : spread;
        }
        if (labels[r] < 0)
            continue;
        for (size_t c = 0; c < classes; c++) {
            double log_p = v[c] - most - log(sum), p = exp(log_p);
            double e_log =
                e[c] + worst + gamma_of((double)classes + 16) + 8 * UNIT * (spread + fabs(log_p) + fabs(log(sum)) + 1);
            double e_p = p * expm1(e_log) + 16 * UNIT * p, hot = (int32_t)c == labels[r];
            size_t i = (size_t)r * classes + c;
            dx->value[i] = (p - hot) * inverse;
            dx->error[i] = (e_p + 8 * UNIT * (p + hot)) * inverse + READ_AS_ZERO;
            if (hot > 0) {
                loss->value[0] -= log_p * inverse;
                loss->error[0] += e_log * inverse;
                size += (fabs(log_p) + e_log) * inverse;
            }
        }
    }
    loss->error[0] += gamma_of((double)s->net->batch + 16) * size + READ_AS_ZERO;
    return true;
}

/* ---- backward ---- */

static bool backward_products(const float64_step *s, int layer, const net_tensor *dy, net_tensor *dx, operator_reference *r)
{
    product_user u = {.x = &s->x[layer], .dy = dy, .w = s->weights[layer]};
    geometry in = s->shapes[layer], out = s->shapes[layer + 1];
    const net_layer *l = &s->net->layers[layer];
    size_t taps = l->kind == NET_CONV2D ? (size_t)(l->kernel[0] * l->kernel[1]) : 1, pixels = (size_t)(out.h * out.w);
    if (!make_sums(&u.s, (size_t)(out.c * in.c) * taps)) {
        drop_sums(&u.s);
        return false;
    }
    products(s, layer, weight_product, &u);
    r->weight[layer] = finish(&u.s, (size_t)s->net->batch * pixels);
    if (s->biases[layer]) {
        sums b;
        if (!make_sums(&b, (size_t)out.c)) {
            drop_sums(&b);
            return false;
        }
        for (size_t i = 0; i < dy->n; i++)
            add_product(&b, i / pixels % (size_t)out.c, dy->value[i], dy->error[i], 1, 0);
        r->bias[layer] = finish(&b, 0);
    }
    if (layer == 0)
        return true;
    if (!make_sums(&u.s, elements(s, layer))) {
        drop_sums(&u.s);
        return false;
    }
    products(s, layer, data_product, &u);
    *dx = finish(&u.s, taps * (size_t)out.c);
    return true;
}

static bool backward_layer(const float64_step *s, int layer, const net_tensor *dy, net_tensor *dx, operator_reference *r)
{
    const net_tensor *x = &s->x[layer];
    const net_layer *l = &s->net->layers[layer];
    if (l->kind == NET_CONV2D || l->kind == NET_LINEAR)
        return backward_products(s, layer, dy, dx, r);
    if (!make(dx, elements(s, layer)))
        return false;
    if (l->kind == NET_MAX_POOL2D) {
        unsigned *count = calloc(dy->n, sizeof *count);
        if (!count)
            return false;
        windows(s, layer, window_count, count);
        window_back u = {{.x = x, .dy = dy, .out = dx}, count};
        windows(s, layer, window_backward, &u);
        free(count);
        return true;
    }
    for (size_t i = 0; i < x->n; i++) {
        double d = dy->value[i], e = dy->error[i], factor = 1, open = 0;
        if (l->kind == NET_RELU || l->kind == NET_ADD) {
            factor = x->value[i] > 0;
            open = x->error[i] > 0 && fabs(x->value[i]) <= x->error[i] ? 1 : 0; /* it may be on the other side of 0 */
        }
        if (l->kind == NET_ADD)
            factor += 1;
        if (l->kind == NET_DROPOUT || l->kind == NET_DROPOUT2D)
            factor = dropout_factor(s, layer, i);
        dx->value[i] = d * factor;
        dx->error[i] = factor * e + open * (fabs(d) + e) + gamma_of(4) * (factor + open) * (fabs(d) + e);
    }
    return true;
}

static void find_shapes(float64_step *s)
{
    const operator_net *net = s->net;
    geometry g = {net->sample[0], net->ndim == 3 ? net->sample[1] : 1, net->ndim == 3 ? net->sample[2] : 1};
    for (s->layers = 0; s->layers < NET_LAYERS && net->layers[s->layers].kind != NET_END; s->layers++) {
        const net_layer *l = &net->layers[s->layers];
        s->shapes[s->layers] = g;
        if (l->kind == NET_CONV2D || l->kind == NET_MAX_POOL2D) {
            g.h = (g.h + 2 * l->padding[0] - l->dilation[0] * (l->kernel[0] - 1) - 1) / l->stride[0] + 1;
            g.w = (g.w + 2 * l->padding[1] - l->dilation[1] * (l->kernel[1] - 1) - 1) / l->stride[1] + 1;
        }
        if (l->kind == NET_CONV2D || l->kind == NET_LINEAR)
            g.c = l->out;
        if (l->kind == NET_FLATTEN)
            g = (geometry){g.c * g.h * g.w, 1, 1};
    }
    s->shapes[s->layers] = g;
}

bool operator_float64(const operator_net *net, uint64_t seed, const float *x, const int32_t *labels,
                      const float *const *weights, const float *const *biases, operator_reference *reference)
{
    float64_step s = {.net = net, .seed = seed, .weights = weights, .biases = biases};
    net_tensor dy = {0}, dx = {0};
    find_shapes(&s);
    bool good = make(&s.x[0], elements(&s, 0));
    for (size_t i = 0; good && i < s.x[0].n; i++)
        s.x[0].value[i] = (double)x[i];
    for (int l = 0; good && l < s.layers; l++)
        good = forward_layer(&s, l);
    good = good && loss_step(&s, labels, &reference->loss, &dy);
    for (int l = s.layers - 1; good && l >= 0; l--) {
        good = backward_layer(&s, l, &dy, &dx, reference);
        drop(&dy);
        dy = dx;
        dx = (net_tensor){0};
    }
    drop(&dy);
    drop(&dx);
    for (int l = 0; l <= NET_LAYERS; l++)
        drop(&s.x[l]);
    return good;
}

void operator_reference_free(operator_reference *r)
{
    if (!r)
        return;
    drop(&r->loss);
    for (int i = 0; i < NET_LAYERS; i++) {
        drop(&r->weight[i]);
        drop(&r->bias[i]);
    }
}
