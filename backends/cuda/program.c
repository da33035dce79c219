/* program.c: a program as captured graphs, one a segment, with host functions between them.
 *
 * prepare records what each segment's commands put into the stream and instantiates a graph of it; run launches the
 * graphs. Addresses and parameters are part of the graph, so buffers must not move. A host function gets copies of its
 * views in the page-locked staging, which uploads use too: it waits for the stream first.
 */
#include "cuda_internal.h"

#include <string.h>

typedef struct step {
    CUgraphExec graph;           /* NULL: a host function */
    const actc_command *command; /* of the host function */
    CUdeviceptr views[ACTC_MAX_VIEWS];
} step;

struct actc_executable {
    const actc_program *program;
    step *steps;
    uint32_t n_steps;
    /* of a timed program: recorded in the graphs before and after each command; what host functions took */
    CUevent *events;
    double *host_seconds;
};

static void resolve(const actc_command *command, actc_buffer *const *buffers, CUdeviceptr *views)
{
    for (uint32_t i = 0; i < ACTC_MAX_VIEWS; i++) {
        const actc_view *view = &command->views[i];
        views[i] = i < command->n_views && view->bytes && view->buffer != ACTC_NO_BUFFER
                       ? buffers[view->buffer]->address + view->offset
                       : 0;
    }
}

/* Where the views of a host function lie in the staging; returns the bytes they take. */
static uint64_t place(const actc_command *command, uint64_t *offsets)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < command->n_views; i++) {
        offsets[i] = used;
        used += actc_align(command->views[i].bytes, ACTC_VIEW_ALIGNMENT);
    }
    return used;
}

/* An event of the graph that is being captured, which the host may ask for its time. */
static actc_status record_event(actc_cuda_device *device, CUevent event)
{
    actc_status status = ACTC_OK;
    CU(cuEventRecordWithFlags(event, device->stream, CU_EVENT_RECORD_EXTERNAL), "time");
error:
    return status;
}

/* Events where the program is timed. */
static actc_status create_events(actc_cuda_device *device, actc_executable *executable)
{
    actc_status status = ACTC_OK;
    uint32_t commands = executable->program->n_commands;
    if (!executable->program->timed)
        return ACTC_OK;
    executable->events = actc_calloc((size_t)commands * 2, sizeof *executable->events);
    executable->host_seconds = actc_calloc(commands, sizeof *executable->host_seconds);
    if (!executable->events || !executable->host_seconds)
        return actc_fail(device->base.context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: %u events", 2 * commands);
    for (uint32_t i = 0; i < 2 * commands; i++)
        CU(cuEventCreate(&executable->events[i], CU_EVENT_DEFAULT), "time");
error:
    return status;
}

/* Captures commands [first, end) and instantiates their graph. */
static actc_status capture(actc_cuda_device *device, const actc_program *program, actc_buffer *const *buffers,
                           const CUevent *events, uint32_t first, uint32_t end, CUgraphExec *out)
{
    actc_status status = ACTC_OK;
    CUgraph graph = NULL;
    *out = NULL;
    /* Relaxed: cuBLASLt may load its kernels lazily while it is captured, which the stricter modes refuse. */
    CU(cuStreamBeginCapture(device->stream, CU_STREAM_CAPTURE_MODE_RELAXED), program->name);
    for (uint32_t i = first; i < end && status == ACTC_OK; i++) {
        CUdeviceptr views[ACTC_MAX_VIEWS];
        resolve(&program->commands[i], buffers, views);
        if (events)
            status = record_event(device, events[2 * i]);
        if (status == ACTC_OK)
            status = actc_cuda_command_emit(device, &program->commands[i], views);
        if (events && status == ACTC_OK)
            status = record_event(device, events[2 * i + 1]);
    }
    CUresult result = device->api.cuStreamEndCapture(device->stream, &graph);
    if (status == ACTC_OK && result != CUDA_SUCCESS)
        status = actc_cuda_fail(device, result, "cuStreamEndCapture", program->name);
    if (status != ACTC_OK)
        goto error;
    CU(cuGraphInstantiateWithFlags(out, graph, 0), program->name);
error:
    if (graph)
        device->api.cuGraphDestroy(graph);
    return status;
}

static void destroy(actc_cuda_device *device, actc_executable *executable)
{
    for (uint32_t i = 0; i < executable->n_steps && !actc_device_forked(&device->base); i++) {
        if (executable->steps[i].graph)
            device->api.cuGraphExecDestroy(executable->steps[i].graph);
    }
    uint32_t events = executable->events && !actc_device_forked(&device->base) ? 2 * executable->program->n_commands : 0;
    for (uint32_t i = 0; i < events; i++) {
        if (executable->events[i])
            device->api.cuEventDestroy(executable->events[i]);
    }
    actc_free(executable->events);
    actc_free(executable->host_seconds);
    actc_free(executable->steps);
    actc_free(executable);
}

/* Splits the program at its host functions. */
static actc_status build(actc_cuda_device *device, const actc_program *program, actc_buffer *const *buffers,
                         actc_executable *executable)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i <= program->n_commands; i++) {
        const actc_command *command = i < program->n_commands ? &program->commands[i] : NULL;
        if (command && command->type != ACTC_COMMAND_HOST)
            continue;
        if (i > first) {
            step *s = &executable->steps[executable->n_steps];
            actc_status status = capture(device, program, buffers, executable->events, first, i, &s->graph);
            if (status != ACTC_OK)
                return status;
            executable->n_steps++;
        }
        if (command) {
            step *s = &executable->steps[executable->n_steps++];
            s->command = command;
            resolve(command, buffers, s->views);
        }
        first = i + 1;
    }
    return ACTC_OK;
}

actc_status actc_cuda_prepare(actc_device *base, const actc_program *program, actc_buffer *const *buffers,
                              uint32_t n_buffers, actc_executable **out)
{
    (void)n_buffers;
    actc_cuda_device *device = (actc_cuda_device *)base;
    *out = NULL;
    uint32_t most_steps = 1;
    uint64_t staging = 0, offsets[ACTC_MAX_VIEWS];
    for (uint32_t i = 0; i < program->n_commands; i++) {
        if (program->commands[i].type != ACTC_COMMAND_HOST)
            continue;
        uint64_t bytes = place(&program->commands[i], offsets);
        staging = bytes > staging ? bytes : staging;
        most_steps += 2;
    }
    if (staging > device->staging_bytes) { /* no more than a network has reserved, unless it is run without one */
        actc_status status = actc_cuda_reserve(base, staging);
        if (status != ACTC_OK)
            return status;
    }
    actc_executable *executable = actc_calloc(1, sizeof *executable);
    step *steps = actc_calloc(most_steps, sizeof *steps);
    if (!executable || !steps) {
        actc_free(executable);
        actc_free(steps);
        return actc_fail(base->context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: %zu bytes for program %s",
                         most_steps * sizeof *steps, program->name);
    }
    executable->program = program;
    executable->steps = steps;
    actc_status status = actc_cuda_enter(device);
    if (status != ACTC_OK) {
        actc_free(steps);
        actc_free(executable);
        return status;
    }
    for (uint32_t i = 0; i < program->n_commands && status == ACTC_OK; i++)
        status = actc_cuda_command_load(device, &program->commands[i]);
    if (status == ACTC_OK)
        status = create_events(device, executable);
    if (status == ACTC_OK)
        status = build(device, program, buffers, executable);
    if (status != ACTC_OK)
        destroy(device, executable);
    else
        *out = executable;
    actc_cuda_leave(device);
    return status;
}

void actc_cuda_executable_destroy(actc_device *base, actc_executable *executable)
{
    actc_cuda_device *device = (actc_cuda_device *)base;
    if (!executable)
        return;
    bool entered = !actc_device_forked(base) && actc_cuda_enter(device) == ACTC_OK;
    if (entered)
        device->api.cuStreamSynchronize(device->stream);
    destroy(device, executable);
    if (entered)
        actc_cuda_leave(device);
}

static actc_status run_host(actc_cuda_device *device, const step *s, actc_executable *executable)
{
    actc_status status = ACTC_OK;
    const actc_command *command = s->command;
    const char *label = command->label ? command->label : "host function";
    uint64_t offsets[ACTC_MAX_VIEWS];
    void *pointers[ACTC_MAX_VIEWS] = {NULL};
    uint64_t used = place(command, offsets);
    CU(cuStreamSynchronize(device->stream), label);
    for (uint32_t i = 0; i < command->n_views; i++) {
        if (!s->views[i])
            continue;
        pointers[i] = device->staging + offsets[i];
        if (command->access[i] != 'w')
            CU(cuMemcpyDtoHAsync(pointers[i], s->views[i], command->views[i].bytes, device->stream), label);
    }
    CU(cuStreamSynchronize(device->stream), label);
    double begin = actc_clock();
    int answer = command->u.host.fn(command->u.host.user, pointers);
    if (executable->host_seconds)
        executable->host_seconds[command - executable->program->commands] = actc_clock() - begin;
    if (answer != 0) {
        device->staging_used = 0;
        return actc_fail(device->base.context, ACTC_ERROR_DEVICE, "%s: the host function returned %d", label, answer);
    }
    for (uint32_t i = 0; i < command->n_views; i++) {
        if (s->views[i] && command->access[i] != 'r')
            CU(cuMemcpyHtoDAsync(s->views[i], pointers[i], command->views[i].bytes, device->stream), label);
    }
    device->staging_used = used; /* read until the copies are done */
error:
    return status;
}

actc_status actc_cuda_run(actc_device *base, actc_executable *executable)
{
    actc_cuda_device *device = (actc_cuda_device *)base;
    actc_status status = actc_cuda_enter(device);
    if (status != ACTC_OK)
        return status;
    for (uint32_t i = 0; i < executable->n_steps && status == ACTC_OK; i++) {
        const step *s = &executable->steps[i];
        if (s->graph)
            CU(cuGraphLaunch(s->graph, device->stream), "run");
        else
            status = run_host(device, s, executable);
    }
error:
    actc_cuda_leave(device);
    return status;
}

actc_status actc_cuda_times(actc_device *base, actc_executable *executable, double *seconds)
{
    actc_cuda_device *device = (actc_cuda_device *)base;
    const actc_program *program = executable->program;
    actc_status status = actc_cuda_enter(device);
    if (status != ACTC_OK)
        return status;
    CU(cuStreamSynchronize(device->stream), "time");
    for (uint32_t i = 0; i < program->n_commands; i++) {
        float milliseconds = 0;
        if (program->commands[i].type != ACTC_COMMAND_HOST)
            CU(cuEventElapsedTime(&milliseconds, executable->events[2 * i], executable->events[2 * i + 1]), "time");
        seconds[i] = executable->host_seconds[i] + (double)milliseconds * 1e-3;
    }
error:
    actc_cuda_leave(device);
    return status;
}

uint32_t actc_cuda_segments(const actc_executable *executable)
{
    return actc_program_segments(executable->program);
}
