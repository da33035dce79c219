/* memory.c: what a network needs and how its saved tensors are kept, as the public interface reports it. */
#include <string.h>

#include "network.h"

const char *actc_memory_category_string(actc_memory_category category)
{
    static const char *const names[] = {"parameters", "gradients", "optimizer", "kept dense",
                                        "payload", "masks", "transient", "workspace"};
    return (unsigned)category < ACTC_MEMORY_CATEGORIES ? names[category] : "unknown";
}

actc_status actc_network_memory(const actc_network *network, actc_memory_report *report)
{
    ACTC_OWN_MODES;
    if (!report || report->size != sizeof *report)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "actc_memory_report.size must be sizeof(actc_memory_report)");
    const actc_build *build = network->build;
    *report = (actc_memory_report){
        .size = sizeof *report,
        .planned_bytes = build->planned_bytes,
        .allocated_bytes = network->allocated_bytes,
        .planned_bytes_uncompressed = network->planned_bytes_uncompressed,
        .peak_at = build->peak_label ? build->peak_label : "",
    };
    memcpy(report->category_bytes, build->category_bytes, sizeof report->category_bytes);
    uint64_t used = 0;
    for (int c = 0; c < ACTC_MEMORY_CATEGORIES; c++)
        used += build->category_bytes[c];
    report->slack_bytes = build->planned_bytes - used;
    for (size_t i = 0; i < build->n_kept; i++) {
        const actc_kept *kept = &build->kept[i];
        if (kept->mask != UINT32_MAX)
            report->saved_mask_bytes += build->vbufs[kept->mask].used;
        if (kept->saved && kept->saved->codec) {
            report->saved_payload_bytes += kept->kept_bytes;
            report->saved_uncompressed_bytes += kept->dense_bytes;
        } else if (kept->saved && kept->saved->value) {
            report->saved_kept_dense_bytes += kept->kept_bytes;
        }
    }
    for (int p = ACTC_PROGRAM_TRAIN; p <= ACTC_PROGRAM_UPDATE; p++)
        if (network->executables[p])
            report->segments_per_step += network->device->backend->segments(network->executables[p]);
    return ACTC_OK;
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

actc_status actc_network_saved_info(const actc_network *network, size_t index, actc_saved_info *info)
{
    ACTC_OWN_MODES;
    if (!info || info->size != sizeof *info)
        return actc_fail(network->context, ACTC_ERROR_INVALID_ARGUMENT, "actc_saved_info.size must be sizeof(actc_saved_info)");
    const actc_kept *kept = NULL;
    ACTC_RETURN_IF_ERROR(kept_of(network, index, &kept));
    *info = (actc_saved_info){.size = sizeof *info, .note = "", .dense_bytes = kept->dense_bytes, .payload_bytes = kept->kept_bytes};
    if (kept->saved) {
        info->name = kept->saved->tensor->name;
        info->shape = kept->saved->shape;
        info->note = kept->saved->note;
        info->codec = !kept->saved->value ? "mask" : kept->saved->codec ? kept->saved->codec->text : "none";
    } else {
        info->name = kept->op->path;
        info->shape = network->build->train_shapes[kept->op->output->id];
        info->codec = "index";
    }
    return ACTC_OK;
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
