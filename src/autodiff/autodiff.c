/* autodiff.c: marks live operators from their roots down, gradients from the parameters up, and collects needs. */
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

void actc_autodiff_live(const actc_graph *graph, unsigned roots, bool *live)
{
    for (size_t i = 0; roots & ACTC_ROOT_LOSSES && i < graph->n_losses; i++)
        live[graph->losses[i].tensor->producer->id] = true;
    for (size_t i = 0; roots & ACTC_ROOT_METRICS && i < graph->n_metrics; i++)
        live[graph->metrics[i]->producer->id] = true;
    for (size_t i = 0; roots & ACTC_ROOT_OUTPUTS && i < graph->n_outputs; i++)
        live[graph->outputs[i]->producer->id] = true;
    for (size_t i = graph->n_ops; i-- > 0;)
        for (uint32_t k = 0; live[i] && k < graph->ops[i]->n_inputs; k++)
            if (graph->ops[i]->inputs[k]->producer)
                live[graph->ops[i]->inputs[k]->producer->id] = true;
}

/* Flags for every input and parameter of every operator, in one block. */
static bool allocate(const actc_graph *graph, actc_autodiff *autodiff)
{
    size_t flags = 0;
    for (size_t i = 0; i < graph->n_ops; i++)
        flags += graph->ops[i]->n_inputs + graph->ops[i]->n_parameters;
    autodiff->backward = actc_calloc(graph->n_ops, sizeof *autodiff->backward);
    autodiff->gradients = actc_calloc(graph->n_ops, sizeof *autodiff->gradients);
    autodiff->flags = actc_calloc(flags, sizeof *autodiff->flags);
    if (!autodiff->backward || !autodiff->gradients || !autodiff->flags)
        return false;
    bool *next = autodiff->flags;
    for (size_t i = 0; i < graph->n_ops; i++) {
        autodiff->gradients[i].input = next;
        autodiff->gradients[i].parameter = next += graph->ops[i]->n_inputs;
        next += graph->ops[i]->n_parameters;
    }
    return true;
}

actc_status actc_autodiff_create(const actc_graph *graph, const bool *live, actc_autodiff *autodiff)
{
    *autodiff = (actc_autodiff){.live = live};
    size_t n = graph->n_ops;
    autodiff->failed = !allocate(graph, autodiff);
    for (size_t i = 0; i < n && live && !autodiff->failed; i++) {
        const actc_op *op = graph->ops[i];
        actc_gradient_flags *g = &autodiff->gradients[i];
        for (uint32_t k = 0; k < op->n_inputs; k++)
            autodiff->backward[i] |= g->input[k] = needs_gradient(autodiff, op->inputs[k]);
        for (uint32_t k = 0; k < op->n_parameters; k++)
            autodiff->backward[i] |= g->parameter[k] = op->parameters[k] && !op->parameters[k]->frozen;
        autodiff->backward[i] &= live[i] && op->def->backward;
    }
    for (size_t i = 0; i < n && live && !autodiff->failed; i++)
        if (autodiff->backward[i] && graph->ops[i]->def->needs)
            graph->ops[i]->def->needs(graph->ops[i], &autodiff->gradients[i], collect, autodiff);
    if (autodiff->failed) {
        actc_autodiff_destroy(autodiff);
        return actc_out_of_memory(graph->context, n, "differentiation");
    }
    return ACTC_OK;
}

actc_status actc_autodiff_need(actc_autodiff *autodiff, const actc_op *op, const actc_tensor *tensor, actc_need_kind kind)
{
    collect(autodiff, op, tensor, kind);
    return autodiff->failed ? actc_out_of_memory(tensor->graph->context, sizeof *autodiff->saved, "differentiation") : ACTC_OK;
}

void actc_autodiff_destroy(actc_autodiff *autodiff)
{
    actc_free(autodiff->backward);
    actc_free(autodiff->gradients);
    actc_free(autodiff->flags);
    for (size_t i = 0; i < autodiff->n_saved; i++)
        actc_free(autodiff->saved[i].values);
    actc_free(autodiff->saved);
    *autodiff = (actc_autodiff){0};
}
