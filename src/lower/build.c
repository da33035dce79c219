/* build.c: lowers a whole network: places of the parameters, the programs, the plan. */
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
        for (uint32_t k = 0; k < graph->ops[i]->n_parameters; k++) {
            const actc_parameter *parameter = graph->ops[i]->parameters[k];
            if (parameter && build->autodiff.gradients[i].parameter[k] && build->autodiff.backward[i] &&
                !build->places[parameter->id].trained) {
                place(build, parameter, &end);
                build->places[parameter->id].trained = true;
            }
        }
    }
    build->trained_bytes = end;
    for (size_t i = 0; i < graph->n_parameters; i++)
        if (!build->places[i].trained && graph->parameters[i]->role == ACTC_ROLE_WEIGHT)
            place(build, graph->parameters[i], &end);
    build->state_offset = end;
    for (size_t i = 0; i < graph->n_parameters; i++)
        if (graph->parameters[i]->role == ACTC_ROLE_STATE)
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
    build->v_gradients = build->v_moments[0] = build->v_moments[1] = build->v_staged = ACTC_NO_BUFFER;
    if (!build->options->train_batch)
        return;
    if (build->region_bytes > build->state_offset)
        build->v_staged = persistent(lower, ACTC_MEMORY_PARAMETERS, build->region_bytes - build->state_offset, "staged states");
    if (!build->trained_bytes)
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
        if (!saved->value && !saved->sign)
            continue;
        uint64_t n = actc_lower_elements(lower, saved->tensor), mask = saved->mask ? (n + 31) / 32 * 4 : 0;
        uint64_t dense = actc_lower_bytes(lower, saved->tensor);
        if (!actc_grow((void **)&build->kept, &build->kept_capacity, build->n_kept + 1, sizeof *build->kept)) {
            lower->status = actc_out_of_memory(build->context, sizeof *build->kept, "the list of kept tensors");
            return;
        }
        build->kept[build->n_kept++] = (actc_kept){
            .saved = saved, .payload = UINT32_MAX, .own = UINT32_MAX, .capture = UINT32_MAX,
            .dense_bytes = saved->value ? dense : mask,
            .kept_bytes = saved->recomputed ? 0 : !saved->value ? mask : saved->codec ? saved->codec->payload_bytes : dense};
        if (build->options->capture && saved->value)
            build->kept[build->n_kept - 1].capture = persistent(lower, ACTC_MEMORY_TRANSIENT, dense, saved->tensor->name);
    }
}

/* ---- programs ---- */

/* 1 + the last live operator that reads each tensor in the forward pass. */
static void find_last_uses(actc_lower *lower)
{
    const actc_graph *graph = lower->build->graph;
    for (size_t i = 0; i < graph->n_ops; i++)
        for (uint32_t k = 0; lower->live[i] && k < graph->ops[i]->n_inputs; k++)
            lower->last_use[graph->ops[i]->inputs[k]->id] = (uint32_t)i + 1;
    for (size_t i = 0; i < graph->n_outputs && !lower->training; i++)
        lower->last_use[graph->outputs[i]->id] = UINT32_MAX;
}

static actc_status lower_begin(actc_build *build, uint32_t program, actc_lower *lower)
{
    const actc_graph *graph = build->graph;
    *lower = (actc_lower){.build = build, .program = program};
    lower->training = program == ACTC_PROGRAM_TRAIN || program == ACTC_PROGRAM_UPDATE;
    lower->shapes = build->shapes[lower->training ? ACTC_PROGRAM_TRAIN : program];
    lower->live = build->live[lower->training ? ACTC_PROGRAM_TRAIN : program];
    lower->values = actc_calloc(graph->n_tensors, sizeof *lower->values);
    lower->gradients = actc_calloc(graph->n_tensors, sizeof *lower->gradients);
    lower->restored = actc_calloc(graph->n_tensors, sizeof *lower->restored);
    lower->last_use = actc_calloc(graph->n_tensors, sizeof *lower->last_use);
    lower->parameter_written = actc_calloc(graph->n_parameters, sizeof *lower->parameter_written);
    lower->entered = actc_calloc(build->policy.n_segments + 1, sizeof *lower->entered);
    if (!lower->values || !lower->gradients || !lower->restored || !lower->last_use || !lower->parameter_written || !lower->entered)
        return actc_out_of_memory(build->context, graph->n_tensors, "lowering");
    find_last_uses(lower);
    return ACTC_OK;
}

static void lower_end(actc_lower *lower)
{
    actc_free(lower->values);
    actc_free(lower->gradients);
    actc_free(lower->restored);
    actc_free(lower->last_use);
    actc_free(lower->parameter_written);
    actc_free(lower->entered);
    actc_free(lower->notes);
}

/* Whether the operator's output is its first input, bytes and all. */
static bool is_alias(const actc_lower *lower, const actc_op *op)
{
    return op->def->alias && op->def->alias(op, &lower->shapes[op->inputs[0]->id], lower->training);
}

/* Channels of a tensor that lies channels-last and does not come so, 1 where the orders agree. */
static uint32_t channels_to_move(const actc_shape *shape)
{
    int64_t pixels = 1;
    for (int d = 2; d < shape->ndim; d++)
        pixels *= shape->dims[d];
    return shape->ndim >= 4 && shape->dims[1] > 1 && pixels > 1 ? (uint32_t)shape->dims[1] : 1;
}

static bool is_read(const actc_lower *lower, const actc_tensor *tensor)
{
    return lower->last_use[tensor->id] != 0;
}

/* The network's inputs: written by the host before the program runs, in PyTorch's order, and moved to channels-last. */
static void lower_entries(actc_lower *lower)
{
    actc_build *build = lower->build;
    const actc_graph *graph = build->graph;
    for (size_t i = 0; i < graph->n_inputs && lower->status == ACTC_OK; i++) {
        const actc_tensor *tensor = graph->inputs[i];
        actc_entry *entry = &build->entries[lower->program][i];
        *entry = (actc_entry){.tensor = tensor, .vbuf = ACTC_NO_BUFFER};
        if (!is_read(lower, tensor))
            continue;
        uint64_t bytes = actc_lower_bytes(lower, tensor);
        uint32_t channels = tensor->dtype == ACTC_F32 ? channels_to_move(&lower->shapes[tensor->id]) : 1; /* labels have none */
        actc_view view = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, bytes, tensor->name);
        if (lower->status != ACTC_OK)
            return;
        build->vbufs[view.buffer].entry = true;
        build->vbufs[view.buffer].program = lower->program;
        entry->vbuf = view.buffer;
        if (bytes > build->transfer_bytes)
            build->transfer_bytes = bytes;
        if (channels > 1) {
            actc_view given = view;
            uint32_t pixels = (uint32_t)(actc_shape_elements(&lower->shapes[tensor->id]) / lower->shapes[tensor->id].dims[0] / channels);
            view = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, bytes, tensor->name);
            struct actc_params_transpose params = {.n = (uint32_t)(bytes / 4), .rows = channels, .cols = pixels};
            ACTC_EMIT_ELEMENTWISE(lower, transpose, &params, given, view);
        }
        const actc_saved *saved = lower->training ? actc_policy_find(&build->policy, tensor) : NULL;
        actc_lower_settle(lower, tensor, view);
        if (saved && saved->value)
            build->vbufs[view.buffer].category = ACTC_MEMORY_KEPT_DENSE;
        if (saved)
            actc_emit_pack(lower, saved, view);
    }
}

static void lower_operator(actc_lower *lower, const actc_op *op)
{
    lower->op = op;
    if (is_alias(lower, op))
        actc_lower_output_alias(lower, op);
    else
        op->def->forward(lower, op);
}

static void lower_forward(actc_lower *lower)
{
    const actc_build *build = lower->build;
    for (size_t i = 0; i < build->graph->n_ops && lower->status == ACTC_OK; i++) {
        const actc_op *op = build->graph->ops[i];
        if (!lower->live[i])
            continue;
        lower_operator(lower, op);
        const actc_saved *saved = lower->training ? actc_policy_find(&build->policy, op->output) : NULL;
        if (saved && saved->value && !saved->normalised)
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
        build->kept[i].dense = saved && saved->value && !saved->codec && !saved->recomputed ? lower->values[saved->tensor->id] : ACTC_NO_VIEW;
    }
}

/* Computes a segment again (src/policy/recompute.c), up to what its backward pass needs. */
static void enter_segment(actc_lower *lower, uint32_t segment)
{
    const actc_build *build = lower->build;
    if (!segment || lower->entered[segment])
        return;
    lower->entered[segment] = true;
    lower->again = true;
    for (size_t i = 0; i < build->graph->n_ops && lower->status == ACTC_OK; i++)
        if (build->policy.segment[i] == segment && build->policy.again[i])
            lower_operator(lower, build->graph->ops[i]);
    lower->again = false;
}

static void lower_backward(actc_lower *lower, const actc_op *op)
{
    const actc_build *build = lower->build;
    /* Losses start the chain; others need a gradient to pass on. */
    if (!build->autodiff.backward[op->id] || (!lower->gradients[op->output->id].bytes && op->def->role != ACTC_OP_LOSS))
        return;
    enter_segment(lower, build->policy.segment[op->id]);
    lower->op = op;
    if (!is_alias(lower, op))
        op->def->backward(lower, op, &build->autodiff.gradients[op->id]);
    else if (build->autodiff.gradients[op->id].input[0])
        actc_lower_commit_gradient(lower, op, 0, lower->gradients[op->output->id]);
    actc_lower_drop_gradient(lower, op->output);
    lower->op = NULL;
}

/* With the batch, not with the update: a checkpoint between two batches of one update then has all that there is. */
static void commit_states(actc_lower *lower)
{
    actc_build *build = lower->build;
    uint64_t bytes = build->region_bytes - build->state_offset;
    actc_view states = {.buffer = build->v_parameters, .offset = build->state_offset, .bytes = bytes};
    actc_view staged = {.buffer = build->v_staged, .bytes = bytes};
    struct actc_params_state_commit params = {0};
    ACTC_EMIT_REGION(lower, state_commit, bytes / 4, &params, 0, staged, states, actc_lower_result_block(lower));
}

/* `first` among the words of finite_check's parameters. */
enum { FIRST_WORD = offsetof(struct actc_params_finite_check, first) / 4 };

static void lower_train(actc_lower *lower)
{
    actc_build *build = lower->build;
    actc_emit_fill(lower, actc_lower_result_block(lower), 0);
    lower_entries(lower);
    lower_forward(lower);
    note_forward_end(lower);
    for (size_t i = build->graph->n_ops; i-- > 0 && lower->status == ACTC_OK;)
        lower_backward(lower, build->graph->ops[i]);
    if (build->v_gradients != ACTC_NO_BUFFER) {
        actc_view gradients = {.buffer = build->v_gradients, .bytes = build->trained_bytes};
        struct actc_params_finite_check params = {0};
        ACTC_EMIT_REGION(lower, finite_check, build->trained_bytes / 4, &params, FIRST_WORD, gradients, actc_lower_result_block(lower));
    }
    if (build->v_staged != ACTC_NO_BUFFER)
        commit_states(lower);
}

static void lower_update(actc_lower *lower)
{
    actc_build *build = lower->build;
    const actc_optimizer_options *o = &build->options->optimizer;
    if (build->v_gradients == ACTC_NO_BUFFER)
        return;
    uint64_t bytes = build->trained_bytes, n = bytes / 4;
    actc_view p = {.buffer = build->v_parameters, .bytes = bytes}, g = {.buffer = build->v_gradients, .bytes = bytes};
    actc_view m = ACTC_NO_VIEW, step = actc_lower_step_block(lower), result = actc_lower_result_block(lower);
    if (build->v_moments[0] != ACTC_NO_BUFFER)
        m = (actc_view){.buffer = build->v_moments[0], .bytes = bytes};
    if (o->kind == ACTC_OPTIMIZER_SGD) {
        struct actc_params_sgd params = {.momentum = (float)o->momentum, .weight_decay = (float)o->weight_decay};
        ACTC_EMIT_REGION(lower, sgd, n, &params, 0, p, g, m, step, result);
    } else {
        actc_view v = {.buffer = build->v_moments[1], .bytes = bytes};
        struct actc_params_adam params = {
            .beta1_rest = (float)(1 - o->beta1), .beta2 = (float)o->beta2, .beta2_rest = (float)(1 - o->beta2),
            .epsilon = (float)o->epsilon, .l2 = o->kind == ACTC_OPTIMIZER_ADAM ? (float)o->weight_decay : 0};
        ACTC_EMIT_REGION(lower, adam, n, &params, 0, p, g, m, v, step, result);
    }
    if (build->options->accumulate > 1)
        actc_emit_fill(lower, g, 0);
}

static void note_outputs(actc_lower *lower)
{
    actc_build *build = lower->build;
    for (size_t i = 0; i < build->graph->n_outputs && lower->status == ACTC_OK; i++) {
        const actc_tensor *tensor = build->graph->outputs[i];
        uint64_t bytes = actc_lower_bytes(lower, tensor);
        build->outputs[lower->program][i] = lower->values[tensor->id];
        if (bytes > build->transfer_bytes)
            build->transfer_bytes = bytes;
    }
}

static void lower_eval(actc_lower *lower)
{
    actc_emit_fill(lower, actc_lower_result_block(lower), 0);
    lower_entries(lower);
    lower_forward(lower);
    note_outputs(lower);
}

static actc_status lower_program(actc_build *build, uint32_t program)
{
    static void (*const bodies[])(actc_lower *) = {lower_train, lower_update, lower_eval, lower_eval};
    static const char *const names[] = {"train", "update", "eval", "infer"};
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

/* ---- the plan ---- */

/* Whether the plan's peak would be no higher were the tensor kept dense: without the payload, what it is restored to and the
 * codec's workspaces. curve: scratch of plan.times + 2 elements. */
static bool is_idle(const actc_build *build, const actc_kept *kept, uint64_t *curve)
{
    const actc_plan *plan = &build->plan;
    const actc_vbuf *payload = &build->vbufs[kept->payload];
    memset(curve, 0, ((size_t)plan->times + 2) * sizeof *curve);
    for (size_t i = 0; i < build->n_vbufs; i++)
        if (build->vbufs[i].owner == kept->saved->codec && build->vbufs[i].touched)
            actc_plan_add_life(&build->vbufs[i], build->vbufs[i].bytes, curve);
    actc_plan_integrate(curve, plan->times);
    for (uint32_t t = payload->first; t <= payload->last && t < plan->times; t++)
        if (plan->live[t] - curve[t] - payload->bytes + actc_align(kept->dense_bytes, ACTC_VIEW_ALIGNMENT) > plan->peak_bytes)
            return false;
    return true;
}

static actc_status find_idle(actc_build *build)
{
    uint64_t *curve = actc_calloc((size_t)build->plan.times + 2, sizeof *curve);
    if (!curve)
        return actc_out_of_memory(build->context, build->plan.times * sizeof *curve, "the memory plan");
    for (size_t i = 0; i < build->n_kept; i++) {
        actc_kept *kept = &build->kept[i];
        kept->idle = kept->payload != UINT32_MAX && build->vbufs[kept->payload].touched && is_idle(build, kept, curve);
    }
    actc_free(curve);
    return ACTC_OK;
}

static actc_status plan(actc_build *build)
{
    actc_device *device = build->device;
    const actc_backend *backend = device->backend;
    const actc_plan_limits limits = {.buffer_bytes = device->info.max_buffer_bytes, .device = device->info.spec};
    ACTC_RETURN_IF_ERROR(actc_plan_create(build->context, build->programs, ACTC_PROGRAM_COUNT, build->vbufs, build->n_vbufs, &limits,
                                          &build->plan));
    ACTC_RETURN_IF_ERROR(find_idle(build));
    uint64_t overhead = backend->overhead_bytes ? backend->overhead_bytes(device, build->transfer_bytes) : 0;
    memcpy(build->category_bytes, build->plan.category_bytes, sizeof build->category_bytes);
    build->category_bytes[ACTC_MEMORY_WORKSPACE] += overhead;
    build->planned_bytes = overhead;
    for (size_t i = 0; i < build->plan.n_arenas; i++) {
        if (backend->buffer_bytes)
            build->plan.arena_bytes[i] = backend->buffer_bytes(device, build->plan.arena_bytes[i]);
        build->planned_bytes += build->plan.arena_bytes[i];
    }
    return ACTC_OK;
}

/* ---- the whole ---- */

/* Shapes, live operators, inputs and outputs of a program for this batch. */
static actc_status prepare(actc_build *build, uint32_t program, int64_t batch)
{
    const actc_graph *graph = build->graph;
    if (!batch)
        return ACTC_OK;
    build->shapes[program] = actc_calloc(graph->n_tensors, sizeof **build->shapes);
    build->live[program] = actc_calloc(graph->n_ops, sizeof **build->live);
    build->entries[program] = actc_calloc(graph->n_inputs, sizeof **build->entries);
    build->outputs[program] = actc_calloc(graph->n_outputs, sizeof **build->outputs);
    if (!build->shapes[program] || !build->live[program] || !build->entries[program] || !build->outputs[program])
        return actc_out_of_memory(graph->context, graph->n_tensors * sizeof **build->shapes, "shapes");
    ACTC_RETURN_IF_ERROR(actc_graph_shapes(graph, batch, build->shapes[program]));
    unsigned roots = program == ACTC_PROGRAM_TRAIN ? ACTC_ROOT_LOSSES
                     : program == ACTC_PROGRAM_EVAL ? ACTC_ROOT_LOSSES | ACTC_ROOT_METRICS | ACTC_ROOT_OUTPUTS : ACTC_ROOT_OUTPUTS;
    actc_autodiff_live(graph, roots, build->live[program]);
    return ACTC_OK;
}

static actc_status lower_all(actc_build *build, bool compress)
{
    const actc_network_options *options = build->options;
    const actc_graph *graph = build->graph;
    ACTC_RETURN_IF_ERROR(prepare(build, ACTC_PROGRAM_TRAIN, options->train_batch));
    ACTC_RETURN_IF_ERROR(prepare(build, ACTC_PROGRAM_EVAL, options->eval_batch));
    ACTC_RETURN_IF_ERROR(prepare(build, ACTC_PROGRAM_INFER, options->infer_batch));
    ACTC_RETURN_IF_ERROR(actc_autodiff_create(graph, build->live[ACTC_PROGRAM_TRAIN], &build->autodiff));
    if (options->train_batch)
        ACTC_RETURN_IF_ERROR(actc_policy_create(graph, &build->autodiff, build->shapes[ACTC_PROGRAM_TRAIN], options->compress, compress,
                                                &build->policy));
    build->places = actc_calloc(graph->n_parameters, sizeof *build->places);
    if (!build->places)
        return actc_out_of_memory(build->context, graph->n_parameters, "the parameters");
    place_parameters(build);
    if (build->region_bytes / 4 > UINT32_MAX - 2)
        return actc_fail(build->context, ACTC_ERROR_UNSUPPORTED, "%s has %llu parameters; at most 4294967293 are supported", graph->name,
                         (unsigned long long)(build->region_bytes / 4));
    for (uint32_t p = 0; p < ACTC_PROGRAM_COUNT; p++)
        if (build->shapes[p == ACTC_PROGRAM_UPDATE ? ACTC_PROGRAM_TRAIN : p])
            ACTC_RETURN_IF_ERROR(lower_program(build, p));
    return plan(build);
}

actc_status actc_build_create(actc_device *device, const actc_graph *graph, const actc_network_options *options,
                              bool compress, const uint64_t *budgets, actc_build **out)
{
    *out = NULL;
    actc_build *build = actc_calloc(1, sizeof *build);
    if (!build)
        return actc_out_of_memory(device->context, sizeof *build, "a network");
    build->context = device->context;
    build->device = device;
    build->graph = graph;
    build->options = options;
    build->budgets = budgets;
    actc_status status = lower_all(build, compress);
    build->budgets = NULL;
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
    actc_autodiff_destroy(&build->autodiff);
    actc_policy_destroy(&build->policy);
    for (int i = 0; i < ACTC_PROGRAM_COUNT; i++) {
        actc_free(build->programs[i].commands);
        actc_free(build->shapes[i]);
        actc_free(build->live[i]);
        actc_free(build->entries[i]);
        actc_free(build->outputs[i]);
    }
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
    actc_plan_destroy(&build->plan);
    actc_free(build);
    *out = NULL;
}
