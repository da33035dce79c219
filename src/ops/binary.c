/* binary.c: sums and products of two tensors, the second repeated along dimensions of 1. */
#include <actc/operators.h>
#include <string.h>

#include "physical.h"

/* b repeats along one run of dimensions in memory: a is (outer, rows, cols), and b (outer, 1, cols). Where it repeats along
 * none rows is 1. False where there is more than one run. */
static bool geometry(const actc_shape *a, const actc_shape *b, uint32_t *outer, uint32_t *rows, uint32_t *cols)
{
    uint32_t da[ACTC_MAX_DIMS], db[ACTC_MAX_DIMS], unused[ACTC_MAX_DIMS];
    actc_physical_dims(a, da, unused);
    actc_physical_dims(b, db, unused);
    *outer = *rows = *cols = 1;
    int part = 0; /* 0: before the run, 1: in it, 2: behind */
    for (int k = 0; k < a->ndim; k++) {
        bool repeats = db[k] != da[k];
        if (da[k] == 1)
            continue;
        if (repeats && part == 2)
            return false;
        part = repeats ? 1 : part == 1 ? 2 : part;
        *(part == 0 ? outer : part == 1 ? rows : cols) *= da[k];
    }
    return true;
}

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    char a[96], b[96];
    uint32_t outer, rows, cols;
    bool good = in[0].ndim == in[1].ndim && op->inputs[0]->dtype == ACTC_F32 && op->inputs[1]->dtype == ACTC_F32;
    for (int d = 0; good && d < in[0].ndim; d++)
        good = in[1].dims[d] == in[0].dims[d] || (in[1].dims[d] == 1 && d > 0);
    if (!good) {
        snprintf(why, why_size, "the inputs' shapes do not go together: %s and %s", actc_shape_text(&in[0], a),
                 actc_shape_text(&in[1], b));
        return false;
    }
    if (!geometry(&in[0], &in[1], &outer, &rows, &cols)) {
        snprintf(why, why_size, "%s repeats along dimensions of %s that do not lie side by side in memory (channels last)",
                 actc_shape_text(&in[1], b), actc_shape_text(&in[0], a));
        return false;
    }
    *out = in[0];
    return true;
}

/* y = a op b over a's elements. */
static void emit(actc_lower *lower, uint32_t op, const actc_shape *sa, const actc_shape *sb, actc_view a, actc_view b, actc_view y)
{
    uint32_t outer, rows, cols;
    geometry(sa, sb, &outer, &rows, &cols);
    struct actc_params_binary params = {.n = outer * rows * cols, .op = op, .alpha = 1.0f, .size = {1, outer, rows, cols},
                                        .sa = {0, rows * cols, cols, 1}, .sb = {0, cols, rows == 1 ? cols : 0, 1}};
    ACTC_EMIT_ELEMENTWISE(lower, binary, &params, a, b, y);
}

static const actc_shape *shape_of(const actc_lower *lower, const actc_op *op, uint32_t index)
{
    return &lower->shapes[op->inputs[index]->id];
}

/* The gradient of b where it repeats: the sum over the rows of dy, or of dy * a. */
static void sum_rows(actc_lower *lower, const actc_op *op, actc_view dy, actc_view a, actc_view db)
{
    uint32_t outer, rows, cols;
    geometry(shape_of(lower, op, 0), shape_of(lower, op, 1), &outer, &rows, &cols);
    actc_emit_reduce(lower, a.bytes ? ACTC_REDUCE_PRODUCT : ACTC_REDUCE_SUM, dy, a, ACTC_NO_VIEW, outer, rows, cols, 1.0f,
                     (actc_view[]){db, ACTC_NO_VIEW}, false);
}

static bool repeats(const actc_lower *lower, const actc_op *op)
{
    return actc_lower_elements(lower, op->inputs[0]) != actc_lower_elements(lower, op->inputs[1]);
}

/* ---- add ---- */

static void add_forward(actc_lower *lower, const actc_op *op)
{
    actc_view a = actc_lower_input(lower, op, 0), b = actc_lower_input(lower, op, 1), y = actc_lower_output_inplace(lower, op);
    emit(lower, ACTC_BINARY_ADD, shape_of(lower, op, 0), shape_of(lower, op, 1), a, b, y);
}

static void add_backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    actc_view dy = actc_lower_output_gradient(lower, op);
    if (gradients->input[0])
        actc_lower_commit_gradient(lower, op, 0, dy);
    if (!gradients->input[1])
        return;
    actc_view db = dy;
    if (repeats(lower, op)) {
        db = actc_lower_input_gradient(lower, op, 1, false);
        sum_rows(lower, op, dy, ACTC_NO_VIEW, db);
    }
    actc_lower_commit_gradient(lower, op, 1, db);
}

const actc_op_def actc_add_def = {.kind = "add", .infer = infer, .forward = add_forward, .backward = add_backward};

/* ---- mul ---- */

static void mul_needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    for (uint32_t i = 0; i < 2; i++)
        if (gradients->input[i])
            need(user, op, op->inputs[1 - i], ACTC_NEED_FOR_GRADIENT);
}

static void mul_forward(actc_lower *lower, const actc_op *op)
{
    actc_view a = actc_lower_input(lower, op, 0), b = actc_lower_input(lower, op, 1), y = actc_lower_output_inplace(lower, op);
    emit(lower, ACTC_BINARY_MUL, shape_of(lower, op, 0), shape_of(lower, op, 1), a, b, y);
}

static void mul_backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    const actc_shape *sa = shape_of(lower, op, 0), *sb = shape_of(lower, op, 1);
    actc_view dy = actc_lower_output_gradient(lower, op);
    /* b's first: a's may take dy's place */
    if (gradients->input[1]) {
        actc_view a = actc_lower_restore_all(lower, op->inputs[0]), db = actc_lower_input_gradient(lower, op, 1, false);
        if (repeats(lower, op))
            sum_rows(lower, op, dy, a, db);
        else
            emit(lower, ACTC_BINARY_MUL, sa, sb, dy, a, db);
        actc_lower_commit_gradient(lower, op, 1, db);
    }
    if (gradients->input[0]) {
        actc_view b = actc_lower_restore_all(lower, op->inputs[1]), da = actc_lower_input_gradient(lower, op, 0, true);
        emit(lower, ACTC_BINARY_MUL, sa, sb, dy, b, da);
        actc_lower_commit_gradient(lower, op, 0, da);
    }
}

const actc_op_def actc_mul_def = {.kind = "mul", .infer = infer, .needs = mul_needs, .forward = mul_forward, .backward = mul_backward};

/* ---- building ---- */

static actc_tensor *build(actc_graph *graph, const char *name, actc_tensor *a, actc_tensor *b, const actc_op_def *def)
{
    actc_tensor *inputs[] = {a, b};
    if (!actc_graph_accepts(graph, inputs, 2, name))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = def, .inputs = inputs, .n_inputs = 2});
}

actc_tensor *actc_add(actc_graph *graph, const char *name, actc_tensor *a, actc_tensor *b)
{
    return build(graph, name, a, b, &actc_add_def);
}

actc_tensor *actc_mul(actc_graph *graph, const char *name, actc_tensor *a, actc_tensor *b)
{
    return build(graph, name, a, b, &actc_mul_def);
}
