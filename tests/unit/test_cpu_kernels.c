/* test_cpu_kernels.c: every other kernel of the CPU backend against an obvious scalar form: the same
 * bits from every instruction set of this machine and from 1, 2 and 3 threads, with guard zones around what is written. */
#include "kernel_check.h"

/* 1, around a vector, a mask word, a group, and several groups with a remainder. */
static const uint32_t sizes[] = {1, 3, 7, 8, 9, 31, 32, 33, 63, 255, 1023, 1024, 1025, 2048, 5000, 8191};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static uint32_t *words(size_t n)
{
    uint32_t *w = calloc(n ? n : 1, 4);
    assert_non_null(w);
    return w;
}

static void relu(void **state)
{
    (void)state;
    test_rng r = {1};
    for (size_t t = 0; t < N_SIZES; t++) {
        uint32_t n = sizes[t], n_words = (n + 31) / 32;
        float *x = fill(&r, n, 80), *dy = fill(&r, n, 80);
        uint32_t *y = words(n), *mask = words(n_words), *dx = words(n);
        for (uint32_t i = 0; i < n; i++) {
            y[i] = float_bits(isnan(x[i]) ? ref_canon(x[i]) : x[i] >= 0x1p-60f ? x[i] : 0.0f);
            mask[i / 32] |= (uint32_t)(isnan(x[i]) || x[i] >= 0x1p-60f) << i % 32;
            dx[i] = isnan(x[i]) || x[i] >= 0x1p-60f ? float_bits(ref_canon(dy[i])) : 0;
        }
        struct actc_params_relu_fwd p = {element_groups(n), n};
        CHECK(relu_fwd, p, p.groups, IN(x, n), OUT(y, n));
        CHECK(relu_fwd_mask, p, p.groups, IN(x, n), OUT(y, n), OUT(mask, n_words));
        CHECK(relu_bwd_mask, p, p.groups, IN(dy, n), IN(mask, n_words), OUT(dx, n));
        CHECK(relu_bwd_value, p, p.groups, IN(dy, n), IN(x, n), OUT(dx, n)); /* a restored y may be negative, as x is */
        free(x);
        free(dy);
        free(y);
        free(mask);
        free(dx);
    }
}

static void add_accumulate(void **state)
{
    (void)state;
    test_rng r = {2};
    for (size_t t = 0; t < N_SIZES; t++) {
        uint32_t n = sizes[t];
        float *a = fill(&r, n, 80), *b = fill(&r, n, 80);
        uint32_t *c = words(n);
        for (uint32_t i = 0; i < n; i++)
            c[i] = float_bits(ref_canon(ref_flush(a[i]) + ref_flush(b[i])));
        struct actc_params_add p = {element_groups(n), n};
        CHECK(add, p, p.groups, IN(a, n), IN(b, n), OUT(c, n));
        CHECK(accumulate, p, p.groups, IN(a, n), INOUT(b, c, n));
        free(a);
        free(b);
        free(c);
    }
}

static void philox_known_answers(void **state)
{
    (void)state;
    /* From Random123's kat_vectors, philox4x32 10. */
    actc_u32x4 v = actc_philox(0, 0, 0, 0, 0, 0);
    assert_int_equal(v.x, 0x6627e8d5);
    assert_int_equal(v.y, 0xe169c58d);
    assert_int_equal(v.z, 0xbc57ac4c);
    assert_int_equal(v.w, 0x9b00dbd8);
    v = actc_philox(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0);
    assert_int_equal(v.x, 0xd16cfe09);
    assert_int_equal(v.y, 0x94fdcceb);
    assert_int_equal(v.z, 0x5001e420);
    assert_int_equal(v.w, 0x24126ea1);
}

static void dropout(void **state)
{
    (void)state;
    test_rng r = {3};
    static const struct { uint32_t n, inner, channels; } cases[] = {
        {1, 1, 1},       {3, 1, 1},       {255, 1, 1},      {256, 1, 1},    {5000, 1, 1},
        {24, 4, 3},      {2 * 49 * 8, 49, 8}, {3 * 144 * 10, 144, 10}, {2 * 6 * 700, 6, 700}, {5 * 1 * 300, 1, 1},
        {4 * 9 * 256, 9, 256},
    };
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        uint32_t n = cases[t].n, inner = cases[t].inner, channels = cases[t].channels, kept = 0;
        float *x = fill(&r, n, 40);
        uint32_t step[64] = {0}, *y = words(n);
        for (int i = 0; i < 4; i++)
            step[i] = rng_next(&r);
        struct actc_params_dropout p = {element_groups(n), n, rng_next(&r), 0xc0000000u, inner, channels, 1.0f / 0.75f};
        for (uint32_t i = 0; i < n; i++) {
            uint32_t e = i / (inner * channels) * channels + i % channels;
            uint32_t bits = actc_random_bits(e, p.path, step[ACTC_STEP_STEP_LO], step[ACTC_STEP_STEP_HI],
                                             step[ACTC_STEP_SEED_LO], step[ACTC_STEP_SEED_HI]);
            y[i] = bits < p.threshold ? float_bits(ref_canon(ref_flush(x[i]) * p.scale)) : 0;
            kept += bits < p.threshold;
        }
        if (n == 5000)
            assert_in_range(kept, 3600, 3900); /* 3750 expected, standard deviation 31 */
        CHECK(dropout, p, p.groups, IN(x, n), IN(step, 64), OUT(y, n));
        free(x);
        free(y);
    }
}

static void transpose(void **state)
{
    (void)state;
    test_rng r = {4};
    static const uint32_t cases[][3] = {{1, 1, 1}, {1, 1, 77}, {1, 77, 1}, {2, 3, 5}, {3, 32, 32}, {1, 33, 65},
                                        {5, 144, 8}, {2, 2000, 3}, {1, 3, 2000}, {128, 10, 7}};
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        uint32_t batch = cases[t][0], rows = cases[t][1], cols = cases[t][2], n = batch * rows * cols;
        uint32_t *x = words(n), *y = words(n);
        for (uint32_t i = 0; i < n; i++)
            x[i] = rng_next(&r); /* any bits: a move must keep them */
        for (uint32_t b = 0; b < batch; b++)
            for (uint32_t i = 0; i < rows; i++)
                for (uint32_t j = 0; j < cols; j++)
                    y[(b * cols + j) * rows + i] = x[(b * rows + i) * cols + j];
        struct actc_params_transpose p = {element_groups(n), n, rows, cols};
        CHECK(transpose, p, p.groups, IN(x, n), OUT(y, n));
        free(x);
        free(y);
    }
}

typedef struct pool_case {
    uint32_t batch, channels, ih, iw, kh, kw, sh, sw, ph, pw;
} pool_case;

static void max_pool(void **state)
{
    (void)state;
    test_rng r = {5};
    static const pool_case cases[] = {
        {1, 1, 1, 1, 1, 1, 1, 1, 0, 0},  {2, 8, 24, 24, 2, 2, 2, 2, 0, 0}, {1, 3, 7, 9, 3, 3, 2, 2, 1, 1},
        {2, 5, 6, 5, 3, 2, 1, 2, 1, 0},  {1, 300, 5, 5, 2, 2, 2, 2, 0, 0}, {1, 2, 33, 31, 16, 16, 3, 5, 8, 7},
        {3, 7, 4, 4, 4, 4, 4, 4, 0, 0},  {1, 1, 5, 5, 2, 2, 3, 3, 0, 0}, /* a stride over the window leaves gaps */
    };
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        const pool_case *c = &cases[t];
        uint32_t oh = (c->ih + 2 * c->ph - c->kh) / c->sh + 1, ow = (c->iw + 2 * c->pw - c->kw) / c->sw + 1;
        uint32_t n_in = c->batch * c->ih * c->iw * c->channels, n_out = c->batch * oh * ow * c->channels;
        float *x = fill(&r, n_in, 40), *dy = fill(&r, n_out, 20), *sum = calloc(n_in, sizeof *sum);
        uint32_t *y = words(n_out), *index = words((n_out + 3) / 4), *dx = words(n_in);
        assert_non_null(sum);
        /* Output pixels ascending, so that each input element adds its windows in ascending order too. */
        for (uint32_t i = 0; i < n_out; i++) {
            uint32_t ch = i % c->channels, ox = i / c->channels % ow, oy = i / c->channels / ow % oh;
            uint32_t b = i / c->channels / ow / oh, place = UINT32_MAX, at = 0;
            float best = 0;
            for (uint32_t k = 0; k < c->kh * c->kw; k++) {
                int iy = (int)(oy * c->sh + k / c->kw) - (int)c->ph, ix = (int)(ox * c->sw + k % c->kw) - (int)c->pw;
                if (iy < 0 || ix < 0 || iy >= (int)c->ih || ix >= (int)c->iw)
                    continue;
                uint32_t from = ((b * c->ih + (uint32_t)iy) * c->iw + (uint32_t)ix) * c->channels + ch;
                float v = ref_canon(x[from]);
                if (place == UINT32_MAX || v > best || (isnan(v) && !isnan(best))) {
                    best = v;
                    place = k;
                    at = from;
                }
            }
            y[i] = float_bits(best);
            ((uint8_t *)index)[i] = (uint8_t)place;
            sum[at] += ref_flush(dy[i]);
        }
        for (uint32_t i = 0; i < n_in; i++)
            dx[i] = float_bits(ref_canon(sum[i]));
        struct actc_params_max_pool2d_fwd p = {element_groups(n_out), n_out, c->channels, c->ih, c->iw, oh, ow,
                                               c->kh, c->kw, c->sh, c->sw, c->ph, c->pw};
        CHECK(max_pool2d_fwd, p, p.groups, IN(x, n_in), OUT(y, n_out), OUT(index, (n_out + 3) / 4));
        p.groups = element_groups(n_in);
        p.n = n_in;
        CHECK(max_pool2d_bwd, p, p.groups, IN(dy, n_out), IN(index, (n_out + 3) / 4), OUT(dx, n_in));
        free(x);
        free(dy);
        free(sum);
        free(y);
        free(index);
        free(dx);
    }
}

static void losses(void **state)
{
    (void)state;
    test_rng r = {8};
    static const uint32_t cases[][3] = {{1, 1, 1}, {128, 10, 128}, {300, 7, 300}, {700, 3, 650}, {1000, 10, 0}};
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        uint32_t rows = cases[t][0], cols = cases[t][1], counted = cases[t][2], correct = 0;
        size_t n = (size_t)rows * cols;
        float *y = fill(&r, n, 0), *loss = calloc(rows, 4), *d_nll = calloc(n, 4), *d_ce = calloc(n, 4);
        float *scores = fill(&r, n, 60), inv = counted ? 1.0f / (float)counted : 0.0f;
        int32_t *labels = calloc(rows, 4);
        assert_true(loss && d_nll && d_ce && labels);
        uint32_t step[64] = {0}, result[64], after[64];
        step[ACTC_STEP_ROWS] = counted;
        step[ACTC_STEP_INV_ROWS] = float_bits(inv);
        for (uint32_t i = 0; i < rows; i++) {
            /* -1 is ignored, and so must be what lies outside, or memory behind the row would be read */
            labels[i] = rng_next(&r) % 8 == 0 ? -1 : rng_next(&r) % 16 == 0 ? (int32_t)cols + 5 : (int32_t)(rng_next(&r) % cols);
            bool counts = i < counted && labels[i] >= 0 && labels[i] < (int32_t)cols;
            uint32_t best = 0;
            for (uint32_t c = 0; c < cols; c++) {
                size_t at = (size_t)i * cols + c;
                y[at] = -fabsf(y[at]) * 3;
                if (counts) {
                    bool hit = (int32_t)c == labels[i];
                    d_nll[at] = hit ? ref_canon(-inv) : 0.0f;
                    d_ce[at] = ref_canon((actc_exp(ref_flush(y[at])) - (hit ? 1.0f : 0.0f)) * inv);
                    loss[i] = hit ? ref_canon(-ref_flush(y[at])) : loss[i];
                }
                float v = ref_canon(scores[at]), high = ref_canon(scores[(size_t)i * cols + best]);
                if (v > high || (isnan(v) && !isnan(high)))
                    best = c;
            }
            correct += counts && (int32_t)best == labels[i];
        }
        struct actc_params_nll_loss_fwd p = {invocation_groups(rows), rows, cols};
        CHECK(nll_loss_fwd, p, p.groups, IN(y, n), IN(labels, rows), IN(step, 64), OUT(loss, rows));
        p.groups = element_groups(n);
        CHECK(nll_loss_bwd, p, p.groups, IN(labels, rows), IN(step, 64), OUT(d_nll, n));
        CHECK(cross_entropy_bwd, p, p.groups, IN(y, n), IN(labels, rows), IN(step, 64), OUT(d_ce, n));
        p.groups = 1;
        for (int i = 0; i < 64; i++)
            result[i] = after[i] = rng_next(&r);
        after[ACTC_RESULT_CORRECT] = correct;
        CHECK(count_correct, p, 1, IN(scores, n), IN(labels, rows), IN(step, 64), INOUT(result, after, 64));

        for (uint32_t variant = 0; variant < 3; variant++) {
            bool mean = variant != 1;
            if (variant == 2)
                loss[rows / 2] = INFINITY;
            float a[256] = {0};
            for (uint32_t i = 0; i < rows; i++)
                a[i % 256] += ref_flush(loss[i]);
            for (uint32_t s = 128; s > 0; s /= 2)
                for (uint32_t i = 0; i < s; i++)
                    a[i] += a[i + s];
            result[ACTC_RESULT_BAD] = 0;
            memcpy(after, result, sizeof after);
            after[ACTC_RESULT_LOSS] = float_bits(ref_canon(mean ? a[0] * inv : a[0]));
            after[ACTC_RESULT_BAD] = variant == 2;
            struct actc_params_loss_reduce q = {1, rows, mean};
            CHECK(loss_reduce, q, 1, IN(loss, rows), IN(step, 64), INOUT(result, after, 64));
            result[ACTC_RESULT_BAD] = 7; /* an earlier batch's gradient: stays unless the loss is bad */
            after[ACTC_RESULT_BAD] = variant == 2 ? 1 : 7;
            CHECK(loss_reduce, q, 1, IN(loss, rows), IN(step, 64), INOUT(result, after, 64));
        }
        free(y);
        free(loss);
        free(d_nll);
        free(d_ce);
        free(scores);
        free(labels);
    }
}

static void spread(void **state)
{
    (void)state;
    test_rng r = {14};
    static const uint32_t cases[][3] = {{1, 1, 1}, {3, 7, 5}, {2, 49, 64}, {5, 16, 257}, {130, 9, 3}};
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        uint32_t samples = cases[t][0], inner = cases[t][1], channels = cases[t][2], n = samples * inner * channels;
        float *dy = fill(&r, (size_t)samples * channels, 20), *dx = malloc(n * sizeof *dx);
        assert_non_null(dx);
        struct actc_params_spread p = {element_groups(n), n, inner, channels, 1.0f / (float)inner};
        for (uint32_t s = 0, i = 0; s < samples; s++)
            for (uint32_t k = 0; k < inner; k++)
                for (uint32_t c = 0; c < channels; c++)
                    dx[i++] = actc_canon(actc_flush(dy[s * channels + c]) * p.scale);
        CHECK(spread, p, p.groups, IN(dy, samples * channels), OUT(dx, n));
        free(dy);
        free(dx);
    }
}

static void state_commit(void **state)
{
    (void)state;
    test_rng r = {15};
    for (size_t t = 0; t < N_SIZES; t++) {
        uint32_t n = sizes[t];
        for (uint32_t bad = 0; bad < 2; bad++) {
            uint32_t *staged = words(n), *states = words(n), result[64] = {[ACTC_RESULT_BAD] = bad};
            for (uint32_t i = 0; i < n; i++) {
                staged[i] = rng_next(&r); /* any bits: a move must keep them */
                states[i] = rng_next(&r);
            }
            struct actc_params_state_commit p = {element_groups(n), n};
            CHECK(state_commit, p, p.groups, INOUT(staged, bad ? states : staged, n), INOUT(states, bad ? states : staged, n),
                  IN(result, 64));
            free(staged);
            free(states);
        }
    }
}

static void finite_check(void **state)
{
    (void)state;
    test_rng r = {9};
    for (size_t t = 0; t < N_SIZES; t++) {
        uint32_t n = sizes[t];
        struct actc_params_finite_check p = {element_groups(n), n, n == 257 ? 1u << 20 : 0};
        for (int variant = 0; variant < 4; variant++) {
            float *g = fill(&r, n, 0);
            uint32_t result[64] = {0}, after[64] = {0}, first = n / 3;
            if (variant > 0)
                g[first] = variant == 1 ? NAN : -INFINITY;
            if (variant > 0 && n > 4)
                g[n - 1] = INFINITY;
            result[ACTC_RESULT_BAD] = variant == 2 ? 1 : variant == 3 ? 1u << 30 : 0;
            after[ACTC_RESULT_BAD] = variant == 0 ? 0 : variant == 2 ? 1 : 2 + p.first + first;
            CHECK(finite_check, p, p.groups, IN(g, n), INOUT(result, after, 64));
            free(g);
        }
    }
}

static void optimisers(void **state)
{
    (void)state;
    test_rng r = {10};
    for (size_t t = 0; t < N_SIZES; t++) {
        uint32_t n = sizes[t], step[64] = {0}, good[64] = {0}, bad[64] = {0};
        bad[ACTC_RESULT_BAD] = 2;
        float lr = 1e-3f, scale = 0.5f, shrink = t % 2 ? 1.0f - lr * 0.01f : 1.0f, l2 = t % 3 ? 0.0f : 1e-2f;
        float size = lr / (1.0f - 0.9f), root = 1.0f / sqrtf(1.0f - 0.999f);
        step[ACTC_STEP_GRAD_SCALE] = float_bits(scale);
        step[ACTC_STEP_STEP_SIZE] = float_bits(size);
        step[ACTC_STEP_ROOT] = float_bits(root);
        step[ACTC_STEP_SHRINK] = float_bits(shrink);
        float *w = fill(&r, n, 0), *g = fill(&r, n, 0), *m = fill(&r, n, 0), *v = fill(&r, n, 0);
        float *w2 = calloc(n, 4), *m2 = calloc(n, 4), *v2 = calloc(n, 4);
        assert_true(w2 && m2 && v2);
        for (uint32_t i = 0; i < n; i++) {
            v[i] = v[i] * v[i];
            if (i % 7 == 3)
                v[i] = m[i] = g[i] = 0.0f; /* a dead weight */
            if (i % 11 == 5)
                m[i] = bits_float(0x00000123), v[i] = bits_float(0x21800001);
            actc_adam_state s = actc_adam((actc_adam_state){w[i], m[i], v[i]}, ref_flush(g[i]) * scale, 1.0f - 0.9f, 0.999f,
                                          1.0f - 0.999f, 1e-8f, size, root, shrink, l2);
            w2[i] = s.p;
            m2[i] = s.m;
            v2[i] = s.v;
            double p = (double)w[i] * shrink, gd = (double)g[i] * scale + l2 * p, md = m[i] + (double)0.1f * (gd - m[i]);
            double vd = (double)0.999f * v[i] + (double)(1.0f - 0.999f) * gd * gd;
            p -= size * md / (sqrt(vd) * root + 1e-8);
            if (!(fabs(p - w2[i]) <= 1e-5 + 1e-5 * fabs(p)))
                fail_msg("n %u, element %u: %.9g, in float64 %.9g (w %g g %g m %g v %g)", n, i, w2[i], p, w[i], g[i], m[i], v[i]);
        }
        struct actc_params_adam a = {element_groups(n), n, 1.0f - 0.9f, 0.999f, 1.0f - 0.999f, 1e-8f, l2};
        CHECK(adam, a, a.groups, INOUT(w, w2, n), IN(g, n), INOUT(m, m2, n), INOUT(v, v2, n), IN(step, 64), IN(good, 64));
        CHECK(adam, a, a.groups, IN(w, n), IN(g, n), IN(m, n), IN(v, n), IN(step, 64), IN(bad, 64));

        for (int variant = 0; variant < 3; variant++) {
            float momentum = variant ? 0.9f : 0.0f, decay = 1e-3f;
            step[ACTC_STEP_FIRST] = variant == 1;
            for (uint32_t i = 0; i < n; i++) {
                float grad = ref_flush(ref_flush(ref_flush(g[i]) * scale) + decay * ref_flush(w[i]));
                float b = variant == 2 ? ref_flush(momentum * ref_flush(m[i]) + grad) : grad;
                w2[i] = ref_canon(ref_flush(w[i]) - size * b);
                m2[i] = variant ? ref_canon(b) : m[i];
            }
            struct actc_params_sgd p = {element_groups(n), n, momentum, decay};
            size_t buffer = variant ? n : 0;
            CHECK(sgd, p, p.groups, INOUT(w, w2, n), IN(g, n), INOUT(m, m2, buffer), IN(step, 64), IN(good, 64));
            CHECK(sgd, p, p.groups, IN(w, n), IN(g, n), IN(m, buffer), IN(step, 64), IN(bad, 64));
        }
        free(w);
        free(g);
        free(m);
        free(v);
        free(w2);
        free(m2);
        free(v2);
    }
}

/* Runs last: gemm and the convolutions are test_cpu_gemm_conv's, the codecs' passes test_codec_select's, sums over rows,
 * normalisation and softmax test_norm_kernels's. */
static void every_kernel_has_a_test(void **state)
{
    (void)state;
    for (int i = 0; i < ACTC_KERNEL_COUNT; i++) {
        actc_kernel_family family = actc_kernel_infos[i].family;
        if (!kernel_checked[i] && family != ACTC_FAMILY_PRODUCT && family != ACTC_FAMILY_DEPTHWISE && family != ACTC_FAMILY_CODEC &&
            !is_norm_kernel((actc_kernel_id)i))
            fail_msg("kernel %s has no test here", kernel_names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relu),          cmocka_unit_test(add_accumulate), cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(dropout),       cmocka_unit_test(transpose), cmocka_unit_test(spread), cmocka_unit_test(state_commit),      cmocka_unit_test(max_pool),
        cmocka_unit_test(losses),        cmocka_unit_test(finite_check),   cmocka_unit_test(optimisers),
        cmocka_unit_test(every_kernel_has_a_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
