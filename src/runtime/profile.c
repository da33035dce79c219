/* profile.c: what the commands of a network's programs take, from further executables of them that the device times. */
#include "device.h"
#include "network.h"

void actc_network_drop_timed(actc_network *network)
{
    for (int p = 0; p < ACTC_PROGRAM_COUNT; p++) {
        if (network->timed[p])
            network->device->backend->executable_destroy(network->device, network->timed[p]);
        network->timed[p] = NULL;
    }
}

static actc_status prepare_timed(actc_network *network, uint32_t program)
{
    const actc_build *build = network->build;
    network->timed_programs[program] = build->programs[program];
    network->timed_programs[program].timed = true;
    return network->device->backend->prepare(network->device, &network->timed_programs[program], network->arenas,
                                             (uint32_t)network->n_arenas, &network->timed[program]);
}

actc_status actc_network_set_profiling(actc_network *network, bool on)
{
    ACTC_OWN_MODES;
    actc_device *device = network->device;
    ACTC_RETURN_IF_ERROR(actc_device_is_ours(device));
    if (!on) {
        actc_network_drop_timed(network);
        return ACTC_OK;
    }
    if (!device->backend->times)
        return actc_fail(network->context, ACTC_ERROR_UNSUPPORTED, "%s runs nothing that could be timed", device->info.spec);
    if (!network->seconds) {
        network->seconds = actc_calloc(network->build->plan.times, sizeof *network->seconds);
        if (!network->seconds)
            return actc_out_of_memory(network->context, network->build->plan.times * sizeof *network->seconds, "a profile");
    }
    for (uint32_t p = 0; p < ACTC_PROGRAM_COUNT; p++) {
        if (!network->executables[p] || network->timed[p])
            continue;
        actc_status status = prepare_timed(network, p);
        if (status != ACTC_OK) {
            actc_network_drop_timed(network);
            return status;
        }
    }
    return ACTC_OK;
}

actc_status actc_network_run(actc_network *network, uint32_t program)
{
    const actc_backend *backend = network->device->backend;
    if (!network->timed[program])
        return backend->run(network->device, network->executables[program]);
    double *seconds = network->seconds;
    for (uint32_t p = 0; p < program; p++)
        seconds += network->build->programs[p].n_commands;
    ACTC_RETURN_IF_ERROR(backend->run(network->device, network->timed[program]));
    return backend->times(network->device, network->timed[program], seconds);
}
