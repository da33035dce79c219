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

/* The levels of slopes kept in `bits` bits. 0 and 1 are among them, which most slopes are near, but for the sigmoid's, whose
 * range is 0 to 1/4; the slopes of silu and gelu lie between -0.13 and 1.13, symmetrically about 1/2, and so do their levels. */
typedef struct levels {
    uint32_t zero, per_one;
} levels;

static levels levels_of(uint32_t op, uint32_t bits)
{
    uint32_t last = (1u << bits) - 1;
    if (op == ACTC_UNARY_SIGMOID)
        return (levels){0, 4 * last};
    if (op == ACTC_UNARY_TANH)
        return (levels){0, last};
    uint32_t zero = bits == 2 ? 0 : bits == 4 ? 1 : 26;
    return (levels){zero, last - 2 * zero};
}

static void forward(actc_lower *lower, const actc_op *op)
{
    const unary_attributes *u = op->attributes;
    const uint32_t n = (uint32_t)actc_lower_elements(lower, op->output), bits = actc_lower_slope_bits(lower, op);
    actc_view x = actc_lower_input(lower, op, 0), y = actc_lower_output_inplace(lower, op);
    if (bits) {
        const levels l = levels_of(u->op, bits);
        struct actc_params_unary_slopes kept = {.n = n, .op = u->op, .bits = bits, .zero = l.zero, .per_one = (float)l.per_one};
        ACTC_EMIT_ELEMENTWISE(lower, unary_slopes, &kept, x, y, actc_lower_keep_slopes(lower, op));
        return;
    }
    struct actc_params_unary params = {.n = n, .op = u->op, .a = u->a, .b = u->b};
    ACTC_EMIT_ELEMENTWISE(lower, unary, &params, x, y);
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    const unary_attributes *u = op->attributes;
    const actc_tensor *from = saved_tensor(op);
    const uint32_t n = (uint32_t)actc_lower_elements(lower, op->output), bits = actc_lower_slope_bits(lower, op);
    actc_view dy = actc_lower_output_gradient(lower, op), dx;
    if (bits) {
        const levels l = levels_of(u->op, bits);
        struct actc_params_unary_bwd_slopes kept = {.n = n, .bits = bits, .zero = l.zero, .step = (float)(1.0 / l.per_one)};
        dx = actc_lower_input_gradient(lower, op, 0, true);
        ACTC_EMIT_ELEMENTWISE(lower, unary_bwd_slopes, &kept, dy, actc_lower_kept(lower, op, 0), dx);
    } else {
        struct actc_params_unary_bwd params = {.n = n, .op = u->op, .a = u->a};
        actc_view saved = from ? actc_lower_restore_all(lower, from) : ACTC_NO_VIEW;
        dx = actc_lower_input_gradient(lower, op, 0, true);
        ACTC_EMIT_ELEMENTWISE(lower, unary_bwd, &params, dy, saved, dx);
    }
    actc_lower_commit_gradient(lower, op, 0, dx);
}

/* Those without numbers of their own, whose slopes have a known range. */
#define KEEPS_SLOPES(op) ((op) < ACTC_UNARY_SCALE)
#define UNARY_DEF(op, name, saved)                                                                                                   \
    const actc_op_def actc_##name##_def = {.kind = #name, .attributes_bytes = sizeof(unary_attributes), .infer = infer, .needs = needs, \
                                           .keeps_slopes = KEEPS_SLOPES(ACTC_UNARY_##op), .forward = forward, .backward = backward};
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
