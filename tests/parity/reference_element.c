/* reference_element.c: functions of one and of two numbers, and moves, in float64. */
#include "exact/binary.h"
#include "exact/unary.h"
#include "reference_num.h"

/* ---- moves ---- */

/* Where element i of a space lies between strides. */
static size_t place(uint32_t i, const uint32_t *size, const uint32_t *strides, int dims)
{
    uint32_t at = 0;
    for (int k = dims - 1; k >= 0; k--) {
        at += i % size[k] * strides[k];
        i /= size[k];
    }
    return at;
}

void reference_copy_nd(const void *params, reference_view *views)
{
    const struct actc_params_copy_nd *p = params;
    for (uint32_t i = 0; i < p->n; i++) {
        /* indices count modulo 2^32 */
        size_t from = (uint32_t)(p->source_at + place(i, p->size, p->ss, 6)), to = (uint32_t)(p->target_at + place(i, p->size, p->ds, 6));
        if (p->accumulate)
            put(&views[1], to, add(get(&views[1], to), get(&views[0], from)));
        else
            reference_move(&views[0], from, &views[1], to);
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
    case ACTC_UNARY_LEAKY_RELU: return (approximate){x > 0 ? x : a * x, 2 * REFERENCE_UNIT * fabs(a * x) + REFERENCE_TINY * (1 + fabs(a))};
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
    case ACTC_UNARY_LEAKY_RELU: return (approximate){saved >= REFERENCE_TINY ? 1 : a, 0};
    default: return (approximate){a, 0};
    }
}

/* No slope but of those that have `a` is more than 1.2, and none but the leaky ReLU's changes by more than 2 (1 + |y|) times a change of y, or 2 of x. */
static void put_function(uint32_t op, num x, double a, double b, reference_view *y, size_t i)
{
    const approximate v = function(op, x.v, a, b);
    reference_store(y, i, v.v, v.e + fmax(op >= ACTC_UNARY_SCALE ? fabs(a) : 0, 1.2) * x.e * (1 + 8 * REFERENCE_UNIT), 0, 0);
}

void reference_unary(const void *params, reference_view *views)
{
    const struct actc_params_unary *p = params;
    for (size_t i = 0; i < p->n; i++)
        put_function(p->op, get(&views[0], i), p->a, p->b, &views[1], i);
}

/* The nearest level, by the slope at x itself: the float32 kernel may take it from y. Open where the slope is as near to another. */
void reference_unary_slopes(const void *params, reference_view *views)
{
    const struct actc_params_unary_slopes *p = params;
    const double last = (1u << p->bits) - 1;
    for (size_t i = 0; i < p->n; i++) {
        const num x = get(&views[0], i);
        const double y = function(p->op, x.v, 0, 0).v;
        const bool from_y = p->op == ACTC_UNARY_SIGMOID || p->op == ACTC_UNARY_TANH;
        approximate s = slope(p->op, from_y ? y : x.v, 0);
        s.e += 2 * (1 + fabs(y)) * 1.2 * (x.e + 16 * REFERENCE_UNIT * (1 + fabs(y))) + 4 * REFERENCE_UNIT;
        const double at = s.v * p->per_one + p->zero + 0.5, error = s.e * p->per_one + 4 * REFERENCE_UNIT * (fabs(at) + 1);
        const double code = fmin(fmax(floor(at), 0), last), low = floor(at - error), high = floor(at + error);
        put_function(p->op, x, 0, 0, &views[1], i);
        reference_decide(&views[2], i, 32 / p->bits, (uint32_t)code, low != high && high > 0 && low < last);
    }
}

void reference_unary_bwd_slopes(const void *params, reference_view *views)
{
    const struct actc_params_unary_bwd_slopes *p = params;
    const uint32_t per_word = 32 / p->bits, last = (1u << p->bits) - 1;
    for (size_t i = 0; i < p->n; i++) {
        const double code = views[1].bits[i / per_word] >> i % per_word * p->bits & last;
        const num s = {(code - p->zero) * p->step, reference_is_open(&views[1], i, per_word) ? p->step : 0};
        put(&views[2], i, mul(get(&views[0], i), rounded(s.v, s.e)));
    }
}

void reference_unary_bwd(const void *params, reference_view *views)
{
    const struct actc_params_unary_bwd *p = params;
    for (size_t i = 0; i < p->n; i++) {
        const num dy = get(&views[0], i);
        approximate s = slope(p->op, 0, p->a);
        if (p->op != ACTC_UNARY_SCALE) {
            const num saved = get(&views[1], i);
            s = slope(p->op, saved.v, p->a);
            if (p->op == ACTC_UNARY_LEAKY_RELU)
                s.e = reference_sign_is_open(saved.v, saved.e) ? fabs(1 - (double)p->a) : 0;
            else
                s.e += 2 * (1 + fabs(saved.v) + saved.e) * saved.e;
        }
        put(&views[2], i, mul(dy, (num){s.v, s.e}));
    }
}

/* ---- functions of two numbers ---- */

void reference_binary(const void *params, reference_view *views)
{
    const struct actc_params_binary *p = params;
    for (uint32_t i = 0; i < p->n; i++) {
        const num a = get(&views[0], place(i, p->size, p->sa, 4)), b = get(&views[1], place(i, p->size, p->sb, 4));
        switch (p->op) {
        case ACTC_BINARY_ADD: put(&views[2], i, add(a, b)); break;
        case ACTC_BINARY_SUB: put(&views[2], i, sub(a, b)); break;
        case ACTC_BINARY_MUL: put(&views[2], i, mul(a, b)); break;
        default: put(&views[2], i, add(a, mul(b, (num){p->alpha, 0})));
        }
    }
}
