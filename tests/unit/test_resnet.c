/* Small ResNets against PyTorch in float64 (tests/oracle/resnet_gradients.py): loss, the gradient of every parameter, the running
 * statistics after a step, the logits of an evaluation that uses them; and what compression must not change. On the device that
 * ACTC_TEST_DEVICE names.
 */
#include <math.h>
#include <unistd.h>

#include "network_test.h"
#include "resnet.h"

enum { N = 4, SIDE = 16, CLASSES = 7, LOGITS = N * CLASSES };

static const struct variant {
    const char *name;
    actc_resnet_options options;
} variants[] = {
    {"basic", {.depths = {1, 1, 1, 1}, .width = 4, .group_width = 64, .classes = CLASSES}},
    {"bottleneck", {.depths = {2, 1, 1, 1}, .bottleneck = true, .width = 4, .group_width = 128, .classes = CLASSES}},
};

static actc_safetensors *file;

static const float *tensor(const fixture *f, const char *variant, const char *name)
{
    char text[128];
    size_t index;
    const float *values;
    snprintf(text, sizeof text, "%s%s%s", variant ? variant : "", variant ? "|" : "", name);
    if (actc_safetensors_find(file, text, &index) != ACTC_OK)
        fail_msg("the fixture has no tensor %s", text);
    CHECK(f->context, actc_safetensors_get(file, index, NULL, NULL, &values));
    return values;
}

static actc_network *prepare(const fixture *f, const struct variant *v, const char *rules)
{
    const int64_t sample[] = {3, SIDE, SIDE};
    actc_graph *graph;
    actc_network *network;
    CHECK(f->context, actc_graph_create(f->context, v->name, &graph));
    actc_tensor *x = actc_input(graph, "image", sample, 3), *label = actc_label_input(graph, "label");
    actc_tensor *logits = actc_resnet(graph, x, &v->options);
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", logits, label));
    actc_graph_add_output(graph, logits);
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = options.infer_batch = N;
    options.compress = rules;
    options.seed = 11;
    CHECK(f->context, actc_network_create(f->device, graph, &options, &network));
    actc_graph_destroy(&graph);
    CHECK(f->context, actc_network_initialize(network));
    actc_memory_report memory = {.size = sizeof memory};
    CHECK(f->context, actc_network_memory(network, &memory));
    assert_int_equal(memory.planned_bytes, memory.allocated_bytes);
    return network;
}

static float train(const fixture *f, actc_network *network, double rate)
{
    int32_t labels[N];
    actc_step_result result = {.size = sizeof result};
    for (int i = 0; i < N; i++)
        labels[i] = (int32_t)tensor(f, NULL, "labels")[i];
    CHECK(f->context, actc_network_train_step(network, tensor(f, NULL, "images"), labels, rate, &result));
    return result.loss;
}

/* ||got - want|| and ||want|| of all states of one kind, squared, added up. */
typedef struct difference {
    double error, norm;
    int count;
} difference;

static difference compare(const fixture *f, const actc_network *network, const struct variant *v, actc_state_kind kind)
{
    difference d = {0};
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info;
        CHECK(f->context, actc_network_state_info(network, i, &info));
        if (info.kind != kind)
            continue;
        int64_t n = actc_shape_elements(&info.shape);
        float *got = malloc((size_t)n * sizeof *got);
        const float *want = tensor(f, v->name, info.name);
        assert_non_null(got);
        CHECK(f->context, actc_network_read_state((actc_network *)network, i, got));
        for (int64_t k = 0; k < n; k++) {
            d.error += ((double)got[k] - want[k]) * ((double)got[k] - want[k]);
            d.norm += (double)want[k] * want[k];
        }
        free(got);
        d.count++;
    }
    return d;
}

static void against_float64(void **state)
{
    const fixture *f = *state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const struct variant *v = &variants[i];
        actc_network *network = prepare(f, v, NULL);
        float loss = train(f, network, 0), want = tensor(f, v->name, "loss")[0], logits[LOGITS];
        if (!(fabsf(loss - want) <= 1e-5f * want))
            fail_msg("%s: loss %.9g, float64 gives %.9g", v->name, loss, want);
        difference gradients = compare(f, network, v, ACTC_STATE_GRADIENT), buffers = compare(f, network, v, ACTC_STATE_BUFFER);
        assert_true(gradients.count > 20 && buffers.count > 20);
        if (!(gradients.error <= 1e-10 * gradients.norm) || !(buffers.error <= 1e-12 * buffers.norm))
            fail_msg("%s: relative error %g of the gradients, %g of the running statistics", v->name,
                     sqrt(gradients.error / gradients.norm), sqrt(buffers.error / buffers.norm));
        const actc_binding image = {"image", tensor(f, NULL, "images")};
        CHECK(f->context, actc_network_infer(network, &image, 1, N));
        CHECK(f->context, actc_network_read_output(network, 0, logits));
        for (int k = 0; k < LOGITS; k++)
            assert_true(fabsf(logits[k] - tensor(f, v->name, "logits")[k]) <= 1e-4f);
        double evaluated = 0;
        int64_t correct = 0;
        int32_t labels[N];
        for (int k = 0; k < N; k++)
            labels[k] = (int32_t)tensor(f, NULL, "labels")[k];
        CHECK(f->context, actc_network_evaluate(network, image.data, labels, N, &evaluated, &correct));
        assert_true(fabs(evaluated - tensor(f, v->name, "evaluated")[0]) <= 1e-5 * evaluated);
        actc_network_destroy(&network);
    }
}

/* The first loss is the same to the last bit, whatever is compressed; training goes on. */
static void compression_leaves_the_loss(void **state)
{
    const fixture *f = *state;
    static const char *const rules[] = {"*=dct:lambda=10", "layer*@conv=wavelet:lambda=4", "*@bn=threshold:lambda=10",
                                        "*@conv,bn,relu=dct:lambda=4,relu=value", "*=random"};
    const struct variant *v = &variants[0];
    actc_network *network = prepare(f, v, NULL);
    float first = train(f, network, 0.01);
    actc_network_destroy(&network);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        network = prepare(f, v, rules[i]);
        float loss = train(f, network, 0.01);
        assert_memory_equal(&loss, &first, sizeof loss);
        assert_true(isfinite(train(f, network, 0.01)));
        actc_network_destroy(&network);
    }
}

/* A batch that is not finite changes no running statistics. */
static void buffers_are_committed_when_finite(void **state)
{
    const fixture *f = *state;
    static float images[N * 3 * SIDE * SIDE];
    int32_t labels[N] = {0, 1, 2, 3};
    actc_network *network = prepare(f, &variants[0], NULL);
    train(f, network, 0);
    difference before = compare(f, network, &variants[0], ACTC_STATE_BUFFER);
    memcpy(images, tensor(f, NULL, "images"), sizeof images);
    images[5] = NAN;
    assert_int_equal(actc_network_train_step(network, images, labels, 0, NULL), ACTC_ERROR_NOT_FINITE);
    difference after = compare(f, network, &variants[0], ACTC_STATE_BUFFER);
    assert_true(after.error == before.error);
    train(f, network, 0); /* from the statistics before it */
    assert_true(compare(f, network, &variants[0], ACTC_STATE_BUFFER).error < 1e6);
    actc_network_destroy(&network);
}

/* What a run saves holds parameters and buffers, and another network of the same shape takes them. */
static void saved_and_loaded(void **state)
{
    const fixture *f = *state;
    char path[] = "/tmp/actc-resnet-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    actc_network *a = prepare(f, &variants[1], NULL), *b = prepare(f, &variants[1], NULL);
    train(f, a, 0.01);
    CHECK(f->context, actc_network_save_parameters(a, path));
    CHECK(f->context, actc_network_load_parameters(b, path));
    float logits[2][LOGITS];
    const actc_binding image = {"image", tensor(f, NULL, "images")};
    for (int i = 0; i < 2; i++) {
        CHECK(f->context, actc_network_infer(i ? b : a, &image, 1, N));
        CHECK(f->context, actc_network_read_output(i ? b : a, 0, logits[i]));
    }
    assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
    actc_network_destroy(&a);
    actc_network_destroy(&b);
    remove(path);
    close(fd);
}

/* Three steps of a deterministic device leave the same bits whatever it is, compressed or not. */
static void one_hash_everywhere(void **state)
{
    const fixture *f = *state;
    static const struct { const char *rules; uint64_t hash; } runs[] = {
        {NULL, 0xa5d9fbda33ad09e3u}, {"*=dct:lambda=10", 0x554aa0041e3305d5u}, {"*=wavelet:lambda=4", 0x278fa0fb53293d04u}};
    fixture exact = *f;
    actc_device_options options = actc_device_options_default();
    options.device = actc_device_get_info(f->device)->spec;
    options.deterministic = true;
    CHECK(f->context, actc_device_open(f->context, &options, &exact.device));
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        uint64_t hash = 14695981039346656037u;
        actc_network *network = prepare(&exact, &variants[0], runs[i].rules);
        for (int step = 0; step < 3; step++)
            train(&exact, network, 0.01);
        for (size_t k = 0; k < actc_network_state_count(network); k++) {
            actc_state_info info;
            CHECK(f->context, actc_network_state_info(network, k, &info));
            size_t n = (size_t)actc_shape_elements(&info.shape) * sizeof(float);
            unsigned char *bytes = malloc(n);
            assert_non_null(bytes);
            CHECK(f->context, actc_network_read_state(network, k, (float *)(void *)bytes));
            for (size_t b = 0; b < n; b++)
                hash = (hash ^ bytes[b]) * 1099511628211u;
            free(bytes);
        }
        actc_network_destroy(&network);
        if (hash != runs[i].hash)
            fail_msg("'%s': 0x%016llxu", runs[i].rules ? runs[i].rules : "", (unsigned long long)hash);
    }
    actc_device_destroy(&exact.device);
}

static void one_value_a_channel(void **state)
{
    const fixture *f = *state;
    const int64_t sample[] = {3};
    actc_graph *graph;
    actc_network *network = NULL;
    CHECK(f->context, actc_graph_create(f->context, "one", &graph));
    actc_linear_options fc = actc_linear_options_default(2);
    actc_tensor *x = actc_linear(graph, "fc", actc_input(graph, "x", sample, 1), &fc);
    x = actc_batch_norm(graph, "bn", x, NULL);
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, actc_label_input(graph, "label")));
    actc_network_options options = actc_network_options_default();
    options.train_batch = 1;
    assert_int_equal(actc_network_create(f->device, graph, &options, &network), ACTC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(actc_error_message(f->context), "one value a channel"));
    actc_graph_destroy(&graph);
}

static int open_fixture(void **state)
{
    if (set_up(state))
        return -1;
    fixture *f = *state;
    CHECK(f->context, actc_safetensors_open(f->context, ACTC_TEST_SOURCE_DIR "/../oracle/fixtures/resnet_gradients.safetensors", &file));
    return 0;
}

static int close_fixture(void **state)
{
    actc_safetensors_destroy(&file);
    return tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_float64),   cmocka_unit_test(compression_leaves_the_loss), cmocka_unit_test(buffers_are_committed_when_finite),
        cmocka_unit_test(saved_and_loaded),  cmocka_unit_test(one_hash_everywhere), cmocka_unit_test(one_value_a_channel),
    };
    return cmocka_run_group_tests_name("resnet", tests, open_fixture, close_fixture);
}
