/* dice.c: the Dice loss of probabilities of classes, as MONAI's DiceLoss. */
#include "exact/unary.h"
#include "loss.h"

typedef struct dice_attributes {
    bool sigmoid, softmax, include_background, squared_pred, batch;
    float smooth_nr, smooth_dr;
} dice_attributes;

/* What it keeps of its own: the probabilities that it computes, and of each class what the gradient needs of its sums. */
enum { PROBABILITIES, QUOTIENTS };

static const dice_attributes *attributes_of(const actc_op *op)
{
    return op->attributes;
}

static bool has_labels(const actc_op *op)
{
    return op->inputs[1]->dtype == ACTC_I32;
}

static bool has_activation(const actc_op *op)
{
    return attributes_of(op)->sigmoid || attributes_of(op)->softmax;
}

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    const dice_attributes *a = attributes_of(op);
    *out = (actc_shape){.ndim = 0};
    if (!actc_loss_scores_shape(in, why, why_size) ||
        !(has_labels(op) ? actc_loss_labels_match(&in[0], &in[1], why, why_size) : actc_loss_target_matches(op, in, why, why_size)))
        return false;
    bool good = in[0].dims[1] > 1 || (!a->softmax && a->include_background);
    if (!good)
        snprintf(why, why_size, "%s needs more than one class, got 1", a->softmax ? "softmax" : "include_background = false");
    return good;
}

static void needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    if (!gradients->input[0])
        return;
    if (!has_activation(op))
        need(user, op, op->inputs[0], ACTC_NEED_PROBABILITY);
    if (!has_labels(op))
        need(user, op, op->inputs[1], ACTC_NEED_FOR_GRADIENT);
}

/* Scores as (outer,rows,cols): an outer for each sample, or one for the batch. */
typedef struct geometry {
    uint32_t outer, rows, cols, n;
} geometry;

static geometry geometry_of(const actc_lower *lower, const actc_op *op)
{
    const actc_loss_rows r = actc_loss_rows_of(lower, op->inputs[0]);
    const bool batch = attributes_of(op)->batch;
    return (geometry){batch ? 1 : r.rows / r.positions, batch ? r.rows : r.positions, r.cols, r.rows * r.cols};
}

static actc_view emit_probabilities(actc_lower *lower, const actc_op *op, geometry g)
{
    actc_view x = actc_lower_input(lower, op, 0);
    if (!has_activation(op))
        return x;
    actc_view y = actc_lower_has_backward(lower, op) ? actc_lower_keep(lower, op, PROBABILITIES, ACTC_MEMORY_KEPT_DENSE, 4ull * g.n)
                                                     : actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, 4ull * g.n, op->path);
    if (attributes_of(op)->sigmoid) {
        struct actc_params_unary params = {.n = g.n, .op = ACTC_UNARY_SIGMOID};
        ACTC_EMIT_ELEMENTWISE(lower, unary, &params, x, y);
    } else {
        struct actc_params_softmax_fwd params = {.rows = g.outer * g.rows, .cols = g.cols};
        ACTC_EMIT(lower, softmax_fwd, actc_softmax_groups(params.rows, params.cols), &params, x, y);
    }
    return y;
}

static void forward(actc_lower *lower, const actc_op *op)
{
    const dice_attributes *a = attributes_of(op);
    const geometry g = geometry_of(lower, op);
    const uint32_t sums = g.outer * g.cols;
    const bool keep = actc_lower_has_backward(lower, op);
    actc_view p = emit_probabilities(lower, op, g), overlap = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, 4ull * sums, "overlaps");
    actc_view size = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, 4ull * sums, "sizes");
    const uint32_t terms = has_labels(op) ? (a->squared_pred ? ACTC_REDUCE_OVERLAP_LABELS_SQUARES : ACTC_REDUCE_OVERLAP_LABELS)
                                          : (a->squared_pred ? ACTC_REDUCE_OVERLAP_SQUARES : ACTC_REDUCE_OVERLAP);
    actc_emit_reduce(lower, terms, p, actc_lower_input(lower, op, 1), ACTC_NO_VIEW, g.outer, g.rows, g.cols, 1.0f,
                     (actc_view[]){overlap, size}, false);
    actc_view losses = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, 4ull * sums, op->path);
    actc_view quotients = keep ? actc_lower_keep(lower, op, QUOTIENTS, ACTC_MEMORY_KEPT_DENSE, 8ull * sums) : ACTC_NO_VIEW;
    struct actc_params_dice_loss_fwd params = {.outer = g.outer, .cols = g.cols, .first = !a->include_background, .keep = keep,
                                               .smooth_nr = a->smooth_nr, .smooth_dr = a->smooth_dr};
    ACTC_EMIT(lower, dice_loss_fwd, actc_groups(sums), &params, overlap, size, actc_lower_step_block(lower), losses, quotients);
    actc_emit_loss(lower, op, losses, sums);
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    const dice_attributes *a = attributes_of(op);
    const geometry g = geometry_of(lower, op);
    if (!gradients->input[0])
        return;
    struct actc_params_dice_loss_bwd params = {.n = g.n, .outer = g.outer, .rows = g.rows, .cols = g.cols, .labels = has_labels(op),
                                               .squares = a->squared_pred};
    params.norm = actc_loss_norm(lower, op, &params.weight);
    actc_view p = has_activation(op) ? actc_lower_kept(lower, op, PROBABILITIES) : actc_lower_restore_all(lower, op->inputs[0]);
    actc_view target = has_labels(op) ? actc_lower_input(lower, op, 1) : actc_lower_restore_all(lower, op->inputs[1]);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT_ELEMENTWISE(lower, dice_loss_bwd, &params, p, target, actc_lower_kept(lower, op, QUOTIENTS),
                          actc_lower_step_block(lower), dx);
    /* on through the activation, in place */
    if (a->sigmoid) {
        struct actc_params_unary_bwd back = {.n = g.n, .op = ACTC_UNARY_SIGMOID};
        ACTC_EMIT_ELEMENTWISE(lower, unary_bwd, &back, dx, p, dx);
    } else if (a->softmax) {
        struct actc_params_softmax_bwd back = {.rows = g.outer * g.rows, .cols = g.cols};
        ACTC_EMIT(lower, softmax_bwd, actc_softmax_groups(back.rows, back.cols), &back, dx, p, dx);
    }
    actc_lower_commit_gradient(lower, op, 0, dx);
}

/* Counts the classes of the samples, or of the batch. */
static bool count(const actc_op *op, uint32_t index, const void *target, int64_t elements, int64_t *counted, char *why,
                  size_t why_size)
{
    const dice_attributes *a = attributes_of(op);
    const int64_t classes = op->inputs[0]->shape.dims[1], each = actc_shape_elements(&op->inputs[index]->shape);
    const int32_t *labels = target;
    for (int64_t i = 0; i < elements && has_labels(op); i++) {
        if (labels[i] < 0 || labels[i] >= classes) {
            snprintf(why, why_size, "label %d of sample %lld, position %lld: must be 0 to %lld; Dice ignores no position",
                     labels[i], (long long)(i / each), (long long)(i % each), (long long)classes - 1);
            return false;
        }
    }
    *counted = (a->batch ? 1 : elements / each) * (classes - !a->include_background);
    return true;
}

static bool mixes_samples(const actc_op *op)
{
    return attributes_of(op)->batch;
}

const actc_op_def actc_dice_loss_def = {.kind = "loss", .attributes_bytes = sizeof(dice_attributes), .role = ACTC_OP_LOSS, .keeps = true,
                                        .infer = infer, .needs = needs, .forward = forward, .backward = backward,
                                        .mixes_samples = mixes_samples, .count = count};

actc_dice_options actc_dice_options_default(void)
{
    return (actc_dice_options){.size = sizeof(actc_dice_options), .include_background = true, .smooth_nr = 1e-5, .smooth_dr = 1e-5};
}

static bool check(actc_graph *graph, const char *name, const char *what, double value, double least)
{
    if (!(value >= least && value <= 1e6))
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (loss): %s is %g, must be %g to 1e6", name, what, value, least);
    return graph->status == ACTC_OK;
}

actc_tensor *actc_dice_loss(actc_graph *graph, const char *name, actc_tensor *scores, actc_tensor *target,
                            const actc_dice_options *given)
{
    actc_tensor *inputs[] = {scores, target};
    actc_dice_options options, defaults = actc_dice_options_default();
    if (!actc_graph_accepts(graph, inputs, 2, name) ||
        !actc_graph_take_options(graph, name, "actc_dice_options", given ? given : &defaults, sizeof options, &defaults,
                                 &options) ||
        !check(graph, name, "smooth_nr", options.smooth_nr, 0) || !check(graph, name, "smooth_dr", options.smooth_dr, 1e-12))
        return NULL;
    if (options.sigmoid && options.softmax)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (loss): sigmoid and softmax are both set; at most one may be",
                               name);
    const dice_attributes a = {options.sigmoid, options.softmax, options.include_background, options.squared_pred, options.batch,
                               (float)options.smooth_nr, (float)options.smooth_dr};
    return actc_graph_append(graph, name,
                             &(actc_op){.def = &actc_dice_loss_def, .inputs = inputs, .n_inputs = 2, .attributes = &a});
}
