/* What rules and scopes compress, what they leave out, and what is said about it; planned on the device "null". */
#include "fill.h"

#include <actc/actc.h>

#include "models.h"

static actc_context *context;
static actc_device *device;

static int setup(void **state)
{
    (void)state;
    actc_device_options options = actc_device_options_default();
    options.device = "null";
    return actc_context_create(NULL, &context) == ACTC_OK && actc_device_open(context, &options, &device) == ACTC_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    actc_device_destroy(&device);
    actc_context_destroy(&context);
    return 0;
}

static void ok(actc_status status)
{
    if (status != ACTC_OK)
        fail_msg("%s: %s", actc_status_string(status), actc_error_message(context));
}

/* Prepared for training; takes the graph over. */
static actc_network *prepare(actc_graph *graph, const char *rules)
{
    actc_network_options options = actc_network_options_default();
    actc_network *network;
    options.train_batch = 128;
    options.compress = rules;
    ok(actc_network_create(device, graph, &options, &network));
    actc_graph_destroy(&graph);
    return network;
}

static actc_network *mnistnet(const char *rules)
{
    actc_graph *graph;
    ok(actc_graph_create(context, "mnistnet", &graph));
    actc_model_build(&actc_model_mnistnet, graph);
    return prepare(graph, rules);
}

static bool says(const actc_network *network, const char *words)
{
    for (size_t i = 0; actc_network_note(network, i); i++)
        if (strstr(actc_network_note(network, i), words))
            return true;
    return false;
}

static void expect_note(const actc_network *network, const char *words)
{
    for (size_t i = 0; !says(network, words) && actc_network_note(network, i); i++)
        print_error("note: %s\n", actc_network_note(network, i));
    if (!says(network, words))
        fail_msg("no note says '%s'", words);
}

/* How the tensor is kept; NULL where it is not saved by value. */
static const char *codec_of(const actc_network *network, const char *tensor)
{
    for (size_t i = 0; i < actc_network_saved_count(network); i++) {
        actc_saved_info info = {.size = sizeof info};
        ok(actc_network_saved_info(network, i, &info));
        if (!strcmp(info.name, tensor) && strcmp(info.codec, "mask") != 0)
            return info.codec;
    }
    return NULL;
}

static void globs_leave_probabilities_out(void **state)
{
    (void)state;
    static const char *const rules[] = {"*=dct:lambda=10", "log_softmax=dct:lambda=10", "*@conv,linear=dct:lambda=10;log*=dct"};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        actc_network *network = mnistnet(rules[i]);
        assert_string_equal(codec_of(network, "log_softmax"), "none");
        expect_note(network, "log_softmax@softmax=");
        actc_network_destroy(&network);
    }
    actc_network *network = mnistnet("*@softmax=dct:lambda=10");
    assert_string_equal(codec_of(network, "log_softmax"), "dct:lambda=10");
    assert_string_equal(codec_of(network, "relu1"), "none");
    actc_network_destroy(&network);
}

static void idle_payloads_are_named(void **state)
{
    (void)state;
    actc_network *network = mnistnet("conv2=dct:lambda=10");
    assert_false(says(network, "does not lower the planned peak"));
    actc_network_destroy(&network);
    network = mnistnet("conv2,fc2=dct:lambda=10");
    expect_note(network, "drop2: compressing it does not lower the planned peak");
    assert_false(says(network, "relu1: compressing"));
    actc_network_destroy(&network);
}

static void useless_rules_say_what_to_name(void **state)
{
    (void)state;
    actc_network *network = mnistnet("relu1=dct:lambda=10");
    expect_note(network, "relu1 saves no values; its output is saved by conv2: name that instead");
    actc_network_destroy(&network);
    network = mnistnet("conv1=dct:lambda=10");
    expect_note(network, "conv1 saves only a network input");
    actc_network_destroy(&network);
    network = mnistnet("relu*=dct:lambda=10");
    expect_note(network, "no operator that relu*=dct:lambda=10 matches");
    actc_network_destroy(&network);
    network = mnistnet("conv1,relu1,conv2=dct:lambda=10");
    assert_string_equal(codec_of(network, "relu1"), "dct:lambda=10");
    actc_network_destroy(&network);
}

static void useless_scopes_say_so(void **state)
{
    (void)state;
    for (int inside = 0; inside < 2; inside++) {
        const int64_t sample[] = {1, 28, 28};
        actc_graph *graph;
        actc_conv2d_options conv = actc_conv2d_options_default(16, 3);
        actc_linear_options fc = actc_linear_options_default(10);
        ok(actc_graph_create(context, "scopes", &graph));
        actc_tensor *x = actc_input(graph, "image", sample, 3), *y = actc_label_input(graph, "label");
        actc_push_codec(graph, "dct:lambda=100");
        x = actc_relu(graph, "relu1", actc_conv2d(graph, "conv1", x, &conv));
        if (inside)
            x = actc_conv2d(graph, "conv2", x, &conv);
        actc_pop_codec(graph);
        if (!inside)
            x = actc_conv2d(graph, "conv2", x, &conv);
        x = actc_linear(graph, "fc", actc_flatten(graph, "flat", x), &fc);
        actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, y));
        actc_network *network = prepare(graph, NULL);
        assert_string_equal(codec_of(network, "relu1"), inside ? "dct:lambda=100" : "none");
        assert_int_equal(says(network, "its output is saved by conv2"), !inside);
        actc_network_destroy(&network);
    }
}

/* Nine operators save one tensor; any of them can keep it dense, the eighth too. */
static void every_reader_counts(void **state)
{
    (void)state;
    enum { READERS = 9 };
    for (int dense = -1; dense < READERS; dense++) {
        const int64_t sample[] = {2, 28, 28};
        char name[32], rules[64];
        actc_graph *graph;
        actc_conv2d_options conv = actc_conv2d_options_default(2, 3);
        actc_linear_options fc = actc_linear_options_default(10);
        ok(actc_graph_create(context, "readers", &graph));
        actc_tensor *x = actc_input(graph, "image", sample, 3), *y = actc_label_input(graph, "label"), *sum = NULL;
        x = actc_conv2d(graph, "stem", x, &conv);
        for (int i = 0; i < READERS; i++) {
            snprintf(name, sizeof name, "reader%d", i);
            actc_tensor *out = actc_conv2d(graph, name, x, &conv);
            snprintf(name, sizeof name, "sum%d", i);
            sum = sum ? actc_add(graph, name, sum, out) : out;
        }
        x = actc_linear(graph, "fc", actc_flatten(graph, "flat", sum), &fc);
        actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, y));
        snprintf(rules, sizeof rules, "reader*=dct:lambda=10;reader%d=none", dense);
        actc_network *network = prepare(graph, dense < 0 ? "reader*=dct:lambda=10" : rules);
        assert_string_equal(codec_of(network, "stem"), dense < 0 ? "dct:lambda=10" : "none");
        actc_network_destroy(&network);
    }
}

/* The first error of a graph is what preparing it says, whatever failed in between. */
static void a_graph_keeps_its_message(void **state)
{
    (void)state;
    const int64_t sample[] = {2, 4, 4};
    actc_graph *graph;
    actc_network *network;
    actc_conv2d_options big = actc_conv2d_options_default(4, 7);
    actc_network_options options = actc_network_options_default();
    options.train_batch = 1;
    ok(actc_graph_create(context, "bad", &graph));
    assert_null(actc_conv2d(graph, "big", actc_input(graph, "x", sample, 3), &big));
    actc_shape shape = {1, {64}};
    actc_codec *codec = NULL;
    assert_int_equal(actc_codec_create(device, "dcd", &shape, &codec), ACTC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(actc_error_message(context), "dcd"));
    assert_int_equal(actc_network_create(device, graph, &options, &network), ACTC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(actc_error_message(context), "big (conv): the kernel spans 7"));
    actc_graph_destroy(&graph);
    ok(actc_graph_create(context, "bad", &graph));
    actc_push_codec(graph, "dct:lamda=3");
    assert_int_equal(actc_codec_create(device, "dcd", &shape, &codec), ACTC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(actc_network_create(device, graph, &options, &network), ACTC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(actc_error_message(context), "lamda"));
    actc_graph_destroy(&graph);
}

/* Parameters as PyTorch counts them. */
static void parameter_counts(void **state)
{
    (void)state;
    static const struct { const char *name; int64_t classes, parameters, options[ACTC_MODEL_MAX_OPTIONS]; } nets[] = {
        {"mnistnet", 10, 150194},       {"resnet18", 100, 11220132},  {"resnet18", 10, 11173962},
        {"resnet34", 100, 21328292},
        {"resnet50", 100, 23705252},    {"resnet101", 100, 42697380}, {"resnet152", 100, 58341028},
        {"resnet152star", 100, 57930148}, {"wideresnet101", 100, 125034916},
        {"unet3d", 3, 22583875},
        {"efficientnet_b0", 1000, 5288548},  {"efficientnet_b4", 1000, 19341616}, {"efficientnet_b8", 1000, 87413142},
        {"efficientnet_b0", 1000, 5288548, {0, 0, 1}}, {"efficientnet_b4", 1000, 10222984, {0, 0, 1}},
        {"efficientnet_b8", 1000, 19192432, {0, 0, 1}},
        {"edsr", 0, 43089947},
        {"deeplabv3plus", 21, 5225717},
        {"vit", 1000, 46233576}, {"vit3d", 100, 33708132}, {"cvt", 1000, 19936296}};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        actc_graph *graph;
        int64_t parameters = 0;
        const actc_model *model = actc_model_find(nets[i].name);
        assert_non_null(model);
        actc_model_config config = actc_model_usual(model);
        config.classes = nets[i].classes;
        for (int k = 0; k < ACTC_MODEL_MAX_OPTIONS; k++)
            config.options[k] = nets[i].options[k] ? nets[i].options[k] : config.options[k];
        ok(actc_graph_create(context, model->name, &graph));
        model->build(graph, &config);
        ok(actc_graph_status(graph));
        for (size_t k = 0; k < actc_graph_operator_count(graph); k++) {
            actc_operator_info info = {.size = sizeof info};
            ok(actc_graph_operator_info(graph, k, &info));
            parameters += info.parameters;
        }
        if (parameters != nets[i].parameters)
            fail_msg("%s: %lld parameters", nets[i].name, (long long)parameters);
        actc_graph_destroy(&graph);
    }
}

/* What an operator reads, by name: the graph's inputs, and the operators before it. */
static void operator_inputs_are_named(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 4, 4};
    actc_graph *graph = NULL;
    ok(actc_graph_create(context, "named", &graph));
    actc_tensor *x = actc_input(graph, "x", dims, 3);
    actc_push_scope(graph, "block");
    actc_tensor *y = actc_relu(graph, "relu", x);
    actc_pop_scope(graph);
    actc_add(graph, "add", y, x);
    ok(actc_graph_status(graph));
    assert_string_equal(actc_graph_operator_input(graph, 0, 0), "x");
    assert_null(actc_graph_operator_input(graph, 0, 1));
    assert_string_equal(actc_graph_operator_input(graph, 1, 0), "block/relu");
    assert_string_equal(actc_graph_operator_input(graph, 1, 1), "x");
    assert_null(actc_graph_operator_input(graph, 1, 2));
    assert_null(actc_graph_operator_input(graph, 2, 0));
    actc_graph_destroy(&graph);
}

/* A map that a convolution saves and its flattened form that a linear layer saves lie in the same memory, and count once. */
static void shared_memory_counts_once(void **state)
{
    (void)state;
    const int64_t sample[] = {2, 3, 3};
    actc_graph *graph;
    uint64_t kept = 0;
    int shared = 0;
    ok(actc_graph_create(context, "shared", &graph));
    actc_conv2d_options conv = actc_conv2d_options_default(2, 3);
    actc_linear_options fc = actc_linear_options_default(3);
    actc_tensor *x = actc_conv2d(graph, "first", actc_input(graph, "x", sample, 3), &conv);
    actc_tensor *a = actc_linear(graph, "fc", actc_flatten(graph, "flatten", x), &fc);
    conv.out_channels = 3;
    conv.kernel[0] = conv.kernel[1] = 1;
    actc_tensor *b = actc_flatten(graph, "row", actc_conv2d(graph, "second", x, &conv));
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_add(graph, "add", a, b), actc_label_input(graph, "label")));
    actc_network *network = prepare(graph, NULL);
    for (size_t i = 0; i < actc_network_saved_count(network); i++) {
        actc_saved_info info = {.size = sizeof info};
        ok(actc_network_saved_info(network, i, &info));
        kept += info.kept_bytes;
        if (!strcmp(info.name, "flatten") || !strcmp(info.name, "first"))
            shared += info.kept_bytes ? info.kept_bytes == info.payload_bytes : 10;
    }
    actc_memory_report m = {.size = sizeof m};
    ok(actc_network_memory(network, &m));
    assert_int_equal(kept, m.saved_kept_dense_bytes + m.saved_payload_bytes + m.saved_mask_bytes);
    assert_int_equal(shared, 11); /* one whole, one nothing */
    actc_network_destroy(&network);
}

/* ResNet18 for 128 images of 32x32, every map by dct:lambda=100: parameters, input and what is saved are below 75 MiB (the paper's
 * own layers give 311 there), and the plan's peak is less than half of the uncompressed one. */
static void resnet18_fits(void **state)
{
    (void)state;
    actc_graph *graph;
    ok(actc_graph_create(context, "resnet18", &graph));
    actc_model_build(actc_model_find("resnet18"), graph);
    actc_network *network = prepare(graph, "*=dct:lambda=100");
    actc_memory_report m = {.size = sizeof m};
    ok(actc_network_memory(network, &m));
    uint64_t after_forward = 4 * (uint64_t)11220132 + m.saved_kept_dense_bytes + m.saved_payload_bytes + m.saved_mask_bytes;
    assert_true(after_forward <= 75u << 20);
    assert_true(2 * m.planned_bytes < m.planned_bytes_uncompressed);
    actc_network_destroy(&network);
}

/* conv1, an element-wise function, conv2 and a layer; with `fork` conv3 reads what the function does. */
static actc_network *with_function(const char *rules, const char *scope, bool fork)
{
    const int64_t sample[] = {3, 20, 20};
    actc_graph *graph;
    actc_conv2d_options conv = actc_conv2d_options_default(8, 3);
    actc_linear_options fc = actc_linear_options_default(10);
    ok(actc_graph_create(context, "function", &graph));
    actc_tensor *x = actc_conv2d(graph, "conv1", actc_input(graph, "image", sample, 3), &conv), *y = x;
    if (scope)
        actc_push_codec(graph, scope);
    y = actc_conv2d(graph, "conv2", actc_gelu(graph, "gelu", y), &conv);
    if (scope)
        actc_pop_codec(graph);
    if (fork)
        y = actc_add(graph, "sum", y, actc_conv2d(graph, "conv3", x, &conv));
    y = actc_sigmoid(graph, "sigmoid", y);
    y = actc_linear(graph, "fc", actc_flatten(graph, "flatten", y), &fc);
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", y, actc_label_input(graph, "label")));
    return prepare(graph, rules);
}

/* What is kept under this name and for this reader. */
static bool saved_for(const actc_network *network, const char *name, const char *readers, actc_saved_info *info)
{
    for (size_t i = 0; i < actc_network_saved_count(network); i++) {
        *info = (actc_saved_info){.size = sizeof *info};
        ok(actc_network_saved_info(network, i, info));
        if (!strcmp(info->name, name) && !strcmp(info->readers, readers))
            return true;
    }
    return false;
}

static void derivatives_take_the_place_of_inputs(void **state)
{
    (void)state;
    static const uint64_t elements = 128 * 8 * 18 * 18;
    actc_saved_info info;
    for (uint64_t bits = 2; bits <= 8; bits *= 2) {
        char rules[64], codec[32];
        snprintf(codec, sizeof codec, "derivative:bits=%d", (int)bits);
        snprintf(rules, sizeof rules, "*@gelu=%s", codec);
        actc_network *network = with_function(rules, NULL, false);
        assert_false(saved_for(network, "conv1", "gelu", &info));
        assert_true(saved_for(network, "gelu", "gelu", &info)); /* its own, beside what conv2 saves of its output */
        assert_string_equal(info.codec, codec);
        assert_int_equal(info.kept_bytes, elements * bits / 8);
        assert_int_equal(info.dense_bytes, elements * 4);
        assert_int_equal(info.use, ACTC_SAVED_FOR_GRADIENT);
        assert_true(saved_for(network, "gelu", "conv2", &info));
        assert_string_equal(info.codec, "none");
        assert_null(actc_network_note(network, 0));
        actc_memory_report m = {.size = sizeof m};
        ok(actc_network_memory(network, &m));
        assert_int_equal(m.saved_mask_bytes, elements * bits / 8);
        assert_true(m.planned_bytes < m.planned_bytes_uncompressed);
        actc_network_destroy(&network);
    }
    /* a wildcard reaches those that can, beside another codec for the others */
    actc_network *network = with_function("*=dct:lambda=10;*=derivative:bits=4", NULL, false);
    assert_true(saved_for(network, "gelu", "gelu", &info) && saved_for(network, "sigmoid", "sigmoid", &info));
    assert_string_equal(info.codec, "derivative:bits=4");
    assert_true(saved_for(network, "gelu", "conv2", &info));
    assert_string_equal(info.codec, "dct:lambda=10");
    assert_true(saved_for(network, "flatten", "fc", &info));
    assert_string_equal(info.codec, "dct:lambda=10");
    actc_network_destroy(&network);
    network = with_function(NULL, "derivative", false);
    assert_true(saved_for(network, "gelu", "gelu", &info));
    assert_string_equal(codec_of(network, "flatten"), "none");
    actc_network_destroy(&network);
}

/* Where another operator keeps the tensor as it is, it is there for the function too; where a codec makes errors in it, the slopes
 * are kept apart. */
static void derivatives_leave_the_others_alone(void **state)
{
    (void)state;
    actc_saved_info info;
    actc_network *network = with_function("gelu=derivative:bits=4", NULL, true);
    assert_true(saved_for(network, "conv1", "conv3", &info) && !strcmp(info.codec, "none"));
    assert_false(saved_for(network, "gelu", "gelu", &info));
    expect_note(network, "gelu saves values that stay dense");
    actc_network_destroy(&network);
    network = with_function("gelu=derivative:bits=4;conv3=dct:lambda=100", NULL, true);
    assert_true(saved_for(network, "conv1", "conv3", &info) && !strcmp(info.codec, "dct:lambda=100"));
    assert_true(saved_for(network, "gelu", "gelu", &info));
    actc_network_destroy(&network);
    network = with_function("gelu,conv3=dct:lambda=100", NULL, true);
    assert_true(saved_for(network, "conv1", "gelu, conv3", &info) && !strcmp(info.codec, "dct:lambda=100"));
    actc_network_destroy(&network);
}

static void derivatives_are_of_functions(void **state)
{
    (void)state;
    static const char *const rules[] = {"conv1=derivative:bits=4", "*@conv=derivative", "gelu@gelu,conv=derivative:bits=2"};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const int64_t sample[] = {3, 20, 20};
        actc_conv2d_options conv = actc_conv2d_options_default(8, 3);
        actc_network_options options = actc_network_options_default();
        actc_network *network;
        actc_graph *graph;
        ok(actc_graph_create(context, "function", &graph));
        actc_tensor *x = actc_gelu(graph, "gelu", actc_conv2d(graph, "conv1", actc_input(graph, "image", sample, 3), &conv));
        actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_flatten(graph, "flatten", x),
                                                      actc_label_input(graph, "label")));
        options.train_batch = 4;
        options.compress = rules[i];
        assert_int_equal(actc_network_create(device, graph, &options, &network), ACTC_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(actc_error_message(context), "matches no operator of function that keeps a derivative"));
        actc_graph_destroy(&graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs_leave_probabilities_out), cmocka_unit_test(idle_payloads_are_named),
        cmocka_unit_test(useless_rules_say_what_to_name), cmocka_unit_test(useless_scopes_say_so),
        cmocka_unit_test(every_reader_counts), cmocka_unit_test(a_graph_keeps_its_message),
        cmocka_unit_test(parameter_counts), cmocka_unit_test(resnet18_fits),
        cmocka_unit_test(derivatives_take_the_place_of_inputs), cmocka_unit_test(derivatives_leave_the_others_alone),
        cmocka_unit_test(derivatives_are_of_functions),
        cmocka_unit_test(operator_inputs_are_named), cmocka_unit_test(shared_memory_counts_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
