/* parameter.c: a parameter as a tensor of batch 1, which other operators broadcast over the batch: class tokens, position embeddings. */
#include "../lower/lower.h"

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    char text[96];
    (void)in;
    *out = op->parameters[0]->shape;
    if (out->dims[0] == 1)
        return true;
    snprintf(why, why_size, "parameter %s is %s, its first dimension, the batch, must be 1", op->parameters[0]->name,
             actc_shape_text(out, text));
    return false;
}

/* A copy, which operators may work on in place. */
static void forward(actc_lower *lower, const actc_op *op)
{
    actc_emit_copy(lower, actc_lower_parameter(lower, op->parameters[0]), actc_lower_output(lower, op));
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (gradients->parameter[0])
        actc_lower_give_parameter_gradient(lower, op->parameters[0], actc_lower_output_gradient(lower, op));
}

const actc_op_def actc_parameter_def = {.kind = "parameter", .infer = infer, .forward = forward, .backward = backward};

actc_tensor *actc_parameter_tensor(actc_graph *graph, const char *name, actc_parameter *parameter)
{
    if (!actc_graph_accepts(graph, NULL, 0, name))
        return NULL;
    if (!parameter || parameter->graph != graph)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (parameter): the parameter is %s", name,
                               parameter ? "of another graph" : "NULL");
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_parameter_def, .parameters = &parameter, .n_parameters = 1});
}
