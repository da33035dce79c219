/* parity_bench.c: how long the cases take. */
#include <stdlib.h>
#include <string.h>

#include "../tests/parity/kernel_run.h"
#include "parity.h"

/* What is copied to know a device's bandwidth: more than caches hold. */
#define COPY_BYTES ((uint64_t)64 << 20)

/* Bytes read and written a second by the device's own copy. */
static bool measure_copy(actc_device *device, double *bytes_s, char *message, size_t size)
{
    actc_command copy = {.type = ACTC_COMMAND_COPY, .label = "copy", .n_views = 2, .access = {'r', 'w'}};
    void *data[2] = {calloc(1, COPY_BYTES), NULL};
    double seconds = 0;
    copy.views[0].bytes = copy.views[1].bytes = COPY_BYTES;
    bool good = data[0] && kernel_run_time(device, &copy, data, &seconds, message, size);
    if (!data[0])
        snprintf(message, size, "out of memory");
    *bytes_s = good ? 2.0 * (double)COPY_BYTES / seconds : 0;
    free(data[0]);
    return good;
}

static void add_json(const parity_session *s, size_t index, const parity_backend *b, const parity_speed *speed)
{
    cJSON *json = cJSON_GetArrayItem(s->json_cases, (int)index);
    json = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "backends"), b->name);
    cJSON *bench = cJSON_AddObjectToObject(json, "bench");
    json_f64(bench, "seconds", speed->seconds);
    json_f64(bench, "gb_s", speed->bytes / speed->seconds / 1e9);
    json_f64(bench, "of_copy", speed->bytes / speed->seconds / b->copy_bytes_s);
    if (speed->flops > 0)
        json_f64(bench, "gflop_s", speed->flops / speed->seconds / 1e9);
}

static void add_row(tool_table *table, const parity_case *c, const parity_backend *b, const parity_speed *speed)
{
    tool_table_add(table, "%s", c->name);
    tool_table_add(table, "%s", b->name);
    tool_table_add(table, "%.1f us", 1e6 * speed->seconds);
    tool_table_add(table, "%.2f GB/s", speed->bytes / speed->seconds / 1e9);
    tool_table_add(table, "%.3f of copy", speed->bytes / speed->seconds / b->copy_bytes_s);
    if (speed->flops > 0)
        tool_table_add(table, "%.2f GFLOP/s", speed->flops / speed->seconds / 1e9);
    else
        tool_table_add(table, "%s", "-");
}

int parity_bench_all(parity_session *s)
{
    char message[1200];
    tool_table table = {.align = "llrrrr"};
    for (size_t i = 0; i < s->n_backends; i++)
        if (!measure_copy(s->backends[i].devices[0], &s->backends[i].copy_bytes_s, message, sizeof message))
            return tool_fail(s->t, "%s: copying: %s", s->backends[i].name, message);
    int code = 0;
    double start = tool_now();
    for (size_t i = 0; i < s->n_cases && !code; i++) {
        const parity_case *c = s->cases[i];
        double seconds = tool_now() - start, per_s = seconds > 0 ? (double)i / seconds : 0;
        tool_progress_draw(&s->progress, "bench", i, s->n_cases, per_s, "cases/s",
                           per_s > 0 ? (double)(s->n_cases - i) / per_s : 0);
        for (size_t b = 0; b < s->n_backends && c->bench && !code; b++) {
            parity_result r = {0};
            parity_speed speed = {0};
            const char *why;
            parity_run run = {.context = s->context, .seed = parity_seed(s->seed, c->name), .result = &r};
            run.device = parity_device(s, &s->backends[b], c->deterministic || s->deterministic, &why);
            run.reference = run.device;
            /* what the backend cannot run has been skipped before, and is here */
            if (run.device && c->bench(c, &run, &speed) && speed.seconds > 0) {
                if (parity_is_json(s))
                    add_json(s, i, &s->backends[b], &speed);
                else
                    add_row(&table, c, &s->backends[b], &speed);
            } else if (run.device && !strstr(r.message, "not supported")) {
                code = tool_fail(s->t, "%s on %s: %s", c->name, s->backends[b].name, r.message);
            }
            parity_result_free(&r);
        }
    }
    tool_progress_clear(&s->progress);
    if (!parity_is_json(s)) {
        for (size_t i = 0; i < s->n_backends; i++)
            printf("%s copies at %.2f GB/s (read and written)\n", s->backends[i].name, s->backends[i].copy_bytes_s / 1e9);
        tool_table_print(stdout, &table);
    }
    return code;
}
