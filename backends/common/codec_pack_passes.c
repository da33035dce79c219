/* codec_pack_passes.c: the list of a pack command: transform, radix selection of the k-th key of every region, counts
 * a tile, their sums, and the payload's index and values; or, with select=tile and select=random, one pass that does it
 * tile by tile.
 */
#include "codec_passes_internal.h"

#include "../../src/exact/codec.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

/* Coefficients [begin, end), and the number of the view's first. */
static actc_view coefficients(const actc_codec_list *list, uint64_t begin, uint64_t end, uint32_t *first)
{
    bool own = list->layout.transform != ACTC_TRANSFORM_NONE;
    uint64_t offset = 4 * begin + (own ? list->layout.y : 0);
    *first = actc_codec_view_first(offset, (uint32_t)begin, 4);
    return actc_codec_range(list->command, own ? ACTC_WORKSPACE_VIEW : ACTC_PACK_X, offset, 4 * (end - begin));
}

static actc_view constants(const actc_codec_list *list)
{
    return actc_codec_range(list->command, ACTC_CODEC_CONSTANTS_VIEW, 0, list->layout.plan->constants_bytes);
}

static actc_view scratch(const actc_codec_list *list, uint64_t offset, uint64_t words)
{
    return actc_codec_range(list->command, ACTC_WORKSPACE_VIEW, offset, 4 * words);
}

/* ---- transforms ---- */

static void dct(actc_codec_list *list)
{
    const actc_codec_layout *l = &list->layout;
    const actc_codec_plan *plan = l->plan;
    bool whole_rows = l->transform == ACTC_TRANSFORM_DCT_ROW;
    uint32_t block = (uint32_t)plan->spec.block;
    uint64_t rows = (uint64_t)plan->samples * (whole_rows ? plan->height : actc_codec_blocks(plan->height, block));
    for (uint64_t row = 0; row < rows; row += l->rows) {
        uint64_t next = MIN(row + l->rows, rows), begin = actc_codec_element_begin(plan, row),
                 end = actc_codec_element_begin(plan, next);
        uint32_t x_first = actc_codec_view_first(4 * begin, (uint32_t)begin, 4), y_first;
        actc_view views[] = {actc_codec_range(list->command, ACTC_PACK_X, 4 * begin, 4 * (end - begin)), constants(list),
                             coefficients(list, begin, end, &y_first)};
        if (whole_rows) {
            struct actc_params_codec_dct_row p = {.n = (uint32_t)(end - begin), .out_begin = (uint32_t)begin,
                                                  .width = plan->width, .channels = plan->channels,
                                                  .in_first = x_first, .out_first = y_first};
            actc_codec_launch(list, ACTC_KERNEL_codec_dct_row, ceil_div(p.n, ACTC_GROUP_SIZE), &p, sizeof p, views);
        } else {
            struct actc_params_codec_dct p = {.first_row = (uint32_t)row, .block = block, .height = plan->height,
                                              .width = plan->width, .channels = plan->channels, .x_first = x_first,
                                              .y_first = y_first};
            p.row_groups = (uint32_t)ceil_div((uint64_t)actc_codec_blocks(plan->width, block) * plan->channels,
                                              ACTC_GROUP_SIZE / block);
            actc_codec_launch(list, ACTC_KERNEL_codec_dct, (next - row) * p.row_groups, &p, sizeof p, views);
        }
    }
}

/* One axis of one level: in, low, high are views with words to skip. */
typedef struct placed {
    actc_view view;
    uint32_t at;
} placed;

static placed place(const actc_codec_list *list, uint32_t view, uint64_t offset, uint64_t words)
{
    return (placed){actc_codec_range(list->command, view, offset, 4 * words), (uint32_t)(offset % ACTC_VIEW_ALIGNMENT / 4)};
}

static void dwt_axis(actc_codec_list *list, placed in, placed low, placed high, uint64_t outer, uint32_t length,
                     uint32_t out_length, uint64_t inner)
{
    const actc_codec_plan *plan = list->layout.plan;
    struct actc_params_codec_dwt p = {.outer = (uint32_t)outer, .size = length, .inner = (uint32_t)inner,
                                      .out_size = out_length, .taps = (uint32_t)plan->taps,
                                      .symmetric = plan->spec.symmetric, .table = ACTC_CODEC_TABLES, .in_at = in.at,
                                      .low_at = low.at, .high_at = high.at};
    actc_view views[] = {in.view, constants(list), low.view, high.view};
    actc_codec_launch(list, ACTC_KERNEL_codec_dwt, ceil_div(outer * out_length * inner, ACTC_GROUP_SIZE), &p, sizeof p,
                      views);
}

/* Samples [begin, end) of a band of the coefficients. */
static placed band(const actc_codec_list *list, uint32_t b, uint64_t begin, uint64_t end)
{
    const actc_codec_plan *plan = list->layout.plan;
    uint64_t each = (uint64_t)plan->band_height[b] * plan->band_width[b] * plan->channels;
    return place(list, ACTC_WORKSPACE_VIEW, list->layout.y + 4 * (plan->band_begin[b] + begin * each),
                 (end - begin) * each);
}

static void dwt(actc_codec_list *list)
{
    const actc_codec_layout *l = &list->layout;
    const actc_codec_plan *plan = l->plan;
    uint64_t c = plan->channels;
    for (uint64_t begin = 0; begin < plan->samples; begin += l->samples) {
        uint64_t end = MIN(begin + l->samples, plan->samples), count = end - begin;
        uint32_t h = plan->height, w = plan->width;
        for (int level = 1; level <= plan->levels; level++) {
            uint32_t b = plan->bands - 3 * (uint32_t)level; /* LH of this level; HL and HH follow */
            uint32_t oh = plan->band_height[b], ow = plan->band_width[b];
            uint64_t n = count * h * w * c, half = count * h * ow * c, quarter = count * oh * ow * c;
            placed in = level == 1 ? place(list, ACTC_PACK_X, 4 * begin * h * w * c, n)
                                   : place(list, ACTC_WORKSPACE_VIEW, l->approximation, n);
            placed low = place(list, ACTC_WORKSPACE_VIEW, l->low, half);
            placed high = place(list, ACTC_WORKSPACE_VIEW, l->high, half);
            placed coarse = level == plan->levels ? band(list, 0, begin, end)
                                                  : place(list, ACTC_WORKSPACE_VIEW, l->approximation, quarter);
            dwt_axis(list, in, low, high, count * h, w, ow, c);
            dwt_axis(list, low, coarse, band(list, b, begin, end), count, h, oh, ow * c);
            dwt_axis(list, high, band(list, b + 1, begin, end), band(list, b + 2, begin, end), count, h, oh, ow * c);
            h = oh;
            w = ow;
        }
    }
}

/* ---- selection ---- */

static void select_keys(actc_codec_list *list)
{
    const actc_codec_layout *l = &list->layout;
    const actc_codec_plan *plan = l->plan;
    actc_view state = scratch(list, l->state, ACTC_CODEC_STATE_WORDS * plan->regions);
    actc_view histogram = scratch(list, l->histogram, ACTC_CODEC_BINS);
    for (uint32_t r = 0; r < plan->regions; r++)
        for (uint32_t pass = 0; pass < 3; pass++) {
            uint64_t last = plan->region_begin[r + 1];
            for (uint64_t begin = plan->region_begin[r]; begin < last; begin += l->chunk) {
                uint64_t end = MIN(begin + l->chunk, last);
                struct actc_params_codec_hist p = {.pass = pass, .region = r, .begin = (uint32_t)begin,
                                                   .end = (uint32_t)end};
                actc_view views[] = {coefficients(list, begin, end, &p.y_first), state, histogram};
                actc_codec_launch(list, ACTC_KERNEL_codec_hist, ceil_div(end - begin, ACTC_CODEC_HIST_COEFFICIENTS), &p,
                                  sizeof p, views);
            }
            struct actc_params_codec_select p = {.pass = pass, .region = r};
            actc_view views[] = {constants(list), state, histogram};
            actc_codec_launch(list, ACTC_KERNEL_codec_select, 1, &p, sizeof p, views);
        }
}

/* The number of pieces that begin before a coefficient, which begins a tile: where the pieces of a chunk begin, empty
 * ones between two regions included. */
static uint32_t pieces_before(const actc_codec_plan *plan, uint64_t coefficient)
{
    uint32_t r = 0;
    if (coefficient == 0)
        return 0;
    while (r + 1 < plan->regions && coefficient - 1 >= plan->region_begin[r + 1])
        r++;
    return (uint32_t)((coefficient - 1) / ACTC_CODEC_TILE) + r + 1;
}

static void count(actc_codec_list *list)
{
    const actc_codec_layout *l = &list->layout;
    const actc_codec_plan *plan = l->plan;
    for (uint64_t begin = 0; begin < plan->m; begin += l->chunk) {
        uint64_t end = MIN(begin + l->chunk, plan->m);
        struct actc_params_codec_count p = {.first_piece = pieces_before(plan, begin), .regions = plan->regions};
        actc_view views[] = {coefficients(list, begin, end, &p.y_first), constants(list),
                             scratch(list, l->state, ACTC_CODEC_STATE_WORDS * plan->regions),
                             scratch(list, l->counts, 2ull * l->pieces), scratch(list, l->sums, 2ull * plan->segments)};
        actc_codec_launch(list, ACTC_KERNEL_codec_count, pieces_before(plan, end) - p.first_piece, &p, sizeof p, views);
    }
    struct actc_params_codec_scan p = {.segments = plan->segments};
    actc_view sums = scratch(list, l->sums, 2ull * plan->segments);
    actc_codec_launch(list, ACTC_KERNEL_codec_scan, 1, &p, sizeof p, &sums);
}

/* ---- the payload ---- */

/* Window i of what is too long for one view. */
static actc_view window(const actc_codec_list *list, uint32_t view, uint64_t offset, uint64_t bytes, uint64_t i,
                        uint32_t *first, uint32_t *words)
{
    uint64_t begin = MIN(i * list->layout.max_view, bytes), end = MIN(begin + list->layout.max_view, bytes);
    *first = (uint32_t)(begin / 4);
    *words = (uint32_t)ceil_div(end - begin, 4);
    return *words ? actc_codec_range(list->command, view, offset + begin, end - begin) : (actc_view){ACTC_NO_BUFFER, 0, 0};
}

/* Sections that are absent have offsets that fit too: the payload is below 4 GiB. */
static void write(actc_codec_list *list)
{
    const actc_codec_layout *l = &list->layout;
    const actc_codec_plan *plan = l->plan;
    uint64_t value_bytes = l->to_values ? 4 * plan->k : 0;
    uint64_t windows = ceil_div(plan->payload_bytes > value_bytes ? plan->payload_bytes : value_bytes, l->max_view);
    for (uint64_t begin = 0; begin < plan->m; begin += l->chunk) {
        uint64_t end = MIN(begin + l->chunk, plan->m);
        for (uint64_t i = 0; i < windows; i++) {
            uint32_t y_first, payload_first, payload_words, values_first, values_words;
            actc_view y = coefficients(list, begin, end, &y_first);
            actc_view payload =
                window(list, ACTC_PACK_PAYLOAD, 0, plan->payload_bytes, i, &payload_first, &payload_words);
            actc_view values =
                window(list, ACTC_WORKSPACE_VIEW, l->values, value_bytes, i, &values_first, &values_words);
            uint32_t mask_word = (uint32_t)(plan->mask_offset / 4), values_word = (uint32_t)(plan->values_offset / 4);
            if (plan->spec.select == ACTC_SELECT_RANDOM) {
                struct actc_params_codec_sample p = {
                    .first_tile = (uint32_t)(begin / ACTC_CODEC_TILE), .m = (uint32_t)plan->m, .k = (uint32_t)plan->k,
                    .y_first = y_first, .index = plan->index, .to_values = l->to_values, .mask_word = mask_word,
                    .values_word = values_word, .index_byte = (uint32_t)plan->index_offset,
                    .payload_first = payload_first, .payload_words = payload_words, .values_first = values_first,
                    .values_words = values_words, .tensor = list->command->u.codec.tensor};
                actc_view views[] = {y, actc_codec_range(list->command, ACTC_CODEC_STEP_VIEW, 0, ACTC_STEP_BLOCK_BYTES),
                                     payload, values};
                actc_codec_launch(list, ACTC_KERNEL_codec_sample, ceil_div(end - begin, ACTC_CODEC_TILE), &p, sizeof p,
                                  views);
                continue;
            }
            if (!plan->tables) {
                struct actc_params_codec_tile p = {
                    .first_tile = (uint32_t)(begin / ACTC_CODEC_TILE), .m = (uint32_t)plan->m, .k = (uint32_t)plan->k,
                    .y_first = y_first, .index = plan->index, .to_values = l->to_values, .mask_word = mask_word,
                    .values_word = values_word, .index_byte = (uint32_t)plan->index_offset,
                    .payload_first = payload_first, .payload_words = payload_words, .values_first = values_first,
                    .values_words = values_words};
                actc_view views[] = {y, payload, values};
                actc_codec_launch(list, ACTC_KERNEL_codec_tile, ceil_div(end - begin, ACTC_CODEC_TILE), &p, sizeof p,
                                  views);
                continue;
            }
            struct actc_params_codec_write p = {
                .first_piece = pieces_before(plan, begin), .regions = plan->regions, .y_first = y_first, .index = plan->index,
                .to_values = l->to_values, .segment_word = (uint32_t)(plan->segment_offset / 4), .mask_word = mask_word,
                .values_word = values_word, .tile_byte = (uint32_t)plan->tile_offset,
                .index_byte = (uint32_t)plan->index_offset, .payload_first = payload_first,
                .payload_words = payload_words, .values_first = values_first, .values_words = values_words};
            actc_view views[] = {y, constants(list), scratch(list, l->state, ACTC_CODEC_STATE_WORDS * plan->regions),
                                 scratch(list, l->counts, 2ull * l->pieces), scratch(list, l->sums, 2ull * plan->segments),
                                 payload, values};
            actc_codec_launch(list, ACTC_KERNEL_codec_write, pieces_before(plan, end) - p.first_piece, &p, sizeof p,
                              views);
        }
    }
}

static void encode(actc_codec_list *list)
{
    static const uint32_t forms[] = {ACTC_CODEC_F32, ACTC_CODEC_F16, ACTC_CODEC_BF16, ACTC_CODEC_INT8,
                                     ACTC_CODEC_INT4};
    const actc_codec_layout *l = &list->layout;
    const actc_codec_plan *plan = l->plan;
    for (uint64_t slot = 0; slot < plan->k; slot += l->chunk)
        for (uint64_t i = 0; i * l->max_view < plan->payload_bytes; i++) {
            uint64_t end = MIN(slot + l->chunk, plan->k);
            struct actc_params_codec_values p = {
                .first_slot = (uint32_t)slot, .k = (uint32_t)end, .form = forms[plan->spec.values],
                .values_byte = (uint32_t)plan->values_offset, .scale_byte = (uint32_t)plan->scale_offset,
                .tensor = list->command->u.codec.tensor};
            uint64_t offset = l->values + 4 * slot;
            p.values_first = actc_codec_view_first(offset, (uint32_t)slot, 4);
            actc_view views[] = {scratch(list, offset, end - slot),
                                 actc_codec_range(list->command, ACTC_CODEC_STEP_VIEW, 0, ACTC_STEP_BLOCK_BYTES),
                                 window(list, ACTC_PACK_PAYLOAD, 0, plan->payload_bytes, i, &p.payload_first,
                                        &p.payload_words)};
            actc_codec_launch(list, ACTC_KERNEL_codec_values, ceil_div(end - slot, 256), &p, sizeof p, views);
        }
}

/* ---- quant ---- */

static void quantise(actc_codec_list *list)
{
    const actc_codec_plan *plan = list->layout.plan;
    uint32_t bits = (uint32_t)plan->spec.bits, in_word = 32 / bits;
    for (uint64_t begin = 0; begin < plan->n; begin += list->layout.chunk) {
        uint64_t end = MIN(begin + list->layout.chunk, plan->n), group = begin / ACTC_CODEC_TILE;
        uint64_t groups = ceil_div(end, ACTC_CODEC_TILE) - group, word = begin / in_word;
        uint64_t code = plan->code_offset + 4 * word, base = plan->base_offset + 4 * group;
        struct actc_params_codec_quant p = {.first = (uint32_t)begin, .end = (uint32_t)end, .bits = bits,
                                            .minmax = !plan->spec.symmetric, .tensor = list->command->u.codec.tensor};
        p.x_first = actc_codec_view_first(4 * begin, (uint32_t)begin, 4);
        p.code_first = actc_codec_view_first(code, (uint32_t)word, 4);
        p.offset_first = actc_codec_view_first(base, (uint32_t)group, 4);
        p.scale_first = actc_codec_view_first(plan->scale_offset + group, (uint32_t)group, 1);
        actc_view views[] = {
            actc_codec_range(list->command, ACTC_PACK_X, 4 * begin, 4 * (end - begin)),
            actc_codec_range(list->command, ACTC_CODEC_STEP_VIEW, 0, ACTC_STEP_BLOCK_BYTES),
            actc_codec_range(list->command, ACTC_PACK_PAYLOAD, code, 4 * ceil_div(end - begin, in_word)),
            plan->spec.symmetric ? (actc_view){ACTC_NO_BUFFER, 0, 0}
                                 : actc_codec_range(list->command, ACTC_PACK_PAYLOAD, base, 4 * groups),
            actc_codec_range(list->command, ACTC_PACK_PAYLOAD, plan->scale_offset + group, groups)};
        actc_codec_launch(list, ACTC_KERNEL_codec_quant, ceil_div(end - begin, ACTC_GROUP_ELEMENTS), &p, sizeof p, views);
    }
}

void actc_codec_pack_passes(actc_codec_list *list)
{
    const actc_codec_layout *l = &list->layout;
    const actc_codec_plan *plan = l->plan;
    if (plan->spec.kind == ACTC_CODEC_NONE) {
        actc_codec_copy(list, list->command->views[ACTC_PACK_X], list->command->views[ACTC_PACK_PAYLOAD]);
        return;
    }
    if (plan->spec.kind == ACTC_CODEC_QUANT)
        quantise(list);
    if (!l->selects)
        return;
    actc_view payload = list->command->views[ACTC_PACK_PAYLOAD];
    payload.bytes = (plan->payload_bytes + 3) & ~3ull;
    actc_codec_fill(list, payload); /* bytes are combined into it, and what is not used stays zero */
    actc_codec_fill(list, scratch(list, 0, l->zeroed / 4));
    if (l->to_values)
        actc_codec_fill(list, scratch(list, l->values, plan->k));
    if (l->transform == ACTC_TRANSFORM_DWT)
        dwt(list);
    else if (l->transform != ACTC_TRANSFORM_NONE)
        dct(list);
    if (plan->tables) {
        select_keys(list);
        count(list);
    }
    write(list);
    if (l->to_values)
        encode(list);
}
