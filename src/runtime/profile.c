/* profile.c: programs run command by command, each timed. */
#include <time.h>

#include "device.h"
#include "network.h"

struct actc_profile {
    actc_program *programs;        /* [commands]: of one command each; an executable may keep its program */
    actc_executable **executables; /* [commands], in the order of the timeline */
    double *seconds;               /* [commands]: of the last run, 0 where there was none */
    size_t count;
};

void actc_network_drop_profile(actc_network *network)
{
    actc_profile *profile = network->profile;
    network->profile = NULL;
    if (!profile)
        return;
    for (size_t i = 0; i < profile->count && profile->executables; i++)
        if (profile->executables[i])
            network->device->backend->executable_destroy(network->device, profile->executables[i]);
    actc_free(profile->programs);
    actc_free(profile->executables);
    actc_free(profile->seconds);
    actc_free(profile);
}

static actc_status prepare_all(actc_network *network)
{
    const actc_build *build = network->build;
    actc_profile *profile = actc_calloc(1, sizeof *profile);
    network->profile = profile;
    if (profile) {
        profile->count = build->plan.times;
        profile->programs = actc_calloc(profile->count + 1, sizeof *profile->programs);
        profile->executables = actc_calloc(profile->count + 1, sizeof *profile->executables);
        profile->seconds = actc_calloc(profile->count + 1, sizeof *profile->seconds);
    }
    if (!profile || !profile->programs || !profile->executables || !profile->seconds)
        return actc_out_of_memory(network->context, build->plan.times * sizeof(actc_program), "a profile");
    size_t at = 0;
    for (int p = 0; p < ACTC_PROGRAM_COUNT; p++)
        for (uint32_t i = 0; i < build->programs[p].n_commands; i++, at++) {
            profile->programs[at] = (actc_program){build->programs[p].name, &build->programs[p].commands[i], 1};
            ACTC_RETURN_IF_ERROR(network->device->backend->prepare(network->device, &profile->programs[at], network->arenas,
                                                                   (uint32_t)network->n_arenas, &profile->executables[at]));
        }
    return ACTC_OK;
}

actc_status actc_network_profile(actc_network *network, bool on)
{
    ACTC_OWN_MODES;
    ACTC_RETURN_IF_ERROR(actc_device_is_ours(network->device));
    if (on == (network->profile != NULL))
        return ACTC_OK;
    actc_status status = on ? prepare_all(network) : ACTC_OK;
    if (!on || status != ACTC_OK)
        actc_network_drop_profile(network);
    return status;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Reading a word waits for the command. */
static actc_status run_timed(actc_network *network, size_t first, size_t count)
{
    uint32_t word;
    double before = now();
    for (size_t i = first; i < first + count; i++) {
        ACTC_RETURN_IF_ERROR(network->device->backend->run(network->device, network->profile->executables[i]));
        ACTC_RETURN_IF_ERROR(actc_network_download(network, network->build->v_result, 0, &word, sizeof word));
        double after = now();
        network->profile->seconds[i] = after - before;
        before = after;
    }
    return ACTC_OK;
}

actc_status actc_network_run(actc_network *network, uint32_t program)
{
    if (!network->profile)
        return network->device->backend->run(network->device, network->executables[program]);
    size_t first = 0;
    for (uint32_t p = 0; p < program; p++)
        first += network->build->programs[p].n_commands;
    return run_timed(network, first, network->build->programs[program].n_commands);
}

double actc_network_command_seconds(const actc_network *network, size_t index)
{
    return network->profile ? network->profile->seconds[index] : 0;
}
