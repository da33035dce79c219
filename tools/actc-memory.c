/* actc-memory.c: what training a network needs of a device's memory, as it is planned: after the forward pass, at the peak,
 * and command by command, with compression and without. Nothing is run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory_plot.h"
#include "memory_table.h"

typedef struct settings {
    tool_network net;
    const char *compress, *optim, *device, *format, *plot, *table, *times;
    bool markdown;
    int64_t batch;
} settings;

typedef struct memory_run {
    const tool *t;
    const settings *s;
    const actc_model *model;
    actc_model_config config;
    actc_context *context;
    actc_device *device;
    actc_graph *graph;
    memory_row row;
    memory_plan plan, uncompressed; /* the latter only where rules are given */
} memory_run;

/* ---- plans ---- */

static bool append(char **text, const char *separator, const char *more)
{
    size_t used = *text ? strlen(*text) : 0, size = used + strlen(separator) + strlen(more) + 1;
    char *grown = realloc(*text, size);
    if (!grown)
        return false;
    snprintf(grown + used, size - used, "%s%s", used ? separator : "", more);
    *text = grown;
    return true;
}

static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *p = text; p && (p = strstr(p, word)); p += length)
        if ((p == text || p[-1] == ' ') && (p[length] == '\0' || p[length] == ';'))
            return true;
    return false;
}

static actc_status take_codecs(memory_plan *plan, const actc_network *network)
{
    for (size_t i = 0; i < actc_network_saved_count(network); i++) {
        actc_saved_info info = {.size = sizeof info};
        actc_status status = actc_network_saved_info(network, i, &info);
        if (status != ACTC_OK)
            return status;
        bool codec = true;
        static const char *const exact[] = {"none", "mask", "index", "own"};
        for (size_t k = 0; k < sizeof exact / sizeof *exact; k++)
            codec = codec && strcmp(info.codec, exact[k]) != 0;
        if (codec && !has_word(plan->codec, info.codec) && !append(&plan->codec, "; ", info.codec))
            return ACTC_ERROR_OUT_OF_MEMORY;
    }
    return plan->codec || append(&plan->codec, "", "none") ? ACTC_OK : ACTC_ERROR_OUT_OF_MEMORY;
}

static actc_status take_timeline(memory_plan *plan, const actc_network *network)
{
    size_t count = actc_network_timeline_count(network);
    plan->points = calloc(count ? count : 1, sizeof *plan->points);
    if (!plan->points)
        return ACTC_ERROR_OUT_OF_MEMORY;
    for (; plan->count < count; plan->count++) {
        actc_timeline_entry entry = {.size = sizeof entry};
        actc_status status = actc_network_timeline(network, plan->count, &entry);
        if (status != ACTC_OK)
            return status;
        memory_point *point = &plan->points[plan->count];
        *point = (memory_point){.label = strdup(entry.label), .live_bytes = entry.live_bytes};
        if (!point->label)
            return ACTC_ERROR_OUT_OF_MEMORY;
        int phase = strcmp(entry.program, "update") == 0 ? PHASE_UPDATE : entry.backward ? PHASE_BACKWARD : PHASE_FORWARD;
        for (int p = phase + 1; p <= PHASES; p++)
            plan->phases[p] = plan->count + 1;
    }
    return ACTC_OK;
}

static actc_status take_plan(memory_plan *plan, const actc_network *network)
{
    plan->report = (actc_memory_report){.size = sizeof plan->report};
    actc_status status = actc_network_memory(network, &plan->report);
    if (status != ACTC_OK)
        return status;
    plan->peak_at = strdup(plan->report.peak_at);
    plan->report.peak_at = NULL;
    for (size_t i = 0; actc_network_note(network, i); i++)
        if (!append(&plan->notes, "\n", actc_network_note(network, i)))
            return ACTC_ERROR_OUT_OF_MEMORY;
    if (!plan->peak_at || (!plan->notes && !append(&plan->notes, "", "")))
        return ACTC_ERROR_OUT_OF_MEMORY;
    status = take_codecs(plan, network);
    return status == ACTC_OK ? take_timeline(plan, network) : status;
}

static void drop_plan(memory_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        free(plan->points[i].label);
    free(plan->points);
    free(plan->peak_at);
    free(plan->codec);
    free(plan->notes);
}

/* One network at a time: a device that is not the null device obtains what it plans. */
static int make_plan(memory_run *run, const char *compress, memory_plan *plan)
{
    actc_network_options options = actc_network_options_default();
    actc_network *network = NULL;
    options.train_batch = run->s->batch;
    options.compress = compress;
    options.optimizer = actc_optimizer_options_default(tool_optimizer(run->s->optim));
    actc_status status = actc_network_create(run->device, run->graph, &options, &network);
    if (status != ACTC_OK && compress)
        return tool_failed_option(run->t, run->context, status, "compress");
    if (status == ACTC_ERROR_INVALID_ARGUMENT || status == ACTC_ERROR_UNSUPPORTED) /* all else was checked before */
        return tool_usage(run->t, "--batch %lld: %s", (long long)run->s->batch, actc_error_message(run->context));
    if (status != ACTC_OK)
        return tool_failed(run->t, run->context);
    status = take_plan(plan, network);
    actc_network_destroy(&network);
    if (status == ACTC_ERROR_OUT_OF_MEMORY)
        return tool_fail(run->t, "out of memory");
    return status == ACTC_OK ? 0 : tool_failed(run->t, run->context);
}

/* ---- the table ---- */

enum { AFTER, AFTER_UNCOMPRESSED, PEAK, PEAK_UNCOMPRESSED, COLUMNS };

static uint64_t sum(const uint64_t bytes[ACTC_MEMORY_CATEGORIES])
{
    uint64_t all = 0;
    for (int c = 0; c < ACTC_MEMORY_CATEGORIES; c++)
        all += bytes[c];
    return all;
}

typedef struct table_form {
    bool markdown, both; /* both: with and without compression */
    tool_table table;
} table_form;

/* NULL: a cell that says nothing. */
static void add_row(table_form *form, const char *name, const uint64_t *const cells[COLUMNS])
{
    if (form->markdown)
        fprintf(tool_output(), "| %s |", name);
    else
        tool_table_add(&form->table, "%s", name);
    for (int c = 0; c < COLUMNS; c++) {
        if (!form->both && (c == AFTER_UNCOMPRESSED || c == PEAK_UNCOMPRESSED))
            continue;
        const char *text = cells[c] ? BYTES_TEXT(*cells[c]) : "-";
        if (form->markdown)
            fprintf(tool_output(), " %s |", text);
        else
            tool_table_add(&form->table, "%s", text);
    }
    if (form->markdown)
        fputc('\n', tool_output());
}

static void add_heads(table_form *form)
{
    static const char *const heads[] = {"category", "after forward", "uncompressed", "at the peak", "uncompressed"};
    for (int i = 0; i < 5; i++) {
        if (!form->both && (i == 1 + AFTER_UNCOMPRESSED || i == 1 + PEAK_UNCOMPRESSED))
            continue;
        if (form->markdown)
            fprintf(tool_output(), "%s %s |", i ? "" : "|", heads[i]);
        else
            tool_table_add(&form->table, "%s", heads[i]);
    }
    if (form->markdown)
        fprintf(tool_output(), "\n%s\n", form->both ? "|---|---:|---:|---:|---:|" : "|---|---:|---:|");
}

static void print_table(const memory_run *run, bool markdown)
{
    const actc_memory_report *with = &run->plan.report, *without = &run->uncompressed.report;
    table_form form = {.markdown = markdown, .both = run->s->compress};
    form.table.align = form.both ? "lrrrr" : "lrr";
    add_heads(&form);
    for (int c = 0; c < ACTC_MEMORY_CATEGORIES; c++)
        add_row(&form, actc_memory_category_string((actc_memory_category)c),
                (const uint64_t *const[]){&with->after_forward_category_bytes[c], &without->after_forward_category_bytes[c],
                                          &with->category_bytes[c], &without->category_bytes[c]});
    add_row(&form, "alignment and holes", (const uint64_t *const[]){NULL, NULL, &with->slack_bytes, &without->slack_bytes});
    uint64_t all = sum(with->after_forward_category_bytes), all_without = sum(without->after_forward_category_bytes);
    add_row(&form, "all", (const uint64_t *const[]){&all, &all_without, &with->planned_bytes, &without->planned_bytes});
    add_row(&form, "of them counted",
            (const uint64_t *const[]){&with->after_forward_bytes, &without->after_forward_bytes, NULL, NULL});
    if (!markdown)
        tool_table_print(tool_output(), &form.table);
}

/* ---- what is printed ---- */

static const memory_plan *without_compression(const memory_run *run)
{
    return run->s->compress ? &run->uncompressed : &run->plan;
}

static uint64_t most_live(const memory_plan *plan)
{
    uint64_t most = 0;
    for (size_t i = 0; i < plan->count; i++)
        most = plan->points[i].live_bytes > most ? plan->points[i].live_bytes : most;
    return most;
}

static void title(const memory_run *run, char *text, size_t size)
{
    char sample[96];
    snprintf(text, size, "%s, input %s, batch %lld, %s, planned for %s", run->model->name,
             tool_shape_text(&run->config.sample, sample, sizeof sample), (long long)run->s->batch, run->s->optim,
             actc_device_get_info(run->device)->spec);
}

static void print_notes(const memory_run *run, const char *mark)
{
    for (const char *line = run->plan.notes; *line;) {
        size_t length = strcspn(line, "\n");
        tool_line(tool_output(), "%s%.*s", mark, (int)length, line);
        line += length + (line[length] == '\n');
    }
}

static void print_text(const memory_run *run, bool markdown)
{
    char text[256];
    title(run, text, sizeof text);
    tool_line(tool_output(), "%s", text);
    if (run->s->compress)
        tool_line(tool_output(), markdown ? "compressed by `%s`" : "compressed by %s", run->s->compress);
    fputc('\n', tool_output());
    print_table(run, markdown);
    fprintf(tool_output(), "\nCounted: parameters, states, inputs and what is saved, as after the first forward\n"
            "pass of a framework: no gradients and no optimiser's state yet.\n");
    tool_line(tool_output(), "The plan peaks at %s%s%s.", run->plan.peak_at, run->s->compress ? "; uncompressed at " : "",
              run->s->compress ? run->uncompressed.peak_at : "");
    if (run->plan.report.recompute_percent > 0)
        tool_line(tool_output(), "Computed again in the backward pass: %.0f %% of the forward pass's operations.",
                  run->plan.report.recompute_percent);
    print_notes(run, markdown ? "- note: " : "note: ");
    if (markdown)
        return;
    fputc('\n', tool_output());
    uint64_t most = most_live(&run->plan), other = most_live(without_compression(run));
    memory_print_chart(tool_output(), &run->plan, most > other ? most : other);
}

static void add_categories(cJSON *json, const memory_plan *plan)
{
    json_categories(json, "after_forward", plan->report.after_forward_category_bytes);
    json_u64(json_categories(json, "peak", plan->report.category_bytes), "slack", plan->report.slack_bytes);
    json_text(json, "peak_at", plan->peak_at);
    cJSON *timeline = cJSON_AddArrayToObject(json, "timeline");
    for (int p = 0; p < PHASES; p++) {
        for (size_t i = plan->phases[p]; i < plan->phases[p + 1]; i++) {
            cJSON *item = cJSON_CreateObject();
            json_text(item, "label", plan->points[i].label);
            json_text(item, "phase", memory_phases[p]);
            json_u64(item, "live_bytes", plan->points[i].live_bytes);
            cJSON_AddItemToArray(timeline, item);
        }
    }
}

static bool print_json(const memory_run *run)
{
    const memory_plan *other = without_compression(run);
    cJSON *json = cJSON_CreateObject();
    json_text(json, "actc", actc_version());
    json_text(json, "network", run->model->name);
    json_u64(json, "batch", (uint64_t)run->s->batch);
    cJSON *size = cJSON_AddArrayToObject(json, "size");
    for (int d = 1; d < run->config.sample.ndim; d++)
        cJSON_AddItemToArray(size, cJSON_CreateNumber((double)run->config.sample.dims[d]));
    json_u64(json, "classes", (uint64_t)run->config.classes);
    json_text(json, "optimizer", run->s->optim);
    json_text(json, "device", actc_device_get_info(run->device)->spec);
    json_text(json, "compress", run->s->compress ? run->s->compress : "");
    json_text(json, "codec", run->plan.codec);
    json_memory_row(json, &run->row);
    json_u64(json, "after_forward_bytes", run->plan.report.after_forward_bytes);
    json_u64(json, "after_forward_bytes_uncompressed", other->report.after_forward_bytes);
    json_u64(json, "peak_bytes", run->plan.report.planned_bytes);
    json_u64(json, "peak_bytes_uncompressed", other->report.planned_bytes);
    cJSON_AddNumberToObject(json, "recompute_percent", run->plan.report.recompute_percent);
    add_categories(json, &run->plan);
    if (run->s->compress)
        add_categories(cJSON_AddObjectToObject(json, "uncompressed"), &run->uncompressed);
    cJSON *notes = cJSON_AddArrayToObject(json, "notes");
    for (char *rest = *run->plan.notes ? run->plan.notes : NULL; rest;)
        cJSON_AddItemToArray(notes, json_text_item(strsep(&rest, "\n")));
    return json_print(tool_output(), json, false);
}

/* ---- the tool ---- */

static int open_device(memory_run *run)
{
    actc_device_options options = actc_device_options_default();
    options.device = run->s->device;
    actc_status status = actc_device_open(run->context, &options, &run->device);
    return status == ACTC_OK ? 0 : tool_failed_option(run->t, run->context, status, "device");
}

static int open_network(memory_run *run)
{
    int code = open_device(run);
    if (code)
        return code;
    if (actc_graph_create(run->context, run->model->name, &run->graph) != ACTC_OK)
        return tool_failed(run->t, run->context);
    run->model->build(run->graph, &run->config);
    actc_status status = actc_graph_status(run->graph);
    return status == ACTC_OK ? 0 : tool_failed_option(run->t, run->context, status, "size");
}

static int show(memory_run *run)
{
    const settings *s = run->s;
    int code = open_network(run);
    if (!code && s->compress)
        code = make_plan(run, NULL, &run->uncompressed); /* first: what fails here is not the rules' doing */
    if (!code)
        code = make_plan(run, s->compress, &run->plan);
    if (code)
        return code;
    char text[256];
    title(run, text, sizeof text);
    if (s->plot && !memory_plot(s->plot, text, s->compress ? s->compress : "uncompressed", &run->plan,
                                s->compress ? &run->uncompressed : NULL))
        return tool_fail(run->t, "--plot %s: it cannot be written: %s", s->plot, strerror(errno));
    if (strcmp(s->format, "json") == 0) {
        code = memory_table_find(run->t, run->context, run->model, &run->config, s->batch, s->compress, &run->row);
        return code ? code : print_json(run) ? 0 : tool_output_failed(run->t);
    }
    print_text(run, strcmp(s->format, "markdown") == 0);
    return 0;
}

/* What a row of the table is planned for is the row's. */
static int check_table(const memory_run *run)
{
    const tool *t = run->t;
    const settings *s = run->s;
    static const char *const fixed[] = {"batch", "size", "classes", "net-option", "compress", "optim", "plot"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (tool_find_option(t, fixed[i])->given)
            return tool_usage(t, "--table and --%s: the table's rows have their own; it takes a network, --device and --format",
                              fixed[i]);
    if (strcmp(s->table, "all") == 0 && strcmp(s->format, "json") == 0)
        return tool_usage(t, "--table all and --format json: it is two objects; --table 2 or --table 3 is accepted");
    return s->times && strcmp(s->table, "2") == 0 ? tool_usage(t, "--times and --table 2: it is for --table 3") : 0;
}

static int show_table(memory_run *run)
{
    const settings *s = run->s;
    int code = open_device(run);
    if (!code && strcmp(s->table, "3") != 0)
        code = memory_table(run->t, run->context, run->device, run->model, s->format);
    if (!code && strcmp(s->table, "2") != 0)
        code = memory_methods(run->t, run->context, run->device, run->model, s->times, s->format);
    return code;
}

static int run_tool(int argc, char **argv)
{
    settings s = {.batch = 128, .optim = "adam", .device = "null", .format = "text"};
    tool_option options[] = {
        {"batch", TOOL_INT, &s.batch, "N", "samples a training step (128)", NULL, 1, 1 << 20},
        TOOL_NETWORK_OPTIONS(&s.net),
        {"compress", TOOL_STRING, &s.compress, "RULES", "how saved activations are kept: GLOB[,GLOB][@KIND]=CODEC[;...]"},
        {"optim", TOOL_CHOICE, &s.optim, "adam|adamw|sgd", "optimiser; sgd is without momentum (adam)", "adam|adamw|sgd"},
        {"device", TOOL_STRING, &s.device, "DEVICE", "to plan for: null, auto, cpu, vulkan[:N], cuda[:N] (null: no device's workspaces)"},
        {"format", TOOL_CHOICE, &s.format, "text|json|markdown", "json: one object on the standard output", "text|json|markdown"},
        {"markdown", TOOL_FLAG, &s.markdown, NULL, "as --format markdown"},
        {"table", TOOL_CHOICE, &s.table, "2|3|all", "a table of the paper, with what we need beside it, of all its networks or of NETWORK", "2|3|all"},
        {"times", TOOL_STRING, &s.times, "FILE", "of --table 3: steps that tools/measure-methods.py measured"},
        {"plot", TOOL_STRING, &s.plot, "FILE.svg", "write the timeline there, with compression and without"},
    };
    char networks[TOOL_NETWORKS_BYTES], help[TOOL_NETWORKS_BYTES + 4096];
    snprintf(help, sizeof help,
             "Bytes by category after the forward pass and at the peak, with compression and\n"
             "without, and what lives at each command of a step.\n\n"
             "Networks:\n%s\n"
             "Examples:\n"
             "  actc-memory mnistnet\n"
             "  actc-memory mnistnet --compress '*=dct:lambda=100' --plot mnistnet.svg\n"
             "  actc-memory resnet18 --batch 512 --optim sgd --format markdown\n"
             "  actc-memory resnet18 --size 64,64 --compress '*=dct:lambda=100' --format json\n"
             "  actc-memory --table 2\n"
             "  actc-memory --table 3\n"
             "  actc-memory resnet18 --table 2 --format markdown\n",
             tool_networks_text(networks, sizeof networks));
    const tool t = {
        .name = "actc-memory",
        .summary = "Shows the memory that a network's training steps are planned to need, without running them.",
        .synopsis = "NETWORK [OPTION...] | [NETWORK] --table 2|3|all",
        .text = help,
        .options = options,
        .option_count = sizeof options / sizeof *options,
    };
    const char *name = NULL;
    size_t count;
    int code;
    if (!tool_parse(&t, argc, argv, &name, 1, &count, &code))
        return code;
    if (s.markdown)
        s.format = "markdown";
    if (s.compress && !*s.compress)
        s.compress = NULL;
    memory_run run = {.t = &t, .s = &s};
    code = s.table ? check_table(&run) : s.times ? tool_usage(&t, "--times is for --table 3") : 0;
    if (!code && (name || !s.table))
        code = tool_choose_network(&t, name, &s.net, &run.model, &run.config);
    if (!code && s.plot && !*s.plot)
        code = tool_usage(&t, "--plot is empty; a file name is accepted");
    if (!code && !(run.context = tool_context(&t)))
        code = TOOL_FAILURE;
    if (!code)
        code = s.table ? show_table(&run) : show(&run);
    drop_plan(&run.plan);
    drop_plan(&run.uncompressed);
    actc_graph_destroy(&run.graph);
    actc_device_destroy(&run.device);
    actc_context_destroy(&run.context);
    return code;
}

int main(int argc, char **argv)
{
    return tool_main("actc-memory", run_tool, argc, argv);
}
