/* weights.c: a network's parameters and buffers from a file of another program, with all that does not fit. */
#include <string.h>

#include <actc/data.h>

#include "../runtime/network_state.h"
#include "../util/util.h"
#include "safetensors.h"

struct load {
    actc_network *network;
    actc_context *context;
    const actc_safetensors *file;
    void (*report)(void *user, const actc_weight_difference *difference);
    void *user;
    size_t fitting, problems[4];
};

static bool is_weight(const actc_state_info *info)
{
    return info->kind == ACTC_STATE_PARAMETER || info->kind == ACTC_STATE_BUFFER;
}

static void tell(struct load *load, actc_weight_difference difference)
{
    load->problems[difference.problem]++;
    if (load->report)
        load->report(load->user, &difference);
}

/* *index: of the tensor that fits this state; false where there is none. */
static bool fits(const struct load *load, const actc_state_info *info, size_t *index, actc_weight_difference *difference)
{
    *difference = (actc_weight_difference){.name = info->name, .wanted = info->shape};
    actc_status status = actc_safetensors_find(load->file, info->name, index);
    if (status != ACTC_OK || actc_safetensors_get(load->file, *index, NULL, &difference->found, NULL) != ACTC_OK) {
        difference->problem = status == ACTC_ERROR_NOT_FOUND ? ACTC_WEIGHT_MISSING : ACTC_WEIGHT_DTYPE;
        return false;
    }
    bool same = difference->found.ndim == info->shape.ndim;
    for (int d = 0; d < info->shape.ndim && same; d++)
        same = difference->found.dims[d] == info->shape.dims[d];
    difference->problem = ACTC_WEIGHT_SHAPE;
    return same;
}

/* What a checkpoint has beside parameters and buffers, of whichever optimiser. */
static bool is_progress(const struct load *load, const char *name)
{
    static const char *const regions[] = {"grad.", "exp_avg.", "exp_avg_sq.", "momentum_buffer."};
    const char *format = actc_safetensors_metadata(load->file, "format");
    bool progress = false;
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++)
        progress = progress || strncmp(name, regions[i], strlen(regions[i])) == 0;
    return progress && format && strcmp(format, ACTC_FORMAT_CHECKPOINT) == 0;
}

/* A tensor of that name is the network's: a weight or a counter; or it is a checkpoint's and passed over. */
static actc_status is_known(const struct load *load, const char *name, bool *known)
{
    *known = is_progress(load, name);
    for (size_t i = 0; i < actc_network_state_count(load->network) && !*known; i++) {
        actc_state_info info;
        ACTC_RETURN_IF_ERROR(actc_network_state_info(load->network, i, &info));
        *known = is_weight(&info) && strcmp(info.name, name) == 0;
    }
    const char *counter;
    for (size_t i = 0; !*known && (counter = actc_network_counter(load->network, i)) != NULL; i++)
        *known = strcmp(counter, name) == 0;
    return ACTC_OK;
}

static actc_status compare(struct load *load)
{
    actc_weight_difference difference;
    size_t index;
    for (size_t i = 0; i < actc_network_state_count(load->network); i++) {
        actc_state_info info;
        ACTC_RETURN_IF_ERROR(actc_network_state_info(load->network, i, &info));
        if (!is_weight(&info))
            continue;
        if (fits(load, &info, &index, &difference))
            load->fitting++;
        else
            tell(load, difference);
    }
    for (size_t i = 0; i < actc_safetensors_count(load->file); i++) {
        const char *name;
        bool known;
        ACTC_RETURN_IF_ERROR(actc_safetensors_get(load->file, i, &name, NULL, NULL));
        ACTC_RETURN_IF_ERROR(is_known(load, name, &known));
        if (!known)
            tell(load, (actc_weight_difference){.problem = ACTC_WEIGHT_UNEXPECTED, .name = name});
    }
    return ACTC_OK;
}

static actc_status take(const struct load *load)
{
    for (size_t i = 0; i < actc_network_state_count(load->network); i++) {
        actc_state_info info;
        actc_weight_difference difference;
        size_t index;
        const float *values;
        ACTC_RETURN_IF_ERROR(actc_network_state_info(load->network, i, &info));
        if (!is_weight(&info) || !fits(load, &info, &index, &difference))
            continue;
        ACTC_RETURN_IF_ERROR(actc_safetensors_get(load->file, index, NULL, NULL, &values));
        ACTC_RETURN_IF_ERROR(actc_network_write_state(load->network, i, values));
    }
    return ACTC_OK;
}

static actc_status compare_and_take(struct load *load, const char *path, bool partial)
{
    ACTC_RETURN_IF_ERROR(compare(load));
    const size_t *n = load->problems;
    const char *name = actc_network_name(load->network);
    if (!load->fitting)
        return actc_fail(load->context, ACTC_ERROR_INVALID_ARGUMENT, "%s holds no tensor that fits one of network %s", path, name);
    if (!partial && n[0] + n[1] + n[2] + n[3])
        return actc_fail(load->context, ACTC_ERROR_INVALID_ARGUMENT, "%s does not fit network %s: %zu of its tensors are missing, "
                         "%zu of another shape, %zu of a dtype that is not read; %zu of the file's are unexpected", path, name,
                         n[ACTC_WEIGHT_MISSING], n[ACTC_WEIGHT_SHAPE], n[ACTC_WEIGHT_DTYPE], n[ACTC_WEIGHT_UNEXPECTED]);
    return take(load);
}

actc_status actc_network_load_weights(actc_network *network, const char *path, bool partial,
                                      void (*report)(void *user, const actc_weight_difference *difference), void *user,
                                      size_t *loaded)
{
    ACTC_OWN_MODES;
    if (!network)
        return ACTC_ERROR_INVALID_ARGUMENT;
    actc_context *context = actc_network_context(network);
    actc_safetensors *file;
    ACTC_RETURN_IF_ERROR(actc_safetensors_open(context, path, &file));
    struct load load = {.network = network, .context = context, .file = file, .report = report, .user = user};
    actc_status status = actc_safetensors_check_sum(context, file, path);
    if (status == ACTC_OK)
        status = compare_and_take(&load, path, partial);
    if (loaded)
        *loaded = status == ACTC_OK ? load.fitting : 0;
    actc_safetensors_destroy(&file);
    return status;
}
