/* A network of every operator, one of sequences, and every optimiser against PyTorch in float64 (tests/oracle/operators.py), on the
 * device that ACTC_TEST_DEVICE names: loss, the gradient of every parameter (relative L2 error <= 1e-5), and what four steps of
 * SGD with momentum, Adam and AdamW do to every parameter (<= 1e-4 of the change). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fill.h"
#include "keep_loaded.h"

#include <actc/actc.h>

enum { BATCH = 6, STEPS = 4, PARAMETERS = 9, SEQUENCE_PARAMETERS = 8, POOLING_PARAMETERS = 6, ATTENTION_PARAMETERS = 4 };
#define RATE 0.02

static actc_context *context;
static actc_device *device;
static actc_safetensors *fixture;
static const float *images;
static int32_t labels[BATCH];

static void ok(actc_status status)
{
    if (status != ACTC_OK)
        fail_msg("%s: %s", actc_status_string(status), actc_error_message(context));
}

static const float *tensor(const char *name, int64_t elements)
{
    size_t index;
    actc_shape shape;
    const float *values;
    if (actc_safetensors_find(fixture, name, &index) != ACTC_OK)
        fail_msg("the fixture has no tensor %s", name);
    ok(actc_safetensors_get(fixture, index, NULL, &shape, &values));
    assert_int_equal(actc_shape_elements(&shape), elements);
    return values;
}

static int setup(void **state)
{
    (void)state;
    const char *name = getenv("ACTC_TEST_DEVICE");
    actc_device_options options = actc_device_options_default();
    options.device = name ? name : "cpu";
    options.validate = getenv("ACTC_TEST_VALIDATE") && !strncmp(options.device, "vulkan", 6);
    const char *path = ACTC_TEST_SOURCE_DIR "/../oracle/fixtures/operators.safetensors";
    if (actc_context_create(NULL, &context) != ACTC_OK || actc_device_open(context, &options, &device) != ACTC_OK ||
        actc_safetensors_open(context, path, &fixture) != ACTC_OK) {
        fprintf(stderr, "%s\n", actc_error_message(context));
        return -1;
    }
    images = tensor("images", BATCH * 3 * 9 * 8);
    for (int i = 0; i < BATCH; i++)
        labels[i] = (int32_t)tensor("labels", BATCH)[i];
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    actc_safetensors_destroy(&fixture);
    actc_device_destroy(&device);
    actc_context_destroy(&context);
    return 0;
}

static actc_graph *make_graph(bool nll)
{
    const int64_t sample[] = {3, 9, 8}, square[] = {12, 12};
    actc_conv2d_options conv1 = actc_conv2d_options_default(6, 3), conv2 = actc_conv2d_options_default(6, 3);
    actc_max_pool2d_options pool = actc_max_pool2d_options_default(3);
    actc_linear_options fc1 = actc_linear_options_default(12), tied1 = fc1, tied2 = fc1;
    actc_linear_options fc2 = actc_linear_options_default(5);
    actc_graph *g;
    ok(actc_graph_create(context, "operators", &g));
    conv1.kernel[1] = conv1.stride[0] = conv1.dilation[1] = 2;
    conv1.padding[0] = conv1.padding[1] = 1;
    conv2.padding[0] = conv2.padding[1] = 1;
    conv2.bias = false;
    pool.kernel[1] = pool.stride[1] = 2;
    pool.stride[0] = pool.padding[0] = pool.padding[1] = 1;
    tied1.weight_parameter = actc_parameter_create(g, "shared.weight", square, 2, ACTC_INIT_DEFAULT, 12);
    tied2.weight_parameter = tied1.weight_parameter;
    tied2.bias = false;

    actc_tensor *x = actc_input(g, "input", sample, 3), *label = actc_label_input(g, "label");
    x = actc_relu(g, "relu1", actc_conv2d(g, "conv1", x, &conv1));
    actc_tensor *pooled = actc_max_pool2d(g, "pool", x, &pool);
    x = actc_add(g, "sum", actc_conv2d(g, "conv2", pooled, &conv2), pooled);
    x = actc_flatten(g, "flatten", actc_relu(g, "relu2", x));
    actc_push_scope(g, "block");
    x = actc_dropout(g, "drop", actc_linear(g, "fc1", x, &fc1), 0.3);
    actc_pop_scope(g);
    x = actc_linear(g, "tied2", actc_relu(g, "relu3", actc_linear(g, "tied1", x, &tied1)), &tied2);
    x = actc_linear(g, "fc2", x, &fc2);
    if (nll)
        x = actc_nll_loss(g, "loss", actc_log_softmax(g, "log_softmax", x), label);
    else
        x = actc_cross_entropy(g, "loss", x, label);
    actc_graph_set_loss(g, x);
    ok(actc_graph_status(g));
    return g;
}

static actc_graph *make_sequence_graph(void)
{
    const int64_t sample[] = {3, 9, 8}, before[3] = {0}, after[] = {0, 1, 0}, patch[] = {5, 4}, map[] = {3, 10, 16};
    const int64_t sequence[] = {16, -1};
    const int transposed[] = {0, 2, 1}, last_first[] = {0, 3, 1, 2};
    actc_conv2d_options stem = actc_conv2d_options_default(8, 3), mix = actc_conv2d_options_default(4, 3);
    actc_layer_norm_options plain = actc_layer_norm_options_default();
    actc_linear_options head = actc_linear_options_default(5);
    actc_graph *g;
    ok(actc_graph_create(context, "sequences", &g));
    stem.padding[0] = stem.padding[1] = 1;
    plain.epsilon = 1e-4;
    plain.affine = false;
    actc_tensor *x = actc_input(g, "input", sample, 3), *label = actc_label_input(g, "label");
    x = actc_conv2d(g, "stem", actc_pad(g, "pad", x, before, after, 0.5), &stem);
    x = actc_patchify(g, "patchify", actc_pixel_shuffle(g, "shuffle", x, 2), patch);
    x = actc_softmax(g, "softmax1", actc_layer_norm(g, "norm1", x, NULL));
    x = actc_slice(g, "slice1", actc_permute(g, "permute1", x, transposed), 1, 3, 33);
    x = actc_reshape(g, "map", actc_layer_norm(g, "norm2", x, &plain), map, 3);
    x = actc_softmax(g, "softmax2", actc_conv2d(g, "mix", x, &mix));
    x = actc_permute(g, "permute2", actc_slice(g, "slice2", x, 3, 2, 10), last_first);
    x = actc_slice(g, "slice3", actc_reshape(g, "sequence", x, sequence, 2), 1, 8, 16);
    x = actc_linear(g, "head", actc_flatten(g, "flatten", x), &head);
    actc_graph_set_loss(g, actc_cross_entropy(g, "loss", x, label));
    ok(actc_graph_status(g));
    return g;
}

static actc_tensor *mean(actc_graph *g, const char *name, actc_tensor *x, const int64_t kernel[3], const int64_t stride[3],
                         const int64_t padding[3], bool count_include_pad)
{
    actc_avg_pool_options o = actc_avg_pool_options_default(1);
    memcpy(o.kernel, kernel, sizeof o.kernel);
    memcpy(o.stride, stride, sizeof o.stride);
    memcpy(o.padding, padding, sizeof o.padding);
    o.count_include_pad = count_include_pad;
    return actc_avg_pool(g, name, x, &o);
}
#define MEAN(name, k0, k1, k2, s0, s1, s2, p0, p1, p2, count)                                                         \
    mean(g, name, x, (const int64_t[]){k0, k1, k2}, (const int64_t[]){s0, s1, s2}, (const int64_t[]){p0, p1, p2}, count)

static actc_graph *make_pooling_graph(void)
{
    const int64_t sample[] = {3, 9, 8}, parts[] = {4, 7}, volume[] = {2, 4, 4, 7}, boxes[] = {2, 3, 2}, one[] = {1, 1, 1};
    actc_conv_options stem = actc_conv_options_default(8, 3), mix = actc_conv_options_default(4, 2);
    actc_linear_options head = actc_linear_options_default(5);
    actc_graph *g;
    ok(actc_graph_create(context, "pooling", &g));
    for (int i = 0; i < 3; i++)
        stem.padding[i] = mix.padding[i] = 1;
    actc_tensor *x = actc_input(g, "input", sample, 3), *label = actc_label_input(g, "label");
    x = actc_convolution(g, "stem", x, &stem);
    x = actc_relu(g, "relu1", MEAN("mean1", 3, 2, 0, 2, 1, 0, 1, 1, 0, true));
    x = MEAN("mean2", 2, 3, 0, 1, 2, 0, 1, 1, 0, false);
    x = actc_reshape(g, "volume", actc_adaptive_avg_pool(g, "parts", x, parts), volume, 4);
    x = actc_convolution(g, "mix", x, &mix);
    x = actc_relu(g, "relu2", MEAN("mean3", 2, 3, 2, 1, 2, 2, 1, 1, 1, false));
    x = MEAN("mean4", 3, 2, 2, 2, 1, 2, 1, 0, 1, true);
    actc_tensor *both[] = {actc_flatten(g, "flatten1", actc_adaptive_avg_pool(g, "boxes", x, boxes)),
                           actc_flatten(g, "flatten2", actc_adaptive_avg_pool(g, "one", x, one))};
    x = actc_linear(g, "head", actc_concat(g, "concat", both, 2, 1), &head);
    actc_graph_set_loss(g, actc_cross_entropy(g, "loss", x, label));
    ok(actc_graph_status(g));
    return g;
}

static actc_graph *make_attention_graph(void)
{
    const int64_t sample[] = {3, 9, 8}, tokens[] = {60, 72};
    const int transposed[] = {0, 2, 1};
    actc_conv2d_options stem = actc_conv2d_options_default(60, 3);
    actc_linear_options head = actc_linear_options_default(5);
    actc_attention_options self = actc_attention_options_default(2), cross = actc_attention_options_default(3);
    actc_graph *g;
    ok(actc_graph_create(context, "attention", &g));
    stem.padding[0] = stem.padding[1] = 1;
    self.causal = true;
    cross.scale = 0.7;
    cross.dropout = 0.25;
    actc_tensor *x = actc_input(g, "input", sample, 3), *label = actc_label_input(g, "label");
    x = actc_permute(g, "tokens", actc_reshape(g, "pixels", actc_conv2d(g, "stem", x, &stem), tokens, 2), transposed);
    actc_tensor *kv = actc_slice(g, "kv", x, 2, 36, 60);
    x = actc_attention(g, "self", actc_slice(g, "qkv", x, 2, 0, 36), &self);
    x = actc_cross_attention(g, "cross", actc_slice(g, "queries", x, 1, 31, 48), kv, &cross);
    x = actc_linear(g, "head", actc_flatten(g, "flatten", x), &head);
    actc_graph_set_loss(g, actc_cross_entropy(g, "loss", x, label));
    ok(actc_graph_status(g));
    return g;
}

static actc_network *network_of(actc_graph *graph, actc_optimizer_options optimizer)
{
    actc_network_options options = actc_network_options_default();
    actc_network *network;
    options.train_batch = BATCH;
    options.seed = 21;
    options.optimizer = optimizer;
    ok(actc_network_create(device, graph, &options, &network));
    ok(actc_network_initialize(network));
    actc_graph_destroy(&graph);
    return network;
}

static actc_network *make_network(bool nll, actc_optimizer_options optimizer)
{
    return network_of(make_graph(nll), optimizer);
}

/* Compares every state of the kind, `count` of them, less `before` (by state) where that is given, with the fixture's PREFIX
 * NAME. */
static void compare(actc_network *network, actc_state_kind kind, const char *prefix, float *const *before, double bound,
                    int count)
{
    int compared = 0;
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        char name[96];
        ok(actc_network_state_info(network, i, &info));
        if (info.kind != kind)
            continue;
        snprintf(name, sizeof name, "%s%s", prefix, info.name);
        int64_t n = actc_shape_elements(&info.shape);
        const float *want = tensor(name, n);
        float *got = malloc((size_t)n * sizeof *got);
        double difference = 0, norm = 0;
        assert_non_null(got);
        ok(actc_network_read_state(network, i, got));
        for (int64_t k = 0; k < n; k++) {
            double d = (double)got[k] - (before ? before[i][k] : 0) - want[k];
            difference += d * d;
            norm += (double)want[k] * want[k];
        }
        free(got);
        if (!(sqrt(difference) <= bound * sqrt(norm)) || !(norm > 0))
            fail_msg("%s: relative error %g", name, sqrt(difference / norm));
        compared++;
    }
    assert_int_equal(compared, count);
}

static void gradients(void **state)
{
    (void)state;
    double want = tensor("loss", 1)[0];
    for (int nll = 0; nll < 2; nll++) {
        actc_network *network = make_network(nll, actc_optimizer_options_default(ACTC_OPTIMIZER_SGD));
        actc_step_result result = {.size = sizeof result};
        ok(actc_network_train_step(network, images, labels, 0, &result));
        assert_true(fabs((double)result.loss - want) <= 1e-6 * want);
        compare(network, ACTC_STATE_GRADIENT, "", NULL, 1e-5, PARAMETERS);
        actc_network_destroy(&network);
    }
}

/* Layer norm's weights, which begin as ones and zeros, from the fixture. */
static void write_norm(actc_network *network)
{
    int written = 0;
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        char name[96];
        ok(actc_network_state_info(network, i, &info));
        if (info.kind != ACTC_STATE_PARAMETER || strncmp(info.name, "norm1.", 6))
            continue;
        snprintf(name, sizeof name, "sequence.%s", info.name);
        ok(actc_network_write_state(network, i, tensor(name, actc_shape_elements(&info.shape))));
        written++;
    }
    assert_int_equal(written, 2);
}

static void sequences(void **state)
{
    (void)state;
    double want = tensor("sequence.loss", 1)[0];
    actc_network *network = network_of(make_sequence_graph(), actc_optimizer_options_default(ACTC_OPTIMIZER_SGD));
    actc_step_result result = {.size = sizeof result};
    write_norm(network);
    ok(actc_network_train_step(network, images, labels, 0, &result));
    assert_true(fabs((double)result.loss - want) <= 1e-6 * want);
    compare(network, ACTC_STATE_GRADIENT, "sequence|", NULL, 1e-5, SEQUENCE_PARAMETERS);
    actc_network_destroy(&network);
}

static void pooling(void **state)
{
    (void)state;
    double want = tensor("pooling.loss", 1)[0];
    actc_network *network = network_of(make_pooling_graph(), actc_optimizer_options_default(ACTC_OPTIMIZER_SGD));
    actc_step_result result = {.size = sizeof result};
    ok(actc_network_train_step(network, images, labels, 0, &result));
    assert_true(fabs((double)result.loss - want) <= 1e-6 * want);
    compare(network, ACTC_STATE_GRADIENT, "pooling|", NULL, 1e-5, POOLING_PARAMETERS);
    actc_network_destroy(&network);
}

static void attention(void **state)
{
    (void)state;
    double want = tensor("attention.loss", 1)[0];
    actc_network *network = network_of(make_attention_graph(), actc_optimizer_options_default(ACTC_OPTIMIZER_SGD));
    actc_step_result result = {.size = sizeof result};
    ok(actc_network_train_step(network, images, labels, 0, &result));
    assert_true(fabs((double)result.loss - want) <= 1e-6 * want);
    compare(network, ACTC_STATE_GRADIENT, "attention|", NULL, 1e-5, ATTENTION_PARAMETERS);
    actc_network_destroy(&network);
}

/* What the graph says of a mean over a map of 3,9,8 or, with `volume`, over 2,3,9,4. */
static void refused(const char *words, const actc_avg_pool_options *options, const int64_t *sizes, bool volume)
{
    const int64_t map[] = {3, 9, 8}, box[] = {2, 3, 9, 4};
    actc_graph *g;
    ok(actc_graph_create(context, "bad", &g));
    actc_tensor *x = actc_input(g, "input", volume ? box : map, volume ? 4 : 3);
    assert_null(options ? actc_avg_pool(g, "mean", x, options) : actc_adaptive_avg_pool(g, "mean", x, sizes));
    if (!strstr(actc_error_message(context), words))
        fail_msg("'%s' is not in '%s'", words, actc_error_message(context));
    actc_graph_destroy(&g);
}

static void bad_windows(void **state)
{
    (void)state;
    const actc_avg_pool_options plain = actc_avg_pool_options_default(2);
    actc_avg_pool_options o = plain;
    o.kernel[1] = 0;
    refused("kernel 0, stride 2, padding 0; kernel must be 1 to 4096", &o, NULL, false);
    o.kernel[1] = 4097;
    refused("kernel 4097", &o, NULL, false);
    o = plain;
    o.stride[0] = 0;
    refused("stride 0", &o, NULL, false);
    o = plain;
    o.padding[1] = 2;
    refused("padding 2", &o, NULL, false);
    o.padding[1] = -1;
    refused("padding -1", &o, NULL, false);
    o = plain;
    o.kernel[0] = 10;
    refused("the window of 10 is larger than the padded input", &o, NULL, false);
    o = actc_avg_pool_options_default(300);
    refused("a window of 300x300x300 has more than 2^24 positions", &o, NULL, true);
    refused("size 0 from 8 along axis 3; both must be 1 to 65535", NULL, (const int64_t[]){3, 0}, false);
    refused("size 70000 from 9 along axis 2", NULL, (const int64_t[]){70000, 1}, false);
    refused("size 0 from 4 along axis 4", NULL, (const int64_t[]){2, 2, 0}, true);
}

/* ---- slopes in a few bits ---- */

enum { FUNCTIONS = 4, FUNCTION_STATES = 6 };

/* The gradients of conv1, conv2 and fc, weight and bias each; returns the loss. */
static float function_gradients(int function, const char *rules, float *gradients[FUNCTION_STATES], int64_t elements[FUNCTION_STATES])
{
    actc_tensor *(*const functions[FUNCTIONS])(actc_graph *, const char *, actc_tensor *) = {actc_sigmoid, actc_tanh, actc_silu,
                                                                                              actc_gelu};
    const int64_t sample[] = {3, 9, 8};
    actc_conv2d_options conv = actc_conv2d_options_default(8, 3);
    actc_linear_options fc = actc_linear_options_default(5);
    actc_network_options options = actc_network_options_default();
    actc_step_result result = {.size = sizeof result};
    actc_network *network;
    actc_graph *g;
    size_t used = 0;
    ok(actc_graph_create(context, "functions", &g));
    actc_tensor *x = functions[function](g, "f1", actc_conv2d(g, "conv1", actc_input(g, "input", sample, 3), &conv));
    x = actc_conv2d(g, "conv2", actc_scale(g, "scale", x, 1.5, 0), &conv); /* so that nobody saves f1's output */
    x = actc_linear(g, "fc", actc_flatten(g, "flatten", x), &fc);
    actc_graph_set_loss(g, actc_cross_entropy(g, "loss", x, actc_label_input(g, "label")));
    options.train_batch = BATCH;
    options.seed = 5;
    options.compress = rules;
    ok(actc_network_create(device, g, &options, &network));
    actc_graph_destroy(&g);
    ok(actc_network_initialize(network));
    ok(actc_network_train_step(network, images, labels, 0, &result));
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        ok(actc_network_state_info(network, i, &info));
        if (info.kind != ACTC_STATE_GRADIENT)
            continue;
        assert_true(used < FUNCTION_STATES);
        elements[used] = actc_shape_elements(&info.shape);
        gradients[used] = malloc((size_t)elements[used] * sizeof *gradients[used]);
        assert_non_null(gradients[used]);
        ok(actc_network_read_state(network, i, gradients[used++]));
    }
    assert_int_equal(used, FUNCTION_STATES);
    actc_network_destroy(&network);
    return result.loss;
}

/* The loss and all gradients behind the function keep their bits; those before it come nearer with every bit. */
static void derivatives(void **state)
{
    (void)state;
    static const double bounds[] = {0.6, 0.1, 0.006};
    for (int function = 0; function < FUNCTIONS; function++) {
        float *exact[FUNCTION_STATES], *kept[FUNCTION_STATES];
        int64_t elements[FUNCTION_STATES];
        float loss = function_gradients(function, NULL, exact, elements);
        for (int b = 0; b < 3; b++) {
            if (b != 1 && function != FUNCTIONS - 1) /* the widths are the same for all */
                continue;
            char rules[40];
            int same = 0;
            snprintf(rules, sizeof rules, "f1=derivative:bits=%d", 2 << b);
            assert_true(function_gradients(function, rules, kept, elements) == loss);
            for (int i = 0; i < FUNCTION_STATES; i++) {
                double error = 0, norm = 0;
                for (int64_t k = 0; k < elements[i]; k++) {
                    double d = (double)kept[i][k] - exact[i][k];
                    error += d * d;
                    norm += (double)exact[i][k] * exact[i][k];
                }
                same += error == 0;
                if (!(sqrt(error / norm) <= bounds[b]))
                    fail_msg("function %d, %s: gradient %d has the relative error %g", function, rules, i, sqrt(error / norm));
                free(kept[i]);
            }
            assert_int_equal(same, 4); /* conv2's and fc's */
        }
        for (int i = 0; i < FUNCTION_STATES; i++)
            free(exact[i]);
    }
}

static void optimizer(const char *name, actc_optimizer_options options)
{
    char text[32], prefix[32];
    snprintf(text, sizeof text, "%s|losses", name);
    snprintf(prefix, sizeof prefix, "%s|", name);
    const float *losses = tensor(text, STEPS);
    actc_network *network = make_network(true, options);
    size_t states = actc_network_state_count(network);
    float **before = calloc(states, sizeof *before);
    assert_non_null(before);
    for (size_t i = 0; i < states; i++) {
        actc_state_info info = {.size = sizeof info};
        ok(actc_network_state_info(network, i, &info));
        before[i] = malloc((size_t)actc_shape_elements(&info.shape) * sizeof **before);
        assert_non_null(before[i]);
        ok(actc_network_read_state(network, i, before[i]));
    }
    for (int i = 0; i < STEPS; i++) {
        actc_step_result result = {.size = sizeof result};
        ok(actc_network_train_step(network, images, labels, RATE, &result));
        if (!(fabs((double)result.loss - losses[i]) <= 1e-5 * losses[i]))
            fail_msg("%s: loss of step %d is %.9g, should be %.9g", name, i + 1, result.loss, losses[i]);
    }
    compare(network, ACTC_STATE_PARAMETER, prefix, before, 1e-4, PARAMETERS);
    for (size_t i = 0; i < states; i++)
        free(before[i]);
    free(before);
    actc_network_destroy(&network);
}

static void sgd(void **state)
{
    (void)state;
    actc_optimizer_options options = actc_optimizer_options_default(ACTC_OPTIMIZER_SGD);
    options.momentum = 0.9;
    options.weight_decay = 0.01;
    optimizer("sgd", options);
}

static void adam(void **state)
{
    (void)state;
    actc_optimizer_options options = actc_optimizer_options_default(ACTC_OPTIMIZER_ADAM);
    options.weight_decay = 0.01;
    options.epsilon = 1e-3; /* so that rounding of the smallest gradients is not magnified */
    optimizer("adam", options);
}

static void adamw(void **state)
{
    (void)state;
    actc_optimizer_options options = actc_optimizer_options_default(ACTC_OPTIMIZER_ADAMW);
    options.weight_decay = 0.1;
    options.epsilon = 1e-3;
    optimizer("adamw", options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(sequences),
        cmocka_unit_test(pooling), cmocka_unit_test(attention),
        cmocka_unit_test(bad_windows),
        cmocka_unit_test(derivatives),
        cmocka_unit_test(sgd),
        cmocka_unit_test(adam),
        cmocka_unit_test(adamw),
    };
    return cmocka_run_group_tests_name("operators", tests, setup, teardown);
}
