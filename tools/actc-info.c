/* actc-info.c: the devices of every backend, why one was rejected, and what their compilers make of the kernels. */
#include <stdlib.h>
#include <string.h>

#include "common_network.h"

/* Backends give the greatest number where there is no limit. */
static void print_limit(const char *label, uint64_t bytes)
{
    if (bytes >= (uint64_t)1 << 60)
        printf("  %-17s none\n", label);
    else if (bytes)
        printf("  %-17s %s\n", label, BYTES_TEXT(bytes));
}

static void print_device(const actc_device_info *d)
{
    printf("%s: %s\n", d->spec[0] ? d->spec : d->backend, d->name[0] ? d->name : "no device");
    if (!d->usable) {
        printf("  not usable        %s\n", d->reason);
        if (!d->compiles)
            return;
    }
    printf("  type              %s\n  driver            %s\n", actc_device_type_string(d->type), d->driver);
    printf("  exact             %s: %s\n", d->exact ? "yes" : "no", d->exact_evidence);
    print_limit("memory", d->memory_bytes);
    print_limit("buffer limit", d->max_buffer_bytes);
    print_limit("binding limit", d->max_binding_bytes);
    if (d->subgroup_size)
        printf("  subgroup          %u\n", d->subgroup_size);
    if (d->shared_memory_bytes)
        printf("  shared memory     %s\n", BYTES_TEXT(d->shared_memory_bytes));
    if (d->threads)
        printf("  threads           %u\n", d->threads);
}

static cJSON *device_json(const actc_device_info *d)
{
    cJSON *json = cJSON_CreateObject();
    json_text(json, "device", d->spec);
    json_text(json, "backend", d->backend);
    json_text(json, "name", d->name);
    json_text(json, "driver", d->driver);
    json_text(json, "type", actc_device_type_string(d->type));
    cJSON_AddBoolToObject(json, "usable", d->usable);
    json_text(json, "reason", d->reason);
    cJSON_AddBoolToObject(json, "compiles", d->usable || d->compiles);
    cJSON_AddBoolToObject(json, "exact", d->exact);
    json_text(json, "exact_evidence", d->exact_evidence);
    json_u64(json, "memory_bytes", d->memory_bytes);
    json_u64(json, "max_buffer_bytes", d->max_buffer_bytes);
    json_u64(json, "max_binding_bytes", d->max_binding_bytes);
    json_u64(json, "subgroup_size", d->subgroup_size);
    json_u64(json, "shared_memory_bytes", d->shared_memory_bytes);
    json_u64(json, "threads", d->threads);
    return json;
}

static int list_devices(const tool *t, actc_context *context, bool json)
{
    size_t count = 0, capacity;
    actc_device_info *infos = NULL;
    do { /* a device may appear between the two calls */
        capacity = count + 4;
        free(infos);
        infos = calloc(capacity, sizeof *infos);
        if (!infos)
            return tool_fail(t, "out of memory");
        infos->size = sizeof *infos;
        if (actc_device_list(context, infos, capacity, &count) != ACTC_OK) {
            free(infos);
            return tool_failed(t, context);
        }
    } while (count > capacity);
    cJSON *root = json ? cJSON_CreateObject() : NULL, *devices = json ? cJSON_AddArrayToObject(root, "devices") : NULL;
    if (json)
        json_text(root, "actc", actc_version());
    else
        printf("actc %s, API %d\n", actc_version(), actc_api_version());
    for (size_t i = 0; i < count; i++) {
        if (json)
            cJSON_AddItemToArray(devices, device_json(&infos[i]));
        else
            print_device(&infos[i]);
    }
    free(infos);
    return !json || json_print(tool_output(), root, false) ? 0 : tool_output_failed(t);
}

/* ---- --compile-all ---- */

typedef struct kernels {
    const tool *t;
    cJSON *list;       /* NULL: text */
    tool_table table;
    size_t count, spilling, inexact;
} kernels;

static void add_number(cJSON *item, const char *key, int64_t value)
{
    if (value >= 0)
        json_u64(item, key, (uint64_t)value);
    else
        cJSON_AddNullToObject(item, key);
}

static void add_cell(tool_table *table, int64_t value)
{
    if (value >= 0)
        tool_table_add(table, "%lld", (long long)value);
    else
        tool_table_add(table, "-");
}

/* What may not be: registers that went to memory (and what else an invocation keeps there, where the driver tells the two
 * apart), and in EXACT kernels instructions with other roundings. */
static void judge(kernels *k, const actc_kernel_report *r)
{
    k->count++;
    if (r->spilled > 0 || (r->spilled == 0 && r->scratch_bytes > 0)) {
        k->spilling++;
        tool_fail(k->t, "%s spills: %lld registers, %lld bytes of scratch memory", r->kernel, (long long)r->spilled,
                  (long long)r->scratch_bytes);
    }
    if (r->exact && r->inexact > 0) {
        k->inexact++;
        tool_fail(k->t, "%s is EXACT and its machine code has %lld instructions that fuse or approximate, the first: %s",
                  r->kernel, (long long)r->inexact, r->inexact_example);
    }
}

static void report_kernel(void *user, const actc_kernel_report *r)
{
    kernels *k = user;
    judge(k, r);
    if (k->list) {
        cJSON *item = cJSON_CreateObject();
        json_text(item, "kernel", r->kernel);
        cJSON_AddBoolToObject(item, "exact", r->exact);
        add_number(item, "registers", r->registers);
        add_number(item, "scalar_registers", r->scalar_registers);
        add_number(item, "spilled_registers", r->spilled);
        add_number(item, "scratch_bytes", r->scratch_bytes);
        add_number(item, "shared_bytes", r->shared_bytes);
        add_number(item, "code_bytes", r->code_bytes);
        add_number(item, "latency_cycles", r->latency);
        add_number(item, "inexact_instructions", r->inexact);
        json_text(item, "text", r->text);
        cJSON_AddItemToArray(k->list, item);
        return;
    }
    if (r->registers < 0 && r->code_bytes < 0) { /* a driver that tells nothing */
        printf("  %-30s %s\n", r->kernel, r->text);
        return;
    }
    if (!k->table.count) {
        static const char *const heads[] = {"kernel", "class", "VGPRs", "SGPRs",   "spilled",
                                            "scratch", "LDS",  "code",  "latency", "inexact"};
        for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
            tool_table_add(&k->table, "%s", heads[i]);
    }
    tool_table_add(&k->table, "%s", r->kernel);
    tool_table_add(&k->table, "%s", r->exact ? "EXACT" : "TOLERANT");
    const int64_t cells[] = {r->registers,    r->scalar_registers, r->spilled, r->scratch_bytes,
                             r->shared_bytes, r->code_bytes,       r->latency, r->inexact};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        add_cell(&k->table, cells[i]);
}

static void print_kernels(kernels *k)
{
    if (!k->table.count)
        return;
    printf("\n  VGPRs: registers of an invocation; SGPRs: of a subgroup; scratch, LDS (shared memory), code: bytes;\n"
           "  latency: cycles as the compiler estimates; inexact: instructions that fuse a multiplication and an addition, or\n"
           "  approximate (- where the driver does not tell)\n\n");
    tool_table_print(stdout, &k->table);
}

static int compile_all(const tool *t, actc_context *context, const char *name, bool json)
{
    actc_device_options options = actc_device_options_default();
    options.device = name;
    options.compile_only = true;
    actc_device *device = NULL;
    actc_status status = actc_device_open(context, &options, &device);
    if (status != ACTC_OK)
        return tool_failed_option(t, context, status, "device");
    cJSON *root = json ? device_json(actc_device_get_info(device)) : NULL;
    kernels k = {.t = t, .list = json ? cJSON_AddArrayToObject(root, "kernels") : NULL, .table = {.align = "llrrrrrrrr"}};
    if (!json)
        print_device(actc_device_get_info(device));
    double start = tool_now();
    status = actc_device_compile_all(device, report_kernel, &k);
    double seconds = tool_now() - start;
    actc_device_destroy(&device);
    if (!json)
        print_kernels(&k);
    if (status != ACTC_OK) {
        cJSON_Delete(root);
        return tool_failed(t, context);
    }
    int code = k.spilling || k.inexact ? TOOL_FAILURE : 0;
    if (!json) {
        printf("%zu kernels compiled in %.2f s; %zu spill, %zu EXACT ones are not exact\n", k.count, seconds, k.spilling,
               k.inexact);
        return code;
    }
    json_f64(root, "seconds", seconds);
    json_u64(root, "spilling_kernels", k.spilling);
    json_u64(root, "inexact_kernels", k.inexact);
    return json_print(tool_output(), root, false) ? code : tool_output_failed(t);
}

/* ---- a network ---- */

typedef struct net_settings {
    tool_network net;
    const char *compress, *device;
    int64_t batch;
} net_settings;

static int64_t print_layers(const actc_graph *graph, cJSON *list)
{
    tool_table table = {.align = "lllr"};
    int64_t total = 0;
    static const char *const heads[] = {"operator", "kind", "output", "parameters"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        tool_table_add(&table, "%s", heads[i]);
    for (size_t i = 0; i < actc_graph_operator_count(graph); i++) {
        actc_operator_info info = {.size = sizeof info};
        char shape[96];
        if (actc_graph_operator_info(graph, i, &info) != ACTC_OK)
            continue;
        total += info.parameters;
        tool_shape_text(&info.shape, shape, sizeof shape);
        if (list) {
            cJSON *item = cJSON_CreateObject();
            json_text(item, "operator", info.path);
            json_text(item, "kind", info.kind);
            json_text(item, "output", shape);
            json_u64(item, "parameters", (uint64_t)info.parameters);
            cJSON_AddItemToArray(list, item);
        }
        tool_table_add(&table, "%s", info.path);
        tool_table_add(&table, "%s", info.kind);
        tool_table_add(&table, "%s", shape);
        if (info.parameters)
            tool_table_add(&table, "%lld", (long long)info.parameters);
        else
            tool_table_add(&table, "-");
    }
    if (list)
        tool_table_drop(&table);
    else
        tool_table_print(tool_output(), &table);
    return total;
}

/* "dct:lambda=10 and mask": a ReLU whose output is compressed for a convolution keeps its signs beside. */
static char *kept_as(const actc_saved_info *info, char *text, size_t size)
{
    bool dense = strcmp(info->codec, "none") == 0, shared = dense && info->kept_bytes < info->payload_bytes;
    snprintf(text, size, "%s%s%s", dense ? "dense" : info->codec, shared ? ", shared" : "",
             info->kept_bytes > info->payload_bytes || (shared && info->kept_bytes) ? " and mask" : "");
    return text;
}

static void print_saved(const actc_network *network, cJSON *list)
{
    tool_table table = {.align = "llllrr"};
    uint64_t dense = 0, kept = 0;
    static const char *const heads[] = {"tensor", "saved by", "for", "kept as", "dense", "kept"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        tool_table_add(&table, "%s", heads[i]);
    for (size_t i = 0; i < actc_network_saved_count(network); i++) {
        actc_saved_info info = {.size = sizeof info};
        if (actc_network_saved_info(network, i, &info) != ACTC_OK)
            continue;
        char text[160];
        dense += info.dense_bytes;
        kept += info.kept_bytes;
        if (list) {
            cJSON *item = cJSON_CreateObject();
            json_text(item, "tensor", info.name);
            json_text(item, "readers", info.readers);
            json_text(item, "use", actc_saved_use_string(info.use));
            json_text(item, "codec", info.codec);
            json_u64(item, "dense_bytes", info.dense_bytes);
            json_u64(item, "payload_bytes", info.payload_bytes);
            json_u64(item, "kept_bytes", info.kept_bytes);
            json_text(item, "shape", tool_shape_text(&info.shape, text, sizeof text));
            json_text(item, "note", info.note);
            cJSON_AddItemToArray(list, item);
        }
        tool_table_add(&table, "%s", info.name);
        tool_table_add(&table, "%s", info.readers);
        tool_table_add(&table, "%s", actc_saved_use_string(info.use));
        tool_table_add(&table, "%s", kept_as(&info, text, sizeof text));
        tool_table_add(&table, "%s", BYTES_TEXT(info.dense_bytes));
        tool_table_add(&table, "%s", BYTES_TEXT(info.kept_bytes));
    }
    tool_table_add(&table, "all");
    for (int column = 1; column < 4; column++)
        tool_table_add(&table, "-");
    tool_table_add(&table, "%s", BYTES_TEXT(dense));
    tool_table_add(&table, "%s", BYTES_TEXT(kept));
    if (list)
        tool_table_drop(&table);
    else
        tool_table_print(tool_output(), &table);
}

/* Layers, and what a training step saves; planned on a device, run on none. */
static int show(const tool *t, actc_context *context, const actc_model *model, const actc_model_config *config,
                const net_settings *s, const actc_graph *graph, const actc_network *network, bool json)
{
    actc_memory_report memory = {.size = sizeof memory};
    char sample[96];
    if (actc_network_memory(network, &memory) != ACTC_OK)
        return tool_failed(t, context);
    cJSON *root = json ? cJSON_CreateObject() : NULL;
    tool_shape_text(&config->sample, sample, sizeof sample);
    if (!json) {
        char classes[32] = "";
        if (config->classes)
            snprintf(classes, sizeof classes, " %lld classes,", (long long)config->classes);
        tool_line(tool_output(), "%s, input %s,%s batch %lld", model->name, sample, classes, (long long)s->batch);
    }
    int64_t parameters = print_layers(graph, json ? cJSON_AddArrayToObject(root, "operators") : NULL);
    uint64_t saved = memory.saved_kept_dense_bytes + memory.saved_payload_bytes + memory.saved_mask_bytes;
    if (!json) {
        tool_line(tool_output(), "%lld parameters", (long long)parameters);
        fputc('\n', tool_output());
        tool_line(tool_output(), "saved for the backward pass, and the operators that read it, which is what rules match");
    }
    print_saved(network, json ? cJSON_AddArrayToObject(root, "saved") : NULL);
    if (!json) {
        tool_line(tool_output(), "saved %s; planned %s, without compression %s", BYTES_TEXT(saved), BYTES_TEXT(memory.planned_bytes),
                  BYTES_TEXT(memory.planned_bytes_uncompressed));
        for (size_t i = 0; actc_network_note(network, i); i++)
            tool_line(tool_output(), "note: %s", actc_network_note(network, i));
        return 0;
    }
    json_text(root, "network", model->name);
    json_text(root, "device", s->device);
    json_text(root, "sample", sample);
    json_u64(root, "classes", (uint64_t)config->classes);
    json_u64(root, "batch", (uint64_t)s->batch);
    json_u64(root, "parameters", (uint64_t)parameters);
    json_u64(root, "saved_bytes", saved);
    json_u64(root, "planned_bytes", memory.planned_bytes);
    json_u64(root, "planned_bytes_uncompressed", memory.planned_bytes_uncompressed);
    cJSON *notes = cJSON_AddArrayToObject(root, "notes");
    for (size_t i = 0; actc_network_note(network, i); i++)
        cJSON_AddItemToArray(notes, json_text_item(actc_network_note(network, i)));
    return json_print(tool_output(), root, false) ? 0 : tool_output_failed(t);
}

static int show_network(const tool *t, actc_context *context, const char *name, const net_settings *s, bool json)
{
    const actc_model *model;
    actc_model_config config;
    int code = tool_choose_network(t, name, &s->net, &model, &config);
    if (code)
        return code;
    actc_device_options device_options = actc_device_options_default();
    device_options.device = s->device;
    actc_device *device = NULL;
    actc_graph *graph = NULL;
    actc_network *network = NULL;
    actc_network_options options = actc_network_options_default();
    options.train_batch = s->batch;
    options.compress = s->compress;
    actc_status status = actc_device_open(context, &device_options, &device);
    if (status != ACTC_OK)
        code = tool_failed_option(t, context, status, "device");
    if (!code && actc_graph_create(context, model->name, &graph) != ACTC_OK)
        code = tool_failed(t, context);
    if (!code) {
        model->build(graph, &config);
        status = actc_graph_status(graph);
        if (status != ACTC_OK)
            code = tool_failed_option(t, context, status, "size");
    }
    if (!code) {
        status = actc_network_create(device, graph, &options, &network);
        if (status == ACTC_ERROR_INVALID_ARGUMENT)
            code = tool_refuse_network(t, context, &config, device, graph, &options);
        else if (status != ACTC_OK)
            code = tool_failed(t, context);
    }
    if (!code)
        code = show(t, context, model, &config, s, graph, network, json);
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
    actc_device_destroy(&device);
    return code;
}

static int run_tool(int argc, char **argv)
{
    const char *format = "text", *device = NULL, *name = NULL;
    net_settings net = {.batch = 128};
    bool compile = false;
    tool_option options[] = {
        {"format", TOOL_CHOICE, &format, "text|json", "json: one object on the standard output", "text|json"},
        {"compile-all", TOOL_FLAG, &compile, NULL, "create every kernel of a device and print what its driver tells of them"},
        {"device", TOOL_STRING, &device, "DEVICE", "auto, cpu, vulkan[:N], cuda[:N]: for --compile-all (auto), or to plan a network for (null)"},
        {"batch", TOOL_INT, &net.batch, "N", "of a network: samples a training step (128)", NULL, 1, 1 << 20},
        TOOL_NETWORK_OPTIONS(&net.net),
        {"compress", TOOL_STRING, &net.compress, "RULES", "how a network's saved activations are kept"},
    };
    char networks[TOOL_NETWORKS_BYTES], text[TOOL_NETWORKS_BYTES + 4096];
    snprintf(text, sizeof text,
             "Networks:\n%s\n"
             "Examples:\n"
             "  actc-info\n"
             "  actc-info --format json\n"
             "  actc-info --compile-all --device vulkan:llvmpipe\n"
             "  actc-info mnistnet --batch 64 --compress 'conv1,relu1,conv2=dct:lambda=10'\n"
             "  actc-info resnet18 --classes 10 --net-option width=16\n"
             "AMD's compiler, without a GPU:\n"
             "  RADV_FORCE_FAMILY=navi21 actc-info --compile-all --device vulkan:radv\n\n"
             "Exit status: 0 done, 1 failure, a kernel that spills, or an EXACT one that is not; 2 usage.\n",
             tool_networks_text(networks, sizeof networks));
    const tool t = {
        .name = "actc-info",
        .summary = "Lists the devices of every backend, and why one cannot be used; or the layers of a network and what its training saves.",
        .synopsis = "[OPTION...]\n       actc-info NETWORK [OPTION...]",
        .text = text,
        .options = options,
        .option_count = sizeof options / sizeof *options,
    };
    size_t count;
    int code;
    if (!tool_parse(&t, argc, argv, &name, 1, &count, &code))
        return code;
    for (size_t i = 3; i < t.option_count && !count; i++)
        if (options[i].given)
            return tool_usage(&t, "--%s goes with a network", options[i].name);
    if (options[2].given && !compile && !count)
        return tool_usage(&t, "--device %s goes with --compile-all or a network; without them every device is listed", device);
    if (compile && count)
        return tool_usage(&t, "--compile-all goes without a network ('%s')", name);
    actc_context *context = tool_context(&t);
    if (!context)
        return TOOL_FAILURE;
    bool json = strcmp(format, "json") == 0;
    net.device = device ? device : "null";
    if (count)
        code = show_network(&t, context, name, &net, json);
    else
        code = compile ? compile_all(&t, context, device ? device : "auto", json) : list_devices(&t, context, json);
    actc_context_destroy(&context);
    return code;
}

int main(int argc, char **argv)
{
    return tool_main("actc-info", run_tool, argc, argv);
}
