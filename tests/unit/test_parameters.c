/* Parameters as tensors, on the CPU: first values that are normal, where their elements lie, what else they are broadcast against, and
 * what is refused. Their gradients are among tests/operators. */
#include "fill.h"

#include <math.h>

#include <actc/actc.h>

enum { N = 3, C = 5, H = 4, W = 6, MANY = 1 << 15 };

static actc_context *context;
static actc_device *device;

static void ok(actc_status status)
{
    if (status != ACTC_OK)
        fail_msg("%s: %s", actc_status_string(status), actc_error_message(context));
}

static void create(actc_graph *graph, uint64_t seed, actc_network **network)
{
    actc_network_options options = actc_network_options_default();
    options.infer_batch = N;
    options.seed = seed;
    ok(actc_network_create(device, graph, &options, network));
    ok(actc_network_initialize(*network));
}

/* Normal numbers of variance 1/4 under a name. */
static void draw(const char *name, uint64_t seed, float *values)
{
    const int64_t dims[] = {1, MANY / 256, 256};
    actc_graph *graph;
    actc_network *network;
    ok(actc_graph_create(context, "parameters", &graph));
    actc_tensor *p = actc_parameter_tensor(graph, "op", actc_parameter_create(graph, name, dims, 3, ACTC_INIT_NORMAL, 4));
    actc_graph_add_output(graph, actc_add(graph, "add", actc_input(graph, "x", dims + 1, 2), p));
    create(graph, seed, &network);
    ok(actc_network_read_state(network, 0, values));
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
}

static void test_normal(void **state)
{
    (void)state;
    static float a[MANY], b[MANY];
    double moments[5] = {0}, with_next = 0;
    size_t below = 0;
    draw("p", 1, a);
    for (size_t i = 0; i < MANY; i++) {
        const double z = 2.0 * a[i];
        for (int k = 1; k <= 4; k++)
            moments[k] += pow(z, k) / MANY;
        with_next += i + 1 < MANY ? z * 2.0 * a[i + 1] / MANY : 0;
        below += z < 1;
    }
    /* four standard errors of each */
    assert_true(fabs(moments[1]) < 4 * sqrt(1.0 / MANY));
    assert_true(fabs(moments[2] - 1) < 4 * sqrt(2.0 / MANY));
    assert_true(fabs(moments[3]) < 4 * sqrt(15.0 / MANY));
    assert_true(fabs(moments[4] - 3) < 4 * sqrt(96.0 / MANY));
    assert_true(fabs(with_next) < 4 * sqrt(1.0 / MANY));
    assert_true(fabs((double)below / MANY - 0.841344746) < 4 * sqrt(0.1335 / MANY));
    draw("p", 1, b);
    assert_memory_equal(a, b, sizeof a);
    draw("p", 2, b);
    assert_true(memcmp(a, b, 64) != 0);
    draw("q", 1, b);
    assert_true(memcmp(a, b, 64) != 0);
}

/* Of a map, whose channels lie last in memory, and by itself, whatever the batch. */
static void test_places(void **state)
{
    (void)state;
    static float x[N * C * H * W], values[C * H * W], sum[N * C * H * W], alone[C * H * W];
    const int64_t dims[] = {1, C, H, W};
    actc_graph *graph;
    actc_network *network;
    ok(actc_graph_create(context, "parameters", &graph));
    actc_tensor *p = actc_parameter_tensor(graph, "op", actc_parameter_create(graph, "p", dims, 4, ACTC_INIT_NORMAL, 1));
    actc_graph_add_output(graph, actc_add(graph, "add", actc_input(graph, "x", dims + 1, 3), p));
    actc_graph_add_output(graph, p);
    create(graph, 1, &network);
    test_rng r = {3};
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = rng_normal(&r);
    ok(actc_network_infer(network, &(actc_binding){"x", x}, 1, N));
    ok(actc_network_read_state(network, 0, values));
    ok(actc_network_read_output(network, 0, sum));
    ok(actc_network_read_output(network, 1, alone));
    assert_memory_equal(alone, values, sizeof values);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        assert_true(sum[i] == x[i] + values[i % (C * H * W)]);
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
}

typedef void (*build)(actc_graph *graph, actc_parameter *parameter);

static void no_parameter(actc_graph *graph, actc_parameter *parameter)
{
    (void)parameter;
    actc_parameter_tensor(graph, "op", NULL);
}

static void tensor(actc_graph *graph, actc_parameter *parameter)
{
    actc_parameter_tensor(graph, "op", parameter);
}

static void unknown_init(actc_graph *graph, actc_parameter *parameter)
{
    (void)parameter;
    actc_parameter_create(graph, "q", (int64_t[]){1, 2}, 2, (actc_init)7, 1);
}

static void no_fan_in(actc_graph *graph, actc_parameter *parameter)
{
    (void)parameter;
    actc_parameter_create(graph, "q", (int64_t[]){1, 2}, 2, ACTC_INIT_NORMAL, 0);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct { build build; int64_t dims[3]; int ndim; const char *words; } bad[] = {
        {no_parameter, {1, 2}, 2, "op (parameter): the parameter is NULL"},
        {tensor, {2, 3, 4}, 3, "op (parameter): parameter p is 2x3x4, its first dimension, the batch, must be 1"},
        {unknown_init, {1, 2}, 2, "parameter q: init is 7, must be one of ACTC_INIT_*"},
        {no_fan_in, {1, 2}, 2, "parameter q: fan_in is 0, must be > 0"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        actc_graph *graph;
        ok(actc_graph_create(context, "parameters", &graph));
        bad[i].build(graph, actc_parameter_create(graph, "p", bad[i].dims, bad[i].ndim, ACTC_INIT_ZEROS, 0));
        assert_int_equal(actc_graph_status(graph), ACTC_ERROR_INVALID_ARGUMENT);
        if (!strstr(actc_error_message(context), bad[i].words))
            fail_msg("'%s' does not say '%s'", actc_error_message(context), bad[i].words);
        actc_graph_destroy(&graph);
    }
}

/* A loss of what has no batch fits a batch of one sample alone. */
static void test_loss_refused(void **state)
{
    (void)state;
    const int64_t dims[] = {1, 4};
    actc_graph *graph;
    actc_network *network;
    actc_network_options options = actc_network_options_default();
    options.train_batch = 2;
    ok(actc_graph_create(context, "parameters", &graph));
    actc_tensor *scores = actc_parameter_tensor(graph, "op", actc_parameter_create(graph, "p", dims, 2, ACTC_INIT_ZEROS, 0));
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", scores, actc_label_input(graph, "label")));
    assert_int_equal(actc_network_create(device, graph, &options, &network), ACTC_ERROR_INVALID_ARGUMENT);
    if (!strstr(actc_error_message(context), "loss (loss) at batch 2: "))
        fail_msg("%s", actc_error_message(context));
    actc_graph_destroy(&graph);
}

static int setup(void **state)
{
    (void)state;
    actc_device_options options = actc_device_options_default();
    options.device = "cpu";
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_normal), cmocka_unit_test(test_places), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_loss_refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
