/* reference_norm.c: sums over rows, normalisation and softmax in float64. */
#include "reference_num.h"

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
            case ACTC_REDUCE_OVERLAP:
            case ACTC_REDUCE_OVERLAP_SQUARES:
            case ACTC_REDUCE_OVERLAP_LABELS:
            case ACTC_REDUCE_OVERLAP_LABELS_SQUARES: {
                const bool labels = p->op >= ACTC_REDUCE_OVERLAP_LABELS;
                num w = labels ? (num){y->bits[row] == c, 0} : get(y, at);
                take(&first, mul(v, w));
                take(&second, p->op == ACTC_REDUCE_OVERLAP || p->op == ACTC_REDUCE_OVERLAP_LABELS ? add(v, w) : add(square(v), square(w)));
                break;
            }
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

/* ---- batch norm ---- */

/* 1 / sqrt(variance + epsilon): within 4 ulp, and as far off as the variance. */
static num inverse_deviation(num variance, double epsilon)
{
    double low = variance.v - variance.e > 0 ? variance.v - variance.e : 0;
    double value = 1 / sqrt(variance.v + epsilon), worst = 1 / sqrt(low + epsilon) - value;
    return (num){value, worst + 10 * REFERENCE_UNIT * (value + worst)};
}

/* The sum of x over rows, and of the squares about the mean, from moments (chunks,2,cols). */
static void moments_of(const struct actc_params_bn_stats *p, const reference_view *moments, size_t c, num *mean, num *variance)
{
    const num inverse = {p->inverse_rows, 0};
    const double additions = p->chunks / ACTC_BN_LANES + 10;
    total sums = {0}, squares = {0};
    for (size_t j = 0; j < p->chunks; j++)
        take(&sums, get(moments, j * 2 * p->cols + c));
    *mean = mul(inverse, sum_of(&sums, additions));
    for (size_t j = 0; j < p->chunks; j++) {
        size_t begin = j * ACTC_SUM_ROWS, n = p->rows - begin < ACTC_SUM_ROWS ? p->rows - begin : ACTC_SUM_ROWS;
        num s = get(moments, j * 2 * p->cols + c);
        num chunk = {s.v / (double)n, s.e / (double)n + 5 * REFERENCE_UNIT * fabs(s.v / (double)n) + REFERENCE_TINY};
        take(&squares, add(get(moments, (j * 2 + 1) * p->cols + c), mul((num){(double)n, 0}, square(sub(chunk, *mean)))));
    }
    *variance = mul(inverse, sum_of(&squares, additions));
}

void reference_bn_stats(const void *params, reference_view *views)
{
    const struct actc_params_bn_stats *p = params;
    const num rest = {p->rest, 0}, momentum = {p->momentum, 0};
    for (size_t c = 0; c < p->cols; c++) {
        num mean, variance;
        if (p->evaluate) {
            mean = get(&views[2], c);
            variance = get(&views[3], c);
        } else {
            moments_of(p, &views[0], c, &mean, &variance);
        }
        put(&views[1], c, mean);
        put(&views[1], p->cols + c, inverse_deviation(variance, p->epsilon));
        if (p->running && !p->evaluate) {
            num unbiased = mul((num){p->unbiased, 0}, variance);
            put(&views[2], c, add(mul(rest, get(&views[2], c)), mul(momentum, mean)));
            put(&views[3], c, add(mul(rest, get(&views[3], c)), mul(momentum, unbiased)));
        }
    }
}

void reference_bn_apply(const void *params, reference_view *views)
{
    const struct actc_params_bn_apply *p = params;
    for (size_t i = 0; i < p->n; i++) {
        size_t c = i % p->cols;
        num v = get(&views[0], i);
        if (p->normalise)
            v = normalise(v, get(&views[1], c), get(&views[1], p->cols + c));
        if (p->affine)
            v = add(mul(v, get(&views[2], c)), get(&views[3], c));
        if (p->residual)
            v = add(v, get(&views[4], i));
        v.e += REFERENCE_TINY;
        if (p->mask)
            reference_put_bit(&views[6], i, v.v > 0 && v.v < p->cap, fabs(v.v) <= v.e || fabs(v.v - (double)p->cap) <= v.e);
        if (p->relu)
            v.v = v.v < 0 ? 0 : v.v > p->cap ? p->cap : v.v;
        put(&views[5], i, v);
    }
}

void reference_bn_bwd(const void *params, reference_view *views)
{
    const struct actc_params_bn_bwd *p = params;
    const num inverse_rows = {p->inverse_rows, 0};
    for (size_t i = 0; i < p->n; i++) {
        size_t c = i % p->cols;
        num dy = get(&views[0], i), factor = get(&views[2], p->cols + c);
        num xhat = p->normalised || p->constant ? get(&views[1], p->constant ? 0 : i)
                                                : normalise(get(&views[1], i), get(&views[2], c), factor);
        if (p->affine)
            factor = mul(get(&views[3], c), factor);
        if (!p->constant) {
            num mean_dy = mul(get(&views[4], c), inverse_rows), mean_dy_xhat = mul(get(&views[5], c), inverse_rows);
            dy = sub(sub(dy, mean_dy), mul(xhat, mean_dy_xhat));
        }
        put(&views[6], i, mul(factor, dy));
    }
}

/* ---- along rows ---- */

/* Additions to the total of a row by a group. */
static double row_additions(uint32_t cols)
{
    return cols / ACTC_GROUP_SIZE + 10;
}

void reference_ln_fwd(const void *params, reference_view *views)
{
    const struct actc_params_ln_fwd *p = params;
    const num inverse_cols = {p->inverse_cols, 0};
    for (size_t r = 0; r < p->rows; r++) {
        total sum = {0}, squares = {0};
        for (size_t i = r * p->cols; i < (r + 1) * p->cols; i++)
            take(&sum, get(&views[0], i));
        num mean = mul(inverse_cols, sum_of(&sum, row_additions(p->cols)));
        for (size_t i = r * p->cols; i < (r + 1) * p->cols; i++)
            take(&squares, square(sub(get(&views[0], i), mean)));
        num inverse = inverse_deviation(mul(inverse_cols, sum_of(&squares, row_additions(p->cols))), p->epsilon);
        if (p->keep) {
            put(&views[4], r, mean);
            put(&views[4], p->rows + r, inverse);
        }
        for (size_t c = 0; c < p->cols; c++) {
            num v = normalise(get(&views[0], r * p->cols + c), mean, inverse);
            put(&views[3], r * p->cols + c, p->affine ? add(mul(v, get(&views[1], c)), get(&views[2], c)) : v);
        }
    }
}

void reference_ln_bwd(const void *params, reference_view *views)
{
    const struct actc_params_ln_bwd *p = params;
    const num inverse_cols = {p->inverse_cols, 0};
    for (size_t r = 0; r < p->rows; r++) {
        const num inverse = get(&views[2], p->rows + r);
        num mean_g = {0, 0}, mean_g_xhat = {0, 0};
        total sum = {0}, sum_xhat = {0};
        for (int pass = 0; pass < 2; pass++) {
            for (size_t c = 0; c < p->cols; c++) {
                size_t i = r * p->cols + c;
                num g = p->affine ? mul(get(&views[0], i), get(&views[3], c)) : get(&views[0], i);
                num xhat = p->normalised ? get(&views[1], i) : normalise(get(&views[1], i), get(&views[2], r), inverse);
                if (pass == 0) {
                    take(&sum, g);
                    take(&sum_xhat, mul(g, xhat));
                } else {
                    put(&views[4], i, mul(inverse, sub(sub(g, mean_g), mul(xhat, mean_g_xhat))));
                }
            }
            mean_g = mul(inverse_cols, sum_of(&sum, row_additions(p->cols)));
            mean_g_xhat = mul(inverse_cols, sum_of(&sum_xhat, row_additions(p->cols)));
        }
    }
}

static double softmax_additions(uint32_t cols)
{
    return cols <= ACTC_SOFTMAX_SERIAL ? cols : row_additions(cols);
}

void reference_softmax_fwd(const void *params, reference_view *views)
{
    const struct actc_params_softmax_fwd *p = params;
    for (size_t r = 0; r < p->rows; r++) {
        const size_t base = r * p->cols, seen = p->causal && r % p->causal + 1 < p->cols ? r % p->causal + 1 : p->cols;
        num largest = get(&views[0], base);
        total sum = {0};
        for (size_t c = 1; c < seen; c++)
            if (views[0].value[base + c] > largest.v)
                largest = get(&views[0], base + c);
        for (size_t c = 0; c < seen; c++)
            take(&sum, exponential(sub(get(&views[0], base + c), largest)));
        num s = sum_of(&sum, softmax_additions(p->cols));
        num logarithm = {log(s.v), s.e / (s.v - s.e) + 5 * REFERENCE_UNIT * (fabs(log(s.v)) + s.e)};
        num reciprocal = {1 / s.v, 1 / (s.v - s.e) - 1 / s.v + 5 * REFERENCE_UNIT / (s.v - s.e)};
        for (size_t c = seen; c < p->cols; c++)
            put(&views[1], base + c, (num){p->log ? -INFINITY : 0, 0});
        for (size_t c = 0; c < seen; c++) {
            num d = sub(get(&views[0], base + c), largest);
            put(&views[1], base + c, p->log ? sub(d, logarithm) : mul(exponential(d), reciprocal));
        }
    }
}

void reference_softmax_bwd(const void *params, reference_view *views)
{
    const struct actc_params_softmax_bwd *p = params;
    for (size_t r = 0; r < p->rows; r++) {
        total sum = {0};
        for (size_t i = r * p->cols; i < (r + 1) * p->cols; i++)
            take(&sum, p->log ? get(&views[0], i) : mul(get(&views[0], i), get(&views[1], i)));
        num s = sum_of(&sum, softmax_additions(p->cols));
        for (size_t i = r * p->cols; i < (r + 1) * p->cols; i++) {
            num dy = get(&views[0], i), y = get(&views[1], i);
            put(&views[2], i, p->log ? sub(dy, mul(exponential(y), s)) : mul(y, sub(dy, s)));
        }
    }
}
