/* halves.c: a training step cut where its forward pass ends, so that a test can see and replace what is carried over. */

#include "network.h"

void actc_network_drop_halves(actc_network *network)
{
    for (int h = 0; h < 2; h++) {
        if (network->halves[h])
            network->device->backend->executable_destroy(network->device, network->halves[h]);
        network->halves[h] = NULL;
    }
    network->between = NULL;
}

actc_status actc_network_set_between(actc_network *network, actc_between_fn between, void *user)
{
    const actc_backend *backend = network->device->backend;
    actc_program *whole = &network->build->programs[ACTC_PROGRAM_TRAIN];
    uint32_t n_forward = network->build->n_forward;
    if (!between) {
        actc_network_drop_halves(network);
        return ACTC_OK;
    }
    if (!whole->n_commands)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT,
                         "the network was not prepared for training: train_batch is 0");
    const actc_program halves[2] = {
        {.name = "forward", .commands = whole->commands, .n_commands = n_forward},
        {.name = "backward", .commands = whole->commands + n_forward, .n_commands = whole->n_commands - n_forward},
    };
    for (int h = 0; h < 2; h++) {
        if (network->halves[h])
            continue;
        /* an executable may keep its program: the network's own lives as long, a copy on the stack would not */
        network->half_programs[h] = halves[h];
        actc_status status = backend->prepare(network->device, &network->half_programs[h], network->arenas,
                                              (uint32_t)network->n_arenas, &network->halves[h]);
        if (status != ACTC_OK) {
            actc_network_drop_halves(network);
            return status;
        }
    }
    network->between = between;
    network->between_user = user;
    return ACTC_OK;
}

actc_status actc_network_run_training(actc_network *network)
{
    const actc_backend *backend = network->device->backend;
    if (!network->between)
        return actc_network_run(network, ACTC_PROGRAM_TRAIN);
    ACTC_RETURN_IF_ERROR(backend->run(network->device, network->halves[0]));
    ACTC_RETURN_IF_ERROR(network->between(network->between_user, network));
    return backend->run(network->device, network->halves[1]);
}

/* Bytes that the backward pass does not read may be anything's by the end of the forward pass. */
static bool is_carried(const actc_build *build, uint32_t vbuf)
{
    const actc_vbuf *v = &build->vbufs[vbuf];
    return v->touched && v->first < build->n_forward && v->last >= build->n_forward;
}

typedef struct carried_list {
    const actc_build *build;
    actc_carried *list;
    size_t room, count;
} carried_list;

static void add(carried_list *all, actc_carried carried)
{
    if (carried.vbuf == ACTC_NO_BUFFER || !is_carried(all->build, carried.vbuf))
        return;
    if (all->count < all->room)
        all->list[all->count] = carried;
    all->count++;
}

size_t actc_network_carried(const actc_network *network, actc_carried *list, size_t room)
{
    const actc_build *build = network->build;
    carried_list all = {.build = build, .list = list, .room = room};
    for (size_t i = 0; i < build->n_kept; i++) {
        const actc_kept *kept = &build->kept[i];
        const char *name = kept->saved ? kept->saved->tensor->name : kept->op->path;
        if (kept->saved && kept->dense.bytes)
            add(&all, (actc_carried){.kind = ACTC_CARRIED_DENSE, .name = name, .vbuf = kept->dense.buffer,
                                     .offset = kept->dense.offset, .bytes = kept->dense.bytes});
        if (kept->payload != UINT32_MAX)
            add(&all, (actc_carried){.kind = ACTC_CARRIED_PAYLOAD, .name = name, .codec = kept->saved->codec,
                                     .vbuf = kept->payload, .bytes = actc_align(kept->saved->codec->payload_bytes, 4)});
        if (kept->own == UINT32_MAX)
            continue;
        actc_carried_kind kind = kept->saved ? ACTC_CARRIED_MASK
                                 : build->vbufs[kept->own].category == ACTC_MEMORY_MASKS ? ACTC_CARRIED_INDEX : ACTC_CARRIED_DENSE;
        add(&all, (actc_carried){.kind = kind, .name = name, .vbuf = kept->own, .bytes = actc_align(build->vbufs[kept->own].used, 4)});
    }
    return all.count;
}
