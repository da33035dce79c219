/* unary.c: element-wise functions of one tensor: an operation of exact/unary.h each. */
#include <math.h>

#include "../exact/unary.h"
#include "../lower/lower.h"

typedef struct unary_attributes {
    uint32_t op; /* ACTC_UNARY_* */
    float a, b;
} unary_attributes;

/* What the slope is computed from, which exact/unary.h says of each operation. */
typedef enum slope_source { FROM_NOTHING, FROM_INPUT, FROM_OUTPUT } slope_source;

#define SOURCE(op, name, saved) [ACTC_UNARY_##op] = FROM_##saved,
static const slope_source slope_sources[ACTC_UNARY_OPS] = {ACTC_UNARY_LIST(SOURCE)};

/* NULL where the slope is the same everywhere. */
static const actc_tensor *saved_tensor(const actc_op *op)
{
    slope_source source = slope_sources[((const unary_attributes *)op->attributes)->op];
    return source == FROM_INPUT ? op->inputs[0] : source == FROM_OUTPUT ? op->output : NULL;
}

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    (void)op, (void)why, (void)why_size;
    *out = in[0];
    return true;
}

static void needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    const actc_tensor *saved = saved_tensor(op);
    if (saved && gradients->input[0])
        need(user, op, saved, ACTC_NEED_FOR_GRADIENT);
}

static void forward(actc_lower *lower, const actc_op *op)
{
    const unary_attributes *u = op->attributes;
    struct actc_params_unary params = {.n = (uint32_t)actc_lower_elements(lower, op->output), .op = u->op, .a = u->a, .b = u->b};
    actc_view x = actc_lower_input(lower, op, 0), y = actc_lower_output_inplace(lower, op);
    ACTC_EMIT_ELEMENTWISE(lower, unary, &params, x, y);
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    const unary_attributes *u = op->attributes;
    const actc_tensor *from = saved_tensor(op);
    struct actc_params_unary_bwd params = {.n = (uint32_t)actc_lower_elements(lower, op->output), .op = u->op, .a = u->a};
    actc_view dy = actc_lower_output_gradient(lower, op), saved = from ? actc_lower_restore_all(lower, from) : ACTC_NO_VIEW;
    actc_view dx = actc_lower_input_gradient(lower, op, 0, true);
    ACTC_EMIT_ELEMENTWISE(lower, unary_bwd, &params, dy, saved, dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

#define UNARY_DEF(op, name, saved)                                                                                                   \
    const actc_op_def actc_##name##_def = {.kind = #name, .attributes_bytes = sizeof(unary_attributes), .infer = infer, .needs = needs, \
                                           .forward = forward, .backward = backward};
ACTC_UNARY_LIST(UNARY_DEF)

static actc_tensor *build(actc_graph *graph, const char *name, actc_tensor *x, const actc_op_def *def, unary_attributes attributes)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    if (!isfinite(attributes.a) || !isfinite(attributes.b))
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (%s): the numbers are %g and %g, must be finite", name, def->kind,
                               (double)attributes.a, (double)attributes.b);
    return actc_graph_append(graph, name, &(actc_op){.def = def, .inputs = &x, .n_inputs = 1, .attributes = &attributes});
}

actc_tensor *actc_sigmoid(actc_graph *graph, const char *name, actc_tensor *x)
{
    return build(graph, name, x, &actc_sigmoid_def, (unary_attributes){.op = ACTC_UNARY_SIGMOID});
}

actc_tensor *actc_tanh(actc_graph *graph, const char *name, actc_tensor *x)
{
    return build(graph, name, x, &actc_tanh_def, (unary_attributes){.op = ACTC_UNARY_TANH});
}

actc_tensor *actc_silu(actc_graph *graph, const char *name, actc_tensor *x)
{
    return build(graph, name, x, &actc_silu_def, (unary_attributes){.op = ACTC_UNARY_SILU});
}

actc_tensor *actc_gelu(actc_graph *graph, const char *name, actc_tensor *x)
{
    return build(graph, name, x, &actc_gelu_def, (unary_attributes){.op = ACTC_UNARY_GELU});
}

actc_tensor *actc_leaky_relu(actc_graph *graph, const char *name, actc_tensor *x, double slope)
{
    if (!(slope >= 1e-6 && slope <= 1e6)) /* so that the output has the input's sign */
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (leaky_relu): slope is %g, must be 1e-6 to 1e6",
                               name ? name : "(null)", slope);
    return build(graph, name, x, &actc_leaky_relu_def, (unary_attributes){.op = ACTC_UNARY_LEAKY_RELU, .a = (float)slope});
}

actc_tensor *actc_scale(actc_graph *graph, const char *name, actc_tensor *x, double a, double b)
{
    return build(graph, name, x, &actc_scale_def, (unary_attributes){.op = ACTC_UNARY_SCALE, .a = (float)a, .b = (float)b});
}
