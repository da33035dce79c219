/* loss.c: log-softmax, negative log-likelihood, cross-entropy, which is both in one, and what they get right. */
#include <string.h>

#include "loss.h"

/* ---- what losses share ---- */

bool actc_loss_scores_shape(const actc_shape *in, char *why, size_t why_size)
{
    char text[96];
    bool good = in->ndim == 2 || in->ndim == 4 || in->ndim == 5;
    if (!good)
        snprintf(why, why_size, "needs an input N,C or N,C,H,W or N,C,D,H,W, got %s", actc_shape_text(in, text));
    return good;
}

bool actc_loss_labels_match(const actc_shape *scores, const actc_shape *labels, char *why, size_t why_size)
{
    char a[96], b[96];
    bool same = labels->ndim == scores->ndim - 1 && labels->dims[0] == scores->dims[0];
    for (int i = 2; i < scores->ndim && same; i++)
        same = labels->dims[i - 1] == scores->dims[i];
    if (!same)
        snprintf(why, why_size, "scores %s need a label for each of their positions, got labels %s", actc_shape_text(scores, a),
                 actc_shape_text(labels, b));
    return same;
}

bool actc_loss_target_matches(const actc_op *op, const actc_shape *in, char *why, size_t why_size)
{
    char a[96], b[96];
    bool same = in[0].ndim == in[1].ndim && !memcmp(in[0].dims, in[1].dims, sizeof *in[0].dims * (size_t)in[0].ndim);
    if (op->inputs[0]->dtype != ACTC_F32 || op->inputs[1]->dtype != ACTC_F32 || op->inputs[1]->producer)
        snprintf(why, why_size, "takes a prediction, and as its target an f32 input of the graph");
    else if (!same)
        snprintf(why, why_size, "the target must have the prediction's shape %s, got %s", actc_shape_text(&in[0], a),
                 actc_shape_text(&in[1], b));
    else
        return true;
    return false;
}

actc_loss_rows actc_loss_rows_of(const actc_lower *lower, const actc_tensor *scores)
{
    const actc_shape *shape = &lower->shapes[scores->id];
    const int64_t rows = actc_shape_elements(shape) / shape->dims[1];
    return (actc_loss_rows){(uint32_t)rows, (uint32_t)shape->dims[1], (uint32_t)(rows / shape->dims[0])};
}

uint32_t actc_softmax_groups(uint32_t rows, uint32_t cols)
{
    return cols <= ACTC_SOFTMAX_SERIAL ? actc_groups(rows) : rows;
}

uint32_t actc_loss_norm(const actc_lower *lower, const actc_op *op, float *weight)
{
    double given;
    bool first;
    const uint32_t slot = actc_lower_slot(lower, op, &given, &first);
    *weight = (float)given;
    return ACTC_STEP_NORM + slot;
}

/* Of many rows, as a batch of maps has, chunks are summed first: one group alone would take long, and its chains of additions
 * round more. */
#define LOSS_ROWS 65536u

void actc_emit_loss(actc_lower *lower, const actc_op *op, actc_view losses, uint32_t rows)
{
    while (rows > LOSS_ROWS) {
        struct actc_params_reduce_partial sum = {.op = ACTC_REDUCE_SUM, .outer = 1, .rows = rows, .cols = 1,
                                                 .chunks = (rows + ACTC_SUM_ROWS - 1) / ACTC_SUM_ROWS};
        actc_view sums = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, (uint64_t)sum.chunks * 4, op->path);
        ACTC_EMIT(lower, reduce_partial, actc_groups(sum.chunks), &sum, losses, ACTC_NO_VIEW, ACTC_NO_VIEW, sums);
        losses = sums;
        rows = sum.chunks;
    }
    double weight;
    bool first;
    uint32_t slot = actc_lower_slot(lower, op, &weight, &first);
    struct actc_params_loss_reduce reduce = {.rows = rows, .mean = lower->training, .norm = ACTC_STEP_NORM + slot, .slot = slot,
                                             .first = first, .weight = (float)weight};
    ACTC_EMIT(lower, loss_reduce, 1, &reduce, losses, actc_lower_step_block(lower), actc_lower_result_block(lower));
}

/* ---- of classes ---- */

static bool log_softmax_infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    (void)op;
    *out = in[0];
    return actc_loss_scores_shape(in, why, why_size);
}

static bool loss_infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    *out = (actc_shape){.ndim = 0};
    if (op->inputs[1]->dtype != ACTC_I32) {
        snprintf(why, why_size, "the second input must be the labels (actc_label_input)");
        return false;
    }
    return actc_loss_scores_shape(in, why, why_size) && actc_loss_labels_match(&in[0], &in[1], why, why_size);
}

/* Classes lie in [0, channels of the scores), or are -1. */
static bool count_labels(const actc_op *op, uint32_t index, const void *target, int64_t elements, int64_t *counted, char *why,
                         size_t why_size)
{
    const int32_t *labels = target;
    int64_t classes = op->inputs[0]->shape.dims[1], positions = actc_shape_elements(&op->inputs[index]->shape);
    *counted = 0;
    for (int64_t i = 0; i < elements; i++) {
        if (labels[i] < -1 || labels[i] >= classes) {
            char where[48] = "";
            if (positions > 1)
                snprintf(where, sizeof where, ", position %lld", (long long)(i % positions));
            snprintf(why, why_size, "label %d of sample %lld%s: must be 0 to %lld, or -1 to ignore the %s", labels[i],
                     (long long)(i / positions), where, (long long)classes - 1, positions > 1 ? "position" : "sample");
            return false;
        }
        *counted += labels[i] >= 0;
    }
    if (!*counted)
        snprintf(why, why_size, "every label of the batch is -1: there is no loss");
    return *counted > 0;
}

static actc_view labels_of(actc_lower *lower, const actc_op *op)
{
    return actc_lower_input(lower, op, 1);
}

/* ---- log_softmax ---- */

static void log_softmax_needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    if (gradients->input[0])
        need(user, op, op->output, ACTC_NEED_PROBABILITY);
}

static void emit_log_softmax(actc_lower *lower, const actc_op *op, actc_view y)
{
    const actc_loss_rows r = actc_loss_rows_of(lower, op->inputs[0]);
    struct actc_params_softmax_fwd params = {.rows = r.rows, .cols = r.cols, .log = 1};
    ACTC_EMIT(lower, softmax_fwd, actc_softmax_groups(params.rows, params.cols), &params, actc_lower_input(lower, op, 0), y);
}

static void log_softmax_forward(actc_lower *lower, const actc_op *op)
{
    emit_log_softmax(lower, op, actc_lower_output(lower, op));
}

static void log_softmax_backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    const actc_loss_rows r = actc_loss_rows_of(lower, op->inputs[0]);
    struct actc_params_softmax_bwd params = {.rows = r.rows, .cols = r.cols, .log = 1};
    actc_view y = actc_lower_restore_all(lower, op->output), dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT(lower, softmax_bwd, actc_softmax_groups(params.rows, params.cols), &params, actc_lower_output_gradient(lower, op), y,
              dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_log_softmax_def = {.kind = "softmax", .infer = log_softmax_infer, .needs = log_softmax_needs,
                                          .forward = log_softmax_forward, .backward = log_softmax_backward};

actc_tensor *actc_log_softmax(actc_graph *graph, const char *name, actc_tensor *x)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_log_softmax_def, .inputs = &x, .n_inputs = 1});
}

/* ---- nll_loss ---- */

static void emit_nll(actc_lower *lower, const actc_op *op, actc_view log_p)
{
    const actc_loss_rows r = actc_loss_rows_of(lower, op->inputs[0]);
    struct actc_params_nll_loss_fwd params = {.rows = r.rows, .cols = r.cols, .positions = r.positions};
    actc_view losses = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, (uint64_t)r.rows * 4, op->path);
    ACTC_EMIT(lower, nll_loss_fwd, actc_groups(r.rows), &params, log_p, labels_of(lower, op), actc_lower_step_block(lower),
              losses);
    actc_emit_loss(lower, op, losses, r.rows);
}

static void nll_forward(actc_lower *lower, const actc_op *op)
{
    emit_nll(lower, op, actc_lower_input(lower, op, 0));
}

static void nll_backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    const actc_loss_rows r = actc_loss_rows_of(lower, op->inputs[0]);
    struct actc_params_nll_loss_bwd params = {.rows = r.rows, .cols = r.cols, .positions = r.positions};
    params.norm = actc_loss_norm(lower, op, &params.weight);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT(lower, nll_loss_bwd, actc_element_groups((uint64_t)r.rows * r.cols), &params, labels_of(lower, op),
              actc_lower_step_block(lower), dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_nll_loss_def = {.kind = "loss", .role = ACTC_OP_LOSS, .infer = loss_infer, .forward = nll_forward,
                                       .backward = nll_backward, .count = count_labels};

actc_tensor *actc_nll_loss(actc_graph *graph, const char *name, actc_tensor *log_probabilities, actc_tensor *labels)
{
    actc_tensor *inputs[] = {log_probabilities, labels};
    if (!actc_graph_accepts(graph, inputs, 2, name))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_nll_loss_def, .inputs = inputs, .n_inputs = 2});
}

/* ---- cross_entropy ----
 * Its backward needs the log-probabilities, a statistic of the operator's own, not a tensor that another operator or a
 * codec could share: they are kept dense. */

static void cross_entropy_forward(actc_lower *lower, const actc_op *op)
{
    uint64_t bytes = actc_lower_bytes(lower, op->inputs[0]);
    actc_view log_p = actc_lower_has_backward(lower, op) ? actc_lower_keep(lower, op, 0, ACTC_MEMORY_KEPT_DENSE, bytes)
                                                         : actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, bytes, op->path);
    emit_log_softmax(lower, op, log_p);
    emit_nll(lower, op, log_p);
}

static void cross_entropy_backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    const actc_loss_rows r = actc_loss_rows_of(lower, op->inputs[0]);
    struct actc_params_cross_entropy_bwd params = {.rows = r.rows, .cols = r.cols, .positions = r.positions};
    params.norm = actc_loss_norm(lower, op, &params.weight);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT(lower, cross_entropy_bwd, actc_element_groups((uint64_t)r.rows * r.cols), &params,
              actc_lower_kept(lower, op, 0), labels_of(lower, op), actc_lower_step_block(lower), dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_cross_entropy_def = {.kind = "loss", .role = ACTC_OP_LOSS, .keeps = true, .infer = loss_infer,
                                            .forward = cross_entropy_forward, .backward = cross_entropy_backward,
                                            .count = count_labels};

actc_tensor *actc_cross_entropy(actc_graph *graph, const char *name, actc_tensor *logits, actc_tensor *labels)
{
    actc_tensor *inputs[] = {logits, labels};
    if (!actc_graph_accepts(graph, inputs, 2, name))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_cross_entropy_def, .inputs = inputs, .n_inputs = 2});
}

/* ---- count_correct ---- */

static void correct_forward(actc_lower *lower, const actc_op *op)
{
    const actc_loss_rows r = actc_loss_rows_of(lower, op->inputs[0]);
    const uint32_t groups = actc_groups(r.rows);
    double weight;
    bool first;
    struct actc_params_count_correct params = {.rows = r.rows, .cols = r.cols, .positions = r.positions};
    struct actc_params_count_reduce reduce = {.n = groups, .slot = actc_lower_slot(lower, op, &weight, &first)};
    actc_view counts = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, (uint64_t)groups * 4, op->path);
    ACTC_EMIT(lower, count_correct, groups, &params, actc_lower_input(lower, op, 0), labels_of(lower, op),
              actc_lower_step_block(lower), counts);
    ACTC_EMIT(lower, count_reduce, 1, &reduce, counts, actc_lower_result_block(lower));
}

const actc_op_def actc_count_correct_def = {.kind = "metric", .role = ACTC_OP_METRIC, .infer = loss_infer,
                                            .forward = correct_forward, .count = count_labels};

actc_tensor *actc_count_correct(actc_graph *graph, const char *name, actc_tensor *scores, actc_tensor *labels)
{
    actc_tensor *inputs[] = {scores, labels};
    if (!actc_graph_accepts(graph, inputs, 2, name))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_count_correct_def, .inputs = inputs, .n_inputs = 2});
}

/* ---- the short form for classifiers ---- */

void actc_graph_set_loss(actc_graph *graph, actc_tensor *loss)
{
    if (graph->n_losses) {
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "actc_graph_set_loss: the loss is %s already",
                        graph->losses[0].tensor->name);
        return;
    }
    actc_graph_add_loss(graph, loss, 1);
    if (graph->status != ACTC_OK || loss->producer->def->count != count_labels || graph->n_metrics)
        return;
    char name[80];
    const char *slash = strrchr(loss->name, '/');
    snprintf(name, sizeof name, "%s_correct", slash ? slash + 1 : loss->name);
    actc_graph_add_metric(graph, actc_count_correct(graph, name, loss->producer->inputs[0], loss->producer->inputs[1]));
}
