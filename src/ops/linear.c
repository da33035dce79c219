/* linear.c: y = x W^T + b, PyTorch's Linear, of rows or of the rows of sequences. */
#include "../lower/lower.h"

typedef struct linear_attributes {
    uint32_t out_features;
} linear_attributes;

static uint32_t out_features(const actc_op *op)
{
    return ((const linear_attributes *)op->attributes)->out_features;
}

static bool takes(const actc_shape *x)
{
    return x->ndim == 2 || x->ndim == 3;
}

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    char text[96];
    if (!takes(&in[0])) {
        snprintf(why, why_size, "needs an input N,F or B,T,D (flatten maps first), got %s", actc_shape_text(&in[0], text));
        return false;
    }
    *out = in[0];
    out->dims[out->ndim - 1] = out_features(op);
    return true;
}

typedef struct geometry {
    uint32_t rows, in, out;
} geometry;

static geometry geometry_of(const actc_lower *lower, const actc_op *op)
{
    const actc_shape *x = &lower->shapes[op->inputs[0]->id];
    const int64_t in = x->dims[x->ndim - 1];
    return (geometry){(uint32_t)(actc_shape_elements(x) / in), (uint32_t)in, out_features(op)};
}

static void needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    if (gradients->parameter[0])
        need(user, op, op->inputs[0], ACTC_NEED_FOR_PARAMETERS);
}

static void forward(actc_lower *lower, const actc_op *op)
{
    const geometry g = geometry_of(lower, op);
    actc_gemm gemm = {.m = g.rows, .n = g.out, .k = g.in, .trans_b = 1, .bias = op->parameters[1] != NULL};
    actc_view b = gemm.bias ? actc_lower_parameter(lower, op->parameters[1]) : ACTC_NO_VIEW;
    actc_emit_gemm(lower, &gemm, (actc_view[]){actc_lower_input(lower, op, 0), actc_lower_parameter(lower, op->parameters[0]), b,
                                               actc_lower_output(lower, op)});
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    actc_view dy = actc_lower_output_gradient(lower, op);
    const geometry g = geometry_of(lower, op);
    bool add;
    if (gradients->parameter[1]) {
        actc_view db = actc_lower_parameter_gradient(lower, op->parameters[1], &add);
        actc_emit_column_sum(lower, dy, g.rows, g.out, db, add);
    }
    if (gradients->parameter[0]) {
        actc_view dw = actc_lower_parameter_gradient(lower, op->parameters[0], &add);
        uint32_t slices = actc_lower_slices(lower, op->inputs[0]), samples = (uint32_t)lower->shapes[op->inputs[0]->id].dims[0];
        while (slices > 1 && (samples % slices || dy.bytes / slices % ACTC_VIEW_ALIGNMENT || slices > samples))
            slices--;
        uint32_t part = samples / slices;
        for (uint32_t i = 0; i < slices && lower->status == ACTC_OK; i++) {
            actc_gemm gemm = {.m = g.out, .n = g.in, .k = g.rows / slices, .trans_a = 1, .add = add || i > 0};
            actc_view xs = actc_lower_restore(lower, op->inputs[0], i * part, part);
            actc_view dys = actc_lower_part(dy, dy.bytes / slices * i, dy.bytes / slices);
            actc_emit_gemm(lower, &gemm, (actc_view[]){dys, xs, ACTC_NO_VIEW, dw});
        }
    }
    if (gradients->input[0]) {
        actc_gemm gemm = {.m = g.rows, .n = g.in, .k = g.out};
        actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
        actc_emit_gemm(lower, &gemm, (actc_view[]){dy, actc_lower_parameter(lower, op->parameters[0]), ACTC_NO_VIEW, dx});
        actc_lower_commit_gradient(lower, op, 0, dx);
    }
}

const actc_op_def actc_linear_def = {.kind = "linear", .attributes_bytes = sizeof(linear_attributes), .infer = infer, .needs = needs,
                                     .forward = forward, .backward = backward};

actc_linear_options actc_linear_options_default(int64_t out_features)
{
    return (actc_linear_options){.size = sizeof(actc_linear_options), .out_features = out_features, .bias = true};
}

actc_tensor *actc_linear(actc_graph *graph, const char *name, actc_tensor *x, const actc_linear_options *given)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    actc_linear_options full, defaults = actc_linear_options_default(1);
    if (!actc_graph_take_options(graph, name, "actc_linear_options", given, sizeof full, &defaults, &full))
        return NULL;
    const actc_linear_options *options = &full;
    if (options->out_features < 1 || options->out_features > INT32_MAX)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (linear): out_features is %lld, must be 1 to %d", name,
                               (long long)options->out_features, INT32_MAX);
    linear_attributes attributes = {(uint32_t)options->out_features};
    actc_parameter *parameters[2] = {0};
    if (takes(&x->shape)) { /* else infer says what is wrong */
        int64_t w[] = {options->out_features, x->shape.dims[x->shape.ndim - 1]};
        parameters[0] = options->weight_parameter;
        parameters[1] = options->bias_parameter;
        if (!parameters[0])
            parameters[0] = actc_graph_parameter(graph, name, "weight", w, 2, ACTC_LAYOUT_PLAIN, ACTC_INIT_DEFAULT, w[1], options->frozen);
        else if (!actc_graph_check_parameter(graph, name, parameters[0], w, 2))
            return NULL;
        if (parameters[1] && !actc_graph_check_parameter(graph, name, parameters[1], w, 1))
            return NULL;
        if (options->bias && !parameters[1])
            parameters[1] = actc_graph_parameter(graph, name, "bias", w, 1, ACTC_LAYOUT_PLAIN, ACTC_INIT_DEFAULT, w[1], options->frozen);
    }
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_linear_def, .inputs = &x, .n_inputs = 1, .parameters = parameters,
                                                     .n_parameters = 2, .attributes = &attributes});
}
