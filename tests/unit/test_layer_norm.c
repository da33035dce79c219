/* Layer norm, on the CPU: a sequence that is restored in slices gives the gradients of one that is kept; what gets a gradient
 * where the weights are frozen, each by itself or both, or the input needs none; what it and softmax refuse. */
#include "fill.h"

#include <math.h>

#include <actc/actc.h>

#include "runtime/network.h"

enum { B = 8, T = 64, D = 32, CLASSES = 3 };

static actc_context *context;
static actc_device *device;
static float input[B * T * D];
static int32_t labels[B];

static void ok(actc_status status)
{
    if (status != ACTC_OK)
        fail_msg("%s: %s", actc_status_string(status), actc_error_message(context));
}

/* Which of the second norm's parameters are frozen. */
typedef enum frozen_parameters {
    NONE, BOTH, WEIGHT_ALONE, BIAS_ALONE
} frozen_parameters;

/* Two in a row, so that one hands its gradient on, and a classifier. */
static actc_network *make(const char *rules, frozen_parameters frozen)
{
    const int64_t sample[] = {T, D};
    actc_graph *graph;
    actc_network *network;
    actc_layer_norm_options norm = actc_layer_norm_options_default();
    actc_linear_options fc = actc_linear_options_default(CLASSES);
    const int64_t around[] = {1, 1, D, 1};
    norm.frozen = frozen == BOTH;
    ok(actc_graph_create(context, "norms", &graph));
    if (frozen == WEIGHT_ALONE || frozen == BIAS_ALONE) {
        norm.weight_parameter = actc_parameter_create(graph, "ln2.weight", around, 4, ACTC_INIT_ONES, 0);
        norm.bias_parameter = actc_parameter_create(graph, "ln2.bias", around, 4, ACTC_INIT_ZEROS, 0);
        actc_parameter_freeze(frozen == WEIGHT_ALONE ? norm.weight_parameter : norm.bias_parameter);
    }
    actc_tensor *x = actc_layer_norm(graph, "ln1", actc_input(graph, "x", sample, 2), NULL);
    x = actc_dropout(graph, "drop", x, 0.9);
    x = actc_add(graph, "sum", actc_layer_norm(graph, "ln2", x, &norm), x);
    x = actc_flatten(graph, "flatten", actc_slice(graph, "slice", x, 1, 3, 5));
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_linear(graph, "fc", x, &fc), actc_label_input(graph,
                                                                                                                    "label")));
    actc_network_options options = actc_network_options_default();
    options.train_batch = B;
    options.compress = rules;
    options.seed = 3;
    ok(actc_network_create(device, graph, &options, &network));
    ok(actc_network_initialize(network));
    ok(actc_network_train_step(network, input, labels, 0, NULL));
    actc_graph_destroy(&graph);
    return network;
}

/* The gradient of a parameter; false where it has none. */
static bool gradient(actc_network *network, const char *name, float *values)
{
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        ok(actc_network_state_info(network, i, &info));
        if (info.kind != ACTC_STATE_GRADIENT || strcmp(info.name, name))
            continue;
        ok(actc_network_read_state(network, i, values));
        return true;
    }
    return false;
}

static int launches(const actc_network *network, actc_kernel_id id)
{
    const actc_program *program = &network->build->programs[ACTC_PROGRAM_TRAIN];
    int count = 0;
    for (size_t i = 0; i < program->n_commands; i++)
        count += program->commands[i].type == ACTC_COMMAND_KERNEL && program->commands[i].u.kernel.id == id;
    return count;
}

static void test_slices(void **state)
{
    (void)state;
    /* more values than dropout leaves */
    actc_network *kept = make(NULL, NONE), *restored = make("ln2=threshold:lambda=8", NONE);
    float a[D], b[D];
    assert_int_equal(launches(kept, ACTC_KERNEL_ln_bwd), 1);
    assert_true(launches(restored, ACTC_KERNEL_ln_bwd) > 1);
    /* of what is handed on */
    assert_true(gradient(kept, "grad.ln1.weight", a) && gradient(restored, "grad.ln1.weight", b));
    assert_memory_equal(a, b, sizeof a);
    assert_true(gradient(kept, "grad.ln1.bias", a) && gradient(restored, "grad.ln1.bias", b));
    assert_memory_equal(a, b, sizeof a);
    /* sums over the slices */
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "grad.ln2.bias" : "grad.ln2.weight";
        assert_true(gradient(kept, name, a) && gradient(restored, name, b));
        for (int i = 0; i < D; i++)
            assert_true(a[i] != 0 && fabsf(a[i] - b[i]) <= 1e-6f);
    }
    actc_network_destroy(&kept);
    actc_network_destroy(&restored);
}

static void test_frozen(void **state)
{
    (void)state;
    actc_network *trained = make(NULL, NONE), *frozen = make(NULL, BOTH);
    float a[D], b[D];
    assert_true(gradient(trained, "grad.ln2.weight", a) && gradient(trained, "grad.ln2.bias", a));
    assert_false(gradient(frozen, "grad.ln2.weight", b) || gradient(frozen, "grad.ln2.bias", b));
    assert_true(gradient(trained, "grad.ln1.weight", a) && gradient(frozen, "grad.ln1.weight", b));
    assert_memory_equal(a, b, sizeof a);
    actc_network_destroy(&frozen);
    for (int k = 0; k < 2; k++) {
        const char *names[] = {"grad.ln2.weight", "grad.ln2.bias"};
        frozen = make(NULL, k ? BIAS_ALONE : WEIGHT_ALONE);
        assert_false(gradient(frozen, names[k], b));
        assert_true(gradient(frozen, names[1 - k], b) && gradient(trained, names[1 - k], a));
        assert_memory_equal(a, b, sizeof a);
        actc_network_destroy(&frozen);
    }
    actc_network_destroy(&trained);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct { int64_t sample[3]; int ndim; double epsilon; const char *words; } bad[] = {
        {{4}, 1, 0, "norm (ln): epsilon is 0, must be 1e-12 to 1"},
        {{4}, 1, 2, "norm (ln): epsilon is 2, must be 1e-12 to 1"},
        {{4}, 1, NAN, "norm (ln): epsilon is "},
        {{4}, 0, 1e-5, "norm (ln): needs an input N,F, B,T,D, N,C,H,W or N,C,D,H,W, got 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        actc_layer_norm_options options = actc_layer_norm_options_default();
        actc_graph *graph;
        options.epsilon = bad[i].epsilon;
        ok(actc_graph_create(context, "norms", &graph));
        assert_null(actc_layer_norm(graph, "norm", actc_input(graph, "x", bad[i].sample, bad[i].ndim), &options));
        assert_int_equal(actc_graph_status(graph), ACTC_ERROR_INVALID_ARGUMENT);
        if (!strstr(actc_error_message(context), bad[i].words))
            fail_msg("'%s' does not say '%s'", actc_error_message(context), bad[i].words);
        actc_graph_destroy(&graph);
    }
}

static void test_parameter_refused(void **state)
{
    (void)state;
    static const struct { int64_t dims[2]; int ndim; const char *words; } bad[] = {
        {{5}, 1, "norm: parameter w is 5, must be 4"}, {{2, 2}, 2, "norm: parameter w is 2x2, must be 4"},
        {{4, 2}, 2, "norm: parameter w is 4x2, must be 4x1"},
    };
    const int64_t sample[] = {4, 3, 2};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        actc_layer_norm_options options = actc_layer_norm_options_default();
        actc_graph *graph;
        ok(actc_graph_create(context, "norms", &graph));
        options.weight_parameter = actc_parameter_create(graph, "w", bad[i].dims, bad[i].ndim, ACTC_INIT_ONES, 0);
        assert_null(actc_layer_norm(graph, "norm", actc_input(graph, "x", sample, 3), &options));
        assert_int_equal(actc_graph_status(graph), ACTC_ERROR_INVALID_ARGUMENT);
        if (!strstr(actc_error_message(context), bad[i].words))
            fail_msg("'%s' does not say '%s'", actc_error_message(context), bad[i].words);
        actc_graph_destroy(&graph);
    }
}

static void test_softmax_refused(void **state)
{
    (void)state;
    actc_graph *graph;
    ok(actc_graph_create(context, "norms", &graph));
    assert_null(actc_softmax(graph, "attention", actc_input(graph, "x", NULL, 0)));
    assert_non_null(strstr(actc_error_message(context), "attention (softmax): needs an input N,F, B,T,D, N,C,H,W or N,C,D,H,W, got 1"));
    actc_graph_destroy(&graph);
}

static int setup(void **state)
{
    (void)state;
    actc_device_options options = actc_device_options_default();
    options.device = "cpu";
    test_rng r = {5};
    for (int i = 0; i < B * T * D; i++)
        input[i] = rng_normal(&r);
    for (int i = 0; i < B; i++)
        labels[i] = i % CLASSES;
    return actc_context_create(NULL, &context) == ACTC_OK && actc_device_open(context, &options, &device) == ACTC_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    actc_device_destroy(&device);
    actc_context_destroy(&context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_slices), cmocka_unit_test(test_frozen),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_parameter_refused),
                                       cmocka_unit_test(test_softmax_refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
