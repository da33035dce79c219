/* dropout.c: dropout and dropout2d; the mask is drawn again in the backward pass. */
#include <math.h>

#include "dropout.h"

#include "../lower/lower.h"

typedef struct actc_dropout_attributes {
    double p;
    bool channels; /* one draw a channel of a sample */
} actc_dropout_attributes;

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    const actc_dropout_attributes *a = op->attributes;
    char text[96];
    if (a->channels && in[0].ndim != 4 && in[0].ndim != 2) {
        snprintf(why, why_size, "dropout2d needs an input N,C,H,W or N,F, got %s", actc_shape_text(&in[0], text));
        return false;
    }
    *out = in[0];
    return true;
}

static bool alias(const actc_op *op, const actc_shape *in, bool training)
{
    (void)in;
    return !training || ((const actc_dropout_attributes *)op->attributes)->p == 0;
}

static struct actc_params_dropout describe(const actc_lower *lower, const actc_op *op)
{
    const actc_shape *shape = &lower->shapes[op->output->id];
    const actc_dropout_attributes *a = op->attributes;
    struct actc_params_dropout params = {.n = (uint32_t)actc_shape_elements(shape), .path = op->hash, .inner = 1, .channels = 1};
    params.threshold = actc_dropout_threshold(a->p);
    params.scale = actc_dropout_scale(a->p);
    if (a->channels && shape->ndim == 4) {
        params.channels = (uint32_t)shape->dims[1];
        params.inner = (uint32_t)(shape->dims[2] * shape->dims[3]);
    }
    return params;
}

static void forward(actc_lower *lower, const actc_op *op)
{
    struct actc_params_dropout params = describe(lower, op);
    actc_view x = actc_lower_input(lower, op, 0), y = actc_lower_output_inplace(lower, op);
    ACTC_EMIT_ELEMENTWISE(lower, dropout, &params, x, actc_lower_step_block(lower), y);
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    actc_view dy = actc_lower_output_gradient(lower, op), dx = actc_lower_input_gradient(lower, op, 0, true);
    struct actc_params_dropout params = describe(lower, op);
    ACTC_EMIT_ELEMENTWISE(lower, dropout, &params, dy, actc_lower_step_block(lower), dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_dropout_def = {.kind = "dropout", .attributes_bytes = sizeof(actc_dropout_attributes), .infer = infer,
                                      .alias = alias, .forward = forward, .backward = backward};

static actc_tensor *build(actc_graph *graph, const char *name, actc_tensor *x, double p, bool channels)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    if (!(p >= 0 && p < 1))
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (dropout): p is %g, must be 0 <= p < 1", name, p);
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_dropout_def, .inputs = &x, .n_inputs = 1,
                                                     .attributes = &(actc_dropout_attributes){.p = p, .channels = channels}});
}

actc_tensor *actc_dropout(actc_graph *graph, const char *name, actc_tensor *x, double p)
{
    return build(graph, name, x, p, false);
}

actc_tensor *actc_dropout2d(actc_graph *graph, const char *name, actc_tensor *x, double p)
{
    return build(graph, name, x, p, true);
}
