/* operator_cases.c: every operator in a network of its own, forward and backward, and the optimisers.
 *
 * On deterministic devices loss, gradients, saved tensors, parameters and the optimiser's state are EXACT. In the fast mode,
 * loss and gradients are TOLERANT: within a bound of float64.
 */
#include "operator_net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "values.h"

#define LEARNING_RATE 0.01

const char *operator_net_name(int layer, char *text, size_t size)
{
    snprintf(text, size, "layer%d", layer);
    return text;
}

/* ---- building ---- */

static actc_tensor *add_layer(actc_graph *graph, const net_layer *l, const char *name, actc_tensor *x)
{
    actc_conv2d_options conv = actc_conv2d_options_default(l->out, 1);
    actc_max_pool2d_options pool = actc_max_pool2d_options_default(1);
    actc_linear_options linear = actc_linear_options_default(l->out);
    char relu[64];
    memcpy(conv.kernel, l->kernel, sizeof conv.kernel);
    memcpy(conv.stride, l->stride, sizeof conv.stride);
    memcpy(conv.padding, l->padding, sizeof conv.padding);
    memcpy(conv.dilation, l->dilation, sizeof conv.dilation);
    memcpy(pool.kernel, l->kernel, sizeof pool.kernel);
    memcpy(pool.stride, l->stride, sizeof pool.stride);
    memcpy(pool.padding, l->padding, sizeof pool.padding);
    conv.bias = linear.bias = !l->no_bias;
    switch (l->kind) {
    case NET_CONV2D: return actc_conv2d(graph, name, x, &conv);
    case NET_LINEAR: return actc_linear(graph, name, x, &linear);
    case NET_RELU: return actc_relu(graph, name, x);
    case NET_MAX_POOL2D: return actc_max_pool2d(graph, name, x, &pool);
    case NET_DROPOUT: return actc_dropout(graph, name, x, l->p);
    case NET_DROPOUT2D: return actc_dropout2d(graph, name, x, l->p);
    case NET_FLATTEN: return actc_flatten(graph, name, x);
    case NET_ADD: snprintf(relu, sizeof relu, "%s_relu", name); return actc_add(graph, name, x, actc_relu(graph, relu, x));
    case NET_END: break;
    }
    return NULL;
}

static bool make_network(const operator_net *net, parity_run *run, actc_graph **graph, actc_network **network)
{
    char name[32];
    if (actc_graph_create(run->context, "operator", graph) != ACTC_OK)
        return parity_fail(run, "%s", actc_error_message(run->context));
    actc_tensor *x = actc_input(*graph, "input", net->sample, net->ndim), *labels = actc_label_input(*graph, "label");
    for (int i = 0; i < NET_LAYERS && net->layers[i].kind != NET_END; i++)
        x = add_layer(*graph, &net->layers[i], operator_net_name(i, name, sizeof name), x);
    x = net->nll ? actc_nll_loss(*graph, "loss", actc_log_softmax(*graph, "log_softmax", x), labels)
                 : actc_cross_entropy(*graph, "loss", x, labels);
    actc_graph_set_loss(*graph, x);
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = net->batch;
    options.optimizer = actc_optimizer_options_default(net->optimizer);
    options.optimizer.momentum = net->momentum;
    options.optimizer.weight_decay = net->weight_decay;
    options.seed = run->seed;
    options.capture = true;
    actc_status status = actc_network_create(run->device, *graph, &options, network);
    if (status == ACTC_ERROR_UNSUPPORTED)
        return parity_skip(run, "%s", actc_error_message(run->context));
    if (status == ACTC_OK)
        status = actc_network_initialize(*network);
    return status == ACTC_OK || parity_fail(run, "%s", actc_error_message(run->context));
}

int64_t operator_net_classes(const operator_net *net)
{
    int64_t c = net->sample[0], h = net->ndim == 3 ? net->sample[1] : 1, w = net->ndim == 3 ? net->sample[2] : 1;
    for (int i = 0; i < NET_LAYERS && net->layers[i].kind != NET_END; i++) {
        const net_layer *l = &net->layers[i];
        if (l->kind == NET_CONV2D || l->kind == NET_MAX_POOL2D) {
            h = (h + 2 * l->padding[0] - l->dilation[0] * (l->kernel[0] - 1) - 1) / l->stride[0] + 1;
            w = (w + 2 * l->padding[1] - l->dilation[1] * (l->kernel[1] - 1) - 1) / l->stride[1] + 1;
        }
        if (l->kind == NET_CONV2D || l->kind == NET_LINEAR)
            c = l->out;
    }
    return c * h * w;
}

void operator_net_batch(const operator_net *net, uint64_t seed, float *x, int32_t *labels)
{
    test_rng r = {seed};
    int64_t sample = 1, classes = operator_net_classes(net);
    for (int i = 0; i < net->ndim; i++)
        sample *= net->sample[i];
    for (int64_t i = 0; i < net->batch * sample; i++)
        x[i] = bits_float(fill_value(&r, FILL_NORMAL)); /* with ties, for pooling */
    for (int64_t i = 0; i < net->batch; i++) {
        labels[i] = (int32_t)(rng_next(&r) % (uint64_t)classes);
        if (net->ignored && i % net->ignored == 1)
            labels[i] = -1;
    }
}

/* ---- running ---- */

/* All that a step leaves behind. */
static bool hand_over(parity_run *run, actc_network *network, int step, float loss)
{
    char label[64];
    snprintf(label, sizeof label, "%d loss", step);
    parity_exact(run, label, &loss, sizeof loss);
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        if (actc_network_state_info(network, i, &info) != ACTC_OK)
            return parity_fail(run, "%s", actc_error_message(run->context));
        size_t bytes = (size_t)actc_shape_elements(&info.shape) * sizeof(float);
        float *values = malloc(bytes);
        bool good = values && actc_network_read_state(network, i, values) == ACTC_OK;
        snprintf(label, sizeof label, "%d %s", step, info.name);
        if (good)
            parity_exact(run, label, values, bytes);
        free(values);
        if (!good)
            return parity_fail(run, "%s: %s", info.name, values ? actc_error_message(run->context) : "out of memory");
    }
    for (size_t i = 0; i < actc_network_saved_count(network); i++) {
        actc_saved_info info = {.size = sizeof info};
        if (actc_network_saved_info(network, i, &info) != ACTC_OK)
            return parity_fail(run, "%s", actc_error_message(run->context));
        if (strcmp(info.codec, "mask") == 0 || strcmp(info.codec, "index") == 0 || strcmp(info.codec, "own") == 0)
            continue; /* not readable; gradients show them */
        float *values = malloc((size_t)info.dense_bytes);
        bool good = values && actc_network_read_saved(network, i, values) == ACTC_OK;
        snprintf(label, sizeof label, "%d saved %.30s", step, info.name);
        if (good)
            parity_exact(run, label, values, (size_t)info.dense_bytes);
        free(values);
        if (!good)
            return parity_fail(run, "saved %s: %s", info.name, values ? actc_error_message(run->context) : "out of memory");
    }
    return true;
}

static bool make_batch(const operator_net *net, parity_run *run, float **x, int32_t **labels)
{
    size_t sample = 1;
    for (int i = 0; i < net->ndim; i++)
        sample *= (size_t)net->sample[i];
    *x = malloc((size_t)net->batch * sample * sizeof **x);
    *labels = malloc((size_t)net->batch * sizeof **labels);
    return (*x && *labels) || parity_fail(run, "out of memory");
}

static bool run_exact(const parity_case *c, parity_run *run)
{
    const operator_net *net = c->data;
    actc_graph *graph = NULL;
    actc_network *network = NULL;
    float *x = NULL;
    int32_t *labels = NULL;
    bool good = make_batch(net, run, &x, &labels) && make_network(net, run, &graph, &network);
    for (int step = 0; good && step < net->steps; step++) {
        actc_step_result result = {.size = sizeof result};
        operator_net_batch(net, run->seed + (uint64_t)step, x, labels);
        good = actc_network_train_step(network, x, labels, LEARNING_RATE, &result) == ACTC_OK ||
               parity_fail(run, "%s", actc_error_message(run->context));
        good = good && hand_over(run, network, step, result.loss);
    }
    double loss = 0;
    int64_t correct = 0;
    if (good)
        good = actc_network_evaluate(network, x, labels, net->batch, &loss, &correct) == ACTC_OK ||
               parity_fail(run, "%s", actc_error_message(run->context));
    if (good) {
        parity_exact(run, "evaluation: loss", &loss, sizeof loss);
        parity_exact(run, "evaluation: correct", &correct, sizeof correct);
    }
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
    free(x);
    free(labels);
    return good;
}

/* Reads every state of one kind of a layer's weight and bias; NULL where it has none. */
static bool read_states(parity_run *run, actc_network *network, const char *prefix, float **weights, float **biases)
{
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        if (actc_network_state_info(network, i, &info) != ACTC_OK)
            return parity_fail(run, "%s", actc_error_message(run->context));
        for (int layer = 0; layer < NET_LAYERS; layer++)
            for (int bias = 0; bias < 2; bias++) {
                char name[64];
                snprintf(name, sizeof name, "%slayer%d.%s", prefix, layer, bias ? "bias" : "weight");
                if (strcmp(name, info.name) != 0)
                    continue;
                float **values = bias ? &biases[layer] : &weights[layer];
                *values = malloc((size_t)actc_shape_elements(&info.shape) * sizeof(float));
                if (!*values || actc_network_read_state(network, i, *values) != ACTC_OK)
                    return parity_fail(run, "%s: %s", name, *values ? actc_error_message(run->context) : "out of memory");
            }
    }
    return true;
}

static void free_shared(void *shared)
{
    operator_reference_free(shared);
    free(shared);
}

static void hand_over_bounded(parity_run *run, const char *label, const float *got, const net_tensor *t)
{
    parity_bounded(run, label, got, t->value, t->error, t->n, 1e-11);
}

static bool run_tolerant(const parity_case *c, parity_run *run)
{
    const operator_net *net = c->data;
    actc_graph *graph = NULL;
    actc_network *network = NULL;
    float *x = NULL, *weights[NET_LAYERS] = {0}, *biases[NET_LAYERS] = {0}, *d_weights[NET_LAYERS] = {0},
          *d_biases[NET_LAYERS] = {0};
    int32_t *labels = NULL;
    actc_step_result result = {.size = sizeof result};
    bool good = make_batch(net, run, &x, &labels) && make_network(net, run, &graph, &network) &&
                read_states(run, network, "", weights, biases);
    if (good) {
        operator_net_batch(net, run->seed, x, labels);
        good = actc_network_train_step(network, x, labels, LEARNING_RATE, &result) == ACTC_OK ||
               parity_fail(run, "%s", actc_error_message(run->context));
    }
    good = good && read_states(run, network, "grad.", d_weights, d_biases);
    if (good && !run->shared) { /* the same on all: parameters come from the seed, on the host */
        run->shared = calloc(1, sizeof(operator_reference));
        run->free_shared = free_shared;
        good = (run->shared && operator_float64(net, run->seed, x, labels, (const float *const *)weights,
                                                (const float *const *)biases, run->shared)) ||
               parity_fail(run, "out of memory");
    }
    const operator_reference *reference = run->shared;
    if (good)
        hand_over_bounded(run, "loss", &result.loss, &reference->loss);
    for (int i = 0; good && i < NET_LAYERS; i++) {
        char label[32];
        if ((d_weights[i] != NULL) != (reference->weight[i].n != 0) || (d_biases[i] != NULL) != (reference->bias[i].n != 0))
            good = parity_fail(run, "layer %d has other parameters than it should", i);
        snprintf(label, sizeof label, "grad.layer%d.weight", i);
        if (good && d_weights[i])
            hand_over_bounded(run, label, d_weights[i], &reference->weight[i]);
        snprintf(label, sizeof label, "grad.layer%d.bias", i);
        if (good && d_biases[i])
            hand_over_bounded(run, label, d_biases[i], &reference->bias[i]);
    }
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
    free(x);
    free(labels);
    for (int i = 0; i < NET_LAYERS; i++) {
        free(weights[i]);
        free(biases[i]);
        free(d_weights[i]);
        free(d_biases[i]);
    }
    return good;
}

/* ---- the cases ---- */

#define CONV(o, kh, kw, sh, sw, ph, pw, dh, dw) \
    {.kind = NET_CONV2D, .out = o, .kernel = {kh, kw}, .stride = {sh, sw}, .padding = {ph, pw}, .dilation = {dh, dw}}
#define CONV1(o) CONV(o, 1, 1, 1, 1, 0, 0, 1, 1) /* gives the operator behind it an input that needs a gradient */
#define LINEAR(o) {.kind = NET_LINEAR, .out = o}
#define POOL(kh, kw, sh, sw, ph, pw) \
    {.kind = NET_MAX_POOL2D, .kernel = {kh, kw}, .stride = {sh, sw}, .padding = {ph, pw}, .dilation = {1, 1}}
#define FLATTEN {.kind = NET_FLATTEN}
#define DROP(rate) {.kind = NET_DROPOUT, .p = rate}
#define DROP2D(rate) {.kind = NET_DROPOUT2D, .p = rate}
#define END {.kind = NET_END}
#define IMAGE(c, h, w) .sample = {c, h, w}, .ndim = 3
#define VECTOR(f) .sample = {f, 0, 0}, .ndim = 1

typedef struct named_net {
    const char *name;
    operator_net net;
} named_net;

static const named_net operators[] = {
    {"conv2d(n=2,c=3,hw=9x11,o=5,k=3x3,s=1x1,p=0x0)",
     {.batch = 2, IMAGE(2, 9, 11), .layers = {CONV1(3), CONV(5, 3, 3, 1, 1, 0, 0, 1, 1), FLATTEN, END}}},
    {"conv2d(n=3,c=4,hw=13x7,o=7,k=3x2,s=2x1,p=1x0)",
     {.batch = 3, IMAGE(1, 13, 7), .layers = {CONV1(4), CONV(7, 3, 2, 2, 1, 1, 0, 1, 1), FLATTEN, END}}},
    {"conv2d(n=1,c=17,hw=10x10,o=3,k=3x3,s=1x1,p=2x2,d=2x2)",
     {.batch = 1, IMAGE(3, 10, 10), .layers = {CONV1(17), CONV(3, 3, 3, 1, 1, 2, 2, 2, 2), FLATTEN, END}}},
    {"conv2d(n=2,c=1,hw=28x28,o=16,k=3x3,s=1x1,p=0x0)",
     {.batch = 2, IMAGE(1, 28, 28), .layers = {CONV1(1), CONV(16, 3, 3, 1, 1, 0, 0, 1, 1), FLATTEN, END}}},
    {"conv2d(n=1,c=1,hw=1x1,o=2,k=1x1,s=1x1,p=0x0)",
     {.batch = 1, IMAGE(1, 1, 1), .layers = {CONV1(1), CONV(2, 1, 1, 1, 1, 0, 0, 1, 1), FLATTEN, END}}},
    {"linear(n=4,in=13,out=7)",
     {.batch = 4, VECTOR(5), .layers = {LINEAR(13), LINEAR(7), END}}},
    {"linear(n=1,in=1,out=2)",
     {.batch = 1, VECTOR(3), .layers = {LINEAR(1), LINEAR(2), END}}},
    {"linear(n=33,in=257,out=65)",
     {.batch = 33, VECTOR(31), .layers = {LINEAR(257), LINEAR(65), END}}},
    {"linear(n=128,in=128,out=10)",
     {.batch = 128, VECTOR(16), .layers = {LINEAR(128), LINEAR(10), END}}},
    {"relu(n=2,c=3,hw=7x5)",
     {.batch = 2, IMAGE(2, 7, 5), .layers = {CONV1(3), {.kind = NET_RELU}, FLATTEN, END}}},
    {"relu(n=5,f=259)",
     {.batch = 5, VECTOR(9), .layers = {LINEAR(259), {.kind = NET_RELU}, END}}},
    {"max_pool2d(n=2,c=3,hw=8x6,k=2x2,s=2x2,p=0x0)",
     {.batch = 2, IMAGE(2, 8, 6), .layers = {CONV1(3), POOL(2, 2, 2, 2, 0, 0), FLATTEN, END}}},
    {"max_pool2d(n=1,c=5,hw=9x7,k=3x3,s=2x2,p=1x1)",
     {.batch = 1, IMAGE(3, 9, 7), .layers = {CONV1(5), POOL(3, 3, 2, 2, 1, 1), FLATTEN, END}}},
    {"max_pool2d(n=3,c=2,hw=7x7,k=2x3,s=3x1,p=0x1)",
     {.batch = 3, IMAGE(1, 7, 7), .layers = {CONV1(2), POOL(2, 3, 3, 1, 0, 1), FLATTEN, END}}},
    {"dropout(n=3,f=131,p=0.5)",
     {.batch = 3, VECTOR(7), .layers = {LINEAR(131), DROP(0.5), END}}},
    {"dropout(n=2,c=3,hw=5x7,p=0.1)",
     {.batch = 2, IMAGE(2, 5, 7), .layers = {CONV1(3), DROP(0.1), FLATTEN, END}}},
    {"dropout2d(n=3,c=8,hw=5x6,p=0.25)",
     {.batch = 3, IMAGE(2, 5, 6), .layers = {CONV1(8), DROP2D(0.25), FLATTEN, END}}},
    {"dropout2d(n=4,f=65,p=0.25)",
     {.batch = 4, VECTOR(7), .layers = {LINEAR(65), DROP2D(0.25), END}}},
    {"flatten(n=3,c=5,hw=4x7)",
     {.batch = 3, IMAGE(2, 4, 7), .layers = {CONV1(5), FLATTEN, END}}},
    {"flatten(n=1,c=33,hw=3x1)",
     {.batch = 1, IMAGE(1, 3, 1), .layers = {CONV1(33), FLATTEN, END}}},
    {"add(n=2,c=3,hw=5x5)",
     {.batch = 2, IMAGE(2, 5, 5), .layers = {CONV1(3), {.kind = NET_ADD}, FLATTEN, END}}},
    {"add(n=7,f=37)",
     {.batch = 7, VECTOR(5), .layers = {LINEAR(37), {.kind = NET_ADD}, END}}},
    {"log_softmax_nll(n=5,classes=10)",
     {.batch = 5, VECTOR(12), .layers = {LINEAR(10), END}, .nll = true}},
    {"log_softmax_nll(n=300,classes=3,ignored=4)",
     {.batch = 300, VECTOR(4), .layers = {LINEAR(3), END}, .nll = true, .ignored = 4}},
    {"cross_entropy(n=5,classes=10)",
     {.batch = 5, VECTOR(12), .layers = {LINEAR(10), END}}},
    {"cross_entropy(n=257,classes=7,ignored=3)",
     {.batch = 257, VECTOR(4), .layers = {LINEAR(7), END}, .ignored = 3}},
    {"cross_entropy(n=3,classes=1009)",
     {.batch = 3, VECTOR(6), .layers = {LINEAR(1009), END}}},
};

static const named_net optimisers[] = {
    {"sgd(steps=3)", {.optimizer = ACTC_OPTIMIZER_SGD}},
    {"sgd(momentum=0.9,weight_decay=0.001,steps=3)",
     {.optimizer = ACTC_OPTIMIZER_SGD, .momentum = 0.9, .weight_decay = 1e-3}},
    {"adam(steps=3)", {.optimizer = ACTC_OPTIMIZER_ADAM}},
    {"adam(weight_decay=0.01,steps=3)", {.optimizer = ACTC_OPTIMIZER_ADAM, .weight_decay = 1e-2}},
    {"adamw(weight_decay=0.01,steps=3)", {.optimizer = ACTC_OPTIMIZER_ADAMW, .weight_decay = 1e-2}},
};

void parity_operator_cases(parity_list *list)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        operator_net net = operators[i].net;
        net.steps = 1;
        net.optimizer = ACTC_OPTIMIZER_SGD;
        parity_add(list, PARITY_OPERATOR, ACTC_PARITY_TOLERANT, run_tolerant, &net, sizeof net, "operator.%s",
                   operators[i].name);
        parity_add(list, PARITY_OPERATOR, ACTC_PARITY_EXACT, run_exact, &net, sizeof net, "operator_exact.%s",
                   operators[i].name)
            ->deterministic = true;
    }
    for (size_t i = 0; i < sizeof optimisers / sizeof *optimisers; i++) {
        static const operator_net shape = {
            .batch = 6, VECTOR(19), .layers = {LINEAR(67), {.kind = NET_RELU}, LINEAR(11), END}};
        operator_net net = shape;
        net.steps = 3;
        net.optimizer = optimisers[i].net.optimizer;
        net.momentum = optimisers[i].net.momentum;
        net.weight_decay = optimisers[i].net.weight_decay;
        parity_add(list, PARITY_OPERATOR, ACTC_PARITY_EXACT, run_exact, &net, sizeof net, "operator_exact.%s",
                   optimisers[i].name)
            ->deterministic = true;
    }
}
