/* test_codec_sample.c: select=random is unbiased: over 4,000 seeds the mean of what is restored comes as near to the tensor
 * as the variance of the draws predicts; the number kept is known beforehand; tensors of which nothing can be drawn.
 */
#include "codec_sample.h"

#include "../../src/util/util.h"

#define SEEDS 4000

/* With a seed of its own. */
static void pass_through(const actc_codec_plan *plan, uint32_t seed, const float *x, void *payload, void *workspace,
                         float *restored)
{
    const codec_run run = {actc_cpu_isa_detect(), 1};
    const uint32_t step[64] = {seed, 0, 7, 0};
    actc_codec_work_desc work = {.plan = plan, .tensor = CODEC_TENSOR, .count = plan->samples};
    assert_int_equal(actc_cpu_pack(&work, &run, x, payload, step, workspace), ACTC_OK);
    assert_int_equal(actc_cpu_unpack(&work, &run, payload, restored, step, workspace), ACTC_OK);
}

static void *codec_workspace(const actc_codec_plan *plan)
{
    const codec_run run = {actc_cpu_isa_detect(), 1};
    actc_codec_work_desc work = {.plan = plan, .count = plan->samples};
    uint64_t pack = actc_cpu_codec_workspace(&work, false, &run), unpack = actc_cpu_codec_workspace(&work, true, &run);
    void *workspace = aligned_alloc(64, ((pack > unpack ? pack : unpack) + 64) / 64 * 64);
    assert_non_null(workspace);
    return workspace;
}

/* probability[i] of each coefficient, in float64; returns the sum of the variances of what stands for them. */
static double predict(const actc_codec_plan *plan, const uint32_t *y, double *probability)
{
    double variance = 0;
    for (uint64_t a = 0; a < plan->m; a += 256) {
        double weights[256], rest, bound;
        uint32_t n = (uint32_t)(plan->m - a < 256 ? plan->m - a : 256);
        uint64_t most = actc_codec_tile_slot(plan, a / 256 + 1) - actc_codec_tile_slot(plan, a / 256);
        assert_true(codec_sample_weights(y + a, n, weights));
        uint32_t slots = codec_sample_split(weights, n, (uint32_t)most, &rest, &bound);
        for (uint32_t i = 0; i < n; i++) {
            double value = codec_float(y[a + i]), p = weights[i] >= bound ? 1 : rest > 0 ? slots * weights[i] / rest : 0;
            probability[a + i] = p;
            variance += p > 0 ? value * value * (1 - p) / p : 0;
        }
    }
    return variance;
}

/* The mean of what is restored over the seeds; returns the sum of the squares of mean - x. */
static double squared_error(const actc_codec_plan *plan, const float *x, double *mean)
{
    void *payload = aligned_alloc(64, (plan->payload_bytes + 255) / 64 * 64), *workspace = codec_workspace(plan);
    float *restored = malloc(4 * plan->n);
    double error = 0;
    assert_true(payload && restored);
    memset(mean, 0, plan->n * sizeof *mean);
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        pass_through(plan, seed, x, payload, workspace, restored);
        for (uint64_t i = 0; i < plan->n; i++)
            mean[i] += restored[i];
    }
    for (uint64_t i = 0; i < plan->n; i++) {
        mean[i] /= SEEDS;
        error += (mean[i] - (double)x[i]) * (mean[i] - (double)x[i]);
    }
    free(restored);
    free(workspace);
    free(payload);
    return error;
}

static const struct {
    const char *spec;
    content kind;
} rows[] = {{"threshold:lambda=10", NORMAL},
            {"threshold:lambda=1.7", NORMAL},
            {"threshold:lambda=250", RELU},
            {"threshold:lambda=10,values=int8", NORMAL},
            {"threshold:lambda=30", TIES},
            {"dct:lambda=20", RELU},
            {"wavelet:wave=haar,levels=2,lambda=20", NORMAL}};

/* Elements whose own mean is looked at are drawn this often, so that their deviations are those of a normal distribution. */
#define OFTEN 50

static void test_mean_over_seeds(void **state)
{
    static const shape_case shape = {4, {1, 4, 16, 24}};
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        char spec[96], largest[96];
        snprintf(spec, sizeof spec, "%s,select=random", rows[r].spec);
        snprintf(largest, sizeof largest, "%s,select=tile", rows[r].spec);
        actc_codec_plan *plan = codec_plan(spec, &shape), *biased = codec_plan(largest, &shape);
        float *x = codec_content(rows[r].kind, plan->n, r);
        if (r == 0) /* over 10 octaves */
            for (uint64_t i = 0; i < plan->n; i++)
                x[i] = ldexpf(x[i], (int)(i * 7 % 41) / 4 - 5);
        uint32_t *y = codec_coefficients(spec, &shape, x, (codec_run){ACTC_CPU_BASELINE, 1});
        double *mean = malloc(plan->n * sizeof *mean), *probability = malloc(plan->m * sizeof *probability);
        assert_true(mean && probability);
        double expected = predict(plan, y, probability) / SEEDS, error = squared_error(plan, x, mean);
        double squares = 0, worst = 0;
        uint64_t looked_at = 0;
        for (uint64_t i = 0; plan->spec.kind == ACTC_CODEC_THRESHOLD && i < plan->n; i++) {
            double p = probability[i], deviation = fabs((double)x[i]) * sqrt((1 - p) / p / SEEDS);
            if (plan->spec.values != ACTC_VALUES_F32 || p * SEEDS < OFTEN || p == 1)
                continue;
            double z = (mean[i] - (double)x[i]) / deviation;
            worst = fmax(worst, fabs(z));
            squares += z * z;
            looked_at++;
        }
        print_message("%s: squared error of the mean %.4g, by the variance %.4g; largest of %llu deviations %.2f\n", spec,
                      error, expected, (unsigned long long)looked_at, worst);
        /* int8 has the variance of its rounding on top */
        assert_true(error > 0.8 * expected && error < (plan->spec.values == ACTC_VALUES_INT8 ? 1.6 : 1.25) * expected);
        assert_true(looked_at == 0 || (worst < 5 && squares > 0.8 * (double)looked_at && squares < 1.25 * (double)looked_at));
        /* the largest alone are not the tensor, however often */
        assert_true(squared_error(biased, x, mean) > 10 * expected);
        free(probability);
        free(mean);
        free(y);
        free(x);
        actc_codec_plan_destroy(&biased);
        actc_codec_plan_destroy(&plan);
    }
}

/* As many as there are slots in each tile, or all that are not zero, whatever is drawn; certain ones always and as they are. */
static void test_counts(void **state)
{
    static const shape_case shape = {1, {1500}};
    (void)state;
    for (int lambda = 1; lambda <= 300; lambda += lambda < 10 ? 1 : 37) {
        char spec[96];
        snprintf(spec, sizeof spec, "threshold:lambda=%d,select=random", lambda);
        actc_codec_plan *plan = codec_plan(spec, &shape);
        float *x = codec_content(SPARSE, plan->n, (uint64_t)lambda), *restored = malloc(4 * plan->n);
        double *probability = malloc(plan->m * sizeof *probability);
        void *payload = aligned_alloc(64, (plan->payload_bytes + 255) / 64 * 64), *workspace = codec_workspace(plan);
        uint32_t *y = malloc(4 * plan->n);
        assert_true(restored && probability && payload && y);
        memcpy(y, x, 4 * plan->n);
        predict(plan, y, probability);
        for (uint32_t seed = 0; seed < 100; seed++) {
            pass_through(plan, seed, x, payload, workspace, restored);
            for (uint64_t a = 0; a < plan->m; a += 256) {
                uint64_t slots = actc_codec_tile_slot(plan, a / 256 + 1) - actc_codec_tile_slot(plan, a / 256);
                uint64_t count = 0, present = 0;
                assert_true(slots > 0);
                for (uint64_t i = a; i < plan->m && i < a + 256; i++) {
                    present += x[i] != 0;
                    count += restored[i] != 0;
                    if (probability[i] == 1)
                        assert_true(restored[i] == x[i]);
                }
                assert_int_equal(count, present < slots ? present : slots);
            }
        }
        free(y);
        free(workspace);
        free(payload);
        free(probability);
        free(restored);
        free(x);
        actc_codec_plan_destroy(&plan);
    }
}

/* A tile in which something is not finite keeps its largest; neighbours draw as ever. Sums that no float holds: the value is
 * the largest one. One element, and none that is not zero. */
static void test_extremes(void **state)
{
    float x[512], restored[512];
    actc_codec_plan *plan = codec_plan("threshold:lambda=64,select=random", &(shape_case){1, {512}});
    void *workspace = codec_workspace(plan), *payload = aligned_alloc(64, (plan->payload_bytes + 255) / 64 * 64);
    (void)state;
    assert_non_null(payload);
    for (int i = 0; i < 512; i++)
        x[i] = i < 256 ? 1.0f : 3e38f;
    x[17] = NAN;
    x[18] = -INFINITY;
    for (uint32_t seed = 0; seed < 50; seed++) {
        int largest = 0;
        pass_through(plan, seed, x, payload, workspace, restored);
        for (int i = 0; i < 256; i++)
            assert_true(i == 17 ? isnan(restored[i]) : restored[i] == (i == 18 ? -INFINITY : i < 2 ? 1.0f : 0.0f));
        for (int i = 256; i < 512; i++) {
            assert_true(restored[i] == 0 || restored[i] == 0x1.fffffep127f);
            largest += restored[i] != 0;
        }
        assert_int_equal(largest, 4);
    }
    memset(x, 0, sizeof x);
    x[3] = -0.0f;
    x[300] = 0x1p-149f;
    pass_through(plan, 1, x, payload, workspace, restored);
    for (int i = 0; i < 512; i++)
        assert_true(i == 3 ? restored[i] == 0 : memcmp(&restored[i], &x[i], 4) == 0);
    free(payload);
    free(workspace);
    actc_codec_plan_destroy(&plan);
    plan = codec_plan("threshold:lambda=64,select=random", &(shape_case){0, {0}});
    guarded one = guarded_new(plan->payload_bytes), back = guarded_new(4);
    x[0] = -2.5f;
    codec_pack(plan, (codec_run){ACTC_CPU_BASELINE, 1}, x, &one);
    codec_unpack(plan, (codec_run){ACTC_CPU_BASELINE, 1}, one.data, 0, 1, &back);
    assert_memory_equal(back.data, x, 4);
    guarded_free(&back);
    guarded_free(&one);
    actc_codec_plan_destroy(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean_over_seeds),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, codec_setup, codec_teardown);
}
