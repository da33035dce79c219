/* autodiff.c: marks live operators from the loss down, gradients from the parameters up, and collects needs. */
#include "autodiff.h"

static bool needs_gradient(const actc_autodiff *autodiff, const actc_tensor *tensor)
{
    return tensor->producer && autodiff->backward[tensor->producer->id];
}

static void collect(void *user, const actc_op *op, const actc_tensor *tensor, actc_need_kind kind)
{
    actc_autodiff *autodiff = user;
    actc_saved_need *entry = NULL;
    for (size_t i = 0; i < autodiff->n_saved; i++)
        if (autodiff->saved[i].tensor == tensor)
            entry = &autodiff->saved[i];
    if (!entry) {
        if (!actc_grow((void **)&autodiff->saved, &autodiff->saved_capacity, autodiff->n_saved + 1, sizeof *autodiff->saved)) {
            autodiff->failed = true;
            return;
        }
        entry = &autodiff->saved[autodiff->n_saved++];
        *entry = (actc_saved_need){.tensor = tensor};
    }
    if (kind == ACTC_NEED_SIGN)
        entry->sign_op = op;
    else if (actc_grow((void **)&entry->values, &entry->values_capacity, entry->n_values + 1, sizeof *entry->values))
        entry->values[entry->n_values++] = (actc_value_need){op, kind};
    else
        autodiff->failed = true;
}

actc_status actc_autodiff_create(const actc_graph *graph, bool training, actc_autodiff *autodiff)
{
    *autodiff = (actc_autodiff){0};
    size_t n = graph->n_ops;
    autodiff->backward = actc_calloc(n, sizeof *autodiff->backward);
    autodiff->gradients = actc_calloc(n, sizeof *autodiff->gradients);
    autodiff->live = actc_calloc(n, sizeof *autodiff->live);
    if (!autodiff->backward || !autodiff->gradients || !autodiff->live) {
        actc_autodiff_destroy(autodiff);
        return actc_out_of_memory(graph->context, n, "differentiation");
    }
    autodiff->live[graph->loss->producer->id] = true;
    for (size_t i = n; i-- > 0;)
        for (uint32_t k = 0; autodiff->live[i] && k < graph->ops[i]->n_inputs; k++)
            if (graph->ops[i]->inputs[k]->producer)
                autodiff->live[graph->ops[i]->inputs[k]->producer->id] = true;
    if (!training)
        return ACTC_OK;
    for (size_t i = 0; i < n; i++) {
        const actc_op *op = graph->ops[i];
        actc_gradient_flags *g = &autodiff->gradients[i];
        for (uint32_t k = 0; k < op->n_inputs; k++)
            autodiff->backward[i] |= g->input[k] = needs_gradient(autodiff, op->inputs[k]);
        for (uint32_t k = 0; k < ACTC_OP_MAX_PARAMETERS; k++)
            autodiff->backward[i] |= g->parameter[k] = op->parameters[k] && !op->parameters[k]->frozen;
        autodiff->backward[i] &= autodiff->live[i];
    }
    for (size_t i = 0; i < n; i++)
        if (autodiff->backward[i] && graph->ops[i]->def->needs)
            graph->ops[i]->def->needs(graph->ops[i], &autodiff->gradients[i], collect, autodiff);
    if (autodiff->failed) {
        actc_autodiff_destroy(autodiff);
        return actc_out_of_memory(graph->context, n, "the list of saved tensors");
    }
    return ACTC_OK;
}

void actc_autodiff_destroy(actc_autodiff *autodiff)
{
    actc_free(autodiff->backward);
    actc_free(autodiff->gradients);
    actc_free(autodiff->live);
    for (size_t i = 0; i < autodiff->n_saved; i++)
        actc_free(autodiff->saved[i].values);
    actc_free(autodiff->saved);
    *autodiff = (actc_autodiff){0};
}
