/* expand.c: commands of a program as kernel launches, copies and fills, and what of them this device can run. */
#include <stdio.h>
#include <string.h>

#include "../common/codec_passes.h"
#include "../common/products.h"
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

/* By head_dim: so that columns are not idle. */
static const actc_vk_tile attention_tiles[] = {{4, 4}, {4, 2}, {4, 1}};
#define ATTENTION_TILES (sizeof attention_tiles / sizeof *attention_tiles)

/* Launches below this many workgroups leave a GPU idle: some tens of compute units with several workgroups each. */
#define GROUPS_WANTED_GPU 192.0
/* A software device has threads. */
#define GROUPS_WANTED_SOFTWARE 2.0

static const tile_choice *tiles(const actc_vk_device *d)
{
    return d->subgroup ? subgroup_tiles : workgroup_tiles;
}

static bool is_product(actc_kernel_id id)
{
    return actc_kernel_infos[id].family == ACTC_FAMILY_PRODUCT;
}

static bool has_attention_tiles(actc_kernel_id id)
{
    return actc_kernel_infos[id].family == ACTC_FAMILY_ATTENTION && id != ACTC_KERNEL_attention_delta;
}

uint32_t actc_vk_kernel_tiles(actc_kernel_id id)
{
    return is_product(id) ? ACTC_VK_TILES : has_attention_tiles(id) ? (uint32_t)ATTENTION_TILES : 0;
}

const actc_vk_tile *actc_vk_tile_of(const actc_vk_device *d, actc_kernel_id id, uint32_t number)
{
    return is_product(id) ? &tiles(d)[number].tile : has_attention_tiles(id) ? &attention_tiles[number] : NULL;
}

uint32_t actc_vk_tile_side(const actc_vk_device *d, actc_kernel_id id)
{
    return is_product(id) && d->subgroup ? d->subgroup : 16;
}

const char *actc_vk_shader_name(const actc_vk_device *d, actc_kernel_id id, char name[64])
{
    snprintf(name, 64, "%s%s", actc_kernel_infos[id].name, is_product(id) && d->subgroup ? "_subgroup" : "");
    return name;
}

/* The narrowest tile that holds all columns, or the widest. */
static uint32_t attention_tile(uint32_t head_dim)
{
    uint32_t tile = 0;
    while (tile + 1 < ATTENTION_TILES && head_dim <= 16 * attention_tiles[tile + 1].n)
        tile++;
    return tile;
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

static bool is_filter(actc_kernel_id id)
{
    return id == ACTC_KERNEL_conv_bwd_filter || id == ACTC_KERNEL_conv_bwd_filter_exact;
}

static actc_status expand_product(actc_vk_device *d, const actc_command *command, actc_vk_work_list *list)
{
    actc_product product;
    actc_product_lower(command, d->base.deterministic, &product);
    actc_status status = ACTC_OK;
    for (uint32_t i = 0; i < product.count && status == ACTC_OK; i++) {
        const actc_product_launch *l = &product.launches[i];
        uint64_t groups = l->groups;
        uint32_t tile = 0;
        if (is_product(l->id)) {
            /* neighbours in memory are neighbours along n */
            uint64_t m = is_filter(l->id) ? l->columns : l->rows, n = is_filter(l->id) ? l->rows : l->columns;
            tile = choose_tile(d, m, n, l->copies);
            groups = tile_groups(d, actc_vk_tile_of(d, l->id, tile), m, n, l->copies);
        }
        status = add_launch(d, list, command, l->id, groups, tile, l->params.bytes, l->views);
    }
    return status;
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
        if (actc_kernel_infos[id].family == ACTC_FAMILY_CODEC && !actc_vk_find_shader(actc_kernel_infos[id].name))
            return actc_kernel_infos[id].name;
    return NULL;
}

/* ---- all commands ---- */

static actc_status expand(actc_vk_device *d, const actc_command *command, actc_vk_work_list *list)
{
    switch (command->type) {
    case ACTC_COMMAND_GEMM:
    case ACTC_COMMAND_CONV: return expand_product(d, command, list);
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
        if (command->type == ACTC_COMMAND_KERNEL && has_attention_tiles(command->u.kernel.id)) {
            struct actc_params_attention params;
            memcpy(&params, command->u.kernel.params.bytes, sizeof params);
            work->tile = attention_tile(params.head_dim);
        }
        return ACTC_OK;
    }
    }
    return actc_fail(d->base.context, ACTC_ERROR_INTERNAL, "%s: command type %d is unknown", command->label,
                     (int)command->type);
}

actc_status actc_vk_expand(actc_vk_device *d, const actc_command *command, actc_vk_work_list *list)
{
    size_t first = list->count;
    actc_status status = expand(d, command, list);
    for (size_t i = first; i < list->count; i++)
        list->items[i].source = command;
    return status;
}

static bool has_shader(const actc_vk_device *d, actc_kernel_id id)
{
    char name[64];
    return actc_vk_find_shader(actc_vk_shader_name(d, id, name)) != NULL;
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
    actc_product product;
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
    case ACTC_COMMAND_CONV:
    case ACTC_COMMAND_GEMM:
        actc_product_lower(command, d->base.deterministic, &product);
        workspace = product.workspace_bytes;
        if (!actc_product_fits(command, &product, why, why_size))
            return false;
        for (uint32_t i = 0; i < product.count && !missing; i++)
            if (!has_shader(d, product.launches[i].id))
                missing = actc_kernel_infos[product.launches[i].id].name;
        break;
    case ACTC_COMMAND_KERNEL:
        if (!has_shader(d, command->u.kernel.id))
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
    if (command->type == ACTC_COMMAND_CONV || command->type == ACTC_COMMAND_GEMM) {
        actc_product product;
        actc_product_lower(command, d->base.deterministic, &product);
        *bytes = product.workspace_bytes;
    }
    if (command->type != ACTC_COMMAND_PACK && command->type != ACTC_COMMAND_UNPACK)
        return ACTC_OK;
    actc_status status = actc_codec_passes_workspace(&command->u.codec, command->type == ACTC_COMMAND_UNPACK,
                                                     d->base.info.max_binding_bytes, bytes, &why);
    return status == ACTC_OK ? ACTC_OK : codec_failure(d, command, status, why);
}
