/* step.c: a network on a device, its batches, and what it carries from the forward to the backward pass. */
#include "step.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "values.h"

#define LEARNING_RATE 1e-3

bool step_say(char *message, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(message, STEP_MESSAGE, format, args);
    va_end(args);
    return false;
}

/* ---- batches ---- */

static step_outcome copy_batches(actc_loader *loader, step_batches *out, actc_context *context, char *message)
{
    for (int i = 0; i < out->count; i++) {
        actc_batch batch = {.size = sizeof batch};
        if (actc_loader_next(loader, &batch) != ACTC_OK) {
            step_say(message, "batch %d: %s", i, actc_error_message(context));
            return STEP_BAD;
        }
        memcpy(out->x + (size_t)i * out->inputs, batch.inputs, out->inputs * sizeof *out->x);
        memcpy(out->y + (size_t)i * out->labels, batch.labels, out->labels * sizeof *out->y);
    }
    return STEP_GOOD;
}

/* What the network's inputs hold a batch: samples, and targets, which are classes or f32. */
static bool input_elements(actc_context *context, const step_setup *setup, step_batches *out, char *message)
{
    actc_graph *graph;
    if (actc_graph_create(context, setup->model->name, &graph) != ACTC_OK)
        return step_say(message, "%s", actc_error_message(context));
    setup->model->build(graph, setup->config);
    bool good = actc_graph_status(graph) == ACTC_OK || step_say(message, "%s", actc_error_message(context));
    for (size_t i = 0; i < actc_graph_input_count(graph) && good; i++) {
        actc_input_info info = {.size = sizeof info};
        good = actc_graph_input_info(graph, i, &info) == ACTC_OK;
        const bool is_target = strcmp(info.name, "label") == 0;
        *(is_target ? &out->labels : &out->inputs) = (size_t)(setup->batch * actc_shape_elements(&info.shape));
        out->no_classes |= is_target && info.dtype == ACTC_F32;
    }
    actc_graph_destroy(&graph);
    return good;
}

static step_outcome generate(actc_context *context, const step_setup *setup, step_batches *out, char *message)
{
    if (!input_elements(context, setup, out, message))
        return STEP_BAD;
    test_rng r = {setup->seed};
    out->x = malloc((size_t)out->count * out->inputs * sizeof *out->x);
    out->y = malloc((size_t)out->count * out->labels * sizeof *out->y);
    if (!out->x || !out->y) {
        step_say(message, "no memory for %d batches", out->count);
        step_batches_free(out);
        return STEP_BAD;
    }
    for (size_t i = 0; i < (size_t)out->count * out->inputs; i++)
        out->x[i] = rng_normal(&r);
    for (size_t i = 0; i < (size_t)out->count * out->labels; i++) {
        if (out->no_classes)
            ((float *)(void *)out->y)[i] = rng_normal(&r);
        else
            out->y[i] = (int32_t)(rng_next(&r) % (uint64_t)setup->config->classes);
    }
    return STEP_GOOD;
}

step_outcome step_batches_read(actc_context *context, const step_setup *setup, step_batches *out, char *message)
{
    actc_dataset *dataset = NULL;
    actc_loader *loader = NULL;
    step_outcome outcome = STEP_BAD;
    *out = (step_batches){.count = setup->steps, .labels = (size_t)setup->batch};
    if (setup->config)
        return generate(context, setup, out, message);
    actc_status status = actc_dataset_open(context, setup->model->dataset, setup->data, true, &dataset);
    if (status != ACTC_OK) {
        step_say(message, "%s", actc_error_message(context));
        return status == ACTC_ERROR_NOT_FOUND ? STEP_SKIPPED : STEP_BAD;
    }
    actc_shape sample = actc_dataset_sample_shape(dataset);
    out->inputs = out->labels;
    for (int i = 0; i < sample.ndim; i++)
        out->inputs *= (size_t)sample.dims[i];
    out->x = malloc((size_t)out->count * out->inputs * sizeof *out->x);
    out->y = malloc((size_t)out->count * out->labels * sizeof *out->y);
    actc_loader_options options = actc_loader_options_default();
    options.batch = setup->batch;
    options.shuffle = options.drop_last = true;
    options.seed = setup->seed;
    options.mean = setup->model->mean;
    options.std = setup->model->std;
    if (!out->x || !out->y)
        step_say(message, "no memory for %d batches", out->count);
    else if (actc_loader_create(context, dataset, &options, &loader) != ACTC_OK)
        step_say(message, "%s", actc_error_message(context));
    else
        outcome = copy_batches(loader, out, context, message);
    actc_loader_destroy(&loader);
    actc_dataset_destroy(&dataset);
    if (outcome != STEP_GOOD)
        step_batches_free(out);
    return outcome;
}

void step_batches_free(step_batches *batches)
{
    free(batches->x);
    free(batches->y);
    *batches = (step_batches){0};
}

/* ---- a network on a device ---- */

bool step_open(step_side *side, actc_device *device, const step_setup *setup, bool capture, char *message)
{
    actc_context *context = device->context;
    *side = (step_side){0};
    actc_network_options options = actc_network_options_default();
    options.train_batch = setup->batch;
    options.compress = setup->rules;
    options.seed = setup->seed;
    options.capture = capture;
    actc_status status = actc_graph_create(context, setup->model->name, &side->graph);
    if (status == ACTC_OK) {
        if (setup->config)
            setup->model->build(side->graph, setup->config);
        else
            actc_model_build(setup->model, side->graph);
        status = actc_graph_status(side->graph);
    }
    if (status == ACTC_OK)
        status = actc_network_create(device, side->graph, &options, &side->network);
    if (status == ACTC_OK)
        status = actc_network_initialize(side->network);
    if (status == ACTC_OK)
        return true;
    step_say(message, "%s on %s: %s", setup->model->name, device->info.spec, actc_error_message(context));
    step_close(side);
    return false;
}

void step_close(step_side *side)
{
    actc_network_destroy(&side->network);
    actc_graph_destroy(&side->graph);
}

bool step_train(const step_side *side, const step_batches *batches, int step, float *loss, char *message)
{
    actc_step_result result = {.size = sizeof result};
    actc_network *network = side->network;
    const float *x = batches->x + (size_t)step * batches->inputs;
    const actc_binding bindings[] = {{"input", x}, {"label", batches->y + (size_t)step * batches->labels}};
    if (actc_network_train(network, bindings, 2, LEARNING_RATE, &result) != ACTC_OK)
        return step_say(message, "step %d on %s: %s", step + 1, network->device->info.spec,
                        actc_error_message(network->context));
    *loss = result.loss;
    return true;
}

bool step_read_state(const step_side *side, size_t index, float **values, size_t *n, char *name, size_t name_size,
                     char *message)
{
    actc_network *network = side->network;
    actc_state_info info = {.size = sizeof info};
    *n = 1;
    *values = NULL;
    if (actc_network_state_info(network, index, &info) != ACTC_OK)
        return step_say(message, "state %zu: %s", index, actc_error_message(network->context));
    for (int d = 0; d < info.shape.ndim; d++)
        *n *= (size_t)info.shape.dims[d];
    snprintf(name, name_size, "%s", info.name);
    *values = malloc(*n * sizeof **values);
    if (!*values)
        return step_say(message, "no memory for %s", info.name);
    if (actc_network_read_state(network, index, *values) != ACTC_OK)
        return step_say(message, "%s: %s", info.name, actc_error_message(network->context));
    return true;
}

/* ---- what is carried over ---- */

bool step_carried_open(step_carried *carried, const actc_network *network, char *message)
{
    *carried = (step_carried){.count = actc_network_carried(network, NULL, 0)};
    carried->list = calloc(carried->count, sizeof *carried->list);
    carried->bytes = calloc(carried->count, sizeof *carried->bytes);
    bool good = carried->list && carried->bytes;
    if (good)
        actc_network_carried(network, carried->list, carried->count);
    for (size_t i = 0; i < carried->count && good; i++) {
        carried->bytes[i] = malloc((size_t)carried->list[i].bytes);
        good = carried->bytes[i] != NULL;
    }
    if (good)
        return true;
    step_say(message, "no memory for what %s carries over", actc_network_name(network));
    step_carried_close(carried);
    return false;
}

void step_carried_close(step_carried *carried)
{
    for (size_t i = 0; i < carried->count && carried->bytes; i++)
        free(carried->bytes[i]);
    free(carried->list);
    free(carried->bytes);
    *carried = (step_carried){0};
}

actc_status step_carried_download(void *user, actc_network *network)
{
    step_carried *carried = user;
    actc_status status = ACTC_OK;
    for (size_t i = 0; i < carried->count && status == ACTC_OK; i++) {
        const actc_carried *c = &carried->list[i];
        status = actc_network_download(network, c->vbuf, c->offset, carried->bytes[i], c->bytes);
    }
    return status;
}
