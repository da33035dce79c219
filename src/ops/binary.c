/* binary.c: sums and products of two tensors, broadcast as in PyTorch. */
#include <string.h>

#include "../exact/binary.h"
#include "physical.h"

/* Neighbouring axes of the output, as they lie in memory, along which the same inputs are broadcast. */
typedef struct run {
    uint32_t size;
    bool fixed[2]; /* the input has one element along all of it */
} run;

#define MAX_RUNS 4

/* The number of runs, MAX_RUNS + 1 where they are more. Axes of one element belong to any run; the batch, whose size is not
 * known yet when a graph is built, is an axis of its own kind, and along it only what is made of parameters has a size of 1. */
static int find_runs(const actc_shape in[2], const actc_shape *out, run runs[MAX_RUNS])
{
    uint32_t dims[3][ACTC_MAX_DIMS], strides[ACTC_MAX_DIMS];
    int n = 0;
    for (int i = 0; i < 2; i++)
        actc_physical_dims(&in[i], dims[i], strides);
    actc_physical_dims(out, dims[2], strides);
    for (int k = 0; k < out->ndim; k++) {
        const bool fixed[2] = {dims[0][k] < dims[2][k], dims[1][k] < dims[2][k]};
        if (k > 0 && dims[2][k] == 1)
            continue;
        if (n && runs[n - 1].fixed[0] == fixed[0] && runs[n - 1].fixed[1] == fixed[1]) {
            runs[n - 1].size *= dims[2][k];
            continue;
        }
        if (n == MAX_RUNS)
            return MAX_RUNS + 1;
        runs[n++] = (run){dims[2][k], {fixed[0], fixed[1]}};
    }
    return n;
}

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    char a[96], b[96];
    run runs[MAX_RUNS];
    (void)op;
    bool fits = in[0].ndim == in[1].ndim;
    *out = in[0];
    for (int d = 0; fits && d < out->ndim; d++) {
        fits = in[0].dims[d] == in[1].dims[d] || in[0].dims[d] == 1 || in[1].dims[d] == 1;
        out->dims[d] = in[0].dims[d] > in[1].dims[d] ? in[0].dims[d] : in[1].dims[d];
    }
    if (!fits)
        snprintf(why, why_size, "the inputs' shapes differ: %s and %s, must be equal, or 1 where they differ",
                 actc_shape_text(&in[0], a), actc_shape_text(&in[1], b));
    else if (find_runs(in, out, runs) > MAX_RUNS)
        snprintf(why, why_size, "%s and %s are broadcast along axes too far apart: channels last, at most %d runs of axes may differ",
                 actc_shape_text(&in[0], a), actc_shape_text(&in[1], b), MAX_RUNS);
    else
        return true;
    return false;
}

/* y, of the output's shape, from views of the shapes of input 0 (or of the output: `dense`) and of input `second`. */
static void emit(actc_lower *lower, const actc_op *op, uint32_t operation, bool dense, uint32_t second, actc_view a, actc_view b,
                 actc_view y)
{
    const actc_shape in[2] = {lower->shapes[op->inputs[0]->id], lower->shapes[op->inputs[1]->id]}, *out = &lower->shapes[op->output->id];
    struct actc_params_binary params = {.n = (uint32_t)actc_shape_elements(out), .op = operation, .size = {1, 1, 1, 1}};
    run runs[MAX_RUNS];
    int n = find_runs(in, out, runs);
    uint32_t sa = 1, sb = 1;
    for (int k = n; k-- > 0;) { /* aligned to the innermost */
        const run *r = &runs[k];
        const int at = k + MAX_RUNS - n;
        const bool a_fixed = !dense && r->fixed[0], b_fixed = r->fixed[second];
        params.size[at] = r->size;
        params.sa[at] = a_fixed ? 0 : sa;
        params.sb[at] = b_fixed ? 0 : sb;
        sa *= a_fixed ? 1 : r->size;
        sb *= b_fixed ? 1 : r->size;
    }
    ACTC_EMIT_ELEMENTWISE(lower, binary, &params, a, b, y);
}

static bool is_broadcast(const actc_lower *lower, const actc_op *op, uint32_t index)
{
    return actc_lower_elements(lower, op->inputs[index]) != actc_lower_elements(lower, op->output);
}

/* Sums a gradient of the output's shape over the axes along which input `index` was broadcast, the outer ones first. */
static void emit_sums(actc_lower *lower, const actc_op *op, uint32_t index, actc_view gradient, actc_view dx)
{
    const actc_shape in[2] = {lower->shapes[op->inputs[0]->id], lower->shapes[op->inputs[1]->id]}, *out = &lower->shapes[op->output->id];
    run runs[MAX_RUNS];
    int n = find_runs(in, out, runs), left = 0;
    for (int k = 0; k < n; k++)
        left += runs[k].fixed[index];
    uint32_t outer = 1, inner = (uint32_t)actc_shape_elements(out);
    for (int k = 0; k < n; k++) {
        inner /= runs[k].size;
        if (!runs[k].fixed[index]) {
            outer *= runs[k].size;
            continue;
        }
        actc_view sums[2] = {--left ? actc_lower_new(lower, ACTC_MEMORY_WORKSPACE, 4ull * outer * inner, "sums") : dx, ACTC_NO_VIEW};
        actc_emit_reduce(lower, ACTC_REDUCE_SUM, gradient, ACTC_NO_VIEW, ACTC_NO_VIEW, outer, runs[k].size, inner, 1.0f, sums, false);
        gradient = sums[0];
    }
}

static actc_tensor *build(actc_graph *graph, const char *name, actc_tensor *a, actc_tensor *b, const actc_op_def *def)
{
    actc_tensor *inputs[] = {a, b};
    if (!actc_graph_accepts(graph, inputs, 2, name))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = def, .inputs = inputs, .n_inputs = 2});
}

/* ---- add ---- */

static void add_forward(actc_lower *lower, const actc_op *op)
{
    actc_view a = actc_lower_input(lower, op, 0), b = actc_lower_input(lower, op, 1), y = actc_lower_output_inplace(lower, op);
    const bool dense = !is_broadcast(lower, op, 0) && !is_broadcast(lower, op, 1);
    const bool on_a = actc_same_place(y, a), on_b = actc_same_place(y, b);
    if (dense && on_a != on_b && actc_emit_fused_add(lower, on_a ? b : a, y))
        return;
    emit(lower, op, ACTC_BINARY_ADD, false, 1, a, b, y);
}

static void add_backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    for (uint32_t i = 0; i < 2; i++) {
        actc_view dx = actc_lower_output_gradient(lower, op);
        if (!gradients->input[i])
            continue;
        if (is_broadcast(lower, op, i)) {
            actc_view dy = dx;
            dx = actc_lower_input_gradient(lower, op, i, false);
            emit_sums(lower, op, i, dy, dx);
        }
        actc_lower_commit_gradient(lower, op, i, dx);
    }
}

const actc_op_def actc_add_def = {.kind = "add", .infer = infer, .forward = add_forward, .backward = add_backward};

actc_tensor *actc_add(actc_graph *graph, const char *name, actc_tensor *a, actc_tensor *b)
{
    return build(graph, name, a, b, &actc_add_def);
}

/* ---- mul ---- */

static void mul_needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    for (uint32_t i = 0; i < 2; i++)
        if (gradients->input[i] && !(i == 1 && op->inputs[0] == op->inputs[1]))
            need(user, op, op->inputs[1 - i], ACTC_NEED_FOR_GRADIENT);
}

static void mul_forward(actc_lower *lower, const actc_op *op)
{
    actc_view a = actc_lower_input(lower, op, 0), b = actc_lower_input(lower, op, 1), y = actc_lower_output_inplace(lower, op);
    emit(lower, op, ACTC_BINARY_MUL, false, 1, a, b, y);
}

static void mul_backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (!gradients->input[i])
            continue;
        actc_view dy = actc_lower_output_gradient(lower, op), other = actc_lower_restore_all(lower, op->inputs[1 - i]);
        bool broadcast = is_broadcast(lower, op, i), last = i == 1 || !gradients->input[1]; /* to read dy */
        actc_view dx = actc_lower_input_gradient(lower, op, i, last && !broadcast);
        actc_view product = broadcast ? actc_lower_new(lower, ACTC_MEMORY_WORKSPACE, dy.bytes, "products") : dx;
        emit(lower, op, ACTC_BINARY_MUL, true, 1 - i, dy, other, product);
        if (broadcast)
            emit_sums(lower, op, i, product, dx);
        actc_lower_commit_gradient(lower, op, i, dx);
    }
}

const actc_op_def actc_mul_def = {.kind = "mul", .infer = infer, .needs = mul_needs, .forward = mul_forward, .backward = mul_backward};

actc_tensor *actc_mul(actc_graph *graph, const char *name, actc_tensor *a, actc_tensor *b)
{
    return build(graph, name, a, b, &actc_mul_def);
}
