/* efficientnet.c: EfficientNet B0 to B8 (Tan, Le, ICML 2019), and as Vu et al. (TMLR 2024) measure them.
 *
 * stem: conv 3x3 of stride 2 - BN - act; seven stages of blocks; head: conv 1x1 - BN - act; mean over all positions; linear. The
 * first stage's blocks are depthwise conv - BN - act - SE - conv 1x1 - BN, the others conv 1x1 to six times the channels - BN - act -
 * depthwise conv - BN - act - SE - conv 1x1 - BN; where the shapes agree the block's input is added. SE multiplies with sigmoid(conv 1x1
 * (act(conv 1x1 (mean)))), down to a quarter of the block's input channels and up again. Names are timm's
 * ("blocks.1.0.conv_pw.weight", "blocks.1.0.se.conv_reduce.bias"), so weights move both ways; each block is a scope for rules. First
 * values are timm's: normal by fan-out, biases 0.
 */
#include "efficientnet.h"

#include <stdio.h>

#include "models.h"

static const struct stage {
    int64_t kernel, stride, expand, channels, blocks;
} stages_of_b0[ACTC_EFFICIENTNET_STAGES] = {{3, 1, 1, 16, 1}, {3, 2, 6, 24, 2},  {5, 2, 6, 40, 2}, {3, 2, 6, 80, 3},
                                            {5, 1, 6, 112, 3}, {5, 2, 6, 192, 4}, {3, 1, 6, 320, 1}};

actc_efficientnet_options actc_efficientnet_options_default(void)
{
    return (actc_efficientnet_options){.width = 1, .depth = 1, .classes = 1000};
}

/* The multiple of 8 nearest to this many times the width, not below 90 % of it. */
static int64_t channels(const actc_efficientnet_options *o, int64_t of_b0)
{
    const double wanted = (double)of_b0 * o->width;
    int64_t n = (int64_t)(wanted + 4) / 8 * 8;
    n = n < 8 ? 8 : n;
    return (double)n < 0.9 * wanted ? n + 8 : n;
}

static int64_t blocks(const actc_efficientnet_options *o, int64_t of_b0)
{
    const double wanted = (double)of_b0 * o->depth;
    int64_t n = (int64_t)wanted;
    return (double)n < wanted ? n + 1 : n;
}

/* TensorFlow's SAME: ceil(size / stride) outputs, the odd element of padding behind. A pad that a convolution's own cannot be is an
 * operator before it. */
static actc_tensor *pad_same(actc_graph *graph, const char *conv_name, actc_tensor *x, actc_conv2d_options *conv)
{
    const actc_shape shape = actc_tensor_shape(x);
    int64_t before[3] = {0}, after[3] = {0};
    bool symmetric = true;
    for (int i = 0; i < 2; i++) {
        const int64_t size = shape.dims[2 + i], outputs = (size + conv->stride[i] - 1) / conv->stride[i];
        const int64_t all = (outputs - 1) * conv->stride[i] + conv->kernel[i] - size;
        before[1 + i] = all > 0 ? all / 2 : 0;
        after[1 + i] = all > 0 ? all - all / 2 : 0;
        symmetric = symmetric && before[1 + i] == after[1 + i];
        conv->padding[i] = before[1 + i];
    }
    if (symmetric)
        return x;
    char name[32];
    snprintf(name, sizeof name, "%s_pad", conv_name);
    conv->padding[0] = conv->padding[1] = 0;
    return actc_pad(graph, name, x, before, after, 0);
}

/* Convolution without bias and BN. */
static actc_tensor *conv_bn(actc_graph *graph, const actc_efficientnet_options *o, const char *conv_name, const char *bn_name,
                            actc_tensor *x, int64_t out, int64_t kernel, int64_t stride, bool depthwise)
{
    actc_conv2d_options conv = actc_conv2d_options_default(out, kernel);
    actc_batch_norm_options bn = actc_batch_norm_options_default();
    conv.bias = false;
    conv.init = ACTC_INIT_KAIMING_NORMAL;
    conv.stride[0] = conv.stride[1] = stride;
    conv.padding[0] = conv.padding[1] = kernel / 2;
    conv.groups = depthwise ? out : 1;
    if (o->tensorflow) {
        bn.epsilon = 1e-3;
        x = pad_same(graph, conv_name, x, &conv);
    }
    return actc_batch_norm(graph, bn_name, actc_conv2d(graph, conv_name, x, &conv), &bn);
}

static actc_tensor *act(actc_graph *graph, const actc_efficientnet_options *o, const char *name, actc_tensor *x)
{
    return o->relu ? actc_relu(graph, name, x) : actc_silu(graph, name, x);
}

static actc_tensor *squeeze_excite(actc_graph *graph, const actc_efficientnet_options *o, actc_tensor *x, int64_t reduced)
{
    actc_conv2d_options reduce = actc_conv2d_options_default(reduced, 1);
    actc_conv2d_options expand = actc_conv2d_options_default(actc_tensor_shape(x).dims[1], 1);
    reduce.init = expand.init = ACTC_INIT_KAIMING_NORMAL;
    actc_push_scope(graph, "se");
    actc_tensor *y = actc_global_avg_pool(graph, "pool", x);
    y = act(graph, o, "act1", actc_conv2d(graph, "conv_reduce", y, &reduce));
    y = actc_sigmoid(graph, "gate", actc_conv2d(graph, "conv_expand", y, &expand));
    y = actc_mul(graph, "mul", x, y);
    actc_pop_scope(graph);
    return y;
}

static actc_tensor *block(actc_graph *graph, const actc_efficientnet_options *o, actc_tensor *x, const struct stage *s, int64_t stride)
{
    const int64_t in = actc_tensor_shape(x).dims[1], out = channels(o, s->channels), inner = in * s->expand;
    actc_tensor *y = x;
    if (s->expand == 1) {
        y = act(graph, o, "act1", conv_bn(graph, o, "conv_dw", "bn1", y, inner, s->kernel, stride, true));
        y = conv_bn(graph, o, "conv_pw", "bn2", squeeze_excite(graph, o, y, in / 4), out, 1, 1, false);
    } else {
        y = act(graph, o, "act1", conv_bn(graph, o, "conv_pw", "bn1", y, inner, 1, 1, false));
        y = act(graph, o, "act2", conv_bn(graph, o, "conv_dw", "bn2", y, inner, s->kernel, stride, true));
        y = conv_bn(graph, o, "conv_pwl", "bn3", squeeze_excite(graph, o, y, in / 4), out, 1, 1, false);
    }
    return stride == 1 && in == out ? actc_add(graph, "add", y, x) : y;
}

void actc_efficientnet_features(actc_graph *graph, actc_tensor *x, const actc_efficientnet_options *options,
                                actc_tensor *stages[ACTC_EFFICIENTNET_STAGES])
{
    char name[24];
    x = act(graph, options, "act1", conv_bn(graph, options, "conv_stem", "bn1", x, channels(options, 32), 3, 2, false));
    actc_push_scope(graph, "blocks");
    for (int i = 0; i < ACTC_EFFICIENTNET_STAGES; i++) {
        const struct stage *s = &stages_of_b0[i];
        snprintf(name, sizeof name, "%d", i);
        actc_push_scope(graph, name);
        for (int64_t k = 0; k < blocks(options, s->blocks); k++) {
            snprintf(name, sizeof name, "%d", (int)k);
            actc_push_scope(graph, name);
            x = block(graph, options, x, s, k ? 1 : s->stride);
            actc_pop_scope(graph);
        }
        actc_pop_scope(graph);
        stages[i] = x;
    }
    actc_pop_scope(graph);
}

actc_tensor *actc_efficientnet(actc_graph *graph, actc_tensor *x, const actc_efficientnet_options *options)
{
    actc_tensor *stages[ACTC_EFFICIENTNET_STAGES];
    const int64_t features = channels(options, 1280), classes = options->classes, weight[] = {classes, features};
    actc_efficientnet_features(graph, x, options, stages);
    x = conv_bn(graph, options, "conv_head", "bn2", stages[ACTC_EFFICIENTNET_STAGES - 1], features, 1, 1, false);
    x = actc_flatten(graph, "flatten", actc_global_avg_pool(graph, "global_pool", act(graph, options, "act2", x)));
    actc_linear_options classifier = actc_linear_options_default(classes);
    classifier.weight_parameter = actc_parameter_create(graph, "classifier.weight", weight, 2, ACTC_INIT_DEFAULT, features + classes);
    classifier.bias_parameter = actc_parameter_create(graph, "classifier.bias", &classes, 1, ACTC_INIT_ZEROS, 1);
    return actc_linear(graph, "classifier", x, &classifier);
}

/* ---- as the tools know them ---- */

enum { WIDTH, DEPTH, AS_PUBLISHED };

/* Of the network's own numbers in percent, where the options ask for no others. */
static void build(actc_graph *graph, const actc_model_config *config, int64_t width, int64_t depth)
{
    actc_efficientnet_options options = {.relu = config->options[AS_PUBLISHED], .classes = config->classes};
    if (options.relu)
        width = 100;
    options.width = (double)(config->options[WIDTH] ? config->options[WIDTH] : width) / 100;
    options.depth = (double)(config->options[DEPTH] ? config->options[DEPTH] : depth) / 100;
    actc_tensor *x = actc_input(graph, "input", config->sample.dims, config->sample.ndim), *label = actc_label_input(graph, "label");
    actc_graph_set_loss(graph, actc_cross_entropy(graph, "loss", actc_efficientnet(graph, x, &options), label));
}

#define BUILD(name, width, depth)                                                          \
    static void build_##name(actc_graph *graph, const actc_model_config *config)           \
    {                                                                                      \
        build(graph, config, width, depth);                                                \
    }
BUILD(b0, 100, 100)
BUILD(b1, 100, 110)
BUILD(b2, 110, 120)
BUILD(b3, 120, 140)
BUILD(b4, 140, 180)
BUILD(b5, 160, 220)
BUILD(b6, 180, 260)
BUILD(b7, 200, 310)
BUILD(b8, 220, 360)

#define MODEL(id, text)                                                                                                            \
    {.name = "efficientnet_" #id, .summary = text, .usual = {.sample = {.ndim = 3, .dims = {3, 224, 224}}, .classes = 1000},       \
     .options = {[WIDTH] = {"width", "percent of B0's channels; 0: its own", 0, 0, 1000},                                          \
                 [DEPTH] = {"depth", "percent of B0's blocks; 0: its own", 0, 0, 1000},                                            \
                 [AS_PUBLISHED] = {"as_published", "1: ReLU, and B0's width, as in the paper's Table 3", 0, 0, 1}},                \
     .mean = 0.449, .std = 0.226, .build = build_##id}
const actc_model actc_model_efficientnets[ACTC_MODEL_EFFICIENTNETS] = {
    MODEL(b0, "EfficientNet B0, for images"), MODEL(b1, "deeper"),           MODEL(b2, "deeper and wider"),
    MODEL(b3, "B3"),                          MODEL(b4, "width 1.4, depth 1.8"), MODEL(b5, "width 1.6, depth 2.2"),
    MODEL(b6, "width 1.8, depth 2.6"),        MODEL(b7, "width 2, depth 3.1"),   MODEL(b8, "width 2.2, depth 3.6"),
};
