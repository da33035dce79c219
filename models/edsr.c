/* edsr.c: super-resolution of images by EDSR (Lim et al., CVPR workshops 2017), as Vu et al. (TMLR 2024) measure it.
 *
 * The mean colour of DIV2K is taken off; head: conv 3x3; body: residual blocks, each conv 3x3 - ReLU - conv 3x3, of which a tenth is
 * added to its input, and a conv 3x3, to which the head's output is added; tail: a conv 3x3 and a pixel shuffle for each factor of
 * the scale (2 and 2 for 4), and a conv 3x3 to colours; the mean is put back. The two shifts are frozen 1x1 convolutions. Names are
 * the reference's ("body.0.body.2.weight", "tail.0.2.bias", "sub_mean.weight"); each block is a scope for rules.
 */
#include <stdio.h>

#include "edsr.h"
#include "models.h"

#define COLOURS 3
#define RESIDUAL_SCALE 0.1

actc_edsr_options actc_edsr_options_default(void)
{
    return (actc_edsr_options){.features = 256, .blocks = 32, .scale = 4};
}

static actc_tensor *conv3(actc_graph *graph, const char *name, actc_tensor *x, int64_t channels)
{
    actc_conv2d_options conv = actc_conv2d_options_default(channels, 3);
    conv.padding[0] = conv.padding[1] = 1;
    return actc_conv2d(graph, name, x, &conv);
}

/* A frozen parameter of the operator `name`. */
static actc_parameter *constant(actc_graph *graph, const char *name, const char *suffix, const int64_t *dims, int ndim, const float *values)
{
    char full[32];
    snprintf(full, sizeof full, "%s.%s", name, suffix);
    actc_parameter *parameter = actc_parameter_create(graph, full, dims, ndim, ACTC_INIT_ZEROS, 1);
    actc_parameter_set_values(parameter, values);
    actc_parameter_freeze(parameter);
    return parameter;
}

/* x + sign * mean */
static actc_tensor *mean_shift(actc_graph *graph, const char *name, actc_tensor *x, float sign)
{
    static const int64_t square[] = {COLOURS, COLOURS, 1, 1};
    static const float identity[COLOURS * COLOURS] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    const float mean[COLOURS] = {sign * (0.4488f * 255), sign * (0.4371f * 255), sign * (0.4040f * 255)};
    actc_conv2d_options conv = actc_conv2d_options_default(COLOURS, 1);
    conv.weight_parameter = constant(graph, name, "weight", square, 4, identity);
    conv.bias_parameter = constant(graph, name, "bias", square, 1, mean);
    return actc_conv2d(graph, name, x, &conv);
}

static actc_tensor *block(actc_graph *graph, actc_tensor *x, int64_t features)
{
    actc_push_scope(graph, "body");
    actc_tensor *y = conv3(graph, "2", actc_relu(graph, "1", conv3(graph, "0", x, features)), features);
    actc_pop_scope(graph);
    return actc_add(graph, "add", actc_scale(graph, "scale", y, RESIDUAL_SCALE, 0), x);
}

static actc_tensor *body(actc_graph *graph, actc_tensor *x, const actc_edsr_options *options)
{
    char name[24];
    actc_push_scope(graph, "body");
    for (int i = 0; i < options->blocks; i++) {
        snprintf(name, sizeof name, "%d", i);
        actc_push_scope(graph, name);
        x = block(graph, x, options->features);
        actc_pop_scope(graph);
    }
    snprintf(name, sizeof name, "%d", options->blocks);
    x = conv3(graph, name, x, options->features);
    actc_pop_scope(graph);
    return x;
}

static actc_tensor *upsample(actc_graph *graph, actc_tensor *x, const actc_edsr_options *options)
{
    char name[24];
    const int factor = options->scale == 3 ? 3 : 2;
    actc_push_scope(graph, "0");
    for (int done = 1, i = 0; done < options->scale; done *= factor, i += 2) {
        snprintf(name, sizeof name, "%d", i);
        x = conv3(graph, name, x, options->features * factor * factor);
        snprintf(name, sizeof name, "%d", i + 1);
        x = actc_pixel_shuffle(graph, name, x, factor);
    }
    actc_pop_scope(graph);
    return x;
}

actc_tensor *actc_edsr(actc_graph *graph, actc_tensor *x, const actc_edsr_options *options)
{
    x = mean_shift(graph, "sub_mean", x, -1);
    actc_push_scope(graph, "head");
    actc_tensor *head = conv3(graph, "0", x, options->features);
    actc_pop_scope(graph);
    x = actc_add(graph, "add", body(graph, head, options), head);
    actc_push_scope(graph, "tail");
    x = conv3(graph, "1", upsample(graph, x, options), COLOURS);
    actc_pop_scope(graph);
    return mean_shift(graph, "add_mean", x, 1);
}

/* ---- as the tools know it ---- */

static void build(actc_graph *graph, const actc_model_config *config)
{
    const actc_edsr_options options = {.features = config->options[0], .blocks = (int)config->options[1], .scale = (int)config->options[2]};
    const int64_t *sample = config->sample.dims, large[] = {COLOURS, sample[1] * options.scale, sample[2] * options.scale};
    actc_tensor *x = actc_input(graph, "input", sample, 3), *label = actc_input(graph, "label", large, 3);
    actc_graph_set_loss(graph, actc_l1_loss(graph, "loss", actc_edsr(graph, x, &options), label));
}

const actc_model actc_model_edsr = {
    .name = "edsr",
    .summary = "EDSR, super-resolution of colour images",
    .usual = {.sample = {.ndim = 3, .dims = {COLOURS, 48, 48}}},
    .maps = true,
    .options = {{"features", "channels between head and tail", 256, 1, 1024},
                {"blocks", "residual blocks", 32, 0, 256},
                {"scale", "2, 3 or 4: the output's size by the input's", 4, 2, 4}},
    .mean = 0,
    .std = 1.0 / 255,
    .build = build,
};
