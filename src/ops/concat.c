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

/* The rows of the first input, which is not broadcast, through all samples. */
static struct actc_params_copy_nd rows_of(const actc_lower *lower, const actc_op *op)
{
    struct actc_params_copy_nd rows = box(lower, op, 0, false);
    rows.size[4] *= rows.size[3];
    rows.size[3] = 1;
    rows.ss[3] = rows.ds[3] = 0;
    return rows;
}

/* The first input takes at most half of each row of the output, so that rows can change places with what is yet to be moved. */
static bool spreads(const actc_lower *lower, const actc_op *op)
{
    const struct actc_params_copy_nd rows = rows_of(lower, op);
    return op->n_inputs > 1 && !is_broadcast(lower, op, 0) && 2 * (uint64_t)rows.size[5] <= rows.ds[4];
}

/* Rows [begin, end) of the first input between their places at the beginning of the output's memory, one behind the other, and those
 * in the output. */
static void emit_rows(actc_lower *lower, struct actc_params_copy_nd rows, uint32_t begin, uint32_t end, bool back, actc_view memory)
{
    const uint32_t packed = begin * rows.ss[4], spread = begin * rows.ds[4], stride = rows.ss[4];
    rows.size[4] = end - begin;
    rows.n = rows.size[4] * rows.size[5];
    rows.source_at = back ? spread : packed;
    rows.target_at = back ? packed : spread;
    rows.ss[4] = back ? rows.ds[4] : stride;
    rows.ds[4] = back ? stride : rows.ds[4];
    ACTC_EMIT_ELEMENTWISE(lower, copy_nd, &rows, memory, memory);
}

/* Rows [1, end), for the first has one place. No launch reads where it writes: the last half of the rows first, into memory that none
 * of them lies in, and then that of what is left; back in the opposite order. */
static void emit_halves(actc_lower *lower, const struct actc_params_copy_nd *rows, uint32_t end, bool back, actc_view memory)
{
    const uint32_t begin = end / 2 + end % 2;
    if (end < 2 || lower->status != ACTC_OK)
        return;
    if (back)
        emit_halves(lower, rows, begin, back, memory);
    emit_rows(lower, *rows, begin, end, back, memory);
    if (!back)
        emit_halves(lower, rows, begin, back, memory);
}

static void emit_spread(actc_lower *lower, struct actc_params_copy_nd rows, bool back, actc_view memory)
{
    emit_halves(lower, &rows, rows.size[4], back, memory);
}

static void forward(actc_lower *lower, const actc_op *op)
{
    bool inside;
    actc_view y = actc_lower_output_around(lower, op, &inside);
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        const struct actc_params_copy_nd params = box(lower, op, i, false);
        if (i == 0 && inside)
            emit_spread(lower, rows_of(lower, op), false, y);
        else
            ACTC_EMIT_ELEMENTWISE(lower, copy_nd, &params, actc_lower_input(lower, op, i), y);
    }
}

static void input_gradient(actc_lower *lower, const actc_op *op, uint32_t index)
{
    const struct actc_params_copy_nd params = box(lower, op, index, true);
    const bool broadcast = is_broadcast(lower, op, index);
    actc_view dx = actc_lower_input_gradient(lower, op, index, false);
    actc_view part = broadcast ? actc_lower_new(lower, ACTC_MEMORY_WORKSPACE, 4ull * params.n, "gradients of samples") : dx;
    ACTC_EMIT_ELEMENTWISE(lower, copy_nd, &params, actc_lower_output_gradient(lower, op), part);
    if (broadcast)
        actc_emit_column_sum(lower, part, params.size[3], params.n / params.size[3], dx, false);
    actc_lower_commit_gradient(lower, op, index, dx);
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    const actc_view inside = gradients->input[0] ? actc_lower_gradient_inside(lower, op) : ACTC_NO_VIEW;
    for (uint32_t i = inside.bytes ? 1 : 0; i < op->n_inputs; i++)
        if (gradients->input[i])
            input_gradient(lower, op, i);
    if (!inside.bytes)
        return;
    emit_spread(lower, rows_of(lower, op), true, actc_lower_output_gradient(lower, op));
    actc_lower_commit_gradient(lower, op, 0, inside);
}

const actc_op_def actc_concat_def = {.kind = "concat", .attributes_bytes = sizeof(actc_concat_attributes), .infer = infer,
                                     .spreads = spreads, .forward = forward, .backward = backward};

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
