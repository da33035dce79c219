/* expand.c: commands of a program as kernel launches, copies and fills, and what of them this device can run. */
#include <stdio.h>
#include <string.h>

#include "../gpu/codec_passes.h"
#include "vulkan.h"

/* ---- tiles ---- */

/* A tile, and the time of one product in it relative to the best: a smaller one loads more for each. */
typedef struct tile_choice {
    actc_vk_tile tile;
    double cost;
} tile_choice;

/* All give the same bits (shaders/include/tile.glsl). */
static const tile_choice workgroup_tiles[ACTC_VK_TILES] = {{{4, 4}, 1.0}, {{4, 2}, 1.3}, {{2, 4}, 1.3}, {{2, 2}, 1.7}, {{1, 1}, 4.0}};
static const tile_choice subgroup_tiles[ACTC_VK_TILES] = {{{4, 8}, 1.0}, {{4, 4}, 1.35}, {{2, 4}, 1.9}, {{1, 4}, 3.1}, {{1, 1}, 8.0}};

/* Launches below this many workgroups leave a GPU idle: some tens of compute units with several workgroups each. */
#define GROUPS_WANTED_GPU 192.0
/* A software device has threads. */
#define GROUPS_WANTED_SOFTWARE 2.0

static const tile_choice *tiles(const actc_vk_device *d)
{
    return d->subgroup ? subgroup_tiles : workgroup_tiles;
}

const actc_vk_tile *actc_vk_tile_of(const actc_vk_device *d, uint32_t number)
{
    return &tiles(d)[number].tile;
}

/* Groups in which an m x n product is done `copies` times. */
static uint64_t tile_groups(const actc_vk_device *d, const actc_vk_tile *tile, uint64_t m, uint64_t n, uint64_t copies)
{
    uint64_t side = d->subgroup ? d->subgroup : 16, a_group = d->subgroup ? ACTC_GROUP_SIZE / d->subgroup : 1;
    uint64_t tiles_m = (m + side * tile->m - 1) / (side * tile->m), tiles_n = (n + side * tile->n - 1) / (side * tile->n);
    return (tiles_m * tiles_n * copies + a_group - 1) / a_group;
}

/* The tile with which m x n outputs, `copies` times, are done soonest, counting what sticks out at the edges and what of
 * the device has nothing to do. */
static uint32_t choose_tile(const actc_vk_device *d, uint64_t m, uint64_t n, uint64_t copies)
{
    double wanted = d->base.info.type == ACTC_DEVICE_SOFTWARE ? GROUPS_WANTED_SOFTWARE : GROUPS_WANTED_GPU;
    uint32_t best = 0;
    double least = 0;
    for (uint32_t t = 0; t < ACTC_VK_TILES; t++) {
        const tile_choice *choice = &tiles(d)[t];
        double groups = (double)tile_groups(d, &choice->tile, m, n, copies);
        double cost = (groups < wanted ? wanted : groups) * choice->tile.m * choice->tile.n * choice->cost;
        if (t == 0 || cost < least) {
            best = t;
            least = cost;
        }
    }
    return best;
}

/* ---- gemm and convolution ---- */

static actc_vk_work *append(actc_vk_work_list *list)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        actc_vk_work *grown = actc_realloc(list->items, capacity * sizeof *grown);
        if (!grown)
            return NULL;
        list->items = grown;
        list->capacity = capacity;
    }
    actc_vk_work *work = &list->items[list->count++];
    *work = (actc_vk_work){.tile = 0};
    return work;
}

/* A launch made from a command: `pick` names the command's views in the order of the kernel's. */
static actc_status add_launch(actc_vk_device *d, actc_vk_work_list *list, const actc_command *command, actc_kernel_id id,
                              uint64_t groups, uint32_t tile, const void *params, const uint8_t *pick)
{
    const actc_kernel_info *kernel = &actc_kernel_infos[id];
    if (groups == 0 || groups > UINT32_MAX)
        return actc_fail(d->base.context, ACTC_ERROR_UNSUPPORTED, "%s: %llu groups; at most 4294967295 can be launched",
                         command->label, (unsigned long long)groups);
    actc_vk_work *work = append(list);
    if (!work)
        return actc_fail(d->base.context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: commands of a program");
    work->tile = tile;
    work->source = command;
    work->command.type = ACTC_COMMAND_KERNEL;
    work->command.label = command->label;
    work->command.n_views = (uint8_t)strlen(kernel->access);
    work->command.u.kernel.id = id;
    work->command.u.kernel.groups = (uint32_t)groups;
    memcpy(work->command.u.kernel.params.bytes, params, kernel->params_bytes);
    work->command.u.kernel.params.words[0] = (uint32_t)groups;
    for (uint32_t i = 0; i < work->command.n_views; i++) {
        work->command.access[i] = (uint8_t)kernel->access[i];
        work->command.views[i] = command->views[pick[i]];
        if (pick[i] >= command->n_views)
            work->command.views[i] = (actc_view){.buffer = ACTC_NO_BUFFER};
    }
    return ACTC_OK;
}

static actc_status expand_gemm(actc_vk_device *d, const actc_command *command, actc_vk_work_list *list)
{
    static const uint8_t pick[] = {0, 1, 2, 3};
    const actc_gemm *gemm = &command->u.gemm;
    uint32_t tile = choose_tile(d, gemm->m, gemm->n, 1);
    uint64_t groups = tile_groups(d, actc_vk_tile_of(d, tile), gemm->m, gemm->n, 1);
    return add_launch(d, list, command, d->base.deterministic ? ACTC_KERNEL_gemm_exact : ACTC_KERNEL_gemm, groups, tile,
                      gemm, pick);
}

/* A backward filter pass: chunks of output pixels, and weights. */
static uint64_t filter_chunks(const actc_conv *conv)
{
    return ((uint64_t)conv->batch * conv->oh * conv->ow + ACTC_FILTER_PIXELS - 1) / ACTC_FILTER_PIXELS;
}

static uint64_t filter_weights(const actc_conv *conv)
{
    return (uint64_t)conv->oc * conv->kh * conv->kw * conv->ic;
}

static uint64_t conv_workspace(const actc_conv *conv)
{
    if (conv->pass != ACTC_CONV_BACKWARD_FILTER)
        return 0;
    return actc_align(filter_chunks(conv) * filter_weights(conv) * sizeof(float), ACTC_VIEW_ALIGNMENT);
}

static actc_status expand_conv(actc_vk_device *d, const actc_command *command, actc_vk_work_list *list)
{
    static const uint8_t forward[] = {0, 1, 2, 3}, data[] = {0, 1, 3}, filter[] = {0, 1, ACTC_WORKSPACE_VIEW},
                         sum[] = {ACTC_WORKSPACE_VIEW, 3};
    const actc_conv *c = &command->u.conv;
    bool exact = d->base.deterministic;
    /* The three passes have one parameter struct under three names. */
    struct actc_params_conv2d_fwd params = {
        .batch = c->batch, .ic = c->ic, .ih = c->ih, .iw = c->iw, .oc = c->oc, .oh = c->oh, .ow = c->ow, .kh = c->kh,
        .kw = c->kw, .sh = c->sh, .sw = c->sw, .ph = c->ph, .pw = c->pw, .dh = c->dh, .dw = c->dw, .bias = c->bias};
    _Static_assert(sizeof(struct actc_params_conv2d_bwd_data) == sizeof params, "one layout for the convolutions");
    _Static_assert(sizeof(struct actc_params_conv2d_bwd_filter) == sizeof params, "one layout for the convolutions");
    uint64_t m, n, copies = 1;
    switch (c->pass) {
    case ACTC_CONV_FORWARD:
        m = (uint64_t)c->batch * c->oh * c->ow;
        n = c->oc;
        break;
    case ACTC_CONV_BACKWARD_DATA:
        m = (uint64_t)c->batch * c->ih * c->iw;
        n = c->ic;
        break;
    default:
        m = c->oc;
        n = (uint64_t)c->kh * c->kw * c->ic;
        copies = filter_chunks(c);
        break;
    }
    uint32_t tile = choose_tile(d, m, n, copies);
    uint64_t groups = tile_groups(d, actc_vk_tile_of(d, tile), m, n, copies);
    switch (c->pass) {
    case ACTC_CONV_FORWARD:
        return add_launch(d, list, command, exact ? ACTC_KERNEL_conv2d_fwd_exact : ACTC_KERNEL_conv2d_fwd, groups, tile,
                          &params, forward);
    case ACTC_CONV_BACKWARD_DATA:
        return add_launch(d, list, command, exact ? ACTC_KERNEL_conv2d_bwd_data_exact : ACTC_KERNEL_conv2d_bwd_data,
                          groups, tile, &params, data);
    default: break;
    }
    actc_status status =
        add_launch(d, list, command, exact ? ACTC_KERNEL_conv2d_bwd_filter_exact : ACTC_KERNEL_conv2d_bwd_filter, groups,
                   tile, &params, filter);
    if (status != ACTC_OK)
        return status;
    struct actc_params_column_sum_final final = {
        .chunks = (uint32_t)copies, .cols = (uint32_t)filter_weights(c), .add = c->add};
    return add_launch(d, list, command, ACTC_KERNEL_column_sum_final,
                      (final.cols + (uint64_t)ACTC_GROUP_SIZE - 1) / ACTC_GROUP_SIZE, 0, &final, sum);
}

/* ---- codecs ---- */

static actc_status codec_failure(actc_vk_device *d, const actc_command *command, actc_status status, const char *why)
{
    return actc_fail(d->base.context, status, "%s: %s", command->label,
                     status == ACTC_ERROR_OUT_OF_MEMORY ? "out of host memory" : why ? why : actc_status_string(status));
}

static actc_status expand_codec(actc_vk_device *d, const actc_command *command, actc_vk_work_list *list)
{
    actc_codec_passes passes = {0};
    const char *why = NULL;
    actc_status status = actc_codec_passes_expand(command, d->base.info.max_binding_bytes, &passes, &why);
    if (status != ACTC_OK)
        return codec_failure(d, command, status, why);
    for (uint32_t i = 0; i < passes.count && status == ACTC_OK; i++)
        status = actc_vk_expand(d, &passes.commands[i], list);
    actc_codec_passes_free(&passes);
    return status;
}

/* The first kernel of the codecs that this build has no shader for, or NULL. */
static const char *missing_codec_shader(void)
{
    for (int id = 0; id < ACTC_KERNEL_COUNT; id++)
        if (!strncmp(actc_kernel_infos[id].name, "codec_", 6) && !actc_vk_find_shader(actc_kernel_infos[id].name))
            return actc_kernel_infos[id].name;
    return NULL;
}

/* ---- all commands ---- */

actc_status actc_vk_expand(actc_vk_device *d, const actc_command *command, actc_vk_work_list *list)
{
    switch (command->type) {
    case ACTC_COMMAND_GEMM: return expand_gemm(d, command, list);
    case ACTC_COMMAND_CONV: return expand_conv(d, command, list);
    case ACTC_COMMAND_PACK:
    case ACTC_COMMAND_UNPACK: return expand_codec(d, command, list);
    case ACTC_COMMAND_KERNEL:
    case ACTC_COMMAND_COPY:
    case ACTC_COMMAND_FILL:
    case ACTC_COMMAND_HOST: {
        if (command->type == ACTC_COMMAND_KERNEL && command->u.kernel.groups == 0)
            return ACTC_OK;
        actc_vk_work *work = append(list);
        if (!work)
            return actc_fail(d->base.context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: commands of a program");
        work->command = *command;
        work->source = command;
        return ACTC_OK;
    }
    }
    return actc_fail(d->base.context, ACTC_ERROR_INTERNAL, "%s: command type %d is unknown", command->label,
                     (int)command->type);
}

static bool refuse(char *why, size_t why_size, const char *text)
{
    snprintf(why, why_size, "%s", text);
    return false;
}

bool actc_vk_supports(actc_device *device, const actc_command *command, char *why, size_t why_size)
{
    actc_vk_device *d = (actc_vk_device *)device;
    uint64_t limit = d->base.info.max_binding_bytes, workspace = 0;
    bool unpack = command->type == ACTC_COMMAND_UNPACK;
    const char *missing = NULL, *reason = NULL;
    switch (command->type) {
    case ACTC_COMMAND_COPY:
    case ACTC_COMMAND_FILL:
    case ACTC_COMMAND_HOST: return true;
    case ACTC_COMMAND_PACK:
    case ACTC_COMMAND_UNPACK: /* their passes see ranges of the views, none above the limit */
        if (actc_codec_passes_workspace(&command->u.codec, unpack, limit, &workspace, &reason) == ACTC_ERROR_UNSUPPORTED)
            return refuse(why, why_size, reason);
        missing = missing_codec_shader();
        break;
    case ACTC_COMMAND_CONV: workspace = conv_workspace(&command->u.conv); break;
    case ACTC_COMMAND_GEMM: break;
    case ACTC_COMMAND_KERNEL:
        if (!actc_vk_find_shader(actc_kernel_infos[command->u.kernel.id].name))
            missing = actc_kernel_infos[command->u.kernel.id].name;
        break;
    }
    if (missing) {
        snprintf(why, why_size, "this build has no shader for the kernel %s", missing);
        return false;
    }
    if (command->type == ACTC_COMMAND_PACK || unpack)
        return true;
    for (uint32_t i = 0; i < command->n_views; i++) {
        if (command->views[i].bytes <= limit)
            continue;
        snprintf(why, why_size,
                 "view %u has %llu bytes, a kernel sees %llu (maxStorageBufferRange); use a smaller batch, unless it is a parameter's", i,
                 (unsigned long long)command->views[i].bytes, (unsigned long long)limit);
        return false;
    }
    if (workspace > limit) {
        snprintf(why, why_size, "its workspace has %llu bytes, a kernel sees %llu (maxStorageBufferRange); use a smaller batch",
                 (unsigned long long)workspace, (unsigned long long)limit);
        return false;
    }
    return true;
}

actc_status actc_vk_workspace_bytes(actc_device *device, const actc_command *command, uint64_t *bytes)
{
    actc_vk_device *d = (actc_vk_device *)device;
    const char *why = NULL;
    *bytes = 0;
    if (command->type == ACTC_COMMAND_CONV)
        *bytes = conv_workspace(&command->u.conv);
    if (command->type != ACTC_COMMAND_PACK && command->type != ACTC_COMMAND_UNPACK)
        return ACTC_OK;
    actc_status status = actc_codec_passes_workspace(&command->u.codec, command->type == ACTC_COMMAND_UNPACK,
                                                     d->base.info.max_binding_bytes, bytes, &why);
    return status == ACTC_OK ? ACTC_OK : codec_failure(d, command, status, why);
}
