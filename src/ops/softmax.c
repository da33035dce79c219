/* softmax.c: softmax over what lies innermost: the last dimension of rows and sequences, the channels of maps. */
#include "softmax.h"

#include "physical.h"

typedef struct softmax_attributes {
    bool weights;    /* nothing that the loss is computed from */
    uint32_t causal; /* 0, or the rows of a matrix */
} softmax_attributes;

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    char text[96];
    (void)op;
    *out = in[0];
    if (in[0].ndim < 2)
        snprintf(why, why_size, "needs an input N,F, B,T,D, N,C,H,W or N,C,D,H,W, got %s", actc_shape_text(&in[0], text));
    return in[0].ndim >= 2;
}

static void needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    const softmax_attributes *a = op->attributes;
    if (gradients->input[0])
        need(user, op, op->output, a->weights ? ACTC_NEED_FOR_GRADIENT : ACTC_NEED_PROBABILITY);
}

typedef struct geometry {
    uint32_t rows, cols, groups;
} geometry;

static geometry geometry_of(const actc_lower *lower, const actc_op *op)
{
    const actc_shape *x = &lower->shapes[op->inputs[0]->id];
    const uint32_t cols = actc_innermost(x), rows = (uint32_t)(actc_shape_elements(x) / cols);
    return (geometry){rows, cols, cols <= ACTC_SOFTMAX_SERIAL ? actc_groups(rows) : rows};
}

static void forward(actc_lower *lower, const actc_op *op)
{
    const geometry g = geometry_of(lower, op);
    const softmax_attributes *a = op->attributes;
    struct actc_params_softmax_fwd params = {.rows = g.rows, .cols = g.cols, .causal = a->causal};
    actc_view x = actc_lower_input(lower, op, 0);
    ACTC_EMIT(lower, softmax_fwd, g.groups, &params, x, actc_lower_output_inplace(lower, op));
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    const geometry g = geometry_of(lower, op);
    struct actc_params_softmax_bwd params = {.rows = g.rows, .cols = g.cols};
    actc_view y = actc_lower_restore_all(lower, op->output), dx = actc_lower_input_gradient(lower, op, 0, true);
    ACTC_EMIT(lower, softmax_bwd, g.groups, &params, actc_lower_output_gradient(lower, op), y, dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_softmax_def = {.kind = "softmax", .attributes_bytes = sizeof(softmax_attributes), .infer = infer, .needs = needs, .forward = forward, .backward = backward};

static actc_tensor *build(actc_graph *graph, const char *name, actc_tensor *x, softmax_attributes a)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_softmax_def, .inputs = &x, .n_inputs = 1, .attributes = &a});
}

actc_tensor *actc_softmax(actc_graph *graph, const char *name, actc_tensor *x)
{
    return build(graph, name, x, (softmax_attributes){0});
}

actc_tensor *actc_softmax_of_weights(actc_graph *graph, const char *name, actc_tensor *x, uint32_t causal)
{
    return build(graph, name, x, (softmax_attributes){.weights = true, .causal = causal});
}
