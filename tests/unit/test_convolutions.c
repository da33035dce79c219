/* Convolutions in two and three dimensions, depthwise and transposed, against PyTorch in float64 (tests/oracle/convolutions.py):
 * loss, and the gradient of every parameter; restored in parts of the batch and of the depth they give what restoring them whole gives.
 * On the device that ACTC_TEST_DEVICE names.
 */
#include <math.h>

#include "network_test.h"

enum { N = 3, CLASSES = 4, CHANNELS = 4 };

static const struct convolution {
    const char *name;
    int axes;
    int64_t size[3];
    bool transposed;
    actc_conv_options o;
} cases[] = {
    {"volume", 3, {5, 6, 7}, false, {.kernel = {3, 2, 3}, .stride = {1, 2, 1}, .padding = {1, 0, 1}, .dilation = {1, 1, 1}, .groups = 1, .out_channels = 5}},
    {"volume-dilated", 3, {8, 7, 6}, false, {.kernel = {2, 3, 2}, .stride = {2, 1, 1}, .padding = {1, 2, 0}, .dilation = {3, 2, 1}, .groups = 1, .out_channels = 3}},
    {"volume-depthwise", 3, {4, 5, 6}, false, {.kernel = {3, 3, 2}, .stride = {2, 1, 1}, .padding = {1, 1, 0}, .dilation = {1, 1, 2}, .groups = 4, .out_channels = 8}},
    {"map-depthwise", 2, {7, 8}, false, {.kernel = {3, 3}, .stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 4, .out_channels = 4}},
    {"map-transposed", 2, {4, 5}, true, {.kernel = {3, 2}, .stride = {2, 3}, .padding = {1, 0}, .dilation = {1, 1}, .groups = 1, .out_channels = 6, .output_padding = {1, 2}}},
    {"map-transposed-dilated", 2, {4, 3}, true, {.kernel = {2, 3}, .stride = {1, 2}, .padding = {0, 1}, .dilation = {2, 1}, .groups = 1, .out_channels = 3, .output_padding = {0, 1}}},
    {"volume-transposed", 3, {3, 2, 4}, true, {.kernel = {2, 2, 2}, .stride = {2, 2, 2}, .padding = {0, 0, 0}, .dilation = {1, 1, 1}, .groups = 1, .out_channels = 5}},
    {"volume-transposed-odd", 3, {2, 3, 3}, true, {.kernel = {3, 2, 3}, .stride = {2, 1, 2}, .padding = {1, 0, 1}, .dilation = {1, 1, 1}, .groups = 1, .out_channels = 2, .output_padding = {1, 0, 0}}},
};

static const float *tensor(const fixture *f, const actc_safetensors *file, const char *name, const char *what)
{
    char text[128];
    size_t index;
    const float *values;
    snprintf(text, sizeof text, "%s|%s", name, what);
    if (actc_safetensors_find(file, text, &index) != ACTC_OK)
        fail_msg("the fixture has no tensor %s", text);
    CHECK(f->context, actc_safetensors_get(file, index, NULL, NULL, &values));
    return values;
}

static actc_tensor *convolve(actc_graph *graph, actc_tensor *x, const struct convolution *c, actc_conv_options o)
{
    o.size = sizeof o;
    o.bias = true;
    return c->transposed ? actc_conv_transpose(graph, "op", x, &o) : actc_convolution(graph, "op", x, &o);
}

static void against_float64(void **state)
{
    const fixture *f = *state;
    actc_safetensors *file;
    CHECK(f->context, actc_safetensors_open(f->context, ACTC_TEST_SOURCE_DIR "/../oracle/fixtures/convolutions.safetensors", &file));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct convolution *c = &cases[i];
        const int64_t sample[] = {2, c->size[0], c->size[1], c->size[2]};
        int32_t labels[N];
        actc_graph *graph;
        actc_network *network;
        CHECK(f->context, actc_graph_create(f->context, c->name, &graph));
        actc_conv_options first = actc_conv_options_default(CHANNELS, 1);
        actc_linear_options fc = actc_linear_options_default(CLASSES);
        actc_tensor *x = actc_convolution(graph, "first", actc_input(graph, "x", sample, 1 + c->axes), &first);
        x = actc_linear(graph, "fc", actc_flatten(graph, "flat", convolve(graph, x, c, c->o)), &fc);
        actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, actc_label_input(graph, "label")));
        actc_network_options options = actc_network_options_default();
        options.train_batch = N;
        options.seed = 5;
        CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
        actc_graph_destroy(&graph);
        CHECK(f->context, actc_network_initialize(network));
        actc_step_result result = {.size = sizeof result};
        for (int k = 0; k < N; k++)
            labels[k] = (int32_t)tensor(f, file, c->name, "labels")[k];
        CHECK(f->context, actc_network_train_step(network, tensor(f, file, c->name, "images"), labels, 0, &result));
        float want_loss = tensor(f, file, c->name, "loss")[0];
        if (!(fabsf(result.loss - want_loss) <= 1e-6f * want_loss))
            fail_msg("%s: loss %.9g, float64 gives %.9g", c->name, result.loss, want_loss);
        for (size_t s = 0; s < actc_network_state_count(network); s++) {
            actc_state_info info;
            CHECK(f->context, actc_network_state_info(network, s, &info));
            if (info.kind != ACTC_STATE_GRADIENT)
                continue;
            int64_t n = actc_shape_elements(&info.shape);
            float *got = malloc((size_t)n * sizeof *got);
            const float *want = tensor(f, file, c->name, info.name);
            double error = 0, norm = 0;
            assert_non_null(got);
            CHECK(f->context, actc_network_read_state(network, s, got));
            for (int64_t k = 0; k < n; k++) {
                error += ((double)got[k] - want[k]) * ((double)got[k] - want[k]);
                norm += (double)want[k] * want[k];
            }
            free(got);
            if (!(error <= 1e-11 * norm))
                fail_msg("%s: %s: relative error %g", c->name, info.name, sqrt(error / norm));
        }
        actc_network_destroy(&network);
    }
    actc_safetensors_destroy(&file);
}

static void refused(const fixture *f, bool transposed, const char *words, void (*spoil)(actc_conv_options *))
{
    const int64_t sample[] = {4, 6, 6};
    actc_graph *graph;
    actc_conv_options o = actc_conv_options_default(6, 3);
    spoil(&o);
    CHECK(f->context, actc_graph_create(f->context, "bad", &graph));
    actc_tensor *x = actc_input(graph, "x", sample, 3);
    assert_null(transposed ? actc_conv_transpose(graph, "op", x, &o) : actc_convolution(graph, "op", x, &o));
    if (!strstr(actc_error_message(f->context), words))
        fail_msg("'%s' is not in '%s'", words, actc_error_message(f->context));
    actc_graph_destroy(&graph);
}

static void two_groups(actc_conv_options *o) { o->groups = 2; }
static void six_of_four(actc_conv_options *o) { o->groups = 4; }
static void too_wide(actc_conv_options *o) { o->kernel[1] = 9; }
static void first_ones(actc_conv_options *o) { o->init = ACTC_INIT_ONES; }
static void padded_output(actc_conv_options *o) { o->output_padding[0] = 1; }

static void bad_options(void **state)
{
    refused(*state, false, "groups is 2; accepted are 1 and", two_groups);
    refused(*state, false, "out_channels (6)", six_of_four);
    refused(*state, false, "the kernel spans 9 in dimension 3", too_wide);
    refused(*state, false, "init is 2, must be ACTC_INIT_DEFAULT (0) or", first_ones);
    refused(*state, false, "output_padding is 1", padded_output);
    refused(*state, true, "output_padding is 1, must be below the stride 1", padded_output);
}

/* First values N(0, 2 / fan_out): as many within 1, 2, 3 and 4 deviations of 0, on either side, as there should be, and none beyond 6. */
static void normal_first_values(void **state)
{
    const fixture *f = *state;
    enum { IN = 64, OUT = 256 };
    static float values[OUT * IN * 9];
    static const double within[] = {0.682689, 0.954500, 0.997300, 0.999937};
    const int64_t sample[] = {IN, 1, 1};
    for (int depthwise = 0; depthwise < 2; depthwise++) {
        actc_graph *graph;
        actc_network *network;
        CHECK(f->context, actc_graph_create(f->context, "normal", &graph));
        actc_conv_options o = actc_conv_options_default(OUT, 3);
        o.padding[0] = o.padding[1] = 1;
        o.groups = depthwise ? IN : 1;
        o.init = ACTC_INIT_KAIMING_NORMAL;
        actc_graph_add_output(graph, actc_convolution(graph, "op", actc_input(graph, "x", sample, 3), &o));
        actc_network_options options = actc_network_options_default();
        options.train_batch = options.eval_batch = 0;
        options.infer_batch = 1;
        options.seed = 7;
        CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
        actc_graph_destroy(&graph);
        CHECK(f->context, actc_network_initialize(network));
        assert_int_equal(actc_network_state_count(network), 2);
        const int64_t n = depthwise ? OUT * 9 : OUT * IN * 9;
        const double deviation = sqrt(2.0 / (9 * OUT / (depthwise ? IN : 1)));
        double inside[4] = {0}, above = 0;
        CHECK(f->context, actc_network_read_state(network, 0, values));
        for (int64_t i = 0; i < n; i++) {
            const double z = values[i] / deviation;
            above += z > 0;
            for (int k = 0; k < 4; k++)
                inside[k] += fabs(z) <= k + 1;
            assert_true(fabs(z) < 6);
        }
        assert_true(fabs(above / (double)n - 0.5) <= 3 / sqrt((double)n));
        for (int k = 0; k < 4; k++)
            if (!(fabs(inside[k] / (double)n - within[k]) <= 4 * sqrt(within[k] * (1 - within[k]) / (double)n)))
                fail_msg("%g of %lld values within %d deviations, should be %g", inside[k], (long long)n, k + 1, within[k]);
        CHECK(f->context, actc_network_read_state(network, 1, values));
        for (int i = 0; i < OUT; i++)
            assert_true(values[i] == 0);
        actc_network_destroy(&network);
    }
}

/* The gradient of a convolution whose input is restored plane by plane (the plan cuts it where that lowers the peak) lies as near to
 * that of one restored whole as two orders of addition do. */
static void parts_of_volumes(void **state)
{
    const fixture *f = *state;
    enum { SIDE = 16, C = 16, DEPTH = 24 };
    static float images[C * DEPTH * SIDE * SIDE], gradients[2][C * C * 27];
    const int64_t sample[] = {C, DEPTH, SIDE, SIDE};
    uint64_t planned[2];
    uint32_t random = 3;
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        random = random * 1664525u + 1013904223u;
        images[i] = (float)(random >> 8) / 8388608.0f - 1.0f;
    }
    for (int lossy = 0; lossy < 2; lossy++) {
        int32_t label = 1;
        actc_graph *graph;
        actc_network *network;
        CHECK(f->context, actc_graph_create(f->context, "volumes", &graph));
        actc_conv_options conv = actc_conv_options_default(C, 3);
        conv.padding[0] = conv.padding[1] = conv.padding[2] = 1;
        actc_linear_options fc = actc_linear_options_default(CLASSES);
        actc_tensor *x = actc_input(graph, "x", sample, 4);
        x = actc_convolution(graph, "a", x, &conv);
        x = actc_convolution(graph, "b", x, &conv);
        x = actc_flatten(graph, "flat", actc_global_avg_pool(graph, "mean", x));
        actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_linear(graph, "fc", x, &fc), actc_label_input(graph, "y")));
        actc_network_options options = actc_network_options_default();
        options.optimizer = actc_optimizer_options_default(ACTC_OPTIMIZER_SGD);
        options.train_batch = 1;
        options.compress = lossy ? "b=wavelet:lambda=1.2,select=tile" : NULL;
        CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
        actc_graph_destroy(&graph);
        CHECK(f->context, actc_network_initialize(network));
        CHECK(f->context, actc_network_train_step(network, images, &label, 0, NULL));
        actc_memory_report memory = {.size = sizeof memory};
        CHECK(f->context, actc_network_memory(network, &memory));
        assert_int_equal(memory.planned_bytes, memory.allocated_bytes);
        planned[lossy] = memory.planned_bytes;
        for (size_t s = 0; s < actc_network_state_count(network); s++) {
            actc_state_info info;
            CHECK(f->context, actc_network_state_info(network, s, &info));
            if (!strcmp(info.name, "grad.b.weight"))
                CHECK(f->context, actc_network_read_state(network, s, gradients[lossy]));
        }
        actc_network_destroy(&network);
    }
    double error = 0, norm = 0;
    for (int k = 0; k < C * C * 27; k++) {
        error += ((double)gradients[0][k] - gradients[1][k]) * ((double)gradients[0][k] - gradients[1][k]);
        norm += (double)gradients[0][k] * gradients[0][k];
    }
    assert_true(norm > 0);
    if (!(error <= 4e-4 * norm)) /* lossy by 0.7 %; a plane of the halo left out makes 10 times as much */
        fail_msg("relative error %g; planned %llu and %llu bytes", sqrt(error / norm), (unsigned long long)planned[0],
                 (unsigned long long)planned[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_float64), cmocka_unit_test(bad_options), cmocka_unit_test(parts_of_volumes),
                                       cmocka_unit_test(normal_first_values)};
    return cmocka_run_group_tests_name("convolutions", tests, set_up, tear_down);
}
