/* cvt.c: the convolutional vision transformer (Wu et al., ICCV 2021), as Vu et al. (TMLR 2024) have it.
 *
 * Three stages: a convolution (7x7 of stride 4, then 3x3 of stride 2) - layer norm of each position's channels - blocks. A block adds to
 * its map attention of its norm, projected to queries, and with stride 2 to keys and values, by depthwise conv 3x3 - BN - conv 1x1; and
 * then conv 1x1 - GELU - conv 1x1 of its norm. Mean over all positions; linear. Names are the reference's ("stages.0.0.weight",
 * "stages.1.2.q.0.weight", "stages.1.2.norm1.weight" of (1,C,1,1)); each block is a scope for rules.
 */
#include <stdio.h>

#include "cvt.h"
#include "models.h"

actc_cvt_options actc_cvt_options_default(void)
{
    return (actc_cvt_options){.dim = {64, 192, 384}, .depth = {1, 2, 10}, .heads = {1, 3, 6}, .head_dim = 64, .classes = 1000};
}

static actc_tensor *conv(actc_graph *graph, const char *name, actc_tensor *x, int64_t channels, int64_t kernel, int64_t stride, bool bias)
{
    actc_conv2d_options options = actc_conv2d_options_default(channels, kernel);
    options.stride[0] = options.stride[1] = stride;
    options.padding[0] = options.padding[1] = kernel / 2;
    options.bias = bias;
    return actc_conv2d(graph, name, x, &options);
}

/* Of the channels; `prefix`: the scopes around it, joined by dots. */
static actc_tensor *norm(actc_graph *graph, const char *prefix, const char *name, actc_tensor *x)
{
    const int64_t dims[] = {1, actc_tensor_shape(x).dims[1], 1, 1};
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.%s.weight", prefix, name);
    snprintf(bias, sizeof bias, "%s.%s.bias", prefix, name);
    actc_layer_norm_options options = actc_layer_norm_options_default();
    options.weight_parameter = actc_parameter_create(graph, weight, dims, 4, ACTC_INIT_ONES, 1);
    options.bias_parameter = actc_parameter_create(graph, bias, dims, 4, ACTC_INIT_ZEROS, 1);
    return actc_layer_norm(graph, name, x, &options);
}

/* A map to tokens of `features`. */
static actc_tensor *projection(actc_graph *graph, const char *scope, actc_tensor *x, int64_t features, int64_t stride)
{
    const int64_t channels = actc_tensor_shape(x).dims[1], pixel[] = {1, 1};
    actc_conv2d_options depthwise = actc_conv2d_options_default(channels, 3);
    depthwise.stride[0] = depthwise.stride[1] = stride;
    depthwise.padding[0] = depthwise.padding[1] = 1;
    depthwise.groups = channels;
    depthwise.bias = false;
    actc_push_scope(graph, scope);
    x = actc_batch_norm(graph, "1", actc_conv2d(graph, "0", x, &depthwise), NULL);
    x = actc_patchify(graph, "tokens", conv(graph, "2", x, features, 1, 1, false), pixel);
    actc_pop_scope(graph);
    return x;
}

static actc_tensor *block(actc_graph *graph, const char *prefix, actc_tensor *x, const actc_cvt_options *o, int stage)
{
    const int64_t pixel[] = {1, 1}, dim = o->dim[stage], inner = o->heads[stage] * o->head_dim;
    const actc_shape shape = actc_tensor_shape(x);
    actc_attention_options options = actc_attention_options_default(o->heads[stage]);
    actc_tensor *y = norm(graph, prefix, "norm1", x);
    actc_tensor *q = projection(graph, "q", y, inner, 1), *kv = projection(graph, "kv", y, 2 * inner, 2);
    y = actc_unpatchify(graph, "map", actc_cross_attention(graph, "attention", q, kv, &options), shape.dims + 2, pixel, 2);
    x = actc_add(graph, "add1", conv(graph, "proj", y, dim, 1, 1, true), x);
    y = actc_gelu(graph, "act", conv(graph, "fc1", norm(graph, prefix, "norm2", x), 4 * dim, 1, 1, true));
    return actc_add(graph, "add2", conv(graph, "fc2", y, dim, 1, 1, true), x);
}

actc_tensor *actc_cvt(actc_graph *graph, actc_tensor *x, const actc_cvt_options *o)
{
    char name[24], prefix[48];
    actc_push_scope(graph, "stages");
    for (int stage = 0; stage < ACTC_CVT_STAGES; stage++) {
        snprintf(name, sizeof name, "%d", stage);
        snprintf(prefix, sizeof prefix, "stages.%d", stage);
        actc_push_scope(graph, name);
        x = norm(graph, prefix, "1", conv(graph, "0", x, o->dim[stage], stage ? 3 : 7, stage ? 2 : 4, true));
        for (int64_t i = 0; i < o->depth[stage]; i++) {
            snprintf(name, sizeof name, "%lld", (long long)i + 2);
            snprintf(prefix, sizeof prefix, "stages.%d.%lld", stage, (long long)i + 2);
            actc_push_scope(graph, name);
            x = block(graph, prefix, x, o, stage);
            actc_pop_scope(graph);
        }
        actc_pop_scope(graph);
    }
    actc_pop_scope(graph);
    actc_linear_options head = actc_linear_options_default(o->classes);
    return actc_linear(graph, "head", actc_flatten(graph, "flatten", actc_global_avg_pool(graph, "avgpool", x)), &head);
}

/* ---- as the tools know it ---- */

enum { WIDTH, DEPTH1, DEPTH2, DEPTH3, HEAD_DIM }; /* of config->options */

static void build(actc_graph *graph, const actc_model_config *config)
{
    const int64_t *n = config->options;
    const actc_cvt_options options = {.dim = {n[WIDTH], 3 * n[WIDTH], 6 * n[WIDTH]}, .depth = {n[DEPTH1], n[DEPTH2], n[DEPTH3]},
                                      .heads = {1, 3, 6}, .head_dim = n[HEAD_DIM], .classes = config->classes};
    actc_tensor *x = actc_input(graph, "input", config->sample.dims, config->sample.ndim), *label = actc_label_input(graph, "label");
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_cvt(graph, x, &options), label));
}

const actc_model actc_model_cvt = {
    .name = "cvt",
    .summary = "convolutional vision transformer of three stages",
    .usual = {.sample = {.ndim = 3, .dims = {3, 224, 224}}, .classes = 1000},
    .options = {{"width", "channels of the first stage; 3 and 6 times that in the others", 64, 1, 1024},
                {"depth1", "blocks of the first stage", 1, 1, 64},
                {"depth2", "of the second", 2, 1, 64},
                {"depth3", "of the third", 10, 1, 64},
                {"head_dim", "features of each of 1, 3 and 6 heads", 64, 1, 256}},
    .mean = 0.5,
    .std = 0.25,
    .build = build,
};
