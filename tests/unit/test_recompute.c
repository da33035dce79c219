/* What is computed again instead of being kept: the same bits, nothing kept but what lies at the borders, and what is said about it; on
 * the device that ACTC_TEST_DEVICE names (default cpu). test_alias draws graphs and rules at random. */
#include "network_test.h"

enum { BATCH = 2, C = 4, SIDE = 8, CLASSES = 5, MAP = BATCH * C * SIDE * SIDE * 4 };

/* Three blocks of what keeps something for its backward pass, each a scope of its own where `spec` is given. */
static actc_graph *blocks(const fixture *f, const char *spec)
{
    const int64_t sample[] = {C, SIDE, SIDE};
    actc_conv2d_options conv = actc_conv2d_options_default(C, 3);
    actc_max_pool2d_options pool = actc_max_pool2d_options_default(3);
    actc_linear_options fc = actc_linear_options_default(CLASSES);
    actc_graph *graph;
    CHECK(f->context, actc_graph_create(f->context, "blocks", &graph));
    conv.padding[0] = conv.padding[1] = pool.padding[0] = pool.padding[1] = 1;
    pool.stride[0] = pool.stride[1] = 1;
    actc_tensor *x = actc_input(graph, "input", sample, 3), *label = actc_label_input(graph, "label");
    for (int b = 0; b < 3; b++) {
        char name[16];
        snprintf(name, sizeof name, "block%d", b);
        actc_push_scope(graph, name);
        if (spec)
            actc_push_codec(graph, spec);
        actc_tensor *y = actc_relu(graph, "relu", actc_batch_norm(graph, "bn", actc_conv2d(graph, "conv1", x, &conv), NULL));
        y = actc_dropout(graph, "drop", actc_max_pool2d(graph, "pool", actc_gelu(graph, "gelu", y), &pool), 0.25);
        x = actc_add(graph, "add", actc_conv2d(graph, "conv2", y, &conv), x);
        if (spec)
            actc_pop_codec(graph);
        actc_pop_scope(graph);
    }
    x = actc_linear(graph, "fc", actc_flatten(graph, "flatten", x), &fc);
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, label));
    CHECK(f->context, actc_graph_status(graph));
    return graph;
}

static actc_network *prepare(const fixture *f, const actc_graph *graph, const char *rules)
{
    actc_network_options options = actc_network_options_default();
    actc_network *network = NULL;
    options.train_batch = BATCH;
    options.compress = rules;
    options.seed = 3;
    CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
    CHECK(f->context, actc_network_initialize(network));
    return network;
}

static actc_memory_report memory_of(const fixture *f, const actc_network *network)
{
    actc_memory_report report = {.size = sizeof report};
    CHECK(f->context, actc_network_memory(network, &report));
    return report;
}

/* Three steps of both networks, and all their states, bit for bit. */
static void expect_same(const fixture *f, actc_network *a, actc_network *b, int64_t elements)
{
    float *images = malloc((size_t)elements * BATCH * sizeof *images);
    int32_t labels[BATCH] = {1, 3};
    assert_non_null(images);
    for (int64_t i = 0; i < elements * BATCH; i++)
        images[i] = (float)(i * 37 % 101) / 50.0f - 1.0f;
    for (int step = 0; step < 3; step++) {
        actc_step_result first = {.size = sizeof first}, second = {.size = sizeof second};
        CHECK(f->context, actc_network_train_step(a, images, labels, 0.01, &first));
        CHECK(f->context, actc_network_train_step(b, images, labels, 0.01, &second));
        assert_memory_equal(&first.loss, &second.loss, sizeof first.loss);
    }
    free(images);
    for (size_t i = 0; i < actc_network_state_count(a); i++) {
        actc_state_info info = {.size = sizeof info};
        CHECK(f->context, actc_network_state_info(a, i, &info));
        size_t bytes = (size_t)actc_shape_elements(&info.shape) * sizeof(float);
        float *x = malloc(bytes), *y = malloc(bytes);
        assert_true(x && y);
        CHECK(f->context, actc_network_read_state(a, i, x));
        CHECK(f->context, actc_network_read_state(b, i, y));
        if (memcmp(x, y, bytes) != 0)
            fail_msg("%s differs", info.name);
        free(x);
        free(y);
    }
}

static void scopes_keep_their_borders_alone(void **state)
{
    const fixture *f = *state;
    actc_graph *plain = blocks(f, NULL), *scoped = blocks(f, "recompute");
    actc_network *kept = prepare(f, plain, NULL), *again = prepare(f, scoped, NULL);
    actc_memory_report report = memory_of(f, again), before = memory_of(f, kept);
    uint64_t borders = 0, others = 0, loss = 0;
    for (size_t i = 0; i < actc_network_saved_count(again); i++) {
        actc_saved_info info = {.size = sizeof info};
        CHECK(f->context, actc_network_saved_info(again, i, &info));
        bool border = !strcmp(info.name, "input") || !strcmp(info.name, "block0/add") || !strcmp(info.name, "block1/add") ||
                      !strcmp(info.name, "flatten");
        *(border ? &borders : !strcmp(info.name, "loss") ? &loss : &others) += info.kept_bytes;
        assert_string_equal(info.codec, border ? "none" : !strcmp(info.name, "loss") ? "own" : "recompute");
    }
    assert_int_equal(borders, 4 * MAP); /* the last block's output is what fc saves */
    assert_int_equal(others, 0);
    assert_int_equal(report.after_forward_category_bytes[ACTC_MEMORY_KEPT_DENSE], borders + loss);
    assert_int_equal(report.after_forward_category_bytes[ACTC_MEMORY_MASKS], 0);
    assert_true(before.after_forward_category_bytes[ACTC_MEMORY_MASKS] > 0);
    assert_true(report.after_forward_bytes + 9 * MAP < before.after_forward_bytes); /* of each block what bn, gelu and conv2 save */
    assert_true(report.planned_bytes < before.planned_bytes);
    /* all but the last convolution, dropout and addition of each block */
    assert_true(report.recompute_percent > 40 && report.recompute_percent < 60);
    assert_true(before.recompute_percent <= 0);
    expect_same(f, kept, again, C * SIDE * SIDE);
    actc_network_destroy(&kept);
    actc_network_destroy(&again);
    actc_graph_destroy(&plain);
    actc_graph_destroy(&scoped);
}

static void rules_and_segments(void **state)
{
    static const char *const rules[] = {"*=recompute", "*=recompute:segments=2", "*=recompute:segments=4", "block1/*=recompute",
                                        "block0/*,block1/*=recompute", "*=dct:lambda=1.5;block1/*=recompute"};
    const fixture *f = *state;
    actc_graph *graph = blocks(f, NULL);
    double percent[sizeof rules / sizeof *rules];
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        actc_network *kept = prepare(f, graph, i == 5 ? "*=dct:lambda=1.5;block1/*=none" : NULL), *again = prepare(f, graph, rules[i]);
        percent[i] = memory_of(f, again).recompute_percent;
        assert_true(percent[i] > 0);
        expect_same(f, kept, again, C * SIDE * SIDE);
        actc_network_destroy(&kept);
        actc_network_destroy(&again);
    }
    assert_true(percent[0] > percent[2] && percent[2] > percent[1]); /* all; three of four parts; the first half */
    actc_graph_destroy(&graph);
}

static void residual_network(void **state)
{
    const fixture *f = *state;
    actc_graph *graph;
    actc_model_config config = actc_model_usual(&actc_model_resnets[0]);
    config.sample = (actc_shape){.ndim = 3, .dims = {3, 16, 16}};
    config.options[0] = 4;
    CHECK(f->context, actc_graph_create(f->context, "resnet18", &graph));
    actc_model_resnets[0].build(graph, &config);
    actc_network *kept = prepare(f, graph, NULL), *again = prepare(f, graph, "layer1*=recompute;layer2*=recompute;layer3*=recompute");
    assert_true(memory_of(f, again).recompute_percent > 30);
    expect_same(f, kept, again, 3 * 16 * 16);
    actc_network_destroy(&kept);
    actc_network_destroy(&again);
    actc_graph_destroy(&graph);
}

static bool says(const actc_network *network, const char *words)
{
    for (size_t i = 0; actc_network_note(network, i); i++)
        if (strstr(actc_network_note(network, i), words))
            return true;
    return false;
}

static void what_gains_nothing_is_kept(void **state)
{
    const fixture *f = *state;
    actc_graph *graph = blocks(f, NULL);
    actc_network *network = prepare(f, graph, "block0/relu=recompute"); /* a mask, for a map at the border */
    assert_true(memory_of(f, network).recompute_percent <= 0);
    assert_true(says(network, "nothing to compute again: block0/relu=recompute"));
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
}

static void is_no_codec(void **state)
{
    static const struct { const char *spec, *words; } cases[] = {
        {"recompute", "compresses nothing"},
        {"recompute:segments=0", "segments=0; accepted: an integer from 1 to 1000"},
        {"recompute:segments=1001", "segments=1001"},
        {"recompute:lambda=2", "unknown key of recompute \"lambda\""},
        {"recomputed", "did you mean \"recompute\"?"}};
    const fixture *f = *state;
    const actc_shape shape = {.ndim = 2, .dims = {4, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        actc_codec *codec = NULL;
        assert_int_equal(actc_codec_create(f->device, cases[i].spec, &shape, &codec), ACTC_ERROR_INVALID_ARGUMENT);
        assert_null(codec);
        if (!strstr(actc_error_message(f->context), cases[i].words))
            fail_msg("%s: %s", cases[i].spec, actc_error_message(f->context));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scopes_keep_their_borders_alone), cmocka_unit_test(rules_and_segments), cmocka_unit_test(residual_network),
        cmocka_unit_test(what_gains_nothing_is_kept), cmocka_unit_test(is_no_codec)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
