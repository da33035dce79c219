/* reference_layers.c: ReLU, sums of two tensors, dropout, moving and pooling in float64. */
#include <string.h>

#include "exact/exact.h"
#include "reference_num.h"

/* ---- ReLU ---- */

/* min(max(x, 0), cap), with the exact error where x is beyond either for sure: so that what is equal is known to be. */
static void put_relu(reference_view *y, size_t i, num x, double cap)
{
    y->value[i] = x.v > cap ? cap : x.v > 0 ? x.v : 0;
    y->error[i] = x.v < -x.e || x.v - x.e > cap ? 0 : x.e;
}

/* Whether the gradient passes at x, and whether that is open. */
static bool passes(num x, double cap)
{
    return x.v >= REFERENCE_TINY && x.v < cap;
}

static bool pass_is_open(num x, double cap)
{
    return reference_sign_is_open(x.v, x.e) || (cap < INFINITY && reference_sign_is_open(x.v - cap, x.e) && x.e > 0);
}

void reference_relu_fwd(const void *params, reference_view *views)
{
    const struct actc_params_relu_fwd *p = params;
    for (size_t i = 0; i < p->n; i++)
        put_relu(&views[1], i, get(&views[0], i), p->cap);
}

void reference_relu_fwd_mask(const void *params, reference_view *views)
{
    const struct actc_params_relu_fwd_mask *p = params;
    for (size_t i = 0; i < p->n; i++) {
        num x = get(&views[0], i);
        put_relu(&views[1], i, x, p->cap);
        reference_put_bit(&views[2], i, passes(x, p->cap), pass_is_open(x, p->cap));
    }
}

/* dy where the gate is open; where that is not decided, perhaps dy. */
static void put_gated(reference_view *dx, size_t i, num dy, bool pass, bool open)
{
    dx->value[i] = pass ? dy.v : 0;
    dx->error[i] = reference_bound(open ? fabs(dy.v) + dy.e : pass ? dy.e : 0);
}

void reference_relu_bwd_mask(const void *params, reference_view *views)
{
    const struct actc_params_relu_bwd_mask *p = params;
    for (size_t i = 0; i < p->n; i++)
        put_gated(&views[2], i, get(&views[0], i), views[1].bits[i / 32] >> i % 32 & 1, reference_is_open(&views[1], i, 32));
}

void reference_relu_bwd_value(const void *params, reference_view *views)
{
    const struct actc_params_relu_bwd_value *p = params;
    for (size_t i = 0; i < p->n; i++) {
        num y = get(&views[1], i);
        put_gated(&views[2], i, get(&views[0], i), passes(y, p->cap), pass_is_open(y, p->cap));
    }
}

/* ---- sums ---- */

/* ---- dropout, moving ---- */

void reference_dropout(const void *params, reference_view *views)
{
    const struct actc_params_dropout *p = params;
    const uint32_t *step = views[1].bits;
    for (size_t i = 0; i < p->n; i++) {
        size_t element = i / ((size_t)p->inner * p->channels) * p->channels + i % p->channels;
        uint32_t bits = actc_random_bits((uint32_t)element, p->path, step[ACTC_STEP_STEP_LO], step[ACTC_STEP_STEP_HI],
                                         step[ACTC_STEP_SEED_LO], step[ACTC_STEP_SEED_HI]);
        num y = bits < p->threshold ? mul(get(&views[0], i), (num){p->scale, 0}) : (num){0, 0};
        views[2].value[i] = y.v;
        views[2].error[i] = reference_bound(y.e);
    }
}

void reference_spread(const void *params, reference_view *views)
{
    const struct actc_params_spread *p = params;
    for (size_t i = 0; i < p->n; i++) {
        size_t from = i / ((size_t)p->inner * p->channels) * p->channels + i % p->channels;
        put(&views[1], i, mul(get(&views[0], from), (num){p->scale, 0}));
    }
}

void reference_transpose(const void *params, reference_view *views)
{
    const struct actc_params_transpose *p = params;
    for (size_t i = 0; i < p->n; i++) {
        size_t c = i % p->cols, r = i / p->cols % p->rows, batch = i / p->cols / p->rows;
        reference_move(&views[0], i, &views[1], (batch * p->cols + c) * p->rows + r);
    }
}

/* ---- pooling ---- */

typedef struct actc_params_max_pool_fwd pool; /* of the backward pass, too */

/* Where place k of the window of output position o (over all images) lies in x, without channels; -1 where outside. */
static int64_t position(const pool *p, size_t o, uint32_t k)
{
    const uint32_t in[3] = {p->id, p->ih, p->iw}, out[3] = {p->od, p->oh, p->ow}, kernel[3] = {p->kd, p->kh, p->kw},
                   stride[3] = {p->sd, p->sh, p->sw}, padding[3] = {p->pd, p->ph, p->pw};
    int64_t at = 0, step = 1;
    for (int a = 2; a >= 0; a--) {
        int64_t i = (int64_t)(o % out[a]) * stride[a] + k % kernel[a] - padding[a];
        if (i < 0 || i >= in[a])
            return -1;
        at += i * step;
        step *= in[a];
        o /= out[a];
        k /= kernel[a];
    }
    return at + (int64_t)o * step;
}

void reference_max_pool_fwd(const void *params, reference_view *views)
{
    const pool *p = params;
    for (size_t i = 0; i < p->n; i++) {
        num best = {0, 0};
        double highest = -INFINITY; /* what any of them may be */
        uint32_t index = UINT32_MAX;
        bool open = false;
        for (int pass = 0; pass < 2; pass++) /* the winner, and then who else may be it */
            for (uint32_t k = 0; k < p->kd * p->kh * p->kw; k++) {
                int64_t at = position(p, i / p->channels, k);
                if (at < 0)
                    continue;
                num x = get(&views[0], (size_t)at * p->channels + i % p->channels);
                if (pass == 1) {
                    highest = x.v + x.e > highest ? x.v + x.e : highest;
                    open |= k != index && reference_sign_is_open(best.v - x.v, best.e + x.e);
                } else if (index == UINT32_MAX || x.v > best.v) {
                    best = x;
                    index = k;
                }
            }
        views[1].value[i] = best.v;
        views[1].error[i] = reference_bound(best.e > highest - best.v ? best.e : highest - best.v);
        reference_decide(&views[2], i, 4, index, open);
    }
}

/* Of the windows along an axis, the first that ends behind a position of the padded image. */
static size_t first_window(size_t at, uint32_t taps, uint32_t stride)
{
    return at < taps ? 0 : (at - taps) / stride + 1;
}

/* A window's part in the gradient of a position: all of it where its maximum lies at `place`. */
static void take_window(const reference_view *views, size_t window, size_t place, total *sum, double *additions)
{
    num dy = get(&views[0], window);
    bool open = reference_is_open(&views[1], window, 4);
    bool mine = (views[1].bits[window / 4] >> 8 * (window % 4) & 0xff) == place;
    if (open)
        dy.e += fabs(dy.v);
    if (!mine)
        dy.v = 0;
    if (mine || open) {
        take(sum, dy);
        ++*additions;
    }
}

void reference_max_pool_bwd(const void *params, reference_view *views)
{
    const struct actc_params_max_pool_bwd *p = params;
    for (size_t i = 0; i < p->n; i++) {
        const size_t c = i % p->channels, pixel = i / p->channels, px = pixel % p->iw + p->pw, py = pixel / p->iw % p->ih + p->ph,
                     pz = pixel / p->iw / p->ih % p->id + p->pd, image = pixel / p->iw / p->ih / p->id;
        total sum = {0, 0, 0};
        double additions = 0;
        for (size_t oz = first_window(pz, p->kd, p->sd); oz < p->od && oz * p->sd <= pz; oz++)
            for (size_t oy = first_window(py, p->kh, p->sh); oy < p->oh && oy * p->sh <= py; oy++)
                for (size_t ox = first_window(px, p->kw, p->sw); ox < p->ow && ox * p->sw <= px; ox++)
                    take_window(views, (((image * p->od + oz) * p->oh + oy) * p->ow + ox) * p->channels + c,
                                ((pz - oz * p->sd) * p->kh + py - oy * p->sh) * p->kw + px - ox * p->sw, &sum, &additions);
        put(&views[2], i, sum_of(&sum, additions));
    }
}

/* ---- resampling ---- */

typedef struct actc_params_bilinear_fwd bilinear;

/* What output o has of input i along an axis: a hat over the source coordinate, which float32 rounds. */
static num hat(size_t o, size_t i, double scale, bool corners, uint32_t inputs)
{
    const double last = inputs - 1.0, given = corners ? scale * (double)o : scale * ((double)o + 0.5) - 0.5;
    const double at = given < 0 ? 0 : given > last ? last : given, distance = fabs(at - (double)i);
    const double error = 4 * REFERENCE_UNIT * (fabs(given) + 1);
    if (distance >= 1 + error)
        return (num){0, 0};
    return (num){distance < 1 ? 1 - distance : 0, error};
}

void reference_bilinear_fwd(const void *params, reference_view *views)
{
    const bilinear *p = params;
    for (size_t k = 0; k < p->n; k++) {
        const size_t c = k % p->channels, ox = k / p->channels % p->ow, line = k / p->channels / p->ow, oy = line % p->oh;
        total sum = {0, 0, 0};
        for (size_t iy = 0; iy < p->ih; iy++) {
            const num y = hat(oy, iy, p->sy, p->corners, p->ih);
            for (size_t ix = 0; ix < p->iw && (y.v > 0 || y.e > 0); ix++) {
                const num x = hat(ox, ix, p->sx, p->corners, p->iw);
                if (x.v > 0 || x.e > 0)
                    take(&sum, mul(mul(y, x), get(&views[0], ((line / p->oh * p->ih + iy) * p->iw + ix) * p->channels + c)));
            }
        }
        put(&views[1], k, sum_of(&sum, 4));
    }
}

void reference_bilinear_bwd(const void *params, reference_view *views)
{
    const bilinear *p = params;
    for (size_t k = 0; k < p->n; k++) {
        const size_t c = k % p->channels, ix = k / p->channels % p->iw, line = k / p->channels / p->iw, iy = line % p->ih;
        total sum = {0, 0, 0};
        double additions = 0;
        for (size_t oy = 0; oy < p->oh; oy++) {
            const num y = hat(oy, iy, p->sy, p->corners, p->ih);
            for (size_t ox = 0; ox < p->ow && (y.v > 0 || y.e > 0); ox++) {
                const num x = hat(ox, ix, p->sx, p->corners, p->iw);
                if (x.v > 0 || x.e > 0) {
                    take(&sum, mul(mul(y, x), get(&views[0], ((line / p->ih * p->oh + oy) * p->ow + ox) * p->channels + c)));
                    additions++;
                }
            }
        }
        put(&views[1], k, sum_of(&sum, additions));
    }
}

/* The positions [first, last) along an axis that window o averages, as PyTorch defines them. */
static void averaged(const struct actc_params_avg_pool_fwd *p, int axis, size_t o, size_t *first, size_t *last)
{
    const uint32_t in[3] = {p->id, p->ih, p->iw}, out[3] = {p->od, p->oh, p->ow}, kernel[3] = {p->kd, p->kh, p->kw},
                   stride[3] = {p->sd, p->sh, p->sw}, padding[3] = {p->pd, p->ph, p->pw};
    const double size = in[axis];
    if (p->adaptive) {
        *first = (size_t)floor((double)o * size / out[axis]);
        *last = (size_t)ceil((double)(o + 1) * size / out[axis]);
        return;
    }
    const double begin = (double)o * stride[axis] - padding[axis];
    *first = (size_t)fmax(begin, 0);
    *last = (size_t)fmin(begin + kernel[axis], size);
}

/* The window of output position o (over all images): its box, and what its values count. The kernel's reciprocal is within 2 ulp. */
static num averaged_box(const struct actc_params_avg_pool_fwd *p, size_t o, size_t first[3], size_t last[3])
{
    double positions = 1;
    const size_t at[3] = {o / p->ow / p->oh % p->od, o / p->ow % p->oh, o % p->ow};
    for (int a = 0; a < 3; a++) {
        averaged(p, a, at[a], &first[a], &last[a]);
        positions *= (double)(last[a] - first[a]);
    }
    const double factor = p->scale != 0.0f ? (double)p->scale : 1 / positions;
    return (num){factor, p->scale != 0.0f ? 0 : 4 * REFERENCE_UNIT * factor};
}

void reference_avg_pool_fwd(const void *params, reference_view *views)
{
    const struct actc_params_avg_pool_fwd *p = params;
    for (size_t i = 0; i < p->n; i++) {
        const size_t c = i % p->channels, o = i / p->channels, image = o / p->ow / p->oh / p->od;
        size_t first[3], last[3];
        const num factor = averaged_box(p, o, first, last);
        total sum = {0, 0, 0};
        double additions = 0;
        for (size_t z = first[0]; z < last[0]; z++)
            for (size_t y = first[1]; y < last[1]; y++, additions++)
                for (size_t x = first[2]; x < last[2]; x++, additions++)
                    take(&sum, get(&views[0], (((image * p->id + z) * p->ih + y) * p->iw + x) * p->channels + c));
        put(&views[1], i, mul(sum_of(&sum, additions), factor));
    }
}

/* By windows: each adds its part of dy to what its positions have, so that nothing of how the kernel finds windows is in here. */
void reference_avg_pool_bwd(const void *params, reference_view *views)
{
    const struct actc_params_avg_pool_bwd *b = params;
    struct actc_params_avg_pool_fwd p;
    _Static_assert(sizeof p == sizeof *b, "the same parameters");
    memcpy(&p, b, sizeof p);
    const size_t inside = (size_t)p.id * p.ih * p.iw * p.channels, windows = (size_t)p.od * p.oh * p.ow;
    for (size_t i = 0; i < p.n; i++)
        views[1].value[i] = views[1].error[i] = 0;
    for (size_t o = 0; o < p.n / inside * windows; o++) {
        size_t first[3], last[3];
        const num factor = averaged_box(&p, o, first, last);
        for (size_t c = 0; c < p.channels; c++) {
            const num part = mul(get(&views[0], o * p.channels + c), factor);
            for (size_t z = first[0]; z < last[0]; z++)
                for (size_t y = first[1]; y < last[1]; y++)
                    for (size_t x = first[2]; x < last[2]; x++) {
                        const size_t at = o / windows * inside + ((z * p.ih + y) * p.iw + x) * p.channels + c;
                        put(&views[1], at, add(get(&views[1], at), part));
                    }
        }
    }
}
