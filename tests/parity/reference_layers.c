/* reference_layers.c: ReLU, sums of two tensors, dropout, moving and pooling in float64. */
#include "exact/exact.h"
#include "reference_num.h"

/* ---- ReLU ---- */

static void put_relu(reference_view *y, size_t i, num x)
{
    y->value[i] = x.v > 0 ? x.v : 0;
    y->error[i] = x.v < -x.e ? 0 : x.e; /* so that zeros are known to be equal */
}

void reference_relu_fwd(const void *params, reference_view *views)
{
    const struct actc_params_relu_fwd *p = params;
    for (size_t i = 0; i < p->n; i++)
        put_relu(&views[1], i, get(&views[0], i));
}

void reference_relu_fwd_mask(const void *params, reference_view *views)
{
    const struct actc_params_relu_fwd_mask *p = params;
    for (size_t i = 0; i < p->n; i++) {
        num x = get(&views[0], i);
        put_relu(&views[1], i, x);
        reference_put_bit(&views[2], i, x.v >= REFERENCE_TINY, reference_sign_is_open(x.v, x.e));
    }
}

/* dy where the gate is open; where that is not decided, perhaps dy. */
static void put_gated(reference_view *dx, size_t i, num dy, bool passes, bool open)
{
    dx->value[i] = passes ? dy.v : 0;
    dx->error[i] = reference_bound(open ? fabs(dy.v) + dy.e : passes ? dy.e : 0);
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
        put_gated(&views[2], i, get(&views[0], i), y.v >= REFERENCE_TINY, reference_sign_is_open(y.v, y.e));
    }
}

/* ---- sums ---- */

void reference_add(const void *params, reference_view *views)
{
    const struct actc_params_add *p = params;
    for (size_t i = 0; i < p->n; i++)
        put(&views[2], i, add(get(&views[0], i), get(&views[1], i)));
}

void reference_accumulate(const void *params, reference_view *views)
{
    const struct actc_params_accumulate *p = params;
    for (size_t i = 0; i < p->n; i++)
        put(&views[1], i, add(get(&views[0], i), get(&views[1], i)));
}

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

void reference_max_pool2d_fwd(const void *params, reference_view *views)
{
    const struct actc_params_max_pool2d_fwd *p = params;
    for (size_t i = 0; i < p->n; i++) {
        const size_t c = i % p->channels, pixel = i / p->channels, ox = pixel % p->ow, oy = pixel / p->ow % p->oh,
                     image = pixel / p->ow / p->oh;
        num best = {0, 0};
        double highest = -INFINITY; /* what any of them may be */
        uint32_t index = UINT32_MAX;
        bool open = false;
        for (int pass = 0; pass < 2; pass++) /* the winner, and then who else may be it */
            for (uint32_t k = 0; k < p->kh * p->kw; k++) {
                size_t py = oy * p->sh + k / p->kw, px = ox * p->sw + k % p->kw; /* in the padded image */
                if (py < p->ph || px < p->pw || py - p->ph >= p->ih || px - p->pw >= p->iw)
                    continue;
                num x = get(&views[0], ((image * p->ih + py - p->ph) * p->iw + px - p->pw) * p->channels + c);
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

void reference_max_pool2d_bwd(const void *params, reference_view *views)
{
    const struct actc_params_max_pool2d_bwd *p = params;
    for (size_t i = 0; i < p->n; i++) {
        const size_t c = i % p->channels, pixel = i / p->channels, py = pixel / p->iw % p->ih + p->ph, px = pixel % p->iw + p->pw,
                     image = pixel / p->iw / p->ih;
        total sum = {0, 0, 0};
        double additions = 0;
        for (size_t oy = first_window(py, p->kh, p->sh); oy < p->oh && oy * p->sh <= py; oy++)
            for (size_t ox = first_window(px, p->kw, p->sw); ox < p->ow && ox * p->sw <= px; ox++) {
                size_t window = ((image * p->oh + oy) * p->ow + ox) * p->channels + c;
                num dy = get(&views[0], window);
                bool open = reference_is_open(&views[1], window, 4);
                bool mine = (views[1].bits[window / 4] >> 8 * (window % 4) & 0xff) == (py - oy * p->sh) * p->kw + px - ox * p->sw;
                if (open)
                    dy.e += fabs(dy.v);
                if (!mine)
                    dy.v = 0;
                if (mine || open) {
                    take(&sum, dy);
                    additions++;
                }
            }
        put(&views[2], i, sum_of(&sum, additions));
    }
}
