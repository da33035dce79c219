/* build.c: lowers a whole network: places of the parameters, the three programs, the plan. */
#include <string.h>

#include "lower.h"

/* ---- parameters ---- */

/* Gradients lie in the order the backward pass writes them, so that one all-reduce can follow it; parameters and
 * optimiser state have the same layout, so that one launch updates all. Frozen parameters come last. */
static void place(actc_build *build, const actc_parameter *parameter, uint64_t *end)
{
    actc_parameter_place *p = &build->places[parameter->id];
    p->offset = *end;
    p->elements = (uint64_t)actc_shape_elements(&parameter->shape);
    *end += actc_align(p->elements * 4, ACTC_VIEW_ALIGNMENT);
}

static void place_parameters(actc_build *build)
{
    const actc_graph *graph = build->graph;
    uint64_t end = 0;
    for (size_t i = graph->n_ops; i-- > 0;) {
        for (uint32_t k = 0; k < ACTC_OP_MAX_PARAMETERS; k++) {
            const actc_parameter *parameter = graph->ops[i]->parameters[k];
            if (parameter && !parameter->frozen && graph->ops[i]->def && build->autodiff.live[i] &&
                !build->places[parameter->id].trained) {
                place(build, parameter, &end);
                build->places[parameter->id].trained = true;
            }
        }
    }
    build->trained_bytes = end;
    for (size_t i = 0; i < graph->n_parameters; i++)
        if (!build->places[i].trained)
            place(build, graph->parameters[i], &end);
    build->region_bytes = end;
}

/* ---- buffers that every program shares ---- */

static uint32_t persistent(actc_lower *lower, actc_memory_category category, uint64_t bytes, const char *name)
{
    actc_view view = actc_lower_new(lower, category, bytes, name);
    if (lower->status != ACTC_OK)
        return ACTC_NO_BUFFER;
    lower->build->vbufs[view.buffer].persistent = true;
    return view.buffer;
}

static void shared_buffers(actc_lower *lower)
{
    actc_build *build = lower->build;
    const actc_optimizer_options *optimizer = &build->options->optimizer;
    build->v_parameters = persistent(lower, ACTC_MEMORY_PARAMETERS, build->region_bytes ? build->region_bytes : 256, "parameters");
    build->v_step = persistent(lower, ACTC_MEMORY_WORKSPACE, ACTC_STEP_BLOCK_BYTES, "step block");
    build->v_result = persistent(lower, ACTC_MEMORY_WORKSPACE, ACTC_RESULT_BLOCK_BYTES, "result block");
    build->v_gradients = build->v_moments[0] = build->v_moments[1] = ACTC_NO_BUFFER;
    if (!build->options->train_batch || !build->trained_bytes)
        return;
    build->v_gradients = persistent(lower, ACTC_MEMORY_GRADIENTS, build->trained_bytes, "gradients");
    bool adam = optimizer->kind != ACTC_OPTIMIZER_SGD;
    if (adam || optimizer->momentum != 0)
        build->v_moments[0] = persistent(lower, ACTC_MEMORY_OPTIMIZER, build->trained_bytes, adam ? "exp_avg" : "momentum_buffer");
    if (adam)
        build->v_moments[1] = persistent(lower, ACTC_MEMORY_OPTIMIZER, build->trained_bytes, "exp_avg_sq");
}

/* What the policy saves, before any value exists. */
static void list_kept(actc_lower *lower)
{
    actc_build *build = lower->build;
    for (size_t i = 0; i < build->policy.n_saved; i++) {
        const actc_saved *saved = &build->policy.saved[i];
        uint64_t n = actc_lower_elements(lower, saved->tensor), mask = saved->mask ? (n + 31) / 32 * 4 : 0;
        if (!actc_grow((void **)&build->kept, &build->kept_capacity, build->n_kept + 1, sizeof *build->kept)) {
            lower->status = actc_out_of_memory(build->context, sizeof *build->kept, "the list of kept tensors");
            return;
        }
        build->kept[build->n_kept++] = (actc_kept){
            .saved = saved, .payload = UINT32_MAX, .mask = UINT32_MAX, .capture = UINT32_MAX,
            .dense_bytes = saved->value ? n * 4 : mask,
            .kept_bytes = !saved->value ? mask : saved->codec ? saved->codec->payload_bytes : n * 4};
        if (build->options->capture && saved->value)
            build->kept[build->n_kept - 1].capture = persistent(lower, ACTC_MEMORY_TRANSIENT, n * 4, saved->tensor->name);
    }
}

/* ---- programs ---- */

static actc_status lower_begin(actc_build *build, uint32_t program, actc_lower *lower)
{
    const actc_graph *graph = build->graph;
    *lower = (actc_lower){.build = build, .program = program, .training = program != ACTC_PROGRAM_EVAL};
    lower->shapes = program == ACTC_PROGRAM_EVAL ? build->eval_shapes : build->train_shapes;
    lower->values = actc_calloc(graph->n_tensors, sizeof *lower->values);
    lower->gradients = actc_calloc(graph->n_tensors, sizeof *lower->gradients);
    lower->restored = actc_calloc(graph->n_tensors, sizeof *lower->restored);
    lower->parameter_written = actc_calloc(graph->n_parameters, sizeof *lower->parameter_written);
    if (!lower->values || !lower->gradients || !lower->restored || !lower->parameter_written)
        return actc_out_of_memory(build->context, graph->n_tensors, "lowering");
    return ACTC_OK;
}

static void lower_end(actc_lower *lower)
{
    actc_free(lower->values);
    actc_free(lower->gradients);
    actc_free(lower->restored);
    actc_free(lower->parameter_written);
}

/* The network's inputs: written by the host before the program runs. */
static void lower_entries(actc_lower *lower)
{
    actc_build *build = lower->build;
    const actc_tensor *entries[] = {build->graph->input, build->graph->labels};
    uint32_t *slots[] = {build->v_input, build->v_labels};
    for (int i = 0; i < 2; i++) {
        if (!entries[i])
            continue;
        uint64_t bytes = actc_lower_elements(lower, entries[i]) * 4;
        actc_view view = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, bytes, entries[i]->name);
        if (lower->status != ACTC_OK)
            return;
        build->vbufs[view.buffer].entry = true;
        build->vbufs[view.buffer].program = lower->program;
        const actc_saved *saved = lower->training ? actc_policy_find(&build->policy, entries[i]) : NULL;
        if (saved && saved->value)
            build->vbufs[view.buffer].category = ACTC_MEMORY_KEPT_DENSE;
        lower->values[entries[i]->id] = view;
        slots[i][lower->program] = view.buffer;
        if (bytes > build->transfer_bytes)
            build->transfer_bytes = bytes;
        if (saved)
            actc_emit_pack(lower, saved, view);
    }
}

static void lower_forward(actc_lower *lower)
{
    const actc_build *build = lower->build;
    for (size_t i = 0; i < build->graph->n_ops && lower->status == ACTC_OK; i++) {
        const actc_op *op = build->graph->ops[i];
        if (!build->autodiff.live[i])
            continue;
        lower->op = op;
        op->def->forward(lower, op);
        const actc_saved *saved = lower->training ? actc_policy_find(&build->policy, op->output) : NULL;
        if (saved && saved->value)
            actc_emit_pack(lower, saved, lower->values[op->output->id]);
    }
    lower->op = NULL;
}

/* Where the training program could be cut, and what of the forward pass its backward pass reads as it is. */
static void note_forward_end(actc_lower *lower)
{
    actc_build *build = lower->build;
    build->n_forward = build->programs[lower->program].n_commands;
    for (size_t i = 0; i < build->n_kept && lower->status == ACTC_OK; i++) {
        const actc_saved *saved = build->kept[i].saved;
        build->kept[i].dense = saved && saved->value && !saved->codec ? lower->values[saved->tensor->id] : ACTC_NO_VIEW;
    }
}

static void lower_train(actc_lower *lower)
{
    actc_build *build = lower->build;
    actc_emit_fill(lower, actc_lower_result_block(lower), 0);
    lower_entries(lower);
    lower_forward(lower);
    note_forward_end(lower);
    for (size_t i = build->graph->n_ops; i-- > 0 && lower->status == ACTC_OK;) {
        const actc_op *op = build->graph->ops[i];
        /* The loss itself starts the chain; others need a gradient to pass on. */
        if (!build->autodiff.backward[i] || (!lower->gradients[op->output->id].bytes && op->output != build->graph->loss))
            continue;
        lower->op = op;
        op->def->backward(lower, op, &build->autodiff.gradients[i]);
    }
    lower->op = NULL;
    if (build->v_gradients != ACTC_NO_BUFFER) {
        actc_view gradients = {.buffer = build->v_gradients, .bytes = build->trained_bytes};
        struct actc_params_finite_check params = {.n = (uint32_t)(build->trained_bytes / 4)};
        ACTC_EMIT_ELEMENTWISE(lower, finite_check, &params, gradients, actc_lower_result_block(lower));
    }
}

static void lower_update(actc_lower *lower)
{
    actc_build *build = lower->build;
    const actc_optimizer_options *o = &build->options->optimizer;
    if (build->v_gradients == ACTC_NO_BUFFER)
        return;
    uint64_t bytes = build->trained_bytes;
    uint32_t n = (uint32_t)(bytes / 4);
    actc_view p = {.buffer = build->v_parameters, .bytes = bytes}, g = {.buffer = build->v_gradients, .bytes = bytes};
    actc_view m = ACTC_NO_VIEW, step = actc_lower_step_block(lower), result = actc_lower_result_block(lower);
    if (build->v_moments[0] != ACTC_NO_BUFFER)
        m = (actc_view){.buffer = build->v_moments[0], .bytes = bytes};
    if (o->kind == ACTC_OPTIMIZER_SGD) {
        struct actc_params_sgd params = {.n = n, .momentum = (float)o->momentum, .weight_decay = (float)o->weight_decay};
        ACTC_EMIT_ELEMENTWISE(lower, sgd, &params, p, g, m, step, result);
    } else {
        actc_view v = {.buffer = build->v_moments[1], .bytes = bytes};
        struct actc_params_adam params = {
            .n = n, .beta1_rest = (float)(1 - o->beta1), .beta2 = (float)o->beta2, .beta2_rest = (float)(1 - o->beta2),
            .epsilon = (float)o->epsilon, .l2 = o->kind == ACTC_OPTIMIZER_ADAM ? (float)o->weight_decay : 0};
        ACTC_EMIT_ELEMENTWISE(lower, adam, &params, p, g, m, v, step, result);
    }
    if (build->options->accumulate > 1)
        actc_emit_fill(lower, g, 0);
}

static void lower_eval(actc_lower *lower)
{
    actc_build *build = lower->build;
    const actc_op *loss = build->graph->loss->producer;
    actc_emit_fill(lower, actc_lower_result_block(lower), 0);
    lower_entries(lower);
    lower_forward(lower);
    const actc_shape *scores = &build->eval_shapes[loss->inputs[0]->id];
    struct actc_params_count_correct params = {.rows = (uint32_t)scores->dims[0], .cols = (uint32_t)scores->dims[1]};
    ACTC_EMIT(lower, count_correct, 1, &params, lower->values[loss->inputs[0]->id],
              actc_lower_labels(lower), actc_lower_step_block(lower), actc_lower_result_block(lower));
}

static actc_status lower_program(actc_build *build, uint32_t program)
{
    static void (*const bodies[])(actc_lower *) = {lower_train, lower_update, lower_eval};
    static const char *const names[] = {"train", "update", "eval"};
    actc_lower lower;
    actc_status status = lower_begin(build, program, &lower);
    build->programs[program].name = names[program];
    if (status == ACTC_OK) {
        if (!build->vbufs)
            shared_buffers(&lower);
        if (program == ACTC_PROGRAM_TRAIN)
            list_kept(&lower);
        if (lower.status == ACTC_OK)
            bodies[program](&lower);
        status = lower.status;
    }
    lower_end(&lower);
    return status;
}

/* ---- the whole ---- */

static actc_status shapes_for(const actc_graph *graph, int64_t batch, actc_shape **shapes)
{
    if (!batch)
        return ACTC_OK;
    *shapes = actc_calloc(graph->n_tensors, sizeof **shapes);
    if (!*shapes)
        return actc_out_of_memory(graph->context, graph->n_tensors * sizeof **shapes, "shapes");
    return actc_graph_shapes(graph, batch, *shapes);
}

static actc_status lower_all(actc_build *build, bool compress)
{
    const actc_network_options *options = build->options;
    const actc_graph *graph = build->graph;
    ACTC_RETURN_IF_ERROR(shapes_for(graph, options->train_batch, &build->train_shapes));
    ACTC_RETURN_IF_ERROR(shapes_for(graph, options->eval_batch, &build->eval_shapes));
    ACTC_RETURN_IF_ERROR(actc_autodiff_create(graph, options->train_batch > 0, &build->autodiff));
    if (options->train_batch)
        ACTC_RETURN_IF_ERROR(actc_policy_create(graph, &build->autodiff, build->train_shapes, options->compress, compress,
                                                &build->policy));
    build->places = actc_calloc(graph->n_parameters, sizeof *build->places);
    if (!build->places)
        return actc_out_of_memory(build->context, graph->n_parameters, "the parameters");
    place_parameters(build);
    if (options->train_batch) {
        ACTC_RETURN_IF_ERROR(lower_program(build, ACTC_PROGRAM_TRAIN));
        ACTC_RETURN_IF_ERROR(lower_program(build, ACTC_PROGRAM_UPDATE));
    }
    if (options->eval_batch)
        ACTC_RETURN_IF_ERROR(lower_program(build, ACTC_PROGRAM_EVAL));
    return actc_plan(build);
}

actc_status actc_build_create(actc_device *device, const actc_graph *graph, const actc_network_options *options,
                              bool compress, uint32_t slices, actc_build **out)
{
    *out = NULL;
    actc_build *build = actc_calloc(1, sizeof *build);
    if (!build)
        return actc_out_of_memory(device->context, sizeof *build, "a network");
    build->context = device->context;
    build->device = device;
    build->graph = graph;
    build->options = options;
    build->slices = slices;
    actc_status status = lower_all(build, compress);
    if (status != ACTC_OK) {
        actc_build_destroy(&build);
        return status;
    }
    *out = build;
    return ACTC_OK;
}

void actc_build_destroy(actc_build **out)
{
    if (!out || !*out)
        return;
    actc_build *build = *out;
    actc_free(build->train_shapes);
    actc_free(build->eval_shapes);
    actc_autodiff_destroy(&build->autodiff);
    actc_policy_destroy(&build->policy);
    for (int i = 0; i < ACTC_PROGRAM_COUNT; i++)
        actc_free(build->programs[i].commands);
    for (size_t i = 0; i < build->n_labels; i++)
        actc_free(build->labels[i]);
    actc_free(build->labels);
    while (build->host_codecs) {
        actc_host_codec *next = build->host_codecs->next;
        actc_free(build->host_codecs);
        build->host_codecs = next;
    }
    actc_free(build->vbufs);
    actc_free(build->places);
    actc_free(build->kept);
    actc_free(build->arena_bytes);
    actc_free(build);
    *out = NULL;
}
