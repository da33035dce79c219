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
            same = d == a->axis || in[i].dims[d] == in[0].dims[d];
        if (!same) {
            snprintf(why, why_size, "the inputs' shapes differ beside axis %d: %s and %s", a->axis, actc_shape_text(&in[0], first),
                     actc_shape_text(&in[i], other));
            return false;
        }
        out->dims[a->axis] += in[i].dims[a->axis];
    }
    return true;
}

/* The box of input `index` inside the output: both are (outer, axis, inner) in memory; *at is where it begins in the output. */
static struct actc_params_copy_nd box(const actc_lower *lower, const actc_op *op, uint32_t index, uint32_t *at)
{
    const int axis = ((const actc_concat_attributes *)op->attributes)->axis;
    const actc_shape *part = &lower->shapes[op->inputs[index]->id], *whole = &lower->shapes[op->output->id];
    uint32_t dims[ACTC_MAX_DIMS], strides[ACTC_MAX_DIMS], whole_dims[ACTC_MAX_DIMS], whole_strides[ACTC_MAX_DIMS];
    actc_physical_dims(part, dims, strides);
    actc_physical_dims(whole, whole_dims, whole_strides);
    const int k = actc_physical_axis(part, axis);
    const uint32_t inner = strides[k], n = (uint32_t)actc_shape_elements(part), length = inner * dims[k];
    *at = 0;
    for (uint32_t i = 0; i < index; i++)
        *at += (uint32_t)lower->shapes[op->inputs[i]->id].dims[axis] * inner;
    return (struct actc_params_copy_nd){.n = n, .size = {1, 1, 1, 1, n / length, length}, .ss = {0, 0, 0, 0, length, 1},
                                        .ds = {0, 0, 0, 0, whole_dims[k] * inner, 1}};
}

/* The first input takes at most half of each row of the output, so that rows can change places with what is yet to be moved. */
static bool spreads(const actc_lower *lower, const actc_op *op)
{
    uint32_t at;
    const struct actc_params_copy_nd first = box(lower, op, 0, &at);
    return op->n_inputs > 1 && 2 * (uint64_t)first.size[5] <= first.ds[4];
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

/* All rows but the first, which has one place. No launch reads where it writes: the last half of the rows first, into memory that none
 * of them lies in, and then that of what is left; back in the opposite order. */
static void emit_spread(actc_lower *lower, const struct actc_params_copy_nd *rows, uint32_t end, bool back, actc_view memory)
{
    const uint32_t begin = end / 2 + end % 2;
    if (end < 2 || lower->status != ACTC_OK)
        return;
    if (back)
        emit_spread(lower, rows, begin, back, memory);
    emit_rows(lower, *rows, begin, end, back, memory);
    if (!back)
        emit_spread(lower, rows, begin, back, memory);
}

static void forward(actc_lower *lower, const actc_op *op)
{
    bool inside;
    actc_view y = actc_lower_output_around(lower, op, &inside);
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        uint32_t at;
        struct actc_params_copy_nd params = box(lower, op, i, &at);
        params.target_at = at;
        if (i == 0 && inside)
            emit_spread(lower, &params, params.size[4], false, y);
        else
            ACTC_EMIT_ELEMENTWISE(lower, copy_nd, &params, actc_lower_input(lower, op, i), y);
    }
}

static void input_gradient(actc_lower *lower, const actc_op *op, uint32_t index)
{
    uint32_t at, stride;
    struct actc_params_copy_nd params = box(lower, op, index, &at);
    params.source_at = at; /* and from the whole to the part */
    stride = params.ss[4];
    params.ss[4] = params.ds[4];
    params.ds[4] = stride;
    actc_view dx = actc_lower_input_gradient(lower, op, index, false);
    ACTC_EMIT_ELEMENTWISE(lower, copy_nd, &params, actc_lower_output_gradient(lower, op), dx);
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
    uint32_t at;
    const struct actc_params_copy_nd params = box(lower, op, 0, &at);
    emit_spread(lower, &params, params.size[4], true, actc_lower_output_gradient(lower, op));
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
