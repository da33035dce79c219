/* actc-info.c: the devices of every backend, why one was rejected, and what their compilers make of the kernels. */
#include <stdlib.h>
#include <string.h>

#include "common.h"

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

static int run_tool(int argc, char **argv)
{
    const char *format = "text", *device = "auto";
    bool compile = false;
    tool_option options[] = {
        {"format", TOOL_CHOICE, &format, "text|json", "json: one object on the standard output", "text|json"},
        {"compile-all", TOOL_FLAG, &compile, NULL, "create every kernel of a device and print what its driver tells of them"},
        {"device", TOOL_STRING, &device, "DEVICE", "for --compile-all: auto, cpu, vulkan[:N], cuda[:N] (auto)"},
    };
    const tool t = {
        .name = "actc-info",
        .summary = "Lists the devices of every backend, and why one cannot be used.",
        .synopsis = "[OPTION...]",
        .text = "Examples:\n"
                "  actc-info\n"
                "  actc-info --format json\n"
                "  actc-info --compile-all --device vulkan:llvmpipe\n"
                "AMD's compiler, without a GPU:\n"
                "  RADV_FORCE_FAMILY=navi21 actc-info --compile-all --device vulkan:radv\n\n"
                "Exit status: 0 done, 1 failure, a kernel that spills, or an EXACT one that is not; 2 usage.\n",
        .options = options,
        .option_count = sizeof options / sizeof *options,
    };
    size_t count;
    int code;
    if (!tool_parse(&t, argc, argv, NULL, 0, &count, &code))
        return code;
    if (options[2].given && !compile)
        return tool_usage(&t, "--device %s goes with --compile-all; without it every device is listed", device);
    actc_context *context = tool_context(&t);
    if (!context)
        return TOOL_FAILURE;
    bool json = strcmp(format, "json") == 0;
    code = compile ? compile_all(&t, context, device, json) : list_devices(&t, context, json);
    actc_context_destroy(&context);
    return code;
}

int main(int argc, char **argv)
{
    return tool_main("actc-info", run_tool, argc, argv);
}
