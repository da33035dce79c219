/* resnet.c: residual networks for small images (He et al., CVPR 2016), as Vu et al. (TMLR 2024) train them on CIFAR.
 *
 * stem: conv 3x3 - BN - ReLU; four layers of blocks, the first block of layers 2 to 4 with stride 2; mean over all positions; linear. A
 * basic block is conv 3x3 - BN - ReLU - conv 3x3 - BN, a bottleneck 1x1 - 3x3 - 1x1 with four times the planes at its end; its input,
 * or a 1x1 convolution of it with BN where the shapes differ, is added, and a ReLU follows. Names are torchvision's
 * ("layer1.0.conv1.weight", "layer2.0.downsample.0.weight"), so weights move both ways; each block is a scope for rules.
 */
#include <stdio.h>

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
    x = actc_relu(graph, "relu1", conv_bn(graph, "conv1", "bn1", x, options->width, 3, 1));
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
