/* loss.c: log-softmax, negative log-likelihood, cross-entropy, which is both in one, and what they get right. */
#include <string.h>

#include "../lower/lower.h"

static bool rows_shape(const actc_shape *in, char *why, size_t why_size)
{
    char text[96];
    if (in->ndim != 2)
        snprintf(why, why_size, "needs an input N,C, got %s", actc_shape_text(in, text));
    return in->ndim == 2;
}

static bool log_softmax_infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    (void)op;
    *out = in[0];
    return rows_shape(in, why, why_size);
}

static bool loss_infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    *out = (actc_shape){.ndim = 0};
    if (op->inputs[1]->dtype != ACTC_I32) {
        snprintf(why, why_size, "the second input must be the labels (actc_label_input)");
        return false;
    }
    return rows_shape(in, why, why_size);
}

/* Classes lie in [0, columns of the scores), or are -1. */
static bool count_labels(const actc_op *op, uint32_t index, const int32_t *labels, int64_t elements, int64_t *counted, char *why,
                         size_t why_size)
{
    int64_t classes = op->inputs[0]->shape.dims[1];
    (void)index;
    *counted = 0;
    for (int64_t i = 0; i < elements; i++) {
        if (labels[i] < -1 || labels[i] >= classes) {
            snprintf(why, why_size, "label %d of sample %lld: must be 0 to %lld, or -1 to ignore the sample", labels[i], (long long)i,
                     (long long)classes - 1);
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

static void rows_cols(const actc_lower *lower, const actc_tensor *tensor, uint32_t *rows, uint32_t *cols)
{
    *rows = (uint32_t)lower->shapes[tensor->id].dims[0];
    *cols = (uint32_t)lower->shapes[tensor->id].dims[1];
}

/* ---- log_softmax ---- */

static void log_softmax_needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    if (gradients->input[0])
        need(user, op, op->output, ACTC_NEED_PROBABILITY);
}

static uint32_t softmax_groups(uint32_t rows, uint32_t cols)
{
    return cols <= ACTC_SOFTMAX_SERIAL ? actc_groups(rows) : rows;
}

static void emit_log_softmax(actc_lower *lower, const actc_op *op, actc_view y)
{
    struct actc_params_softmax_fwd params = {.log = 1};
    rows_cols(lower, op->inputs[0], &params.rows, &params.cols);
    ACTC_EMIT(lower, softmax_fwd, softmax_groups(params.rows, params.cols), &params, actc_lower_input(lower, op, 0), y);
}

static void log_softmax_forward(actc_lower *lower, const actc_op *op)
{
    emit_log_softmax(lower, op, actc_lower_output(lower, op));
}

static void log_softmax_backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    struct actc_params_softmax_bwd params = {.log = 1};
    rows_cols(lower, op->inputs[0], &params.rows, &params.cols);
    actc_view y = actc_lower_restore_all(lower, op->output), dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT(lower, softmax_bwd, softmax_groups(params.rows, params.cols), &params, actc_lower_output_gradient(lower, op), y, dx);
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

/* Losses of the rows, then their mean (training) or sum (evaluation) into the result block. */
static void emit_nll(actc_lower *lower, const actc_op *op, actc_view log_p)
{
    struct actc_params_nll_loss_fwd params = {0};
    rows_cols(lower, op->inputs[0], &params.rows, &params.cols);
    actc_view rows = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, (uint64_t)params.rows * 4, op->path);
    ACTC_EMIT(lower, nll_loss_fwd, actc_groups(params.rows), &params, log_p, labels_of(lower, op),
              actc_lower_step_block(lower), rows);
    struct actc_params_loss_reduce reduce = {.rows = params.rows, .mean = lower->training};
    ACTC_EMIT(lower, loss_reduce, 1, &reduce, rows, actc_lower_step_block(lower), actc_lower_result_block(lower));
}

static void nll_forward(actc_lower *lower, const actc_op *op)
{
    emit_nll(lower, op, actc_lower_input(lower, op, 0));
}

static void nll_backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    struct actc_params_nll_loss_bwd params = {0};
    rows_cols(lower, op->inputs[0], &params.rows, &params.cols);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT(lower, nll_loss_bwd, actc_element_groups((uint64_t)params.rows * params.cols), &params, labels_of(lower, op),
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
    struct actc_params_cross_entropy_bwd params = {0};
    rows_cols(lower, op->inputs[0], &params.rows, &params.cols);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT(lower, cross_entropy_bwd, actc_element_groups((uint64_t)params.rows * params.cols), &params,
              actc_lower_kept(lower, op, 0), labels_of(lower, op), actc_lower_step_block(lower), dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_cross_entropy_def = {.kind = "loss", .role = ACTC_OP_LOSS, .infer = loss_infer,
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
    struct actc_params_count_correct params = {0};
    rows_cols(lower, op->inputs[0], &params.rows, &params.cols);
    ACTC_EMIT(lower, count_correct, 1, &params, actc_lower_input(lower, op, 0), labels_of(lower, op), actc_lower_step_block(lower),
              actc_lower_result_block(lower));
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
