/* reference_pool.c: pooling in float64. */
#include "reference.h"

#include <math.h>
#include <string.h>

typedef struct actc_params_max_pool_fwd pool;

/* Where position k of the window of output position o (over all images) lies in x, without channels; -1 where outside. */
static int64_t position(const pool *p, uint32_t o, uint32_t k)
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
    return at + o * step;
}

static uint32_t place_of(const reference_view *index, uint32_t i)
{
    return index->bits[i / 4] >> i % 4 * 8 & 255;
}

void reference_max_pool_fwd(const void *params, reference_view *views)
{
    const pool *p = params;
    const reference_view *x = &views[0];
    reference_view *y = &views[1], *index = &views[2];
    for (uint32_t i = 0; i < p->n; i++) {
        int64_t winner = -1;
        uint32_t place = 0;
        for (uint32_t k = 0; k < p->kd * p->kh * p->kw; k++) {
            int64_t at = position(p, i / p->channels, k);
            if (at < 0)
                continue;
            at = at * p->channels + i % p->channels;
            double v = fabs(x->value[at]) < REFERENCE_TINY ? 0 : x->value[at]; /* compared as float32 kernels do */
            double best = winner < 0 ? 0 : fabs(x->value[winner]) < REFERENCE_TINY ? 0 : x->value[winner];
            if (winner < 0 || v > best || (isnan(v) && !isnan(best))) {
                winner = at;
                place = k;
            }
        }
        reference_store(y, i, x->value[winner], x->error[winner], 0, 0);
        index->error[i / 4] = REFERENCE_BITS;
        index->bits[i / 4] |= place << i % 4 * 8;
    }
}

void reference_max_pool_bwd(const void *params, reference_view *views)
{
    pool p;
    memcpy(&p, params, sizeof p);
    const reference_view *dy = &views[0], *index = &views[1];
    reference_view *dx = &views[2];
    const double windows = p.kd * p.kh * p.kw;
    const uint32_t outputs = (uint32_t)dy->words;
    for (uint32_t i = 0; i < p.n; i++)
        reference_store(dx, i, 0, 0, 0, 0);
    for (uint32_t o = 0; o < outputs; o++) {
        int64_t at = position(&p, o / p.channels, place_of(index, o));
        if (at < 0)
            continue;
        size_t i = (size_t)at * p.channels + o % p.channels;
        dx->value[i] += dy->value[o];
        /* each of at most `windows` additions rounds a sum of at most the magnitudes so far */
        dx->error[i] += dy->error[o] + windows * REFERENCE_UNIT * (1 + 1e-6) * (fabs(dy->value[o]) + dy->error[o]);
    }
}
