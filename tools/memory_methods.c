/* memory_methods.c: Table 3 of Vu et al. (TMLR 2024), methods against one another: published, recomputed from our graphs as the reference
 * counts, and what ours need: after the forward pass and at the peak, and the time of a step where it was measured.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory_table.h"

/* ---- what is published ---- */

enum { SEGMENTS = 5, RATES = 5, LAMBDAS = 6 };
static const double lambdas[LAMBDAS] = {1.1, 1.4, 2.5, 10, 100, 1000};

typedef struct setup {
    const char *network;
    bool as_published;     /* the option of this name is set */
    int64_t batch, size, classes;
    const char *layers;    /* globs of what the reference compresses */
    memory_reference_form form;
    double others, baseline;              /* MiB: M_O, M_BL */
    double half, checkpoint[SEGMENTS], wcc[RATES], dct[LAMBDAS];
    const char *note;
} setup;

#define EFFICIENTNET_LAYERS "conv_stem,bn1,act1,blocks/*,conv_head,bn2,act2"
#define EFFICIENTNET_NOTE "the reference's B4 and B8 have B0's widths, and ReLU; its checkpoints drop residual additions, gates and concatenations"
#define NA -1
static const setup setups[] = {
    {"unet3d", false, 1, 96, 3, "e?/conv?,e?/bn?,e?/relu?,d?/block/*", {false, 0, NULL}, 458, 1630,
     NA, {NA, NA, NA, NA, NA}, {NA, NA, NA, NA, NA}, {NA, NA, NA, NA, 514, NA}, "published in Table 2 (which holds the int64 target too, 20 MiB)"},
    {"efficientnet_b0", true, 4, 640, 1000, EFFICIENTNET_LAYERS, {true, 0, NULL}, 39, 2023,
     1017, {1196, 310, 168, 140, 117}, {7120, 5629, 4876, 4493, 4306}, {7427, 5786, 3327, 872, 121, 48}, EFFICIENTNET_NOTE},
    {"efficientnet_b4", true, 2, 640, 1000, EFFICIENTNET_LAYERS, {true, 0, NULL}, 49, 1871,
     939, {1130, 322, 185, 151, 130}, {6580, 5121, 4418, 4020, 3862}, {6805, 5314, 3075, 806, 124, 57}, EFFICIENTNET_NOTE},
    {"efficientnet_b8", true, 1, 640, 1000, EFFICIENTNET_LAYERS, {true, 0, NULL}, 79, 1781,
     888, {1098, 345, 216, 177, 161}, {6179, 4843, 4193, 3834, 3645}, {6387, 5013, 2973, 786, 149, 87}, EFFICIENTNET_NOTE},
    {"deeplabv3plus", false, 32, 128, 21, "backbone/*", {true, 0, "backbone/*"}, 318, 2722,
     1373, {2683, NA, NA, NA, NA}, {8295, 6512, 5612, 5165, 4929}, {6296, 5307, 3209, 1053, 390, 325}, NULL},
    {"edsr", false, 4, 48, 3, "*", {true, 0, NULL}, 166, 943,
     487, {941, 644, 536, 491, 455}, {3288, 3280, 3277, 3275, 3274}, {2781, 2400, 1443, 488, 199, 170}, NULL},
};
enum { SETUPS = sizeof setups / sizeof *setups };

/* ---- methods ---- */

enum { METHODS = 1 + 1 + SEGMENTS + RATES + LAMBDAS + 3 };

typedef struct method {
    char name[40], rules[40]; /* of ours; "" without compression */
    bool ours;
    double published;         /* MiB; below 0: there is none */
    double lambda;            /* what the reference keeps one of, 0: it is not recomputed */
} method;

static int list_methods(const setup *s, method *list)
{
    static const char *const rates[RATES] = {"none", "50 %", "25 %", "12.5 %", "6.25 %"};
    method *m = list;
    *m++ = (method){"none", "", true, s->baseline, INFINITY};
    *m++ = (method){"16-bit saved values", "*=threshold:lambda=1,values=f16", true, s->half, 0};
    for (int i = 1; i <= SEGMENTS; i++, m++) {
        *m = (method){"", "", true, s->checkpoint[i - 1], 0};
        snprintf(m->name, sizeof m->name, "recompute, s=%d", i);
        if (i > 1)
            snprintf(m->rules, sizeof m->rules, "*=recompute:segments=%d", i);
    }
    for (int i = 0; i < RATES && s->wcc[i] >= 0; i++, m++) {
        *m = (method){"", "", false, s->wcc[i], 0};
        snprintf(m->name, sizeof m->name, "WCC, rate %s", rates[i]);
    }
    for (int i = 0; i < LAMBDAS; i++, m++) {
        *m = (method){"", "", true, s->dct[i], lambdas[i]};
        snprintf(m->name, sizeof m->name, "DCT, lambda=%g", lambdas[i]);
        snprintf(m->rules, sizeof m->rules, "*=dct:lambda=%g", lambdas[i]);
    }
    for (int bits = 8; bits >= 2; bits /= 2, m++) {
        *m = (method){"", "", true, NA, 0};
        snprintf(m->name, sizeof m->name, "quant, %d bits", bits);
        snprintf(m->rules, sizeof m->rules, "*=quant:bits=%d", bits);
    }
    return (int)(m - list);
}

/* ---- planning ---- */

typedef struct planned {
    method method;
    double recomputed;  /* MiB, below 0: none */
    uint64_t after_forward_bytes, peak_bytes;
    double again;       /* percent of the forward pass */
    double time;        /* of a step, relative to uncompressed; 0: not measured */
} planned;

typedef struct result {
    const setup *s;
    const actc_model *model;
    actc_model_config config;
    double others;
    planned rows[METHODS];
    int count;
} result;

typedef struct methods_run {
    const tool *t;
    actc_context *context;
    actc_device *device;
    cJSON *times;
    result results[SETUPS];
    int count;
    tool_progress progress;
    double start;
    uint64_t done, total;
} methods_run;

static actc_model_config config_of(const setup *s, const actc_model *model)
{
    actc_model_config config = actc_model_usual(model);
    for (int d = 1; d < config.sample.ndim; d++)
        config.sample.dims[d] = s->size;
    config.classes = s->classes;
    for (int i = 0; i < ACTC_MODEL_MAX_OPTIONS && model->options[i].name; i++)
        if (s->as_published && strcmp(model->options[i].name, "as_published") == 0)
            config.options[i] = 1;
    return config;
}

static int plan(methods_run *run, const result *r, const actc_graph *graph, planned *row)
{
    actc_network_options options = actc_network_options_default();
    actc_memory_report report = {.size = sizeof report};
    actc_network *network = NULL;
    double seconds = tool_now() - run->start, per_s = seconds > 0 ? (double)run->done / seconds : 0;
    tool_progress_draw(&run->progress, "table 3", run->done, run->total, per_s, "plans/s",
                       per_s > 0 ? (double)(run->total - run->done) / per_s : 0);
    options.train_batch = r->s->batch;
    options.optimizer = actc_optimizer_options_default(ACTC_OPTIMIZER_SGD);
    options.compress = *row->method.rules ? row->method.rules : NULL;
    actc_status status = actc_network_create(run->device, graph, &options, &network);
    if (status == ACTC_OK)
        status = actc_network_memory(network, &report);
    row->after_forward_bytes = report.after_forward_bytes;
    row->peak_bytes = report.planned_bytes;
    row->again = report.recompute_percent;
    actc_network_destroy(&network);
    run->done++;
    return status == ACTC_OK ? 0 : tool_failed(run->t, run->context);
}

static double recompute(const setup *s, const memory_reference *reference, double lambda)
{
    memory_reference_rules rules = {.layers = s->layers, .any_depth = true, .lambda = lambda};
    return (double)memory_reference_bytes(reference, s->batch, &rules) / MIB;
}

static double without_compression(const setup *s, const memory_reference *reference)
{
    return (double)memory_reference_bytes(reference, s->batch, &(memory_reference_rules){.lambda = INFINITY}) / MIB;
}

/* Of a step of this network with these rules, relative to one without, in the file; 0 where it has none. */
static double time_of(const cJSON *times, const char *network, const char *rules)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(times, "rows")) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "network"), *of = cJSON_GetObjectItemCaseSensitive(item, "compress");
        const cJSON *time = cJSON_GetObjectItemCaseSensitive(item, "time");
        if (cJSON_IsString(name) && cJSON_IsString(of) && cJSON_IsNumber(time) && strcmp(name->valuestring, network) == 0 &&
            strcmp(of->valuestring, rules) == 0)
            return time->valuedouble;
    }
    return 0;
}

static int plan_network(methods_run *run, result *r)
{
    const char *unknown;
    actc_graph *graph = NULL;
    memory_reference *reference = NULL;
    method list[METHODS];
    int code = 0, count = list_methods(r->s, list);
    if (actc_graph_create(run->context, r->model->name, &graph) != ACTC_OK)
        return tool_failed(run->t, run->context);
    r->model->build(graph, &r->config);
    if (actc_graph_status(graph) != ACTC_OK)
        code = tool_failed(run->t, run->context);
    else if (!(reference = memory_reference_create(graph, &r->s->form, &unknown)))
        code = unknown ? tool_fail(run->t, "%s: what the reference saves of '%s' is not known", r->model->name, unknown)
                       : tool_fail(run->t, "out of memory");
    if (!code)
        r->others = recompute(r->s, reference, INFINITY);
    for (int i = 0; i < count && !code; i++) {
        planned *row = &r->rows[r->count++];
        *row = (planned){.method = list[i], .recomputed = NA};
        if (i == 0)
            row->recomputed = without_compression(r->s, reference);
        else if (list[i].lambda > 0)
            row->recomputed = recompute(r->s, reference, list[i].lambda);
        else if (list[i].published >= 0 && list[i].published == r->s->half)
            row->recomputed = r->rows[0].recomputed / 2;
        if (list[i].ours)
            code = plan(run, r, graph, row);
        row->time = list[i].ours && *list[i].rules ? time_of(run->times, r->model->name, list[i].rules) : 0;
    }
    memory_reference_destroy(&reference);
    actc_graph_destroy(&graph);
    return code;
}

/* ---- what is printed ---- */

static void print_row(memory_cells *cells, const planned *row)
{
    char whole[24] = "-", again[24] = "-", time[24] = "-";
    const bool ours = row->method.ours;
    if (row->method.published >= 0)
        snprintf(whole, sizeof whole, "%.0f", row->method.published);
    if (row->again > 0)
        snprintf(again, sizeof again, "%.0f", row->again);
    if (row->time > 0)
        snprintf(time, sizeof time, "%.2f", row->time);
    memory_cells_row(cells, (const char *const[]){row->method.name, whole, MEMORY_MIB_TEXT(row->recomputed),
                                                  MEMORY_MIB_TEXT(ours ? (double)row->after_forward_bytes / MIB : NA),
                                                  MEMORY_MIB_TEXT(ours ? (double)row->peak_bytes / MIB : NA), again, time});
}

/* Of each recomputation, the fastest codec that needs no more at the peak. */
static void print_rivals(const result *r, bool markdown)
{
    for (int i = 0; i < r->count; i++) {
        const planned *row = &r->rows[i], *best = NULL;
        if (!(row->again > 0) || !(row->time > 0))
            continue;
        for (int k = 1; k < r->count; k++) {
            const planned *other = &r->rows[k];
            if (other->method.ours && !(other->again > 0) && other->time > 0 && *other->method.rules &&
                other->peak_bytes <= row->peak_bytes && (!best || other->time < best->time))
                best = other;
        }
        if (best)
            tool_line(tool_output(), "%sat the peak of %s (%.1f MiB, time %.2f): %s, %.1f MiB, time %.2f", markdown ? "- " : "  ",
                      row->method.name, (double)row->peak_bytes / MIB, row->time, best->method.name, (double)best->peak_bytes / MIB,
                      best->time);
        else
            tool_line(tool_output(), "%sat the peak of %s (%.1f MiB, time %.2f): no codec measured", markdown ? "- " : "  ",
                      row->method.name, (double)row->peak_bytes / MIB, row->time);
    }
}

static void print_network(const result *r, bool markdown)
{
    char sample[96];
    memory_cells cells = {.table = {.align = "lrrrrrr"}, .markdown = markdown};
    tool_line(tool_output(), "%s%s%s, input %s, batch %lld", markdown ? "### " : "", r->model->name,
              r->s->as_published ? " as published" : "", tool_shape_text(&r->config.sample, sample, sizeof sample),
              (long long)r->s->batch);
    if (markdown)
        fputc('\n', tool_output());
    memory_cells_head(&cells, (const char *const[]){"method", "published", "recomputed", "after forward", "peak", "again %", "time"});
    for (int i = 0; i < r->count; i++)
        print_row(&cells, &r->rows[i]);
    memory_cells_end(&cells);
    tool_line(tool_output(), "%snot saved by layers that the reference can compress: published %.0f, recomputed %.1f",
              markdown ? "- " : "  ", r->s->others, r->others);
    if (r->s->note)
        tool_line(tool_output(), "%s%s", markdown ? "- " : "  ", r->s->note);
    print_rivals(r, markdown);
    fputc('\n', tool_output());
}

static const char *measured_text(const methods_run *run)
{
    const cJSON *measured = cJSON_GetObjectItemCaseSensitive(run->times, "measured");
    return cJSON_IsString(measured) ? measured->valuestring : "";
}

static void print_text(const methods_run *run, bool markdown)
{
    fprintf(tool_output(),
            "GPU memory of Vu et al., TMLR 2024, Table 3, MiB: published; recomputed as their\n"
            "code saves, 12 bytes a kept value; ours with every layer compressed: after the\n"
            "forward pass and at the peak of a whole step of plain SGD. recompute: s segments\n"
            "of which the last is kept, as PyTorch's checkpoint_sequential does, so that s=1 is\n"
            "none; again: operations done twice, in percent of the forward pass's. WCC\n"
            "(Finder et al., 2022) is not ours. time: of a step, relative to uncompressed.\n\n");
    if (*measured_text(run)) {
        tool_line(tool_output(), "%s", measured_text(run));
        fputc('\n', tool_output());
    }
    for (int i = 0; i < run->count; i++)
        print_network(&run->results[i], markdown);
}

static void add_mib(cJSON *json, const char *key, double mib)
{
    if (mib < 0)
        cJSON_AddNullToObject(json, key);
    else
        json_f64(json, key, mib);
}

static void add_rows(cJSON *rows, const result *r)
{
    for (int i = 0; i < r->count; i++) {
        const planned *row = &r->rows[i];
        cJSON *json = cJSON_CreateObject();
        json_text(json, "network", r->model->name);
        json_u64(json, "batch", (uint64_t)r->s->batch);
        cJSON *size = cJSON_AddArrayToObject(json, "size");
        for (int d = 1; d < r->config.sample.ndim; d++)
            cJSON_AddItemToArray(size, cJSON_CreateNumber((double)r->config.sample.dims[d]));
        json_text(json, "method", row->method.name);
        add_mib(json, "published_mib", row->method.published);
        add_mib(json, "recomputed_mib", row->recomputed);
        if (row->method.ours) {
            json_text(json, "compress", row->method.rules);
            json_u64(json, "after_forward_bytes", row->after_forward_bytes);
            json_u64(json, "peak_bytes", row->peak_bytes);
            json_u64(json, "peak_bytes_uncompressed", r->rows[0].peak_bytes);
            json_f64(json, "recompute_percent", row->again);
        }
        if (row->time > 0)
            json_f64(json, "time", row->time);
        cJSON_AddItemToArray(rows, json);
    }
}

static bool print_json(const methods_run *run)
{
    cJSON *json = cJSON_CreateObject();
    json_text(json, "actc", actc_version());
    json_text(json, "source", "Vu et al., TMLR 2024, Table 3");
    json_text(json, "optimizer", "sgd");
    json_text(json, "device", actc_device_get_info(run->device)->spec);
    json_text(json, "measured", measured_text(run));
    cJSON *rows = cJSON_AddArrayToObject(json, "rows"), *networks = cJSON_AddArrayToObject(json, "networks");
    for (int i = 0; i < run->count; i++) {
        const result *r = &run->results[i];
        cJSON *network = cJSON_CreateObject();
        add_rows(rows, r);
        json_text(network, "network", r->model->name);
        json_f64(network, "published_others_mib", r->s->others);
        json_f64(network, "recomputed_others_mib", r->others);
        json_text(network, "note", r->s->note ? r->s->note : "");
        cJSON_AddItemToArray(networks, network);
    }
    return json_print(tool_output(), json, false);
}

/* ---- the table ---- */

static int read_times(methods_run *run, const char *path)
{
    if (!path)
        return 0;
    FILE *file = fopen(path, "rb");
    if (!file)
        return tool_fail(run->t, "--times %s: it cannot be read: %s", path, strerror(errno));
    enum { MOST = 1 << 20 };
    char *text = malloc(MOST + 1);
    size_t length = text ? fread(text, 1, MOST, file) : 0;
    fclose(file);
    if (text)
        text[length] = '\0';
    run->times = text ? cJSON_Parse(text) : NULL;
    free(text);
    if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(run->times, "rows")))
        return tool_fail(run->t, "--times %s: no JSON object with \"rows\", as tools/measure-methods.py writes it", path);
    return 0;
}

int memory_methods(const tool *t, actc_context *context, actc_device *device, const actc_model *only, const char *times,
                   const char *format)
{
    methods_run run = {.t = t, .context = context, .device = device, .start = tool_now()};
    method list[METHODS];
    int code = read_times(&run, times);
    for (int i = 0; i < SETUPS && !code; i++) {
        const actc_model *model = actc_model_find(setups[i].network);
        if (!model)
            tool_note(t, "--table: %s is not among the networks; its rows are left out", setups[i].network);
        if (!model || (only && only != model))
            continue;
        run.results[run.count++] = (result){.s = &setups[i], .model = model, .config = config_of(&setups[i], model)};
        run.total += (uint64_t)list_methods(&setups[i], list);
    }
    if (!code && !run.count)
        code = tool_usage(t, "--table 3: it has no rows of %s, but of unet3d, efficientnet_b0, efficientnet_b4, efficientnet_b8, deeplabv3plus, edsr",
                          only ? only->name : "what there is");
    for (int i = 0; i < run.count && !code; i++)
        code = plan_network(&run, &run.results[i]);
    tool_progress_clear(&run.progress);
    if (!code && strcmp(format, "json") == 0)
        code = print_json(&run) ? 0 : tool_output_failed(t);
    else if (!code)
        print_text(&run, strcmp(format, "markdown") == 0);
    cJSON_Delete(run.times);
    return code;
}
