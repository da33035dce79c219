/* state.c: parameters, gradients and optimiser state by name, in PyTorch's layouts; first values. */
#include <math.h>
#include <string.h>

#include "../exact/exact.h"
#include "network.h"
#include "network_state.h"

/* Apart from the streams of dropout and codecs, whose steps count from 0. */
#define INIT_STREAM 0x80000000u

static actc_status add_state(actc_network *network, const actc_parameter *parameter, actc_state_kind kind, uint32_t vbuf)
{
    const char *region = kind == ACTC_STATE_GRADIENT ? "grad" : kind == ACTC_STATE_OPTIMIZER ? network->build->vbufs[vbuf].name : NULL;
    actc_state_entry *entry = &network->states[network->n_states];
    entry->name = region ? actc_format("%s.%s", region, parameter->name) : actc_strdup(parameter->name);
    if (!entry->name)
        return actc_out_of_memory(network->context, 64, "a tensor's name");
    entry->kind = kind;
    entry->parameter = parameter;
    entry->vbuf = vbuf;
    network->n_states++;
    return ACTC_OK;
}

actc_status actc_network_list_states(actc_network *network)
{
    const actc_graph *graph = network->graph;
    const actc_build *build = network->build;
    const uint32_t regions[] = {build->v_parameters, build->v_gradients, build->v_moments[0], build->v_moments[1]};
    static const actc_state_kind kinds[] = {ACTC_STATE_PARAMETER, ACTC_STATE_GRADIENT, ACTC_STATE_OPTIMIZER, ACTC_STATE_OPTIMIZER};
    network->states = actc_calloc(graph->n_parameters * 4, sizeof *network->states);
    if (!network->states)
        return actc_out_of_memory(network->context, graph->n_parameters * 4 * sizeof *network->states, "the list of state");
    for (int r = 0; r < 4; r++) {
        for (size_t i = 0; i < graph->n_parameters && regions[r] != ACTC_NO_BUFFER; i++) {
            const actc_parameter *parameter = graph->parameters[i];
            if (parameter->role == ACTC_ROLE_COUNTER || (r > 0 && !build->places[i].trained))
                continue;
            ACTC_RETURN_IF_ERROR(add_state(network, parameter, parameter->role == ACTC_ROLE_STATE ? ACTC_STATE_BUFFER : kinds[r],
                                           regions[r]));
        }
    }
    return ACTC_OK;
}

const char *actc_network_counter(const actc_network *network, size_t index)
{
    for (size_t i = 0; i < network->graph->n_parameters; i++)
        if (network->graph->parameters[i]->role == ACTC_ROLE_COUNTER && !index--)
            return network->graph->parameters[i]->name;
    return NULL;
}

size_t actc_network_state_count(const actc_network *network)
{
    return network->n_states;
}

static actc_status entry_of(const actc_network *network, size_t index, const actc_state_entry **entry)
{
    if (index >= network->n_states)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "state %zu: there are %zu", index, network->n_states);
    *entry = &network->states[index];
    return ACTC_OK;
}

actc_status actc_network_state_info_sized(const actc_network *network, size_t index, actc_state_info *info)
{
    ACTC_OWN_MODES;
    const actc_state_entry *entry = NULL;
    ACTC_RETURN_IF_ERROR(entry_of(network, index, &entry));
    const actc_state_info full = {.size = sizeof full, .name = entry->name, .kind = entry->kind, .shape = entry->parameter->shape};
    return actc_give_info(network->context, "actc_state_info", info, sizeof full, &full);
}

actc_status actc_network_read_state(actc_network *network, size_t index, float *values)
{
    ACTC_OWN_MODES;
    const actc_state_entry *entry = NULL;
    ACTC_RETURN_IF_ERROR(entry_of(network, index, &entry));
    const actc_parameter_place *place = &network->build->places[entry->parameter->id];
    ACTC_RETURN_IF_ERROR(actc_network_download(network, entry->vbuf, place->offset, network->state_staging, place->elements * 4));
    actc_relayout_parameter(entry->parameter, network->state_staging, values, false);
    return ACTC_OK;
}

actc_status actc_network_write_state(actc_network *network, size_t index, const float *values)
{
    ACTC_OWN_MODES;
    const actc_state_entry *entry = NULL;
    ACTC_RETURN_IF_ERROR(entry_of(network, index, &entry));
    const actc_parameter_place *place = &network->build->places[entry->parameter->id];
    actc_relayout_parameter(entry->parameter, values, network->state_staging, true);
    if (entry->kind == ACTC_STATE_BUFFER && network->build->v_staged != ACTC_NO_BUFFER) /* training goes on from its own copy */
        ACTC_RETURN_IF_ERROR(actc_network_upload(network, network->build->v_staged, place->offset - network->build->state_offset,
                                                 network->state_staging, place->elements * 4));
    return actc_network_upload(network, entry->vbuf, place->offset, network->state_staging, place->elements * 4);
}

actc_status actc_network_initialize(actc_network *network)
{
    ACTC_OWN_MODES;
    size_t largest = 1;
    for (size_t i = 0; i < network->graph->n_parameters; i++)
        if (network->build->places[i].elements > largest)
            largest = (size_t)network->build->places[i].elements;
    float *values = actc_malloc(largest * sizeof *values);
    if (!values)
        return actc_out_of_memory(network->context, largest * sizeof *values, "initial values");
    uint32_t seed_lo = (uint32_t)network->options.seed, seed_hi = (uint32_t)(network->options.seed >> 32);
    actc_status status = ACTC_OK;
    for (size_t s = 0; s < network->n_states && status == ACTC_OK; s++) {
        const actc_parameter *p = network->states[s].parameter;
        int64_t n = actc_shape_elements(&p->shape);
        bool first_values = network->states[s].kind == ACTC_STATE_PARAMETER || network->states[s].kind == ACTC_STATE_BUFFER;
        const float *given = first_values ? p->values : NULL;
        bool drawn = first_values && !given && p->init == ACTC_INIT_DEFAULT;
        /* PyTorch's kaiming_uniform(a = sqrt 5) is U(-b, b) with this b, for weights and biases alike. */
        float bound = drawn ? (float)(1 / sqrt((double)p->fan_in)) : 0;
        float constant = first_values && p->init == ACTC_INIT_ONES ? 1.0f : 0.0f;
        uint32_t path = actc_hash(p->name);
        for (int64_t i = 0; i < n; i++) {
            float u = drawn ? actc_uniform(actc_random_bits((uint32_t)i, path, 0, INIT_STREAM, seed_lo, seed_hi)) : 0;
            values[i] = given ? given[i] : drawn ? (u + u - 1.0f) * bound : constant;
        }
        status = actc_network_write_state(network, s, values);
    }
    actc_free(values);
    network->step = network->updates = 0;
    network->pending = 0;
    return status;
}
