/* layer_norm.c: PyTorch's LayerNorm over the last dimension of rows or sequences, or over the channels of each position of a map.
 *
 * Saves x and two numbers a row; the gradients of the weight, the bias and x are computed from one restored x, so that they
 * belong together where it is lossy.
 */
#include "../lower/lower.h"
#include "physical.h"

typedef struct layer_norm_attributes {
    float epsilon;
    bool affine;
} layer_norm_attributes;

enum { WEIGHT, BIAS, PARAMETERS }; /* of op->parameters */
enum { STATISTICS };               /* of what it keeps: means of the rows, then inverse deviations */

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    char text[96];
    (void)op;
    if (in[0].ndim < 2) {
        snprintf(why, why_size, "needs an input N,F, B,T,D, N,C,H,W or N,C,D,H,W, got %s", actc_shape_text(&in[0], text));
        return false;
    }
    *out = in[0];
    return true;
}

static void needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    if (gradients->input[0])
        need(user, op, op->inputs[0], ACTC_NEED_FOR_GRADIENT);
    else if (gradients->parameter[WEIGHT] || gradients->parameter[BIAS])
        need(user, op, op->inputs[0], ACTC_NEED_FOR_PARAMETERS);
}

typedef struct geometry {
    uint32_t rows, cols;
} geometry;

static geometry geometry_of(const actc_lower *lower, const actc_op *op)
{
    const actc_shape *x = &lower->shapes[op->inputs[0]->id];
    const uint32_t cols = actc_innermost(x);
    return (geometry){(uint32_t)(actc_shape_elements(x) / cols), cols};
}

static uint64_t statistics_bytes(uint32_t rows)
{
    return 8ull * rows;
}

static void forward(actc_lower *lower, const actc_op *op)
{
    const layer_norm_attributes *a = op->attributes;
    const geometry g = geometry_of(lower, op);
    const bool keep = actc_lower_has_backward(lower, op);
    actc_view statistics = keep ? actc_lower_keep(lower, op, STATISTICS, ACTC_MEMORY_KEPT_DENSE,
                                                  statistics_bytes(g.rows)) : ACTC_NO_VIEW;
    actc_view gamma = a->affine ? actc_lower_parameter(lower, op->parameters[WEIGHT]) : ACTC_NO_VIEW;
    actc_view beta = a->affine ? actc_lower_parameter(lower, op->parameters[BIAS]) : ACTC_NO_VIEW;
    struct actc_params_ln_fwd params = {.rows = g.rows, .cols = g.cols, .affine = a->affine, .keep = keep,
                                        .inverse_cols = (float)(1.0 / g.cols), .epsilon = a->epsilon};
    actc_view x = actc_lower_input(lower, op, 0);
    ACTC_EMIT(lower, ln_fwd, g.rows, &params, x, gamma, beta, actc_lower_output_inplace(lower, op), statistics);
}

/* Those of rows [first, first + rows). */
static actc_view statistics_of(actc_lower *lower, actc_view all, uint32_t all_rows, uint32_t first, uint32_t rows)
{
    if (rows == all_rows)
        return all;
    actc_view some = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, statistics_bytes(rows), "statistics of some rows");
    struct actc_params_copy_nd params = {.n = 2 * rows, .size = {1, 1, 1, 1, 2, rows}, .ss = {0, 0, 0, 0, all_rows, 1},
                                         .ds = {0, 0, 0, 0, rows, 1}, .source_at = first};
    ACTC_EMIT_ELEMENTWISE(lower, copy_nd, &params, all, some);
    return some;
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    const layer_norm_attributes *a = op->attributes;
    const actc_tensor *x = op->inputs[0];
    const geometry g = geometry_of(lower, op);
    const actc_view dy = actc_lower_output_gradient(lower, op);
    const bool sum = gradients->parameter[WEIGHT] || gradients->parameter[BIAS];
    actc_view sums[2] = {ACTC_NO_VIEW, ACTC_NO_VIEW}; /* of dy, of dy xhat */
    for (int i = 0; i < 2 && sum; i++)
        sums[i] = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, 4ull * g.cols, "sums of rows");
    const actc_view all = actc_lower_kept(lower, op, STATISTICS);
    const actc_view gamma = a->affine ? actc_lower_parameter(lower, op->parameters[WEIGHT]) : ACTC_NO_VIEW;
    const actc_view dx = gradients->input[0] ? actc_lower_input_gradient(lower, op, 0, true) : ACTC_NO_VIEW;
    const uint32_t parts = actc_lower_parts(lower, x), planes = actc_lower_planes(lower, x) / parts, rows = g.rows / parts;
    const uint64_t bytes = dy.bytes / parts;
    struct actc_params_ln_bwd params = {.rows = rows, .cols = g.cols, .affine = a->affine, .inverse_cols = (float)(1.0 / g.cols)};
    for (uint32_t i = 0; i < parts && lower->status == ACTC_OK; i++) {
        actc_view some_x = actc_lower_restore_planes(lower, x, i * planes, planes), some_dy = actc_lower_part(dy, i * bytes,
                                                                                                              bytes);
        actc_view statistics = statistics_of(lower, all, g.rows, i * rows, rows);
        if (sum)
            actc_emit_reduce(lower, ACTC_REDUCE_NORM_ROWS, some_dy, some_x, statistics, 1, rows, g.cols, 1.0f, sums, i > 0);
        if (gradients->input[0])
            ACTC_EMIT(lower, ln_bwd, rows, &params, some_dy, some_x, statistics, gamma, actc_lower_part(dx, i * bytes, bytes));
    }
    if (gradients->parameter[BIAS])
        actc_lower_give_parameter_gradient(lower, op->parameters[BIAS], sums[0]);
    if (gradients->parameter[WEIGHT])
        actc_lower_give_parameter_gradient(lower, op->parameters[WEIGHT], sums[1]);
    if (gradients->input[0])
        actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_layer_norm_def = {.kind = "ln", .attributes_bytes = sizeof(layer_norm_attributes), .infer = infer,
                                         .needs = needs, .keeps = true, .forward = forward, .backward = backward};

actc_layer_norm_options actc_layer_norm_options_default(void)
{
    return (actc_layer_norm_options){.size = sizeof(actc_layer_norm_options), .epsilon = 1e-5, .affine = true};
}

/* The user's, (cols) or with axes of 1 around it, or one of the operator's own. */
static actc_parameter *take_parameter(actc_graph *graph, const char *name, const actc_tensor *x, const actc_layer_norm_options *options,
                                      actc_parameter *given, const char *suffix, actc_init init)
{
    const int64_t cols = actc_innermost(&x->shape);
    actc_shape wanted = {.ndim = 1, .dims = {cols}};
    if (!given)
        return actc_graph_parameter(graph, name, suffix, &cols, 1, ACTC_LAYOUT_PLAIN, init, 1, options->frozen);
    for (int axis = 0; axis < given->shape.ndim; axis++) {
        actc_shape around = {.ndim = given->shape.ndim, .dims = {1, 1, 1, 1, 1}};
        around.dims[axis] = cols;
        if (given->shape.dims[axis] == cols)
            wanted = around;
    }
    return actc_graph_check_parameter(graph, name, given, wanted.dims, wanted.ndim) ? given : NULL;
}

actc_tensor *actc_layer_norm(actc_graph *graph, const char *name, actc_tensor *x, const actc_layer_norm_options *given)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    actc_layer_norm_options options, defaults = actc_layer_norm_options_default();
    if (!actc_graph_take_options(graph, name, "actc_layer_norm_options", given ? given : &defaults, sizeof options, &defaults,
                                 &options))
        return NULL;
    if (!(options.epsilon >= 1e-12 && options.epsilon <= 1))
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (ln): epsilon is %g, must be 1e-12 to 1", name,
                               options.epsilon);
    layer_norm_attributes a = {(float)options.epsilon, options.affine};
    actc_parameter *parameters[PARAMETERS] = {0};
    if (options.affine && x->shape.ndim >= 2) { /* else infer says what is wrong */
        parameters[WEIGHT] = take_parameter(graph, name, x, &options, options.weight_parameter, "weight", ACTC_INIT_ONES);
        parameters[BIAS] = take_parameter(graph, name, x, &options, options.bias_parameter, "bias", ACTC_INIT_ZEROS);
    }
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_layer_norm_def, .inputs = &x, .n_inputs = 1,
                                                     .parameters = parameters,
                                                     .n_parameters = PARAMETERS, .attributes = &a});
}
