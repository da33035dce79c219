/* concat.c: tensors one behind the other along an axis. */
#include "../lower/lower.h"
#include "physical.h"

typedef struct actc_concat_attributes {
    int32_t axis;
} actc_concat_attributes;

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    const actc_concat_attributes *a = op->attributes;
    char first[96], other[96];
    *out = in[0];
    for (uint32_t i = 1; i < op->n_inputs; i++) {
        bool same = in[i].ndim == in[0].ndim;
        for (int d = 0; d < in[0].ndim && same; d++)
            same = d == a->axis || in[i].dims[d] == in[0].dims[d] || (d == 0 && (in[i].dims[0] == 1 || in[0].dims[0] == 1));
        if (!same) {
            snprintf(why, why_size, "the inputs' shapes differ beside axis %d: %s and %s", a->axis, actc_shape_text(&in[0], first),
                     actc_shape_text(&in[i], other));
            return false;
        }
        out->dims[a->axis] += in[i].dims[a->axis];
        out->dims[0] = in[i].dims[0] > out->dims[0] ? in[i].dims[0] : out->dims[0];
    }
    return true;
}

static bool is_broadcast(const actc_lower *lower, const actc_op *op, uint32_t index)
{
    return lower->shapes[op->inputs[index]->id].dims[0] < lower->shapes[op->output->id].dims[0];
}

/* The box of input `index`, in every sample, inside the output: both are (outer, axis, inner) in memory. `back`: the other way
 * round, to what has every sample of the part even where the input is broadcast. */
static struct actc_params_copy_nd box(const actc_lower *lower, const actc_op *op, uint32_t index, bool back)
{
    const int axis = ((const actc_concat_attributes *)op->attributes)->axis;
    const actc_shape *part = &lower->shapes[op->inputs[index]->id], *whole = &lower->shapes[op->output->id];
    uint32_t dims[ACTC_MAX_DIMS], strides[ACTC_MAX_DIMS], whole_dims[ACTC_MAX_DIMS], whole_strides[ACTC_MAX_DIMS];
    actc_physical_dims(part, dims, strides);
    actc_physical_dims(whole, whole_dims, whole_strides);
    const int k = actc_physical_axis(part, axis);
    const uint32_t inner = strides[k], length = inner * dims[k], batch = whole_dims[0], sample = strides[0];
    const uint32_t part_strides[] = {is_broadcast(lower, op, index) && !back ? 0 : sample, length, 1};
    const uint32_t in_whole[] = {whole_strides[0], whole_dims[k] * inner, 1};
    uint32_t at = 0;
    for (uint32_t i = 0; i < index; i++)
        at += (uint32_t)lower->shapes[op->inputs[i]->id].dims[axis] * inner;
    struct actc_params_copy_nd params = {.n = batch * sample, .size = {1, 1, 1, batch, sample / length, length}};
    for (int i = 0; i < 3; i++) {
        params.ss[3 + i] = back ? in_whole[i] : part_strides[i];
        params.ds[3 + i] = back ? part_strides[i] : in_whole[i];
    }
    *(back ? &params.source_at : &params.target_at) = at;
    return params;
}

static void forward(actc_lower *lower, const actc_op *op)
{
    actc_view y = actc_lower_output(lower, op);
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        struct actc_params_copy_nd params = box(lower, op, i, false);
        ACTC_EMIT_ELEMENTWISE(lower, copy_nd, &params, actc_lower_input(lower, op, i), y);
    }
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        if (!gradients->input[i])
            continue;
        struct actc_params_copy_nd params = box(lower, op, i, true);
        const bool broadcast = is_broadcast(lower, op, i);
        actc_view dx = actc_lower_input_gradient(lower, op, i, false);
        actc_view part = broadcast ? actc_lower_new(lower, ACTC_MEMORY_WORKSPACE, 4ull * params.n, "gradients of samples") : dx;
        ACTC_EMIT_ELEMENTWISE(lower, copy_nd, &params, actc_lower_output_gradient(lower, op), part);
        if (broadcast)
            actc_emit_column_sum(lower, part, params.size[3], params.n / params.size[3], dx, false);
        actc_lower_commit_gradient(lower, op, i, dx);
    }
}

const actc_op_def actc_concat_def = {.kind = "concat", .attributes_bytes = sizeof(actc_concat_attributes), .infer = infer,
                                     .forward = forward, .backward = backward};

actc_tensor *actc_concat(actc_graph *graph, const char *name, actc_tensor *const *inputs, uint32_t count, int axis)
{
    if (!inputs || count < 1)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (concat): %u inputs given, at least 1 is needed",
                               name ? name : "(null)", inputs ? count : 0);
    if (!actc_graph_accepts(graph, inputs, count, name))
        return NULL;
    if (axis < 1 || axis >= inputs[0]->shape.ndim)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (concat): axis %d; 1 to %d are accepted", name, axis,
                               inputs[0]->shape.ndim - 1);
    actc_concat_attributes a = {.axis = axis};
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_concat_def, .inputs = (actc_tensor **)inputs, .n_inputs = count,
                                                     .attributes = &a});
}
