/* codec_passes.c: the common part of pack and unpack lists: geometry, workspace, the growing list. pack and unpack
 * themselves are in codec_pack_passes.c and codec_unpack_passes.c.
 */
#include "codec_passes_internal.h"

#include <string.h>

/* Elements of a chunk that a transform works on at once where it needs scratch memory for it: large enough to fill any
 * device, small enough to stay modest beside the tensors. */
#define SCRATCH_ELEMENTS (4u << 20)
/* And not below this where the tensor is small: more launches of less work than a device does at once gain nothing. */
#define LEAST_SCRATCH_ELEMENTS (64u << 10)

/* A tensor's transform takes scratch for an eighth of it, within these limits. */
static uint64_t scratch_elements(const actc_codec_plan *plan)
{
    uint64_t eighth = (plan->n + 7) / 8;
    return eighth < LEAST_SCRATCH_ELEMENTS ? LEAST_SCRATCH_ELEMENTS : eighth < SCRATCH_ELEMENTS ? eighth : SCRATCH_ELEMENTS;
}

uint64_t actc_codec_element_begin(const actc_codec_plan *plan, uint64_t row)
{
    uint64_t block = plan->spec.block ? (uint32_t)plan->spec.block : 1;
    uint64_t rows = actc_codec_blocks(plan->height, (uint32_t)block), line = (uint64_t)plan->width * plan->channels;
    return row / rows * plan->height * line + row % rows * block * line;
}

static actc_status refuse(const char **why, const char *text)
{
    *why = text;
    return ACTC_ERROR_UNSUPPORTED;
}

/* How much one launch takes. */
static actc_status set_chunks(actc_codec_layout *l, const char **why)
{
    const actc_codec_plan *plan = l->plan;
    uint64_t line = (uint64_t)plan->width * plan->channels, sample = line * plan->height;
    uint64_t block = plan->spec.block ? (uint32_t)plan->spec.block : 1;
    l->chunk = (l->max_view - 512) / 4 & ~255ull; /* room for the view's beginning to be moved to an aligned offset */
    if (l->max_view < 4096)
        return refuse(why, "the device binds less than 4096 bytes");
    l->rows = l->chunk / (line * (block < plan->height ? block : plan->height));
    uint64_t scratch = scratch_elements(plan);
    l->samples = (l->chunk < scratch ? l->chunk : scratch) / sample;
    if (l->samples == 0)
        l->samples = 1;
    if (l->samples > plan->samples)
        l->samples = plan->samples;
    if (plan->spec.kind == ACTC_CODEC_DCT && l->rows == 0)
        return refuse(why, "a row of blocks is larger than what the device binds at once");
    if (l->transform == ACTC_TRANSFORM_DWT && sample > l->chunk)
        return refuse(why, "a sample is larger than what the device binds at once");
    return ACTC_OK;
}

static uint64_t take(uint64_t *at, uint64_t words)
{
    uint64_t begin = *at;
    *at += actc_align(4 * words, ACTC_VIEW_ALIGNMENT);
    return begin;
}

actc_status actc_codec_layout_init(actc_codec_layout *l, const actc_codec_work_desc *work, bool unpack, uint64_t max_view,
                                   const char **why)
{
    const actc_codec_plan *plan = work->plan;
    *l = (actc_codec_layout){.plan = plan, .max_view = max_view & ~255ull};
    if (plan->spec.kind == ACTC_CODEC_DCT)
        l->transform = plan->spec.block ? ACTC_TRANSFORM_DCT : ACTC_TRANSFORM_DCT_ROW;
    else if (plan->spec.kind == ACTC_CODEC_WAVELET && plan->levels)
        l->transform = ACTC_TRANSFORM_DWT;
    if (plan->spec.kind == ACTC_CODEC_USER)
        return refuse(why, "a registered codec runs on the host");
    if (plan->payload_bytes > UINT32_MAX - 512)
        return refuse(why, "the payload is larger than 4 GiB");
    ACTC_RETURN_IF_FAILED(set_chunks(l, why));
    l->selects = plan->k > 0 && plan->spec.kind >= ACTC_CODEC_THRESHOLD;
    l->to_values = plan->spec.values != ACTC_VALUES_F32;
    l->pieces = plan->tiles + plan->regions - 1;
    if (!l->selects)
        return ACTC_OK;
    uint64_t at = 0, per_sample = plan->m / plan->samples;
    if (!unpack) {
        if (plan->tables) {
            l->histogram = take(&at, ACTC_CODEC_BINS);
            l->state = take(&at, ACTC_CODEC_STATE_WORDS * plan->regions);
            l->sums = take(&at, 2ull * plan->segments);
            l->zeroed = at;
            l->counts = take(&at, 2ull * l->pieces);
        }
        if (l->to_values)
            l->values = take(&at, plan->k);
        if (l->transform != ACTC_TRANSFORM_NONE)
            l->y = take(&at, plan->m);
    } else if (l->transform == ACTC_TRANSFORM_DWT) {
        l->y = take(&at, l->samples * per_sample);
    } else if (l->transform != ACTC_TRANSFORM_NONE) {
        uint64_t row = actc_codec_element_begin(plan, 1), most = scratch_elements(plan) / row;
        l->rows = most < 1 ? 1 : most < l->rows ? most : l->rows;
        uint64_t all = plan->n < l->rows * row ? plan->n : l->rows * row;
        l->y = take(&at, all);
    }
    if (l->transform == ACTC_TRANSFORM_DWT) {
        /* what a level's first pass leaves, its halves, and what its second leaves for the next level */
        uint32_t finest = plan->bands - 1;
        uint64_t half = l->samples * plan->height * plan->band_width[finest] * plan->channels;
        l->low = take(&at, half);
        l->high = take(&at, half);
        l->approximation =
            take(&at, l->samples * plan->band_height[finest] * plan->band_width[finest] * plan->channels);
    }
    l->bytes = at;
    return ACTC_OK;
}

/* ---- the list ---- */

actc_view actc_codec_range(const actc_command *command, uint32_t view, uint64_t offset, uint64_t bytes)
{
    uint64_t begin = offset & ~(uint64_t)(ACTC_VIEW_ALIGNMENT - 1);
    return (actc_view){.buffer = command->views[view].buffer,
                       .offset = command->views[view].offset + begin,
                       .bytes = (offset - begin + bytes + 3) & ~3ull};
}

static actc_command *append(actc_codec_list *list)
{
    if (list->failed)
        return NULL;
    if (list->passes.count == list->capacity) {
        uint32_t capacity = list->capacity ? 2 * list->capacity : 32;
        actc_command *grown = actc_realloc(list->passes.commands, capacity * sizeof *grown);
        if (!grown) {
            list->failed = true;
            return NULL;
        }
        list->passes.commands = grown;
        list->capacity = capacity;
    }
    actc_command *c = &list->passes.commands[list->passes.count++];
    *c = (actc_command){.label = list->command->label};
    return c;
}

void actc_codec_launch(actc_codec_list *list, actc_kernel_id id, uint64_t groups, const void *params, size_t params_bytes,
                       const actc_view *views)
{
    static const char *const access[] = {
#define ACTC_KERNEL(name, class, letters, family, grain) [ACTC_KERNEL_##name] = letters,
#include "kernels.def"
    };
    actc_command *c = groups ? append(list) : NULL;
    if (!c)
        return;
    c->type = ACTC_COMMAND_KERNEL;
    c->n_views = (uint8_t)strlen(access[id]);
    for (uint32_t i = 0; i < c->n_views; i++) {
        c->access[i] = (uint8_t)access[id][i];
        c->views[i] = views[i];
        if (views[i].bytes == 0)
            c->views[i].buffer = ACTC_NO_BUFFER;
    }
    c->u.kernel.id = id;
    c->u.kernel.groups = (uint32_t)groups;
    memcpy(c->u.kernel.params.bytes, params, params_bytes);
    c->u.kernel.params.words[0] = (uint32_t)groups;
}

void actc_codec_fill(actc_codec_list *list, actc_view target)
{
    actc_command *c = target.bytes ? append(list) : NULL;
    if (!c)
        return;
    c->type = ACTC_COMMAND_FILL;
    c->n_views = 1;
    c->access[0] = 'w';
    c->views[0] = target;
}

void actc_codec_copy(actc_codec_list *list, actc_view source, actc_view target)
{
    actc_command *c = append(list);
    if (!c)
        return;
    c->type = ACTC_COMMAND_COPY;
    c->n_views = 2;
    c->access[0] = 'r';
    c->access[1] = 'w';
    c->views[0] = source;
    c->views[1] = target;
}

actc_status actc_codec_passes_workspace(const actc_codec_work_desc *work, bool unpack, uint64_t max_view_bytes,
                                        uint64_t *bytes, const char **why)
{
    actc_codec_layout layout;
    *bytes = 0;
    ACTC_RETURN_IF_FAILED(actc_codec_layout_init(&layout, work, unpack, max_view_bytes, why));
    *bytes = layout.bytes;
    return ACTC_OK;
}

actc_status actc_codec_passes_expand(const actc_command *command, uint64_t max_view_bytes, actc_codec_passes *passes,
                                     const char **why)
{
    bool unpack = command->type == ACTC_COMMAND_UNPACK;
    actc_codec_list list = {.command = command};
    *passes = (actc_codec_passes){0};
    ACTC_RETURN_IF_FAILED(actc_codec_layout_init(&list.layout, &command->u.codec, unpack, max_view_bytes, why));
    if (unpack)
        actc_codec_unpack_passes(&list);
    else
        actc_codec_pack_passes(&list);
    if (list.failed) {
        actc_codec_passes_free(&list.passes);
        *why = "out of host memory";
        return ACTC_ERROR_OUT_OF_MEMORY;
    }
    *passes = list.passes;
    return ACTC_OK;
}

void actc_codec_passes_free(actc_codec_passes *passes)
{
    actc_free(passes->commands);
    *passes = (actc_codec_passes){0};
}
