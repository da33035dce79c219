/* batch_norm.c: PyTorch's BatchNorm over the channels of maps, or the columns of rows.
 *
 * Training takes the mean and the variance of the batch, keeps two numbers a channel, and saves x; the gradients of the
 * weight, the bias and x are computed from one restored x, so that they belong together where it is lossy. Where a codec keeps it and
 * nobody else reads it, that is the normalised x, which loses less (docs/compression.md); bn=input keeps x itself, as Vu et al. do.
 */
#include "../lower/lower.h"

typedef struct batch_norm_attributes {
    float epsilon, momentum;
    bool affine, track;
} batch_norm_attributes;

enum { WEIGHT, BIAS, MEAN, VARIANCE, PARAMETERS }; /* of op->parameters */
enum { STATISTICS };                               /* of what it keeps: means, then inverse deviations */

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    char text[96];
    (void)op;
    if (in[0].ndim != 2 && in[0].ndim != 4 && in[0].ndim != 5) {
        snprintf(why, why_size, "needs an input N,C, N,C,H,W or N,C,D,H,W, got %s", actc_shape_text(&in[0], text));
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
    uint32_t n, rows, cols;
} geometry;

static geometry geometry_of(const actc_lower *lower, const actc_op *op)
{
    const actc_shape *x = &lower->shapes[op->inputs[0]->id];
    uint32_t n = (uint32_t)actc_shape_elements(x), cols = (uint32_t)x->dims[1];
    return (geometry){n, n / cols, cols};
}

/* Statistics of the batch, or the running ones where they are to be used. */
static void emit_statistics(actc_lower *lower, const actc_op *op, geometry g, actc_view x, actc_view statistics)
{
    const batch_norm_attributes *a = op->attributes;
    bool from_batch = lower->training || !a->track, running = a->track && !lower->again; /* moved once */
    actc_view moments = ACTC_NO_VIEW;
    struct actc_params_bn_stats params = {
        .rows = g.rows, .cols = g.cols, .evaluate = !from_batch, .running = running, .inverse_rows = (float)(1.0 / g.rows),
        .epsilon = a->epsilon, .momentum = a->momentum, .rest = (float)(1.0 - (double)a->momentum),
        .unbiased = g.rows > 1 ? (float)((double)g.rows / (g.rows - 1.0)) : 1.0f};
    if (from_batch) {
        params.chunks = (g.rows + ACTC_SUM_ROWS - 1) / ACTC_SUM_ROWS;
        moments = actc_lower_new(lower, ACTC_MEMORY_WORKSPACE, 8ull * params.chunks * g.cols, "moments");
        struct actc_params_reduce_partial reduce = {
            .op = ACTC_REDUCE_MOMENTS, .outer = 1, .rows = g.rows, .cols = g.cols, .chunks = params.chunks};
        ACTC_EMIT(lower, reduce_partial, actc_groups((uint64_t)params.chunks * g.cols), &reduce, x, ACTC_NO_VIEW, ACTC_NO_VIEW, moments);
    }
    actc_view mean = running ? actc_lower_state(lower, op->parameters[MEAN]) : ACTC_NO_VIEW;
    actc_view variance = running ? actc_lower_state(lower, op->parameters[VARIANCE]) : ACTC_NO_VIEW;
    ACTC_EMIT(lower, bn_stats, (g.cols + ACTC_BN_COLUMNS - 1) / ACTC_BN_COLUMNS, &params, moments, statistics, mean, variance);
}

static void forward(actc_lower *lower, const actc_op *op)
{
    const batch_norm_attributes *a = op->attributes;
    geometry g = geometry_of(lower, op);
    if (lower->training && g.rows < 2) {
        if (lower->status == ACTC_OK)
            lower->status = actc_fail(lower->build->context, ACTC_ERROR_INVALID_ARGUMENT,
                                      "%s (bn): one value a channel; training needs more: a larger batch or input", op->path);
        return;
    }
    uint64_t bytes = 8ull * g.cols;
    actc_view x = actc_lower_input(lower, op, 0);
    actc_view statistics = actc_lower_has_backward(lower, op) ? actc_lower_keep(lower, op, STATISTICS, ACTC_MEMORY_KEPT_DENSE, bytes)
                                                              : actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, bytes, op->path);
    emit_statistics(lower, op, g, x, statistics);
    actc_view y = actc_lower_output_inplace(lower, op);
    struct actc_params_bn_apply params = {.n = g.n, .cols = g.cols, .normalise = 1, .affine = a->affine};
    actc_view gamma = a->affine ? actc_lower_parameter(lower, op->parameters[WEIGHT]) : ACTC_NO_VIEW;
    actc_view beta = a->affine ? actc_lower_parameter(lower, op->parameters[BIAS]) : ACTC_NO_VIEW;
    if (actc_lower_normalised(lower, op->inputs[0])) { /* the same bits in two passes, with what is kept between them */
        params.affine = 0;
        ACTC_EMIT_ELEMENTWISE(lower, bn_apply, &params, x, statistics, ACTC_NO_VIEW, ACTC_NO_VIEW, ACTC_NO_VIEW, y, ACTC_NO_VIEW);
        actc_lower_pack_normalised(lower, op->inputs[0], y);
        params.normalise = 0;
        params.affine = a->affine;
        x = y;
    }
    if (params.normalise || params.affine)
        ACTC_EMIT_ELEMENTWISE(lower, bn_apply, &params, x, params.normalise ? statistics : ACTC_NO_VIEW, gamma, beta, ACTC_NO_VIEW, y,
                              ACTC_NO_VIEW);
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    const batch_norm_attributes *a = op->attributes;
    const actc_tensor *x = op->inputs[0];
    geometry g = geometry_of(lower, op);
    actc_view dy = actc_lower_output_gradient(lower, op), statistics = actc_lower_kept(lower, op, STATISTICS);
    /* x is restored in parts, twice: for the sums, and for dx */
    const uint32_t planes = actc_lower_planes(lower, x), parts = actc_lower_parts(lower, x);
    uint64_t part = dy.bytes / parts;
    uint32_t rows = g.rows / parts, count = planes / parts;
    actc_view sums[2] = {actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, 4ull * g.cols, "sum of dy"),
                         actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, 4ull * g.cols, "sum of dy xhat")};
    const bool normalised = actc_lower_normalised(lower, x); /* what is restored is xhat */
    for (uint32_t i = 0; i < parts && lower->status == ACTC_OK; i++)
        actc_emit_reduce(lower, normalised ? ACTC_REDUCE_PAIR : ACTC_REDUCE_NORM_COLUMNS, actc_lower_part(dy, i * part, part),
                         actc_lower_restore_planes(lower, x, i * count, count), normalised ? ACTC_NO_VIEW : statistics, 1, rows, g.cols,
                         1.0f, sums, i > 0);
    if (gradients->parameter[BIAS])
        actc_lower_give_parameter_gradient(lower, op->parameters[BIAS], sums[0]);
    if (gradients->parameter[WEIGHT])
        actc_lower_give_parameter_gradient(lower, op->parameters[WEIGHT], sums[1]);
    if (!gradients->input[0])
        return;
    actc_view gamma = a->affine ? actc_lower_parameter(lower, op->parameters[WEIGHT]) : ACTC_NO_VIEW;
    actc_view dx = actc_lower_input_gradient(lower, op, 0, true);
    struct actc_params_bn_bwd params = {.n = g.n / parts, .cols = g.cols, .normalised = normalised, .affine = a->affine,
                                     .inverse_rows = (float)(1.0 / g.rows)};
    for (uint32_t i = 0; i < parts && lower->status == ACTC_OK; i++)
        ACTC_EMIT_ELEMENTWISE(lower, bn_bwd, &params, actc_lower_part(dy, i * part, part),
                              actc_lower_restore_planes(lower, x, i * count, count), statistics, gamma, sums[0], sums[1],
                              actc_lower_part(dx, i * part, part));
    actc_lower_commit_gradient(lower, op, 0, dx);
}

static bool mixes_samples(const actc_op *op)
{
    return !((const batch_norm_attributes *)op->attributes)->track;
}

const actc_op_def actc_batch_norm_def = {.kind = "bn", .attributes_bytes = sizeof(batch_norm_attributes), .infer = infer,
                                         .needs = needs, .normalises = true, .keeps = true, .forward = forward, .backward = backward,
                                         .mixes_samples = mixes_samples};

actc_batch_norm_options actc_batch_norm_options_default(void)
{
    return (actc_batch_norm_options){.size = sizeof(actc_batch_norm_options), .epsilon = 1e-5, .momentum = 0.1, .affine = true,
                                     .track = true};
}

static bool check(actc_graph *graph, const char *name, const char *what, double value, double least, double most)
{
    if (!(value >= least && value <= most))
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (bn): %s is %g, must be %g to %g", name, what, value, least, most);
    return graph->status == ACTC_OK;
}

actc_tensor *actc_batch_norm(actc_graph *graph, const char *name, actc_tensor *x, const actc_batch_norm_options *given)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    actc_batch_norm_options options, defaults = actc_batch_norm_options_default();
    if (!actc_graph_take_options(graph, name, "actc_batch_norm_options", given ? given : &defaults, sizeof options, &defaults, &options) ||
        !check(graph, name, "epsilon", options.epsilon, 1e-12, 1) || !check(graph, name, "momentum", options.momentum, 0, 1))
        return NULL;
    batch_norm_attributes a = {(float)options.epsilon, (float)options.momentum, options.affine, options.track};
    actc_parameter *parameters[PARAMETERS] = {0};
    if (x->shape.ndim == 2 || x->shape.ndim >= 4) { /* else infer says what is wrong */
        int64_t channels[] = {x->shape.dims[1]};
        if (options.affine) {
            parameters[WEIGHT] = actc_graph_parameter(graph, name, "weight", channels, 1, ACTC_LAYOUT_PLAIN, ACTC_INIT_ONES, 1, options.frozen);
            parameters[BIAS] = actc_graph_parameter(graph, name, "bias", channels, 1, ACTC_LAYOUT_PLAIN, ACTC_INIT_ZEROS, 1, options.frozen);
        }
        if (options.track) {
            parameters[MEAN] = actc_graph_state(graph, name, "running_mean", channels, 1, ACTC_INIT_ZEROS);
            parameters[VARIANCE] = actc_graph_state(graph, name, "running_var", channels, 1, ACTC_INIT_ONES);
            actc_graph_counter(graph, name, "num_batches_tracked");
        }
    }
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_batch_norm_def, .inputs = &x, .n_inputs = 1, .parameters = parameters,
                                                     .n_parameters = PARAMETERS, .attributes = &a});
}
