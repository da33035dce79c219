/* resnet.c: residual networks (He et al., CVPR 2016), as Vu et al. (TMLR 2024) train them on CIFAR, and as torchvision has them.
 *
 * stem: conv 3x3 - BN - ReLU, or conv 7x7 of stride 2 - BN - ReLU - max-pool 3x3 of stride 2; four layers of blocks, the first block of layers 2 to 4 with stride 2; mean over all positions; linear. A
 * basic block is conv 3x3 - BN - ReLU - conv 3x3 - BN, a bottleneck 1x1 - 3x3 - 1x1 with four times the planes at its end; its input,
 * or a 1x1 convolution of it with BN where the shapes differ, is added, and a ReLU follows. Names are torchvision's
 * ("layer1.0.conv1.weight", "layer2.0.downsample.0.weight"), so weights move both ways; each block is a scope for rules.
 */
#include <stdio.h>

#include "models.h"
#include "resnet.h"

actc_resnet_options actc_resnet_options_default(void)
{
    return (actc_resnet_options){.depths = {2, 2, 2, 2}, .width = 64, .group_width = 64, .classes = 100};
}

/* Convolution without bias and padding that keeps the size, and BN: "NAMEconv", "NAMEbn" of this number. */
static actc_tensor *conv_bn(actc_graph *graph, const char *conv_name, const char *bn_name, actc_tensor *x, int64_t planes, int64_t kernel,
                            int64_t stride)
{
    actc_conv2d_options conv = actc_conv2d_options_default(planes, kernel);
    conv.bias = false;
    conv.stride[0] = conv.stride[1] = stride;
    conv.padding[0] = conv.padding[1] = kernel / 2;
    return actc_batch_norm(graph, bn_name, actc_conv2d(graph, conv_name, x, &conv), NULL);
}

static actc_tensor *shortcut(actc_graph *graph, actc_tensor *x, int64_t planes, int64_t stride)
{
    if (stride == 1 && actc_tensor_shape(x).dims[1] == planes)
        return x;
    actc_push_scope(graph, "downsample");
    x = conv_bn(graph, "0", "1", x, planes, 1, stride);
    actc_pop_scope(graph);
    return x;
}

static actc_tensor *block(actc_graph *graph, actc_tensor *x, const actc_resnet_options *o, int64_t planes, int64_t stride)
{
    actc_tensor *y = x;
    int64_t out = o->bottleneck ? 4 * planes : planes, inner = planes * o->group_width / 64;
    if (o->bottleneck) {
        y = actc_relu(graph, "relu1", conv_bn(graph, "conv1", "bn1", y, inner, 1, 1));
        y = actc_relu(graph, "relu2", conv_bn(graph, "conv2", "bn2", y, inner, 3, stride));
        y = conv_bn(graph, "conv3", "bn3", y, out, 1, 1);
    } else {
        y = actc_relu(graph, "relu1", conv_bn(graph, "conv1", "bn1", y, planes, 3, stride));
        y = conv_bn(graph, "conv2", "bn2", y, planes, 3, 1);
    }
    y = actc_add(graph, "add", y, shortcut(graph, x, out, stride));
    return actc_relu(graph, o->bottleneck ? "relu3" : "relu2", y);
}

actc_tensor *actc_resnet(actc_graph *graph, actc_tensor *x, const actc_resnet_options *options)
{
    char name[24];
    bool imagenet = options->imagenet_stem;
    x = actc_relu(graph, "relu1", conv_bn(graph, "conv1", "bn1", x, options->width, imagenet ? 7 : 3, imagenet ? 2 : 1));
    if (imagenet) {
        actc_max_pool2d_options pool = actc_max_pool2d_options_default(3);
        pool.stride[0] = pool.stride[1] = 2;
        pool.padding[0] = pool.padding[1] = 1;
        x = actc_max_pool2d(graph, "maxpool", x, &pool);
    }
    for (int layer = 0; layer < 4; layer++) {
        snprintf(name, sizeof name, "layer%d", layer + 1);
        actc_push_scope(graph, name);
        for (int i = 0; i < options->depths[layer]; i++) {
            snprintf(name, sizeof name, "%d", i);
            actc_push_scope(graph, name);
            x = block(graph, x, options, options->width << layer, layer && !i ? 2 : 1);
            actc_pop_scope(graph);
        }
        actc_pop_scope(graph);
    }
    actc_linear_options fc = actc_linear_options_default(options->classes);
    x = actc_flatten(graph, "flatten", actc_global_avg_pool(graph, "avgpool", x));
    return actc_linear(graph, "fc", x, &fc);
}

/* ---- as the tools know them ---- */

static void build(actc_graph *graph, const actc_model_config *config, actc_resnet_options options)
{
    options.width = config->options[0];
    options.imagenet_stem = config->options[1];
    options.classes = config->classes;
    actc_tensor *x = actc_input(graph, "input", config->sample.dims, config->sample.ndim), *label = actc_label_input(graph, "label");
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_resnet(graph, x, &options), label));
}

#define BUILD(name, is_bottleneck, inner, ...)                                                                                    \
    static void build_##name(actc_graph *graph, const actc_model_config *config)                                                  \
    {                                                                                                                             \
        build(graph, config, (actc_resnet_options){.depths = {__VA_ARGS__}, .bottleneck = is_bottleneck, .group_width = inner});  \
    }
BUILD(resnet18, false, 64, 2, 2, 2, 2)
BUILD(resnet34, false, 64, 3, 4, 6, 3)
BUILD(resnet50, true, 64, 3, 4, 6, 3)
BUILD(resnet101, true, 64, 3, 4, 23, 3)
BUILD(resnet152, true, 64, 3, 8, 36, 3)
BUILD(resnet152star, false, 64, 3, 8, 36, 3)
BUILD(wideresnet101, true, 128, 3, 4, 23, 3)

#define MODEL(id, text)                                                                                                           \
    {.name = #id, .summary = text, .usual = {.sample = {.ndim = 3, .dims = {3, 32, 32}}, .classes = 100}, .mean = 0.5, .std = 0.25, \
     .options = {{"width", "planes of the first layer", 64, 1, 1024},                                                              \
                 {"imagenet_stem", "1: the stem for large images", 0, 0, 1}},                                                      \
     .build = build_##id}
const actc_model actc_model_resnets[ACTC_MODEL_RESNETS] = {
    MODEL(resnet18, "residual network of 18 layers, for small colour images"),
    MODEL(resnet34, "of 34 layers"),
    MODEL(resnet50, "of 50 layers, bottlenecks"),
    MODEL(resnet101, "of 101 layers, bottlenecks"),
    MODEL(resnet152, "of 152 layers, bottlenecks"),
    MODEL(resnet152star, "of 102 layers in basic blocks, ResNet152* of the paper"),
    MODEL(wideresnet101, "of 101 layers, bottlenecks twice as wide"),
};
