/* lower.c: where values, gradients and saved tensors are while operators are lowered. */
#include "lower.h"

#include <string.h>

uint64_t actc_lower_elements(const actc_lower *lower, const actc_tensor *tensor)
{
    return (uint64_t)actc_shape_elements(&lower->shapes[tensor->id]);
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

actc_view actc_lower_output(actc_lower *lower, const actc_op *op)
{
    const actc_saved *saved = lower->training ? actc_policy_find(&lower->build->policy, op->output) : NULL;
    bool kept_dense = saved && saved->value && !saved->codec;
    return lower->values[op->output->id] =
               actc_lower_new(lower, kept_dense ? ACTC_MEMORY_KEPT_DENSE : ACTC_MEMORY_TRANSIENT,
                              actc_lower_elements(lower, op->output) * 4, op->output->name);
}

/* Saved as it is: the bytes must stay until the backward pass. */
static bool value_survives(const actc_lower *lower, const actc_tensor *tensor)
{
    const actc_saved *saved = lower->training ? actc_policy_find(&lower->build->policy, tensor) : NULL;
    return saved && saved->value && !saved->codec;
}

actc_view actc_lower_output_inplace(actc_lower *lower, const actc_op *op)
{
    const actc_tensor *input = op->inputs[0];
    if (!input->producer || input->consumers > 1 || value_survives(lower, input))
        return actc_lower_output(lower, op);
    actc_lower_output_alias(lower, op);
    return lower->values[op->output->id];
}

void actc_lower_output_alias(actc_lower *lower, const actc_op *op)
{
    actc_view view = lower->values[op->inputs[0]->id];
    lower->values[op->output->id] = view;
    if (lower->status == ACTC_OK && value_survives(lower, op->output) && op->inputs[0]->producer)
        lower->build->vbufs[view.buffer].category = ACTC_MEMORY_KEPT_DENSE;
}

actc_view actc_lower_parameter(actc_lower *lower, const actc_parameter *parameter)
{
    const actc_parameter_place *place = &lower->build->places[parameter->id];
    return (actc_view){.buffer = lower->build->v_parameters, .offset = place->offset, .bytes = place->elements * 4};
}

actc_view actc_lower_labels(actc_lower *lower)
{
    return lower->values[lower->build->graph->labels->id];
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
    uint64_t bytes = actc_lower_elements(lower, input) * 4;
    actc_view of_output = lower->gradients[op->output->id];
    if (inplace && of_output.bytes == bytes)
        return of_output;
    return actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, bytes, input->name);
}

void actc_lower_commit_gradient(actc_lower *lower, const actc_op *op, uint32_t index, actc_view gradient)
{
    const actc_tensor *input = op->inputs[index];
    actc_view *known = &lower->gradients[input->id];
    if (!known->bytes) {
        *known = gradient;
        return;
    }
    /* The sum goes to a buffer of its own: either part may still be another tensor's gradient (add hands one view to
     * both of its inputs). */
    actc_view sum = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, gradient.bytes, input->name);
    struct actc_params_add params = {.n = (uint32_t)(gradient.bytes / 4)};
    ACTC_EMIT_ELEMENTWISE(lower, add, &params, *known, gradient, sum);
    *known = sum;
}

actc_view actc_lower_parameter_gradient(actc_lower *lower, const actc_parameter *parameter, bool *add)
{
    const actc_parameter_place *place = &lower->build->places[parameter->id];
    *add = lower->build->options->accumulate > 1 || lower->parameter_written[parameter->id];
    lower->parameter_written[parameter->id] = true;
    return (actc_view){.buffer = lower->build->v_gradients, .offset = place->offset, .bytes = place->elements * 4};
}

uint32_t actc_lower_slices(const actc_lower *lower, const actc_tensor *tensor, uint64_t sibling_bytes)
{
    const actc_saved *saved = actc_policy_find(&lower->build->policy, tensor);
    uint64_t batch = (uint64_t)lower->shapes[tensor->id].dims[0];
    if (!saved || !saved->codec || !saved->codec->sliceable || lower->restored[tensor->id].bytes)
        return 1;
    uint64_t sample = actc_lower_elements(lower, tensor) * 4 / batch, sibling = sibling_bytes / batch;
    uint32_t slices = lower->build->slices;
    /* Parts must be equal, and begin where a view may begin. */
    while (slices > 1 && (batch % slices || batch / slices * sample % ACTC_VIEW_ALIGNMENT ||
                          batch / slices * sibling % ACTC_VIEW_ALIGNMENT))
        slices--;
    return slices;
}

actc_view actc_lower_sign(actc_lower *lower, const actc_tensor *tensor, bool *is_mask)
{
    const actc_saved *saved = actc_policy_find(&lower->build->policy, tensor);
    *is_mask = saved && saved->mask;
    if (!*is_mask)
        return actc_lower_restore_all(lower, tensor);
    for (size_t i = 0; i < lower->build->n_kept; i++)
        if (lower->build->kept[i].saved == saved)
            return (actc_view){.buffer = lower->build->kept[i].mask, .bytes = lower->build->vbufs[lower->build->kept[i].mask].used};
    return ACTC_NO_VIEW;
}

bool actc_lower_wants_mask(const actc_lower *lower, const actc_tensor *tensor)
{
    const actc_saved *saved = lower->training ? actc_policy_find(&lower->build->policy, tensor) : NULL;
    return saved && saved->mask;
}

actc_view actc_lower_keep_mask(actc_lower *lower, const actc_op *op, uint64_t bytes)
{
    actc_view view = actc_lower_new(lower, ACTC_MEMORY_MASKS, bytes, op->path);
    for (size_t i = 0; i < lower->build->n_kept; i++)
        if (lower->build->kept[i].saved && lower->build->kept[i].saved->tensor == op->output)
            lower->build->kept[i].mask = view.buffer;
    return view;
}

actc_view actc_lower_keep_index(actc_lower *lower, const actc_op *op, uint64_t bytes)
{
    actc_build *build = lower->build;
    actc_view view = actc_lower_new(lower, ACTC_MEMORY_MASKS, bytes, op->path);
    if (lower->status != ACTC_OK)
        return view;
    if (!actc_grow((void **)&build->kept, &build->kept_capacity, build->n_kept + 1, sizeof *build->kept)) {
        lower->status = actc_out_of_memory(build->context, sizeof *build->kept, "the list of kept tensors");
        return view;
    }
    build->kept[build->n_kept++] = (actc_kept){
        .op = op, .payload = UINT32_MAX, .mask = view.buffer, .capture = UINT32_MAX, .dense_bytes = bytes, .kept_bytes = bytes};
    return view;
}

actc_view actc_lower_kept_index(actc_lower *lower, const actc_op *op)
{
    actc_build *build = lower->build;
    for (size_t i = 0; i < build->n_kept; i++)
        if (build->kept[i].op == op)
            return (actc_view){.buffer = build->kept[i].mask, .bytes = build->vbufs[build->kept[i].mask].used};
    return ACTC_NO_VIEW;
}
