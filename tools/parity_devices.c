/* parity_devices.c: the backends of one run of actc-parity. */
#include <stdlib.h>
#include <string.h>

#include "parity.h"

actc_device *parity_device(parity_session *s, parity_backend *b, bool deterministic, const char **why)
{
    if (!b->tried[deterministic]) {
        actc_device_options options = actc_device_options_default();
        options.device = b->name;
        options.threads = (int)s->threads;
        options.deterministic = deterministic;
        options.validate = s->validate && strncmp(b->name, "vulkan", 6) == 0;
        b->tried[deterministic] = true;
        if (actc_device_open(s->context, &options, &b->devices[deterministic]) != ACTC_OK)
            snprintf(b->reasons[deterministic], sizeof b->reasons[deterministic], "%s", actc_error_message(s->context));
    }
    *why = b->reasons[deterministic];
    return b->devices[deterministic];
}

void parity_close_backends(parity_session *s)
{
    for (size_t i = 0; i < s->n_backends; i++)
        for (int d = 0; d < 2; d++)
            actc_device_destroy(&s->backends[i].devices[d]);
}

static int add_backend(parity_session *s, const char *name, size_t length)
{
    parity_backend *b = &s->backends[s->n_backends];
    if (s->n_backends == PARITY_MAX_BACKENDS || length + 1 > sizeof b->name)
        return tool_usage(s->t, "--backends: at most %d names of at most %zu characters", PARITY_MAX_BACKENDS,
                          sizeof b->name - 1);
    *b = (parity_backend){0};
    memcpy(b->name, name, length);
    for (size_t i = 0; i < s->n_backends; i++)
        if (strcmp(s->backends[i].name, b->name) == 0)
            return tool_usage(s->t, "--backends %s: %s is named twice", s->backend_names ? s->backend_names : "", b->name);
    s->n_backends++;
    return 0;
}

/* What there is, NULL with the context's message where it cannot be listed; the caller frees it. */
static actc_device_info *list_devices(const parity_session *s, size_t *count)
{
    actc_device_info *infos = NULL;
    size_t capacity;
    if (actc_device_list(s->context, NULL, 0, &capacity) != ACTC_OK || !(infos = calloc(capacity + 1, sizeof *infos)))
        return NULL;
    infos->size = sizeof *infos;
    if (actc_device_list(s->context, infos, capacity + 1, count) != ACTC_OK) {
        free(infos);
        return NULL;
    }
    if (*count > capacity + 1) /* one has come since */
        *count = capacity + 1;
    return infos;
}

/* Opens a backend that was named: not there is not a failure, a name that means nothing is. */
static int open_named(parity_session *s, parity_backend *b)
{
    const char *why;
    if (strcmp(b->name, "auto") == 0 || strcmp(b->name, "null") == 0)
        return tool_usage(
            s->t, "--backends: '%s' computes nothing that could be compared; accepted are cpu, vulkan[:N] and cuda[:N]",
            b->name);
    if (strncmp(b->name, "cuda-host", 9) == 0) { /* a backend of test programs */
        size_t count = 0;
        actc_device_info *infos = list_devices(s, &count);
        bool there = false;
        for (size_t i = 0; infos && i < count; i++)
            there |= strcmp(infos[i].backend, "cuda-host") == 0;
        free(infos);
        if (!there) {
            snprintf(b->reasons[0], sizeof b->reasons[0],
                     "cuda-host is a backend of the tests: the actc-parity in the build folder's tests/ has it");
            b->tried[0] = true;
        }
    }
    if (parity_device(s, b, false, &why))
        return 0;
    /* a name that no backend has is a wrong option; everything else is a device that is not there */
    if (strstr(why, "accepted are"))
        return tool_usage(s->t, "--backends: %s", why);
    tool_note(s->t, "SKIP: %s", why);
    parity_add_line(&s->skipped, NULL, b->name, why);
    return PARITY_EXIT_SKIPPED;
}

static int find_named(parity_session *s)
{
    for (const char *p = s->backend_names;; p++) {
        size_t length = strcspn(p, ",");
        if (length == 0)
            return tool_usage(s->t, "--backends %s: names with commas between them are accepted", s->backend_names);
        int code = add_backend(s, p, length);
        if (code)
            return code;
        p += length;
        if (!*p)
            break;
    }
    int code = 0;
    for (size_t i = 0; i < s->n_backends && code != TOOL_USAGE; i++) {
        int one = open_named(s, &s->backends[i]);
        code = one ? one : code;
    }
    return code;
}

/* cpu first; of the others, those that can be used; why not, for those that cannot. */
static int find_all(parity_session *s)
{
    size_t count = 0;
    actc_device_info *infos = list_devices(s, &count);
    if (!infos)
        return tool_failed(s->t, s->context);
    int code = 0;
    for (int pass = 0; pass < 2 && !code; pass++)
        for (size_t i = 0; i < count && !code; i++) {
            const actc_device_info *info = &infos[i];
            bool cpu = info->type == ACTC_DEVICE_CPU && info->usable;
            if (strcmp(info->backend, "null") == 0 || cpu != (pass == 0))
                continue;
            if (info->usable)
                code = add_backend(s, info->spec, strlen(info->spec));
            else
                parity_add_line(&s->skipped, NULL, info->backend, info->reason);
        }
    free(infos);
    for (size_t i = 0; i < s->n_backends && !code; i++) {
        const char *why;
        if (!parity_device(s, &s->backends[i], false, &why))
            code = tool_fail(s->t, "%s: %s", s->backends[i].name, why);
    }
    if (!code && s->n_backends == 0) {
        tool_note(s->t, "SKIP: there is no device that can be used; see actc-info");
        code = PARITY_EXIT_SKIPPED;
    }
    return code;
}

int parity_find_backends(parity_session *s)
{
    return s->backend_names ? find_named(s) : find_all(s);
}
