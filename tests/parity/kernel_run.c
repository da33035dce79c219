/* kernel_run.c: one command on one device. */
#include "kernel_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GUARD_BYTES 512u

static bool say(char *message, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(message, size, format, args);
    va_end(args);
    return false;
}

/* ---- opening ---- */

typedef struct search {
    const char *match;
    actc_device_info found;
    char reasons[512];
} search;

static void on_device(void *user, const actc_device_info *info)
{
    search *s = user;
    if (!info->usable)
        snprintf(s->reasons, sizeof s->reasons, "%.200s: %.255s", info->name, info->reason);
    else if (!s->found.usable && (!s->match || strstr(info->name, s->match) || strstr(info->driver, s->match)))
        s->found = *info;
}

bool kernel_run_open(actc_context *context, const actc_backend *backend, const char *match,
                     const actc_device_options *options, actc_device **out, char *message, size_t size)
{
    search s = {.match = match};
    *out = NULL;
    if (backend->enumerate(context, on_device, &s) != ACTC_OK)
        return say(message, size, "%s: %s", backend->name, actc_error_message(context));
    if (!s.found.usable)
        return say(message, size, "%s: no usable device%s%s (%s)", backend->name, match ? " like " : "", match ? match : "",
                   s.reasons);
    if (backend->open(context, options, &s.found, out) != ACTC_OK)
        return say(message, size, "%s: %s", s.found.name, actc_error_message(context));
    return true;
}

/* ---- running ---- */

actc_command kernel_run_command(actc_kernel_id id, uint32_t groups, const void *params)
{
    const actc_kernel_info *kernel = &actc_kernel_infos[id];
    actc_command command = {.type = ACTC_COMMAND_KERNEL, .label = kernel->name};
    command.n_views = (uint8_t)strlen(kernel->access);
    for (uint32_t i = 0; i < command.n_views; i++) {
        command.access[i] = (uint8_t)kernel->access[i];
        command.views[i].buffer = ACTC_NO_BUFFER;
    }
    command.u.kernel.id = id;
    command.u.kernel.groups = groups;
    memcpy(command.u.kernel.params.bytes, params, kernel->params_bytes);
    command.u.kernel.params.words[0] = groups;
    return command;
}

/* Places the views one behind the other with guards between; returns the bytes of all. */
static uint64_t place(actc_command *command)
{
    uint64_t at = GUARD_BYTES;
    for (uint32_t i = 0; i < command->n_views; i++) {
        actc_view *view = &command->views[i];
        view->buffer = view->bytes ? 0 : ACTC_NO_BUFFER;
        view->offset = view->bytes ? at : 0;
        if (view->bytes)
            at = actc_align(at + view->bytes, ACTC_VIEW_ALIGNMENT) + GUARD_BYTES;
    }
    return at;
}

static void fill(const actc_command *command, void *const *data, uint32_t *memory, uint64_t bytes)
{
    for (uint64_t w = 0; w < bytes / 4; w++)
        memory[w] = KERNEL_RUN_GUARD;
    for (uint32_t i = 0; i < command->n_views; i++) {
        const actc_view *view = &command->views[i];
        if (!view->bytes)
            continue;
        uint32_t *words = memory + view->offset / 4;
        if (data[i] && command->access[i] != 'w') {
            memcpy(words, data[i], (size_t)view->bytes);
        } else {
            for (uint64_t w = 0; w < view->bytes / 4; w++)
                words[w] = KERNEL_RUN_UNWRITTEN;
        }
    }
}

/* Checks what must not have changed and hands out what the command wrote. */
static bool collect(const actc_command *command, void *const *data, const uint32_t *before, const uint32_t *after,
                    uint64_t bytes, char *message, size_t size)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i <= command->n_views; i++) {
        const actc_view *view = i < command->n_views ? &command->views[i] : NULL;
        if (view && !view->bytes)
            continue;
        uint64_t begin = view ? view->offset / 4 : bytes / 4;
        for (; at < begin; at++)
            if (after[at] != before[at])
                return say(message, size, "%s: word %lld %s view %u is overwritten with %08x", command->label,
                           (long long)(begin - at), view ? "before" : "behind the views, of", i, after[at]);
        if (!view)
            break;
        at = begin + actc_align(view->bytes, 4) / 4;
        const uint32_t *words = after + begin;
        if (command->access[i] == 'r') {
            if (memcmp(words, before + begin, (size_t)view->bytes))
                return say(message, size, "%s: view %u is only read, but has changed", command->label, i);
            continue;
        }
        bool workspace = i == ACTC_WORKSPACE_VIEW && command->type != ACTC_COMMAND_KERNEL && !data[i];
        if (workspace)
            continue;
        for (uint64_t w = 0; w < view->bytes / 4 && command->access[i] == 'w'; w++)
            if (words[w] == KERNEL_RUN_UNWRITTEN)
                return say(message, size, "%s: word %llu of view %u was not written", command->label,
                           (unsigned long long)w, i);
        if (data[i])
            memcpy(data[i], words, (size_t)view->bytes);
    }
    return true;
}

/* Adds the workspace of a gemm, conv, pack or unpack. */
static bool add_workspace(actc_device *device, actc_command *command, char *message, size_t size)
{
    const actc_backend *backend = device->backend;
    char why[256] = "";
    if (backend->supports && !backend->supports(device, command, why, sizeof why))
        return say(message, size, "%s: not supported: %s", command->label, why);
    uint64_t workspace = 0;
    bool may_need = command->type != ACTC_COMMAND_KERNEL && command->type != ACTC_COMMAND_COPY &&
                    command->type != ACTC_COMMAND_FILL && command->type != ACTC_COMMAND_HOST;
    if (may_need && backend->workspace_bytes && backend->workspace_bytes(device, command, &workspace) != ACTC_OK)
        return say(message, size, "%s: workspace: %s", command->label, actc_error_message(device->context));
    if (workspace) {
        for (uint32_t i = command->n_views; i < ACTC_WORKSPACE_VIEW; i++)
            command->views[i] = (actc_view){.buffer = ACTC_NO_BUFFER};
        command->n_views = ACTC_WORKSPACE_VIEW + 1;
        command->views[ACTC_WORKSPACE_VIEW].bytes = workspace;
        command->access[ACTC_WORKSPACE_VIEW] = 'x';
    }
    return true;
}

bool kernel_run(actc_device *device, const actc_command *original, void *const *data_given, char *message, size_t size)
{
    const actc_backend *backend = device->backend;
    actc_command command = *original;
    void *data[ACTC_MAX_VIEWS] = {0};
    memcpy(data, data_given, command.n_views * sizeof *data);
    if (!add_workspace(device, &command, message, size))
        return false;

    uint64_t bytes = place(&command);
    uint32_t *before = malloc((size_t)bytes), *after = malloc((size_t)bytes);
    actc_buffer *buffer = NULL;
    actc_executable *executable = NULL;
    actc_program program = {.name = "kernel_run", .commands = &command, .n_commands = 1};
    bool good = false;
    if (!before || !after) {
        say(message, size, "%s: no memory for %llu bytes", command.label, (unsigned long long)bytes);
        goto done;
    }
    fill(&command, data, before, bytes);
    if (backend->buffer_create(device, bytes, &buffer) != ACTC_OK ||
        backend->upload(device, buffer, 0, before, bytes) != ACTC_OK ||
        backend->prepare(device, &program, &buffer, 1, &executable) != ACTC_OK ||
        backend->run(device, executable) != ACTC_OK ||
        backend->download(device, buffer, 0, after, bytes) != ACTC_OK) {
        say(message, size, "%s: %s", command.label, actc_error_message(device->context));
        goto done;
    }
    good = collect(&command, data, before, after, bytes, message, size);
done:
    backend->executable_destroy(device, executable);
    backend->buffer_destroy(device, buffer);
    free(before);
    free(after);
    return good;
}

/* ---- timing ---- */

#define TIME_COMMANDS 8       /* of one program: submitting it must not be what is measured */
#define TIME_MEASUREMENTS 3
#define TIME_FRESH 30         /* measurements, at most, of a command that needs fresh data for each */
#define TIME_SECONDS 0.03     /* of one measurement, at least */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of `rounds` runs, their end included; `fresh`, where it is not NULL, goes into the buffer before, untimed. */
static bool time_rounds(actc_device *device, actc_executable *executable, actc_buffer *buffer, const void *fresh,
                        uint64_t bytes, long rounds, double *seconds)
{
    uint32_t word;
    if (fresh && device->backend->upload(device, buffer, 0, fresh, bytes) != ACTC_OK)
        return false;
    double start = now();
    for (long i = 0; i < rounds; i++)
        if (device->backend->run(device, executable) != ACTC_OK)
            return false;
    bool good = device->backend->download(device, buffer, 0, &word, sizeof word) == ACTC_OK; /* waits */
    *seconds = now() - start;
    return good;
}

/* A command that updates what it reads ('x') computes something else when it runs again, and what it finds may lead it out
 * of its views. So each of a program's commands has data of its own then, given again before every run. */
static bool updates(const actc_command *command)
{
    for (uint32_t i = 0; i < command->n_views; i++)
        if (command->access[i] == 'x' && command->views[i].bytes)
            return true;
    return false;
}

bool kernel_run_time(actc_device *device, const actc_command *original, void *const *data_given, double *seconds,
                     char *message, size_t size)
{
    const actc_backend *backend = device->backend;
    actc_command commands[TIME_COMMANDS] = {*original};
    void *data[ACTC_MAX_VIEWS] = {0};
    memcpy(data, data_given, original->n_views * sizeof *data);
    if (!add_workspace(device, &commands[0], message, size))
        return false;
    const uint64_t one = place(&commands[0]);
    const bool fresh = updates(original); /* a workspace, which is added here, is nobody's data */
    const int copies = fresh ? TIME_COMMANDS : 1;
    const uint64_t bytes = one * (uint64_t)copies;
    for (int i = 1; i < TIME_COMMANDS; i++) {
        commands[i] = commands[0];
        for (uint32_t v = 0; v < commands[i].n_views && fresh; v++)
            if (commands[i].views[v].bytes)
                commands[i].views[v].offset += one * (uint64_t)i;
    }
    char *memory = malloc((size_t)bytes);
    actc_buffer *buffer = NULL;
    actc_executable *executable = NULL;
    actc_program program = {.name = "kernel_run_time", .commands = commands, .n_commands = TIME_COMMANDS};
    double once = 0, best = 0;
    bool good = memory != NULL;
    for (int i = 0; i < copies && good; i++)
        fill(&commands[0], data, (uint32_t *)(memory + one * (uint64_t)i), one);
    good = good && backend->buffer_create(device, bytes, &buffer) == ACTC_OK &&
           backend->upload(device, buffer, 0, memory, bytes) == ACTC_OK &&
           backend->prepare(device, &program, &buffer, 1, &executable) == ACTC_OK;
    const void *again = fresh ? memory : NULL;
    for (int i = 0; i < 2 && good; i++)
        good = time_rounds(device, executable, buffer, again, bytes, 1, &once);
    const long wanted = once > 0 && once < TIME_SECONDS ? (long)(TIME_SECONDS / once) + 1 : 1;
    const long rounds = fresh ? 1 : wanted;
    long measurements = TIME_MEASUREMENTS;
    if (fresh && wanted > measurements)
        measurements = wanted < TIME_FRESH ? wanted : TIME_FRESH;
    for (long i = 0; i < measurements && good; i++) {
        good = time_rounds(device, executable, buffer, again, bytes, rounds, &once);
        best = i == 0 || once < best ? once : best;
    }
    *seconds = best / (double)rounds / TIME_COMMANDS;
    if (!good)
        say(message, size, "%s: %s", original->label, memory ? actc_error_message(device->context) : "out of memory");
    backend->executable_destroy(device, executable);
    backend->buffer_destroy(device, buffer);
    free(memory);
    return good;
}
