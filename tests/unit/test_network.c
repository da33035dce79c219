/* Prepared networks: the plan is what is allocated, compression leaves the forward pass alone and saves memory, a step that
 * is not finite changes nothing, state goes out and comes back, bad input is refused in words. */
#include <math.h>

#include "network_test.h"

#define BATCH 32
#define RULES "conv1,relu1,conv2=dct:lambda=10"

static void one_step(const fixture *f, actc_network *network, actc_step_result *result)
{
    static float images[BATCH * 784];
    int32_t labels[BATCH];
    fill_batch(images, labels, BATCH);
    result->size = sizeof *result;
    CHECK(f->context, actc_network_train_step(network, images, labels, 1e-3, result));
}

static actc_memory_report memory_of(const fixture *f, actc_network *network)
{
    actc_memory_report report = {.size = sizeof report};
    CHECK(f->context, actc_network_memory(network, &report));
    return report;
}

static void plan_is_allocated(void **state)
{
    const fixture *f = *state;
    static const char *const rules[] = {NULL, RULES, "conv2=threshold:lambda=100", "conv2=wavelet:lambda=100", "*=random", "fc1,fc2=dct"};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        actc_network *network = network_of(f, BATCH, rules[i]);
        actc_memory_report r = memory_of(f, network);
        assert_int_equal(r.planned_bytes, r.allocated_bytes);
        assert_int_equal(r.planned_bytes, actc_device_allocated_bytes(f->device));
        uint64_t sum = r.slack_bytes;
        for (int c = 0; c < ACTC_MEMORY_CATEGORIES; c++)
            sum += r.category_bytes[c];
        assert_int_equal(sum, r.planned_bytes);
        assert_in_range(r.segments_per_step, 1, 2);
        actc_step_result result;
        one_step(f, network, &result);
        assert_int_equal(memory_of(f, network).planned_bytes, actc_device_allocated_bytes(f->device));
        actc_network_destroy(&network);
    }
}

/* Two steps; the state after them goes to *values, which the caller frees. */
static size_t train_two(const fixture *f, actc_network *network, bool profiling, float losses[2], float **values)
{
    size_t elements = 0;
    for (int i = 0; i < 2; i++) {
        actc_step_result result;
        if (profiling)
            CHECK(f->context, actc_network_set_profiling(network, true));
        one_step(f, network, &result);
        losses[i] = result.loss;
    }
    *values = NULL;
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info;
        CHECK(f->context, actc_network_state_info(network, i, &info));
        size_t count = 1;
        for (int d = 0; d < info.shape.ndim; d++)
            count *= (size_t)info.shape.dims[d];
        *values = realloc(*values, (elements + count) * sizeof **values);
        assert_non_null(*values);
        CHECK(f->context, actc_network_read_state(network, i, *values + elements));
        elements += count;
    }
    return elements;
}

/* Seconds of all commands of a program; they are of the kinds that there are. */
static double program_seconds(const fixture *f, const actc_network *network, const char *program, const char *kind)
{
    double seconds = 0;
    for (size_t i = 0; i < actc_network_timeline_count(network); i++) {
        actc_timeline_entry entry = {.size = sizeof entry};
        CHECK(f->context, actc_network_timeline(network, i, &entry));
        assert_true(entry.seconds >= 0 && entry.seconds < 600 && *entry.kind);
        if (!strcmp(entry.program, program) && (!kind || !strcmp(entry.kind, kind)))
            seconds += entry.seconds;
    }
    return seconds;
}

static void profiling_changes_no_bit(void **state)
{
    const fixture *f = *state;
    float losses[2][2], *values[2];
    size_t elements[2];
    static const char *const kinds[] = {"conv forward", "conv backward data", "conv backward filter", "pack", "unpack",
                                        "linear forward", "linear backward", "pool backward"};
    for (int p = 0; p < 2; p++) {
        actc_network *network = network_of(f, BATCH, RULES);
        assert_true(program_seconds(f, network, "train", NULL) == 0);
        elements[p] = train_two(f, network, p, losses[p], &values[p]);
        assert_true(p == (program_seconds(f, network, "train", NULL) > 0));
        assert_true(p == (program_seconds(f, network, "update", "update") > 0));
        assert_true(program_seconds(f, network, "eval", NULL) == 0);
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds && p; k++)
            if (!(program_seconds(f, network, "train", kinds[k]) > 0))
                fail_msg("%s took no time", kinds[k]);
        CHECK(f->context, actc_network_set_profiling(network, false));
        double before = program_seconds(f, network, "train", NULL);
        actc_step_result result;
        one_step(f, network, &result);
        assert_true(program_seconds(f, network, "train", NULL) == before);
        actc_network_destroy(&network);
    }
    assert_int_equal(elements[0], elements[1]);
    assert_memory_equal(losses[0], losses[1], sizeof losses[0]);
    assert_memory_equal(values[0], values[1], elements[0] * sizeof *values[0]);
    free(values[0]);
    free(values[1]);
}

static void saved_bytes_never_grow(void **state)
{
    const fixture *f = *state;
    static const char *const lambdas[] = {"100", "1.1", "1", "2", "10", "1000"};
    static const char *const codecs[] = {"threshold", "dct", "wavelet"};
    /* The plan is the same work on every device, and slow to prepare on a software GPU. */
    size_t count = actc_device_get_info(f->device)->type == ACTC_DEVICE_CPU ? sizeof lambdas / sizeof *lambdas : 1;
    for (size_t c = 0; c < 3; c++) {
        for (size_t l = 0; l < count; l++) {
            char rules[96];
            snprintf(rules, sizeof rules, "*=%s:lambda=%s", codecs[c], lambdas[l]);
            actc_network *network = network_of(f, BATCH, rules);
            uint64_t kept = 0;
            for (size_t i = 0; i < actc_network_saved_count(network); i++) {
                actc_saved_info info = {.size = sizeof info};
                CHECK(f->context, actc_network_saved_info(network, i, &info));
                kept += info.kept_bytes;
                if (!strcmp(info.codec, "none"))
                    assert_int_equal(info.payload_bytes, info.dense_bytes);
                else
                    assert_true(info.payload_bytes <= info.dense_bytes);
            }
            actc_memory_report r = memory_of(f, network);
            assert_int_equal(kept, r.saved_kept_dense_bytes + r.saved_payload_bytes + r.saved_mask_bytes);
            if (!strcmp(lambdas[l], "100")) {
                assert_true(r.saved_payload_bytes > 0 && r.saved_payload_bytes < r.saved_uncompressed_bytes);
                assert_true((double)r.planned_bytes <= 1.02 * (double)r.planned_bytes_uncompressed);
            }
            actc_network_destroy(&network);
        }
    }
}

static void forward_is_untouched(void **state)
{
    const fixture *f = *state;
    static const char *const rules[] = {RULES, "*=threshold:lambda=100", "*=wavelet:lambda=1000,values=int8", "*=quant:bits=2",
                                        "conv1,relu1,conv2=dct:lambda=10,relu=value", "*=random"};
    actc_step_result dense, compressed;
    actc_network *network = network_of(f, BATCH, NULL);
    one_step(f, network, &dense);
    actc_network_destroy(&network);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        network = network_of(f, BATCH, rules[i]);
        one_step(f, network, &compressed);
        assert_memory_equal(&dense.loss, &compressed.loss, sizeof dense.loss);
        actc_network_destroy(&network);
    }
}

/* All state of a network, one after another. */
static float *state_of(const fixture *f, actc_network *network, size_t *count)
{
    float *all = NULL;
    *count = 0;
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        CHECK(f->context, actc_network_state_info(network, i, &info));
        if (info.kind == ACTC_STATE_GRADIENT)
            continue;
        size_t n = (size_t)actc_shape_elements(&info.shape);
        all = realloc(all, (*count + n) * sizeof *all);
        assert_non_null(all);
        CHECK(f->context, actc_network_read_state(network, i, all + *count));
        *count += n;
    }
    return all;
}

static void not_finite_changes_nothing(void **state)
{
    const fixture *f = *state;
    static float images[BATCH * 784];
    int32_t labels[BATCH];
    actc_network *network = network_of(f, BATCH, RULES);
    actc_step_result result;
    one_step(f, network, &result);
    size_t n, m;
    float *before = state_of(f, network, &n);
    fill_batch(images, labels, BATCH);
    images[1000] = NAN;
    assert_int_equal(actc_network_train_step(network, images, labels, 1e-3, &result), ACTC_ERROR_NOT_FINITE);
    assert_non_null(strstr(actc_error_message(f->context), "step 2"));
    float *after = state_of(f, network, &m);
    assert_int_equal(n, m);
    assert_memory_equal(before, after, n * sizeof *before);
    assert_int_equal(actc_network_step(network), 1);
    one_step(f, network, &result); /* and it goes on */
    assert_true(isfinite(result.loss));
    free(before);
    free(after);
    actc_network_destroy(&network);
}

/* Two half batches accumulated are one batch of mean gradients, up to rounding (no dropout: p is part of the model, so
 * the comparison is of a step with itself done twice). */
static void accumulates(void **state)
{
    const fixture *f = *state;
    static float images[BATCH * 784];
    int32_t labels[BATCH];
    actc_network_options options = actc_network_options_default();
    options.train_batch = BATCH;
    options.accumulate = 2;
    options.seed = 7;
    actc_network *network;
    CHECK(f->context, actc_network_create(f->device, f->graph, &options, &network));
    CHECK(f->context, actc_network_initialize(network));
    fill_batch(images, labels, BATCH);
    actc_step_result result = {.size = sizeof result};
    size_t n;
    float *before = state_of(f, network, &n);
    CHECK(f->context, actc_network_train_step(network, images, labels, 1e-3, &result));
    assert_false(result.updated);
    assert_int_equal(actc_network_pending(network), 1);
    float *during = state_of(f, network, &n);
    assert_memory_equal(before, during, n * sizeof *before);
    /* after the first batch the gradient is that batch's; after the second, the sum */
    size_t index = SIZE_MAX;
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        CHECK(f->context, actc_network_state_info(network, i, &info));
        if (!strcmp(info.name, "grad.fc2.bias"))
            index = i;
    }
    float first[10], moment[10];
    CHECK(f->context, actc_network_read_state(network, index, first));
    CHECK(f->context, actc_network_train_step(network, images, labels, 1e-3, &result));
    assert_true(result.updated);
    assert_int_equal(actc_network_updates(network), 1);
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        CHECK(f->context, actc_network_state_info(network, i, &info));
        if (!strcmp(info.name, "exp_avg.fc2.bias"))
            CHECK(f->context, actc_network_read_state(network, i, moment));
    }
    /* exp_avg = 0.1 * mean of both; both batches have the same labels, so they differ by dropout only */
    double dot = 0, a = 0, b = 0;
    for (int i = 0; i < 10; i++) {
        dot += (double)first[i] * moment[i];
        a += (double)first[i] * first[i];
        b += (double)moment[i] * moment[i] * 100;
    }
    assert_true(dot * 10 / sqrt(a * b) > 0.9 && fabs(sqrt(b / a) - 1) < 0.3);
    /* the gradients are cleared for the next round */
    CHECK(f->context, actc_network_read_state(network, index, first));
    for (int i = 0; i < 10; i++)
        assert_true(first[i] == 0);
    free(before);
    free(during);
    actc_network_destroy(&network);
}

static actc_network *accumulating(const fixture *f, int accumulate)
{
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = BATCH;
    options.accumulate = accumulate;
    options.seed = 7;
    actc_network *network;
    CHECK(f->context, actc_network_create(f->device, f->graph, &options, &network));
    CHECK(f->context, actc_network_initialize(network));
    return network;
}

/* Two batches of three that are applied early are two of two, to the bit, and go on as they. */
static void pending_batches_are_applied(void **state)
{
    const fixture *f = *state;
    static float images[BATCH * 784], wild[BATCH * 784];
    int32_t labels[BATCH];
    fill_batch(images, labels, BATCH);
    for (size_t i = 0; i < BATCH * 784; i++)
        wild[i] = NAN;
    actc_network *early = accumulating(f, 3), *whole = accumulating(f, 2);
    actc_step_result result = {.size = sizeof result};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++) {
            CHECK(f->context, actc_network_train_step(early, images, labels, 1e-3, NULL));
            CHECK(f->context, actc_network_train_step(whole, images, labels, 1e-3, &result));
        }
        assert_true(result.updated);
        assert_int_equal(actc_network_pending(early), 2);
        /* whatever an evaluation left behind; the rate must be one */
        double sum = 0;
        int64_t correct = 0;
        CHECK(f->context, actc_network_evaluate(early, wild, labels, BATCH, &sum, &correct));
        assert_true(isnan(sum));
        assert_int_equal(actc_network_apply_pending(early, NAN), ACTC_ERROR_INVALID_ARGUMENT);
        assert_int_equal(actc_network_pending(early), 2);
        CHECK(f->context, actc_network_apply_pending(early, 1e-3));
        assert_int_equal(actc_network_pending(early), 0);
        assert_int_equal(actc_network_updates(early), round + 1);
        assert_int_equal(actc_network_step(early), actc_network_step(whole));
        /* nothing is left to apply */
        CHECK(f->context, actc_network_apply_pending(early, 1e-3));
        assert_int_equal(actc_network_updates(early), round + 1);
        size_t n, m;
        float *a = state_of(f, early, &n), *b = state_of(f, whole, &m);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n * sizeof *a);
        free(a);
        free(b);
    }
    assert_int_equal(actc_network_set_step(early, 4, 2, 3), ACTC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(actc_error_message(f->context), "3 pending batches: must be 0 to 2"));
    assert_int_equal(actc_network_set_step(early, 4, 3, 2), ACTC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(actc_error_message(f->context), "step 4 with 3 updates and 2 pending"));
    assert_int_equal(actc_network_step(early), 4);
    actc_network_destroy(&early);
    actc_network_destroy(&whole);
}

static void evaluates_part_of_a_batch(void **state)
{
    const fixture *f = *state;
    static float images[BATCH * 784];
    int32_t labels[BATCH];
    fill_batch(images, labels, BATCH);
    actc_network *network = network_of(f, BATCH, RULES);
    double whole = 0, parts = 0;
    int64_t correct = 0, correct_parts = 0;
    CHECK(f->context, actc_network_evaluate(network, images, labels, BATCH, &whole, &correct));
    CHECK(f->context, actc_network_evaluate(network, images, labels, 20, &parts, &correct_parts));
    CHECK(f->context, actc_network_evaluate(network, images + 20 * 784, labels + 20, BATCH - 20, &parts, &correct_parts));
    assert_int_equal(correct, correct_parts);
    assert_true(fabs(whole - parts) < 1e-4 * whole);
    actc_network_destroy(&network);
}

/* What lies behind the samples of a part of a batch must not get into statistics that are taken of the batch. */
static void statistics_need_whole_batches(void **state)
{
    const fixture *f = *state;
    const int64_t dims[] = {3, 4, 4};
    actc_graph *graph;
    actc_network *network;
    float x[4 * 48];
    int32_t labels[4] = {0};
    double loss = 0;
    int64_t correct = 0;
    CHECK(f->context, actc_graph_create(f->context, "statistics", &graph));
    actc_tensor *input = actc_input(graph, "input", dims, 3), *label = actc_label_input(graph, "label");
    actc_batch_norm_options bn = actc_batch_norm_options_default();
    bn.track = false;
    actc_tensor *y = actc_flatten(graph, "flat", actc_batch_norm(graph, "norm", input, &bn));
    actc_graph_add_output(graph, y);
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", y, label));
    actc_network_options options = actc_network_options_default();
    options.eval_batch = 4;
    options.infer_batch = 3;
    CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
    CHECK(f->context, actc_network_initialize(network));
    for (int i = 0; i < 4 * 48; i++)
        x[i] = (float)(i % 7);
    CHECK(f->context, actc_network_evaluate(network, x, labels, 4, &loss, &correct));
    assert_int_equal(actc_network_evaluate(network, x, labels, 3, &loss, &correct), ACTC_ERROR_UNSUPPORTED);
    assert_non_null(strstr(actc_error_message(f->context), "norm (bn): takes statistics of the whole batch; evaluating 3 samples, "
                                                           "must be eval_batch 4"));
    const actc_binding binding = {"input", x};
    CHECK(f->context, actc_network_infer(network, &binding, 1, 3));
    assert_int_equal(actc_network_infer(network, &binding, 1, 2), ACTC_ERROR_UNSUPPORTED);
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
}

/* A device opened to compile only runs nothing, and says so. */
static void compile_only(void **state)
{
    const fixture *f = *state;
    const char *name = getenv("ACTC_TEST_DEVICE");
    actc_device_options options = actc_device_options_default();
    options.device = name ? name : "cpu";
    options.compile_only = true;
    actc_device *device = NULL;
    CHECK(f->context, actc_device_open(f->context, &options, &device));
    actc_network_options network_options = actc_network_options_default();
    actc_network *network = NULL;
    assert_int_equal(actc_network_create(device, f->graph, &network_options, &network), ACTC_ERROR_UNSUPPORTED);
    assert_null(network);
    assert_non_null(strstr(actc_error_message(f->context), "was opened to compile only"));
    actc_shape shape = {1, {64}};
    actc_codec *codec = NULL;
    assert_int_equal(actc_codec_create(device, "dct:lambda=2", &shape, &codec), ACTC_ERROR_UNSUPPORTED);
    assert_null(codec);
    assert_int_equal(actc_device_allocated_bytes(device), 0);
    actc_device_destroy(&device);
}

static void expect_refused(const fixture *f, const char *rules, const char *words)
{
    actc_network_options options = actc_network_options_default();
    actc_network *network = NULL;
    options.train_batch = 2;
    options.compress = rules;
    assert_int_equal(actc_network_create(f->device, f->graph, &options, &network), ACTC_ERROR_INVALID_ARGUMENT);
    assert_null(network);
    if (!strstr(actc_error_message(f->context), words))
        fail_msg("rules '%s': message '%s' does not say '%s'", rules, actc_error_message(f->context), words);
}

static void bad_rules(void **state)
{
    const fixture *f = *state;
    expect_refused(f, "conv9=dct", "conv9");
    expect_refused(f, "conv9=dct", "conv2 (conv)");
    expect_refused(f, "conv2", "expected GLOB");
    expect_refused(f, "conv2=", "expected GLOB");
    expect_refused(f, "=dct", "expected GLOB");
    expect_refused(f, "conv1,,conv2=dct", "empty glob");
    expect_refused(f, "*@convv=dct", "did you mean 'conv'");
    expect_refused(f, "*@bn=dct", "bn");
    expect_refused(f, "conv2=dcd", "dcd");
    expect_refused(f, "conv2=dct:lambda=0.5", "0.5");
    expect_refused(f, "conv2=dct:lamda=5", "lamda");
    expect_refused(f, "conv2=threshold:ratio=1.5", "1.5");
}

static void bad_graphs(void **state)
{
    const fixture *f = *state;
    actc_graph *graph;
    const int64_t dims[] = {3, 4, 4};
    actc_conv2d_options conv = actc_conv2d_options_default(4, 7);
    CHECK(f->context, actc_graph_create(f->context, "bad", &graph));
    actc_tensor *x = actc_input(graph, "x", dims, 3);
    assert_null(actc_conv2d(graph, "big", x, &conv));
    assert_int_equal(actc_graph_status(graph), ACTC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(actc_error_message(f->context), "big"));
    assert_null(actc_relu(graph, "later", x)); /* the first error sticks */
    actc_network_options options = actc_network_options_default();
    options.train_batch = 1;
    actc_network *network;
    assert_int_equal(actc_network_create(f->device, graph, &options, &network), ACTC_ERROR_INVALID_ARGUMENT);
    actc_graph_destroy(&graph);

    CHECK(f->context, actc_graph_create(f->context, "twice", &graph));
    x = actc_input(graph, "x", dims, 3);
    assert_non_null(actc_relu(graph, "a", x));
    assert_null(actc_relu(graph, "a", x));
    assert_non_null(strstr(actc_error_message(f->context), "exists already"));
    actc_graph_destroy(&graph);
}

/* A parameter begins with what it is given, a frozen one stays so, and what is no such value is refused. */
static void given_values(void **state)
{
    const fixture *f = *state;
    const int64_t sample[] = {2, 5, 5}, shape[] = {2, 2, 2, 3};
    float first[24], got[24], images[2 * 50];
    const int32_t labels[2] = {1, 0};
    actc_conv2d_options conv = actc_conv2d_options_default(2, 2);
    conv.kernel[1] = 3;
    for (int i = 0; i < 24; i++)
        first[i] = (float)(i * 7 % 24) / 8 - 1;
    for (int i = 0; i < 100; i++)
        images[i] = (float)(i * 13 % 31) / 10 - 1;
    for (int frozen = 0; frozen < 2; frozen++) {
        actc_graph *graph;
        actc_network *network;
        CHECK(f->context, actc_graph_create(f->context, "given", &graph));
        actc_tensor *x = actc_input(graph, "x", sample, 3), *label = actc_label_input(graph, "label");
        conv.weight_parameter = actc_parameter_create(graph, "filters", shape, 4, ACTC_INIT_ONES, 1);
        actc_parameter_set_values(conv.weight_parameter, images); /* the last ones count */
        actc_parameter_set_values(conv.weight_parameter, first);
        if (frozen)
            actc_parameter_freeze(conv.weight_parameter);
        x = actc_flatten(graph, "flat", actc_global_avg_pool(graph, "mean", actc_conv2d(graph, "conv", x, &conv)));
        actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, label));
        actc_network_options options = actc_network_options_default();
        options.train_batch = 2;
        CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
        actc_graph_destroy(&graph);
        CHECK(f->context, actc_network_initialize(network));
        for (int trained = 0; trained < 2; trained++) {
            actc_state_info info;
            size_t i = 0;
            do {
                CHECK(f->context, actc_network_state_info(network, i++, &info));
            } while (strcmp(info.name, "filters") != 0);
            CHECK(f->context, actc_network_read_state(network, i - 1, got));
            assert_int_equal(memcmp(got, first, sizeof first) == 0, !trained || frozen);
            CHECK(f->context, actc_network_train_step(network, images, labels, 0.1, NULL));
        }
        actc_network_destroy(&network);
    }
    for (int null = 0; null < 2; null++) {
        actc_graph *graph;
        CHECK(f->context, actc_graph_create(f->context, "refused", &graph));
        first[23] = INFINITY;
        actc_parameter_set_values(actc_parameter_create(graph, "filters", shape, 4, ACTC_INIT_ONES, 1), null ? NULL : first);
        assert_int_equal(actc_graph_status(graph), ACTC_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(actc_error_message(f->context), "parameter filters: needs 24 finite values"));
        actc_graph_destroy(&graph);
    }
}

static void bad_labels(void **state)
{
    const fixture *f = *state;
    static float images[BATCH * 784];
    int32_t labels[BATCH];
    fill_batch(images, labels, BATCH);
    actc_network *network = network_of(f, BATCH, NULL);
    labels[3] = 10;
    assert_int_equal(actc_network_train_step(network, images, labels, 1e-3, NULL), ACTC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(actc_error_message(f->context), "label 10 of sample 3"));
    actc_network_destroy(&network);
}

enum { MAP_BATCH = 2, MAP_PIXELS = 20, MAP_ROWS = MAP_BATCH * MAP_PIXELS, MAP_CLASSES = 6 };

/* Two losses and a metric of the classes of pixels: of maps, or of every pixel as a sample of its own. */
static actc_network *pixel_network(const fixture *f, bool maps)
{
    const int64_t image[] = {3, 4, 5};
    actc_graph *graph;
    actc_network *network;
    CHECK(f->context, actc_graph_create(f->context, "pixels", &graph));
    actc_tensor *x = actc_input(graph, "x", image, maps ? 3 : 1);
    actc_tensor *labels = actc_input_of(graph, "labels", ACTC_I32, image + 1, maps ? 2 : 0);
    actc_conv2d_options conv = actc_conv2d_options_default(MAP_CLASSES, 1);
    actc_linear_options linear = actc_linear_options_default(MAP_CLASSES);
    x = maps ? actc_conv2d(graph, "scores", x, &conv) : actc_linear(graph, "scores", x, &linear);
    actc_graph_add_loss(graph, actc_cross_entropy(graph, "loss", x, labels), 1);
    actc_graph_add_loss(graph, actc_nll_loss(graph, "other", actc_log_softmax(graph, "log_p", x), labels), 0.5);
    actc_graph_add_metric(graph, actc_count_correct(graph, "correct", x, labels));
    CHECK(f->context, actc_graph_status(graph));
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = maps ? MAP_BATCH : MAP_ROWS;
    CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
    CHECK(f->context, actc_network_initialize(network));
    actc_graph_destroy(&graph);
    return network;
}

static double value_of(const fixture *f, const actc_network *network, size_t index, int64_t count)
{
    actc_value value = {.size = sizeof value};
    CHECK(f->context, actc_network_value(network, index, &value));
    assert_int_equal(value.count, count);
    return value.value;
}

/* Losses of maps are those of their pixels one by one: values, gradients, and what is right, in part of a batch too. */
static void losses_of_maps(void **state)
{
    const fixture *f = *state;
    float images[MAP_ROWS * 3], pixels[MAP_ROWS * 3];
    int32_t labels[MAP_ROWS];
    int64_t counted[2] = {0, 0}; /* of the whole batch; of the first image */
    for (int i = 0; i < MAP_ROWS * 3; i++) {
        images[i] = sinf((float)(7 * i % 61));
        pixels[(i / 60 * MAP_PIXELS + i % 20) * 3 + i / 20 % 3] = images[i];
    }
    for (int i = 0; i < MAP_ROWS; i++) {
        labels[i] = i % 7 == 3 ? -1 : i * 5 % MAP_CLASSES;
        counted[0] += labels[i] >= 0;
        counted[1] += labels[i] >= 0 && i < MAP_PIXELS;
    }
    actc_network *maps = pixel_network(f, true), *rows = pixel_network(f, false);
    const actc_binding batch[] = {{"x", images}, {"labels", labels}}, flat[] = {{"x", pixels}, {"labels", labels}};
    actc_step_result result = {.size = sizeof result}, same = result;
    float a[MAP_CLASSES * 3], b[MAP_CLASSES * 3];
    for (size_t i = 0; i < 2; i++) { /* weight and bias */
        CHECK(f->context, actc_network_read_state(maps, i, a));
        CHECK(f->context, actc_network_write_state(rows, i, a));
    }
    CHECK(f->context, actc_network_train(maps, batch, 2, 0, &result));
    CHECK(f->context, actc_network_train(rows, flat, 2, 0, &same));
    assert_true(result.loss > 0.5f && fabsf(result.loss - same.loss) < 1e-5f);
    for (size_t i = 0; i < actc_network_state_count(maps); i++) {
        actc_state_info info = {.size = sizeof info};
        CHECK(f->context, actc_network_state_info(maps, i, &info));
        if (info.kind != ACTC_STATE_GRADIENT)
            continue;
        CHECK(f->context, actc_network_read_state(maps, i, a));
        CHECK(f->context, actc_network_read_state(rows, i, b));
        for (int64_t k = 0; k < actc_shape_elements(&info.shape); k++)
            assert_true(fabsf(a[k] - b[k]) < 1e-6f && a[k] != 0);
    }
    for (int part = 0; part < 2; part++) {
        CHECK(f->context, actc_network_evaluate_batch(maps, batch, 2, MAP_BATCH - part));
        CHECK(f->context, actc_network_evaluate_batch(rows, flat, 2, MAP_ROWS - part * MAP_PIXELS));
        for (size_t i = 0; i < 3; i++) {
            double value = value_of(f, maps, i, counted[part]);
            assert_true(value > 0 && fabs(value - value_of(f, rows, i, counted[part])) < 1e-4);
        }
        assert_true(fabs(value_of(f, maps, 0, counted[part]) - value_of(f, maps, 1, counted[part])) < 1e-4);
    }
    labels[MAP_PIXELS + 7] = MAP_CLASSES;
    assert_int_equal(actc_network_train(maps, batch, 2, 0, NULL), ACTC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(actc_error_message(f->context), "label 6 of sample 1, position 7"));
    actc_network_destroy(&maps);
    actc_network_destroy(&rows);
}

/* A network with two consumers of a tensor, an addition, strides and padding, tied weights: lowered, planned and run. */
static void branches(void **state)
{
    const fixture *f = *state;
    actc_graph *graph;
    const int64_t dims[] = {3, 9, 9};
    CHECK(f->context, actc_graph_create(f->context, "branches", &graph));
    actc_tensor *x = actc_input(graph, "x", dims, 3), *y = actc_label_input(graph, "y");
    actc_conv2d_options same = actc_conv2d_options_default(8, 3);
    same.padding[0] = same.padding[1] = 1;
    actc_conv2d_options down = actc_conv2d_options_default(8, 3);
    down.stride[0] = down.stride[1] = 2;
    down.padding[0] = down.padding[1] = 2;
    down.dilation[0] = down.dilation[1] = 2;
    actc_push_codec(graph, "dct:lambda=4");
    x = actc_conv2d(graph, "stem", x, &same);
    actc_tensor *a = actc_conv2d(graph, "a", actc_relu(graph, "relu_a", x), &same);
    actc_push_scope(graph, "b");
    actc_tensor *b = actc_conv2d(graph, "conv", x, &same);
    actc_pop_scope(graph);
    x = actc_add(graph, "sum", a, b);
    x = actc_relu(graph, "relu", x);
    x = actc_conv2d(graph, "down", x, &down);
    actc_pop_codec(graph);
    actc_linear_options fc = actc_linear_options_default(5);
    x = actc_linear(graph, "fc", actc_flatten(graph, "flat", x), &fc);
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, y));
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = 6;
    options.optimizer = actc_optimizer_options_default(ACTC_OPTIMIZER_SGD);
    options.optimizer.momentum = 0.9;
    options.optimizer.weight_decay = 1e-4;
    actc_network *network;
    CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
    actc_graph_destroy(&graph);
    CHECK(f->context, actc_network_initialize(network));
    float images[6 * 243];
    int32_t labels[6] = {0, 1, 2, 3, 4, 0};
    uint32_t s = 1;
    for (int i = 0; i < 6 * 243; i++) {
        s = s * 1664525u + 1013904223u;
        images[i] = (float)(s >> 8) / 8388608.0f - 1.0f;
    }
    actc_step_result result = {.size = sizeof result};
    float first = 0;
    for (int step = 0; step < 60; step++) {
        CHECK(f->context, actc_network_train_step(network, images, labels, 0.02, &result));
        if (step == 0)
            first = result.loss;
    }
    assert_true(result.loss < 0.5f * first); /* it learns six samples by heart */
    actc_network_destroy(&network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test(name)
        TEST(plan_is_allocated), TEST(profiling_changes_no_bit), TEST(saved_bytes_never_grow), TEST(forward_is_untouched),
        TEST(not_finite_changes_nothing),
        TEST(accumulates), TEST(pending_batches_are_applied), TEST(evaluates_part_of_a_batch),
        TEST(statistics_need_whole_batches), TEST(bad_rules), TEST(bad_graphs), TEST(given_values), TEST(bad_labels), TEST(branches), TEST(losses_of_maps),
        TEST(compile_only),
    };
    return cmocka_run_group_tests_name("network", tests, set_up, tear_down);
}
