/* reference_element.c: element-wise kernels and moves in float64. */
#include "reference.h"

#include <math.h>

#include "../../src/exact/binary.h"
#include "../../src/exact/unary.h"

void reference_copy_nd(const void *params, reference_view *views)
{
    const struct actc_params_copy_nd *p = params;
    const reference_view *source = &views[0];
    reference_view *target = &views[1];
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t rest = i, from = p->source_at, to = p->target_at;
        for (int k = 5; k >= 0; k--) {
            from += rest % p->size[k] * p->ss[k];
            to += rest % p->size[k] * p->ds[k];
            rest /= p->size[k];
        }
        if (p->accumulate) {
            double value = target->value[to] + source->value[from], error = target->error[to] + source->error[from];
            reference_store(target, to, value, error, 1, fabs(value) + error);
        } else {
            target->value[to] = source->value[from];
            target->error[to] = source->error[from];
            target->bits[to] = source->bits[from];
        }
    }
}

/* ---- functions of one number ---- */

/* A number, and how far the float32 result may be off. */
typedef struct approximate {
    double v, e;
} approximate;

static approximate within(double v, double roundings)
{
    return (approximate){v, roundings * REFERENCE_UNIT * fabs(v) + REFERENCE_TINY};
}

static approximate sigmoid(double x)
{
    return within(x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)), 12);
}

static approximate normal_cdf(double x)
{
    const double v = 0.5 * erfc(-x * sqrt(0.5));
    return (approximate){v, (x < -1.4 ? (18 + 2 * x * x) * v : 2.5) * REFERENCE_UNIT + REFERENCE_TINY};
}

static approximate times(double x, approximate f)
{
    return (approximate){x * f.v, fabs(x) * f.e + REFERENCE_UNIT * fabs(x) * (fabs(f.v) + f.e)};
}

static approximate function(uint32_t op, double x, double a, double b)
{
    switch (op) {
    case ACTC_UNARY_SIGMOID: return sigmoid(x);
    case ACTC_UNARY_TANH: return within(tanh(x), 12);
    case ACTC_UNARY_SILU: return times(x, sigmoid(x));
    case ACTC_UNARY_GELU: return times(x, normal_cdf(x));
    default: return (approximate){a * x + b, REFERENCE_UNIT * (2 * fabs(a * x) + fabs(b)) + REFERENCE_TINY};
    }
}

static approximate slope(uint32_t op, double saved, double a)
{
    switch (op) {
    case ACTC_UNARY_SIGMOID: return (approximate){saved * (1 - saved), 2 * REFERENCE_UNIT * fabs(saved) * (1 + fabs(saved))};
    case ACTC_UNARY_TANH: return (approximate){1 - saved * saved, 2 * REFERENCE_UNIT * (1 + saved * saved)};
    case ACTC_UNARY_SILU: {
        const approximate s = sigmoid(saved), rest = sigmoid(-saved), product = times(saved, rest);
        const double factor = 1 + product.v, error = product.e + REFERENCE_UNIT * (1 + fabs(product.v));
        return (approximate){s.v * factor, s.e * fabs(factor) + s.v * error + REFERENCE_UNIT * (s.v * fabs(factor)) + s.e * error};
    }
    case ACTC_UNARY_GELU: {
        const double density = sqrt(0.5 / acos(-1.0)) * exp(-0.5 * saved * saved);
        const approximate cdf = normal_cdf(saved);
        const approximate rest = times(saved, within(density, 8 + saved * saved));
        return (approximate){cdf.v + rest.v, cdf.e + rest.e + REFERENCE_UNIT * (cdf.v + fabs(rest.v))};
    }
    default: return (approximate){a, 0};
    }
}

/* What is read as 0 is off by less than 2^-60, and no slope or change of slope here is more than 2. */
void reference_unary(const void *params, reference_view *views)
{
    const struct actc_params_unary *p = params;
    for (size_t i = 0; i < p->n; i++) {
        const approximate y = function(p->op, views[0].value[i], p->a, p->b);
        reference_store(&views[1], i, y.v, y.e + 2 * views[0].error[i], 0, 0);
    }
}

void reference_unary_bwd(const void *params, reference_view *views)
{
    const struct actc_params_unary_bwd *p = params;
    for (size_t i = 0; i < p->n; i++) {
        const double dy = views[0].value[i];
        approximate s = p->op == ACTC_UNARY_SCALE ? slope(p->op, 0, p->a) : slope(p->op, views[1].value[i], p->a);
        if (p->op != ACTC_UNARY_SCALE)
            s.e += 2 * (1 + fabs(views[1].value[i])) * views[1].error[i];
        const approximate dx = times(dy, s);
        reference_store(&views[2], i, dx.v, dx.e + views[0].error[i] * (fabs(s.v) + s.e), 0, 0);
    }
}

/* ---- functions of two numbers ---- */

void reference_binary(const void *params, reference_view *views)
{
    const struct actc_params_binary *p = params;
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t rest = i, ia = 0, ib = 0;
        for (int k = 3; k >= 0; k--) {
            ia += rest % p->size[k] * p->sa[k];
            ib += rest % p->size[k] * p->sb[k];
            rest /= p->size[k];
        }
        const double a = views[0].value[ia], b = views[1].value[ib], ea = views[0].error[ia], eb = views[1].error[ib];
        const double factor = p->op == ACTC_BINARY_SUB ? -1 : p->op == ACTC_BINARY_AXPY ? p->alpha : 1;
        if (p->op == ACTC_BINARY_MUL)
            reference_store(&views[2], i, a * b, fabs(a) * eb + fabs(b) * ea + ea * eb, 1, fabs(a * b));
        else
            reference_store(&views[2], i, a + factor * b, ea + fabs(factor) * eb + REFERENCE_TINY, 2, fabs(a) + fabs(factor * b));
    }
}

/* ---- ReLU ---- */

static double clipped(double x, double cap)
{
    return x < REFERENCE_TINY ? 0 : x < cap ? x : cap;
}

static bool passes(double x, double cap)
{
    return clipped(x, cap) > 0 && x < cap;
}

void reference_relu_fwd(const void *params, reference_view *views)
{
    const struct actc_params_relu_fwd *p = params;
    for (size_t i = 0; i < p->n; i++)
        reference_store(&views[1], i, clipped(views[0].value[i], p->cap), views[0].error[i], 0, 0);
}

void reference_relu_fwd_mask(const void *params, reference_view *views)
{
    const struct actc_params_relu_fwd_mask *p = params;
    const struct actc_params_relu_fwd forward = {.n = p->n, .cap = p->cap};
    reference_relu_fwd(&forward, views);
    for (size_t i = 0; i < p->n; i++) {
        views[2].error[i / 32] = REFERENCE_BITS;
        views[2].bits[i / 32] |= (uint32_t)passes(views[0].value[i], p->cap) << i % 32;
    }
}

void reference_relu_bwd_value(const void *params, reference_view *views)
{
    const struct actc_params_relu_bwd_value *p = params;
    for (size_t i = 0; i < p->n; i++) {
        const bool pass = passes(views[1].value[i], p->cap);
        reference_store(&views[2], i, pass ? views[0].value[i] : 0, pass ? views[0].error[i] : 0, 0, 0);
    }
}
