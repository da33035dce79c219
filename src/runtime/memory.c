/* memory.c: what a network needs and how its saved tensors are kept, as the public interface reports it. */
#include <string.h>

#include "network.h"

const char *actc_memory_category_string(actc_memory_category category)
{
    static const char *const names[] = {"parameters", "gradients", "optimizer", "kept dense",
                                        "payload", "masks", "transient", "workspace"};
    return (unsigned)category < ACTC_MEMORY_CATEGORIES ? names[category] : "unknown";
}

const char *actc_saved_use_string(actc_saved_use use)
{
    static const char *const names[] = {"exact", "parameters", "gradient", "probability"};
    return (unsigned)use < sizeof names / sizeof *names ? names[use] : "unknown";
}

/* Whether the dense tensor lies in the memory of one that comes before it: the same values under another shape. */
static bool shares_memory(const actc_build *build, size_t index)
{
    const actc_view *view = &build->kept[index].dense;
    for (size_t i = 0; i < index; i++)
        if (build->kept[i].dense.bytes && actc_same_place(build->kept[i].dense, *view))
            return true;
    return false;
}

/* Of a kept tensor's values: none where they are not kept, or are those of one that comes before it. */
static uint64_t values_bytes(const actc_build *build, size_t index)
{
    const actc_kept *kept = &build->kept[index];
    bool kept_here = kept->saved && kept->saved->value && (kept->saved->codec || !shares_memory(build, index));
    return kept_here ? kept->kept_bytes : 0;
}

/* Of a mask beside or instead of them, or of what an operator keeps for itself. */
static uint64_t own_bytes(const actc_build *build, const actc_kept *kept, bool *mask)
{
    *mask = kept->own != UINT32_MAX && build->vbufs[kept->own].category == ACTC_MEMORY_MASKS;
    return *mask ? build->vbufs[kept->own].used : kept->own != UINT32_MAX ? kept->kept_bytes : 0;
}

/* ---- between the forward and the backward pass ---- */

/* Whether the caller's values of an input are in no buffer that is live then: neither as they were given nor saved dense. */
static bool input_is_gone(const actc_build *build, const actc_entry *entry)
{
    if (entry->vbuf == ACTC_NO_BUFFER || build->vbufs[entry->vbuf].last >= build->n_forward)
        return false;
    for (size_t i = 0; i < build->n_kept; i++)
        if (build->kept[i].saved && build->kept[i].saved->tensor == entry->tensor && build->kept[i].dense.bytes)
            return false;
    return true;
}

/* Whether the buffer holds what a framework would have as well: no staging of states, no values captured for reports. */
static bool is_counted(const actc_build *build, size_t index)
{
    const actc_vbuf *v = &build->vbufs[index];
    switch (v->category) {
    case ACTC_MEMORY_PARAMETERS: return index != build->v_staged;
    case ACTC_MEMORY_KEPT_DENSE:
    case ACTC_MEMORY_PAYLOAD:
    case ACTC_MEMORY_MASKS: return true;
    case ACTC_MEMORY_TRANSIENT: return !v->persistent;
    default: return false;
    }
}

static void add_after_forward(const actc_build *build, actc_memory_report *report)
{
    if (!build->programs[ACTC_PROGRAM_TRAIN].n_commands)
        return;
    for (size_t i = 0; i < build->n_vbufs; i++) {
        const actc_vbuf *v = &build->vbufs[i];
        if (!v->touched || v->first >= build->n_forward || v->last < build->n_forward)
            continue;
        uint64_t bytes = v->used < v->bytes ? v->used : v->bytes;
        report->after_forward_category_bytes[v->category] += bytes;
        if (is_counted(build, i))
            report->after_forward_bytes += bytes;
    }
    for (size_t i = 0; i < build->graph->n_inputs; i++)
        if (input_is_gone(build, &build->entries[ACTC_PROGRAM_TRAIN][i]))
            report->after_forward_bytes += build->vbufs[build->entries[ACTC_PROGRAM_TRAIN][i].vbuf].used;
}

actc_status actc_network_memory(const actc_network *network, actc_memory_report *out)
{
    ACTC_OWN_MODES;
    if (!out)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "actc_network_memory: the report is NULL");
    const actc_build *build = network->build;
    actc_memory_report full = {
        .size = sizeof full,
        .planned_bytes = build->planned_bytes,
        .allocated_bytes = network->allocated_bytes,
        .planned_bytes_uncompressed = network->planned_bytes_uncompressed,
        .recompute_percent = build->forward_work ? 100.0 * (double)build->again_work / (double)build->forward_work : 0,
        .peak_at = build->plan.peak_label ? build->plan.peak_label : "",
    };
    memcpy(full.category_bytes, build->category_bytes, sizeof full.category_bytes);
    uint64_t used = 0;
    for (int c = 0; c < ACTC_MEMORY_CATEGORIES; c++)
        used += build->category_bytes[c];
    full.slack_bytes = build->planned_bytes - used;
    for (size_t i = 0; i < build->n_kept; i++) {
        const actc_kept *kept = &build->kept[i];
        bool mask, packed = kept->saved && kept->saved->codec;
        uint64_t own = own_bytes(build, kept, &mask);
        *(mask ? &full.saved_mask_bytes : &full.saved_kept_dense_bytes) += own;
        *(packed ? &full.saved_payload_bytes : &full.saved_kept_dense_bytes) += values_bytes(build, i);
        full.saved_uncompressed_bytes += packed || kept->codec ? kept->dense_bytes : 0;
    }
    for (int p = ACTC_PROGRAM_TRAIN; p <= ACTC_PROGRAM_UPDATE; p++)
        if (network->executables[p])
            full.segments_per_step += network->device->backend->segments(network->executables[p]);
    add_after_forward(build, &full);
    return actc_give_info(network->context, "actc_memory_report", out, sizeof full, &full);
}

size_t actc_network_timeline_count(const actc_network *network)
{
    return network->build->plan.times;
}

actc_status actc_network_timeline(const actc_network *network, size_t index, actc_timeline_entry *out)
{
    ACTC_OWN_MODES;
    const actc_build *build = network->build;
    if (index >= build->plan.times)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "command %zu of the timeline: there are %u", index,
                         build->plan.times);
    uint32_t program = ACTC_PROGRAM_TRAIN;
    size_t at = index;
    while (at >= build->programs[program].n_commands)
        at -= build->programs[program++].n_commands;
    const actc_command *command = &build->programs[program].commands[at];
    const actc_timeline_entry full = {
        .size = sizeof full,
        .label = command->label ? command->label : "",
        .program = build->programs[program].name,
        .live_bytes = build->plan.live[index],
        .backward = program == ACTC_PROGRAM_TRAIN && at >= build->n_forward,
        .kind = command->kind ? command->kind : "",
        .seconds = network->seconds ? network->seconds[index] : 0,
    };
    return actc_give_info(network->context, "actc_timeline_entry", out, sizeof full, &full);
}

size_t actc_network_saved_count(const actc_network *network)
{
    return network->build->n_kept;
}

static actc_status kept_of(const actc_network *network, size_t index, const actc_kept **kept)
{
    if (index >= network->build->n_kept)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "saved tensor %zu: there are %zu", index, network->build->n_kept);
    *kept = &network->build->kept[index];
    return ACTC_OK;
}

actc_status actc_network_saved_info(const actc_network *network, size_t index, actc_saved_info *out)
{
    ACTC_OWN_MODES;
    if (!out)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "actc_network_saved_info: the info is NULL");
    const actc_kept *kept = NULL;
    ACTC_RETURN_IF_ERROR(kept_of(network, index, &kept));
    actc_saved_info full = {.size = sizeof full, .note = "", .dense_bytes = kept->dense_bytes, .payload_bytes = kept->kept_bytes};
    bool mask;
    full.kept_bytes = values_bytes(network->build, index) + own_bytes(network->build, kept, &mask);
    if (kept->saved) {
        full.name = kept->saved->tensor->name;
        full.shape = kept->saved->shape;
        full.note = kept->saved->note;
        full.use = kept->saved->use;
        full.readers = kept->saved->readers;
        full.codec = kept->saved->recomputed ? "recompute" : !kept->saved->value ? "mask" : kept->saved->codec ? kept->saved->codec->text : "none";
    } else {
        bool places = network->build->vbufs[kept->own].category == ACTC_MEMORY_MASKS;
        full.name = kept->op->path;
        full.shape = places ? network->build->shapes[ACTC_PROGRAM_TRAIN][kept->op->output->id]
                            : (actc_shape){.ndim = 1, .dims = {(int64_t)kept->dense_bytes / 4}};
        full.codec = kept->codec ? kept->codec : places ? "index" : "own";
        full.use = kept->codec ? ACTC_SAVED_FOR_GRADIENT : ACTC_SAVED_EXACT;
        full.readers = kept->op->path;
    }
    return actc_give_info(network->context, "actc_saved_info", out, sizeof full, &full);
}

actc_status actc_network_read_saved(actc_network *network, size_t index, float *values)
{
    ACTC_OWN_MODES;
    const actc_kept *kept = NULL;
    ACTC_RETURN_IF_ERROR(kept_of(network, index, &kept));
    if (kept->capture == UINT32_MAX)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT,
                         "saved tensor %zu has no captured values: the network was created without options.capture, or it is a "
                         "mask or an index", index);
    return actc_network_download(network, kept->capture, 0, values, kept->dense_bytes);
}
