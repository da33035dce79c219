/* reference_product.c: gemm and convolution in float64.
 *
 * Of a sum of k products, a bias and the old value, in any order, fused or not: at most k + 3 roundings touch a term, so that
 * the error is at most gamma(k + 3) times the sum of the magnitudes (Higham, Accuracy and Stability, 3.1), and what the
 * errors of the operands make of it. A factor below 2^-50 may be read as zero, and so may the bias, the old value and the
 * result below 2^-60.
 */
#include <stdlib.h>

#include "reference_num.h"

#define FACTOR_TINY 0x1p-50

/* An output while it is summed: the sum, its error by those of the operands, the sum of the magnitudes. */
typedef struct sums {
    double value, error, magnitude;
} sums;

static void add_product(sums *s, num a, num b)
{
    const double high_a = fabs(a.v) + a.e, high_b = fabs(b.v) + b.e;
    s->value += a.v * b.v;
    s->error += high_a * high_b - fabs(a.v) * fabs(b.v);
    s->magnitude += high_a * high_b;
    if (fabs(a.v) - a.e < FACTOR_TINY)
        s->error += fmin(high_a, FACTOR_TINY) * high_b;
    else if (fabs(b.v) - b.e < FACTOR_TINY)
        s->error += fmin(high_b, FACTOR_TINY) * high_a;
}

static void add_term(sums *s, num term)
{
    s->value += term.v;
    s->error += term.e;
    s->magnitude += fabs(term.v) + term.e;
}

/* k: products that may take part, zeros beyond an edge too. */
static void put_sum(reference_view *view, size_t o, sums s, bool add, uint64_t k)
{
    if (add)
        add_term(&s, get(view, o));
    const double rounded = (double)(k + 3) * REFERENCE_UNIT, gamma = rounded / (1 - rounded);
    reference_store(view, o, s.value, s.error + gamma * s.magnitude + 2 * REFERENCE_TINY, 0, 0);
}

void reference_gemm(const actc_gemm *g, reference_view *views)
{
    const bool scaled = g->alpha < 1 || g->alpha > 1;
    for (size_t matrix = 0; matrix < g->batch; matrix++)
        for (size_t i = 0; i < g->m; i++)
            for (size_t j = 0; j < g->n; j++) {
                const size_t a = matrix * g->stride_a, b = matrix * g->stride_b;
                sums s = {0, 0, 0};
                for (size_t k = 0; k < g->k; k++)
                    add_product(&s, get(&views[0], a + (g->trans_a ? k * g->lda + i : i * g->lda + k)),
                                get(&views[1], b + (g->trans_b ? j * g->ldb + k : k * g->ldb + j)));
                s.value *= (double)g->alpha;
                s.error *= fabs((double)g->alpha);
                s.magnitude *= fabs((double)g->alpha);
                if (g->bias)
                    add_term(&s, get(&views[2], j));
                put_sum(&views[3], matrix * g->stride_c + i * g->ldc + j, s, g->add, g->k + scaled);
            }
}

/* ---- convolution ---- */

/* An axis: output o and tap k meet at input o * s + k * d - p, where that is inside. False where it is not. */
static bool meets(uint32_t o, uint32_t k, uint32_t s, uint32_t d, uint32_t p, uint32_t extent, size_t *at)
{
    const int64_t i = (int64_t)o * s + (int64_t)k * d - p;
    *at = (size_t)i;
    return i >= 0 && i < extent;
}

/* All products of an output pixel and a tap: x0 and y0 are the first of the pixels' channels, w0 the tap's weights for output 0. */
static void use_pair(const actc_conv *v, size_t x0, size_t y0, size_t w0, const reference_view *views, sums *out)
{
    const size_t own = v->ic / v->groups, length = (size_t)v->kd * v->kh * v->kw * own;
    for (size_t o = 0; o < v->oc; o++)
        for (size_t j = 0; j < own; j++) {
            const size_t w = w0 + o * length + j, y = y0 + o,
                         x = x0 + (v->groups > 1 ? o / (v->oc / v->groups) * own : 0) + j;
            if (v->pass == ACTC_CONV_FORWARD)
                add_product(&out[y], get(&views[0], x), get(&views[1], w));
            else if (v->pass == ACTC_CONV_BACKWARD_DATA)
                add_product(&out[x], get(&views[0], y), get(&views[1], w));
            else
                add_product(&out[w], get(&views[0], x), get(&views[1], y));
        }
}

/* Every pair of an output pixel and a tap inside of the image. */
static void use_pairs(const actc_conv *v, const reference_view *views, sums *out)
{
    const size_t own = v->ic / v->groups, volume = (size_t)v->od * v->oh * v->ow;
    for (size_t pixel = 0; pixel < v->batch * volume; pixel++) {
        const uint32_t ox = (uint32_t)(pixel % v->ow), oy = (uint32_t)(pixel / v->ow % v->oh),
                       oz = (uint32_t)(pixel / v->ow / v->oh % v->od);
        for (uint32_t kz = 0; kz < v->kd; kz++)
            for (uint32_t ky = 0; ky < v->kh; ky++)
                for (uint32_t kx = 0; kx < v->kw; kx++) {
                    size_t iz, iy, ix;
                    if (!meets(oz, kz, v->sd, v->dd, v->pd, v->id, &iz) || !meets(oy, ky, v->sh, v->dh, v->ph, v->ih, &iy) ||
                        !meets(ox, kx, v->sw, v->dw, v->pw, v->iw, &ix))
                        continue;
                    const size_t tap = ((size_t)kz * v->kh + ky) * v->kw + kx;
                    const size_t x = (((pixel / volume * v->id + iz) * v->ih + iy) * v->iw + ix) * v->ic;
                    use_pair(v, x, pixel * v->oc, tap * own, views, out);
                }
    }
}

bool reference_conv(const actc_conv *v, reference_view *views)
{
    const uint64_t taps = (uint64_t)v->kd * v->kh * v->kw;
    const uint64_t k = v->pass == ACTC_CONV_FORWARD         ? taps * (v->ic / v->groups)
                       : v->pass == ACTC_CONV_BACKWARD_DATA ? taps * (v->oc / v->groups)
                                                            : (uint64_t)v->batch * v->od * v->oh * v->ow;
    const size_t columns = v->pass == ACTC_CONV_BACKWARD_DATA ? v->ic : v->oc;
    sums *out = calloc(views[3].words + 1, sizeof *out);
    if (!out)
        return false;
    use_pairs(v, views, out);
    for (size_t o = 0; o < views[3].words; o++) {
        if (v->bias)
            add_term(&out[o], get(&views[2], o % columns));
        put_sum(&views[3], o, out[o], v->add, k);
    }
    free(out);
    return true;
}
