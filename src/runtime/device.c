/* device.c: devices of all backends: listing, choosing by spec, opening. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../backends/backend.h"
#include "../util/util.h"
#include "device.h"

/* Test programs link one more backend (tests/cuda_host): what the library does is then done on it too. Absent elsewhere. */
extern const actc_backend actc_backend_cuda_host __attribute__((weak));

static const actc_backend *const backends[] = {&actc_backend_cuda, &actc_backend_vulkan, &actc_backend_cpu, &actc_backend_null,
                                               &actc_backend_cuda_host};
#define BACKENDS (sizeof backends / sizeof *backends - (backends[4] ? 0 : 1))

typedef struct device_entry {
    actc_device_info info;
    const actc_backend *backend;
    bool broken; /* the backend could not enumerate */
} device_entry;

typedef struct device_table {
    device_entry *entries;
    size_t count, capacity;
    const actc_backend *backend; /* being enumerated */
    bool failed;
} device_table;

static void collect(void *user, const actc_device_info *info)
{
    device_table *table = user;
    if (!actc_grow((void **)&table->entries, &table->capacity, table->count + 1, sizeof *table->entries)) {
        table->failed = true;
        return;
    }
    table->entries[table->count] = (device_entry){.backend = table->backend, .info = *info};
    table->entries[table->count++].info.size = sizeof *info;
}

/* A backend that cannot enumerate is an entry with the reason, whatever it has reported before: the others go on. */
static void collect_broken(device_table *table, size_t first, const char *reason)
{
    actc_device_info info = {.name = "none", .type = ACTC_DEVICE_VIRTUAL_GPU};
    snprintf(info.spec, sizeof info.spec, "%s", table->backend->name);
    snprintf(info.backend, sizeof info.backend, "%s", table->backend->name);
    snprintf(info.reason, sizeof info.reason, "%s", reason);
    table->count = first;
    collect(table, &info);
    if (!table->failed)
        table->entries[first].broken = true;
}

static actc_status list(actc_context *context, const char *only, device_table *table)
{
    *table = (device_table){0};
    for (size_t i = 0; i < BACKENDS; i++) {
        if (only && strcmp(only, backends[i]->name) != 0)
            continue;
        table->backend = backends[i];
        size_t first = table->count;
        actc_status status = backends[i]->enumerate(context, collect, table);
        if (status != ACTC_OK && status != ACTC_ERROR_OUT_OF_MEMORY) {
            collect_broken(table, first, actc_error_message(context));
            status = ACTC_OK;
        }
        if (status == ACTC_OK && table->failed)
            status = actc_out_of_memory(context, sizeof *table->entries, "the list of devices");
        if (status != ACTC_OK) {
            actc_free(table->entries);
            return status;
        }
    }
    return ACTC_OK;
}

actc_status actc_device_list(actc_context *context, actc_device_info *infos, size_t capacity, size_t *count)
{
    ACTC_OWN_MODES;
    if (!count || (capacity && !infos))
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "actc_device_list: count, or infos with a capacity, is NULL");
    const size_t stride = capacity ? infos->size : sizeof *infos; /* infos is an array of the caller's struct, not of ours */
    ACTC_RETURN_IF_ERROR(actc_check_size(context, "actc_device_info", stride, sizeof *infos));
    device_table table;
    ACTC_RETURN_IF_ERROR(list(context, NULL, &table));
    *count = table.count;
    actc_status status = ACTC_OK;
    for (size_t i = 0; i < table.count && i < capacity && status == ACTC_OK; i++) {
        void *info = (char *)infos + i * stride;
        memcpy(info, &stride, sizeof stride);
        status = actc_give_info(context, "actc_device_info", info, sizeof *infos, &table.entries[i].info);
    }
    actc_free(table.entries);
    return status;
}

actc_device_options actc_device_options_default(void)
{
    return (actc_device_options){.size = sizeof(actc_device_options), .device = "auto"};
}

/* Hardware before software, discrete before integrated. */
static int rank(actc_device_type type)
{
    static const actc_device_type order[] = {ACTC_DEVICE_DISCRETE_GPU, ACTC_DEVICE_INTEGRATED_GPU, ACTC_DEVICE_VIRTUAL_GPU,
                                             ACTC_DEVICE_CPU, ACTC_DEVICE_SOFTWARE};
    for (int i = 0; i < 5; i++)
        if (order[i] == type)
            return i;
    return 5;
}

static bool contains(const char *text, const char *part)
{
    size_t length = strlen(part);
    for (; *text; text++)
        if (!strncasecmp(text, part, length))
            return true;
    return false;
}

/* Appends "; spec (name)" or the reason to a message. */
static void describe(char *text, size_t size, const device_entry *entry)
{
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s (%s)", used ? "; " : "", entry->info.spec,
             entry->info.usable ? entry->info.name : entry->info.reason);
}

/* Of one backend: the entry that `which` names (NULL: the best), usable ones first. */
static const device_entry *choose(const device_table *table, const char *which)
{
    const device_entry *best = NULL;
    int64_t index = -1;
    bool numbered = which && actc_parse_int64(which, &index);
    for (size_t i = 0; i < table->count; i++) {
        const device_entry *e = &table->entries[i];
        const char *colon = strchr(e->info.spec, ':');
        if (numbered ? !colon || atoll(colon + 1) != index : which && !contains(e->info.name, which) && !contains(e->info.driver, which))
            continue;
        if (!best || (e->info.usable && (!best->info.usable || rank(e->info.type) < rank(best->info.type))))
            best = e;
    }
    return best;
}

static bool is_hardware(const actc_device_info *info)
{
    return info->usable && info->type != ACTC_DEVICE_SOFTWARE && info->type != ACTC_DEVICE_NULL;
}

static actc_status find_device(actc_context *context, const char *spec, bool compile_only, device_entry *out)
{
    device_table table;
    char known[900] = "";
    if (!strcmp(spec, "auto")) {
        ACTC_RETURN_IF_ERROR(list(context, NULL, &table));
        const device_entry *best = NULL;
        for (size_t i = 0; i < table.count; i++) { /* in the order CUDA, Vulkan, CPU */
            const device_entry *e = &table.entries[i];
            if (is_hardware(&e->info) && (!best || (e->backend == best->backend && rank(e->info.type) < rank(best->info.type))))
                best = e;
        }
        for (const device_entry *e = table.entries; e < (best ? best : table.entries + table.count); e++)
            if (e->broken) /* as opposed to one that is not installed */
                actc_log_message(context, ACTC_LOG_WARNING, "device auto goes without %s: %s", e->info.backend, e->info.reason);
        if (best)
            *out = *best;
        actc_free(table.entries);
        return best ? ACTC_OK : actc_fail(context, ACTC_ERROR_NOT_FOUND, "device auto: no usable device; see actc-info");
    }
    char name[16] = "";
    const char *colon = strchr(spec, ':');
    size_t length = colon ? (size_t)(colon - spec) : strlen(spec);
    bool backend = false;
    for (size_t i = 0; i < BACKENDS; i++)
        backend |= strlen(backends[i]->name) == length && !strncmp(backends[i]->name, spec, length);
    if (!backend || (colon && !colon[1]))
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "device '%s': accepted are auto, cpu, vulkan[:N], cuda[:N] and null, N an index or a part of a name", spec);
    memcpy(name, spec, length);
    ACTC_RETURN_IF_ERROR(list(context, name, &table));
    const device_entry *found = choose(&table, colon ? colon + 1 : NULL);
    for (size_t i = 0; i < table.count; i++)
        describe(known, sizeof known, &table.entries[i]);
    actc_status status = ACTC_OK;
    if (!found)
        status = actc_fail(context, ACTC_ERROR_NOT_FOUND, "device '%s' not found; there is %s", spec, known);
    else if (!found->info.usable && !(compile_only && found->info.compiles))
        status = actc_fail(context, ACTC_ERROR_UNSUPPORTED, "device '%s' cannot be used: %s", spec, found->info.reason);
    else
        *out = *found;
    actc_free(table.entries);
    return status;
}

actc_status actc_device_open(actc_context *context, const actc_device_options *options, actc_device **out)
{
    ACTC_OWN_MODES;
    if (!out)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "actc_device_open: out is NULL");
    *out = NULL;
    actc_device_options chosen, defaults = actc_device_options_default();
    ACTC_RETURN_IF_ERROR(actc_take_options(context, "actc_device_options", options ? options : &defaults, sizeof chosen,
                                           &defaults, &chosen));
    if (!chosen.device)
        chosen.device = "auto";
    if (chosen.threads < 0 || chosen.threads > 1024)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "threads is %d, must be 0 to 1024", chosen.threads);
    device_entry entry;
    ACTC_RETURN_IF_ERROR(find_device(context, chosen.device, chosen.compile_only, &entry));
    ACTC_RETURN_IF_ERROR(entry.backend->open(context, &chosen, &entry.info, out));
    (*out)->compile_only = chosen.compile_only;
    return ACTC_OK;
}

void actc_device_destroy(actc_device **device)
{
    if (!device || !*device)
        return;
    (*device)->backend->close(*device);
    *device = NULL;
}

const actc_device_info *actc_device_get_info(const actc_device *device)
{
    return &device->info;
}

uint64_t actc_device_allocated_bytes(const actc_device *device)
{
    return device->allocated_bytes;
}

bool actc_device_forked(const actc_device *device)
{
    return !device->backend->survives_fork && device->process != actc_process_number();
}

actc_status actc_device_is_ours(const actc_device *device)
{
    if (!actc_device_forked(device))
        return ACTC_OK;
    return actc_fail(device->context, ACTC_ERROR_UNSUPPORTED,
                     "%s (%s) was opened before fork() and is the parent's: its driver does not work in a child process, which "
                     "must open a device of its own", device->info.spec, device->info.name);
}

actc_status actc_device_runs(const actc_device *device)
{
    ACTC_RETURN_IF_ERROR(actc_device_is_ours(device));
    if (!device->compile_only)
        return ACTC_OK;
    return actc_fail(device->context, ACTC_ERROR_UNSUPPORTED, "%s (%s) was opened to compile only: nothing can be run on it",
                     device->info.spec, device->info.name);
}

const char *actc_device_type_string(actc_device_type type)
{
    switch (type) {
    case ACTC_DEVICE_CPU: return "cpu";
    case ACTC_DEVICE_INTEGRATED_GPU: return "integrated gpu";
    case ACTC_DEVICE_DISCRETE_GPU: return "discrete gpu";
    case ACTC_DEVICE_VIRTUAL_GPU: return "virtual gpu";
    case ACTC_DEVICE_SOFTWARE: return "software";
    case ACTC_DEVICE_NULL: return "null";
    }
    return "unknown";
}

actc_kernel_report actc_kernel_report_of(const char *kernel, const char *text)
{
    return (actc_kernel_report){.size = sizeof(actc_kernel_report), .kernel = kernel, .text = text, .registers = -1,
                                .scalar_registers = -1, .spilled = -1, .scratch_bytes = -1, .shared_bytes = -1,
                                .code_bytes = -1, .latency = -1, .inexact = -1, .inexact_example = ""};
}

actc_status actc_device_compile_all(actc_device *device, actc_kernel_report_fn report, void *user)
{
    ACTC_OWN_MODES;
    ACTC_RETURN_IF_ERROR(actc_device_is_ours(device));
    if (device->backend->compile_all)
        return device->backend->compile_all(device, report, user);
    actc_kernel_report none =
        actc_kernel_report_of(device->info.backend, "nothing to compile: kernels are built into the library");
    if (report)
        report(user, &none);
    return ACTC_OK;
}
