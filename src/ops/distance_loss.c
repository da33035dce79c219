/* distance_loss.c: losses of two tensors, element by element: L1 and mean squared error. */
#include "exact/loss.h"
#include "loss.h"

typedef struct distance_attributes {
    uint32_t op; /* ACTC_DISTANCE_* */
} distance_attributes;

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    *out = (actc_shape){.ndim = 0};
    return actc_loss_target_matches(op, in, why, why_size);
}

/* An error in the prediction is one in the loss: as in a probability. The target is an input, which nobody may work in. */
static void needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    if (!gradients->input[0])
        return;
    need(user, op, op->inputs[0], ACTC_NEED_PROBABILITY);
    need(user, op, op->inputs[1], ACTC_NEED_FOR_GRADIENT);
}

static uint32_t elements(const actc_lower *lower, const actc_op *op, uint32_t *sample)
{
    const actc_shape *shape = &lower->shapes[op->inputs[0]->id];
    const int64_t n = actc_shape_elements(shape);
    *sample = (uint32_t)(n / shape->dims[0]);
    return (uint32_t)n;
}

static void forward(actc_lower *lower, const actc_op *op)
{
    struct actc_params_distance_loss_fwd params = {.op = ((const distance_attributes *)op->attributes)->op};
    params.n = elements(lower, op, &params.per_sample);
    const uint32_t groups = actc_element_groups(params.n);
    actc_view sums = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, (uint64_t)groups * 4, op->path);
    ACTC_EMIT_ELEMENTWISE(lower, distance_loss_fwd, &params, actc_lower_input(lower, op, 0), actc_lower_input(lower, op, 1),
                          actc_lower_step_block(lower), sums);
    actc_emit_loss(lower, op, sums, groups);
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    struct actc_params_distance_loss_bwd params = {.op = ((const distance_attributes *)op->attributes)->op};
    params.n = elements(lower, op, &params.per_sample);
    params.norm = actc_loss_norm(lower, op, &params.weight);
    actc_view x = actc_lower_restore_all(lower, op->inputs[0]), dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT_ELEMENTWISE(lower, distance_loss_bwd, &params, x, actc_lower_restore_all(lower, op->inputs[1]),
                          actc_lower_step_block(lower), dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_distance_loss_def = {.kind = "loss", .attributes_bytes = sizeof(distance_attributes), .role = ACTC_OP_LOSS,
                                            .infer = infer, .needs = needs, .forward = forward, .backward = backward};

static actc_tensor *append(actc_graph *graph, const char *name, actc_tensor *prediction, actc_tensor *target, uint32_t distance)
{
    actc_tensor *inputs[] = {prediction, target};
    const distance_attributes attributes = {distance};
    if (!actc_graph_accepts(graph, inputs, 2, name))
        return NULL;
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_distance_loss_def, .inputs = inputs, .n_inputs = 2,
                                                     .attributes = &attributes});
}

actc_tensor *actc_l1_loss(actc_graph *graph, const char *name, actc_tensor *prediction, actc_tensor *target)
{
    return append(graph, name, prediction, target, ACTC_DISTANCE_L1);
}

actc_tensor *actc_mse_loss(actc_graph *graph, const char *name, actc_tensor *prediction, actc_tensor *target)
{
    return append(graph, name, prediction, target, ACTC_DISTANCE_L2);
}
