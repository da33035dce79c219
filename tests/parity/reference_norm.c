/* reference_norm.c: sums over rows, normalisation and softmax in float64. */
#include "reference.h"

#include <math.h>

/* A number with the error of its float32 counterpart. Operations add the error of rounding, and of reading as zero. */
typedef struct num {
    double v, e;
} num;

static num get(const reference_view *view, size_t i)
{
    return (num){view->value[i], view->error[i]};
}

static num rounded(double v, double e)
{
    return (num){v, e + REFERENCE_UNIT * (fabs(v) + e)};
}

static num add(num a, num b)
{
    return rounded(a.v + b.v, a.e + b.e);
}

static num sub(num a, num b)
{
    return rounded(a.v - b.v, a.e + b.e);
}

static num mul(num a, num b)
{
    num r = rounded(a.v * b.v, fabs(a.v) * b.e + fabs(b.v) * a.e + a.e * b.e);
    r.e += REFERENCE_TINY;
    return r;
}

static void put(reference_view *view, size_t i, num x)
{
    reference_store(view, i, x.v, x.e, 0, 0);
}

/* Sums whatever their order: each of `additions` one after the other rounds at most the sum of magnitudes. */
typedef struct total {
    double v, e, magnitude;
} total;

static void take(total *t, num x)
{
    t->v += x.v;
    t->e += x.e;
    t->magnitude += fabs(x.v) + x.e;
}

static num sum_of(const total *t, double additions)
{
    return (num){t->v, t->e + additions * REFERENCE_UNIT * t->magnitude * (1 + additions * REFERENCE_UNIT)};
}

static num normalise(num x, num mean, num inverse)
{
    return mul(sub(x, mean), inverse);
}

static num square(num x)
{
    return mul(x, x);
}

/* ---- sums over rows ---- */

void reference_reduce_partial(const void *params, reference_view *views)
{
    const struct actc_params_reduce_partial *p = params;
    const reference_view *x = &views[0], *y = &views[1], *statistics = &views[2];
    const uint32_t width = ACTC_REDUCE_WIDTH(p->op);
    const size_t columns = (size_t)p->outer * p->cols, rows_in_all = (size_t)p->outer * p->rows;
    for (size_t i = 0; i < columns * p->chunks; i++) {
        size_t c = i % p->cols, piece = i / p->cols, chunk = piece % p->chunks, outer = piece / p->chunks;
        size_t begin = chunk * ACTC_SUM_ROWS, end = begin + ACTC_SUM_ROWS < p->rows ? begin + ACTC_SUM_ROWS : p->rows;
        total first = {0}, second = {0};
        double chunk_sum = 0;
        for (size_t r = begin; r < end; r++)
            chunk_sum += x->value[(outer * p->rows + r) * p->cols + c];
        for (size_t r = begin; r < end; r++) {
            size_t row = outer * p->rows + r, at = row * p->cols + c, column = outer * p->cols + c;
            num v = get(x, at);
            switch (p->op) {
            case ACTC_REDUCE_SUM: take(&first, v); break;
            case ACTC_REDUCE_PRODUCT: take(&first, mul(v, get(y, at))); break;
            case ACTC_REDUCE_SQUARE: take(&first, square(sub(v, get(statistics, column)))); break;
            case ACTC_REDUCE_PAIR:
                take(&first, v);
                take(&second, mul(v, get(y, at)));
                break;
            case ACTC_REDUCE_MOMENTS: take(&first, v); break;
            case ACTC_REDUCE_NORM_COLUMNS:
                take(&first, v);
                take(&second, mul(v, normalise(get(y, at), get(statistics, column), get(statistics, columns + column))));
                break;
            default:
                take(&first, v);
                take(&second, mul(v, normalise(get(y, at), get(statistics, row), get(statistics, rows_in_all + row))));
                break;
            }
        }
        const double n = (double)(end - begin);
        if (p->op == ACTC_REDUCE_MOMENTS) {
            num mean = {chunk_sum / n, (sum_of(&first, n).e + 4 * REFERENCE_UNIT * first.magnitude) / n + REFERENCE_TINY};
            for (size_t r = begin; r < end; r++)
                take(&second, square(sub(get(x, (outer * p->rows + r) * p->cols + c), mean)));
        }
        size_t to = piece * width * p->cols + c;
        put(&views[3], to, sum_of(&first, n));
        if (width == 2)
            put(&views[3], to + p->cols, sum_of(&second, n));
    }
}

void reference_reduce_final(const void *params, reference_view *views)
{
    const struct actc_params_reduce_final *p = params;
    const size_t stride = (size_t)p->width * p->cols;
    for (size_t i = 0; i < p->outer * stride; i++) {
        size_t c = i % stride, outer = i / stride;
        total t = {0};
        for (size_t j = 0; j < p->chunks; j++)
            take(&t, get(&views[0], (outer * p->chunks + j) * stride + c));
        num sum = mul((num){p->scale, 0}, sum_of(&t, p->chunks));
        reference_view *to = &views[1 + c / p->cols];
        size_t at = outer * p->cols + c % p->cols;
        put(to, at, p->add ? add(get(to, at), sum) : sum);
    }
}
