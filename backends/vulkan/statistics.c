/* statistics.c: what the driver's compiler made of every kernel: VK_KHR_pipeline_executable_properties. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "vulkan.h"

#define MAX_EXECUTABLES 4
#define MAX_STATISTICS 48
#define MAX_REPRESENTATIONS 12

typedef struct numbers {
    actc_kernel_report report;
    char text[2048];
    char example[96];
} numbers;

static void add_to(int64_t *sum, uint64_t value)
{
    *sum = (*sum < 0 ? 0 : *sum) + (int64_t)value;
}

/* Drivers name what they count as they like: AMD's (Mesa), Intel's (Mesa), NVIDIA's. */
static void take_statistic(numbers *n, const char *name, uint64_t value)
{
    actc_kernel_report *r = &n->report;
    const struct {
        const char *name;
        int64_t *sum;
    } known[] = {{"VGPRs", &r->registers},         {"Register Count", &r->registers}, {"SGPRs", &r->scalar_registers},
                 {"Spilled VGPRs", &r->spilled},   {"Spilled SGPRs", &r->spilled},    {"Spill count", &r->spilled},
                 {"Scratch size", &r->scratch_bytes}, {"LDS size", &r->shared_bytes}, {"Code size", &r->code_bytes},
                 {"Binary Size", &r->code_bytes},  {"Latency", &r->latency}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name))
            add_to(known[i].sum, value);
}

static actc_status read_statistics(actc_vk_device *d, VkPipeline pipeline, uint32_t executable, numbers *n)
{
    actc_status status;
    VkPipelineExecutableStatisticKHR statistics[MAX_STATISTICS];
    uint32_t count = MAX_STATISTICS;
    VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline, .executableIndex = executable};
    for (size_t i = 0; i < MAX_STATISTICS; i++)
        statistics[i] = (VkPipelineExecutableStatisticKHR){.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
    VK(d->vk.vkGetPipelineExecutableStatisticsKHR(d->handle, &info, &count, statistics));
    for (uint32_t i = 0; i < count; i++) {
        const VkPipelineExecutableStatisticKHR *s = &statistics[i];
        size_t used = strlen(n->text);
        const char *comma = used ? ", " : "";
        if (s->format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR) {
            snprintf(n->text + used, sizeof n->text - used, "%s%s %g", comma, s->name, s->value.f64);
        } else {
            snprintf(n->text + used, sizeof n->text - used, "%s%s %llu", comma, s->name, (unsigned long long)s->value.u64);
            take_statistic(n, s->name, s->value.u64);
        }
    }
fail:
    return status;
}

/* ---- machine code ---- */

/* AMD's instructions by the beginnings of their names: a multiplication and an addition in one rounding or at another
 * precision, and approximations. Two that look like them are not among them:
 * - v_mad_f32 and v_mac_f32 (and v_madak, v_madmk; up to Navi 1x) round the product on its own: LLVM's FMAD, which its AMD
 *   backend selects them for, is "the same result as the separately rounded operations". They flush subnormals, which does
 *   not matter to EXACT arithmetic; ACO takes them where shaders run with subnormals flushed, NoContraction or not;
 * - v_rcp, with which integer division starts, correcting the result by integer arithmetic; no EXACT shader has a float
 *   division (tools/spvlint). */
static const char *const amd_inexact[] = {
    "v_fma_",   "v_fmac_",  "v_fmaak_", "v_fmamk_", "v_fma_mix",   "v_mad_mix",    "v_pk_fma_", "v_pk_mad_f", "v_dot",
    "v_div_f",  "v_rsq_",   "v_sqrt_",  "v_exp_",   "v_log_",      "v_sin_",       "v_cos_",    "v_mfma",     "v_wmma",
    "v_dual_f", "v_mad_f16", "v_mac_f16", "v_mad_legacy", "v_mac_legacy", "v_mul_legacy", "v_cvt_pkrtz", "v_cvt_f16_f32"};

static bool is_inexact(const char *word, size_t length)
{
    for (size_t i = 0; i < sizeof amd_inexact / sizeof *amd_inexact; i++) {
        size_t prefix = strlen(amd_inexact[i]);
        if (length >= prefix && !memcmp(word, amd_inexact[i], prefix))
            return true;
    }
    /* float atomics: buffer_atomic_add_f32, global_atomic_fmin, ds_add_f32, ... */
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), word);
    bool atomic = strstr(name, "_atomic_") || !strncmp(name, "ds_", 3);
    return atomic && (strstr(name, "_f32") || strstr(name, "_f64") || strstr(name, "_fmin") || strstr(name, "_fmax"));
}

/* Counts the instructions of a disassembly that may not be in an EXACT kernel. */
static void read_assembly(numbers *n, const char *text)
{
    n->report.inexact = 0;
    for (const char *p = text; *p;) {
        while (*p && !isalpha((unsigned char)*p))
            p++;
        size_t length = 0;
        while (isalnum((unsigned char)p[length]) || p[length] == '_')
            length++;
        if (is_inexact(p, length)) {
            size_t line = strcspn(p, "\n;");
            while (line > 0 && p[line - 1] == ' ')
                line--;
            if (n->report.inexact++ == 0)
                snprintf(n->example, sizeof n->example, "%.*s", (int)line, p);
        }
        p += length;
    }
}

static actc_status read_representations(actc_vk_device *d, VkPipeline pipeline, uint32_t executable, numbers *n)
{
    actc_status status;
    VkPipelineExecutableInternalRepresentationKHR list[MAX_REPRESENTATIONS];
    uint32_t count = MAX_REPRESENTATIONS;
    VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline, .executableIndex = executable};
    for (size_t i = 0; i < MAX_REPRESENTATIONS; i++)
        list[i] = (VkPipelineExecutableInternalRepresentationKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR};
    VK(d->vk.vkGetPipelineExecutableInternalRepresentationsKHR(d->handle, &info, &count, list));
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, "Assembly") || !list[i].isText)
            continue;
        char *text = actc_calloc(list[i].dataSize + 1, 1);
        if (!text)
            return actc_fail(d->base.context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: machine code of %s", d->label);
        list[i].pData = text;
    }
    VkResult result = d->vk.vkGetPipelineExecutableInternalRepresentationsKHR(d->handle, &info, &count, list);
    status = actc_vk_check(d, result, "vkGetPipelineExecutableInternalRepresentationsKHR");
    for (uint32_t i = 0; i < count; i++) {
        if (status == ACTC_OK && list[i].pData)
            read_assembly(n, list[i].pData);
        actc_free(list[i].pData);
    }
fail:
    return status;
}

static actc_status describe(actc_vk_device *d, VkPipeline pipeline, numbers *n)
{
    actc_status status;
    VkPipelineExecutablePropertiesKHR executables[MAX_EXECUTABLES];
    uint32_t count = MAX_EXECUTABLES;
    VkPipelineInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline};
    for (size_t i = 0; i < MAX_EXECUTABLES; i++)
        executables[i] = (VkPipelineExecutablePropertiesKHR){.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
    VK(d->vk.vkGetPipelineExecutablePropertiesKHR(d->handle, &info, &count, executables));
    for (uint32_t e = 0; e < count && status == ACTC_OK; e++) {
        status = read_statistics(d, pipeline, e, n);
        if (status == ACTC_OK && d->physical.driver == VK_DRIVER_ID_MESA_RADV)
            status = read_representations(d, pipeline, e, n);
    }
fail:
    return status;
}

/* ---- every kernel ---- */

static actc_status compile(actc_vk_device *d, actc_kernel_id id, uint32_t tile, actc_kernel_report_fn report, void *user)
{
    bool statistics = d->physical.executable_properties && d->vk.vkGetPipelineExecutableStatisticsKHR;
    VkPipelineCreateFlags flags = 0;
    if (statistics)
        flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR | VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
    char name[96] = "";
    VkPipeline pipeline;
    numbers n = {.text = ""};
    n.report = actc_kernel_report_of(name, n.text);
    n.report.exact = actc_kernel_infos[id].parity == ACTC_PARITY_EXACT;
    n.report.inexact_example = n.example;
    snprintf(name, sizeof name, "%s", actc_kernel_infos[id].name);
    const actc_vk_tile *t = actc_vk_tile_of(d, id, tile);
    if (t) {
        uint32_t side = actc_vk_tile_side(d, id);
        snprintf(name, sizeof name, "%s %ux%u%s", actc_kernel_infos[id].name, side * t->m, side * t->n,
                 side == d->subgroup ? " a subgroup" : "");
    }
    d->label = name;
    actc_status status = actc_vk_kernel_create(d, id, tile, flags, &pipeline);
    if (status == ACTC_OK && statistics)
        status = describe(d, pipeline, &n);
    if (!n.text[0])
        snprintf(n.text, sizeof n.text, "compiled");
    d->vk.vkDestroyPipeline(d->handle, pipeline, NULL);
    d->label = NULL;
    if (status == ACTC_OK && report)
        report(user, &n.report);
    return status;
}

actc_status actc_vk_compile_all(actc_device *device, actc_kernel_report_fn report, void *user)
{
    actc_vk_device *d = (actc_vk_device *)device;
    actc_status status = ACTC_OK;
    for (int id = 0; id < ACTC_KERNEL_COUNT && status == ACTC_OK; id++) {
        if (!actc_vk_find_shader(actc_kernel_infos[id].name)) {
            actc_kernel_report none = actc_kernel_report_of(actc_kernel_infos[id].name, "not in this build");
            if (report)
                report(user, &none);
            continue;
        }
        uint32_t tiles = actc_vk_kernel_tiles((actc_kernel_id)id);
        for (uint32_t tile = 0; (tile < tiles || tile == 0) && status == ACTC_OK; tile++)
            status = compile(d, (actc_kernel_id)id, tile, report, user);
    }
    return status;
}
