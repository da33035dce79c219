/* test_quant_gradients.c: what quantised activations do to the gradients of a narrow ResNet18, beside dct at the same bytes: the
 * relative errors are printed, fall with the bits, and average out over steps where only the gradients of parameters are computed
 * from what is restored.
 */
#include <math.h>

#include "network_test.h"

enum { BATCH = 8, CHANNELS = 3, SIDE = 32, CLASSES = 10, WARM = 20, MEAN = 48 };

typedef struct inputs {
    float images[BATCH * CHANNELS * SIDE * SIDE];
    int32_t labels[BATCH];
} inputs;

/* Waves of a few lengths: smooth, as images are. */
static void fill(inputs *in)
{
    for (int b = 0; b < BATCH; b++) {
        in->labels[b] = b % CLASSES;
        for (int c = 0; c < CHANNELS; c++)
            for (int y = 0; y < SIDE; y++)
                for (int x = 0; x < SIDE; x++)
                    in->images[((b * CHANNELS + c) * SIDE + y) * SIDE + x] =
                        sinf(0.2f * (float)(x + b) + (float)c) + cosf(0.13f * (float)(y * (b + 1))) + 0.3f * sinf((float)(x * y + b));
    }
}

static actc_network *resnet(const fixture *f, const char *rules)
{
    const actc_model *model = actc_model_find("resnet18");
    actc_model_config config = actc_model_usual(model);
    actc_graph *graph;
    actc_network *network;
    config.sample = (actc_shape){3, {CHANNELS, SIDE, SIDE}};
    config.classes = CLASSES;
    config.options[0] = 8; /* width */
    CHECK(f->context, actc_graph_create(f->context, "resnet18", &graph));
    model->build(graph, &config);
    actc_network_options options = actc_network_options_default();
    options.train_batch = BATCH;
    options.compress = rules;
    options.seed = 3;
    CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
    actc_graph_destroy(&graph);
    CHECK(f->context, actc_network_initialize(network));
    return network;
}

/* All values of a kind, one after another: read, or written where `write` is set. Returns their number. */
static size_t states(const fixture *f, actc_network *network, actc_state_kind kind, bool write, float *all)
{
    size_t count = 0;
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info;
        CHECK(f->context, actc_network_state_info(network, i, &info));
        if (info.kind != kind)
            continue;
        if (all && write)
            CHECK(f->context, actc_network_write_state(network, i, all + count));
        else if (all)
            CHECK(f->context, actc_network_read_state(network, i, all + count));
        count += (size_t)actc_shape_elements(&info.shape);
    }
    return count;
}

static double relative(const float *a, const float *b, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(difference / norm);
}

typedef struct trained {
    inputs in;
    size_t count;
    float *parameters, *gradient, *other, *mean;
} trained;

/* Parameters after some steps, and their gradient. */
static void train(const fixture *f, trained *t)
{
    actc_network *network = resnet(f, NULL);
    fill(&t->in);
    t->count = states(f, network, ACTC_STATE_PARAMETER, false, NULL);
    assert_int_equal(t->count, states(f, network, ACTC_STATE_GRADIENT, false, NULL));
    t->parameters = calloc(4 * t->count, sizeof(float));
    assert_non_null(t->parameters);
    t->gradient = t->parameters + t->count;
    t->other = t->gradient + t->count;
    t->mean = t->other + t->count;
    for (int i = 0; i < WARM; i++)
        CHECK(f->context, actc_network_train_step(network, t->in.images, t->in.labels, 0.001, NULL));
    states(f, network, ACTC_STATE_PARAMETER, false, t->parameters);
    CHECK(f->context, actc_network_train_step(network, t->in.images, t->in.labels, 0, NULL));
    states(f, network, ACTC_STATE_GRADIENT, false, t->gradient);
    actc_network_destroy(&network);
}

/* The error of the gradient of one step, and of the mean over `steps`, whose random numbers differ. */
static double error_of(const fixture *f, trained *t, const char *rules, int steps, double *of_mean, uint64_t *bytes)
{
    actc_network *network = resnet(f, rules);
    actc_memory_report report = {.size = sizeof report};
    double error = 0;
    CHECK(f->context, actc_network_memory(network, &report));
    *bytes = report.saved_payload_bytes;
    states(f, network, ACTC_STATE_PARAMETER, true, t->parameters);
    memset(t->mean, 0, t->count * sizeof(float));
    for (int s = 0; s < steps; s++) {
        CHECK(f->context, actc_network_train_step(network, t->in.images, t->in.labels, 0, NULL));
        states(f, network, ACTC_STATE_GRADIENT, false, t->other);
        for (size_t i = 0; i < t->count; i++)
            t->mean[i] += t->other[i] / (float)steps;
        error = s == 0 ? relative(t->other, t->gradient, t->count) : error;
    }
    *of_mean = relative(t->mean, t->gradient, t->count);
    actc_network_destroy(&network);
    return error;
}

/* The lambda of a dct whose payload is the nearest to so many bytes. */
static double dct_lambda(const fixture *f, uint64_t bytes)
{
    double low = 1, high = 1000;
    for (int i = 0; i < 7; i++) {
        double middle = sqrt(low * high);
        char rules[64];
        snprintf(rules, sizeof rules, "*=dct:lambda=%.4f", middle);
        actc_network *network = resnet(f, rules);
        actc_memory_report report = {.size = sizeof report};
        CHECK(f->context, actc_network_memory(network, &report));
        *(report.saved_payload_bytes > bytes ? &low : &high) = middle;
        actc_network_destroy(&network);
    }
    return high;
}

static void bits_beside_dct(void **state)
{
    const fixture *f = *state;
    trained t;
    double before = 0;
    train(f, &t);
    print_message("resnet18, width 8, batch %d of %dx%d: relative L2 error of all gradients\n", BATCH, SIDE, SIDE);
    for (int bits = 8; bits >= 2; bits /= 2) {
        char quant[64], dct[64];
        uint64_t bytes[2];
        double mean;
        snprintf(quant, sizeof quant, "*=quant:bits=%d", bits);
        double error = error_of(f, &t, quant, 1, &mean, &bytes[0]);
        snprintf(dct, sizeof dct, "*=dct:lambda=%.4f", dct_lambda(f, bytes[0]));
        double other = error_of(f, &t, dct, 1, &mean, &bytes[1]);
        print_message("  %-16s %.4f in %llu bytes    %-20s %.4f in %llu bytes\n", quant + 2, error, (unsigned long long)bytes[0],
                      dct + 2, other, (unsigned long long)bytes[1]);
        assert_true(bytes[1] <= bytes[0] && bytes[1] > bytes[0] / 10 * 9);
        assert_true(error > 1.5 * before && error < (bits == 8 ? 0.05 : bits == 4 ? 0.5 : 2));
        before = error;
    }
    free(t.parameters);
}

/* Convolutions and the linear layer are linear in what they saved: an unbiased codec leaves the expectation of their gradients,
 * and the error of the mean falls with the root of the steps. One that is not keeps its error. */
static void errors_average_out(void **state)
{
    const fixture *f = *state;
    trained t;
    uint64_t bytes;
    train(f, &t);
    for (int symmetric = 0; symmetric < 2; symmetric++) {
        double mean, one = error_of(f, &t, symmetric ? "*@conv,linear=quant:bits=2,mode=symmetric" : "*@conv,linear=quant:bits=2",
                                    MEAN, &mean, &bytes);
        print_message("  %s: one step %.4f, the mean of %d %.4f\n", symmetric ? "symmetric" : "minmax", one, MEAN, mean);
        assert_true(bytes > 0 && one > 0 && mean < 1.4 * one / sqrt(MEAN));
    }
    double mean, one = error_of(f, &t, "*@conv,linear=dct:lambda=16", 2, &mean, &bytes);
    assert_true(mean > 0.99 * one);
    free(t.parameters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bits_beside_dct), cmocka_unit_test(errors_average_out)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
