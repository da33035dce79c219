/* step.c: running a training step, an evaluation and an inference. */
#include <math.h>
#include <string.h>

#include "network.h"

static void put_f32(uint32_t *block, int word, double value)
{
    float f = (float)value;
    memcpy(&block[word], &f, sizeof f);
}

/* ---- what a batch is given ---- */

static const actc_binding *find_binding(const actc_binding *bindings, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (bindings[i].name && !strcmp(bindings[i].name, name))
            return &bindings[i];
    return NULL;
}

/* Every name is an input's, once, with data; every input that the program reads is there. */
static actc_status check_bindings(const actc_network *network, uint32_t program, const actc_binding *bindings, size_t count)
{
    const actc_graph *graph = network->graph;
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t k = 0; k < graph->n_inputs && bindings[i].name; k++)
            known |= !strcmp(graph->inputs[k]->name, bindings[i].name);
        if (!known || !bindings[i].data || find_binding(bindings, count, bindings[i].name) != &bindings[i])
            return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "%s: input '%s' %s", graph->name,
                             bindings[i].name ? bindings[i].name : "(null)",
                             !known ? "is none of the network's" : !bindings[i].data ? "has no data" : "is given twice");
    }
    for (size_t i = 0; i < graph->n_inputs; i++)
        if (network->build->entries[program][i].vbuf != ACTC_NO_BUFFER && !find_binding(bindings, count, graph->inputs[i]->name))
            return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "%s: input '%s' is not given", graph->name,
                             graph->inputs[i]->name);
    return ACTC_OK;
}

static actc_status upload_bindings(actc_network *network, uint32_t program, const actc_binding *bindings, size_t count, int64_t samples)
{
    for (size_t i = 0; i < network->graph->n_inputs; i++) {
        const actc_entry *entry = &network->build->entries[program][i];
        if (entry->vbuf == ACTC_NO_BUFFER)
            continue;
        uint64_t sample = (uint64_t)actc_shape_elements(&entry->tensor->shape) * actc_dtype_bytes(entry->tensor->dtype);
        ACTC_RETURN_IF_ERROR(actc_network_upload(network, entry->vbuf, 0, find_binding(bindings, count, entry->tensor->name)->data,
                                                 (uint64_t)samples * sample));
    }
    return ACTC_OK;
}

/* What loss or metric `op` counts of these samples: the elements of its last input, its targets, that take part. */
static actc_status count_targets(const actc_network *network, const actc_op *op, const actc_binding *bindings, size_t count,
                                 int64_t samples, int64_t *counted)
{
    uint32_t index = op->n_inputs - 1;
    const actc_tensor *target = op->inputs[index];
    int64_t elements = samples * actc_shape_elements(&target->shape);
    char why[256];
    *counted = elements;
    if (!op->def->count || target->producer)
        return ACTC_OK;
    if (!op->def->count(op, index, find_binding(bindings, count, target->name)->data, elements, counted, why, sizeof why))
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "%s", why);
    return ACTC_OK;
}

/* Counts for every loss and, in evaluation, every metric; fills their words of the step block. */
static actc_status fill_norms(actc_network *network, uint32_t program, const actc_binding *bindings, size_t count, int64_t samples,
                              uint32_t *block)
{
    const actc_graph *graph = network->graph;
    memset(network->counted, 0, sizeof network->counted);
    for (size_t i = 0; i < graph->n_losses + graph->n_metrics; i++) {
        const actc_op *op = (i < graph->n_losses ? graph->losses[i].tensor : graph->metrics[i - graph->n_losses])->producer;
        if (!network->build->live[program][op->id])
            continue;
        ACTC_RETURN_IF_ERROR(count_targets(network, op, bindings, count, samples, &network->counted[i]));
        put_f32(block, ACTC_STEP_NORM + (int)i, 1.0 / (double)network->counted[i]);
    }
    return ACTC_OK;
}

/* batches: how many the update takes the mean of. */
static void fill_step_block(const actc_network *network, int64_t rows, int batches, double learning_rate, uint32_t *block)
{
    const actc_optimizer_options *o = &network->options.optimizer;
    memset(block, 0, ACTC_STEP_BLOCK_BYTES);
    block[ACTC_STEP_SEED_LO] = (uint32_t)network->options.seed;
    block[ACTC_STEP_SEED_HI] = (uint32_t)(network->options.seed >> 32);
    block[ACTC_STEP_STEP_LO] = (uint32_t)network->step;
    block[ACTC_STEP_STEP_HI] = (uint32_t)(network->step >> 32);
    block[ACTC_STEP_ROWS] = (uint32_t)rows;
    block[ACTC_STEP_FIRST] = network->updates == 0;
    put_f32(block, ACTC_STEP_GRAD_SCALE, 1.0 / batches);
    double t = (double)network->updates + 1, rate = learning_rate, root = 1, shrink = 1;
    if (o->kind != ACTC_OPTIMIZER_SGD) {
        rate = learning_rate / (1 - pow(o->beta1, t));
        root = 1 / sqrt(1 - pow(o->beta2, t));
    }
    if (o->kind == ACTC_OPTIMIZER_ADAMW)
        shrink = 1 - learning_rate * o->weight_decay;
    put_f32(block, ACTC_STEP_STEP_SIZE, rate);
    put_f32(block, ACTC_STEP_ROOT, root);
    put_f32(block, ACTC_STEP_SHRINK, shrink);
}

/* Says what word ACTC_RESULT_BAD points at. */
static actc_status not_finite(actc_network *network, uint32_t bad, float loss)
{
    const actc_build *build = network->build;
    if (bad == 1)
        return actc_fail(network->context, ACTC_ERROR_NOT_FINITE,
                         "step %llu: the loss is %g; parameters are as before the step", (unsigned long long)network->step + 1, loss);
    uint64_t offset = (uint64_t)(bad - 2) * 4;
    const char *name = "?";
    uint64_t element = 0;
    for (size_t i = 0; i < network->graph->n_parameters; i++) {
        const actc_parameter_place *p = &build->places[i];
        if (p->trained && offset >= p->offset && offset < p->offset + p->elements * 4) {
            name = network->graph->parameters[i]->name;
            element = (offset - p->offset) / 4;
        }
    }
    return actc_fail(network->context, ACTC_ERROR_NOT_FINITE,
                     "step %llu: the gradient of %s is not finite (first at element %llu); parameters are as before the step",
                     (unsigned long long)network->step + 1, name, (unsigned long long)element);
}

static actc_status check_rate(const actc_network *network, double learning_rate)
{
    if (!(learning_rate >= 0 && learning_rate <= ACTC_MAX_REAL))
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "learning rate is %g, must be 0 to %g", learning_rate,
                         ACTC_MAX_REAL);
    return ACTC_OK;
}

/* Checks and uploads a batch, and runs the program on it. */
static actc_status run_batch(actc_network *network, uint32_t program, const actc_binding *bindings, size_t count, int64_t samples,
                             double learning_rate)
{
    uint32_t block[ACTC_STEP_BLOCK_BYTES / 4];
    if (count && !bindings)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "%s: bindings is NULL", network->graph->name);
    ACTC_RETURN_IF_ERROR(check_bindings(network, program, bindings, count));
    fill_step_block(network, samples, network->options.accumulate, learning_rate, block);
    ACTC_RETURN_IF_ERROR(fill_norms(network, program, bindings, count, samples, block));
    ACTC_RETURN_IF_ERROR(upload_bindings(network, program, bindings, count, samples));
    ACTC_RETURN_IF_ERROR(actc_network_upload(network, network->build->v_step, 0, block, sizeof block));
    network->last = program;
    network->samples = samples;
    ACTC_RETURN_IF_ERROR(program == ACTC_PROGRAM_TRAIN ? actc_network_run_training(network) : actc_network_run(network, program));
    return ACTC_OK;
}

/* ---- training ---- */

actc_status actc_network_train(actc_network *network, const actc_binding *bindings, size_t count, double learning_rate,
                               actc_step_result *result)
{
    ACTC_OWN_MODES;
    actc_context *context = network->context;
    if (!network->executables[ACTC_PROGRAM_TRAIN])
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "the network was not prepared for training: train_batch is 0");
    ACTC_RETURN_IF_ERROR(actc_check_size(context, "actc_step_result", result ? result->size : sizeof *result, sizeof *result));
    ACTC_RETURN_IF_ERROR(check_rate(network, learning_rate));
    ACTC_RETURN_IF_ERROR(run_batch(network, ACTC_PROGRAM_TRAIN, bindings, count, network->options.train_batch, learning_rate));
    bool last = network->pending + 1 == network->options.accumulate;
    bool has_update = network->executables[ACTC_PROGRAM_UPDATE] != NULL;
    if (last && has_update) /* leaves everything alone where the result block says that something is not finite */
        ACTC_RETURN_IF_ERROR(actc_network_run(network, ACTC_PROGRAM_UPDATE));
    uint32_t *out = network->result;
    ACTC_RETURN_IF_ERROR(actc_network_download(network, network->build->v_result, 0, out, sizeof network->result));
    float loss;
    memcpy(&loss, &out[ACTC_RESULT_LOSS], sizeof loss);
    if (out[ACTC_RESULT_BAD]) {
        if (!last && has_update) /* drops the gradients accumulated so far; the update itself does nothing */
            ACTC_RETURN_IF_ERROR(actc_network_run(network, ACTC_PROGRAM_UPDATE));
        actc_status status = not_finite(network, out[ACTC_RESULT_BAD], loss);
        network->step -= (uint64_t)network->pending;
        network->pending = 0;
        return status;
    }
    network->step++;
    network->pending = last ? 0 : network->pending + 1;
    network->updates += last;
    if (!result)
        return ACTC_OK;
    const actc_step_result full = {.size = sizeof full, .loss = loss, .updated = last, .step = network->step};
    return actc_give_info(context, "actc_step_result", result, sizeof full, &full);
}

actc_status actc_network_apply_pending(actc_network *network, double learning_rate)
{
    ACTC_OWN_MODES;
    uint32_t block[ACTC_STEP_BLOCK_BYTES / 4];
    static const uint32_t all_finite[ACTC_RESULT_BLOCK_BYTES / 4];
    ACTC_RETURN_IF_ERROR(check_rate(network, learning_rate));
    if (!network->pending)
        return ACTC_OK;
    if (network->executables[ACTC_PROGRAM_UPDATE]) {
        fill_step_block(network, 0, network->pending, learning_rate, block);
        ACTC_RETURN_IF_ERROR(actc_network_upload(network, network->build->v_step, 0, block, sizeof block));
        /* what is pending was checked batch by batch; the block may hold an evaluation's result, or nothing yet */
        ACTC_RETURN_IF_ERROR(actc_network_upload(network, network->build->v_result, 0, all_finite, sizeof all_finite));
        ACTC_RETURN_IF_ERROR(actc_network_run(network, ACTC_PROGRAM_UPDATE));
    }
    network->pending = 0;
    network->updates++;
    return ACTC_OK;
}

/* ---- evaluation and inference ---- */

static actc_status check_samples(const actc_network *network, uint32_t program, int64_t samples)
{
    bool evaluating = program == ACTC_PROGRAM_EVAL;
    int64_t most = evaluating ? network->options.eval_batch : network->options.infer_batch;
    if (!network->executables[program])
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "the network was not prepared for %s: %s is 0",
                         evaluating ? "evaluation" : "inference", evaluating ? "eval_batch" : "infer_batch");
    if (samples < 1 || samples > most)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "%s %lld samples, must be 1 to %s %lld",
                         evaluating ? "evaluating" : "inferring from", (long long)samples, evaluating ? "eval_batch" : "infer_batch",
                         (long long)most);
    for (size_t i = 0; i < network->graph->n_ops && samples < most; i++) {
        const actc_op *op = network->graph->ops[i];
        if (network->build->live[program][op->id] && op->def->mixes_samples && op->def->mixes_samples(op))
            return actc_fail(network->context, ACTC_ERROR_UNSUPPORTED, "%s (%s): takes statistics of the whole batch; %s %lld "
                             "samples, must be %s %lld", op->path, op->def->kind, evaluating ? "evaluating" : "inferring from",
                             (long long)samples, evaluating ? "eval_batch" : "infer_batch", (long long)most);
    }
    return ACTC_OK;
}

actc_status actc_network_evaluate_batch(actc_network *network, const actc_binding *bindings, size_t count, int64_t samples)
{
    ACTC_OWN_MODES;
    ACTC_RETURN_IF_ERROR(check_samples(network, ACTC_PROGRAM_EVAL, samples));
    ACTC_RETURN_IF_ERROR(run_batch(network, ACTC_PROGRAM_EVAL, bindings, count, samples, 0));
    return actc_network_download(network, network->build->v_result, 0, network->result, sizeof network->result);
}

actc_status actc_network_infer(actc_network *network, const actc_binding *bindings, size_t count, int64_t samples)
{
    ACTC_OWN_MODES;
    ACTC_RETURN_IF_ERROR(check_samples(network, ACTC_PROGRAM_INFER, samples));
    return run_batch(network, ACTC_PROGRAM_INFER, bindings, count, samples, 0);
}

size_t actc_network_value_count(const actc_network *network)
{
    return network->graph->n_losses + network->graph->n_metrics;
}

actc_status actc_network_value(const actc_network *network, size_t index, actc_value *value)
{
    ACTC_OWN_MODES;
    const actc_graph *graph = network->graph;
    if (!value || index >= actc_network_value_count(network))
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "value %zu: there are %zu losses and metrics", index,
                         actc_network_value_count(network));
    const actc_tensor *tensor = index < graph->n_losses ? graph->losses[index].tensor : graph->metrics[index - graph->n_losses];
    uint32_t word = network->result[ACTC_RESULT_VALUES + index];
    float number;
    memcpy(&number, &word, sizeof number);
    actc_value full = {.name = tensor->name, .count = network->counted[index],
                       .value = tensor->producer->def->role == ACTC_OP_METRIC ? (double)word : (double)number};
    return actc_give_info(network->context, "actc_value", value, sizeof *value, &full);
}

actc_status actc_network_read_output(actc_network *network, size_t index, float *values)
{
    ACTC_OWN_MODES;
    const actc_graph *graph = network->graph;
    if (index >= graph->n_outputs || !values)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "output %zu: there are %zu (actc_graph_add_output)", index,
                         graph->n_outputs);
    if (network->last != ACTC_PROGRAM_EVAL && network->last != ACTC_PROGRAM_INFER)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "output %s: can be read after an evaluation or an inference",
                         graph->outputs[index]->name);
    actc_view view = network->build->outputs[network->last][index];
    actc_shape shape = network->build->shapes[network->last][graph->outputs[index]->id];
    if (shape.dims[0] > network->samples) /* what is made of parameters has a batch of 1 */
        shape.dims[0] = network->samples;
    uint64_t bytes = (uint64_t)actc_shape_elements(&shape) * 4;
    float *stored = actc_malloc((size_t)bytes);
    if (!stored)
        return actc_out_of_memory(network->context, bytes, "an output");
    actc_status status = actc_network_download(network, view.buffer, view.offset, stored, bytes);
    if (status == ACTC_OK)
        actc_relayout_tensor(&shape, stored, values);
    actc_free(stored);
    return status;
}

/* ---- the short forms for classifiers ---- */

/* The first f32 input and the first i32 one, which must be all that there are. */
static actc_status bind_classifier(const actc_network *network, const float *inputs, const int32_t *labels, const char *call,
                                   actc_binding bindings[2])
{
    const actc_graph *graph = network->graph;
    const actc_tensor *x = actc_graph_input_of(graph, ACTC_F32), *y = actc_graph_input_of(graph, ACTC_I32);
    if (!inputs || !labels)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "%s: inputs or labels is NULL", call);
    if (!x || !y || graph->n_inputs != 2)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "%s: is for networks with one f32 and one i32 input; %s has "
                         "%zu (give them by name)", call, graph->name, graph->n_inputs);
    bindings[0] = (actc_binding){x->name, inputs};
    bindings[1] = (actc_binding){y->name, labels};
    return ACTC_OK;
}

actc_status actc_network_train_step(actc_network *network, const float *inputs, const int32_t *labels, double learning_rate,
                                    actc_step_result *result)
{
    ACTC_OWN_MODES;
    actc_binding bindings[2];
    ACTC_RETURN_IF_ERROR(bind_classifier(network, inputs, labels, "actc_network_train_step", bindings));
    return actc_network_train(network, bindings, 2, learning_rate, result);
}

actc_status actc_network_evaluate(actc_network *network, const float *inputs, const int32_t *labels, int64_t count,
                                  double *loss_sum, int64_t *correct)
{
    ACTC_OWN_MODES;
    actc_binding bindings[2];
    const actc_graph *graph = network->graph;
    if (!loss_sum || !correct)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "actc_network_evaluate: a pointer is NULL");
    ACTC_RETURN_IF_ERROR(bind_classifier(network, inputs, labels, "actc_network_evaluate", bindings));
    if (!graph->n_losses || !graph->n_metrics)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "actc_network_evaluate: %s has no %s", graph->name,
                         graph->n_losses ? "metric" : "loss");
    ACTC_RETURN_IF_ERROR(actc_network_evaluate_batch(network, bindings, 2, count));
    float loss;
    memcpy(&loss, &network->result[ACTC_RESULT_LOSS], sizeof loss);
    *loss_sum += loss;
    *correct += network->result[ACTC_RESULT_VALUES + graph->n_losses];
    return ACTC_OK;
}

/* ---- counters ---- */

uint64_t actc_network_step(const actc_network *network)
{
    return network->step;
}

uint64_t actc_network_updates(const actc_network *network)
{
    return network->updates;
}

int actc_network_pending(const actc_network *network)
{
    return network->pending;
}

actc_status actc_network_set_step(actc_network *network, uint64_t step, uint64_t updates, int pending)
{
    ACTC_OWN_MODES;
    if (pending < 0 || pending >= network->options.accumulate)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT,
                         "%d pending batches: must be 0 to %d, `accumulate` being %d", pending, network->options.accumulate - 1,
                         network->options.accumulate);
    if (updates > step || (uint64_t)pending > step - updates)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT,
                         "step %llu with %llu updates and %d pending batches: every update and every pending batch is a step",
                         (unsigned long long)step, (unsigned long long)updates, pending);
    network->step = step;
    network->updates = updates;
    network->pending = pending;
    return ACTC_OK;
}
