/* test_codec_transform.c: the coefficients and their inverse: against scipy.fft and PyWavelets (fixtures made by
 * tests/oracle/codec_transforms.py) for every wavelet and block length, against float64 sums written from the formulas,
 * and the properties that CODECS names: perfect reconstruction at lambda=1, kept energy, orthogonality.
 */
#include "codec_test.h"

#include <actc/data.h>

#include "../../src/codec/wavelets.h"
#include "../../src/util/util.h"

static codec_run best_run(void)
{
    return (codec_run){actc_cpu_isa_detect(), 2};
}

/* All coefficients of x: what a plan keeps that keeps everything. NaN stays out: these tests are about numbers. */
static float *coefficients(const char *text, const shape_case *s, const float *x, uint64_t *m)
{
    actc_codec_spec spec;
    actc_codec_plan *plan = NULL;
    actc_shape shape = {.ndim = s->ndim};
    memcpy(shape.dims, s->d, sizeof shape.dims);
    assert_int_equal(actc_codec_spec_parse(codec_context, text, &spec), ACTC_OK);
    spec.by_ratio = false;
    spec.lambda = 1;
    spec.select = spec.kind == ACTC_CODEC_WAVELET ? ACTC_SELECT_BAND : ACTC_SELECT_GLOBAL;
    spec.values = ACTC_VALUES_F32;
    assert_int_equal(actc_codec_plan_create(codec_context, &spec, &shape, &plan), ACTC_OK);
    assert_int_equal(plan->k, plan->m);
    guarded payload = guarded_new(plan->payload_bytes);
    codec_pack(plan, best_run(), x, &payload);
    float *y = calloc(plan->m, sizeof *y);
    kept *entries = malloc(plan->k * sizeof *entries);
    assert_non_null(y);
    assert_non_null(entries);
    uint64_t count = codec_decode(plan, payload.data, entries);
    for (uint64_t i = 0; i < count; i++)
        y[entries[i].coefficient] = bits_float(entries[i].code);
    *m = plan->m;
    free(entries);
    guarded_free(&payload);
    actc_codec_plan_destroy(&plan);
    return y;
}

/* Restores x from spec, which the caller frees. */
static float *restore(const char *text, const shape_case *s, const float *x)
{
    actc_codec_plan *plan = codec_plan(text, s);
    guarded payload = guarded_new(plan->payload_bytes), restored = guarded_new(4 * plan->n);
    codec_pack(plan, best_run(), x, &payload);
    codec_unpack(plan, best_run(), payload.data, 0, plan->samples, &restored);
    float *copy = malloc(4 * plan->n);
    assert_non_null(copy);
    memcpy(copy, restored.data, 4 * plan->n);
    guarded_free(&payload);
    guarded_free(&restored);
    actc_codec_plan_destroy(&plan);
    return copy;
}

static uint64_t elements(const shape_case *s)
{
    uint64_t n = 1;
    for (int i = 0; i < s->ndim; i++)
        n *= (uint64_t)s->d[i];
    return n;
}

static double dot(const float *a, const float *b, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static double distance(const float *a, const float *b, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(sum);
}

/* ---- fixtures ---- */

static float *fixture_input(const char *name, uint64_t n)
{
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (uint64_t i = 0; i < n; i++)
        x[i] = (float)(actc_random_bits((uint32_t)i, actc_hash(name), 0, 0, 0, 0) >> 8) * 0x1p-24f - 0.5f;
    return x;
}

static void check_projections(const char *name, const float *y, uint64_t m, const float *want)
{
    double sums[9] = {0};
    for (uint64_t i = 0; i < m; i++) {
        uint32_t bits = actc_random_bits((uint32_t)i, actc_hash(name), 1, 0, 0, 0);
        sums[0] += (double)y[i] * y[i];
        for (int j = 0; j < 8; j++)
            sums[1 + j] += bits >> j & 1 ? y[i] : -(double)y[i];
    }
    double norm = sqrt(sums[0]);
    if (fabs(norm - want[0]) > 1e-6 * want[0])
        fail_msg("%s: norm %.9g, should be %.9g", name, norm, want[0]);
    for (int j = 1; j < 9; j++)
        if (fabs(sums[j] / norm - want[j]) > 1e-6)
            fail_msg("%s: projection %d is %.9g, should be %.9g", name, j, sums[j] / norm, want[j]);
}

static void check_kept(const char *name, const char *text, const shape_case *s, const float *x, const float *want,
                       uint64_t count)
{
    actc_codec_plan *plan = codec_plan(text, s);
    guarded payload = guarded_new(plan->payload_bytes);
    kept *entries = malloc(plan->k * sizeof *entries);
    assert_non_null(entries);
    codec_pack(plan, best_run(), x, &payload);
    assert_int_equal(codec_decode(plan, payload.data, entries), count);
    for (uint64_t i = 0; i < count; i++)
        if ((float)entries[i].coefficient != want[i])
            fail_msg("%s: kept coefficient %llu is %u, should be %g", name, (unsigned long long)i, entries[i].coefficient,
                     want[i]);
    free(entries);
    guarded_free(&payload);
    actc_codec_plan_destroy(&plan);
}

static void test_fixtures(void **state)
{
    actc_safetensors *file;
    (void)state;
    assert_int_equal(actc_safetensors_open(codec_context,
                                           ACTC_TEST_SOURCE_DIR "/../oracle/fixtures/codec_transforms.safetensors", &file),
                     ACTC_OK);
    size_t forward = 0, sets = 0;
    for (size_t i = 0; i < actc_safetensors_count(file); i++) {
        const char *name;
        const float *values;
        actc_shape shape;
        char kind[16], text[128];
        long long d[4];
        assert_int_equal(actc_safetensors_get(file, i, &name, &shape, &values), ACTC_OK);
        assert_int_equal(sscanf(name, "%15s %127s %lldx%lldx%lldx%lld", kind, text, &d[0], &d[1], &d[2], &d[3]), 6);
        shape_case s = {4, {d[0], d[1], d[2], d[3]}};
        float *x = fixture_input(name, elements(&s));
        if (!strcmp(kind, "forward")) {
            uint64_t m;
            float *y = coefficients(text, &s, x, &m);
            check_projections(name, y, m, values);
            free(y);
            forward++;
        } else {
            check_kept(name, text, &s, x, values, (uint64_t)shape.dims[0]);
            sets++;
        }
        free(x);
    }
    assert_true(forward > 450 && sets == 2);
    actc_safetensors_destroy(&file);
}

/* ---- formulas ---- */

static double basis(uint32_t u, uint32_t j, uint32_t l)
{
    return sqrt((u ? 2.0 : 1.0) / l) * cos(acos(-1) * u * (2.0 * j + 1) / (2.0 * l));
}

/* One block by the double sum. */
static void check_block(const actc_codec_plan *plan, const float *x, const float *y, uint32_t s, uint32_t h0, uint32_t w0,
                        uint32_t lh, uint32_t lw, uint32_t c, double *error)
{
    for (uint32_t u = 0; u < lh; u++)
        for (uint32_t v = 0; v < lw; v++) {
            double sum = 0;
            for (uint32_t i = 0; i < lh; i++)
                for (uint32_t j = 0; j < lw; j++)
                    sum += basis(u, i, lh) * basis(v, j, lw) *
                           x[(((uint64_t)s * plan->height + h0 + i) * plan->width + w0 + j) * plan->channels + c];
            double d = y[u * lw + v] - sum;
            *error += d * d;
        }
}

static void test_dct_formula(void **state)
{
    static const char *const specs[] = {"dct", "dct:block=8"};
    (void)state;
    for (size_t t = 0; t < CODEC_SHAPES; t++) {
        const shape_case *s = &codec_shapes[t];
        if (elements(s) > 20000)
            continue;
        for (int b = 0; b < 2; b++) {
            actc_codec_plan *plan = codec_plan(specs[b], s);
            float *x = codec_content(NORMAL, plan->n, t);
            uint64_t m, at = 0;
            float *y = coefficients(specs[b], s, x, &m);
            uint32_t block = b ? 8 : 16;
            double error = 0;
            for (uint32_t n = 0; n < plan->samples; n++)
                for (uint32_t h = 0; h < plan->height; h += block)
                    for (uint32_t w = 0; w < plan->width; w += block)
                        for (uint32_t c = 0; c < plan->channels; c++) {
                            uint32_t lh = plan->height - h < block ? plan->height - h : block;
                            uint32_t lw = plan->width - w < block ? plan->width - w : block;
                            check_block(plan, x, y + at, n, h, w, lh, lw, c, &error);
                            at += lh * lw;
                        }
            assert_int_equal(at, m);
            double norm = sqrt(dot(y, y, m));
            if (sqrt(error) > 3e-7 * norm)
                fail_msg("%s, shape %zu: relative error %g", specs[b], t, sqrt(error) / norm);
            free(y);
            free(x);
            actc_codec_plan_destroy(&plan);
        }
    }
}

/* A constant block has one coefficient, however long its sides. */
static void test_constant_blocks(void **state)
{
    static const shape_case shapes[] = {{4, {1, 8, 32, 32}}, {4, {1, 3, 16, 24}}, {2, {8, 8}}, {3, {2, 40, 16}}};
    (void)state;
    for (size_t t = 0; t < 4; t++) {
        uint64_t m, count = 0, n = elements(&shapes[t]);
        float *x = malloc(n * sizeof *x);
        assert_non_null(x);
        for (uint64_t i = 0; i < n; i++)
            x[i] = 0.1f;
        float *y = coefficients("dct", &shapes[t], x, &m);
        for (uint64_t i = 0; i < m; i++)
            count += y[i] != 0;
        uint32_t h = (uint32_t)shapes[t].d[shapes[t].ndim - 2], w = (uint32_t)shapes[t].d[shapes[t].ndim - 1];
        assert_int_equal(count, n / h / w * ((h + 15) / 16) * ((w + 15) / 16));
        free(y);
        free(x);
    }
}

/* ---- properties ---- */

static double round_trip(const char *spec, const shape_case *s, content kind)
{
    uint64_t n = elements(s);
    float *x = codec_content(kind, n, 5), *r = restore(spec, s, x);
    double error = distance(x, r, n) / sqrt(dot(x, x, n));
    free(r);
    free(x);
    return error;
}

static void test_perfect_reconstruction(void **state)
{
    static const shape_case maps[] = {{4, {2, 3, 32, 48}}, {4, {1, 5, 33, 47}}, {3, {2, 96, 120}}};
    (void)state;
    for (size_t t = 0; t < CODEC_SHAPES; t++) {
        const shape_case *s = &codec_shapes[t];
        float *x = codec_content(ADVERSARIAL, elements(s), t), *r = restore("threshold:lambda=1", s, x);
        for (uint64_t i = 0; i < elements(s); i++) /* NaN payloads and subnormals too; -0 as +0 */
            assert_int_equal(float_bits(r[i]), x[i] == 0 ? 0 : float_bits(x[i]));
        free(r);
        free(x);
        assert_true(round_trip("dct:lambda=1", s, NORMAL) < 1e-6);
        assert_true(round_trip("dct:block=8,lambda=1", s, NORMAL) < 1e-6);
        if (!codec_row_too_long("block=row", s)) {
            assert_true(round_trip("dct:block=row,lambda=1", s, NORMAL) < 1e-6);
            assert_true(round_trip("dct:block=row,norm=none,lambda=1", s, NORMAL) < 1e-6);
        }
    }
    /* small and odd sides, where a wavelet gives more coefficients than there are elements: all of them are kept */
    static const int64_t sides[] = {1, 2, 3, 17, 31};
    for (int w = 0; w < actc_wavelet_count; w++)
        for (int i = 0; i < 25; i++) {
            const shape_case s = {4, {1, 2, sides[i / 5], sides[i % 5]}};
            char spec[128];
            snprintf(spec, sizeof spec, "wavelet:wave=%s,lambda=1%s%s", actc_wavelets[w].name,
                     (i + w) & 1 ? ",mode=symmetric" : "", (i + w) & 2 ? ",select=tile" : "");
            double error = round_trip(spec, &s, NORMAL);
            if (!(error < (strcmp(actc_wavelets[w].name, "dmey") ? 1e-6 : 1e-2)))
                fail_msg("%s of %dx%d: relative error %g", spec, (int)s.d[2], (int)s.d[3], error);
        }
    for (int w = 0; w < actc_wavelet_count; w++)
        for (int mode = 0; mode < 2; mode++)
            for (size_t t = 0; t < 3; t++) {
                char spec[128];
                const char *name = actc_wavelets[w].name;
                if (!mode && actc_wavelets[w].length > 40 && maps[t].d[3] == 47)
                    continue; /* no level fits */
                snprintf(spec, sizeof spec, "wavelet:wave=%s,lambda=1,select=band%s", name, mode ? ",mode=symmetric" : "");
                double error = round_trip(spec, &maps[t], NORMAL);
                if (!(error < (strcmp(name, "dmey") ? 1e-6 : 1e-2)))
                    fail_msg("%s: relative error %g", spec, error);
            }
}

/* Orthogonal transforms: the error falls with lambda, what is kept is orthogonal to what is not, and its energy is that
 * of the k largest coefficients. */
static void test_projection(void **state)
{
    static const char *const codecs[] = {"threshold", "dct", "dct:block=8", "wavelet", "wavelet:wave=haar", "wavelet:wave=sym5",
                                         "wavelet:wave=coif2,levels=2"};
    static const char *const lambdas[] = {"1000", "100", "30", "10", "3", "2", "1.3", "1"};
    static const shape_case s = {4, {2, 6, 64, 48}};
    uint64_t n = elements(&s), m;
    float *x = codec_content(NORMAL, n, 3);
    (void)state;
    for (size_t i = 8; i < n; i++) /* some correlation, or nothing compresses */
        x[i] += 0.8f * x[i - 6 < n ? i - 6 : 0];
    double whole = dot(x, x, n);
    for (size_t c = 0; c < sizeof codecs / sizeof *codecs; c++) {
        double last = INFINITY;
        float *y = coefficients(codecs[c], &s, x, &m);
        for (size_t l = 0; l < sizeof lambdas / sizeof *lambdas; l++) {
            char spec[128];
            snprintf(spec, sizeof spec, "%s%clambda=%s", codecs[c], strchr(codecs[c], ':') ? ',' : ':', lambdas[l]);
            float *r = restore(spec, &s, x);
            double error = distance(x, r, n), kept_energy = dot(r, r, n), energy = 0;
            assert_true(error <= last * (1 + 1e-6));
            last = error;
            assert_true(fabs(dot(r, x, n) - kept_energy) < 3e-6 * whole);
            /* the k largest squares, by counting how many are larger */
            actc_codec_plan *plan = codec_plan(spec, &s);
            float *sorted = malloc(m * sizeof *sorted);
            assert_non_null(sorted);
            for (uint64_t i = 0; i < m; i++)
                sorted[i] = fabsf(y[i]);
            for (uint64_t gap = m / 2; gap; gap /= 2) /* Shell's sort, descending */
                for (uint64_t i = gap; i < m; i++)
                    for (uint64_t j = i; j >= gap && sorted[j] > sorted[j - gap]; j -= gap) {
                        float swap = sorted[j];
                        sorted[j] = sorted[j - gap];
                        sorted[j - gap] = swap;
                    }
            for (uint64_t i = 0; i < plan->k; i++)
                energy += (double)sorted[i] * sorted[i];
            if (fabs(energy - kept_energy) > 3e-6 * whole)
                fail_msg("%s: kept energy %g, the largest squares sum to %g", spec, kept_energy, energy);
            free(sorted);
            actc_codec_plan_destroy(&plan);
            free(r);
        }
        free(y);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures),
        cmocka_unit_test(test_dct_formula),
        cmocka_unit_test(test_constant_blocks),
        cmocka_unit_test(test_perfect_reconstruction),
        cmocka_unit_test(test_projection),
    };
    return cmocka_run_group_tests(tests, codec_setup, codec_teardown);
}
