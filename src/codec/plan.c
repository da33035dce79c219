/* plan.c: resolves a codec spec for one shape: geometry, bands, regions, counts and the payload's layout.
 *
 * Everything here is known before anything runs and the same for every backend. Counts are computed in float64 as
 * the specification says; all others are integers.
 */
#include "plan_internal.h"

#include <math.h>
#include <string.h>

#define MAX_ELEMENTS 2147483647u /* kernels index in 32 bits */

static void set_geometry(actc_codec_plan *plan)
{
    const int64_t *d = plan->shape.dims;
    plan->samples = plan->height = plan->width = plan->channels = plan->batch = 1;
    switch (plan->shape.ndim) {
    case 1: plan->width = (uint32_t)d[0]; break;
    case 2:
        plan->height = (uint32_t)d[0];
        plan->width = (uint32_t)d[1];
        break;
    case 3:
        plan->batch = plan->samples = (uint32_t)d[0];
        plan->height = (uint32_t)d[1];
        plan->width = (uint32_t)d[2];
        break;
    case 4:
        plan->batch = plan->samples = (uint32_t)d[0];
        plan->channels = (uint32_t)d[1];
        plan->height = (uint32_t)d[2];
        plan->width = (uint32_t)d[3];
        break;
    case 5: /* a depth slice is a sample of the transforms */
        plan->batch = (uint32_t)d[0];
        plan->samples = (uint32_t)(d[0] * d[2]);
        plan->channels = (uint32_t)d[1];
        plan->height = (uint32_t)d[3];
        plan->width = (uint32_t)d[4];
        break;
    default: break;
    }
    plan->sliceable = plan->shape.ndim >= 3;
}

static actc_status check_shape(actc_context *context, const actc_shape *shape, uint64_t *elements)
{
    if (shape->ndim < 0 || shape->ndim > ACTC_MAX_DIMS)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "codec: a shape of %d dimensions; accepted: 0 to %d",
                         shape->ndim, ACTC_MAX_DIMS);
    uint64_t n = 1;
    for (int i = 0; i < shape->ndim; i++) {
        if (shape->dims[i] < 1)
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "codec: dimension %d is %lld; it must be at least 1", i,
                             (long long)shape->dims[i]);
        uint64_t product;
        if (!actc_mul_u64(n, (uint64_t)shape->dims[i], &product) || product > MAX_ELEMENTS) {
            char text[128];
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "codec: shape %s has more than %u elements",
                             actc_shape_text(shape, text), MAX_ELEMENTS);
        }
        n = product;
    }
    *elements = n;
    return ACTC_OK;
}

/* How many of `size` elements are kept. */
static uint64_t kept_of(const actc_codec_spec *spec, uint64_t size)
{
    double kept;
    if (spec->by_ratio) {
        if (spec->ratio == 1)
            return 0;
        kept = (double)size * (1 - spec->ratio);
    } else {
        kept = (double)size / spec->lambda;
    }
    uint64_t k = (uint64_t)floor(kept);
    return k < 1 ? 1 : k > size ? size : k;
}

static actc_status set_bands(actc_context *context, actc_codec_plan *plan)
{
    const actc_wavelet *wave = &actc_wavelets[plan->spec.wave];
    uint32_t smaller = plan->height < plan->width ? plan->height : plan->width;
    int possible = actc_wavelet_max_level(smaller, wave->length);
    plan->taps = wave->length;
    plan->levels = plan->spec.levels < possible ? plan->spec.levels : possible;
    if (plan->levels < plan->spec.levels) {
        plan->note = actc_format("levels: %d asked, %d possible with %s at %ux%u", plan->spec.levels, plan->levels,
                                 wave->name, plan->height, plan->width);
        if (!plan->note)
            return actc_out_of_memory(context, 64, "a codec plan");
    }
    uint32_t h[ACTC_CODEC_MAX_LEVELS + 1] = {plan->height}, w[ACTC_CODEC_MAX_LEVELS + 1] = {plan->width};
    for (int l = 1; l <= plan->levels; l++) {
        uint32_t extra = plan->spec.symmetric ? (uint32_t)wave->length - 1 : 1;
        h[l] = (h[l - 1] + extra) / 2;
        w[l] = (w[l - 1] + extra) / 2;
    }
    uint64_t begin = 0, images = (uint64_t)plan->samples * plan->channels;
    plan->bands = 3 * (uint32_t)plan->levels + 1;
    for (uint32_t b = 0; b < plan->bands; b++) {
        int level = b == 0 ? plan->levels : plan->levels - (int)(b - 1) / 3;
        plan->band_begin[b] = begin;
        plan->band_height[b] = h[level];
        plan->band_width[b] = w[level];
        begin += images * h[level] * w[level];
    }
    plan->band_begin[plan->bands] = begin;
    plan->m = begin;
    if (begin > MAX_ELEMENTS) {
        char text[128];
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "codec: %s of shape %s has more than %u coefficients",
                         plan->text, actc_shape_text(&plan->shape, text), MAX_ELEMENTS);
    }
    return ACTC_OK;
}

/* A tile that keeps none of its coefficients would lose them whatever is drawn: with select=random each has a slot. */
static actc_status raise_to_tiles(actc_context *context, actc_codec_plan *plan)
{
    uint64_t tiles = (plan->m + ACTC_CODEC_TILE - 1) / ACTC_CODEC_TILE;
    if (plan->k >= tiles)
        return ACTC_OK;
    char *note = actc_format("%s%skept: %llu asked, %llu needed by select=random, one of each 256",
                             plan->note ? plan->note : "", plan->note ? "; " : "", (unsigned long long)plan->k,
                             (unsigned long long)tiles);
    if (!note)
        return actc_out_of_memory(context, 64, "a codec plan");
    actc_free(plan->note);
    plan->note = note;
    plan->k = tiles;
    return ACTC_OK;
}

static actc_status set_regions(actc_context *context, actc_codec_plan *plan)
{
    if (plan->spec.select != ACTC_SELECT_BAND) {
        /* where a wavelet gives more coefficients than there are elements, n of them would not restore them */
        bool all = plan->spec.by_ratio ? plan->spec.ratio == 0 : plan->spec.lambda == 1;
        plan->k = all ? plan->m : kept_of(&plan->spec, plan->n);
        if (plan->spec.select == ACTC_SELECT_RANDOM)
            ACTC_RETURN_IF_ERROR(raise_to_tiles(context, plan));
        plan->regions = 1;
        plan->region_begin[1] = plan->m;
        plan->region_k[0] = plan->k;
        return ACTC_OK;
    }
    /* LL, then the three bands of a level together */
    plan->regions = (uint32_t)plan->levels + 1;
    plan->k = 0;
    for (uint32_t r = 0; r < plan->regions; r++) {
        plan->region_begin[r] = plan->band_begin[r ? 3 * r - 2 : 0];
        plan->region_begin[r + 1] = plan->band_begin[3 * r + 1];
        plan->region_k[r] = kept_of(&plan->spec, plan->region_begin[r + 1] - plan->region_begin[r]);
        plan->k += plan->region_k[r];
    }
    return ACTC_OK;
}

/* Sections in descending size of their elements, so that each is aligned without padding. */
static void layout(actc_codec_plan *plan, actc_codec_index index)
{
    uint64_t at = 0, slots = plan->k;
    bool tables = !actc_codec_in_tiles(&plan->spec), tile_table = tables && index != ACTC_INDEX_U16;
    plan->index = index;
    plan->tables = tables;
    plan->segment_offset = at;
    at += tables ? 4ull * plan->segments : 0;
    plan->mask_offset = at;
    at += index == ACTC_INDEX_MASK ? 4 * ((plan->m + 31) / 32) : 0;
    for (uint32_t size = 4; size; size /= 2) {
        if (size == 2) {
            plan->tile_offset = at;
            at += tile_table ? 2ull * (plan->tiles - plan->segments) : 0;
        }
        if (8 * size == plan->value_bits || (size == 1 && plan->value_bits < 8)) {
            plan->values_offset = at;
            at += actc_codec_value_bytes(plan, slots);
        }
        if ((size == 2 && index == ACTC_INDEX_U16) || (size == 1 && index == ACTC_INDEX_U8)) {
            plan->index_offset = at;
            at += size * slots;
        }
    }
    plan->scale_offset = at;
    at += actc_codec_scaled(plan) ? (slots + 255) / 256 : 0;
    plan->payload_bytes = at;
}

static void set_payload(actc_codec_plan *plan)
{
    static const uint32_t bits[] = {32, 16, 16, 8, 4};
    plan->value_bits = bits[plan->spec.values];
    plan->tiles = (uint32_t)((plan->m + ACTC_CODEC_TILE - 1) / ACTC_CODEC_TILE);
    plan->segments = (uint32_t)((plan->m + ACTC_CODEC_SEGMENT - 1) / ACTC_CODEC_SEGMENT);
    if (plan->k == 0)
        return; /* nothing kept, nothing stored */
    actc_codec_index best = ACTC_INDEX_MASK;
    uint64_t least = UINT64_MAX;
    for (actc_codec_index index = ACTC_INDEX_MASK; index <= ACTC_INDEX_U16; index++) {
        if (index == ACTC_INDEX_U16 && actc_codec_in_tiles(&plan->spec))
            break; /* a tile's own slots need no offset beyond the tile */
        layout(plan, index);
        if (plan->payload_bytes < least) {
            least = plan->payload_bytes;
            best = index;
        }
    }
    layout(plan, best);
}

/* quant: codes in words, then what their groups of 256 have in common. */
static void set_groups(actc_codec_plan *plan)
{
    uint32_t in_word = 32 / (uint32_t)plan->spec.bits;
    plan->k = plan->n;
    plan->tiles = (uint32_t)((plan->n + ACTC_CODEC_TILE - 1) / ACTC_CODEC_TILE);
    plan->base_offset = 4 * ((plan->n + in_word - 1) / in_word);
    plan->scale_offset = plan->base_offset + (plan->spec.symmetric ? 0 : 4ull * plan->tiles);
    plan->payload_bytes = plan->scale_offset + plan->tiles;
}

static actc_status resolve(actc_context *context, actc_codec_plan *plan)
{
    plan->m = plan->n;
    switch (plan->spec.kind) {
    case ACTC_CODEC_NONE: plan->payload_bytes = 4 * plan->n; return ACTC_OK;
    case ACTC_CODEC_RANDOM: return ACTC_OK;
    case ACTC_CODEC_QUANT: set_groups(plan); return ACTC_OK;
    case ACTC_CODEC_RECOMPUTE:
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "codec: %s says how a network's rules and scopes keep tensors; it compresses nothing", plan->text);
    case ACTC_CODEC_DERIVATIVE:
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "codec: %s compresses no tensor: an operator keeps its derivative so, where a rule or a scope says it",
                         plan->text);
    case ACTC_CODEC_USER: {
        const actc_user_codec *codec = &plan->spec.user->codec;
        plan->payload_bytes = codec->payload_bytes(codec->user, &plan->shape);
        return ACTC_OK;
    }
    case ACTC_CODEC_WAVELET: ACTC_RETURN_IF_ERROR(set_bands(context, plan)); break;
    case ACTC_CODEC_DCT:
        if (plan->spec.block == 0 && plan->width > 4096)
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                             "codec: %s of a last axis of %u; block=row accepts at most 4096", plan->text, plan->width);
        break;
    case ACTC_CODEC_THRESHOLD: break;
    }
    ACTC_RETURN_IF_ERROR(set_regions(context, plan));
    set_payload(plan);
    return actc_codec_constants(context, plan);
}

actc_status actc_codec_plan_create(actc_context *context, const actc_codec_spec *spec, const actc_shape *shape,
                                   actc_codec_plan **out)
{
    uint64_t n = 0;
    *out = NULL;
    ACTC_RETURN_IF_ERROR(check_shape(context, shape, &n));
    actc_codec_plan *plan = actc_calloc(1, sizeof *plan);
    if (!plan)
        return actc_out_of_memory(context, sizeof *plan, "a codec plan");
    plan->spec = *spec;
    plan->shape = *shape;
    plan->n = n;
    plan->text = actc_codec_spec_format(spec);
    if (!plan->text) {
        actc_codec_plan_destroy(&plan);
        return actc_out_of_memory(context, 64, "a codec plan");
    }
    set_geometry(plan);
    actc_status status = resolve(context, plan);
    if (status == ACTC_OK && !plan->note && !(plan->note = actc_strdup("")))
        status = actc_out_of_memory(context, 1, "a codec plan");
    if (status != ACTC_OK) {
        actc_codec_plan_destroy(&plan);
        return status;
    }
    plan->smaller = plan->payload_bytes < 4 * plan->n;
    *out = plan;
    return ACTC_OK;
}

void actc_codec_plan_destroy(actc_codec_plan **plan)
{
    if (!plan || !*plan)
        return;
    actc_free((*plan)->text);
    actc_free((*plan)->note);
    actc_free_pages((*plan)->constants);
    actc_free(*plan);
    *plan = NULL;
}
