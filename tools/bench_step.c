/* bench_step.c: what a network's training steps take: seconds, split by the kind of command, and memory; with compression and
 * without.
 *
 * Steps train on one batch of synthetic data, the compressed network's and the uncompressed one's in turn, so that what else
 * the machine does meets both. The rate is of steps that run as they always do; the split is of the quickest of further
 * steps, which are timed command by command and take longer. Peak memory is that of a process which trains one of the two alone.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "common_network.h"

#define LEARNING_RATE 1e-3
#define PROFILED_STEPS 3
#define PEAK_STEPS 2 /* the first one touches all memory; one more for what grows */

typedef struct settings {
    tool_network net;
    const char *compress, *optim, *device, *format;
    int64_t batch, steps, warmup, threads;
    uint64_t seed;
    bool deterministic;
} settings;

typedef struct kind {
    const char *name; /* the network's */
    double seconds;   /* a step */
} kind;

/* A network that is measured. */
typedef struct variant {
    const char *compress; /* NULL: uncompressed */
    actc_network *network;
    double *seconds;      /* of each step */
    float *loss;          /* after it */
    double median, least, most;
    kind *kinds;
    size_t n_kinds;
    double all;           /* seconds of all kinds */
    actc_memory_report report;
    uint64_t peak_rss_bytes; /* 0: not known */
} variant;

typedef struct bench {
    const tool *t;
    const settings *s;
    const actc_model *model;
    actc_model_config config;
    actc_context *context;
    actc_device *device;
    actc_graph *graph;
    actc_binding *bindings;
    void **data;
    size_t n_inputs;
    variant variants[2]; /* as asked for; uncompressed, where that is not the same */
    int n_variants;
    char untimed[256];   /* why there is no split; "" where there is one */
} bench;

static int out_of_memory(const bench *b)
{
    return tool_fail(b->t, "out of memory");
}

/* ---- a network and its batch ---- */

static int open_graph(bench *b)
{
    actc_device_options options = actc_device_options_default();
    options.device = b->s->device;
    options.threads = (int)b->s->threads;
    options.deterministic = b->s->deterministic;
    actc_status status = actc_device_open(b->context, &options, &b->device);
    if (status != ACTC_OK)
        return tool_failed_option(b->t, b->context, status, "device");
    if (actc_device_get_info(b->device)->type == ACTC_DEVICE_NULL)
        return tool_usage(b->t, "--device %s: it computes nothing that could be timed; accepted are auto, cpu, vulkan[:N] and "
                          "cuda[:N]", b->s->device);
    if (actc_graph_create(b->context, b->model->name, &b->graph) != ACTC_OK)
        return tool_failed(b->t, b->context);
    b->model->build(b->graph, &b->config);
    status = actc_graph_status(b->graph);
    return status == ACTC_OK ? 0 : tool_failed_option(b->t, b->context, status, "size");
}

static void fill(void *data, const actc_input_info *info, size_t elements, int64_t classes, uint64_t *state)
{
    for (size_t i = 0; i < elements; i++) {
        if (info->dtype == ACTC_I32)
            ((int32_t *)data)[i] = (int32_t)(bench_random(state) % (uint64_t)classes);
        else
            ((float *)data)[i] = (float)bench_normal(state);
    }
}

/* Numbers for every input, whatever the network has. */
static int make_batch(bench *b)
{
    size_t count = actc_graph_input_count(b->graph);
    uint64_t state = b->s->seed;
    b->bindings = calloc(count, sizeof *b->bindings);
    b->data = calloc(count, sizeof *b->data);
    if (!b->bindings || !b->data)
        return out_of_memory(b);
    for (; b->n_inputs < count; b->n_inputs++) {
        actc_input_info info = {.size = sizeof info};
        if (actc_graph_input_info(b->graph, b->n_inputs, &info) != ACTC_OK)
            return tool_failed(b->t, b->context);
        size_t elements = (size_t)b->s->batch;
        for (int d = 1; d < info.shape.ndim; d++)
            elements *= (size_t)info.shape.dims[d];
        void *data = b->data[b->n_inputs] = calloc(elements, 4);
        if (!data)
            return out_of_memory(b);
        fill(data, &info, elements, b->config.classes, &state);
        b->bindings[b->n_inputs] = (actc_binding){info.name, data};
    }
    return 0;
}

static int create(bench *b, variant *v)
{
    actc_network_options options = actc_network_options_default();
    options.train_batch = b->s->batch;
    options.compress = v->compress;
    options.seed = b->s->seed;
    options.optimizer = actc_optimizer_options_default(tool_optimizer(b->s->optim));
    actc_status status = actc_network_create(b->device, b->graph, &options, &v->network);
    if (status != ACTC_OK && v->compress)
        return tool_failed_option(b->t, b->context, status, "compress");
    if (status == ACTC_ERROR_INVALID_ARGUMENT || status == ACTC_ERROR_UNSUPPORTED) /* all else was checked before */
        return tool_usage(b->t, "--batch %lld: %s", (long long)b->s->batch, actc_error_message(b->context));
    if (status == ACTC_OK)
        status = actc_network_initialize(v->network);
    return status == ACTC_OK ? 0 : tool_failed(b->t, b->context);
}

static actc_status step(const bench *b, variant *v, double *seconds, float *loss)
{
    actc_step_result result = {.size = sizeof result};
    double begin = tool_now();
    actc_status status = actc_network_train(v->network, b->bindings, b->n_inputs, LEARNING_RATE, &result);
    *seconds = tool_now() - begin;
    *loss = result.loss;
    return status;
}

/* ---- measuring ---- */

static int time_steps(bench *b)
{
    int64_t n = b->s->steps;
    float loss;
    double seconds;
    for (int i = 0; i < b->n_variants; i++) {
        b->variants[i].seconds = calloc((size_t)n, sizeof(double));
        b->variants[i].loss = calloc((size_t)n, sizeof(float));
        if (!b->variants[i].seconds || !b->variants[i].loss)
            return out_of_memory(b);
    }
    for (int64_t k = -b->s->warmup; k < n; k++)
        for (int i = 0; i < b->n_variants; i++) {
            variant *v = &b->variants[i];
            if (step(b, v, k < 0 ? &seconds : &v->seconds[k], k < 0 ? &loss : &v->loss[k]) != ACTC_OK)
                return tool_failed(b->t, b->context);
        }
    for (int i = 0; i < b->n_variants; i++) {
        variant *v = &b->variants[i];
        v->median = bench_median(v->seconds, (size_t)n);
        v->least = v->seconds[0];
        v->most = v->seconds[n - 1];
    }
    return 0;
}

static int by_seconds(const void *a, const void *b)
{
    const kind *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* What the commands of the last step took, kept where all together took less than in the steps before. */
static bool take_kinds(variant *v)
{
    size_t count = actc_network_timeline_count(v->network), n = 0;
    kind *kinds = calloc(count, sizeof *kinds);
    double all = 0;
    for (size_t i = 0; i < count && kinds; i++) {
        actc_timeline_entry entry = {.size = sizeof entry};
        if (actc_network_timeline(v->network, i, &entry) != ACTC_OK)
            break;
        size_t k = 0;
        while (k < n && strcmp(kinds[k].name, entry.kind) != 0)
            k++;
        if (k == n)
            kinds[n++] = (kind){entry.kind, 0};
        kinds[k].seconds += entry.seconds;
        all += entry.seconds;
    }
    if (kinds && (!v->kinds || all < v->all)) {
        free(v->kinds);
        qsort(kinds, n, sizeof *kinds, by_seconds);
        v->kinds = kinds;
        v->n_kinds = n;
        v->all = all;
        kinds = NULL;
    }
    free(kinds);
    return v->kinds;
}

/* Steps that are timed command by command, after one that is not counted. */
static int profile(bench *b)
{
    float loss;
    double seconds;
    for (int i = 0; i < b->n_variants; i++) {
        actc_status status = actc_network_set_profiling(b->variants[i].network, true);
        if (status == ACTC_ERROR_UNSUPPORTED) {
            snprintf(b->untimed, sizeof b->untimed, "%s", actc_error_message(b->context));
            return 0;
        }
        if (status != ACTC_OK)
            return tool_failed(b->t, b->context);
    }
    for (int k = 0; k <= PROFILED_STEPS; k++)
        for (int i = 0; i < b->n_variants; i++) {
            if (step(b, &b->variants[i], &seconds, &loss) != ACTC_OK)
                return tool_failed(b->t, b->context);
            if (k > 0 && !take_kinds(&b->variants[i]))
                return out_of_memory(b);
        }
    return 0;
}

static void drop(bench *b)
{
    for (int i = 0; i < 2; i++) {
        actc_network_destroy(&b->variants[i].network);
        free(b->variants[i].seconds);
        free(b->variants[i].loss);
        free(b->variants[i].kinds);
    }
    for (size_t i = 0; i < b->n_inputs; i++)
        free(b->data[i]);
    free(b->data);
    free(b->bindings);
    actc_graph_destroy(&b->graph);
    actc_device_destroy(&b->device);
    actc_context_destroy(&b->context);
}

/* The child of measure_peak: 0 after a few steps. What fails here fails again in the parent, which says so. */
static int train_alone(bench *b, variant *v)
{
    float loss;
    double seconds;
    if (!freopen("/dev/null", "w", stderr) || !(b->context = tool_context(b->t)))
        return TOOL_FAILURE;
    if (open_graph(b) || make_batch(b) || create(b, v))
        return TOOL_FAILURE;
    for (int k = 0; k < PEAK_STEPS; k++)
        if (step(b, v, &seconds, &loss) != ACTC_OK)
            return TOOL_FAILURE;
    return 0;
}

/* Peak resident memory of a process that trains the network and has had no other; forks, so it comes before anything else that
 * takes memory or threads. */
static void measure_peak(bench *b, variant *v)
{
    int state = 0;
    struct rusage usage;
    pid_t child = fork();
    if (child == 0)
        _exit(train_alone(b, v));
    if (child > 0 && wait4(child, &state, 0, &usage) == child && WIFEXITED(state) && WEXITSTATUS(state) == 0)
        v->peak_rss_bytes = (uint64_t)usage.ru_maxrss * 1024;
}

static int measure(bench *b)
{
    for (int i = 0; i < b->n_variants; i++)
        measure_peak(b, &b->variants[i]);
    if (!(b->context = tool_context(b->t)))
        return TOOL_FAILURE;
    int code = open_graph(b);
    if (!code)
        code = make_batch(b);
    for (int i = b->n_variants - 1; i >= 0 && !code; i--) /* uncompressed first: what fails there is not the rules' doing */
        code = create(b, &b->variants[i]);
    if (!code)
        code = time_steps(b);
    for (int i = 0; i < b->n_variants && !code; i++) {
        b->variants[i].report = (actc_memory_report){.size = sizeof b->variants[i].report};
        if (actc_network_memory(b->variants[i].network, &b->variants[i].report) != ACTC_OK)
            return tool_failed(b->t, b->context);
    }
    return code ? code : profile(b);
}

/* ---- what is printed ---- */

static double rate(const bench *b, const variant *v)
{
    return (double)b->s->batch / v->median;
}

static void add_variant(const bench *b, const variant *v, cJSON *json)
{
    json_f64(json, "samples_per_s", rate(b, v));
    json_f64(json, "seconds_per_step", v->median);
    json_f64(json, "seconds_least", v->least);
    json_f64(json, "seconds_most", v->most);
    json_u64(json, "planned_bytes", v->report.planned_bytes);
    json_u64(json, "allocated_bytes", v->report.allocated_bytes);
    if (v->peak_rss_bytes)
        json_u64(json, "peak_rss_bytes", v->peak_rss_bytes);
    else
        cJSON_AddNullToObject(json, "peak_rss_bytes");
    cJSON *loss = cJSON_AddArrayToObject(json, "loss");
    for (int64_t i = 0; i < b->s->steps; i++)
        cJSON_AddItemToArray(loss, json_f32_item(v->loss[i]));
    if (*b->untimed)
        return;
    cJSON *kinds = cJSON_AddObjectToObject(json, "kinds");
    for (size_t i = 0; i < v->n_kinds; i++)
        json_f64(kinds, v->kinds[i].name, v->kinds[i].seconds);
}

static bool print_json(const bench *b)
{
    const actc_device_info *device = actc_device_get_info(b->device);
    cJSON *json = cJSON_CreateObject();
    json_text(json, "actc", actc_version());
    json_text(json, "device", device->spec);
    json_text(json, "device_name", device->name);
    json_text(json, "driver", device->driver);
    json_u64(json, "threads", device->threads);
    cJSON_AddBoolToObject(json, "deterministic", b->s->deterministic);
    json_text(json, "network", b->model->name);
    json_u64(json, "batch", (uint64_t)b->s->batch);
    cJSON *size = cJSON_AddArrayToObject(json, "size");
    for (int d = 1; d < b->config.sample.ndim; d++)
        cJSON_AddItemToArray(size, cJSON_CreateNumber((double)b->config.sample.dims[d]));
    json_u64(json, "classes", (uint64_t)b->config.classes);
    json_text(json, "optimizer", b->s->optim);
    json_text(json, "compress", b->s->compress ? b->s->compress : "");
    json_u64(json, "steps", (uint64_t)b->s->steps);
    json_text(json, "untimed", b->untimed);
    add_variant(b, &b->variants[0], json);
    if (b->n_variants > 1) {
        json_f64(json, "samples_per_s_ratio", rate(b, &b->variants[0]) / rate(b, &b->variants[1]));
        add_variant(b, &b->variants[1], cJSON_AddObjectToObject(json, "uncompressed"));
    }
    return json_print(tool_output(), json, false);
}

static void add_row(const bench *b, tool_table *table, const char *name, const char *format, const double values[2], double scale)
{
    tool_table_add(table, "%s", name);
    for (int i = 0; i < b->n_variants; i++)
        tool_table_add(table, format, values[i] * scale);
    if (b->n_variants > 1)
        tool_table_add(table, "%.3f", values[0] / values[1]);
}

static void add_bytes(const bench *b, tool_table *table, const char *name, uint64_t with, uint64_t without)
{
    const uint64_t bytes[2] = {with, without};
    tool_table_add(table, "%s", name);
    for (int i = 0; i < b->n_variants; i++)
        tool_table_add(table, "%s", bytes[i] ? BYTES_TEXT(bytes[i]) : "-");
    if (b->n_variants > 1)
        tool_table_add(table, bytes[0] && bytes[1] ? "%.3f" : "-", (double)bytes[0] / (double)bytes[1]);
}

static void add_heads(const bench *b, tool_table *table, const char *what)
{
    table->align = b->n_variants > 1 ? "lrrr" : "lr";
    tool_table_add(table, "%s", what);
    tool_table_add(table, "%s", b->n_variants > 1 ? "compressed" : "");
    for (int i = 1; i < b->n_variants; i++) {
        tool_table_add(table, "uncompressed");
        tool_table_add(table, "ratio");
    }
}

static double seconds_of(const variant *v, const char *name)
{
    for (size_t i = 0; i < v->n_kinds; i++)
        if (strcmp(v->kinds[i].name, name) == 0)
            return v->kinds[i].seconds;
    return 0;
}

static void add_kind(const bench *b, tool_table *table, const char *name, double with, double without)
{
    tool_table_add(table, "%s", name);
    tool_table_add(table, "%.3f", 1e3 * with);
    if (b->n_variants == 1)
        return;
    tool_table_add(table, "%.3f", 1e3 * without);
    tool_table_add(table, with > 0 && without > 0 ? "%.3f" : "-", with / without);
}

static void print_kinds(const bench *b)
{
    tool_table table = {0};
    const variant *with = &b->variants[0], *without = &b->variants[1];
    add_heads(b, &table, "milliseconds of a step, timed command by command");
    for (size_t i = 0; i < with->n_kinds; i++)
        add_kind(b, &table, with->kinds[i].name, with->kinds[i].seconds, seconds_of(without, with->kinds[i].name));
    for (size_t i = 0; i < without->n_kinds; i++) {
        size_t k = 0;
        while (k < with->n_kinds && strcmp(with->kinds[k].name, without->kinds[i].name) != 0)
            k++;
        if (k == with->n_kinds)
            add_kind(b, &table, without->kinds[i].name, 0, without->kinds[i].seconds);
    }
    add_kind(b, &table, "all", with->all, without->all);
    tool_table_print(tool_output(), &table);
}

static void print_text(const bench *b)
{
    const actc_device_info *device = actc_device_get_info(b->device);
    const variant *with = &b->variants[0], *without = &b->variants[1];
    char sample[96];
    tool_line(tool_output(), "%s, input %s, batch %lld, %s, on %s: %s", b->model->name,
              tool_shape_text(&b->config.sample, sample, sizeof sample), (long long)b->s->batch, b->s->optim, device->spec,
              device->name);
    if (b->n_variants > 1)
        tool_line(tool_output(), "compressed by %s", b->s->compress);
    char head[64];
    snprintf(head, sizeof head, "%lld steps", (long long)b->s->steps);
    tool_table table = {0};
    fputc('\n', tool_output());
    add_heads(b, &table, head);
    add_row(b, &table, "samples a second", "%.2f", (double[]){rate(b, with), b->n_variants > 1 ? rate(b, without) : 0}, 1);
    add_row(b, &table, "milliseconds a step, median", "%.3f", (double[]){with->median, without->median}, 1e3);
    add_row(b, &table, "  least", "%.3f", (double[]){with->least, without->least}, 1e3);
    add_row(b, &table, "  most", "%.3f", (double[]){with->most, without->most}, 1e3);
    add_bytes(b, &table, "planned", with->report.planned_bytes, without->report.planned_bytes);
    add_bytes(b, &table, "allocated", with->report.allocated_bytes, without->report.allocated_bytes);
    add_bytes(b, &table, "peak resident memory of the process", with->peak_rss_bytes, without->peak_rss_bytes);
    for (int64_t i = 0; i < b->s->steps; i++) {
        char name[48];
        snprintf(name, sizeof name, "loss of step %lld", (long long)i + 1);
        add_row(b, &table, name, "%.6g", (double[]){(double)with->loss[i], b->n_variants > 1 ? (double)without->loss[i] : 1}, 1);
    }
    tool_table_print(tool_output(), &table);
    fputc('\n', tool_output());
    if (*b->untimed)
        tool_line(tool_output(), "No split by kind of command: %s.", b->untimed);
    else
        print_kinds(b);
}

int bench_step(int argc, char **argv)
{
    settings s = {.batch = 32, .steps = 10, .warmup = 2, .optim = "adam", .device = "auto", .format = "text", .seed = 1};
    tool_option options[] = {
        {"batch", TOOL_INT, &s.batch, "N", "samples a step (32)", NULL, 1, 1 << 20},
        TOOL_NETWORK_OPTIONS(&s.net),
        {"compress", TOOL_STRING, &s.compress, "RULES", "measure with and without: GLOB[,GLOB][@KIND]=CODEC[;...]"},
        {"optim", TOOL_CHOICE, &s.optim, "adam|adamw|sgd", "optimiser; sgd is without momentum (adam)", "adam|adamw|sgd"},
        {"steps", TOOL_INT, &s.steps, "N", "that are timed (10)", NULL, 1, 100000},
        {"warmup", TOOL_INT, &s.warmup, "N", "steps before them (2)", NULL, 0, 100000},
        {"device", TOOL_STRING, &s.device, "DEVICE", "auto, cpu, vulkan[:N], cuda[:N] (auto)"},
        {"threads", TOOL_INT, &s.threads, "N", "CPU threads (all)", NULL, 0, 1024},
        {"deterministic", TOOL_FLAG, &s.deterministic, NULL, "the same bits on every device and number of threads"},
        {"seed", TOOL_SEED, &s.seed, "N", "of the parameters and the batch (1)"},
        {"format", TOOL_CHOICE, &s.format, "text|json", "json: one object on the standard output", "text|json"},
    };
    char networks[TOOL_NETWORKS_BYTES], help[TOOL_NETWORKS_BYTES + 4096];
    snprintf(help, sizeof help,
             "Trains on one synthetic batch: normal inputs, uniform classes. Seconds are the\n"
             "median of the steps after the warm-up, with the least and the most; the losses\n"
             "are theirs. The split by kind of command is of the quickest of three further\n"
             "steps, in which each command is timed by itself. Peak memory is of a process\n"
             "that trains the network alone. With --compress both networks take turns.\n\n"
             "Networks:\n%s\n"
             "Examples:\n"
             "  actc-bench step mnistnet\n"
             "  actc-bench step resnet18 --batch 32 --device cpu --threads 2\n"
             "  actc-bench step resnet18 --batch 32 --compress '*=dct:lambda=100' --format json\n",
             tool_networks_text(networks, sizeof networks));
    const tool t = {
        .name = "actc-bench step",
        .summary = "Measures what a network's training steps take.",
        .synopsis = "NETWORK [OPTION...]",
        .text = help,
        .options = options,
        .option_count = sizeof options / sizeof *options,
    };
    const char *name = NULL;
    size_t count;
    int code;
    if (!tool_parse(&t, argc, argv, &name, 1, &count, &code))
        return code;
    if (s.compress && !*s.compress)
        s.compress = NULL;
    bench b = {.t = &t, .s = &s, .n_variants = s.compress ? 2 : 1, .variants = {{.compress = s.compress}}};
    code = tool_choose_network(&t, name, &s.net, &b.model, &b.config);
    if (!code)
        code = measure(&b);
    if (!code && strcmp(s.format, "json") == 0)
        code = print_json(&b) ? 0 : tool_output_failed(&t);
    else if (!code)
        print_text(&b);
    drop(&b);
    return code;
}
