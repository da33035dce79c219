/* conv.c: convolution of maps and volumes and its transpose: PyTorch's Conv2d, Conv3d, ConvTranspose2d and ConvTranspose3d with
 * zero padding, in one group or with one for each input channel (depthwise).
 *
 * The transpose is the gradient of a convolution from its output's space to its input's, so that there is one description of
 * both: `large` is where that convolution reads (the input; of the transpose the output), `small` where it writes.
 */
#include <actc/operators.h>
#include <string.h>

#include "../lower/lower.h"

/* Axes are D,H,W: a map has depth 1. */
typedef struct conv_attributes {
    uint32_t kernel[3], stride[3], padding[3], dilation[3], output_padding[3];
    uint32_t out_channels;
    bool transposed, depthwise;
} conv_attributes;

/* D,H,W of a map's shape. */
static void spatial(const actc_shape *shape, int64_t size[3])
{
    int axes = shape->ndim - 2;
    for (int i = 0; i < 3; i++)
        size[i] = i < 3 - axes ? 1 : shape->dims[2 + i - (3 - axes)];
}

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    const conv_attributes *a = op->attributes;
    char text[96];
    int64_t size[3];
    if (in[0].ndim != 4 && in[0].ndim != 5) {
        snprintf(why, why_size, "needs an input N,C,H,W or N,C,D,H,W, got %s", actc_shape_text(&in[0], text));
        return false;
    }
    *out = (actc_shape){.ndim = in[0].ndim, .dims = {in[0].dims[0], a->out_channels}};
    spatial(&in[0], size);
    for (int i = 5 - in[0].ndim; i < 3; i++) {
        int axis = i - (5 - in[0].ndim);
        int64_t span = (int64_t)a->dilation[i] * (a->kernel[i] - 1) + 1, p = a->padding[i];
        int64_t room = a->transposed ? (size[i] - 1) * a->stride[i] - 2 * p + span + a->output_padding[i] - 1 : size[i] + 2 * p - span;
        if (room < 0) {
            snprintf(why, why_size, "the kernel spans %lld in dimension %d, the padded input %s has %lld", (long long)span, 2 + axis,
                     actc_shape_text(&in[0], text), (long long)(size[i] + 2 * p));
            return false;
        }
        out->dims[2 + axis] = (a->transposed ? room : room / a->stride[i]) + 1;
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
    const conv_attributes *a = op->attributes;
    const actc_shape *x = &lower->shapes[op->inputs[0]->id], *y = &lower->shapes[op->output->id];
    const actc_shape *large = a->transposed ? y : x, *small = a->transposed ? x : y;
    int64_t l[3], s[3];
    spatial(large, l);
    spatial(small, s);
    return (actc_conv){
        .pass = pass, .batch = (uint32_t)x->dims[0], .groups = a->depthwise ? (uint32_t)large->dims[1] : 1,
        .ic = (uint32_t)large->dims[1], .id = (uint32_t)l[0], .ih = (uint32_t)l[1], .iw = (uint32_t)l[2],
        .oc = (uint32_t)small->dims[1], .od = (uint32_t)s[0], .oh = (uint32_t)s[1], .ow = (uint32_t)s[2],
        .kd = a->kernel[0], .kh = a->kernel[1], .kw = a->kernel[2], .sd = a->stride[0], .sh = a->stride[1], .sw = a->stride[2],
        .pd = a->padding[0], .ph = a->padding[1], .pw = a->padding[2], .dd = a->dilation[0], .dh = a->dilation[1],
        .dw = a->dilation[2],
    };
}

static bool is_transposed(const actc_op *op)
{
    return ((const conv_attributes *)op->attributes)->transposed;
}

static void forward(actc_lower *lower, const actc_op *op)
{
    actc_conv conv = describe(lower, op, is_transposed(op) ? ACTC_CONV_BACKWARD_DATA : ACTC_CONV_FORWARD);
    conv.bias = op->parameters[1] != NULL;
    actc_view x = actc_lower_input(lower, op, 0), w = actc_lower_parameter(lower, op->parameters[0]);
    actc_view b = conv.bias ? actc_lower_parameter(lower, op->parameters[1]) : ACTC_NO_VIEW;
    actc_emit_conv(lower, &conv, (actc_view[]){x, w, b, actc_lower_output(lower, op)});
}

/* ---- the gradient of the weights ---- */

/* Part of the sum: samples [first, first + conv->batch) and, of one sample, planes [z0, z1) of the small side. */
static void emit_filter(actc_lower *lower, const actc_op *op, actc_conv conv, actc_view dy, uint32_t first, uint32_t z0, uint32_t z1,
                        actc_view dw)
{
    bool transposed = is_transposed(op);
    /* planes of the large side that these read */
    int64_t reach = (int64_t)conv.dd * (conv.kd - 1), from = (int64_t)z0 * conv.sd - conv.pd, to = (int64_t)(z1 - 1) * conv.sd - conv.pd + reach + 1;
    int64_t lo = from < 0 ? 0 : from, hi = to > conv.id ? conv.id : to;
    if (hi <= lo) { /* nothing but padding */
        lo = 0;
        hi = 1;
        from = -(int64_t)conv.pd - reach - 1; /* keeps every tap outside */
    }
    bool whole = z0 == 0 && z1 == conv.od;
    uint32_t large_planes = conv.id, small_planes = conv.od, samples = conv.batch;
    uint32_t l_first = whole ? first * large_planes : first * large_planes + (uint32_t)lo;
    uint32_t l_count = whole ? samples * large_planes : (uint32_t)(hi - lo);
    uint32_t s_first = first * small_planes + z0, s_count = whole ? samples * small_planes : z1 - z0;
    const actc_tensor *x = op->inputs[0];
    actc_view restored = actc_lower_restore_planes(lower, x, transposed ? s_first : l_first, transposed ? s_count : l_count);
    uint32_t dy_first = transposed ? l_first : s_first, dy_count = transposed ? l_count : s_count;
    uint64_t plane = dy.bytes / ((uint64_t)lower->shapes[op->output->id].dims[0] * (transposed ? large_planes : small_planes));
    actc_view part = actc_lower_part(dy, dy_first * plane, dy_count * plane);
    if (!whole) {
        conv.pd = (uint32_t)(lo - from);
        conv.id = (uint32_t)(hi - lo);
        conv.od = z1 - z0;
    }
    actc_emit_conv(lower, &conv, (actc_view[]){transposed ? part : restored, transposed ? restored : part, ACTC_NO_VIEW, dw});
}

/* The restored input is needed whole by nobody: parts of the batch, or of the depth of one sample, are restored one after
 * the other, as many as the plan asks for. */
static void filter_gradient(actc_lower *lower, const actc_op *op, actc_view dy)
{
    bool add;
    actc_view dw = actc_lower_parameter_gradient(lower, op->parameters[0], &add);
    actc_conv conv = describe(lower, op, ACTC_CONV_BACKWARD_FILTER);
    uint32_t wanted = actc_lower_slices(lower, op->inputs[0]), batch = conv.batch, parts = 1, depth_parts = 1;
    while (parts < wanted && parts < batch) { /* equal parts that begin where a view may begin */
        parts++;
        while (parts < batch && (batch % parts || dy.bytes / parts % ACTC_VIEW_ALIGNMENT))
            parts++;
    }
    if (batch % parts || dy.bytes / parts % ACTC_VIEW_ALIGNMENT)
        parts = 1;
    uint32_t dy_planes = is_transposed(op) ? conv.id : conv.od;
    if (wanted > parts && parts == batch && actc_lower_has_planes(lower, op->inputs[0]) &&
        dy.bytes / batch / dy_planes % ACTC_VIEW_ALIGNMENT == 0)
        depth_parts = (wanted + parts - 1) / parts;
    depth_parts = depth_parts > conv.od ? conv.od : depth_parts;
    conv.batch = batch / parts;
    for (uint32_t i = 0; i < parts && lower->status == ACTC_OK; i++) {
        for (uint32_t z = 0; z < depth_parts && lower->status == ACTC_OK; z++) {
            uint32_t z0 = (uint32_t)((uint64_t)conv.od * z / depth_parts), z1 = (uint32_t)((uint64_t)conv.od * (z + 1) / depth_parts);
            conv.add = add || i > 0 || z > 0;
            emit_filter(lower, op, conv, dy, i * conv.batch, z0, z1, dw);
        }
    }
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    actc_view dy = actc_lower_output_gradient(lower, op);
    const actc_shape *y = &lower->shapes[op->output->id];
    bool add;
    if (gradients->parameter[1]) {
        actc_view db = actc_lower_parameter_gradient(lower, op->parameters[1], &add);
        actc_emit_column_sum(lower, dy, (uint32_t)(actc_shape_elements(y) / y->dims[1]), (uint32_t)y->dims[1], db, add);
    }
    /* The weights' gradient first: the restored input is gone before the input's gradient comes to be. */
    if (gradients->parameter[0])
        filter_gradient(lower, op, dy);
    if (gradients->input[0]) {
        actc_conv conv = describe(lower, op, is_transposed(op) ? ACTC_CONV_FORWARD : ACTC_CONV_BACKWARD_DATA);
        actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
        actc_emit_conv(lower, &conv, (actc_view[]){dy, actc_lower_parameter(lower, op->parameters[0]), ACTC_NO_VIEW, dx});
        actc_lower_commit_gradient(lower, op, 0, dx);
    }
}

const actc_op_def actc_conv_def = {.kind = "conv", .attributes_bytes = sizeof(conv_attributes), .infer = infer, .needs = needs,
                                   .forward = forward, .backward = backward};

/* ---- building ---- */

actc_conv_options actc_conv_options_default(int64_t out_channels, int64_t kernel)
{
    return (actc_conv_options){.size = sizeof(actc_conv_options), .out_channels = out_channels, .kernel = {kernel, kernel, kernel},
                               .stride = {1, 1, 1}, .dilation = {1, 1, 1}, .bias = true, .groups = 1};
}

actc_conv2d_options actc_conv2d_options_default(int64_t out_channels, int64_t kernel)
{
    return actc_conv_options_default(out_channels, kernel);
}

/* Reads one option of every axis into D,H,W, `fill` where there is none; false with the graph's error set where it is out of
 * range. */
static bool axis_option(actc_graph *graph, const char *op, const char *what, const int64_t *values, int axes, int64_t least,
                        uint32_t fill, uint32_t out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = fill;
    for (int i = 0; i < axes; i++) {
        if (values[i] < least || values[i] > 65535) {
            actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (conv): %s is %lld, must be %lld to 65535", op, what,
                            (long long)values[i], (long long)least);
            return false;
        }
        out[3 - axes + i] = (uint32_t)values[i];
    }
    return true;
}

static bool read_options(actc_graph *graph, const char *name, const actc_tensor *x, const actc_conv_options *o, conv_attributes *a)
{
    int axes = x->shape.ndim == 5 ? 3 : 2;
    if (o->out_channels < 1 || o->out_channels > INT32_MAX) {
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (conv): out_channels is %lld, must be 1 to %d", name,
                        (long long)o->out_channels, INT32_MAX);
        return false;
    }
    a->out_channels = (uint32_t)o->out_channels;
    if (!axis_option(graph, name, "kernel", o->kernel, axes, 1, 1, a->kernel) ||
        !axis_option(graph, name, "stride", o->stride, axes, 1, 1, a->stride) ||
        !axis_option(graph, name, "padding", o->padding, axes, 0, 0, a->padding) ||
        !axis_option(graph, name, "dilation", o->dilation, axes, 1, 1, a->dilation) ||
        !axis_option(graph, name, "output_padding", o->output_padding, axes, 0, 0, a->output_padding))
        return false;
    for (int i = 0; i < 3; i++) {
        if (a->output_padding[i] && (!a->transposed || a->output_padding[i] >= a->stride[i])) {
            actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (conv): output_padding is %u, must be below the stride %u, and 0 "
                            "where the convolution is not transposed", name, a->output_padding[i], a->stride[i]);
            return false;
        }
    }
    if (o->init != ACTC_INIT_DEFAULT && o->init != ACTC_INIT_KAIMING_NORMAL) {
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (conv): init is %d, must be ACTC_INIT_DEFAULT (%d) or ACTC_INIT_KAIMING_NORMAL (%d)",
                        name, (int)o->init, ACTC_INIT_DEFAULT, ACTC_INIT_KAIMING_NORMAL);
        return false;
    }
    int64_t channels = x->shape.ndim >= 4 ? x->shape.dims[1] : o->groups;
    a->depthwise = o->groups == channels && o->groups > 1;
    if (o->groups != 1 && (!a->depthwise || a->transposed || o->out_channels % channels)) {
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (conv): groups is %lld; accepted are 1 and, not transposed, the number "
                        "of input channels, %lld, of which out_channels (%lld) is a multiple", name, (long long)o->groups,
                        (long long)channels, (long long)o->out_channels);
        return false;
    }
    return true;
}

/* The weight and the bias: the user's, or the operator's own. */
static bool find_parameters(actc_graph *graph, const char *name, const actc_tensor *x, const actc_conv_options *o,
                            const conv_attributes *a, actc_parameter *parameters[2])
{
    int axes = x->shape.ndim - 2;
    int64_t in = x->shape.dims[1], w[ACTC_MAX_DIMS] = {a->transposed ? in : a->out_channels,
                                                       a->transposed ? a->out_channels : a->depthwise ? 1 : in};
    const bool normal = o->init == ACTC_INIT_KAIMING_NORMAL;
    int64_t fan = normal ? a->out_channels / o->groups : w[1], bias[] = {a->out_channels};
    for (int i = 0; i < axes; i++) {
        w[2 + i] = a->kernel[3 - axes + i];
        fan *= w[2 + i];
    }
    parameters[0] = o->weight_parameter;
    parameters[1] = o->bias_parameter;
    if (!parameters[0])
        parameters[0] = actc_graph_parameter(graph, name, "weight", w, 2 + axes, ACTC_LAYOUT_CHANNELS_LAST, o->init, fan, o->frozen);
    else if (!actc_graph_check_parameter(graph, name, parameters[0], w, 2 + axes))
        return false;
    if (parameters[1])
        return actc_graph_check_parameter(graph, name, parameters[1], bias, 1);
    if (o->bias)
        parameters[1] = actc_graph_parameter(graph, name, "bias", bias, 1, ACTC_LAYOUT_PLAIN, normal ? ACTC_INIT_ZEROS : ACTC_INIT_DEFAULT, fan,
                                             o->frozen);
    return true;
}

static actc_tensor *build(actc_graph *graph, const char *name, actc_tensor *x, const actc_conv_options *given, bool transposed)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    actc_conv_options options, defaults = actc_conv_options_default(1, 1);
    if (!actc_graph_take_options(graph, name, "actc_conv_options", given, sizeof options, &defaults, &options))
        return NULL;
    conv_attributes a = {.transposed = transposed};
    actc_parameter *parameters[2] = {0};
    if (!read_options(graph, name, x, &options, &a))
        return NULL;
    bool is_map = x->shape.ndim == 4 || x->shape.ndim == 5; /* else infer says what is wrong */
    if (is_map && !find_parameters(graph, name, x, &options, &a, parameters))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_conv_def, .inputs = &x, .n_inputs = 1, .parameters = parameters,
                                                     .n_parameters = 2, .attributes = &a});
}

actc_tensor *actc_convolution(actc_graph *graph, const char *name, actc_tensor *x, const actc_conv_options *options)
{
    return build(graph, name, x, options, false);
}

actc_tensor *actc_conv_transpose(actc_graph *graph, const char *name, actc_tensor *x, const actc_conv_options *options)
{
    return build(graph, name, x, options, true);
}

actc_tensor *actc_conv2d(actc_graph *graph, const char *name, actc_tensor *x, const actc_conv2d_options *options)
{
    if (x && x->shape.ndim != 4) {
        char text[96];
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (conv): needs an input N,C,H,W, got %s", name ? name : "(null)",
                               actc_shape_text(&x->shape, text));
    }
    return build(graph, name, x, options, false);
}
