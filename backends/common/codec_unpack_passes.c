/* codec_unpack_passes.c: the list of an unpack command: coefficients scattered from the payload, inverse transform,
 * over chunks of the samples asked for.
 */
#include "codec_passes_internal.h"

#include "../../src/exact/codec.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

static actc_view constants(const actc_codec_list *list)
{
    return actc_codec_range(list->command, ACTC_CODEC_CONSTANTS_VIEW, 0, list->layout.plan->constants_bytes);
}

/* A part of a payload section: elements [begin, end) of `size` bytes; first: the view's first. */
static actc_view section(const actc_codec_list *list, uint64_t offset, uint64_t begin, uint64_t end, uint32_t size,
                         uint32_t *first)
{
    offset += begin * size;
    *first = actc_codec_view_first(offset, (uint32_t)begin, size);
    return actc_codec_range(list->command, ACTC_UNPACK_PAYLOAD, offset, (end - begin) * size);
}

/* The values of slots [begin, end); begin is even. */
static actc_view values_of(const actc_codec_list *list, uint64_t begin, uint64_t end, uint32_t *first)
{
    const actc_codec_plan *plan = list->layout.plan;
    if (plan->value_bits >= 8)
        return section(list, plan->values_offset, begin, end, plan->value_bits / 8, first);
    actc_view view = section(list, plan->values_offset, begin / 2, (end + 1) / 2, 1, first);
    *first *= 2;
    return view;
}

/* Coefficients [begin, end) into a view of the command from byte `offset` on. */
static void scatter(actc_codec_list *list, uint64_t begin, uint64_t end, uint32_t view, uint64_t offset)
{
    static const uint32_t forms[] = {ACTC_CODEC_F32, ACTC_CODEC_F16, ACTC_CODEC_BF16, ACTC_CODEC_INT8,
                                     ACTC_CODEC_INT4};
    const actc_codec_layout *l = &list->layout;
    const actc_codec_plan *plan = l->plan;
    const actc_view none = {ACTC_NO_BUFFER, 0, 0};
    uint32_t index_bytes = plan->index == ACTC_INDEX_U16 ? 2 : plan->index == ACTC_INDEX_U8 ? 1 : 0;
    uint32_t value_bytes = plan->value_bits < 8 ? 1 : plan->value_bits / 8;
    uint64_t window = (l->max_view - 512) / (value_bytes > index_bytes ? value_bytes : index_bytes) & ~255ull;
    uint64_t tile = begin / ACTC_CODEC_TILE, tiles_end = ceil_div(end, ACTC_CODEC_TILE);
    /* of the tiles and the one behind them, whose first slot ends the last; a segment's first tile has none */
    uint64_t entry = tile - ceil_div(tile, 256), behind = MIN(tiles_end + 1, plan->tiles);
    uint64_t entries_end = behind - ceil_div(behind, 256);
    for (uint64_t slot = 0; slot < plan->k; slot += window) {
        uint64_t slot_end = MIN(slot + window, plan->k);
        struct actc_params_codec_scatter p = {.first_tile = (uint32_t)tile, .begin = (uint32_t)begin, .end = (uint32_t)end,
                                              .m = (uint32_t)plan->m, .k = (uint32_t)plan->k, .index = plan->index,
                                              .tile_select = !plan->tables, .form = forms[plan->spec.values],
                                              .keep = slot > 0, .slot_begin = (uint32_t)slot,
                                              .slot_end = (uint32_t)slot_end};
        p.y_first = actc_codec_view_first(offset, (uint32_t)begin, 4);
        uint32_t segment_first;
        actc_view views[] = {
            plan->tables ? section(list, plan->segment_offset, 0, plan->segments, 4, &segment_first) : none,
            plan->tables && plan->index != ACTC_INDEX_U16 && entries_end > entry
                ? section(list, plan->tile_offset, entry, entries_end, 2, &p.tile_first)
                : none,
            plan->index == ACTC_INDEX_MASK
                ? section(list, plan->mask_offset, tile * 8, MIN(tiles_end * 8, ceil_div(plan->m, 32)), 4, &p.index_first)
                : section(list, plan->index_offset, slot, slot_end, index_bytes, &p.index_first),
            values_of(list, slot, slot_end, &p.values_first),
            actc_codec_scaled(plan)
                ? section(list, plan->scale_offset, slot / 256, ceil_div(slot_end, 256), 1, &p.scale_first)
                : none,
            actc_codec_range(list->command, view, offset, 4 * (end - begin))};
        actc_codec_launch(list, ACTC_KERNEL_codec_scatter, tiles_end - tile, &p, sizeof p, views);
    }
}

static void threshold(actc_codec_list *list, uint64_t begin, uint64_t end)
{
    for (uint64_t at = begin; at < end; at += list->layout.chunk)
        scatter(list, at, MIN(at + list->layout.chunk, end), ACTC_UNPACK_X, 4 * (at - begin));
}

/* Samples [first, last). */
static void dct(actc_codec_list *list, uint64_t first, uint64_t last)
{
    const actc_codec_layout *l = &list->layout;
    const actc_codec_plan *plan = l->plan;
    bool whole_rows = l->transform == ACTC_TRANSFORM_DCT_ROW;
    uint32_t block = (uint32_t)plan->spec.block;
    uint64_t rows = whole_rows ? plan->height : actc_codec_blocks(plan->height, block);
    uint64_t origin = actc_codec_element_begin(plan, first * rows);
    for (uint64_t row = first * rows; row < last * rows; row += l->rows) {
        uint64_t next = MIN(row + l->rows, last * rows), begin = actc_codec_element_begin(plan, row),
                 end = actc_codec_element_begin(plan, next), x_byte = 4 * (begin - origin);
        uint32_t y_first = (uint32_t)begin, x_first = actc_codec_view_first(x_byte, (uint32_t)begin, 4);
        scatter(list, begin, end, ACTC_WORKSPACE_VIEW, l->y);
        actc_view views[] = {actc_codec_range(list->command, ACTC_WORKSPACE_VIEW, l->y, 4 * (end - begin)),
                             constants(list), actc_codec_range(list->command, ACTC_UNPACK_X, x_byte, 4 * (end - begin))};
        if (whole_rows) {
            struct actc_params_codec_dct_row p = {.n = (uint32_t)(end - begin), .out_begin = (uint32_t)begin,
                                                  .width = plan->width, .channels = plan->channels, .inverse = 1,
                                                  .in_first = y_first, .out_first = x_first};
            actc_codec_launch(list, ACTC_KERNEL_codec_dct_row, ceil_div(p.n, ACTC_GROUP_SIZE), &p, sizeof p, views);
        } else {
            struct actc_params_codec_idct p = {.first_row = (uint32_t)row, .block = block, .height = plan->height,
                                               .width = plan->width, .channels = plan->channels, .x_first = x_first,
                                               .y_first = y_first};
            p.row_groups = (uint32_t)ceil_div((uint64_t)actc_codec_blocks(plan->width, block) * plan->channels,
                                              ACTC_GROUP_SIZE / block);
            actc_codec_launch(list, ACTC_KERNEL_codec_idct, (next - row) * p.row_groups, &p, sizeof p, views);
        }
    }
}

typedef struct placed {
    actc_view view;
    uint32_t at;
} placed;

static placed place(const actc_codec_list *list, uint32_t view, uint64_t offset, uint64_t words)
{
    return (placed){actc_codec_range(list->command, view, offset, 4 * words), (uint32_t)(offset % ACTC_VIEW_ALIGNMENT / 4)};
}

static void idwt_axis(actc_codec_list *list, placed low, placed high, placed out, uint64_t outer, uint32_t length,
                      uint32_t in_length, uint64_t inner)
{
    const actc_codec_plan *plan = list->layout.plan;
    struct actc_params_codec_idwt p = {.outer = (uint32_t)outer, .size = length, .inner = (uint32_t)inner,
                                       .in_size = in_length, .taps = (uint32_t)plan->taps,
                                       .symmetric = plan->spec.symmetric,
                                       .table = ACTC_CODEC_TABLES + 2 * (uint32_t)plan->taps, .low_at = low.at,
                                       .high_at = high.at, .out_at = out.at};
    actc_view views[] = {low.view, high.view, constants(list), out.view};
    actc_codec_launch(list, ACTC_KERNEL_codec_idwt, ceil_div(outer * length * inner, ACTC_GROUP_SIZE), &p, sizeof p, views);
}

static void dwt(actc_codec_list *list, uint64_t first, uint64_t last)
{
    const actc_codec_layout *l = &list->layout;
    const actc_codec_plan *plan = l->plan;
    uint64_t c = plan->channels, sample = (uint64_t)plan->height * plan->width * c;
    for (uint64_t begin = first; begin < last; begin += l->samples) {
        uint64_t count = MIN(l->samples, last - begin), offset = l->y;
        placed bands[ACTC_CODEC_MAX_BANDS];
        for (uint32_t b = 0; b < plan->bands; b++) {
            uint64_t each = (uint64_t)plan->band_height[b] * plan->band_width[b] * c;
            uint64_t from = plan->band_begin[b] + begin * each;
            scatter(list, from, from + count * each, ACTC_WORKSPACE_VIEW, offset);
            bands[b] = place(list, ACTC_WORKSPACE_VIEW, offset, count * each);
            offset += 4 * count * each;
        }
        for (int level = plan->levels; level >= 1; level--) {
            uint32_t b = plan->bands - 3 * (uint32_t)level;
            uint32_t ih = plan->band_height[b], iw = plan->band_width[b];
            uint32_t h = level == 1 ? plan->height : plan->band_height[b + 3];
            uint32_t w = level == 1 ? plan->width : plan->band_width[b + 3];
            placed coarse = level == plan->levels ? bands[0]
                                                  : place(list, ACTC_WORKSPACE_VIEW, l->approximation, count * ih * iw * c);
            placed low = place(list, ACTC_WORKSPACE_VIEW, l->low, count * h * iw * c);
            placed high = place(list, ACTC_WORKSPACE_VIEW, l->high, count * h * iw * c);
            placed out = level == 1 ? place(list, ACTC_UNPACK_X, 4 * (begin - first) * sample, count * sample)
                                    : place(list, ACTC_WORKSPACE_VIEW, l->approximation, count * h * w * c);
            idwt_axis(list, coarse, bands[b], low, count, h, ih, iw * c);
            idwt_axis(list, bands[b + 1], bands[b + 2], high, count, h, ih, iw * c);
            idwt_axis(list, low, high, out, count * h, w, iw, c);
        }
    }
}

static void random_numbers(actc_codec_list *list, uint64_t begin, uint64_t end)
{
    for (uint64_t at = begin; at < end; at += list->layout.chunk) {
        struct actc_params_codec_random p = {.n = (uint32_t)MIN(list->layout.chunk, end - at), .first = (uint32_t)at,
                                             .tensor = list->command->u.codec.tensor};
        actc_view views[] = {actc_codec_range(list->command, ACTC_CODEC_STEP_VIEW, 0, ACTC_STEP_BLOCK_BYTES),
                             actc_codec_range(list->command, ACTC_UNPACK_X, 4 * (at - begin), 4ull * p.n)};
        actc_codec_launch(list, ACTC_KERNEL_codec_random, ceil_div(p.n, ACTC_GROUP_ELEMENTS), &p, sizeof p, views);
    }
}

static void dequantise(actc_codec_list *list, uint64_t begin, uint64_t end)
{
    const actc_codec_plan *plan = list->layout.plan;
    uint32_t bits = (uint32_t)plan->spec.bits, in_word = 32 / bits;
    for (uint64_t at = begin, next; at < end; at = next) {
        uint64_t first = at / ACTC_GROUP_ELEMENTS * ACTC_GROUP_ELEMENTS;
        next = MIN(first + list->layout.chunk, end);
        uint64_t group = first / ACTC_CODEC_TILE, group_end = ceil_div(next, ACTC_CODEC_TILE), x_byte = 4 * (at - begin);
        struct actc_params_codec_dequant p = {.first = (uint32_t)first, .begin = (uint32_t)at, .end = (uint32_t)next,
                                              .bits = bits, .minmax = !plan->spec.symmetric};
        p.x_first = actc_codec_view_first(x_byte, (uint32_t)at, 4);
        actc_view views[] = {
            section(list, plan->code_offset, first / in_word, ceil_div(next, in_word), 4, &p.code_first),
            plan->spec.symmetric ? (actc_view){ACTC_NO_BUFFER, 0, 0}
                                 : section(list, plan->base_offset, group, group_end, 4, &p.offset_first),
            section(list, plan->scale_offset, group, group_end, 1, &p.scale_first),
            actc_codec_range(list->command, ACTC_UNPACK_X, x_byte, 4 * (next - at))};
        actc_codec_launch(list, ACTC_KERNEL_codec_dequant, ceil_div(next - first, ACTC_GROUP_ELEMENTS), &p, sizeof p, views);
    }
}

void actc_codec_unpack_passes(actc_codec_list *list)
{
    const actc_codec_layout *l = &list->layout;
    const actc_codec_plan *plan = l->plan;
    const actc_codec_work_desc *work = &list->command->u.codec;
    uint64_t first = work->first, last = first + work->count;
    uint64_t sample = plan->n / plan->samples, begin = first * sample, end = last * sample;
    actc_view x = list->command->views[ACTC_UNPACK_X];
    x.bytes = 4 * (end - begin);
    if (plan->spec.kind == ACTC_CODEC_NONE) {
        actc_view from = list->command->views[ACTC_UNPACK_PAYLOAD];
        from.offset += 4 * begin;
        from.bytes = x.bytes;
        actc_codec_copy(list, from, x);
    } else if (plan->spec.kind == ACTC_CODEC_RANDOM) {
        random_numbers(list, begin, end);
    } else if (plan->spec.kind == ACTC_CODEC_QUANT) {
        dequantise(list, begin, end);
    } else if (!l->selects) {
        actc_codec_fill(list, x);
    } else if (l->transform == ACTC_TRANSFORM_NONE) {
        threshold(list, begin, end);
    } else if (l->transform == ACTC_TRANSFORM_DWT) {
        dwt(list, first, last);
    } else {
        dct(list, first, last);
    }
}
