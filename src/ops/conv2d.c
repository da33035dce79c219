/* conv2d.c: 2-D convolution (cross-correlation), PyTorch's Conv2d with zero padding and one group. */
#include <string.h>

#include "../lower/lower.h"

typedef struct actc_conv2d_attributes {
    uint32_t kernel[2], stride[2], padding[2], dilation[2];
    uint32_t out_channels;
} actc_conv2d_attributes;

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    const actc_conv2d_attributes *a = op->attributes;
    char text[96];
    if (in[0].ndim != 4) {
        snprintf(why, why_size, "needs an input N,C,H,W, got %s", actc_shape_text(&in[0], text));
        return false;
    }
    *out = (actc_shape){.ndim = 4, .dims = {in[0].dims[0], a->out_channels}};
    for (int i = 0; i < 2; i++) {
        int64_t span = (int64_t)a->dilation[i] * (a->kernel[i] - 1) + 1;
        int64_t room = in[0].dims[2 + i] + 2 * (int64_t)a->padding[i] - span;
        if (room < 0) {
            snprintf(why, why_size, "the kernel spans %lld in dimension %d, the padded input %s has %lld", (long long)span,
                     2 + i, actc_shape_text(&in[0], text), (long long)(in[0].dims[2 + i] + 2 * (int64_t)a->padding[i]));
            return false;
        }
        out->dims[2 + i] = room / a->stride[i] + 1;
    }
    return true;
}

static void needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    if (gradients->parameter[0])
        need(user, op, op->inputs[0], ACTC_NEED_FOR_PARAMETERS);
}

static actc_conv describe(const actc_lower *lower, const actc_op *op, actc_conv_pass pass)
{
    const actc_conv2d_attributes *a = op->attributes;
    const int64_t *x = lower->shapes[op->inputs[0]->id].dims, *y = lower->shapes[op->output->id].dims;
    return (actc_conv){
        .pass = pass, .batch = (uint32_t)x[0],
        .ic = (uint32_t)x[1], .id = 1, .ih = (uint32_t)x[2], .iw = (uint32_t)x[3],
        .oc = (uint32_t)y[1], .od = 1, .oh = (uint32_t)y[2], .ow = (uint32_t)y[3],
        .kd = 1, .kh = a->kernel[0], .kw = a->kernel[1], .sd = 1, .sh = a->stride[0], .sw = a->stride[1],
        .ph = a->padding[0], .pw = a->padding[1], .dd = 1, .dh = a->dilation[0], .dw = a->dilation[1], .groups = 1,
    };
}

static void forward(actc_lower *lower, const actc_op *op)
{
    actc_conv conv = describe(lower, op, ACTC_CONV_FORWARD);
    conv.bias = op->parameters[1] != NULL;
    actc_view x = actc_lower_input(lower, op, 0), w = actc_lower_parameter(lower, op->parameters[0]);
    actc_view b = conv.bias ? actc_lower_parameter(lower, op->parameters[1]) : ACTC_NO_VIEW;
    actc_emit_conv(lower, &conv, (actc_view[]){x, w, b, actc_lower_output(lower, op)});
}

static void filter_gradient(actc_lower *lower, const actc_op *op, actc_view dy)
{
    bool add;
    actc_view dw = actc_lower_parameter_gradient(lower, op->parameters[0], &add);
    uint32_t slices = actc_lower_slices(lower, op->inputs[0], dy.bytes);
    actc_conv conv = describe(lower, op, ACTC_CONV_BACKWARD_FILTER);
    uint32_t batch = conv.batch;
    conv.batch = batch / slices;
    for (uint32_t i = 0; i < slices && lower->status == ACTC_OK; i++) {
        actc_view x = actc_lower_restore(lower, op->inputs[0], i * conv.batch, conv.batch);
        actc_view part = actc_lower_part(dy, dy.bytes / slices * i, dy.bytes / slices);
        conv.add = add || i > 0;
        actc_emit_conv(lower, &conv, (actc_view[]){x, part, ACTC_NO_VIEW, dw});
    }
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    actc_view dy = actc_lower_output_gradient(lower, op);
    const int64_t *y = lower->shapes[op->output->id].dims;
    bool add;
    if (gradients->parameter[1]) {
        actc_view db = actc_lower_parameter_gradient(lower, op->parameters[1], &add);
        actc_emit_column_sum(lower, dy, (uint32_t)(y[0] * y[2] * y[3]), (uint32_t)y[1], db, add);
    }
    /* The weights' gradient first: the restored input is gone before the input's gradient comes to be. */
    if (gradients->parameter[0])
        filter_gradient(lower, op, dy);
    if (gradients->input[0]) {
        actc_conv conv = describe(lower, op, ACTC_CONV_BACKWARD_DATA);
        actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
        actc_emit_conv(lower, &conv, (actc_view[]){dy, actc_lower_parameter(lower, op->parameters[0]), ACTC_NO_VIEW, dx});
        actc_lower_commit_gradient(lower, op, 0, dx);
    }
}

const actc_op_def actc_conv2d_def = {.kind = "conv", .attributes_bytes = sizeof(actc_conv2d_attributes), .infer = infer,
                                     .needs = needs, .forward = forward, .backward = backward};

actc_conv2d_options actc_conv2d_options_default(int64_t out_channels, int64_t kernel)
{
    return (actc_conv2d_options){.size = sizeof(actc_conv2d_options), .out_channels = out_channels,
                                 .kernel = {kernel, kernel}, .stride = {1, 1}, .dilation = {1, 1}, .bias = true};
}

/* Reads one option of both axes; false with the graph's error set where it is out of range. */
static bool axis_option(actc_graph *graph, const char *op, const char *what, const int64_t values[2], int64_t least,
                        uint32_t out[2])
{
    for (int i = 0; i < 2; i++) {
        if (values[i] < least || values[i] > 65535) {
            actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (conv): %s is %lld, must be %lld to 65535", op, what,
                            (long long)values[i], (long long)least);
            return false;
        }
        out[i] = (uint32_t)values[i];
    }
    return true;
}

actc_tensor *actc_conv2d(actc_graph *graph, const char *name, actc_tensor *x, const actc_conv2d_options *given)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    actc_conv2d_options full, defaults = actc_conv2d_options_default(1, 1);
    if (!actc_graph_take_options(graph, name, "actc_conv2d_options", given, sizeof full, &defaults, &full))
        return NULL;
    const actc_conv2d_options *options = &full;
    actc_conv2d_attributes attributes, *a = &attributes;
    actc_parameter *parameters[2] = {0};
    if (options->out_channels < 1 || options->out_channels > INT32_MAX)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (conv): out_channels is %lld, must be 1 to %d", name,
                               (long long)options->out_channels, INT32_MAX);
    a->out_channels = (uint32_t)options->out_channels;
    if (!axis_option(graph, name, "kernel", options->kernel, 1, a->kernel) ||
        !axis_option(graph, name, "stride", options->stride, 1, a->stride) ||
        !axis_option(graph, name, "padding", options->padding, 0, a->padding) ||
        !axis_option(graph, name, "dilation", options->dilation, 1, a->dilation))
        return NULL;
    if (x->shape.ndim == 4) { /* else infer says what is wrong */
        int64_t w[] = {a->out_channels, x->shape.dims[1], a->kernel[0], a->kernel[1]};
        int64_t fan_in = w[1] * w[2] * w[3];
        parameters[0] = options->weight_parameter;
        parameters[1] = options->bias_parameter;
        if (!parameters[0])
            parameters[0] = actc_graph_parameter(graph, name, "weight", w, 4, ACTC_LAYOUT_CHANNELS_LAST, ACTC_INIT_DEFAULT, fan_in, options->frozen);
        else if (!actc_graph_check_parameter(graph, name, parameters[0], w, 4))
            return NULL;
        if (parameters[1] && !actc_graph_check_parameter(graph, name, parameters[1], w, 1))
            return NULL;
        if (options->bias && !parameters[1])
            parameters[1] = actc_graph_parameter(graph, name, "bias", w, 1, ACTC_LAYOUT_PLAIN, ACTC_INIT_DEFAULT, fan_in, options->frozen);
    }
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_conv2d_def, .inputs = &x, .n_inputs = 1, .parameters = parameters,
                                                     .n_parameters = 2, .attributes = a});
}
