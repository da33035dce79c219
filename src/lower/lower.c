/* lower.c: where values, gradients and saved tensors are while operators are lowered. */
#include "lower.h"

#include <string.h>

uint64_t actc_lower_elements(const actc_lower *lower, const actc_tensor *tensor)
{
    return (uint64_t)actc_shape_elements(&lower->shapes[tensor->id]);
}

uint64_t actc_lower_bytes(const actc_lower *lower, const actc_tensor *tensor)
{
    return actc_lower_elements(lower, tensor) * actc_dtype_bytes(tensor->dtype);
}

actc_view actc_lower_new(actc_lower *lower, actc_memory_category category, uint64_t bytes, const char *name)
{
    actc_build *build = lower->build;
    if (lower->status != ACTC_OK)
        return ACTC_NO_VIEW;
    if (!actc_grow((void **)&build->vbufs, &build->vbufs_capacity, build->n_vbufs + 1, sizeof *build->vbufs)) {
        lower->status = actc_out_of_memory(build->context, sizeof *build->vbufs, "the memory plan");
        return ACTC_NO_VIEW;
    }
    build->vbufs[build->n_vbufs] = (actc_vbuf){
        .name = name, .category = category, .bytes = actc_align(bytes, ACTC_VIEW_ALIGNMENT), .used = bytes};
    return (actc_view){.buffer = (uint32_t)build->n_vbufs++, .bytes = bytes};
}

actc_view actc_lower_part(actc_view view, uint64_t offset, uint64_t bytes)
{
    view.offset += offset;
    view.bytes = bytes;
    return view;
}

/* ---- forward ---- */

actc_view actc_lower_input(actc_lower *lower, const actc_op *op, uint32_t index)
{
    return lower->values[op->inputs[index]->id];
}

/* Saved as it is: the bytes must stay until the backward pass. */
static bool value_survives(const actc_lower *lower, const actc_tensor *tensor)
{
    const actc_saved *saved = lower->training ? actc_policy_find(&lower->build->policy, tensor) : NULL;
    return saved && saved->value && !saved->codec && (!saved->recomputed || lower->again);
}

/* The tensor lies in this buffer from now on, beside those that did or, where `alone`, in their place. */
static void settle(actc_lower *lower, const actc_tensor *tensor, actc_view view, bool alone)
{
    lower->values[tensor->id] = view;
    if (lower->status != ACTC_OK)
        return;
    actc_vbuf *vbuf = &lower->build->vbufs[view.buffer];
    bool survives = value_survives(lower, tensor);
    vbuf->last_use = alone || lower->last_use[tensor->id] > vbuf->last_use ? lower->last_use[tensor->id] : vbuf->last_use;
    vbuf->survives = survives || (vbuf->survives && !alone);
    if (survives && !vbuf->entry && !lower->again)
        vbuf->category = ACTC_MEMORY_KEPT_DENSE;
    if (lower->last_use[tensor->id] == UINT32_MAX) {
        vbuf->exit = true;
        vbuf->program = lower->program;
    }
}

void actc_lower_settle(actc_lower *lower, const actc_tensor *tensor, actc_view view)
{
    settle(lower, tensor, view, true);
}

/* The operator that comes next in this program (step 1) or came before (-1), NULL where there is none. */
static const actc_op *neighbour(const actc_lower *lower, const actc_op *op, int step)
{
    const actc_graph *graph = lower->build->graph;
    size_t i = op->id;
    do
        i += (size_t)step;
    while (i < graph->n_ops && !lower->live[i]);
    return i < graph->n_ops ? graph->ops[i] : NULL;
}

/* Whether the operator can have its first input, or the gradient of that, inside of its output's: nobody else is to read it. */
static bool spreads(const actc_lower *lower, const actc_op *op)
{
    bool alone = op->def->spreads && !lower->build->options->no_inplace;
    for (uint32_t i = 1; i < op->n_inputs && alone; i++)
        alone = op->inputs[i] != op->inputs[0];
    return alone && lower->last_use[op->inputs[0]->id] == op->id + 1 && op->def->spreads(lower, op);
}

actc_view actc_lower_output(actc_lower *lower, const actc_op *op)
{
    const actc_op *next = neighbour(lower, op, 1);
    const uint64_t bytes = actc_lower_bytes(lower, op->output);
    bool inside = next && next->inputs[0] == op->output && spreads(lower, next) && !value_survives(lower, op->output);
    actc_view view = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, inside ? actc_lower_bytes(lower, next->output) : bytes, op->output->name);
    view.bytes = bytes;
    settle(lower, op->output, view, true);
    return view;
}

/* Whether nobody needs the storage of this input but the operator, and through this input alone. */
static bool is_free(const actc_lower *lower, const actc_op *op, uint32_t index)
{
    actc_view view = lower->values[op->inputs[index]->id];
    const actc_vbuf *vbuf = &lower->build->vbufs[view.buffer];
    uint32_t readers = 0;
    for (uint32_t i = 0; i < op->n_inputs; i++)
        readers += lower->values[op->inputs[i]->id].buffer == view.buffer;
    return readers == 1 && vbuf->last_use == op->id + 1 && !vbuf->survives && !vbuf->entry && !vbuf->persistent;
}

/* Whether the command before wrote this view: what follows in its place may become part of it (fuse.c), and finds it in the cache. */
static bool just_written(const actc_lower *lower, actc_view view)
{
    const actc_program *program = &lower->build->programs[lower->program];
    const actc_command *last = program->n_commands ? &program->commands[program->n_commands - 1] : NULL;
    for (uint32_t v = 0; last && v < last->n_views; v++)
        if (last->access[v] != 'r' && actc_same_place(last->views[v], view))
            return true;
    return false;
}

actc_view actc_lower_output_inplace(actc_lower *lower, const actc_op *op)
{
    uint32_t chosen = UINT32_MAX;
    for (uint32_t i = 0; i < op->n_inputs && lower->status == ACTC_OK && !lower->build->options->no_inplace; i++) {
        if (actc_lower_bytes(lower, op->inputs[i]) != actc_lower_bytes(lower, op->output) || !is_free(lower, op, i))
            continue;
        if (chosen == UINT32_MAX || just_written(lower, lower->values[op->inputs[i]->id]))
            chosen = i;
    }
    if (chosen == UINT32_MAX)
        return actc_lower_output(lower, op);
    settle(lower, op->output, lower->values[op->inputs[chosen]->id], true);
    return lower->values[op->output->id];
}

actc_view actc_lower_output_around(actc_lower *lower, const actc_op *op, bool *inside)
{
    actc_view view = lower->values[op->inputs[0]->id];
    const uint64_t bytes = actc_lower_bytes(lower, op->output);
    *inside = lower->status == ACTC_OK && spreads(lower, op) && view.offset == 0 && lower->build->vbufs[view.buffer].bytes >= bytes &&
              is_free(lower, op, 0);
    if (!*inside)
        return actc_lower_output(lower, op);
    view.bytes = bytes;
    settle(lower, op->output, view, true);
    return view;
}

void actc_lower_output_alias(actc_lower *lower, const actc_op *op)
{
    settle(lower, op->output, lower->values[op->inputs[0]->id], false);
}

actc_view actc_lower_parameter(actc_lower *lower, const actc_parameter *parameter)
{
    const actc_parameter_place *place = &lower->build->places[parameter->id];
    return (actc_view){.buffer = lower->build->v_parameters, .offset = place->offset, .bytes = place->elements * 4};
}

actc_view actc_lower_state(actc_lower *lower, const actc_parameter *state)
{
    const actc_build *build = lower->build;
    actc_view view = actc_lower_parameter(lower, state);
    if (lower->training) {
        view.buffer = build->v_staged;
        view.offset -= build->state_offset;
    }
    return view;
}

uint32_t actc_lower_slot(const actc_lower *lower, const actc_op *op, double *weight, bool *first)
{
    const actc_graph *graph = lower->build->graph;
    *weight = 1;
    *first = false;
    for (uint32_t i = 0; i < graph->n_losses; i++) {
        if (graph->losses[i].tensor == op->output) {
            *weight = graph->losses[i].weight;
            *first = i == 0;
            return i;
        }
    }
    for (uint32_t i = 0; i < graph->n_metrics; i++)
        if (graph->metrics[i] == op->output)
            return (uint32_t)graph->n_losses + i;
    return ACTC_STEP_VALUES - 1; /* of no consequence: it is not live */
}

actc_view actc_lower_step_block(actc_lower *lower)
{
    return (actc_view){.buffer = lower->build->v_step, .bytes = ACTC_STEP_BLOCK_BYTES};
}

actc_view actc_lower_result_block(actc_lower *lower)
{
    return (actc_view){.buffer = lower->build->v_result, .bytes = ACTC_RESULT_BLOCK_BYTES};
}

/* ---- backward ---- */

actc_view actc_lower_output_gradient(actc_lower *lower, const actc_op *op)
{
    return lower->gradients[op->output->id];
}

actc_view actc_lower_input_gradient(actc_lower *lower, const actc_op *op, uint32_t index, bool inplace)
{
    const actc_tensor *input = op->inputs[index];
    uint64_t bytes = actc_lower_bytes(lower, input);
    actc_view of_output = lower->gradients[op->output->id];
    if (inplace && of_output.bytes == bytes && lower->build->vbufs[of_output.buffer].gradients == 1 &&
        !lower->build->options->no_inplace)
        return of_output;
    return actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, bytes, input->name);
}

actc_view actc_lower_gradient_inside(const actc_lower *lower, const actc_op *op)
{
    const actc_tensor *first = op->inputs[0];
    const actc_view of_output = lower->gradients[op->output->id];
    const actc_op *before = neighbour(lower, op, -1); /* which uses it up: it is in the way of nobody for long */
    bool may = lower->status == ACTC_OK && before && before == first->producer && spreads(lower, op) && !lower->gradients[first->id].bytes &&
               lower->build->vbufs[of_output.buffer].gradients == 1;
    return may ? actc_lower_part(of_output, 0, actc_lower_bytes(lower, first)) : ACTC_NO_VIEW;
}

static void set_gradient(actc_lower *lower, const actc_tensor *tensor, actc_view gradient)
{
    actc_lower_drop_gradient(lower, tensor);
    lower->gradients[tensor->id] = gradient;
    if (lower->status == ACTC_OK)
        lower->build->vbufs[gradient.buffer].gradients++;
}

void actc_lower_drop_gradient(actc_lower *lower, const actc_tensor *tensor)
{
    actc_view *known = &lower->gradients[tensor->id];
    if (known->bytes && lower->status == ACTC_OK)
        lower->build->vbufs[known->buffer].gradients--;
    *known = ACTC_NO_VIEW;
}

void actc_lower_commit_gradient(actc_lower *lower, const actc_op *op, uint32_t index, actc_view gradient)
{
    const actc_tensor *input = op->inputs[index];
    actc_view known = lower->gradients[input->id];
    if (lower->status != ACTC_OK)
        return;
    if (!known.bytes) {
        set_gradient(lower, input, gradient);
        return;
    }
    /* The sum goes where nobody else's gradient lies: either part may be another tensor's too (add hands one on to both of its
     * inputs). Addition commutes, so that the bits are the same. */
    const actc_vbuf *vbufs = lower->build->vbufs;
    bool inplace = !lower->build->options->no_inplace && known.buffer != gradient.buffer;
    if (inplace && vbufs[known.buffer].gradients == 1) {
        actc_emit_accumulate(lower, gradient, known);
        return;
    }
    if (inplace && vbufs[gradient.buffer].gradients == 0) {
        actc_emit_accumulate(lower, known, gradient);
        set_gradient(lower, input, gradient);
        return;
    }
    actc_view sum = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, gradient.bytes, input->name);
    actc_emit_add(lower, known, gradient, sum);
    set_gradient(lower, input, sum);
}

actc_view actc_lower_parameter_gradient(actc_lower *lower, const actc_parameter *parameter, bool *add)
{
    const actc_parameter_place *place = &lower->build->places[parameter->id];
    *add = lower->build->options->accumulate > 1 || lower->parameter_written[parameter->id];
    lower->parameter_written[parameter->id] = true;
    return (actc_view){.buffer = lower->build->v_gradients, .offset = place->offset, .bytes = place->elements * 4};
}

void actc_lower_give_parameter_gradient(actc_lower *lower, const actc_parameter *parameter, actc_view gradient)
{
    bool add;
    actc_view target = actc_lower_parameter_gradient(lower, parameter, &add);
    if (add)
        actc_emit_accumulate(lower, gradient, target);
    else
        actc_emit_copy(lower, gradient, target);
}

uint32_t actc_lower_planes(const actc_lower *lower, const actc_tensor *tensor)
{
    const actc_shape *shape = &lower->shapes[tensor->id];
    return (uint32_t)(shape->ndim == 5 ? shape->dims[0] * shape->dims[2] : shape->ndim ? shape->dims[0] : 1);
}

bool actc_lower_is_exact(const actc_lower *lower, const actc_tensor *tensor)
{
    const actc_saved *saved = lower->training ? actc_policy_find(&lower->build->policy, tensor) : NULL;
    return saved && saved->value && !saved->codec;
}

bool actc_lower_has_planes(const actc_lower *lower, const actc_tensor *tensor)
{
    const actc_saved *saved = actc_policy_find(&lower->build->policy, tensor);
    return !saved || !saved->codec || (saved->codec->sliceable && saved->codec->samples == actc_lower_planes(lower, tensor));
}

uint32_t actc_lower_slices(const actc_lower *lower, const actc_tensor *tensor)
{
    const actc_saved *saved = actc_policy_find(&lower->build->policy, tensor);
    const uint64_t *budgets = lower->build->budgets, bytes = actc_lower_bytes(lower, tensor);
    if (!saved || !saved->codec || !saved->codec->sliceable || lower->restored[tensor->id].bytes)
        return 1;
    uint64_t most = budgets ? budgets[tensor->id] : (bytes + 1) / 2;
    return bytes <= most ? 1 : (uint32_t)((bytes + most - 1) / most);
}

uint32_t actc_lower_parts(const actc_lower *lower, const actc_tensor *tensor)
{
    const uint32_t planes = actc_lower_planes(lower, tensor);
    const uint64_t bytes = actc_lower_bytes(lower, tensor);
    uint32_t parts = actc_lower_has_planes(lower, tensor) ? actc_lower_slices(lower, tensor) : 1;
    while (parts > 1 && (planes % parts || bytes / parts % ACTC_VIEW_ALIGNMENT))
        parts--;
    return parts;
}

static actc_view find_again(const actc_lower *lower, const actc_op *op, uint32_t slot)
{
    for (size_t i = lower->n_notes; i-- > 0;)
        if (lower->notes[i].op == op && lower->notes[i].slot == slot)
            return lower->notes[i].view;
    return ACTC_NO_VIEW;
}

static actc_view keep_again(actc_lower *lower, const actc_op *op, uint32_t slot, uint64_t bytes)
{
    actc_view view = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, bytes, op->path);
    if (lower->status != ACTC_OK)
        return view;
    if (!actc_grow((void **)&lower->notes, &lower->notes_capacity, lower->n_notes + 1, sizeof *lower->notes))
        lower->status = actc_out_of_memory(lower->build->context, sizeof *lower->notes, "what is computed again");
    else
        lower->notes[lower->n_notes++] = (actc_again){op, slot, view};
    return view;
}

actc_view actc_lower_sign(actc_lower *lower, const actc_tensor *tensor, bool *is_mask)
{
    const actc_saved *saved = actc_policy_find(&lower->build->policy, tensor);
    *is_mask = saved && saved->mask;
    if (!*is_mask)
        return actc_lower_restore_all(lower, tensor);
    if (saved->recomputed)
        return find_again(lower, tensor->producer, ACTC_MASK_SLOT);
    for (size_t i = 0; i < lower->build->n_kept; i++)
        if (lower->build->kept[i].saved == saved)
            return (actc_view){.buffer = lower->build->kept[i].own, .bytes = lower->build->vbufs[lower->build->kept[i].own].used};
    return ACTC_NO_VIEW;
}

bool actc_lower_wants_mask(const actc_lower *lower, const actc_tensor *tensor)
{
    const actc_saved *saved = lower->training ? actc_policy_find(&lower->build->policy, tensor) : NULL;
    return saved && saved->mask && (!saved->recomputed || lower->again);
}

actc_view actc_lower_keep_mask(actc_lower *lower, const actc_op *op, uint64_t bytes)
{
    if (lower->again)
        return keep_again(lower, op, ACTC_MASK_SLOT, bytes);
    actc_view view = actc_lower_new(lower, ACTC_MEMORY_MASKS, bytes, op->path);
    for (size_t i = 0; i < lower->build->n_kept; i++)
        if (lower->build->kept[i].saved && lower->build->kept[i].saved->tensor == op->output)
            lower->build->kept[i].own = view.buffer;
    return view;
}

bool actc_lower_has_backward(const actc_lower *lower, const actc_op *op)
{
    return lower->training && lower->build->autodiff.backward[op->id] && (lower->again || !lower->build->policy.segment[op->id]);
}

actc_view actc_lower_keep(actc_lower *lower, const actc_op *op, uint32_t slot, actc_memory_category category, uint64_t bytes)
{
    actc_build *build = lower->build;
    if (!op->def->keeps && !op->def->keeps_slopes && lower->status == ACTC_OK)
        lower->status = actc_fail(build->context, ACTC_ERROR_INTERNAL, "%s (%s) keeps what its definition does not say", op->path, op->def->kind);
    if (lower->again)
        return keep_again(lower, op, slot, bytes);
    actc_view view = actc_lower_new(lower, category, bytes, op->path);
    if (lower->status != ACTC_OK)
        return view;
    if (!actc_grow((void **)&build->kept, &build->kept_capacity, build->n_kept + 1, sizeof *build->kept)) {
        lower->status = actc_out_of_memory(build->context, sizeof *build->kept, "the list of kept tensors");
        return view;
    }
    build->kept[build->n_kept++] = (actc_kept){.op = op, .slot = slot, .payload = UINT32_MAX, .own = view.buffer,
                                               .capture = UINT32_MAX, .dense_bytes = bytes, .kept_bytes = bytes};
    return view;
}

uint32_t actc_lower_slope_bits(const actc_lower *lower, const actc_op *op)
{
    return lower->training && lower->build->policy.slope_bits ? lower->build->policy.slope_bits[op->id] : 0;
}

actc_view actc_lower_keep_slopes(actc_lower *lower, const actc_op *op)
{
    actc_build *build = lower->build;
    uint64_t bits = actc_lower_elements(lower, op->output) * actc_lower_slope_bits(lower, op);
    actc_view view = actc_lower_keep(lower, op, 0, ACTC_MEMORY_MASKS, (bits + 31) / 32 * 4);
    if (lower->status == ACTC_OK) {
        build->kept[build->n_kept - 1].codec = actc_policy_slopes(&build->policy, op);
        build->kept[build->n_kept - 1].dense_bytes = actc_lower_bytes(lower, op->output);
    }
    return view;
}

actc_view actc_lower_kept(actc_lower *lower, const actc_op *op, uint32_t slot)
{
    actc_build *build = lower->build;
    actc_view view = find_again(lower, op, slot);
    if (view.bytes)
        return view;
    for (size_t i = 0; i < build->n_kept; i++)
        if (build->kept[i].op == op && build->kept[i].slot == slot)
            return (actc_view){.buffer = build->kept[i].own, .bytes = build->vbufs[build->kept[i].own].used};
    if (lower->status == ACTC_OK)
        lower->status = actc_fail(build->context, ACTC_ERROR_INTERNAL, "%s keeps nothing in slot %u", op->path, slot);
    return ACTC_NO_VIEW;
}
