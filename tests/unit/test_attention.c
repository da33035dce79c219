/* Attention, on the device that ACTC_TEST_DEVICE names: what it keeps, and what it computes again where its input or its output is
 * compressed; the gradient through a compressed input; dropout; memory by the number of tokens; 4,096 of them; what it refuses.
 */
#include "fill.h"
#include "keep_loaded.h"

#include <math.h>

#include <actc/actc.h>

#include "runtime/network.h"

enum { B = 8, T = 64, HEADS = 2, D = 16, FEATURES = 16, CLASSES = 5, QKV = T * 3 * HEADS * D };

static actc_context *context;
static actc_device *device;
static float input[B * FEATURES];
static int32_t labels[B];

static void ok(actc_status status)
{
    if (status != ACTC_OK)
        fail_msg("%s: %s", actc_status_string(status), actc_error_message(context));
}

/* linear "first" -> tokens, most of them 0 where `sparse` -> attention "attn" of logits with a deviation of about 4 -> gelu "act" ->
 * linear "proj" -> a loss; one step of it. */
static actc_network *make(const char *rules, const actc_attention_options *attention, bool sparse)
{
    const int64_t features[] = {FEATURES}, tokens[] = {T, -1};
    actc_graph *graph;
    actc_network *network;
    actc_linear_options first = actc_linear_options_default(QKV), proj = actc_linear_options_default(CLASSES);
    ok(actc_graph_create(context, "attention", &graph));
    actc_tensor *x = actc_linear(graph, "first", actc_input(graph, "x", features, 1), &first);
    x = actc_dropout(graph, "drop", actc_reshape(graph, "tokens", x, tokens, 2), sparse ? 0.9 : 0);
    x = actc_gelu(graph, "act", actc_attention(graph, "attn", x, attention));
    x = actc_linear(graph, "proj", actc_flatten(graph, "flat", x), &proj);
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, actc_label_input(graph, "label")));
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

static void gradient(actc_network *network, const char *name, float *values)
{
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        ok(actc_network_state_info(network, i, &info));
        if (info.kind != ACTC_STATE_GRADIENT || strcmp(info.name, name))
            continue;
        ok(actc_network_read_state(network, i, values));
        return;
    }
    fail_msg("%s has no gradient", name);
}

static int launches(const actc_network *network, actc_kernel_id id)
{
    const actc_program *program = &network->build->programs[ACTC_PROGRAM_TRAIN];
    int count = 0;
    for (size_t i = 0; i < program->n_commands; i++)
        count += program->commands[i].type == ACTC_COMMAND_KERNEL && program->commands[i].u.kernel.id == id;
    return count;
}

/* Bytes that are kept of a tensor; "" for none, with who reads it. */
static uint64_t kept(const actc_network *network, const char *name, const char *codec, char readers[64])
{
    uint64_t bytes = 0;
    *readers = 0;
    for (size_t i = 0; i < actc_network_saved_count(network); i++) {
        actc_saved_info info = {.size = sizeof info};
        ok(actc_network_saved_info(network, i, &info));
        if (strcmp(info.name, name) || strcmp(info.codec, codec))
            continue;
        bytes += info.kept_bytes;
        snprintf(readers, 64, "%s", info.readers);
    }
    return bytes;
}

/* ---- what is kept ---- */

static void test_kept(void **state)
{
    (void)state;
    const uint64_t output = 4ull * B * T * HEADS * D, lse = 4ull * B * T * HEADS;
    const actc_attention_options options = actc_attention_options_default(HEADS);
    char readers[64];
    actc_network *exact = make(NULL, &options, false), *lossy = make("attn=threshold:lambda=4", &options, false);
    actc_network *beside = make("act=threshold:lambda=4", &options, false);
    assert_int_equal(kept(exact, "drop", "none", readers), 3 * output);
    assert_int_equal(kept(exact, "attn", "own", readers), lse);
    assert_int_equal(kept(exact, "attn", "none", readers), output);
    assert_string_equal(readers, "attn, act");
    assert_int_equal(launches(exact, ACTC_KERNEL_attention_fwd), 1);
    /* its output is of the next operator alone, and no statistics are kept */
    assert_true(kept(lossy, "drop", "threshold:lambda=4", readers) < output);
    assert_int_equal(kept(lossy, "attn", "own", readers), 0);
    assert_int_equal(kept(lossy, "attn", "none", readers), output);
    assert_string_equal(readers, "act");
    assert_true(launches(lossy, ACTC_KERNEL_attention_fwd) > 1);
    /* compressed for the next operator: computed again from what is exact */
    assert_int_equal(kept(beside, "drop", "none", readers), 3 * output);
    assert_int_equal(kept(beside, "attn", "own", readers), 0);
    assert_true(kept(beside, "attn", "threshold:lambda=4", readers) > 0);
    assert_string_equal(readers, "act");
    assert_int_equal(launches(beside, ACTC_KERNEL_attention_fwd), 2);
    actc_network_destroy(&exact);
    actc_network_destroy(&lossy);
    actc_network_destroy(&beside);
}

/* Where nobody else reads the output, it is kept for attention, or not at all. */
static void test_output_alone(void **state)
{
    (void)state;
    const int64_t features[] = {FEATURES}, tokens[] = {T, -1}, target[] = {T, HEADS * D};
    const actc_attention_options options = actc_attention_options_default(HEADS);
    actc_linear_options first = actc_linear_options_default(QKV);
    for (int lossy = 0; lossy < 2; lossy++) {
        actc_graph *graph;
        actc_network *network;
        char readers[64];
        ok(actc_graph_create(context, "alone", &graph));
        actc_tensor *x = actc_linear(graph, "first", actc_input(graph, "x", features, 1), &first);
        x = actc_attention(graph, "attn", actc_reshape(graph, "tokens", x, tokens, 2), &options);
        x = actc_scale(graph, "scale", x, 2, 0);
        actc_graph_set_loss(graph, actc_mse_loss(graph, "loss", x, actc_input_of(graph, "target", ACTC_F32, target, 2)));
        actc_network_options o = actc_network_options_default();
        o.train_batch = B;
        o.compress = lossy ? "attn=dct:lambda=4" : NULL;
        ok(actc_network_create(device, graph, &o, &network));
        assert_int_equal(kept(network, "attn", "none", readers), lossy ? 0 : 4ull * B * T * HEADS * D);
        for (size_t i = 0; i < actc_network_saved_count(network); i++) {
            actc_saved_info info = {.size = sizeof info};
            ok(actc_network_saved_info(network, i, &info));
            assert_true(info.kept_bytes > 0);
        }
        actc_network_destroy(&network);
        actc_graph_destroy(&graph);
    }
}

/* ---- what is restored ---- */

static double relative_error(const float *a, const float *b, size_t n)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)a[i] * (double)a[i];
    }
    return sqrt(difference / norm);
}

/* Weights that do not add up to 1 would make gradients of a multiple of the size: the log-sum-exp of other numbers than those that are
 * restored (factors of 4 and more at such logits). */
static void test_lossy(void **state)
{
    (void)state;
    static float a[QKV * FEATURES], b[QKV * FEATURES];
    actc_attention_options options = actc_attention_options_default(HEADS);
    options.scale = 3;
    actc_network *exact = make(NULL, &options, false), *lossy = make("attn=threshold:lambda=2", &options, false);
    gradient(exact, "grad.first.weight", a);
    gradient(lossy, "grad.first.weight", b);
    const double error = relative_error(a, b, QKV * FEATURES);
    print_message("relative error of the gradient through half of the numbers: %.3f\n", error);
    assert_true(error > 0.01 && error < 0.8);
    /* of the linear layer behind it nothing changes */
    static float fc[2][CLASSES * T * HEADS * D];
    gradient(exact, "grad.proj.weight", fc[0]);
    gradient(lossy, "grad.proj.weight", fc[1]);
    assert_memory_equal(fc[0], fc[1], sizeof fc[0]);
    actc_network_destroy(&exact);
    actc_network_destroy(&lossy);
}

/* In parts of some samples, from a codec that keeps all there is: the bits are those of what is kept, dropout's draws too. */
static void test_slices(void **state)
{
    (void)state;
    static float a[QKV * FEATURES], b[QKV * FEATURES];
    for (int causal = 0; causal < 2; causal++) {
        actc_attention_options options = actc_attention_options_default(HEADS);
        options.causal = causal;
        options.dropout = 0.25;
        actc_network *exact = make(NULL, &options, true), *restored = make("attn=threshold:lambda=8", &options, true);
        assert_int_equal(launches(exact, ACTC_KERNEL_attention_bwd_kv), 1);
        assert_true(launches(restored, ACTC_KERNEL_attention_bwd_kv) > 1);
        gradient(exact, "grad.first.weight", a);
        gradient(restored, "grad.first.weight", b);
        assert_memory_equal(a, b, sizeof a);
        actc_network_destroy(&exact);
        actc_network_destroy(&restored);
    }
}

/* ---- dropout ---- */

/* q, k and v are all 1: every weight is 1/T, an output the part of its weights that are kept, and the loss, their mean. It is
 * linear in v, so that the gradients of v add up to it, if the backward pass draws the same. */
static void test_dropout(void **state)
{
    (void)state;
    enum { TOKENS = 97, STEPS = 3 };
    const double p = 0.3;
    const int64_t features[] = {1}, tokens[] = {TOKENS, -1}, target[] = {TOKENS, HEADS};
    static float zeros[B * TOKENS * HEADS], ones[TOKENS * HEADS * 3], bias[TOKENS * HEADS * 3];
    actc_linear_options first = actc_linear_options_default(TOKENS * HEADS * 3);
    actc_attention_options options = actc_attention_options_default(HEADS);
    options.dropout = p;
    actc_graph *graph;
    actc_network *network;
    ok(actc_graph_create(context, "dropout", &graph));
    actc_tensor *x = actc_linear(graph, "first", actc_input(graph, "x", features, 1), &first);
    x = actc_attention(graph, "attn", actc_reshape(graph, "tokens", x, tokens, 2), &options);
    actc_graph_set_loss(graph, actc_l1_loss(graph, "loss", x, actc_input_of(graph, "target", ACTC_F32, target, 2)));
    actc_network_options o = actc_network_options_default();
    o.train_batch = o.eval_batch = B;
    o.seed = 17;
    ok(actc_network_create(device, graph, &o, &network));
    ok(actc_network_initialize(network));
    for (int i = 0; i < TOKENS * HEADS * 3; i++)
        ones[i] = 1;
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        ok(actc_network_state_info(network, i, &info));
        if (info.kind == ACTC_STATE_PARAMETER)
            ok(actc_network_write_state(network, i, strcmp(info.name, "first.bias") ? zeros : ones));
    }
    const actc_binding bindings[] = {{"x", zeros}, {"target", zeros}};
    double losses[STEPS];
    for (int step = 0; step < STEPS; step++) {
        actc_step_result result = {.size = sizeof result};
        ok(actc_network_train(network, bindings, 2, 0, &result));
        losses[step] = (double)result.loss;
        const double deviation = sqrt(p / (1 - p) / ((double)B * HEADS * TOKENS * TOKENS));
        if (!(fabs(losses[step] - 1) < 4 * deviation && fabs(losses[step] - 1) > 0.01 * deviation))
            fail_msg("%g of the weights is kept, times 1/(1-p); one deviation is %g", losses[step], deviation);
        assert_true(!step || losses[step] < losses[step - 1] || losses[step] > losses[step - 1]);
        gradient(network, "grad.first.bias", bias);
        double sum = 0;
        for (int t = 0; t < TOKENS; t++)
            for (int h = 0; h < HEADS; h++)
                sum += (double)bias[t * 3 * HEADS + 2 * HEADS + h];
        if (!(fabs(sum - losses[step]) < 1e-5))
            fail_msg("the gradients of v add up to %.9g, the loss is %.9g", sum, losses[step]);
    }
    /* none in evaluation */
    ok(actc_network_evaluate_batch(network, bindings, 2, B));
    float mean;
    memcpy(&mean, &network->result[ACTC_RESULT_LOSS], sizeof mean);
    assert_true(fabs((double)mean / (B * TOKENS * HEADS) - 1) < 1e-6);
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
}

/* ---- many tokens ---- */

/* Tokens of 4 numbers; one head of 8, causal; the class by the last tokens. */
static actc_network *long_network(int64_t count, int64_t batch)
{
    const int64_t sample[] = {4, count, 1};
    const int transposed[] = {0, 2, 1};
    actc_graph *graph;
    actc_network *network;
    actc_conv2d_options qkv = actc_conv2d_options_default(24, 1);
    actc_linear_options head = actc_linear_options_default(CLASSES);
    actc_attention_options options = actc_attention_options_default(1);
    options.causal = true;
    ok(actc_graph_create(context, "long", &graph));
    actc_tensor *x = actc_convolution(graph, "qkv", actc_input(graph, "x", sample, 3), &qkv);
    x = actc_permute(graph, "tokens", actc_reshape(graph, "pixels", x, (int64_t[]){24, count}, 2), transposed);
    x = actc_attention(graph, "attn", x, &options);
    x = actc_linear(graph, "head", actc_flatten(graph, "flat", actc_slice(graph, "last", x, 1, count - 3, count)), &head);
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", x, actc_label_input(graph, "label")));
    actc_network_options o = actc_network_options_default();
    o.train_batch = o.eval_batch = batch;
    ok(actc_network_create(device, graph, &o, &network));
    ok(actc_network_initialize(network));
    actc_graph_destroy(&graph);
    return network;
}

static uint64_t planned(int64_t tokens)
{
    actc_network *network = long_network(tokens, 1);
    actc_memory_report report = {.size = sizeof report};
    ok(actc_network_memory(network, &report));
    actc_network_destroy(&network);
    return report.planned_bytes;
}

static void test_memory_is_linear(void **state)
{
    (void)state;
    const uint64_t some = planned(1024), many = planned(4096);
    print_message("planned bytes: %llu with 1,024 tokens, %llu with 4,096\n", (unsigned long long)some, (unsigned long long)many);
    assert_true(many < 4 * some);
    assert_true(many > some + 3 * 1024 * 4 * (24 + 8)); /* qkv and the output of the other tokens */
}

static void test_many_tokens(void **state)
{
    (void)state;
    enum { TOKENS = 4096 };
    static float x[4 * TOKENS], weight[24 * 4];
    const int32_t label[] = {2};
    test_rng r = {9};
    for (int i = 0; i < 4 * TOKENS; i++)
        x[i] = rng_normal(&r);
    actc_network *network = long_network(TOKENS, 1);
    actc_step_result result = {.size = sizeof result};
    ok(actc_network_train_step(network, x, label, 0.1, &result));
    const float before = result.loss;
    gradient(network, "grad.qkv.weight", weight);
    for (int i = 0; i < 24 * 4; i++)
        assert_true(isfinite(weight[i]) && weight[i] != 0);
    double after = 0;
    int64_t correct;
    ok(actc_network_evaluate(network, x, label, 1, &after, &correct));
    assert_true(after < (double)before);
    actc_network_destroy(&network);
}

/* ---- what is refused ---- */

static void refused(const char *words, const int64_t *q, const int64_t *kv, actc_attention_options options)
{
    actc_graph *graph;
    ok(actc_graph_create(context, "bad", &graph));
    actc_tensor *x = actc_input(graph, "q", q, 2);
    assert_null(kv ? actc_cross_attention(graph, "attn", x, actc_input(graph, "kv", kv, 2), &options)
                   : actc_attention(graph, "attn", x, &options));
    assert_int_equal(actc_graph_status(graph), ACTC_ERROR_INVALID_ARGUMENT);
    if (!strstr(actc_error_message(context), words))
        fail_msg("'%s' does not say '%s'", actc_error_message(context), words);
    actc_graph_destroy(&graph);
}

static void test_refused(void **state)
{
    (void)state;
    const int64_t qkv[] = {5, 24}, q[] = {5, 8}, kv[] = {7, 16}, odd[] = {7, 17}, wide[] = {2, 771}, many[] = {1 << 20, 3};
    const actc_attention_options plain = actc_attention_options_default(2);
    actc_attention_options o = plain;
    o.heads = 0;
    refused("attn (attention): heads is 0, must be 1 to 65535", qkv, NULL, o);
    o.heads = 3;
    refused("needs q, k and v of 3 heads side by side, B,T,3*heads*head_dim, got 1x5x24", qkv, NULL, o);
    refused("needs q B,TQ,heads*head_dim and kv B,TK,2*heads*head_dim with 3 heads, got 1x5x8 and 1x7x16", q, kv, o);
    refused("got 1x5x8 and 1x7x17", q, odd, plain);
    o = plain;
    o.scale = -1;
    refused("scale is -1, must be 1e-6 to 1e6, or 0 for head_dim^-1/2", qkv, NULL, o);
    o.scale = NAN;
    refused("scale is ", qkv, NULL, o);
    o = plain;
    o.dropout = 1;
    refused("dropout is 1, must be 0 <= dropout < 1", qkv, NULL, o);
    o = actc_attention_options_default(1);
    refused("head_dim is 257, at most 256 is supported", wide, NULL, o);
    o.dropout = 0.5;
    refused("dropout of 1048576 x 1048576 pairs has too few random numbers", many, NULL, o);
}

static int setup(void **state)
{
    (void)state;
    const char *name = getenv("ACTC_TEST_DEVICE");
    actc_device_options options = actc_device_options_default();
    options.device = name ? name : "cpu";
    options.validate = getenv("ACTC_TEST_VALIDATE") && !strncmp(options.device, "vulkan", 6);
    test_rng r = {5};
    for (int i = 0; i < B * FEATURES; i++)
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),    cmocka_unit_test(test_output_alone), cmocka_unit_test(test_lossy),
        cmocka_unit_test(test_slices),  cmocka_unit_test(test_dropout),      cmocka_unit_test(test_memory_is_linear),
        cmocka_unit_test(test_refused),
    };
    const struct CMUnitTest slow[] = {cmocka_unit_test(test_many_tokens)};
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    if (argc < 2 || strcmp(argv[1], "quick"))
        failed += cmocka_run_group_tests(slow, setup, teardown);
    return failed;
}
