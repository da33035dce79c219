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

/* Of mean 0 and variance 1: Marsaglia's polar method, which takes the first of the element's draws that lies in the circle. */
static float normal(uint32_t element, uint32_t path, uint32_t seed_lo, uint32_t seed_hi)
{
    for (uint32_t draw = 1;; draw++) {
        const actc_u32x4 bits = actc_philox(element, path, draw, INIT_STREAM, seed_lo, seed_hi);
        const float u = 2 * actc_uniform(bits.x) - 1, v = 2 * actc_uniform(bits.y) - 1, s = u * u + v * v;
        if (s > 0 && s < 1)
            return u * actc_sqrt(-2 * actc_log(s) * actc_reciprocal(s));
    }
}

/* In PyTorch's order. */
static void first_values_of(const actc_parameter *p, bool first_values, uint64_t seed, float *values)
{
    const actc_init init = first_values ? p->init : ACTC_INIT_ZEROS;
    const uint32_t path = actc_hash(p->name), seed_lo = (uint32_t)seed, seed_hi = (uint32_t)(seed >> 32);
    const int64_t n = actc_shape_elements(&p->shape);
    /* PyTorch's kaiming_uniform(a = sqrt 5) is U(-b, b) with this b, for weights and biases alike. */
    const bool drawn = init != ACTC_INIT_ZEROS && init != ACTC_INIT_ONES;
    const float bound = drawn ? (float)sqrt((init == ACTC_INIT_KAIMING_NORMAL ? 2.0 : 1.0) / (double)p->fan_in) : 0;
    if (first_values && p->values) {
        memcpy(values, p->values, (size_t)n * sizeof *values);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        switch (init) {
        case ACTC_INIT_DEFAULT:
            values[i] = actc_uniform(actc_random_bits((uint32_t)i, path, 0, INIT_STREAM, seed_lo, seed_hi));
            values[i] = (values[i] + values[i] - 1.0f) * bound;
            break;
        case ACTC_INIT_NORMAL:
        case ACTC_INIT_KAIMING_NORMAL: values[i] = normal((uint32_t)i, path, seed_lo, seed_hi) * bound; break;
        case ACTC_INIT_ONES: values[i] = 1; break;
        case ACTC_INIT_ZEROS: values[i] = 0; break;
        }
    }
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
    actc_status status = ACTC_OK;
    for (size_t s = 0; s < network->n_states && status == ACTC_OK; s++) {
        const actc_parameter *p = network->states[s].parameter;
        bool first_values = network->states[s].kind == ACTC_STATE_PARAMETER || network->states[s].kind == ACTC_STATE_BUFFER;
        first_values_of(p, first_values, network->options.seed, values);
        status = actc_network_write_state(network, s, values);
    }
    actc_free(values);
    network->step = network->updates = 0;
    network->pending = 0;
    return status;
}
