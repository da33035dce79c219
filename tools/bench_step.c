/* bench_step.c: how fast a network trains, on generated data: samples a second, where the time goes, and what memory it takes; with
 * compression and without, in turns, so that what else the machine does meets both.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define MOST_STEPS 1000
#define MOST_INPUTS 16
#define MOST_KINDS 96
#define PROFILED 2 /* steps that are timed command by command, of which the last counts */
#define LEARNING_RATE 1e-3

typedef struct kind_time {
    const char *name; /* belongs to the network */
    double seconds;
    int commands;
} kind_time;

/* A network, compressed or not. */
typedef struct subject {
    actc_network *network;
    actc_memory_report memory;
    double seconds[MOST_STEPS], sorted[MOST_STEPS];
    float loss[MOST_STEPS];
    double median;
    kind_time kinds[MOST_KINDS];
    size_t n_kinds;
} subject;

typedef struct bench {
    const tool *t;
    const bench_settings *s;
    const actc_model *model;
    actc_model_config config;
    actc_context *context;
    actc_device *device;
    actc_graph *graph;
    actc_binding bindings[MOST_INPUTS];
    size_t n_bindings;
    subject subjects[2]; /* as asked for; without compression, where rules were given */
    int n_subjects;
} bench;

/* ---- data ---- */

/* Normal numbers for inputs, classes drawn evenly for targets. */
static bool fill(bench *b)
{
    uint64_t state = b->s->seed;
    for (size_t i = 0; i < actc_graph_input_count(b->graph) && i < MOST_INPUTS; i++) {
        actc_input_info info = {.size = sizeof info};
        if (actc_graph_input_info(b->graph, i, &info) != ACTC_OK)
            return false;
        size_t n = (size_t)b->s->batch;
        for (int d = 0; d < info.shape.ndim; d++)
            n *= (size_t)info.shape.dims[d];
        void *data = malloc(n * 4);
        if (!data)
            return false;
        for (size_t k = 0; k < n && info.dtype == ACTC_F32; k++)
            ((float *)data)[k] = (float)bench_normal(&state);
        for (size_t k = 0; k < n && info.dtype != ACTC_F32; k++)
            ((int32_t *)data)[k] = (int32_t)(bench_random(&state) % (uint64_t)b->config.classes);
        b->bindings[b->n_bindings++] = (actc_binding){info.name, data};
    }
    return true;
}

/* ---- steps ---- */

static actc_status train(bench *b, subject *x, float *loss, double *seconds)
{
    actc_step_result result = {.size = sizeof result};
    double before = tool_now();
    actc_status status = actc_network_train(x->network, b->bindings, b->n_bindings, LEARNING_RATE, &result);
    *seconds = tool_now() - before;
    *loss = result.loss;
    return status;
}

static int by_seconds(const void *a, const void *b)
{
    return bench_compare(&((const kind_time *)b)->seconds, &((const kind_time *)a)->seconds);
}

static actc_status split(bench *b, subject *x)
{
    float loss;
    double seconds;
    actc_status status = actc_network_profile(x->network, true);
    for (int i = 0; i < PROFILED && status == ACTC_OK; i++)
        status = train(b, x, &loss, &seconds);
    for (size_t i = 0; i < actc_network_timeline_count(x->network) && status == ACTC_OK; i++) {
        actc_timeline_entry entry = {.size = sizeof entry};
        status = actc_network_timeline(x->network, i, &entry);
        size_t k = 0;
        while (k < x->n_kinds && strcmp(x->kinds[k].name, entry.kind))
            k++;
        if (k == MOST_KINDS)
            continue;
        if (k == x->n_kinds)
            x->kinds[x->n_kinds++] = (kind_time){.name = entry.kind};
        x->kinds[k].seconds += entry.seconds;
        x->kinds[k].commands++;
    }
    if (status == ACTC_OK)
        status = actc_network_profile(x->network, false);
    qsort(x->kinds, x->n_kinds, sizeof *x->kinds, by_seconds);
    return status;
}

static actc_status measure(bench *b)
{
    actc_status status = ACTC_OK;
    tool_progress progress = {0};
    const int64_t total = b->s->steps + 1;
    for (int64_t i = 0; i < total && status == ACTC_OK; i++) { /* the first warms up */
        for (int k = 0; k < b->n_subjects && status == ACTC_OK; k++) {
            subject *x = &b->subjects[k];
            float loss;
            double seconds;
            status = train(b, x, &loss, &seconds);
            if (i > 0) {
                x->seconds[i - 1] = x->sorted[i - 1] = seconds;
                x->loss[i - 1] = loss;
            }
        }
        tool_progress_draw(&progress, b->model->name, (uint64_t)i + 1, (uint64_t)total, 0, "steps", 0);
    }
    for (int k = 0; k < b->n_subjects && status == ACTC_OK; k++) {
        subject *x = &b->subjects[k];
        qsort(x->sorted, (size_t)b->s->steps, sizeof *x->sorted, bench_compare);
        x->median = x->sorted[b->s->steps / 2];
        status = split(b, x);
    }
    tool_progress_clear(&progress);
    return status;
}

/* ---- reports ---- */

/* VmHWM of the process, as Linux tells it; 0 where it does not. */
static uint64_t peak_resident(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "VmHWM: %llu kB", &kib) != 1)
        continue;
    if (file)
        fclose(file);
    return kib * 1024;
}

static void print_subject(const bench *b, const subject *x, const char *title)
{
    tool_line(tool_output(), "%s", title);
    tool_line(tool_output(), "  %.2f samples/s; %.4f s a step (%.4f to %.4f), loss %.6g to %.6g", (double)b->s->batch / x->median, x->median,
              x->sorted[0], x->sorted[b->s->steps - 1], (double)x->loss[0], (double)x->loss[b->s->steps - 1]);
    tool_line(tool_output(), "  planned %s, allocated %s", BYTES_TEXT(x->memory.planned_bytes), BYTES_TEXT(x->memory.allocated_bytes));
    tool_table table = {.align = "lrrr"};
    static const char *const heads[] = {"kind of command", "commands", "ms", "part"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        tool_table_add(&table, "%s", heads[i]);
    double all = 0;
    for (size_t k = 0; k < x->n_kinds; k++)
        all += x->kinds[k].seconds;
    for (size_t k = 0; k < x->n_kinds; k++) {
        tool_table_add(&table, "%s", x->kinds[k].name);
        tool_table_add(&table, "%d", x->kinds[k].commands);
        tool_table_add(&table, "%.3f", 1e3 * x->kinds[k].seconds);
        tool_table_add(&table, "%.1f %%", all > 0 ? 100 * x->kinds[k].seconds / all : 0);
    }
    tool_table_print(tool_output(), &table);
}

static void print_text(const bench *b)
{
    char shape[96];
    const actc_device_info *device = actc_device_get_info(b->device);
    tool_line(tool_output(), "%s, input %s, batch %lld, %s, %s: %s", b->model->name,
              tool_shape_text(&b->config.sample, shape, sizeof shape), (long long)b->s->batch, b->s->optim, device->spec, device->name);
    print_subject(b, &b->subjects[0], b->n_subjects > 1 ? b->s->compress : "uncompressed");
    if (b->n_subjects > 1) {
        print_subject(b, &b->subjects[1], "uncompressed");
        tool_line(tool_output(), "compressed: %.3f of the uncompressed rate, %.3f of its planned bytes",
                  b->subjects[1].median / b->subjects[0].median,
                  (double)b->subjects[0].memory.planned_bytes / (double)b->subjects[1].memory.planned_bytes);
    }
    tool_line(tool_output(), "peak resident memory of the process %s", BYTES_TEXT(peak_resident()));
}

static void add_subject(const bench *b, cJSON *json, const subject *x)
{
    json_f64(json, "samples_per_s", (double)b->s->batch / x->median);
    json_f64(json, "seconds_per_step", x->median);
    cJSON *seconds = cJSON_AddArrayToObject(json, "seconds"), *losses = cJSON_AddArrayToObject(json, "loss");
    for (int64_t i = 0; i < b->s->steps; i++) {
        cJSON_AddItemToArray(seconds, json_f32_item((float)x->seconds[i]));
        cJSON_AddItemToArray(losses, json_f32_item(x->loss[i]));
    }
    json_u64(json, "planned_bytes", x->memory.planned_bytes);
    json_u64(json, "allocated_bytes", x->memory.allocated_bytes);
    cJSON *kinds = cJSON_AddObjectToObject(json, "kinds");
    for (size_t k = 0; k < x->n_kinds; k++)
        json_f64(kinds, x->kinds[k].name, x->kinds[k].seconds);
}

static bool print_json(const bench *b)
{
    const actc_device_info *device = actc_device_get_info(b->device);
    cJSON *json = cJSON_CreateObject();
    json_text(json, "actc", actc_version());
    json_text(json, "network", b->model->name);
    json_u64(json, "batch", (uint64_t)b->s->batch);
    cJSON *size = cJSON_AddArrayToObject(json, "size");
    for (int d = 1; d < b->config.sample.ndim; d++)
        cJSON_AddItemToArray(size, cJSON_CreateNumber((double)b->config.sample.dims[d]));
    json_text(json, "optimizer", b->s->optim);
    json_text(json, "device", device->spec);
    json_text(json, "device_name", device->name);
    json_text(json, "driver", device->driver);
    json_u64(json, "threads", device->threads);
    json_text(json, "compress", b->n_subjects > 1 ? b->s->compress : "");
    add_subject(b, json, &b->subjects[0]);
    json_u64(json, "peak_rss_bytes", peak_resident());
    if (b->n_subjects > 1)
        add_subject(b, cJSON_AddObjectToObject(json, "uncompressed"), &b->subjects[1]);
    return json_print(tool_output(), json, false);
}

/* ---- the bench ---- */

static int open_network(bench *b)
{
    actc_device_options options = actc_device_options_default();
    options.device = b->s->device;
    options.threads = (int)b->s->threads;
    options.deterministic = b->s->deterministic;
    actc_status status = actc_device_open(b->context, &options, &b->device);
    if (status != ACTC_OK)
        return tool_failed_option(b->t, b->context, status, "device");
    if (actc_device_get_info(b->device)->type == ACTC_DEVICE_NULL)
        return tool_usage(b->t, "--device %s: it computes nothing that could be timed; accepted are auto, cpu, vulkan[:N] and cuda[:N]",
                          b->s->device);
    if (actc_graph_create(b->context, b->model->name, &b->graph) != ACTC_OK)
        return tool_failed(b->t, b->context);
    b->model->build(b->graph, &b->config);
    status = actc_graph_status(b->graph);
    return status == ACTC_OK ? 0 : tool_failed_option(b->t, b->context, status, "size");
}

/* First without compression: what fails there is not the rules' doing. */
static int prepare(bench *b)
{
    const bool compressed = b->s->compress && *b->s->compress;
    b->n_subjects = compressed ? 2 : 1;
    for (int k = b->n_subjects - 1; k >= 0; k--) {
        subject *x = &b->subjects[k];
        actc_network_options options = actc_network_options_default();
        options.train_batch = b->s->batch;
        options.seed = b->s->seed;
        options.compress = compressed && k == 0 ? b->s->compress : NULL;
        options.optimizer = actc_optimizer_options_default(tool_optimizer(b->s->optim));
        actc_status status = actc_network_create(b->device, b->graph, &options, &x->network);
        if (status != ACTC_OK)
            return tool_failed_option(b->t, b->context, status, options.compress ? "compress" : "batch");
        x->memory.size = sizeof x->memory;
        if (actc_network_initialize(x->network) != ACTC_OK || actc_network_memory(x->network, &x->memory) != ACTC_OK)
            return tool_failed(b->t, b->context);
    }
    return 0;
}

int bench_step(const tool *t, const bench_settings *s)
{
    bench *b = calloc(1, sizeof *b);
    if (!b)
        return tool_fail(t, "out of memory");
    *b = (bench){.t = t, .s = s};
    int code = tool_choose_network(t, s->network, &s->net, &b->model, &b->config);
    if (!code && !(b->context = tool_context(t)))
        code = TOOL_FAILURE;
    if (!code)
        code = open_network(b);
    if (!code)
        code = prepare(b);
    if (!code && !fill(b))
        code = tool_fail(t, "out of memory: a batch of %lld", (long long)s->batch);
    if (!code && measure(b) != ACTC_OK)
        code = tool_failed(t, b->context);
    if (!code && strcmp(s->format, "text") == 0)
        print_text(b);
    else if (!code && !print_json(b))
        code = tool_output_failed(t);
    for (int k = 0; k < b->n_subjects; k++)
        actc_network_destroy(&b->subjects[k].network);
    for (size_t i = 0; i < b->n_bindings; i++)
        free((void *)(uintptr_t)b->bindings[i].data);
    actc_graph_destroy(&b->graph);
    actc_device_destroy(&b->device);
    actc_context_destroy(&b->context);
    free(b);
    return code;
}
