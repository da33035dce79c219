/* flatten.c: (N,C,H,W) -> (N,C*H*W) in PyTorch's order, which is a transposition of channels-last memory. */
#include "../lower/lower.h"

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    (void)op;
    if (in[0].ndim < 2) {
        snprintf(why, why_size, "needs an input of two dimensions or more");
        return false;
    }
    *out = (actc_shape){.ndim = 2, .dims = {in[0].dims[0], 1}};
    for (int i = 1; i < in[0].ndim; i++)
        out->dims[1] *= in[0].dims[i];
    return true;
}

/* With one pixel or one channel the bytes are in order already. */
static void geometry(const actc_shape *x, uint32_t *pixels, uint32_t *channels)
{
    *pixels = *channels = 1;
    if (x->ndim < 4)
        return;
    *channels = (uint32_t)x->dims[1];
    for (int i = 2; i < x->ndim; i++)
        *pixels *= (uint32_t)x->dims[i];
}

static bool alias(const actc_op *op, const actc_shape *in, bool training)
{
    (void)op;
    (void)training;
    uint32_t pixels, channels;
    geometry(in, &pixels, &channels);
    return pixels == 1 || channels == 1;
}

static void forward(actc_lower *lower, const actc_op *op)
{
    struct actc_params_transpose params = {.n = (uint32_t)actc_lower_elements(lower, op->output)};
    geometry(&lower->shapes[op->inputs[0]->id], &params.rows, &params.cols);
    ACTC_EMIT_ELEMENTWISE(lower, transpose, &params, actc_lower_input(lower, op, 0), actc_lower_output(lower, op));
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    struct actc_params_transpose params = {.n = (uint32_t)actc_lower_elements(lower, op->output)};
    geometry(&lower->shapes[op->inputs[0]->id], &params.cols, &params.rows);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT_ELEMENTWISE(lower, transpose, &params, actc_lower_output_gradient(lower, op), dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_flatten_def = {.kind = "flatten", .infer = infer, .alias = alias, .forward = forward, .backward = backward};

actc_tensor *actc_flatten(actc_graph *graph, const char *name, actc_tensor *x)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_flatten_def, .inputs = &x, .n_inputs = 1});
}
