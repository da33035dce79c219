/* matmul.c: products of the matrices of two sequences. Saves each operand that the other's gradient needs. */
#include <math.h>

#include "../lower/lower.h"

typedef struct matmul_attributes {
    uint32_t matrices;
    bool transpose_a, transpose_b;
    float scale;
} matmul_attributes;

/* op(a) is (m,k), op(b) is (k,n). */
typedef struct sizes {
    int64_t m, n, k;
} sizes;

static bool sizes_of(const matmul_attributes *a, const actc_shape *in, sizes *out)
{
    if (in[0].ndim != 3 || in[1].ndim != 3 || in[0].dims[0] != in[1].dims[0] || in[0].dims[1] % a->matrices || in[1].dims[1] % a->matrices)
        return false;
    const int64_t rows_a = in[0].dims[1] / a->matrices, rows_b = in[1].dims[1] / a->matrices;
    const int64_t k = a->transpose_b ? in[1].dims[2] : rows_b;
    *out = (sizes){a->transpose_a ? in[0].dims[2] : rows_a, a->transpose_b ? rows_b : in[1].dims[2],
                   a->transpose_a ? rows_a : in[0].dims[2]};
    return out->k == k;
}

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    const matmul_attributes *a = op->attributes;
    char text[2][96];
    sizes s;
    if (!sizes_of(a, in, &s)) {
        snprintf(why, why_size, "needs a B,%u*%s and b B,%u*%s, got %s and %s", a->matrices, a->transpose_a ? "K,M" : "M,K", a->matrices,
                 a->transpose_b ? "N,K" : "K,N", actc_shape_text(&in[0], text[0]), actc_shape_text(&in[1], text[1]));
        return false;
    }
    *out = (actc_shape){.ndim = 3, .dims = {in[0].dims[0], a->matrices * s.m, s.n}};
    return true;
}

static void needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    for (uint32_t i = 0; i < 2; i++)
        if (gradients->input[i])
            need(user, op, op->inputs[1 - i], ACTC_NEED_FOR_GRADIENT);
}

/* Of all samples, or of `samples` of them; matrices lie one behind the other. */
static void emit(actc_lower *lower, const matmul_attributes *a, int64_t samples, int64_t m, int64_t n, int64_t k, bool trans_a,
                 bool trans_b, actc_view left, actc_view right, actc_view to)
{
    actc_gemm gemm = {.m = (uint32_t)m, .n = (uint32_t)n, .k = (uint32_t)k, .trans_a = trans_a, .trans_b = trans_b,
                      .batch = (uint32_t)(samples * a->matrices), .stride_a = (uint32_t)(m * k), .stride_b = (uint32_t)(k * n),
                      .stride_c = (uint32_t)(m * n), .alpha = a->scale};
    actc_emit_gemm(lower, &gemm, (actc_view[]){left, right, ACTC_NO_VIEW, to});
}

static sizes sizes_in(const actc_lower *lower, const actc_op *op)
{
    const actc_shape in[] = {lower->shapes[op->inputs[0]->id], lower->shapes[op->inputs[1]->id]};
    sizes s = {0};
    sizes_of(op->attributes, in, &s);
    return s;
}

static void forward(actc_lower *lower, const actc_op *op)
{
    const matmul_attributes *a = op->attributes;
    const sizes s = sizes_in(lower, op);
    const actc_view left = actc_lower_input(lower, op, 0), right = actc_lower_input(lower, op, 1);
    emit(lower, a, lower->shapes[op->output->id].dims[0], s.m, s.n, s.k, a->transpose_a, a->transpose_b, left, right,
         actc_lower_output(lower, op));
}

/* In how many parts of whole samples to go through one operand, beside the gradients of the other and of the output. */
static uint32_t parts_of(const actc_lower *lower, const actc_op *op, uint32_t saved)
{
    const uint32_t batch = (uint32_t)lower->shapes[op->output->id].dims[0];
    const actc_tensor *all[] = {op->inputs[0], op->inputs[1], op->output};
    uint32_t parts = actc_lower_parts(lower, op->inputs[saved]);
    for (bool whole = false; parts > 1 && !whole; parts -= !whole) {
        whole = batch % parts == 0;
        for (uint32_t i = 0; i < 3; i++)
            whole &= actc_lower_bytes(lower, all[i]) / parts % ACTC_VIEW_ALIGNMENT == 0;
    }
    return parts;
}

static void gradient_of(actc_lower *lower, const actc_op *op, uint32_t index)
{
    const matmul_attributes *a = op->attributes;
    const sizes s = sizes_in(lower, op);
    const actc_tensor *other = op->inputs[1 - index];
    const actc_view dy = actc_lower_output_gradient(lower, op), dx = actc_lower_input_gradient(lower, op, index, false);
    const uint32_t parts = parts_of(lower, op, 1 - index), samples = (uint32_t)lower->shapes[op->output->id].dims[0] / parts;
    for (uint32_t i = 0; i < parts && lower->status == ACTC_OK; i++) {
        const actc_view g = actc_lower_part(dy, i * (dy.bytes / parts), dy.bytes / parts);
        const actc_view to = actc_lower_part(dx, i * (dx.bytes / parts), dx.bytes / parts);
        const actc_view x = actc_lower_restore(lower, other, i * samples, samples);
        if (index == 0 && !a->transpose_a)
            emit(lower, a, samples, s.m, s.k, s.n, false, !a->transpose_b, g, x, to);
        else if (index == 0)
            emit(lower, a, samples, s.k, s.m, s.n, a->transpose_b, true, x, g, to);
        else if (!a->transpose_b)
            emit(lower, a, samples, s.k, s.n, s.m, !a->transpose_a, false, x, g, to);
        else
            emit(lower, a, samples, s.n, s.k, s.m, true, a->transpose_a, g, x, to);
    }
    actc_lower_commit_gradient(lower, op, index, dx);
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    for (uint32_t i = 0; i < 2; i++)
        if (gradients->input[i])
            gradient_of(lower, op, i);
}

const actc_op_def actc_matmul_def = {.kind = "matmul", .attributes_bytes = sizeof(matmul_attributes), .infer = infer, .needs = needs,
                                     .forward = forward, .backward = backward};

actc_matmul_options actc_matmul_options_default(void)
{
    return (actc_matmul_options){.size = sizeof(actc_matmul_options), .matrices = 1, .scale = 1};
}

actc_tensor *actc_matmul(actc_graph *graph, const char *name, actc_tensor *a, actc_tensor *b, const actc_matmul_options *given)
{
    actc_tensor *inputs[] = {a, b};
    if (!actc_graph_accepts(graph, inputs, 2, name))
        return NULL;
    actc_matmul_options o, defaults = actc_matmul_options_default();
    if (!actc_graph_take_options(graph, name, "actc_matmul_options", given ? given : &defaults, sizeof o, &defaults, &o))
        return NULL;
    if (o.matrices < 1 || o.matrices > 65535)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (matmul): matrices is %lld, must be 1 to 65535", name,
                               (long long)o.matrices);
    if (!(fabs(o.scale) >= 1e-6 && fabs(o.scale) <= 1e6))
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                               "%s (matmul): scale is %g, its magnitude must be 1e-6 to 1e6", name, o.scale);
    const matmul_attributes attributes = {(uint32_t)o.matrices, o.transpose_a, o.transpose_b, (float)o.scale};
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_matmul_def, .inputs = inputs, .n_inputs = 2,
                                                     .attributes = &attributes});
}
