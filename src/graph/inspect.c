/* inspect.c: what a graph is made of, for those who look at it. */
#include "op.h"

size_t actc_graph_operator_count(const actc_graph *graph)
{
    return graph->n_ops;
}

/* Whether an operator before this one has the parameter too. */
static bool shared_before(const actc_graph *graph, size_t index, const actc_parameter *parameter)
{
    for (size_t i = 0; i < index; i++)
        for (uint32_t k = 0; k < graph->ops[i]->n_parameters; k++)
            if (graph->ops[i]->parameters[k] == parameter)
                return true;
    return false;
}

actc_status actc_graph_operator_info(const actc_graph *graph, size_t index, actc_operator_info *info)
{
    if (index >= graph->n_ops)
        return actc_fail(graph->context, ACTC_ERROR_INVALID_ARGUMENT, "operator %zu: there are %zu", index, graph->n_ops);
    const actc_op *op = graph->ops[index];
    actc_operator_info full = {.size = sizeof full, .path = op->path, .kind = op->def->kind, .shape = op->output->shape};
    for (uint32_t k = 0; k < op->n_parameters; k++)
        if (op->parameters[k] && op->parameters[k]->role == ACTC_ROLE_WEIGHT && !shared_before(graph, index, op->parameters[k]))
            full.parameters += actc_shape_elements(&op->parameters[k]->shape);
    return actc_give_info(graph->context, "actc_operator_info", info, sizeof full, &full);
}

const char *actc_graph_operator_input(const actc_graph *graph, size_t index, size_t input)
{
    if (index >= graph->n_ops || input >= graph->ops[index]->n_inputs)
        return NULL;
    return graph->ops[index]->inputs[input]->name;
}

size_t actc_graph_input_count(const actc_graph *graph)
{
    return graph->n_inputs;
}

actc_status actc_graph_input_info(const actc_graph *graph, size_t index, actc_input_info *info)
{
    if (index >= graph->n_inputs)
        return actc_fail(graph->context, ACTC_ERROR_INVALID_ARGUMENT, "input %zu: there are %zu", index, graph->n_inputs);
    const actc_tensor *input = graph->inputs[index];
    actc_input_info full = {.size = sizeof full, .name = input->name, .dtype = input->dtype, .shape = input->shape};
    return actc_give_info(graph->context, "actc_input_info", info, sizeof full, &full);
}
