/* unet3d.c: the 3-D U-Net (Cicek et al., MICCAI 2016), as Vu et al. (TMLR 2024) train it on BraTS and spleen.
 *
 * A block is conv 3x3x3 - BN - ReLU, twice. Down: blocks e1 to e4 of f, 2f, 4f, 8f channels, each followed by a max-pool of 2; block b
 * of 16f at the bottom; up: d1 to d4, each a transposed convolution of stride 2 to half the channels, joined with the output of the e
 * of its size, and a block; head: conv 1x1x1. Names are the reference's ("e1.conv1.weight", "d1.up.weight", "d1.block.bn2.bias"); each
 * block is a scope for rules.
 */
#include <stdio.h>

#include "models.h"
#include "unet3d.h"

#define MOST_LEVELS 8

actc_unet3d_options actc_unet3d_options_default(void)
{
    return (actc_unet3d_options){.features = 32, .depth = 4, .classes = 3};
}

static actc_tensor *block(actc_graph *graph, const char *scope, actc_tensor *x, int64_t channels)
{
    actc_push_scope(graph, scope);
    for (int i = 1; i <= 2; i++) {
        char conv_name[8], bn_name[8], relu_name[8];
        snprintf(conv_name, sizeof conv_name, "conv%d", i);
        snprintf(bn_name, sizeof bn_name, "bn%d", i);
        snprintf(relu_name, sizeof relu_name, "relu%d", i);
        actc_conv_options conv = actc_conv_options_default(channels, 3);
        conv.padding[0] = conv.padding[1] = conv.padding[2] = 1;
        x = actc_relu(graph, relu_name, actc_batch_norm(graph, bn_name, actc_convolution(graph, conv_name, x, &conv), NULL));
    }
    actc_pop_scope(graph);
    return x;
}

actc_tensor *actc_unet3d(actc_graph *graph, actc_tensor *x, const actc_unet3d_options *options)
{
    char name[16];
    actc_tensor *skips[MOST_LEVELS] = {NULL};
    const int depth = options->depth < MOST_LEVELS ? options->depth : MOST_LEVELS;
    for (int i = 0; i < depth; i++) {
        actc_pool_options pool = actc_pool_options_default(2);
        snprintf(name, sizeof name, "e%d", i + 1);
        skips[i] = block(graph, name, x, options->features << i);
        snprintf(name, sizeof name, "pool%d", i + 1);
        x = actc_max_pool(graph, name, skips[i], &pool);
    }
    x = block(graph, "b", x, options->features << depth);
    for (int i = 0; i < depth; i++) {
        const int64_t channels = options->features << (depth - 1 - i);
        actc_conv_options up = actc_conv_options_default(channels, 2);
        up.stride[0] = up.stride[1] = up.stride[2] = 2;
        snprintf(name, sizeof name, "d%d", i + 1);
        actc_push_scope(graph, name);
        actc_tensor *parts[] = {actc_conv_transpose(graph, "up", x, &up), skips[depth - 1 - i]};
        x = block(graph, "block", actc_concat(graph, "concat", parts, 2, 1), channels);
        actc_pop_scope(graph);
    }
    actc_conv_options head = actc_conv_options_default(options->classes, 1);
    return actc_convolution(graph, "head", x, &head);
}

/* ---- as the tools know it ---- */

static void build(actc_graph *graph, const actc_model_config *config)
{
    actc_unet3d_options options = {.features = config->options[0], .depth = (int)config->options[1], .classes = config->classes};
    const int64_t *dims = config->sample.dims;
    actc_tensor *x = actc_input(graph, "input", dims, config->sample.ndim);
    actc_tensor *label = actc_input_of(graph, "label", ACTC_I32, dims + 1, config->sample.ndim - 1);
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_unet3d(graph, x, &options), label));
}

const actc_model actc_model_unet3d = {
    .name = "unet3d",
    .summary = "U-Net for volumes",
    .usual = {.sample = {.ndim = 4, .dims = {4, 96, 96, 96}}, .classes = 3},
    .options = {{"features", "channels of the first level", 32, 1, 512},
                {"depth", "levels above the bottom; 2^depth divides the sizes", 4, 1, MOST_LEVELS}},
    .mean = 0,
    .std = 1,
    .build = build,
};
