/* relu.c: ReLU and ReLU6. */
#include <math.h>

#include "../lower/lower.h"

typedef struct relu_attributes {
    float cap; /* INFINITY: none */
} relu_attributes;

static float cap_of(const actc_op *op)
{
    return ((const relu_attributes *)op->attributes)->cap;
}

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    (void)op, (void)why, (void)why_size;
    *out = in[0];
    return true;
}

static void needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    if (gradients->input[0])
        need(user, op, op->output, ACTC_NEED_SIGN);
}

static void forward(actc_lower *lower, const actc_op *op)
{
    actc_view x = actc_lower_input(lower, op, 0), y = actc_lower_output_inplace(lower, op), mask = ACTC_NO_VIEW;
    uint32_t n = (uint32_t)actc_lower_elements(lower, op->output);
    const bool wants_mask = actc_lower_wants_mask(lower, op->output);
    if (wants_mask)
        mask = actc_lower_keep_mask(lower, op, ((uint64_t)n + 31) / 32 * 4);
    if (actc_same_place(x, y) && actc_emit_fused_relu(lower, y, mask, cap_of(op)))
        return;
    if (wants_mask) {
        struct actc_params_relu_fwd_mask params = {.n = n, .cap = cap_of(op)};
        ACTC_EMIT_ELEMENTWISE(lower, relu_fwd_mask, &params, x, y, mask);
    } else {
        struct actc_params_relu_fwd params = {.n = n, .cap = cap_of(op)};
        ACTC_EMIT_ELEMENTWISE(lower, relu_fwd, &params, x, y);
    }
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    bool is_mask;
    actc_view dy = actc_lower_output_gradient(lower, op), sign = actc_lower_sign(lower, op->output, &is_mask);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, true);
    uint32_t n = (uint32_t)actc_lower_elements(lower, op->output);
    if (is_mask) {
        struct actc_params_relu_bwd_mask params = {.n = n};
        ACTC_EMIT_ELEMENTWISE(lower, relu_bwd_mask, &params, dy, sign, dx);
    } else {
        struct actc_params_relu_bwd_value params = {.n = n, .cap = cap_of(op)};
        ACTC_EMIT_ELEMENTWISE(lower, relu_bwd_value, &params, dy, sign, dx);
    }
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_relu_def = {.kind = "relu", .attributes_bytes = sizeof(relu_attributes), .infer = infer,
                                   .needs = needs, .forward = forward, .backward = backward};

static actc_tensor *build_relu(actc_graph *graph, const char *name, actc_tensor *x, float cap)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_relu_def, .inputs = &x, .n_inputs = 1,
                                                     .attributes = &(relu_attributes){.cap = cap}});
}

actc_tensor *actc_relu(actc_graph *graph, const char *name, actc_tensor *x)
{
    return build_relu(graph, name, x, INFINITY);
}

actc_tensor *actc_relu6(actc_graph *graph, const char *name, actc_tensor *x)
{
    return build_relu(graph, name, x, 6);
}
