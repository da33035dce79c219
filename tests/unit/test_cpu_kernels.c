/* test_cpu_kernels.c: every other kernel of the CPU backend against an obvious scalar form: the same
 * bits from every instruction set of this machine and from 1, 2 and 3 threads, with guard zones around what is written. */
#include "exact/binary.h"
#include "exact/loss.h"
#include "exact/unary.h"
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
        struct actc_params_relu_fwd p = {element_groups(n), n, INFINITY};
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

static void add(void **state)
{
    (void)state;
    test_rng r = {2};
    for (size_t t = 0; t < N_SIZES; t++) {
        uint32_t n = sizes[t];
        float *a = fill(&r, n, 80), *b = fill(&r, n, 80);
        uint32_t *c = words(n);
        for (uint32_t i = 0; i < n; i++)
            c[i] = float_bits(ref_canon(ref_flush(a[i]) + ref_flush(b[i])));
        struct actc_params_binary p = {
            .groups = element_groups(n), .n = n, .size = {1, 1, 1, n}, .sa = {0, 0, 0, 1}, .sb = {0, 0, 0, 1}};
        CHECK(binary, p, p.groups, IN(a, n), IN(b, n), OUT(c, n));
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

/* Slopes in 2, 4 and 8 bits, one after the other: the nearest of the levels. */
static void slopes(void **state)
{
    (void)state;
    test_rng r = {19};
    for (size_t t = 0; t < N_SIZES; t++)
        for (uint32_t op = 0; op < ACTC_UNARY_SCALE; op++)
            for (uint32_t bits = 2; bits <= 8; bits *= 2) {
                const uint32_t n = sizes[t], n_words = (n * bits + 31) / 32, last = (1u << bits) - 1, zero = bits / 4;
                const float one = (float)(last - 2 * zero), step = 1.0f / one;
                float *x = fill(&r, n, 40), *dy = fill(&r, n, 40);
                uint32_t *y = words(n), *codes = words(n_words), *dx = words(n);
                for (uint32_t i = 0; i < n; i++) {
                    float in = ref_flush(x[i]), out = ref_canon(actc_unary(op, in, 0, 0));
                    float slope = actc_unary_slope(op, op <= ACTC_UNARY_TANH ? out : in, 0);
                    uint32_t code = 0;
                    for (uint32_t level = 1; level <= last; level++) /* from halfway to the one below on */
                        code = slope * one + ((float)zero + 0.5f) >= (float)level ? level : code;
                    codes[i * bits / 32] |= code << i * bits % 32;
                    y[i] = float_bits(out);
                    dx[i] = float_bits(ref_canon(ref_flush(dy[i]) * (((float)code - (float)zero) * step)));
                }
                struct actc_params_unary_slopes p = {element_groups(n), n, op, bits, zero, one};
                CHECK(unary_slopes, p, p.groups, IN(x, n), OUT(y, n), OUT(codes, n_words));
                struct actc_params_unary_bwd_slopes q = {element_groups(n), n, bits, zero, step};
                CHECK(unary_bwd_slopes, q, q.groups, IN(dy, n), IN(codes, n_words), OUT(dx, n));
                free(x);
                free(dy);
                free(y);
                free(codes);
                free(dx);
            }
}

/* What the functions are worth is held to float64 by actc-parity; here, what they are bit for bit at a few numbers. */
static void unary(void **state)
{
    (void)state;
    test_rng r = {9};
    for (size_t t = 0; t < N_SIZES; t++) {
        const uint32_t n = sizes[t];
        for (uint32_t op = 0; op < ACTC_UNARY_OPS; op++) {
            float *x = fill(&r, n, 40), *dy = fill(&r, n, 40);
            uint32_t *y = words(n), *dx = words(n);
            const float a = 1.5f, b = -0.25f;
            for (uint32_t i = 0; i < n; i++) {
                y[i] = float_bits(ref_canon(actc_unary(op, ref_flush(x[i]), a, b)));
                dx[i] = float_bits(ref_canon(ref_flush(dy[i]) * actc_unary_slope(op, ref_flush(x[i]), a)));
            }
            struct actc_params_unary p = {element_groups(n), n, op, a, b};
            CHECK(unary, p, p.groups, IN(x, n), OUT(y, n));
            struct actc_params_unary_bwd q = {element_groups(n), n, op, a};
            CHECK(unary_bwd, q, q.groups, IN(dy, n), IN(x, op == ACTC_UNARY_SCALE ? 0 : n), OUT(dx, n));
            free(x);
            free(dy);
            free(y);
            free(dx);
        }
    }
    assert_true(actc_sigmoid_value(0.0f) == 0.5f && actc_sigmoid_value(-INFINITY) == 0.0f && actc_sigmoid_value(INFINITY) == 1.0f);
    assert_true(actc_tanh_value(0.0f) == 0.0f && actc_tanh_value(-INFINITY) == -1.0f && actc_tanh_value(100.0f) == 1.0f);
    assert_true(actc_normal_cdf(0.0f) == 0.5f && actc_normal_cdf(-100.0f) == 0.0f && actc_normal_cdf(INFINITY) == 1.0f);
    assert_true(isnan(actc_sigmoid_value(NAN)) && isnan(actc_tanh_value(NAN)) && isnan(actc_normal_cdf(NAN)));
}

static void binary(void **state)
{
    (void)state;
    test_rng r = {10};
    static const struct actc_params_binary cases[] = {
        {0, 1, 0, 0, {1, 1, 1, 1}, {0}, {0}},
        {0, 2160, 0, 0, {2, 3, 5, 72}, {1080, 360, 72, 1}, {1080, 360, 72, 1}},
        {0, 2100, 0, 0, {1, 1, 210, 10}, {0, 0, 10, 1}, {0, 0, 0, 1}},
        {0, 2100, 0, 0, {2, 105, 1, 10}, {1050, 10, 0, 1}, {105, 1, 0, 0}},
        {0, 1800, 0, 0, {4, 5, 9, 10}, {10, 0, 0, 1}, {1, 4, 20, 180}},
    };
    for (size_t t = 0; t < ACTC_BINARY_OPS * sizeof cases / sizeof *cases; t++) {
        struct actc_params_binary p = cases[t / ACTC_BINARY_OPS];
        const uint32_t n = 2200;
        p.groups = element_groups(p.n);
        p.op = (uint32_t)(t % ACTC_BINARY_OPS);
        p.alpha = 0.7f;
        float *a = fill(&r, n, 40), *b = fill(&r, n, 40);
        uint32_t *y = words(p.n);
        for (uint32_t i = 0; i < p.n; i++) {
            uint32_t rest = i, ia = 0, ib = 0;
            for (int k = 3; k >= 0; k--) {
                ia += rest % p.size[k] * p.sa[k];
                ib += rest % p.size[k] * p.sb[k];
                rest /= p.size[k];
            }
            assert_true(ia < n && ib < n);
            float u = ref_flush(a[ia]), v = ref_flush(b[ib]);
            y[i] = float_bits(ref_canon(p.op == ACTC_BINARY_ADD   ? u + v
                                        : p.op == ACTC_BINARY_SUB ? u - v
                                        : p.op == ACTC_BINARY_MUL ? u * v
                                                                  : u + ref_flush(p.alpha * v)));
        }
        CHECK(binary, p, p.groups, IN(a, n), IN(b, n), OUT(y, p.n));
        free(a);
        free(b);
        free(y);
    }
}

static void copy_nd(void **state)
{
    (void)state;
    test_rng r = {6};
    static const struct actc_params_copy_nd cases[] = {
        {0, 1, {1, 1, 1, 1, 1, 1}, {0}, {0}, 5, 1299, 0},
        {0, 1300, {1, 1, 1, 1, 1, 1300}, {0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 1}, 0, 0, 0},
        {0, 1260, {3, 2, 5, 2, 3, 7}, {7, 630, 126, 63, 21, 1}, {420, 210, 42, 21, 7, 1}, 40, 3, 0},
        {0, 1200, {1, 1, 1, 1, 120, 10}, {0, 0, 0, 0, 1, 120}, {0, 0, 0, 0, 10, 1}, 0, 0, 0},
        {0, 1100, {1, 1, 1, 10, 1, 110}, {0, 0, 0, 0u - 110, 0, 0u - 1}, {0, 0, 0, 130, 0, 1}, 1099, 20, 0},
        {0, 1290, {1, 1, 1, 1, 1290, 1}, {0}, {0, 0, 0, 0, 1, 0}, 3, 4, 0},
    };
    const uint32_t n = 1300;
    for (size_t t = 0; t < 2 * sizeof cases / sizeof *cases; t++) {
        struct actc_params_copy_nd p = cases[t / 2];
        p.groups = element_groups(p.n);
        p.accumulate = t % 2;
        float *source = fill(&r, n, 40), *before = fill(&r, n, 40);
        uint32_t *after = words(n), at[6];
        memcpy(after, before, 4 * (size_t)n);
        for (at[0] = 0; at[0] < p.size[0]; at[0]++)
        for (at[1] = 0; at[1] < p.size[1]; at[1]++)
        for (at[2] = 0; at[2] < p.size[2]; at[2]++)
        for (at[3] = 0; at[3] < p.size[3]; at[3]++)
        for (at[4] = 0; at[4] < p.size[4]; at[4]++)
        for (at[5] = 0; at[5] < p.size[5]; at[5]++) {
            uint32_t from = p.source_at, to = p.target_at;
            for (int k = 0; k < 6; k++) {
                from += at[k] * p.ss[k];
                to += at[k] * p.ds[k];
            }
            assert_true(from < n && to < n);
            float sum = ref_canon(ref_flush(before[to]) + ref_flush(source[from]));
            memcpy(&after[to], p.accumulate ? &sum : &source[from], 4);
        }
        CHECK(copy_nd, p, p.groups, IN(source, n), INOUT(before, after, n));
        free(source);
        free(before);
        free(after);
    }
}

typedef struct pool_case {
    uint32_t batch, channels, i[3], k[3], s[3], p[3]; /* depth, height, width */
} pool_case;

/* Where position `place` of the window of output position o (of all images) lies in x, without channels; -1 where outside. */
static int64_t pool_position(const pool_case *c, const uint32_t out[3], uint32_t o, uint32_t place)
{
    int64_t at = 0, stride = 1;
    for (int a = 2; a >= 0; a--) {
        int64_t i = (int64_t)(o % out[a] * c->s[a] + place % c->k[a]) - c->p[a];
        if (i < 0 || i >= c->i[a])
            return -1;
        at += i * stride;
        stride *= c->i[a];
        o /= out[a];
        place /= c->k[a];
    }
    return at + o * stride;
}

static void max_pool(void **state)
{
    (void)state;
    test_rng r = {5};
    static const pool_case cases[] = {
        {1, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},    {2, 8, {1, 24, 24}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}},
        {1, 3, {1, 7, 9}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}},    {2, 5, {1, 6, 5}, {1, 3, 2}, {1, 1, 2}, {0, 1, 0}},
        {1, 300, {1, 5, 5}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}},  {1, 2, {1, 33, 31}, {1, 16, 16}, {1, 3, 5}, {0, 8, 7}},
        {3, 7, {1, 4, 4}, {1, 4, 4}, {1, 4, 4}, {0, 0, 0}},    {1, 1, {1, 5, 5}, {1, 2, 2}, {1, 3, 3}, {0, 0, 0}}, /* gaps */
        {2, 11, {5, 6, 7}, {3, 2, 3}, {2, 1, 2}, {1, 0, 1}},   {1, 3, {9, 4, 5}, {6, 6, 7}, {3, 2, 1}, {3, 3, 3}},
    };
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        const pool_case *c = &cases[t];
        uint32_t o[3], n_in = c->batch * c->channels, n_out = n_in;
        for (int a = 0; a < 3; a++) {
            o[a] = (c->i[a] + 2 * c->p[a] - c->k[a]) / c->s[a] + 1;
            n_in *= c->i[a];
            n_out *= o[a];
        }
        float *x = fill(&r, n_in, 40), *dy = fill(&r, n_out, 20), *sum = calloc(n_in, sizeof *sum);
        uint32_t *y = words(n_out), *index = words((n_out + 3) / 4), *dx = words(n_in);
        assert_non_null(sum);
        /* Output positions ascending, so that each input element adds its windows in ascending order too. */
        for (uint32_t i = 0; i < n_out; i++) {
            uint32_t place = UINT32_MAX, winner = 0;
            float best = 0;
            for (uint32_t k = 0; k < c->k[0] * c->k[1] * c->k[2]; k++) {
                int64_t at = pool_position(c, o, i / c->channels, k);
                if (at < 0)
                    continue;
                uint32_t from = (uint32_t)at * c->channels + i % c->channels;
                float v = ref_canon(x[from]);
                if (place == UINT32_MAX || v > best || (isnan(v) && !isnan(best))) {
                    best = v;
                    place = k;
                    winner = from;
                }
            }
            y[i] = float_bits(best);
            ((uint8_t *)index)[i] = (uint8_t)place;
            sum[winner] += ref_flush(dy[i]);
        }
        for (uint32_t i = 0; i < n_in; i++)
            dx[i] = float_bits(ref_canon(sum[i]));
        struct actc_params_max_pool_fwd p = {element_groups(n_out), n_out, c->channels, c->i[0], c->i[1], c->i[2], o[0], o[1], o[2],
                                             c->k[0], c->k[1], c->k[2], c->s[0], c->s[1], c->s[2], c->p[0], c->p[1], c->p[2]};
        CHECK(max_pool_fwd, p, p.groups, IN(x, n_in), OUT(y, n_out), OUT(index, (n_out + 3) / 4));
        p.groups = element_groups(n_in);
        p.n = n_in;
        CHECK(max_pool_bwd, p, p.groups, IN(dy, n_out), IN(index, (n_out + 3) / 4), OUT(dx, n_in));
        free(x);
        free(dy);
        free(sum);
        free(y);
        free(index);
        free(dx);
    }
}

/* Of PyTorch's upsample_bilinear2d, along an axis: the first input of output o, the weight of the one behind it, and what o has of
 * input i. */
static uint32_t first_of(uint32_t o, float scale, bool corners, uint32_t inputs)
{
    const float source = corners ? (float)o * scale : ((float)o + 0.5f) * scale - 0.5f;
    return source < 0 ? 0 : (uint32_t)source < inputs - 1 ? (uint32_t)source : inputs - 1;
}

static float weight_of(uint32_t o, float scale, bool corners, uint32_t inputs)
{
    const float source = corners ? (float)o * scale : ((float)o + 0.5f) * scale - 0.5f;
    const float weight = (source < 0 ? 0 : source) - (float)first_of(o, scale, corners, inputs);
    return weight > 1 ? 1 : weight;
}

static bool touches(uint32_t o, uint32_t i, float scale, bool corners, uint32_t inputs)
{
    const uint32_t first = first_of(o, scale, corners, inputs);
    return i == first || i == first + 1;
}

static float share_of(uint32_t o, uint32_t i, float scale, bool corners, uint32_t inputs)
{
    const uint32_t first = first_of(o, scale, corners, inputs), second = first + (first < inputs - 1);
    const float weight = weight_of(o, scale, corners, inputs);
    return (first == i ? 1 - weight : 0) + (second == i ? weight : 0);
}

static void bilinear(void **state)
{
    (void)state;
    test_rng r = {17};
    static const uint32_t cases[][6] = {{1, 1, 1, 1, 1, 1},  {2, 3, 7, 5, 28, 20}, {1, 65, 9, 11, 13, 12}, {3, 2, 16, 12, 5, 7},
                                        {2, 5, 1, 1, 9, 13}, {1, 2, 33, 31, 1, 1}, {1, 130, 3, 4, 3, 2}};
    for (size_t t = 0; t < 2 * sizeof cases / sizeof *cases; t++) {
        const uint32_t *c = cases[t / 2], n = c[0], channels = c[1], ih = c[2], iw = c[3], oh = c[4], ow = c[5], corners = t % 2;
        const uint32_t n_in = n * ih * iw * channels, n_out = n * oh * ow * channels;
        const float sy = corners ? oh > 1 ? (float)(ih - 1) / (float)(oh - 1) : 0 : (float)ih / (float)oh;
        const float sx = corners ? ow > 1 ? (float)(iw - 1) / (float)(ow - 1) : 0 : (float)iw / (float)ow;
        float *x = fill(&r, n_in, 10), *dy = fill(&r, n_out, 10), *y = calloc(n_out, 4), *dx = calloc(n_in, 4);
        assert_true(y && dx);
        for (uint32_t i = 0; i < n_in; i++) {
            const uint32_t k = i % channels, ix = i / channels % iw, line = i / channels / iw;
            float sum = 0;
            for (uint32_t ox = 0; ox < ow; ox++) {
                float inner = 0;
                const float *from = dy + ((size_t)(line / ih * oh) * ow + ox) * channels + k;
                for (uint32_t oy = 0; oy < oh; oy++)
                    if (touches(oy, line % ih, sy, corners, ih))
                        inner += share_of(oy, line % ih, sy, corners, ih) * ref_flush(from[oy * ow * channels]);
                if (touches(ox, ix, sx, corners, iw))
                    sum += share_of(ox, ix, sx, corners, iw) * ref_flush(inner);
            }
            dx[i] = ref_canon(sum);
        }
        for (uint32_t o = 0; o < n_out; o++) {
            const uint32_t k = o % channels, ox = o / channels % ow, line = o / channels / ow, oy = line % oh;
            const uint32_t y0 = first_of(oy, sy, corners, ih), x0 = first_of(ox, sx, corners, iw);
            const float wy = weight_of(oy, sy, corners, ih), wx = weight_of(ox, sx, corners, iw);
            float v[4];
            for (uint32_t at = 0; at < 4; at++) {
                const uint32_t iy = at / 2 && y0 + 1 < ih ? y0 + 1 : y0, ix = at % 2 && x0 + 1 < iw ? x0 + 1 : x0;
                v[at] = ref_flush(x[((size_t)(line / oh * ih + iy) * iw + ix) * channels + k]);
            }
            const float left = ref_flush((1 - wy) * v[0] + wy * v[2]), right = ref_flush((1 - wy) * v[1] + wy * v[3]);
            y[o] = ref_canon((1 - wx) * left + wx * right);
        }
        struct actc_params_bilinear_fwd p = {element_groups(n_out), n_out, channels, ih, iw, oh, ow, corners, sy, sx};
        CHECK(bilinear_fwd, p, p.groups, IN(x, n_in), OUT(y, n_out));
        p.groups = element_groups(n_in);
        p.n = n_in;
        CHECK(bilinear_bwd, p, p.groups, IN(dy, n_out), OUT(dx, n_in));
        free(x);
        free(dy);
        free(y);
        free(dx);
    }
}

/* Window o along an axis: positions [at[0], at[1]). k = 0: adaptive. */
static void average_window(uint32_t o, uint32_t in, uint32_t out, uint32_t k, uint32_t s, uint32_t p, uint32_t at[2])
{
    int64_t begin = (int64_t)o * s - p, end = begin + k;
    at[0] = k ? (uint32_t)(begin < 0 ? 0 : begin) : o * in / out;
    at[1] = k ? (uint32_t)(end > in ? in : end) : ((o + 1) * in + out - 1) / out;
}

static void avg_pool(void **state)
{
    (void)state;
    test_rng r = {6};
    static const struct { uint32_t batch, channels, i[3], k[3], s[3], p[3], o[3]; bool inside; } cases[] = {
        {1, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, false},
        {2, 8, {1, 24, 24}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}, {1, 12, 12}, false},
        {1, 19, {1, 7, 9}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {1, 4, 5}, true},
        {1, 300, {1, 5, 5}, {1, 2, 2}, {1, 3, 1}, {0, 1, 0}, {1, 2, 4}, true},
        {1, 2, {1, 33, 31}, {1, 16, 16}, {1, 3, 5}, {0, 8, 7}, {1, 12, 6}, false},
        {2, 11, {5, 6, 7}, {3, 2, 3}, {2, 1, 2}, {1, 0, 1}, {3, 5, 4}, true},
        {2, 21, {5, 6, 7}, .o = {2, 6, 3}},
        {3, 1, {2, 3, 5}, .o = {5, 4, 3}},
        {1, 40, {1, 13, 10}, .o = {1, 5, 7}},
    };
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        const uint32_t channels = cases[t].channels, *in = cases[t].i, *o = cases[t].o, *k = cases[t].k, *s = cases[t].s,
                       *p = cases[t].p;
        const uint32_t n_in = cases[t].batch * channels * in[0] * in[1] * in[2], n_out = cases[t].batch * channels * o[0] * o[1] * o[2];
        const bool adaptive = k[0] == 0;
        const float scale = adaptive || cases[t].inside ? 0.0f : 1.0f / (float)(k[0] * k[1] * k[2]);
        float *x = fill(&r, n_in, 40), *dy = fill(&r, n_out, 20), *sums = calloc(n_in, sizeof *sums);
        uint32_t *y = words(n_out), *dx = words(n_in);
        assert_non_null(sums);
        /* Output positions ascending, so that each input element adds its windows in ascending order too. */
        for (uint32_t i = 0; i < n_out; i++) {
            uint32_t at[3], w[3][2], rest = i / channels, positions = 1;
            for (int a = 2; a >= 0; rest /= o[a--]) {
                at[a] = rest % o[a];
                average_window(at[a], in[a], o[a], k[a], s[a], p[a], w[a]);
                positions *= w[a][1] - w[a][0];
            }
            const float factor = scale != 0.0f ? scale : actc_reciprocal((float)positions);
            assert_true(fabs((double)actc_reciprocal((float)positions) * positions - 1) <= 0x1p-22);
            float sum = 0;
            for (uint32_t z = w[0][0]; z < w[0][1]; z++)
                for (uint32_t row = w[1][0]; row < w[1][1]; row++) {
                    float line = 0;
                    for (uint32_t col = w[2][0]; col < w[2][1]; col++) {
                        uint32_t from = (((i / (channels * o[0] * o[1] * o[2]) * in[0] + z) * in[1] + row) * in[2] + col) * channels +
                                        i % channels;
                        line += ref_flush(x[from]);
                        sums[from] += ref_flush(dy[i]) * factor;
                    }
                    sum += line;
                }
            y[i] = float_bits(ref_canon(sum * factor));
        }
        for (uint32_t i = 0; i < n_in; i++)
            dx[i] = float_bits(ref_canon(sums[i]));
        struct actc_params_avg_pool_fwd f = {element_groups(n_out), n_out, channels, in[0], in[1], in[2], o[0], o[1], o[2], k[0], k[1],
                                             k[2], s[0], s[1], s[2], p[0], p[1], p[2], adaptive, scale};
        struct actc_params_avg_pool_bwd b = {element_groups(n_in), n_in, channels, in[0], in[1], in[2], o[0], o[1], o[2], k[0], k[1],
                                             k[2], s[0], s[1], s[2], p[0], p[1], p[2], adaptive, scale};
        CHECK(avg_pool_fwd, f, f.groups, IN(x, n_in), OUT(y, n_out));
        CHECK(avg_pool_bwd, b, b.groups, IN(dy, n_out), OUT(dx, n_in));
        free(x);
        free(dy);
        free(sums);
        free(y);
        free(dx);
    }
}

static void losses(void **state)
{
    (void)state;
    test_rng r = {8};
    static const uint32_t cases[][4] = {{1, 1, 1, 1},     {128, 10, 128, 1}, {300, 7, 300, 1},
                                        {700, 3, 650, 1}, {1000, 10, 0, 1},  {1001, 5, 8, 91}};
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        const uint32_t rows = cases[t][0], cols = cases[t][1], counted = cases[t][2], positions = cases[t][3];
        const uint32_t groups = invocation_groups(rows), norm = ACTC_STEP_NORM + 2, slot = 2;
        const float weight = positions > 1 ? 0.3f : 1.0f;
        size_t n = (size_t)rows * cols;
        float *y = fill(&r, n, 0), *loss = calloc(rows, 4), *d_nll = calloc(n, 4), *d_ce = calloc(n, 4);
        float *scores = fill(&r, n, 60), inv = counted ? 1.0f / (float)counted : 0.0f, scale = inv * weight;
        uint32_t *counts = calloc(groups, 4), correct = 0;
        int32_t *labels = calloc(rows, 4);
        assert_true(loss && d_nll && d_ce && labels && counts);
        uint32_t step[64] = {0}, result[64], after[64];
        step[ACTC_STEP_ROWS] = counted;
        step[ACTC_STEP_NORM + 2] = float_bits(inv);
        for (uint32_t i = 0; i < rows; i++) {
            /* -1 is ignored, and so must be what lies outside, or memory behind the row would be read */
            labels[i] = rng_next(&r) % 8 == 0 ? -1 : rng_next(&r) % 16 == 0 ? (int32_t)cols + 5 : (int32_t)(rng_next(&r) % cols);
            bool taken = i < counted * positions && labels[i] >= 0 && labels[i] < (int32_t)cols;
            uint32_t best = 0;
            for (uint32_t c = 0; c < cols; c++) {
                size_t at = (size_t)i * cols + c;
                y[at] = -fabsf(y[at]) * 3;
                if (taken) {
                    bool hit = (int32_t)c == labels[i];
                    d_nll[at] = hit ? ref_canon(-scale) : 0.0f;
                    d_ce[at] = ref_canon((actc_exp(ref_flush(y[at])) - (hit ? 1.0f : 0.0f)) * scale);
                    loss[i] = hit ? ref_canon(-ref_flush(y[at])) : loss[i];
                }
                float v = ref_canon(scores[at]), high = ref_canon(scores[(size_t)i * cols + best]);
                if (v > high || (isnan(v) && !isnan(high)))
                    best = c;
            }
            counts[i / 256] += taken && (int32_t)best == labels[i];
        }
        struct actc_params_nll_loss_fwd p = {groups, rows, cols, positions};
        CHECK(nll_loss_fwd, p, groups, IN(y, n), IN(labels, rows), IN(step, 64), OUT(loss, rows));
        struct actc_params_nll_loss_bwd back = {element_groups(n), rows, cols, positions, norm, weight};
        CHECK(nll_loss_bwd, back, back.groups, IN(labels, rows), IN(step, 64), OUT(d_nll, n));
        CHECK(cross_entropy_bwd, back, back.groups, IN(y, n), IN(labels, rows), IN(step, 64), OUT(d_ce, n));
        CHECK(count_correct, p, groups, IN(scores, n), IN(labels, rows), IN(step, 64), OUT(counts, groups));
        for (int i = 0; i < 64; i++)
            result[i] = after[i] = rng_next(&r);
        for (uint32_t g = 0; g < groups; g++)
            correct += counts[g];
        after[ACTC_RESULT_VALUES + slot] = correct;
        struct actc_params_count_reduce count = {1, groups, slot};
        CHECK(count_reduce, count, 1, IN(counts, groups), INOUT(result, after, 64));

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
            float value = ref_canon(mean ? a[0] * inv : a[0]), before = positions > 1 ? 0.75f : NAN;
            result[ACTC_RESULT_LOSS] = float_bits(before);
            after[ACTC_RESULT_VALUES + slot] = float_bits(value);
            after[ACTC_RESULT_LOSS] = float_bits(ref_canon((positions > 1 ? before : 0.0f) + ref_flush(value * weight)));
            after[ACTC_RESULT_BAD] = variant == 2;
            struct actc_params_loss_reduce q = {1, rows, mean, norm, slot, positions == 1, weight};
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
        free(counts);
    }
}

static void distance_losses(void **state)
{
    (void)state;
    test_rng r = {15};
    /* samples, elements of each, samples that count */
    static const uint32_t cases[][3] = {{1, 1, 1}, {3, 333, 3}, {4, 256, 2}, {5, 205, 5}, {7, 587, 0}, {13, 691, 12}};
    for (size_t t = 0; t < ACTC_DISTANCES * sizeof cases / sizeof *cases; t++) {
        const uint32_t op = t % ACTC_DISTANCES, each = cases[t / ACTC_DISTANCES][1], n = cases[t / ACTC_DISTANCES][0] * each;
        const uint32_t counted = cases[t / ACTC_DISTANCES][2] * each, groups = element_groups(n), norm = ACTC_STEP_NORM + 1;
        const float inv = 1.0f / 3, weight = t % 3 ? 0.7f : 1.0f, scale = ref_flush(inv * weight);
        float *x = fill(&r, n, 20), *y = fill(&r, n, 20), *dx = calloc(n, 4), *sums = calloc(groups, 4);
        assert_true(dx && sums);
        uint32_t step[64] = {0};
        step[ACTC_STEP_ROWS] = cases[t / ACTC_DISTANCES][2];
        step[norm] = float_bits(inv);
        for (uint32_t g = 0; g < groups; g++) {
            float a[256] = {0};
            for (uint32_t i = g * 1024; i < n && i < (g + 1) * 1024 && i < counted; i++) {
                const float d = ref_flush(x[i]) - ref_flush(y[i]), f = ref_factor(d);
                a[i % 256] += op == ACTC_DISTANCE_L1 ? fabsf(d) : f * f;
                dx[i] = ref_canon((op == ACTC_DISTANCE_L2 ? d + d : d > 0 ? 1 : d < 0 ? -1 : d) * scale);
            }
            for (uint32_t s = 128; s > 0; s /= 2)
                for (uint32_t i = 0; i < s; i++)
                    a[i] += a[i + s];
            sums[g] = ref_canon(a[0]);
        }
        struct actc_params_distance_loss_fwd p = {groups, n, each, op};
        CHECK(distance_loss_fwd, p, groups, IN(x, n), IN(y, n), IN(step, 64), OUT(sums, groups));
        struct actc_params_distance_loss_bwd back = {groups, n, each, op, norm, weight};
        CHECK(distance_loss_bwd, back, groups, IN(x, n), IN(y, n), IN(step, 64), OUT(dx, n));
        free(x);
        free(y);
        free(dx);
        free(sums);
    }
}

static void dice_losses(void **state)
{
    (void)state;
    test_rng r = {16};
    static const struct { uint32_t outer, rows, cols, counted, first; } cases[] = {
        {1, 1, 1, 1, 0}, {2, 77, 3, 1, 0}, {3, 341, 4, 3, 1}, {300, 2, 2, 299, 1}, {2, 3, 2500, 2, 1}, {2, 5, 600, 2, 0}};
    for (size_t t = 0; t < 4 * sizeof cases / sizeof *cases; t++) {
        const uint32_t outer = cases[t / 4].outer, rows = cases[t / 4].rows, cols = cases[t / 4].cols, first = cases[t / 4].first;
        const uint32_t n = outer * cols, all = n * rows, labelled = t & 1, squares = t >> 1 & 1, norm = ACTC_STEP_NORM + 3;
        const float smooth_nr = squares ? 0 : 1e-5f, smooth_dr = 1e-5f, inv = 0.125f, weight = 0.75f;
        float *overlap = fill(&r, n, 10), *size = fill(&r, n, 10), *p = fill(&r, all, 10), *y = fill(&r, all, 10);
        float *loss = calloc(n, 4), *quotients = calloc(2 * n, 4), *dp = calloc(all, 4);
        uint32_t *labels = words(outer * rows), step[64] = {0};
        assert_true(loss && quotients && dp);
        step[ACTC_STEP_ROWS] = cases[t / 4].counted;
        step[norm] = float_bits(inv);
        for (uint32_t i = 0; i < n; i++) {
            const float d = ref_flush(size[i]) + smooth_dr;
            const float inverse = d >= 0x1p-60f && d <= 0x1p100f ? ref_flush(actc_reciprocal(d)) : NAN;
            const float quotient = ref_flush((ref_flush(overlap[i]) + ref_flush(overlap[i]) + smooth_nr) * inverse);
            if (i / cols >= cases[t / 4].counted || i % cols < first)
                continue;
            loss[i] = ref_canon(1.0f - quotient);
            quotients[i] = ref_canon(quotient);
            quotients[n + i] = ref_canon(inverse);
        }
        for (uint32_t i = 0; i < outer * rows; i++)
            labels[i] = rng_next(&r) % cols;
        for (uint32_t i = 0; i < all; i++) {
            const uint32_t column = i / cols / rows * cols + i % cols;
            const float inverse = quotients[n + column], factor = ref_flush(inverse * (inv * weight)), q = quotients[column];
            const float v = ref_flush(p[i]), w = labelled ? labels[i / cols] == i % cols : ref_flush(y[i]);
            dp[i] = inverse == 0 ? 0 : ref_canon(((squares ? q * (v + v) : q) - (w + w)) * factor);
        }
        struct actc_params_dice_loss_fwd forward = {invocation_groups(n), outer, cols, first, 1, smooth_nr, smooth_dr};
        CHECK(dice_loss_fwd, forward, forward.groups, IN(overlap, n), IN(size, n), IN(step, 64), OUT(loss, n),
              OUT(quotients, 2 * n));
        forward.keep = 0;
        CHECK(dice_loss_fwd, forward, forward.groups, IN(overlap, n), IN(size, n), IN(step, 64), OUT(loss, n), OUT(quotients, 0));
        struct actc_params_dice_loss_bwd back = {element_groups(all), all, outer, rows, cols, labelled, squares, norm, weight};
        CHECK(dice_loss_bwd, back, back.groups, IN(p, all), IN(labelled ? (const void *)labels : y, labelled ? outer * rows : all),
              IN(quotients, 2 * n), IN(step, 64), OUT(dp, all));
        free(overlap);
        free(size);
        free(p);
        free(y);
        free(loss);
        free(quotients);
        free(dp);
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
            !is_norm_kernel((actc_kernel_id)i) && !is_attention_kernel((actc_kernel_id)i))
            fail_msg("kernel %s has no test here", kernel_names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relu),          cmocka_unit_test(add), cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(dropout),       cmocka_unit_test(transpose),      cmocka_unit_test(copy_nd),
        cmocka_unit_test(unary),         cmocka_unit_test(slopes),         cmocka_unit_test(binary),
        cmocka_unit_test(spread),
        cmocka_unit_test(state_commit),  cmocka_unit_test(max_pool),       cmocka_unit_test(avg_pool),       cmocka_unit_test(bilinear),
        cmocka_unit_test(losses),        cmocka_unit_test(distance_losses), cmocka_unit_test(dice_losses),
              cmocka_unit_test(finite_check),   cmocka_unit_test(optimisers),
        cmocka_unit_test(every_kernel_has_a_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
