/* step.c: running a training step and an evaluation. */
#include <math.h>
#include <string.h>

#include "network.h"

static void put_f32(uint32_t *block, int word, double value)
{
    float f = (float)value;
    memcpy(&block[word], &f, sizeof f);
}

/* Classes: the columns of the loss's first input. */
static actc_status check_labels(const actc_network *network, const int32_t *labels, int64_t count, int64_t *counted)
{
    const actc_tensor *scores = network->graph->loss->producer->inputs[0];
    int64_t classes = scores->shape.dims[1];
    *counted = 0;
    for (int64_t i = 0; i < count; i++) {
        if (labels[i] < -1 || labels[i] >= classes)
            return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT,
                             "label %d of sample %lld: must be 0 to %lld, or -1 to ignore the sample", labels[i], (long long)i,
                             (long long)classes - 1);
        *counted += labels[i] >= 0;
    }
    return *counted ? ACTC_OK
                    : actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "every label of the batch is -1: there is no loss");
}

/* N,C,H,W -> N,H,W,C. */
static const float *channels_last(actc_network *network, const float *inputs, int64_t count)
{
    if (!network->staging)
        return inputs;
    const actc_shape *shape = &network->graph->input->shape;
    int64_t channels = shape->dims[1], pixels = actc_shape_elements(shape) / channels;
    for (int64_t n = 0; n < count; n++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t p = 0; p < pixels; p++)
                network->staging[(n * pixels + p) * channels + c] = inputs[(n * channels + c) * pixels + p];
    return network->staging;
}

static actc_status upload_batch(actc_network *network, uint32_t program, const float *inputs, const int32_t *labels,
                                int64_t count, const uint32_t *block)
{
    const actc_build *build = network->build;
    uint64_t sample = (uint64_t)actc_shape_elements(&network->graph->input->shape);
    ACTC_RETURN_IF_ERROR(actc_network_upload(network, build->v_input[program], 0, channels_last(network, inputs, count),
                                             (uint64_t)count * sample * 4));
    ACTC_RETURN_IF_ERROR(actc_network_upload(network, build->v_labels[program], 0, labels, (uint64_t)count * 4));
    return actc_network_upload(network, build->v_step, 0, block, ACTC_STEP_BLOCK_BYTES);
}

static void fill_step_block(const actc_network *network, int64_t rows, int64_t counted, double learning_rate, uint32_t *block)
{
    const actc_optimizer_options *o = &network->options.optimizer;
    memset(block, 0, ACTC_STEP_BLOCK_BYTES);
    block[ACTC_STEP_SEED_LO] = (uint32_t)network->options.seed;
    block[ACTC_STEP_SEED_HI] = (uint32_t)(network->options.seed >> 32);
    block[ACTC_STEP_STEP_LO] = (uint32_t)network->step;
    block[ACTC_STEP_STEP_HI] = (uint32_t)(network->step >> 32);
    block[ACTC_STEP_ROWS] = (uint32_t)rows;
    block[ACTC_STEP_FIRST] = network->updates == 0;
    put_f32(block, ACTC_STEP_INV_ROWS, 1.0 / (double)counted);
    put_f32(block, ACTC_STEP_GRAD_SCALE, 1.0 / network->options.accumulate);
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

static actc_status run(actc_network *network, uint32_t program)
{
    return network->device->backend->run(network->device, network->executables[program]);
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

actc_status actc_network_train_step(actc_network *network, const float *inputs, const int32_t *labels, double learning_rate,
                                    actc_step_result *result)
{
    ACTC_OWN_MODES;
    actc_context *context = network->context;
    if (!network->executables[ACTC_PROGRAM_TRAIN])
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "the network was not prepared for training: train_batch is 0");
    if (!inputs || !labels)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "actc_network_train_step: inputs or labels is NULL");
    if (result && result->size != sizeof *result)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "actc_step_result.size must be sizeof(actc_step_result)");
    if (!(learning_rate >= 0 && learning_rate <= ACTC_MAX_REAL))
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "learning rate is %g, must be 0 to %g", learning_rate, ACTC_MAX_REAL);
    int64_t batch = network->options.train_batch, counted;
    uint32_t block[ACTC_STEP_BLOCK_BYTES / 4], out[ACTC_RESULT_BLOCK_BYTES / 4];
    ACTC_RETURN_IF_ERROR(check_labels(network, labels, batch, &counted));
    fill_step_block(network, batch, counted, learning_rate, block);
    ACTC_RETURN_IF_ERROR(upload_batch(network, ACTC_PROGRAM_TRAIN, inputs, labels, batch, block));
    ACTC_RETURN_IF_ERROR(actc_network_run_training(network));
    bool last = network->pending + 1 == network->options.accumulate;
    bool has_update = network->executables[ACTC_PROGRAM_UPDATE] != NULL;
    if (last && has_update) /* leaves everything alone where the result block says that something is not finite */
        ACTC_RETURN_IF_ERROR(run(network, ACTC_PROGRAM_UPDATE));
    ACTC_RETURN_IF_ERROR(actc_network_download(network, network->build->v_result, 0, out, sizeof out));
    float loss;
    memcpy(&loss, &out[ACTC_RESULT_LOSS], sizeof loss);
    if (out[ACTC_RESULT_BAD]) {
        if (!last && has_update) /* drops the gradients accumulated so far; the update itself does nothing */
            ACTC_RETURN_IF_ERROR(run(network, ACTC_PROGRAM_UPDATE));
        actc_status status = not_finite(network, out[ACTC_RESULT_BAD], loss);
        network->step -= (uint64_t)network->pending;
        network->pending = 0;
        return status;
    }
    network->step++;
    network->pending = last ? 0 : network->pending + 1;
    network->updates += last;
    if (result) {
        result->loss = loss;
        result->updated = last;
        result->step = network->step;
    }
    return ACTC_OK;
}

actc_status actc_network_evaluate(actc_network *network, const float *inputs, const int32_t *labels, int64_t count,
                                  double *loss_sum, int64_t *correct)
{
    ACTC_OWN_MODES;
    actc_context *context = network->context;
    if (!network->executables[ACTC_PROGRAM_EVAL])
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "the network was not prepared for evaluation: eval_batch is 0");
    if (!inputs || !labels || !loss_sum || !correct)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "actc_network_evaluate: a pointer is NULL");
    if (count < 1 || count > network->options.eval_batch)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "evaluating %lld samples, must be 1 to eval_batch %lld",
                         (long long)count, (long long)network->options.eval_batch);
    int64_t counted;
    uint32_t block[ACTC_STEP_BLOCK_BYTES / 4], out[ACTC_RESULT_BLOCK_BYTES / 4];
    ACTC_RETURN_IF_ERROR(check_labels(network, labels, count, &counted));
    fill_step_block(network, count, counted, 0, block);
    ACTC_RETURN_IF_ERROR(upload_batch(network, ACTC_PROGRAM_EVAL, inputs, labels, count, block));
    ACTC_RETURN_IF_ERROR(run(network, ACTC_PROGRAM_EVAL));
    ACTC_RETURN_IF_ERROR(actc_network_download(network, network->build->v_result, 0, out, sizeof out));
    float loss;
    memcpy(&loss, &out[ACTC_RESULT_LOSS], sizeof loss);
    *loss_sum += loss;
    *correct += out[ACTC_RESULT_CORRECT];
    return ACTC_OK;
}

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

actc_status actc_network_set_step(actc_network *network, uint64_t step, uint64_t updates)
{
    ACTC_OWN_MODES;
    if (updates > step)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "step %llu with %llu updates: more updates than steps",
                         (unsigned long long)step, (unsigned long long)updates);
    network->step = step;
    network->updates = updates;
    network->pending = (int)(step % (uint64_t)network->options.accumulate);
    return ACTC_OK;
}
