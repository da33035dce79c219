/* network.c: preparing a network on a device, and taking it down. */
#include "network.h"

#include <string.h>

#include "device.h"
#include "network_state.h"

actc_optimizer_options actc_optimizer_options_default(actc_optimizer_kind kind)
{
    return (actc_optimizer_options){.size = sizeof(actc_optimizer_options), .kind = kind, .beta1 = 0.9, .beta2 = 0.999,
                                    .epsilon = 1e-8, .weight_decay = kind == ACTC_OPTIMIZER_ADAMW ? 0.01 : 0};
}

actc_network_options actc_network_options_default(void)
{
    return (actc_network_options){.size = sizeof(actc_network_options), .accumulate = 1,
                                  .optimizer = actc_optimizer_options_default(ACTC_OPTIMIZER_ADAM)};
}

static actc_status check_range(actc_context *context, const char *what, double value, bool good, const char *accepted)
{
    return good ? ACTC_OK : actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "%s is %g, must be %s", what, value, accepted);
}

static actc_status check_batch(actc_context *context, const char *what, int64_t batch)
{
    return check_range(context, what, (double)batch, batch >= 0 && batch <= INT32_MAX, "0 to 2^31 - 1");
}

static actc_status check_optimizer(actc_context *context, const actc_optimizer_options *o)
{
    if (o->kind != ACTC_OPTIMIZER_SGD && o->kind != ACTC_OPTIMIZER_ADAM && o->kind != ACTC_OPTIMIZER_ADAMW)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "optimizer kind is %d, must be SGD, ADAM or ADAMW", (int)o->kind);
    ACTC_RETURN_IF_ERROR(check_range(context, "momentum", o->momentum, o->momentum >= 0 && o->momentum < 1, "0 <= momentum < 1"));
    ACTC_RETURN_IF_ERROR(check_range(context, "weight decay", o->weight_decay,
                                     o->weight_decay >= 0 && o->weight_decay <= ACTC_MAX_REAL, "0 to 1e30"));
    if (o->kind == ACTC_OPTIMIZER_SGD)
        return ACTC_OK;
    ACTC_RETURN_IF_ERROR(check_range(context, "beta1", o->beta1, o->beta1 >= 0 && o->beta1 < 1, "0 <= beta < 1"));
    ACTC_RETURN_IF_ERROR(check_range(context, "beta2", o->beta2, o->beta2 >= 0 && o->beta2 < 1, "0 <= beta < 1"));
    /* the reciprocal in the update is good from 2^-100 on */
    return check_range(context, "epsilon", o->epsilon, o->epsilon >= 1e-30 && o->epsilon <= ACTC_MAX_REAL, "1e-30 to 1e30");
}

static actc_status check_options(actc_context *context, const actc_graph *graph, const actc_network_options *options)
{
    if (!options->train_batch && !options->eval_batch && !options->infer_batch)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "actc_network_create: train_batch, eval_batch and infer_batch are all 0");
    ACTC_RETURN_IF_ERROR(check_batch(context, "train_batch", options->train_batch));
    ACTC_RETURN_IF_ERROR(check_batch(context, "eval_batch", options->eval_batch));
    ACTC_RETURN_IF_ERROR(check_batch(context, "infer_batch", options->infer_batch));
    ACTC_RETURN_IF_ERROR(check_range(context, "accumulate", options->accumulate, options->accumulate >= 1, ">= 1"));
    ACTC_RETURN_IF_ERROR(check_optimizer(context, &options->optimizer));
    ACTC_RETURN_IF_ERROR(actc_graph_check(graph));
    if (!graph->n_inputs)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "network %s has no input", graph->name);
    if (options->train_batch && !graph->n_losses)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "network %s has no loss (actc_graph_set_loss) to train with",
                         graph->name);
    if (options->eval_batch && !graph->n_losses && !graph->n_metrics && !graph->n_outputs)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "network %s has no loss, metric or output to evaluate", graph->name);
    if (options->infer_batch && !graph->n_outputs)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "network %s has no output (actc_graph_add_output) to infer",
                         graph->name);
    return ACTC_OK;
}

static actc_status add_note(actc_network *network, char *text)
{
    if (!text || !actc_grow((void **)&network->notes, &network->notes_capacity, network->n_notes + 1, sizeof *network->notes)) {
        actc_free(text);
        return actc_out_of_memory(network->context, 128, "a note");
    }
    network->notes[network->n_notes++] = text;
    return ACTC_OK;
}

static bool compresses(const actc_build *build)
{
    for (size_t i = 0; i < build->n_kept; i++)
        if (build->kept[i].codec || (build->kept[i].saved && build->kept[i].saved->codec))
            return true;
    return false;
}

/* The plan that it runs by, and what one with everything dense would need. */
static actc_status build_best(actc_network *network)
{
    ACTC_RETURN_IF_ERROR(actc_build_best(network->device, network->graph, &network->options, &network->build));
    network->planned_bytes_uncompressed = network->build->planned_bytes;
    if (!compresses(network->build))
        return ACTC_OK;
    actc_build *dense;
    ACTC_RETURN_IF_ERROR(actc_build_create(network->device, network->graph, &network->options, false, NULL, &dense));
    network->planned_bytes_uncompressed = dense->planned_bytes;
    actc_build_destroy(&dense);
    return ACTC_OK;
}

static actc_status collect_notes(actc_network *network)
{
    const actc_policy *policy = &network->build->policy;
    for (size_t i = 0; i < policy->n_notes; i++)
        ACTC_RETURN_IF_ERROR(add_note(network, actc_strdup(policy->notes[i])));
    for (size_t i = 0; i < policy->n_saved; i++)
        if (*policy->saved[i].note)
            ACTC_RETURN_IF_ERROR(add_note(network, actc_format("%s: %s", policy->saved[i].tensor->name, policy->saved[i].note)));
    for (size_t i = 0; i < network->build->n_kept; i++)
        if (network->build->kept[i].idle)
            ACTC_RETURN_IF_ERROR(add_note(network, actc_format("%s: compressing it does not lower the planned peak (%s)",
                                                               network->build->kept[i].saved->tensor->name,
                                                               network->build->plan.peak_label)));
    uint64_t with = network->build->planned_bytes, without = network->planned_bytes_uncompressed;
    if (with > without)
        ACTC_RETURN_IF_ERROR(add_note(network, actc_format("compression raises the planned memory from %llu to %llu bytes: "
                                                           "packing and restoring need room where the plan peaks",
                                                           (unsigned long long)without, (unsigned long long)with)));
    return ACTC_OK;
}

static actc_status allocate(actc_network *network)
{
    actc_build *build = network->build;
    actc_device *device = network->device;
    uint64_t before = device->allocated_bytes;
    if (device->backend->reserve)
        ACTC_RETURN_IF_ERROR(device->backend->reserve(device, build->transfer_bytes));
    network->arenas = actc_calloc(build->plan.n_arenas, sizeof *network->arenas);
    if (!network->arenas)
        return actc_out_of_memory(network->context, build->plan.n_arenas, "the arena");
    for (; network->n_arenas < build->plan.n_arenas; network->n_arenas++)
        ACTC_RETURN_IF_ERROR(device->backend->buffer_create(device, build->plan.arena_bytes[network->n_arenas],
                                                            &network->arenas[network->n_arenas]));
    for (size_t i = 0; i < build->n_vbufs; i++)
        if (build->vbufs[i].initial && build->vbufs[i].touched)
            ACTC_RETURN_IF_ERROR(actc_network_upload(network, (uint32_t)i, 0, build->vbufs[i].initial, build->vbufs[i].initial_bytes));
    for (int p = 0; p < ACTC_PROGRAM_COUNT; p++)
        if (build->programs[p].n_commands)
            ACTC_RETURN_IF_ERROR(device->backend->prepare(device, &build->programs[p], network->arenas, (uint32_t)network->n_arenas,
                                                          &network->executables[p]));
    network->allocated_bytes = device->allocated_bytes - before;
    return ACTC_OK;
}

/* Host memory that steps need, obtained once. */
static actc_status allocate_staging(actc_network *network)
{
    const actc_graph *graph = network->graph;
    size_t largest = 1;
    for (size_t i = 0; i < graph->n_parameters; i++)
        if (network->build->places[i].elements > largest)
            largest = (size_t)network->build->places[i].elements;
    network->state_staging = actc_malloc(largest * sizeof *network->state_staging);
    if (!network->state_staging)
        return actc_out_of_memory(network->context, largest * sizeof *network->state_staging, "the largest parameter");
    return ACTC_OK;
}

static actc_status prepare(actc_network *network)
{
    if (network->options.compress) {
        network->compress = actc_strdup(network->options.compress);
        if (!network->compress)
            return actc_out_of_memory(network->context, strlen(network->options.compress), "the compression rules");
        network->options.compress = network->compress;
    }
    ACTC_RETURN_IF_ERROR(build_best(network));
    ACTC_RETURN_IF_ERROR(collect_notes(network));
    ACTC_RETURN_IF_ERROR(actc_network_list_states(network));
    ACTC_RETURN_IF_ERROR(allocate_staging(network));
    return allocate(network);
}

actc_status actc_network_create(actc_device *device, const actc_graph *graph, const actc_network_options *options,
                                actc_network **out)
{
    ACTC_OWN_MODES;
    if (!device)
        return ACTC_ERROR_INVALID_ARGUMENT;
    actc_context *context = device->context;
    if (!out || !graph || !options)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "actc_network_create: graph, options or out is NULL");
    *out = NULL;
    ACTC_RETURN_IF_ERROR(actc_device_runs(device));
    if (graph->context != context)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "actc_network_create: the graph is of another context than the device");
    actc_network_options full, defaults = actc_network_options_default();
    ACTC_RETURN_IF_ERROR(actc_take_options(context, "actc_network_options", options, sizeof full, &defaults, &full));
    const actc_optimizer_options optimizer = full.optimizer, none = actc_optimizer_options_default(optimizer.kind);
    ACTC_RETURN_IF_ERROR(actc_take_options(context, "actc_optimizer_options", &optimizer, sizeof none, &none, &full.optimizer));
    ACTC_RETURN_IF_ERROR(check_options(context, graph, &full));
    actc_network *network = actc_calloc(1, sizeof *network);
    if (!network)
        return actc_out_of_memory(context, sizeof *network, "a network");
    network->context = context;
    network->device = device;
    network->graph = actc_graph_retain(graph);
    network->options = full;
    network->last = ACTC_PROGRAM_COUNT;
    actc_status status = prepare(network);
    if (status != ACTC_OK)
        actc_network_destroy(&network);
    *out = network;
    return status;
}

void actc_network_destroy(actc_network **out)
{
    if (!out || !*out)
        return;
    actc_network *network = *out;
    const actc_backend *backend = network->device->backend;
    actc_network_drop_halves(network);
    actc_network_drop_timed(network);
    for (int p = 0; p < ACTC_PROGRAM_COUNT; p++)
        if (network->executables[p])
            backend->executable_destroy(network->device, network->executables[p]);
    for (size_t i = 0; i < network->n_arenas; i++)
        backend->buffer_destroy(network->device, network->arenas[i]);
    for (size_t i = 0; i < network->n_states; i++)
        actc_free(network->states[i].name);
    for (size_t i = 0; i < network->n_notes; i++)
        actc_free(network->notes[i]);
    actc_free(network->arenas);
    actc_free(network->states);
    actc_free(network->notes);
    actc_free(network->seconds);
    actc_free(network->state_staging);
    actc_build_destroy(&network->build);
    actc_graph_destroy(&network->graph);
    actc_free(network->compress);
    actc_free(network);
    *out = NULL;
}

actc_context *actc_network_context(const actc_network *network)
{
    return network->context;
}

const char *actc_network_name(const actc_network *network)
{
    return network->graph->name;
}

actc_optimizer_kind actc_network_optimizer(const actc_network *network)
{
    return network->options.optimizer.kind;
}

int actc_network_accumulate(const actc_network *network)
{
    return network->options.accumulate;
}

const char *actc_network_note(const actc_network *network, size_t index)
{
    return index < network->n_notes ? network->notes[index] : NULL;
}

actc_status actc_network_upload(actc_network *network, uint32_t vbuf, uint64_t offset, const void *source, uint64_t bytes)
{
    const actc_vbuf *v = &network->build->vbufs[vbuf];
    ACTC_RETURN_IF_ERROR(actc_device_is_ours(network->device));
    return network->device->backend->upload(network->device, network->arenas[v->arena], v->offset + offset, source, bytes);
}

actc_status actc_network_download(actc_network *network, uint32_t vbuf, uint64_t offset, void *target, uint64_t bytes)
{
    const actc_vbuf *v = &network->build->vbufs[vbuf];
    ACTC_RETURN_IF_ERROR(actc_device_is_ours(network->device));
    return network->device->backend->download(network->device, network->arenas[v->arena], v->offset + offset, target, bytes);
}
