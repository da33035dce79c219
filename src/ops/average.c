/* average.c: the mean of a map over all its positions, or of a sequence over its tokens. */
#include "physical.h"

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    char text[96];
    (void)op;
    if (in[0].ndim < 3) {
        snprintf(why, why_size, "needs an input B,T,D, N,C,H,W or N,C,D,H,W, got %s", actc_shape_text(&in[0], text));
        return false;
    }
    *out = in[0];
    for (int d = 1; d < in[0].ndim; d++)
        if (actc_physical_axis(&in[0], d) != in[0].ndim - 1)
            out->dims[d] = 1;
    return true;
}

static void geometry(const actc_lower *lower, const actc_op *op, uint32_t *samples, uint32_t *positions, uint32_t *channels)
{
    const actc_shape *x = &lower->shapes[op->inputs[0]->id];
    *samples = (uint32_t)x->dims[0];
    *channels = actc_innermost(x);
    *positions = (uint32_t)(actc_shape_elements(x) / x->dims[0] / *channels);
}

static void forward(actc_lower *lower, const actc_op *op)
{
    uint32_t samples, positions, channels;
    geometry(lower, op, &samples, &positions, &channels);
    actc_view sums[2] = {actc_lower_output(lower, op), ACTC_NO_VIEW};
    actc_emit_reduce(lower, ACTC_REDUCE_SUM, actc_lower_input(lower, op, 0), ACTC_NO_VIEW, ACTC_NO_VIEW, samples, positions, channels,
                     (float)(1.0 / positions), sums, false);
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    uint32_t samples, positions, channels;
    geometry(lower, op, &samples, &positions, &channels);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    struct actc_params_spread params = {.n = samples * positions * channels, .inner = positions, .channels = channels,
                                        .scale = (float)(1.0 / positions)};
    ACTC_EMIT_ELEMENTWISE(lower, spread, &params, actc_lower_output_gradient(lower, op), dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_global_avg_pool_def = {.kind = "avgpool", .infer = infer, .forward = forward, .backward = backward};

actc_tensor *actc_global_avg_pool(actc_graph *graph, const char *name, actc_tensor *x)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_global_avg_pool_def, .inputs = &x, .n_inputs = 1});
}
