/* reference_attention.c: attention in float64.
 *
 * A weight is that of the softmax over all keys. The float32 kernels come by it in tiles, with a product for every tile behind it:
 * each is an exponential and a rounding off, and so is the difference of two maxima in its exponent.
 */
#include <math.h>
#include <stdlib.h>

#include "exact/attention.h"
#include "reference_num.h"

#define FACTOR_TINY 0x1p-50

/* As a factor of a product: below FACTOR_TINY it may be read as zero. */
static num factor_of(num x)
{
    if (fabs(x.v) - x.e < FACTOR_TINY)
        x.e += fmin(fabs(x.v) + x.e, FACTOR_TINY);
    return x;
}

static num factor(const reference_view *view, size_t i)
{
    return factor_of(get(view, i));
}

static size_t q_at(const struct actc_params_attention *p, size_t b, size_t i, size_t h)
{
    return p->q_at + (b * p->tq + i) * p->q_row + h * p->head_dim;
}

static size_t kv_at(const struct actc_params_attention *p, size_t at, size_t b, size_t j, size_t h)
{
    return at + (b * p->tk + j) * p->kv_row + h * p->head_dim;
}

static size_t row_at(const struct actc_params_attention *p, size_t b, size_t i, size_t h)
{
    return (b * p->tq + i) * p->heads + h;
}

/* The sum of products along head_dim. */
static num inner(const reference_view *a, size_t from_a, const reference_view *b, size_t from_b, size_t head_dim)
{
    total t = {0};
    for (size_t d = 0; d < head_dim; d++)
        take(&t, mul(factor(a, from_a + d), factor(b, from_b + d)));
    return sum_of(&t, (double)head_dim);
}

static bool sees(const struct actc_params_attention *p, size_t i, size_t j)
{
    return !p->causal || j <= i;
}

/* Keys, from 0, of tiles that query i sees something of. */
static size_t keys_of(const struct actc_params_attention *p, size_t i)
{
    const size_t end = (i / ACTC_ATTENTION_TILE + 1) * ACTC_ATTENTION_TILE;
    return p->causal && end < p->tk ? end : p->tk;
}

static num score(const struct actc_params_attention *p, const reference_view *views, size_t b, size_t h, size_t i, size_t j)
{
    num s = inner(&views[0], q_at(p, b, i, h), &views[1], kv_at(p, p->k_at, b, j, h), p->head_dim);
    return mul(s, (num){p->scale, 0});
}

static bool kept(const struct actc_params_attention *p, const reference_view *step, size_t b, size_t h, size_t i, size_t j)
{
    if (!p->dropout)
        return true;
    const uint32_t *s = step->bits;
    const actc_u32x4 r = actc_attention_random(p->path, (uint32_t)((p->first + b) * p->heads + h), (uint32_t)i, (uint32_t)(j / 4),
                                               (p->tk + 3) / 4, s[ACTC_STEP_STEP_LO], s[ACTC_STEP_STEP_HI], s[ACTC_STEP_SEED_LO],
                                               s[ACTC_STEP_SEED_HI]);
    const uint32_t words[] = {r.x, r.y, r.z, r.w};
    return words[j % 4] < p->threshold;
}

/* e^(score - top), as a factor. */
static num weight(num s, num top)
{
    num w = exponential(sub(s, top));
    return factor_of(w);
}

void reference_attention_fwd(const void *params, reference_view *views)
{
    const struct actc_params_attention *p = params;
    const double tiles = (double)((p->tk + ACTC_ATTENTION_TILE - 1) / ACTC_ATTENTION_TILE), additions = ACTC_ATTENTION_TILE + 2 * tiles;
    num *w = calloc(p->tk, sizeof *w); /* without it nothing is written, and nothing agrees */
    for (size_t row = 0; w && row < (size_t)p->batch * p->tq * p->heads; row++) {
        const size_t h = row % p->heads, i = row / p->heads % p->tq, b = row / p->heads / p->tq, keys = keys_of(p, i);
        num top = {-INFINITY, 0};
        double largest = 0;
        for (size_t j = 0; j < keys; j++) {
            w[j] = sees(p, i, j) ? score(p, views, b, h, i, j) : (num){-INFINITY, 0};
            top = w[j].v > top.v ? w[j] : top;
            if (sees(p, i, j))
                largest = fmax(largest, fabs(w[j].v) + w[j].e);
        }
        total sum = {0};
        for (size_t j = 0; j < keys; j++) {
            w[j] = sees(p, i, j) ? weight(w[j], top) : (num){0, 0};
            w[j].e += tiles * (10 + 2 * largest) * REFERENCE_UNIT * (w[j].v + w[j].e);
            take(&sum, w[j]);
        }
        const num l = sum_of(&sum, additions), rescale = {p->rescale, 0};
        const double least = fmax(l.v - l.e, 0.99); /* the largest score adds 1 */
        const num reciprocal = {1 / l.v, 1 / least - 1 / l.v + 5 * REFERENCE_UNIT / least};
        for (size_t d = 0; d < p->head_dim; d++) {
            total o = {0};
            for (size_t j = 0; j < keys; j++)
                take(&o, mul(kept(p, &views[2], b, h, i, j) ? w[j] : (num){0, 0}, factor(&views[1], kv_at(p, p->v_at, b, j, h) + d)));
            num value = sum_of(&o, additions);
            value.e += tiles * REFERENCE_TINY;
            put(&views[3], row * p->head_dim + d, mul(value, mul(rescale, reciprocal)));
        }
        if (p->keep) {
            const num logarithm = {log(l.v), l.e / least + 5 * REFERENCE_UNIT * (fabs(log(l.v)) + l.e)};
            put(&views[4], row, add(top, logarithm));
        }
    }
    free(w);
}

void reference_attention_delta(const void *params, reference_view *views)
{
    const struct actc_params_attention_delta *p = params;
    for (size_t i = 0; i < p->rows; i++)
        put(&views[2], i, inner(&views[0], i * p->head_dim, &views[1], i * p->head_dim, p->head_dim));
}

/* A pair's weight where it is kept, and the gradient of its score. */
static void slope(const struct actc_params_attention *p, const reference_view *views, size_t b, size_t h, size_t i, size_t j, num *w,
                  num *ds)
{
    const size_t row = row_at(p, b, i, h);
    *w = *ds = (num){0, 0};
    if (!sees(p, i, j))
        return;
    const bool keeps = kept(p, &views[5], b, h, i, j);
    *w = weight(score(p, views, b, h, i, j), get(&views[3], row));
    num g = {0, 0};
    if (keeps)
        g = mul(inner(&views[2], row * p->head_dim, &views[1], kv_at(p, p->v_at, b, j, h), p->head_dim), (num){p->rescale, 0});
    *ds = factor_of(mul(*w, sub(g, get(&views[4], row))));
    if (!keeps)
        *w = (num){0, 0};
}

void reference_attention_bwd_q(const void *params, reference_view *views)
{
    const struct actc_params_attention *p = params;
    const double additions = ACTC_ATTENTION_TILE + (double)(p->tk / ACTC_ATTENTION_TILE + 1);
    total sums[ACTC_ATTENTION_HEAD_DIM];
    for (size_t row = 0; row < (size_t)p->batch * p->tq * p->heads; row++) {
        const size_t h = row % p->heads, i = row / p->heads % p->tq, b = row / p->heads / p->tq;
        for (size_t d = 0; d < p->head_dim; d++)
            sums[d] = (total){0};
        for (size_t j = 0; j < keys_of(p, i); j++) {
            num w, ds;
            slope(p, views, b, h, i, j, &w, &ds);
            for (size_t d = 0; d < p->head_dim; d++)
                take(&sums[d], mul(ds, factor(&views[1], kv_at(p, p->k_at, b, j, h) + d)));
        }
        for (size_t d = 0; d < p->head_dim; d++)
            put(&views[6], q_at(p, b, i, h) + d, mul(sum_of(&sums[d], additions), (num){p->scale, 0}));
    }
}

void reference_attention_bwd_kv(const void *params, reference_view *views)
{
    const struct actc_params_attention *p = params;
    const double additions = ACTC_ATTENTION_TILE + (double)(p->tq / ACTC_ATTENTION_TILE + 1);
    total sums[2 * ACTC_ATTENTION_HEAD_DIM];
    for (size_t row = 0; row < (size_t)p->batch * p->tk * p->heads; row++) {
        const size_t h = row % p->heads, j = row / p->heads % p->tk, b = row / p->heads / p->tk;
        for (size_t d = 0; d < 2 * p->head_dim; d++)
            sums[d] = (total){0};
        for (size_t i = p->causal ? j / ACTC_ATTENTION_TILE * ACTC_ATTENTION_TILE : 0; i < p->tq; i++) {
            num w, ds;
            slope(p, views, b, h, i, j, &w, &ds);
            for (size_t d = 0; d < p->head_dim; d++) {
                take(&sums[2 * d], mul(ds, factor(&views[0], q_at(p, b, i, h) + d)));
                take(&sums[2 * d + 1], mul(w, factor(&views[2], row_at(p, b, i, h) * p->head_dim + d)));
            }
        }
        for (size_t d = 0; d < p->head_dim; d++) {
            put(&views[6], kv_at(p, p->k_at, b, j, h) + d, mul(sum_of(&sums[2 * d], additions), (num){p->scale, 0}));
            put(&views[6], kv_at(p, p->v_at, b, j, h) + d, mul(sum_of(&sums[2 * d + 1], additions), (num){p->rescale, 0}));
        }
    }
}
