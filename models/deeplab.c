/* deeplab.c: DeepLabV3+ (Chen et al., ECCV 2018) on MobileNetV2 (Sandler et al., CVPR 2018), output stride 8, as Vu et al. (TMLR 2024)
 * measure it.
 *
 * Backbone: conv 3x3 of stride 2 without padding - BN - ReLU6, and seven stages of inverted residuals: zeros of the dilation's width
 * around the block's input, conv 1x1 (expand) - BN - ReLU6, depthwise 3x3 - BN - ReLU6, conv 1x1 - BN, and the input added where
 * shapes allow. Past a stride of 8, strides become dilations. Head: pyramid (ASPP) of a 1x1, three dilated 3x3 and the mean of all
 * positions, joined, conv 1x1 - BN - ReLU - dropout, resized to a quarter of the input, joined with a 1x1 of the backbone's output
 * there; conv 3x3 - BN - ReLU - conv 1x1, resized to the input. Names are the reference's ("backbone.features.3.conv.1.0.weight",
 * "aspp.convs.2.1.bias", "classifier.3.weight"); each block is a scope for rules.
 */
#include <stdio.h>

#include "deeplab.h"
#include "models.h"

#define OUTPUT_STRIDE 8
#define LOW_LEVEL 4 /* layers of the backbone before its output at a quarter of the input */
#define LOW_LEVEL_FEATURES 48

actc_deeplab_options actc_deeplab_options_default(void)
{
    return (actc_deeplab_options){.width = 1, .features = 256, .dropout = 0.1, .classes = 21};
}

typedef actc_tensor *activation_fn(actc_graph *graph, const char *name, actc_tensor *x);

/* Conv without bias, BN and, unless NULL, an activation: "FIRST", and the two numbers after it. */
static actc_tensor *conv_bn(actc_graph *graph, int first, actc_tensor *x, const actc_conv2d_options *conv, activation_fn *activation)
{
    char name[3][16];
    for (int i = 0; i < 3; i++)
        snprintf(name[i], sizeof name[i], "%d", first + i);
    x = actc_batch_norm(graph, name[1], actc_conv2d(graph, name[0], x, conv), NULL);
    return activation ? activation(graph, name[2], x) : x;
}

static actc_conv2d_options conv_of(int64_t channels, int64_t kernel)
{
    actc_conv2d_options conv = actc_conv2d_options_default(channels, kernel);
    conv.bias = false;
    return conv;
}

/* The same in a scope of its own. */
static actc_tensor *layer(actc_graph *graph, const char *scope, actc_tensor *x, const actc_conv2d_options *conv, activation_fn *activation)
{
    actc_push_scope(graph, scope);
    x = conv_bn(graph, 0, x, conv, activation);
    actc_pop_scope(graph);
    return x;
}

static int64_t size_of(const actc_tensor *x, int axis)
{
    return actc_tensor_shape(x).dims[axis];
}

/* ---- MobileNetV2 ---- */

static actc_tensor *inverted_residual(actc_graph *graph, actc_tensor *x, int64_t channels, int64_t stride, int64_t dilation, int64_t expand)
{
    const int64_t in = size_of(x, 1), inner = in * expand, around[] = {0, dilation, dilation};
    actc_conv2d_options wide = conv_of(inner, 1), depthwise = conv_of(inner, 3), narrow = conv_of(channels, 1);
    depthwise.groups = inner ? inner : 1; /* 0 of a graph that has failed */
    depthwise.stride[0] = depthwise.stride[1] = stride;
    depthwise.dilation[0] = depthwise.dilation[1] = dilation;
    actc_tensor *y = actc_pad(graph, "pad", x, around, around, 0);
    actc_push_scope(graph, "conv");
    if (expand > 1)
        y = layer(graph, "0", y, &wide, actc_relu6);
    y = layer(graph, expand > 1 ? "1" : "0", y, &depthwise, actc_relu6);
    y = conv_bn(graph, expand > 1 ? 2 : 1, y, &narrow, NULL);
    actc_pop_scope(graph);
    return stride == 1 && in == channels ? actc_add(graph, "add", y, x) : y;
}

/* To a multiple of 8, not below 90 % of what was asked for. */
static int64_t scaled(int64_t channels, double width)
{
    const double wanted = (double)channels * width;
    const int64_t n = (int64_t)(wanted + 4) / 8 * 8, least = n < 8 ? 8 : n;
    return (double)least < 0.9 * wanted ? least + 8 : least;
}

static actc_tensor *mobilenet_v2(actc_graph *graph, actc_tensor *x, double width, actc_tensor **low_level)
{
    static const struct {
        int expand, channels, blocks, stride;
    } stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    char name[16];
    int64_t reached = 2, dilation = 1;
    actc_conv2d_options stem = conv_of(scaled(32, width), 3);
    stem.stride[0] = stem.stride[1] = 2;
    actc_push_scope(graph, "features");
    x = layer(graph, "0", x, &stem, actc_relu6);
    for (size_t s = 0, n = 1; s < sizeof stages / sizeof *stages; s++) {
        const int64_t before = dilation;
        int64_t stride = stages[s].stride;
        if (reached == OUTPUT_STRIDE) {
            dilation *= stride;
            stride = 1;
        }
        reached *= stride;
        for (int i = 0; i < stages[s].blocks; i++, n++) {
            if (n == LOW_LEVEL)
                *low_level = x;
            snprintf(name, sizeof name, "%zu", n);
            actc_push_scope(graph, name);
            x = inverted_residual(graph, x, scaled(stages[s].channels, width), i ? 1 : stride, i ? dilation : before, stages[s].expand);
            actc_pop_scope(graph);
        }
    }
    actc_pop_scope(graph);
    return x;
}

/* ---- the head ---- */

static actc_tensor *resize_to(actc_graph *graph, const char *name, actc_tensor *x, const actc_tensor *like)
{
    return actc_resize_bilinear(graph, name, x, size_of(like, 2), size_of(like, 3), false);
}

static actc_tensor *pyramid(actc_graph *graph, actc_tensor *x, const actc_deeplab_options *options)
{
    static const int64_t rates[] = {1, 12, 24, 36};
    actc_tensor *parts[5];
    char name[16];
    actc_push_scope(graph, "convs");
    for (int i = 0; i < 4; i++) {
        actc_conv2d_options conv = conv_of(options->features, i ? 3 : 1);
        conv.dilation[0] = conv.dilation[1] = rates[i];
        conv.padding[0] = conv.padding[1] = i ? rates[i] : 0;
        snprintf(name, sizeof name, "%d", i);
        parts[i] = layer(graph, name, x, &conv, actc_relu);
    }
    actc_pop_scope(graph);
    const actc_conv2d_options one = conv_of(options->features, 1);
    parts[4] = layer(graph, "pool", actc_global_avg_pool(graph, "mean", x), &one, actc_relu);
    parts[4] = resize_to(graph, "resize", parts[4], x);
    x = layer(graph, "project", actc_concat(graph, "concat", parts, 5, 1), &one, actc_relu);
    return actc_dropout(graph, "dropout", x, options->dropout);
}

actc_tensor *actc_deeplabv3plus(actc_graph *graph, actc_tensor *x, const actc_deeplab_options *options)
{
    actc_tensor *low = NULL;
    const actc_conv2d_options project = conv_of(LOW_LEVEL_FEATURES, 1);
    actc_conv2d_options conv = conv_of(options->features, 3), scores = actc_conv2d_options_default(options->classes, 1);
    conv.padding[0] = conv.padding[1] = 1;
    actc_push_scope(graph, "backbone");
    actc_tensor *y = mobilenet_v2(graph, x, options->width, &low);
    actc_pop_scope(graph);
    low = layer(graph, "project", low, &project, actc_relu);
    actc_push_scope(graph, "aspp");
    y = pyramid(graph, y, options);
    actc_pop_scope(graph);
    actc_tensor *parts[] = {low, resize_to(graph, "resize_low", y, low)};
    y = actc_concat(graph, "concat", parts, 2, 1);
    actc_push_scope(graph, "classifier");
    y = actc_conv2d(graph, "3", conv_bn(graph, 0, y, &conv, actc_relu), &scores);
    actc_pop_scope(graph);
    return resize_to(graph, "resize", y, x);
}

/* ---- as the tools know it ---- */

static void build(actc_graph *graph, const actc_model_config *config)
{
    const actc_deeplab_options options = {.width = (double)config->options[0] / 100, .features = config->options[1],
                                          .dropout = 0.1 * (double)config->options[2] / 100, .classes = config->classes};
    const int64_t *sample = config->sample.dims;
    actc_tensor *x = actc_input(graph, "input", sample, 3), *label = actc_input_of(graph, "label", ACTC_I32, sample + 1, 2);
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_deeplabv3plus(graph, x, &options), label));
}

const actc_model actc_model_deeplabv3plus = {
    .name = "deeplabv3plus",
    .summary = "DeepLabV3+ on MobileNetV2, segmentation of images",
    .usual = {.sample = {.ndim = 3, .dims = {3, 128, 128}}, .classes = 21},
    .maps = true,
    .options = {{"width", "percent: MobileNetV2's width multiplier", 100, 1, 400},
                {"features", "channels of the head", 256, 1, 4096},
                {"dropout", "percent of the rate 0.1; 0: no dropout", 100, 0, 100}},
    .mean = 0.45,
    .std = 0.225,
    .build = build,
};
