/* test_norm_kernels.c: the CPU's sums over rows, normalisation and softmax against scalar forms (kernel_check.h). */
#include "kernel_check.h"

#include "exact/norm.h"

static float *floats(size_t n)
{
    float *x = calloc(n ? n : 1, sizeof *x);
    assert_non_null(x);
    return x;
}

static const char *const op_names[] = {"sum", "product", "square", "pair", "moments", "norm_columns", "norm_rows",
                                       "overlap", "overlap_squares", "overlap_labels", "overlap_labels_squares"};

/* Columns of one vector, less, and more than one block; rows of less than a chunk, of several. */
static const uint32_t shapes[][3] = {{1, 1, 1},   {1, 64, 16}, {1, 65, 17}, {1, 1000, 8}, {1, 127, 10}, {1, 200, 700},
                                     {1, 3, 257}, {1, 4096, 1}, {3, 65, 14}, {2, 129, 31}, {1, 193, 128}, {1, 70, 81}};

static void reduce(uint32_t op, uint32_t outer, uint32_t rows, uint32_t cols, test_rng *r)
{
    const uint32_t chunks = (rows + 63) / 64, width = op < ACTC_REDUCE_PAIR ? 1 : 2, columns = outer * cols;
    const size_t n = (size_t)columns * rows;
    const bool by_row = op == ACTC_REDUCE_NORM_ROWS, by_column = op == ACTC_REDUCE_NORM_COLUMNS;
    const size_t statistics = by_row ? 2 * outer * rows : by_column ? 2 * columns : op == ACTC_REDUCE_SQUARE ? columns : 0;
    const bool labelled = op >= ACTC_REDUCE_OVERLAP_LABELS, overlap = op >= ACTC_REDUCE_OVERLAP;
    const bool squares = op == ACTC_REDUCE_OVERLAP_SQUARES || op == ACTC_REDUCE_OVERLAP_LABELS_SQUARES;
    const bool with_y = op == ACTC_REDUCE_PRODUCT || op == ACTC_REDUCE_PAIR || by_row || by_column || (overlap && !labelled);
    float *x = fill(r, n, op % 2 ? 10 : 0), *y = fill(r, n, 10), *s = fill(r, statistics, 10);
    float *partial = floats((size_t)columns * chunks * width);
    uint32_t *labels = calloc((size_t)outer * rows, sizeof *labels);
    assert_non_null(labels);
    for (uint32_t i = 0; i < outer * rows; i++)
        labels[i] = rng_next(r) % 8 ? rng_next(r) % cols : UINT32_MAX - i % 2;
    for (uint32_t i = 0; i < columns * chunks; i++) {
        uint32_t c = i % cols, j = i / cols % chunks, o = i / cols / chunks;
        uint32_t count = rows - 64 * j < 64 ? rows - 64 * j : 64;
        float first = 0, second = 0;
        for (uint32_t k = 0; k < count; k++) {
            uint32_t row = o * rows + 64 * j + k;
            float v = ref_flush(x[(size_t)row * cols + c]), w = with_y ? ref_flush(y[(size_t)row * cols + c]) : 0;
            if (by_row)
                w = ref_flush((w - ref_flush(s[row])) * ref_flush(s[outer * rows + row]));
            if (by_column)
                w = ref_flush((w - ref_flush(s[o * cols + c])) * ref_flush(s[columns + o * cols + c]));
            if (labelled)
                w = labels[row] == c ? 1.0f : 0.0f;
            if (overlap) {
                first += ref_flush(v * w);
                second += squares ? ref_flush(v * v) + ref_flush(w * w) : v + w;
                continue;
            }
            float d = op == ACTC_REDUCE_SQUARE ? ref_factor(v - ref_flush(s[o * cols + c])) : 0;
            first += op == ACTC_REDUCE_SQUARE ? d * d : op == ACTC_REDUCE_PRODUCT ? ref_flush(v * w) : v;
            second += ref_flush(v * w);
        }
        if (op == ACTC_REDUCE_MOMENTS) {
            float mean = actc_chunk_mean(first, count);
            second = 0;
            for (uint32_t k = 0; k < count; k++) {
                float d = ref_factor(ref_flush(x[(size_t)(o * rows + 64 * j + k) * cols + c]) - mean);
                second += d * d;
            }
        }
        partial[(size_t)(i / cols) * width * cols + c] = ref_canon(first);
        if (width == 2)
            partial[(size_t)(i / cols) * width * cols + cols + c] = ref_canon(second);
    }
    struct actc_params_reduce_partial p = {invocation_groups((uint64_t)columns * chunks), op, outer, rows, cols, chunks};
    CHECK(reduce_partial, p, p.groups, IN(x, n),
          IN(labelled ? (const void *)labels : y, labelled ? outer * rows : with_y ? n : 0), IN(s, statistics),
          OUT(partial, (size_t)columns * chunks * width));
    free(x);
    free(y);
    free(s);
    free(partial);
    free(labels);
}

static void reduce_partial(void **state)
{
    (void)state;
    test_rng r = {6};
    for (size_t t = 0; t < sizeof shapes / sizeof *shapes; t++)
        for (uint32_t op = 0; op < ACTC_REDUCE_OPS; op++) {
            print_message("%s of %u x %u x %u\n", op_names[op], shapes[t][0], shapes[t][1], shapes[t][2]);
            reduce(op, shapes[t][0], shapes[t][1], shapes[t][2], &r);
        }
}

static void reduce_final(void **state)
{
    (void)state;
    test_rng r = {7};
    for (size_t t = 0; t < sizeof shapes / sizeof *shapes; t++) {
        const uint32_t outer = shapes[t][0], chunks = shapes[t][1], cols = shapes[t][2], width = 1 + t % 2;
        const uint32_t sums = outer * cols, stride = width * cols;
        const float scale = t % 3 ? 1.0f / (float)chunks : 1.0f;
        float *partial = fill(&r, (size_t)outer * chunks * stride, 2);
        float *old[2] = {fill(&r, sums, 20), fill(&r, sums, 20)}, *set[2] = {floats(sums), floats(sums)};
        float *added[2] = {floats(sums), floats(sums)};
        for (uint32_t i = 0; i < outer * stride; i++) {
            uint32_t o = i / stride, c = i % stride, w = c / cols, at = o * cols + c % cols;
            float s = 0;
            for (uint32_t j = 0; j < chunks; j++)
                s += ref_flush(partial[(size_t)(o * chunks + j) * stride + c]);
            set[w][at] = ref_canon(scale * s);
            added[w][at] = ref_canon(ref_flush(old[w][at]) + scale * s);
        }
        struct actc_params_reduce_final p = {invocation_groups(outer * stride), outer, chunks, width, cols, 0, scale};
        const size_t seconds = width == 2 ? sums : 0;
        CHECK(reduce_final, p, p.groups, IN(partial, (size_t)outer * chunks * stride), INOUT(old[0], set[0], sums),
              INOUT(old[1], set[1], seconds));
        p.add = 1;
        CHECK(reduce_final, p, p.groups, IN(partial, (size_t)outer * chunks * stride), INOUT(old[0], added[0], sums),
              INOUT(old[1], added[1], seconds));
        free(partial);
        for (int w = 0; w < 2; w++) {
            free(old[w]);
            free(set[w]);
            free(added[w]);
        }
    }
}

static const uint32_t bn_shapes[][2] = {{2, 1},    {64, 16},  {73, 14},  {1025, 3}, {5, 257},
                                        {33, 128}, {2, 600},  {3, 2048}, {2, 3001}, {4500, 9}};

/* The total of ACTC_BN_LANES lanes. */
static float lanes_total(const float *terms, uint32_t count)
{
    float a[32] = {0};
    for (uint32_t j = 0; j < count; j++)
        a[j % 32] += terms[j];
    for (uint32_t h = 16; h > 0; h /= 2)
        for (uint32_t l = 0; l < h; l++)
            a[l] += a[l + h];
    return a[0];
}

static void bn_stats(void **state)
{
    (void)state;
    test_rng r = {8};
    for (size_t t = 0; t < sizeof bn_shapes / sizeof *bn_shapes; t++) {
        const uint32_t rows = bn_shapes[t][0], cols = bn_shapes[t][1], chunks = (rows + 63) / 64;
        const uint32_t groups = (cols + ACTC_BN_COLUMNS - 1) / ACTC_BN_COLUMNS;
        float *moments = fill(&r, (size_t)chunks * 2 * cols, 2), *mean = fill(&r, cols, 2), *variance = fill(&r, cols, 2);
        float *statistics = floats(2 * cols), *new_mean = floats(cols), *new_variance = floats(cols);
        float *terms = floats(chunks), *evaluated = floats(2 * cols);
        for (size_t i = 0; i < (size_t)chunks * 2 * cols; i++)
            moments[i] = fabsf(moments[i]);
        struct actc_params_bn_stats p = {groups, chunks, rows, cols, 0,    1, 1.0f / (float)rows,
                                         1e-5f,  0.1f,   0.9f, (float)rows / (float)(rows - 1)};
        for (uint32_t c = 0; c < cols; c++) {
            variance[c] = fabsf(variance[c]);
            for (uint32_t j = 0; j < chunks; j++)
                terms[j] = ref_flush(moments[(size_t)j * 2 * cols + c]);
            float m = ref_flush(p.inverse_rows * lanes_total(terms, chunks));
            for (uint32_t j = 0; j < chunks; j++) {
                uint32_t n = rows - 64 * j < 64 ? rows - 64 * j : 64;
                float d = ref_factor(actc_chunk_mean(terms[j], n) - m);
                terms[j] = ref_flush(moments[((size_t)j * 2 + 1) * cols + c]) + (float)n * (d * d);
            }
            float v = ref_flush(p.inverse_rows * lanes_total(terms, chunks));
            statistics[c] = ref_canon(m);
            statistics[cols + c] = ref_canon(actc_inverse_deviation(v, p.epsilon));
            if (v < 1e30f && fabs(statistics[cols + c] * sqrt((double)v + (double)p.epsilon) - 1) > 3e-7)
                fail_msg("column %u: 1 / sqrt(%g + %g) is not %.9g", c, (double)v, (double)p.epsilon, (double)statistics[cols + c]);
            new_mean[c] = ref_canon(p.rest * ref_flush(mean[c]) + p.momentum * m);
            new_variance[c] = ref_canon(p.rest * ref_flush(variance[c]) + p.momentum * ref_flush(p.unbiased * v));
            evaluated[c] = ref_canon(mean[c]);
            evaluated[cols + c] = ref_canon(actc_inverse_deviation(ref_flush(variance[c]), p.epsilon));
        }
        CHECK(bn_stats, p, groups, IN(moments, (size_t)chunks * 2 * cols), OUT(statistics, 2 * cols), INOUT(mean, new_mean, cols),
              INOUT(variance, new_variance, cols));
        p.running = 0;
        CHECK(bn_stats, p, groups, IN(moments, (size_t)chunks * 2 * cols), OUT(statistics, 2 * cols), IN(mean, 0), IN(variance, 0));
        p.running = p.evaluate = 1;
        CHECK(bn_stats, p, groups, IN(moments, 0), OUT(evaluated, 2 * cols), IN(mean, cols), IN(variance, cols));
        float *all[] = {moments, mean, variance, statistics, new_mean, new_variance, terms, evaluated};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            free(all[i]);
    }
}

/* The parts one after the other, each of which stores a canonical result. */
static void bn_apply(void **state)
{
    (void)state;
    test_rng r = {9};
    static const float caps[] = {INFINITY, 6.0f, 0.5f};
    for (uint32_t t = 0; t < 32 * sizeof bn_shapes / sizeof *bn_shapes; t++) {
        const uint32_t rows = bn_shapes[t / 32][0], cols = bn_shapes[t / 32][1], n = rows * cols, words_n = (n + 31) / 32;
        const uint32_t normalise = t & 1, affine = t >> 1 & 1, residual = t >> 2 & 1, relu = t >> 3 & 1, mask = t >> 4 & relu;
        const float cap = caps[t % 3];
        if (t >> 4 & 1 && !relu)
            continue;
        float *x = fill(&r, n, 10), *s = fill(&r, 2 * cols, 5), *gamma = fill(&r, cols, 5), *beta = fill(&r, cols, 5);
        float *other = fill(&r, n, 10), *y = floats(n);
        uint32_t *bits = calloc(words_n, 4);
        assert_non_null(bits);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t c = i % cols;
            float v = ref_canon(x[i]);
            if (normalise)
                v = ref_canon((v - ref_flush(s[c])) * ref_flush(s[cols + c]));
            if (affine)
                v = ref_canon(v * ref_flush(gamma[c]) + ref_flush(beta[c]));
            if (residual)
                v = ref_canon(v + ref_flush(other[i]));
            if (mask && (isnan(v) || (v > 0 && (v < cap || isinf(cap)))))
                bits[i / 32] |= 1u << i % 32;
            if (relu && !isnan(v))
                v = v < 0 ? 0 : v > cap ? cap : v;
            y[i] = v;
        }
        struct actc_params_bn_apply p = {element_groups(n), n, cols, normalise, affine, residual, relu, mask, cap};
        CHECK(bn_apply, p, p.groups, IN(x, n), IN(s, normalise ? 2 * cols : 0), IN(gamma, affine ? cols : 0),
              IN(beta, affine ? cols : 0), IN(other, residual ? n : 0), OUT(y, n), OUT(bits, mask ? words_n : 0));
        float *all[] = {x, s, gamma, beta, other, y};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            free(all[i]);
        free(bits);
    }
}

static void bn_bwd(void **state)
{
    (void)state;
    test_rng r = {10};
    for (uint32_t t = 0; t < 8 * sizeof bn_shapes / sizeof *bn_shapes; t++) {
        const uint32_t rows = bn_shapes[t / 8][0], cols = bn_shapes[t / 8][1], n = rows * cols;
        const uint32_t normalised = t & 1, affine = t >> 1 & 1, constant = t >> 2 & 1;
        float *dy = fill(&r, n, 5), *x = fill(&r, n, 5), *s = fill(&r, 2 * cols, 5), *gamma = fill(&r, cols, 5);
        float *sum_dy = fill(&r, cols, 5), *sum_dy_xhat = fill(&r, cols, 5), *dx = floats(n);
        struct actc_params_bn_bwd p = {element_groups(n), n, cols, normalised, affine, constant, 1.0f / (float)rows};
        for (uint32_t i = 0; i < n; i++) {
            uint32_t c = i % cols;
            float inverse = ref_flush(s[cols + c]), factor = affine ? ref_flush(ref_flush(gamma[c]) * inverse) : inverse;
            float xhat = normalised ? ref_flush(x[i]) : ref_flush((ref_flush(x[i]) - ref_flush(s[c])) * inverse);
            float a = ref_flush(ref_flush(sum_dy[c]) * p.inverse_rows), b = ref_flush(ref_flush(sum_dy_xhat[c]) * p.inverse_rows);
            dx[i] = ref_canon(factor * (constant ? ref_flush(dy[i]) : ref_flush(dy[i]) - a - xhat * b));
        }
        CHECK(bn_bwd, p, p.groups, IN(dy, n), IN(x, constant ? 0 : n), IN(s, 2 * cols), IN(gamma, affine ? cols : 0),
              IN(sum_dy, constant ? 0 : cols), IN(sum_dy_xhat, constant ? 0 : cols), OUT(dx, n));
        float *all[] = {dy, x, s, gamma, sum_dy, sum_dy_xhat, dx};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            free(all[i]);
    }
}

/* The total of a row by 256 lanes. */
static float row_total(const float *terms, uint32_t count)
{
    float a[256] = {0};
    for (uint32_t j = 0; j < count; j++)
        a[j % 256] += terms[j];
    for (uint32_t h = 128; h > 0; h /= 2)
        for (uint32_t l = 0; l < h; l++)
            a[l] += a[l + h];
    return a[0];
}

static const uint32_t row_shapes[][2] = {{1, 1}, {130, 10}, {3, 1000}, {257, 7}, {5, 300}, {70, 64}, {9, 65}, {2, 2049}};

static void ln_fwd(void **state)
{
    (void)state;
    test_rng r = {11};
    for (uint32_t t = 0; t < 4 * sizeof row_shapes / sizeof *row_shapes; t++) {
        const uint32_t rows = row_shapes[t / 4][0], cols = row_shapes[t / 4][1], affine = t & 1, keep = t >> 1 & 1;
        const size_t n = (size_t)rows * cols;
        float *x = fill(&r, n, t % 3), *gamma = fill(&r, cols, 2), *beta = fill(&r, cols, 2), *y = floats(n);
        float *s = floats(2 * rows), *terms = floats(cols);
        struct actc_params_ln_fwd p = {rows, rows, cols, affine, keep, 1.0f / (float)cols, 1e-5f};
        for (uint32_t i = 0; i < rows; i++) {
            const float *in = x + (size_t)i * cols;
            for (uint32_t c = 0; c < cols; c++)
                terms[c] = ref_flush(in[c]);
            float mean = ref_flush(p.inverse_cols * row_total(terms, cols));
            for (uint32_t c = 0; c < cols; c++) {
                float d = ref_factor(ref_flush(in[c]) - mean);
                terms[c] = d * d;
            }
            float inverse = actc_inverse_deviation(ref_flush(p.inverse_cols * row_total(terms, cols)), p.epsilon);
            s[i] = ref_canon(mean);
            s[rows + i] = ref_canon(inverse);
            for (uint32_t c = 0; c < cols; c++) {
                float v = ref_flush((ref_flush(in[c]) - mean) * inverse);
                y[(size_t)i * cols + c] = ref_canon(affine ? v * ref_flush(gamma[c]) + ref_flush(beta[c]) : v);
            }
        }
        CHECK(ln_fwd, p, rows, IN(x, n), IN(gamma, affine ? cols : 0), IN(beta, affine ? cols : 0), OUT(y, n),
              OUT(s, keep ? 2 * rows : 0));
        float *all[] = {x, gamma, beta, y, s, terms};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            free(all[i]);
    }
}

static void ln_bwd(void **state)
{
    (void)state;
    test_rng r = {12};
    for (uint32_t t = 0; t < 4 * sizeof row_shapes / sizeof *row_shapes; t++) {
        const uint32_t rows = row_shapes[t / 4][0], cols = row_shapes[t / 4][1], affine = t & 1, normalised = t >> 1 & 1;
        const size_t n = (size_t)rows * cols;
        float *dy = fill(&r, n, t % 3), *x = fill(&r, n, t % 2), *s = fill(&r, 2 * rows, 2), *gamma = fill(&r, cols, 2);
        float *dx = floats(n), *g = floats(cols), *xhat = floats(cols), *products = floats(cols);
        struct actc_params_ln_bwd p = {rows, rows, cols, normalised, affine, 1.0f / (float)cols};
        for (uint32_t i = 0; i < rows; i++) {
            const size_t base = (size_t)i * cols;
            const float inverse = ref_flush(s[rows + i]);
            for (uint32_t c = 0; c < cols; c++) {
                g[c] = affine ? ref_flush(ref_flush(dy[base + c]) * ref_flush(gamma[c])) : ref_flush(dy[base + c]);
                xhat[c] = normalised ? ref_flush(x[base + c]) : ref_flush((ref_flush(x[base + c]) - ref_flush(s[i])) * inverse);
                products[c] = ref_flush(g[c] * xhat[c]);
            }
            float a = ref_flush(p.inverse_cols * row_total(g, cols)), b = ref_flush(p.inverse_cols * row_total(products, cols));
            for (uint32_t c = 0; c < cols; c++)
                dx[base + c] = ref_canon(inverse * (g[c] - a - xhat[c] * b));
        }
        CHECK(ln_bwd, p, rows, IN(dy, n), IN(x, n), IN(s, 2 * rows), IN(gamma, affine ? cols : 0), OUT(dx, n));
        float *all[] = {dy, x, s, gamma, dx, g, xhat, products};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            free(all[i]);
    }
}

/* Up to 64 columns in order, more by lanes. */
static float softmax_total(const float *terms, uint32_t count)
{
    float s = 0;
    for (uint32_t c = 0; c < count; c++)
        s += terms[c];
    return count <= ACTC_SOFTMAX_SERIAL ? s : row_total(terms, count);
}

static void softmax(void **state)
{
    (void)state;
    test_rng r = {13};
    for (uint32_t t = 0; t < 4 * sizeof row_shapes / sizeof *row_shapes; t++) {
        const uint32_t rows = row_shapes[t / 4][0], cols = row_shapes[t / 4][1], log_ = t % 2, causal = t / 2 % 2 ? rows / 2 + 1 : 0;
        const size_t n = (size_t)rows * cols;
        float *x = fill(&r, n, 0), *dy = fill(&r, n, 0), *y = floats(n), *dx = floats(n), *terms = floats(cols), *in = floats(cols);
        if (rows > 2) { /* one row with NaN, one with Inf, one of zeros and subnormals */
            x[cols - 1] = NAN;
            x[cols] = INFINITY;
            for (uint32_t c = 0; c < cols; c++)
                x[2 * cols + c] = bits_float(rng_next(&r) & 0x807fffff);
        }
        for (uint32_t i = 0; i < rows; i++) {
            const float *g = dy + (size_t)i * cols;
            for (uint32_t c = 0; c < cols; c++)
                in[c] = causal && c > i % causal ? -INFINITY : x[(size_t)i * cols + c];
            float *out = y + (size_t)i * cols, m = cols <= ACTC_SOFTMAX_SERIAL ? ref_flush(in[0]) : -INFINITY;
            double exact = 0, high = -INFINITY;
            for (uint32_t c = 0; c < cols; c++) {
                m = ref_flush(in[c]) > m ? ref_flush(in[c]) : m;
                high = in[c] > high ? in[c] : high;
            }
            for (uint32_t c = 0; c < cols; c++) {
                terms[c] = actc_exp(ref_flush(in[c]) - m);
                exact += exp((double)in[c] - high);
            }
            const float s = softmax_total(terms, cols);
            for (uint32_t c = 0; c < cols; c++) {
                const double log_p = in[c] - high - log(exact);
                out[c] = ref_canon(log_ ? ref_flush(in[c]) - m - actc_log(s) : terms[c] * actc_reciprocal(s));
                if (causal && c > i % causal && (rows <= 2 || i > 1))
                    assert_true(log_ ? out[c] == -INFINITY : float_bits(out[c]) == 0);
                else if (rows <= 2 || i > 1)
                    assert_true(fabs(out[c] - (log_ ? log_p : exp(log_p))) < 1e-5);
                else if (!causal)
                    assert_int_equal(float_bits(out[c]), 0x7fc00000);
            }
            for (uint32_t c = 0; c < cols; c++)
                terms[c] = log_ ? ref_flush(g[c]) : ref_flush(ref_flush(g[c]) * ref_flush(out[c]));
            const float sum = softmax_total(terms, cols);
            for (uint32_t c = 0; c < cols; c++) {
                const float d = ref_flush(g[c]), v = ref_flush(out[c]);
                dx[(size_t)i * cols + c] = ref_canon(log_ ? d - actc_exp(v) * sum : v * (d - sum));
            }
        }
        const uint32_t groups = cols <= ACTC_SOFTMAX_SERIAL ? invocation_groups(rows) : rows;
        struct actc_params_softmax_fwd p = {groups, rows, cols, log_, causal};
        CHECK(softmax_fwd, p, groups, IN(x, n), OUT(y, n));
        CHECK(softmax_bwd, p, groups, IN(dy, n), IN(y, n), OUT(dx, n));
        float *all[] = {x, dy, y, dx, terms, in};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            free(all[i]);
    }
}

/* Runs last. */
static void every_norm_kernel_has_a_test(void **state)
{
    (void)state;
    for (int i = 0; i < ACTC_KERNEL_COUNT; i++)
        if (!kernel_checked[i] && is_norm_kernel((actc_kernel_id)i))
            fail_msg("kernel %s has no test here", kernel_names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reduce_partial),
        cmocka_unit_test(reduce_final),
        cmocka_unit_test(bn_stats),
        cmocka_unit_test(bn_apply),
        cmocka_unit_test(bn_bwd),
        cmocka_unit_test(ln_fwd),
        cmocka_unit_test(ln_bwd),
        cmocka_unit_test(softmax),
        cmocka_unit_test(every_norm_kernel_has_a_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
