/* Gradients of every parameter of MnistNet against PyTorch in float64 (tests/oracle/mnistnet_gradients.py): relative L2
 * error <= 1e-5 uncompressed, <= 1e-4 with the reference's forms of compression. */
#include <math.h>

#include "network_test.h"

#define BATCH 16

typedef struct oracle {
    actc_safetensors *file;
    const float *images;
    int32_t labels[BATCH];
} oracle;

static const float *tensor(const fixture *f, const actc_safetensors *file, const char *name)
{
    size_t index;
    const float *values;
    if (actc_safetensors_find(file, name, &index) != ACTC_OK)
        fail_msg("the fixture has no tensor %s", name);
    CHECK(f->context, actc_safetensors_get(file, index, NULL, NULL, &values));
    return values;
}

static void read_oracle(const fixture *f, oracle *o)
{
    CHECK(f->context, actc_safetensors_open(f->context, ACTC_TEST_SOURCE_DIR "/../oracle/fixtures/mnistnet_gradients.safetensors", &o->file));
    o->images = tensor(f, o->file, "images");
    const float *labels = tensor(f, o->file, "labels");
    for (int i = 0; i < BATCH; i++)
        o->labels[i] = (int32_t)labels[i];
}

static double relative_error(const float *got, const float *want, int64_t n)
{
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        norm += (double)want[i] * want[i];
    }
    return sqrt(difference / norm);
}

/* One step with these rules; conv2.weight is compared with the tensor `conv2_name` of the fixture. */
static void compare(const fixture *f, const char *rules, const char *conv2_name, double bound)
{
    oracle o;
    read_oracle(f, &o);
    actc_network *network = network_of(f, BATCH, rules);
    actc_step_result result = {.size = sizeof result};
    CHECK(f->context, actc_network_train_step(network, o.images, o.labels, 0, &result));
    double want = tensor(f, o.file, "loss")[0];
    assert_true(fabs(result.loss - want) <= 1e-6 * want);
    int compared = 0;
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        CHECK(f->context, actc_network_state_info(network, i, &info));
        if (info.kind != ACTC_STATE_GRADIENT)
            continue;
        int64_t n = actc_shape_elements(&info.shape);
        float *got = malloc((size_t)n * sizeof *got);
        assert_non_null(got);
        CHECK(f->context, actc_network_read_state(network, i, got));
        bool compressed = conv2_name && !strcmp(info.name, "grad.conv2.weight");
        double error = relative_error(got, tensor(f, o.file, compressed ? conv2_name : info.name), n);
        free(got);
        if (!(error <= (compressed ? bound : 1e-5)))
            fail_msg("%s with '%s': relative error %g", info.name, rules ? rules : "", error);
        compared++;
    }
    assert_int_equal(compared, 8);
    actc_network_destroy(&network);
    actc_safetensors_destroy(&o.file);
}

static void uncompressed(void **state)
{
    compare(*state, NULL, NULL, 0);
}

static void threshold(void **state)
{
    compare(*state, "conv2=threshold:ratio=0.9", "threshold:ratio=0.9|grad.conv2.weight", 1e-4);
}

static void dct_reference(void **state)
{
    compare(*state, "conv2=dct:block=row,norm=none,ratio=0.9", "dct:block=row,norm=none,ratio=0.9|grad.conv2.weight", 1e-4);
}

static void wavelet_reference(void **state)
{
    compare(*state, "conv2=wavelet:mode=symmetric,select=band,ratio=0.9",
            "wavelet:mode=symmetric,select=band,ratio=0.9|grad.conv2.weight", 1e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uncompressed),
        cmocka_unit_test(threshold),
        cmocka_unit_test(dct_reference),
        cmocka_unit_test(wavelet_reference),
    };
    return cmocka_run_group_tests_name("gradients", tests, set_up, tear_down);
}
