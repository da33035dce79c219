/* layer_norm.c: PyTorch's LayerNorm over the last dimension of rows or sequences.
 *
 * Saves x and two numbers a row; the gradients of the weight, the bias and x are computed from one restored x, so that they
 * belong together where it is lossy.
 */
#include "../lower/lower.h"

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
    if (in[0].ndim != 2 && in[0].ndim != 3) {
        snprintf(why, why_size, "needs an input N,F or B,T,D, got %s", actc_shape_text(&in[0], text));
        return false;
    }
    *out = in[0];
    return true;
}

static void needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    if (gradients->input[0])
        need(user, op, op->inputs[0], ACTC_NEED_FOR_GRADIENT);
    else if (gradients->parameter[WEIGHT])
        need(user, op, op->inputs[0], ACTC_NEED_FOR_PARAMETERS);
}

typedef struct geometry {
    uint32_t rows, cols;
} geometry;

static geometry geometry_of(const actc_lower *lower, const actc_op *op)
{
    const actc_shape *x = &lower->shapes[op->inputs[0]->id];
    const uint32_t cols = (uint32_t)x->dims[x->ndim - 1];
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
    /* both are of this operator alone, and written once a batch */
    actc_view sums[2] = {ACTC_NO_VIEW, ACTC_NO_VIEW};
    bool add = false;
    if (gradients->parameter[BIAS])
        sums[0] = actc_lower_parameter_gradient(lower, op->parameters[BIAS], &add);
    if (gradients->parameter[WEIGHT])
        sums[1] = actc_lower_parameter_gradient(lower, op->parameters[WEIGHT], &add);
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
        if (gradients->parameter[WEIGHT])
            actc_emit_reduce(lower, ACTC_REDUCE_NORM_ROWS, some_dy, some_x, statistics, 1, rows, g.cols, 1.0f, sums, add ||
                             i > 0);
        if (gradients->input[0])
            ACTC_EMIT(lower, ln_bwd, rows, &params, some_dy, some_x, statistics, gamma, actc_lower_part(dx, i * bytes, bytes));
    }
    if (gradients->input[0])
        actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_layer_norm_def = {.kind = "ln", .attributes_bytes = sizeof(layer_norm_attributes), .infer = infer,
                                         .needs = needs, .keeps = true, .forward = forward, .backward = backward};

actc_layer_norm_options actc_layer_norm_options_default(void)
{
    return (actc_layer_norm_options){.size = sizeof(actc_layer_norm_options), .epsilon = 1e-5, .affine = true};
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
    if (options.affine && (x->shape.ndim == 2 || x->shape.ndim == 3)) { /* else infer says what is wrong */
        const int64_t *cols = &x->shape.dims[x->shape.ndim - 1];
        parameters[WEIGHT] = actc_graph_parameter(graph, name, "weight", cols, 1, ACTC_LAYOUT_PLAIN, ACTC_INIT_ONES, 1,
                                                  options.frozen);
        parameters[BIAS] = actc_graph_parameter(graph, name, "bias", cols, 1, ACTC_LAYOUT_PLAIN, ACTC_INIT_ZEROS, 1,
                                                options.frozen);
    }
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_layer_norm_def, .inputs = &x, .n_inputs = 1,
                                                     .parameters = parameters,
                                                     .n_parameters = PARAMETERS, .attributes = &a});
}
