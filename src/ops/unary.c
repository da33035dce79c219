/* unary.c: functions of one element: sigmoid, tanh, SiLU, GELU, scale. ReLU, which keeps a mask, is in relu.c. */
#include <actc/operators.h>
#include <math.h>

#include "../lower/lower.h"

typedef struct unary_attributes {
    uint32_t op;
    float a, b;
} unary_attributes;

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    (void)op;
    (void)why;
    (void)why_size;
    *out = in[0];
    return true;
}

static const unary_attributes *attributes(const actc_op *op)
{
    return op->attributes;
}

static void need_output(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    if (gradients->input[0])
        need(user, op, op->output, ACTC_NEED_FOR_GRADIENT);
}

static void need_input(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    if (gradients->input[0])
        need(user, op, op->inputs[0], ACTC_NEED_FOR_GRADIENT);
}

static void forward(actc_lower *lower, const actc_op *op)
{
    const unary_attributes *u = attributes(op);
    actc_view x = actc_lower_input(lower, op, 0), y = actc_lower_output_inplace(lower, op);
    struct actc_params_unary params = {.n = (uint32_t)actc_lower_elements(lower, op->output), .op = u->op, .a = u->a, .b = u->b};
    ACTC_EMIT_ELEMENTWISE(lower, unary, &params, x, y);
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    const unary_attributes *u = attributes(op);
    actc_view dy = actc_lower_output_gradient(lower, op), saved = ACTC_NO_VIEW;
    if (op->def->needs)
        saved = actc_lower_restore_all(lower, op->def->needs == need_output ? op->output : op->inputs[0]);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, true);
    struct actc_params_unary_bwd params = {.n = (uint32_t)actc_lower_elements(lower, op->output), .op = u->op, .a = u->a, .b = u->b};
    ACTC_EMIT_ELEMENTWISE(lower, unary_bwd, &params, dy, saved, dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

#define UNARY(name, need)                                                                                                  \
    const actc_op_def actc_##name##_def = {.kind = #name, .attributes_bytes = sizeof(unary_attributes), .infer = infer,    \
                                           .needs = need, .forward = forward, .backward = backward}
UNARY(sigmoid, need_output);
UNARY(tanh, need_output);
UNARY(silu, need_input);
UNARY(gelu, need_input);
UNARY(scale, NULL);

static actc_tensor *build(actc_graph *graph, const char *name, actc_tensor *x, const actc_op_def *def, unary_attributes u)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = def, .inputs = &x, .n_inputs = 1, .attributes = &u});
}

actc_tensor *actc_sigmoid(actc_graph *graph, const char *name, actc_tensor *x)
{
    return build(graph, name, x, &actc_sigmoid_def, (unary_attributes){.op = ACTC_UNARY_SIGMOID});
}

actc_tensor *actc_tanh(actc_graph *graph, const char *name, actc_tensor *x)
{
    return build(graph, name, x, &actc_tanh_def, (unary_attributes){.op = ACTC_UNARY_TANH});
}

actc_tensor *actc_silu(actc_graph *graph, const char *name, actc_tensor *x)
{
    return build(graph, name, x, &actc_silu_def, (unary_attributes){.op = ACTC_UNARY_SILU});
}

actc_tensor *actc_gelu(actc_graph *graph, const char *name, actc_tensor *x)
{
    return build(graph, name, x, &actc_gelu_def, (unary_attributes){.op = ACTC_UNARY_GELU});
}

actc_tensor *actc_scale(actc_graph *graph, const char *name, actc_tensor *x, double scale, double shift)
{
    if (graph->status == ACTC_OK && (!isfinite((float)scale) || !isfinite((float)shift)))
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (scale): scale %g and shift %g must be finite in float32",
                               name ? name : "(null)", scale, shift);
    return build(graph, name, x, &actc_scale_def, (unary_attributes){ACTC_UNARY_SCALE, (float)scale, (float)shift});
}
