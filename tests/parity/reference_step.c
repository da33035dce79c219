/* reference_step.c: losses, metrics and updates in float64. */
#include "exact/loss.h"
#include "reference_num.h"

/* 1 / x by a reciprocal within 2 ulp; x is positive, and its float32 counterpart at least `least`. */
static num inverse_of(num x, double least)
{
    double low = x.v - x.e > least ? x.v - x.e : least, off = fmax(1 / low - 1 / x.v, 1 / x.v - 1 / (x.v + x.e));
    return (num){1 / x.v, off + 5 * REFERENCE_UNIT / low};
}

static num quotient(num a, num b, double least)
{
    return mul(a, inverse_of(b, least));
}

/* ---- losses ---- */

static bool row_counts(uint32_t row, uint32_t label, uint32_t cols, uint32_t positions, const reference_view *step)
{
    return row / positions < step->bits[ACTC_STEP_ROWS] && label < cols;
}

/* What the gradient of a loss is times: 1 / (what it counts), times its weight. */
static num loss_scale(const reference_view *step, uint32_t norm, float weight)
{
    num scale = {reference_step_float(step, norm), 0};
    return weight == 1 ? scale : mul(scale, (num){weight, 0});
}

void reference_nll_loss_fwd(const void *params, reference_view *views)
{
    const struct actc_params_nll_loss_fwd *p = params;
    for (uint32_t r = 0; r < p->rows; r++) {
        uint32_t label = views[1].bits[r];
        num log_p = {0, 0};
        if (row_counts(r, label, p->cols, p->positions, &views[2]))
            log_p = get(&views[0], (size_t)r * p->cols + label);
        put(&views[3], r, (num){0 - log_p.v, log_p.e});
    }
}

void reference_nll_loss_bwd(const void *params, reference_view *views)
{
    const struct actc_params_nll_loss_bwd *p = params;
    const num scale = loss_scale(&views[1], p->norm, p->weight);
    for (size_t i = 0; i < (size_t)p->rows * p->cols; i++) {
        uint32_t r = (uint32_t)(i / p->cols), label = views[0].bits[r];
        bool at = row_counts(r, label, p->cols, p->positions, &views[1]) && i % p->cols == label;
        views[2].value[i] = at ? -scale.v : 0;
        views[2].error[i] = at ? scale.e : 0;
    }
}

void reference_cross_entropy_bwd(const void *params, reference_view *views)
{
    const struct actc_params_cross_entropy_bwd *p = params;
    const num scale = loss_scale(&views[2], p->norm, p->weight);
    for (size_t i = 0; i < (size_t)p->rows * p->cols; i++) {
        uint32_t r = (uint32_t)(i / p->cols), label = views[1].bits[r];
        num hot = {i % p->cols == label, 0}, g = {0, 0};
        if (row_counts(r, label, p->cols, p->positions, &views[2]))
            g = mul(sub(exponential(get(&views[0], i)), hot), scale);
        put(&views[3], i, g);
    }
}

void reference_loss_reduce(const void *params, reference_view *views)
{
    const struct actc_params_loss_reduce *p = params;
    total sum = {0, 0, 0};
    for (size_t r = 0; r < p->rows; r++)
        take(&sum, get(&views[0], r));
    num loss = sum_of(&sum, p->rows / ACTC_GROUP_SIZE + 10);
    if (p->mean)
        loss = mul(loss, (num){reference_step_float(&views[1], p->norm), 0});
    put(&views[2], ACTC_RESULT_VALUES + p->slot, loss);
    num all = p->weight == 1 ? loss : mul(loss, (num){p->weight, 0});
    if (!p->first)
        all = add(get(&views[2], ACTC_RESULT_LOSS), all);
    put(&views[2], ACTC_RESULT_LOSS, all);
    if (!isfinite(all.v))
        views[2].bits[ACTC_RESULT_BAD] = 1;
}

/* As kernels compare it. */
static double flushed(double v)
{
    return fabs(v) < REFERENCE_TINY ? 0 : v;
}

void reference_count_correct(const void *params, reference_view *views)
{
    const struct actc_params_count_correct *p = params;
    const reference_view *scores = &views[0];
    for (uint32_t r = 0; r < p->rows; r++) {
        const size_t base = (size_t)r * p->cols;
        uint32_t best = 0, label = views[1].bits[r];
        bool open = false;
        if (!row_counts(r, label, p->cols, p->positions, &views[2]))
            continue;
        for (uint32_t c = 1; c < p->cols; c++)
            if (flushed(scores->value[base + c]) > flushed(scores->value[base + best]))
                best = c;
        for (uint32_t c = 0; c < p->cols; c++)
            open |= c != best && reference_sign_is_open(scores->value[base + best] - scores->value[base + c],
                                                        scores->error[base + best] + scores->error[base + c]);
        views[3].bits[r / ACTC_GROUP_SIZE] += best == label;
        if (open)
            views[3].error[r / ACTC_GROUP_SIZE] = INFINITY;
    }
}

void reference_count_reduce(const void *params, reference_view *views)
{
    const struct actc_params_count_reduce *p = params;
    const size_t slot = ACTC_RESULT_VALUES + p->slot;
    views[1].bits[slot] = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        views[1].bits[slot] += views[0].bits[i];
        if (views[0].error[i] == INFINITY)
            views[1].error[slot] = INFINITY;
    }
}

/* x - target of an element that counts, else 0. */
static num distance(const reference_view *views, size_t i, uint32_t sample)
{
    num none = {0, 0};
    return i / sample < views[2].bits[ACTC_STEP_ROWS] ? sub(get(&views[0], i), get(&views[1], i)) : none;
}

void reference_distance_loss_fwd(const void *params, reference_view *views)
{
    const struct actc_params_distance_loss_fwd *p = params;
    for (size_t g = 0; g * ACTC_GROUP_ELEMENTS < p->n; g++) {
        total sum = {0, 0, 0};
        for (size_t i = g * ACTC_GROUP_ELEMENTS; i < p->n && i < (g + 1) * ACTC_GROUP_ELEMENTS; i++) {
            num d = distance(views, i, p->per_sample);
            take(&sum, p->op == ACTC_DISTANCE_L1 ? (num){fabs(d.v), d.e} : mul(d, d));
        }
        put(&views[3], g, sum_of(&sum, ACTC_GROUP_ELEMENTS / ACTC_GROUP_SIZE + 8));
    }
}

void reference_distance_loss_bwd(const void *params, reference_view *views)
{
    const struct actc_params_distance_loss_bwd *p = params;
    const num scale = loss_scale(&views[2], p->norm, p->weight);
    for (size_t i = 0; i < p->n; i++) {
        num d = distance(views, i, p->per_sample);
        if (p->op == ACTC_DISTANCE_L1) /* the sign of a difference of two floats is never rounded away */
            d = (num){(d.v > 0) - (d.v < 0), fabs(d.v) <= d.e && views[0].error[i] + views[1].error[i] > 0 ? 2 : 0};
        else
            d = add(d, d);
        put(&views[3], i, mul(d, scale));
    }
}

void reference_dice_loss_fwd(const void *params, reference_view *views)
{
    const struct actc_params_dice_loss_fwd *p = params;
    const size_t n = (size_t)p->outer * p->cols;
    for (size_t i = 0; i < n; i++) {
        num one = {1, 0}, loss = {0, 0}, inverse = {0, 0}, part = {0, 0};
        num smooth_nr = {p->smooth_nr, 0}, smooth_dr = {p->smooth_dr, 0};
        if (i / p->cols < views[2].bits[ACTC_STEP_ROWS] && i % p->cols >= p->first) {
            num overlap = get(&views[0], i), size = add(get(&views[1], i), smooth_dr);
            inverse = size.v > 0 ? inverse_of(size, 0.5 * p->smooth_dr) : (num){NAN, 0};
            part = mul(add(add(overlap, overlap), smooth_nr), inverse);
            loss = sub(one, part);
        }
        put(&views[3], i, loss);
        if (p->keep) {
            put(&views[4], i, part);
            put(&views[4], n + i, inverse);
        }
    }
}

void reference_dice_loss_bwd(const void *params, reference_view *views)
{
    const struct actc_params_dice_loss_bwd *p = params;
    const num scale = loss_scale(&views[3], p->norm, p->weight);
    for (size_t i = 0; i < p->n; i++) {
        size_t row = i / p->cols, c = i % p->cols, column = row / p->rows * p->cols + c;
        num x = get(&views[0], i), t = p->labels ? (num){views[1].bits[row] == c, 0} : get(&views[1], i);
        num part = get(&views[2], column), inverse = get(&views[2], (size_t)p->outer * p->cols + column), none = {0, 0};
        if (p->squares)
            part = mul(part, add(x, x));
        num slope = mul(sub(part, add(t, t)), mul(inverse, scale));
        put(&views[4], i, inverse.v == 0 ? none : slope); /* of a class that does not count */
    }
}

/* ---- updates ---- */

void reference_finite_check(const void *params, reference_view *views)
{
    const struct actc_params_finite_check *p = params;
    uint32_t *bad = &views[1].bits[ACTC_RESULT_BAD];
    for (uint32_t i = 0; i < p->n; i++) {
        if (isfinite(views[0].value[i]))
            continue;
        if (*bad == 0 || p->first + i + 2 < *bad)
            *bad = p->first + i + 2;
        return;
    }
}

void reference_state_commit(const void *params, reference_view *views)
{
    const struct actc_params_state_commit *p = params;
    const bool good = views[2].bits[ACTC_RESULT_BAD] == 0;
    for (size_t i = 0; i < p->n; i++)
        reference_move(&views[good ? 0 : 1], i, &views[good ? 1 : 0], i);
}

static num step_num(const reference_view *step, uint32_t word)
{
    return (num){reference_step_float(step, word), 0};
}

void reference_sgd(const void *params, reference_view *views)
{
    const struct actc_params_sgd *p = params;
    const num momentum = {p->momentum, 0}, decay = {p->weight_decay, 0};
    if (views[4].bits[ACTC_RESULT_BAD])
        return;
    for (size_t i = 0; i < p->n; i++) {
        num w = get(&views[0], i), g = mul(get(&views[1], i), step_num(&views[3], ACTC_STEP_GRAD_SCALE));
        g = add(g, mul(decay, w));
        if (momentum.v > 0) {
            if (!views[3].bits[ACTC_STEP_FIRST])
                g = add(mul(momentum, get(&views[2], i)), g);
            put(&views[2], i, g);
        }
        put(&views[0], i, sub(w, mul(step_num(&views[3], ACTC_STEP_STEP_SIZE), g)));
    }
}

/* Within 1 ulp, and as far off as x. */
static num square_root(num x)
{
    double value = sqrt(x.v > 0 ? x.v : 0), low = sqrt(x.v > x.e ? x.v - x.e : 0), high = sqrt(x.v + x.e);
    double off = high - value > value - low ? high - value : value - low;
    return (num){value, off + 3 * REFERENCE_UNIT * (value + off)};
}

void reference_adam(const void *params, reference_view *views)
{
    const struct actc_params_adam *p = params;
    const reference_view *step = &views[4];
    const num beta1_rest = {p->beta1_rest, 0}, beta2 = {p->beta2, 0}, beta2_rest = {p->beta2_rest, 0}, epsilon = {p->epsilon, 0},
              l2 = {p->l2, 0};
    if (views[5].bits[ACTC_RESULT_BAD])
        return;
    for (size_t i = 0; i < p->n; i++) {
        num w = mul(get(&views[0], i), step_num(step, ACTC_STEP_SHRINK)), m = get(&views[2], i), v = get(&views[3], i);
        num g = add(mul(get(&views[1], i), step_num(step, ACTC_STEP_GRAD_SCALE)), mul(l2, w));
        m = add(m, mul(beta1_rest, sub(g, m)));
        v = add(mul(beta2, v), mul(beta2_rest, mul(g, g)));
        num d = add(mul(square_root(v), step_num(step, ACTC_STEP_ROOT)), epsilon);
        put(&views[0], i, sub(w, mul(step_num(step, ACTC_STEP_STEP_SIZE), quotient(m, d, 0.5 * epsilon.v))));
        put(&views[2], i, m);
        put(&views[3], i, v);
    }
}
