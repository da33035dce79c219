/* fuzz_spec.c: codec specs: the canonical form means the same, and plans for many shapes keep their sections apart.
 *
 * Input: two bytes choose a shape, the rest is the spec. Schedules, the other specs of the tools, get the same text. */
#include "fuzz.h"

#include "codec/codec_plan.h"
#include "util/util.h"

static const actc_shape shapes[] = {
    {0, {0}}, {1, {1}}, {1, {257}}, {1, {4097}}, {1, {70000}}, {2, {1, 1}}, {2, {23, 29}}, {2, {3, 5000}}, {3, {2, 5, 7}},
    {4, {2, 3, 4, 4}}, {4, {1, 16, 33, 17}}, {4, {3, 130, 2, 3}}, {5, {2, 3, 2, 5, 6}}, {5, {1, 1, 1, 1, 1}},
    /* refused, or nearly */
    {1, {0}}, {2, {-1, 3}}, {6, {1, 1, 1, 1, 1}}, {-1, {1}}, {1, {2147483647}}, {1, {2147483648}}, {4, {1, 1, 46340, 46340}},
    {5, {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX}}, {2, {INT64_MIN, INT64_MIN}}, {3, {1, 1, 65536}},
};

static void check_section(const actc_codec_plan *plan, uint64_t offset, uint64_t bytes)
{
    FUZZ_CHECK(offset <= plan->payload_bytes && bytes <= plan->payload_bytes - offset);
}

static void check_plan(const actc_codec_plan *plan)
{
    FUZZ_CHECK(plan->k <= plan->m && plan->smaller == (plan->payload_bytes < 4 * plan->n));
    if (plan->spec.kind == ACTC_CODEC_QUANT) {
        check_section(plan, plan->code_offset, (plan->n * (uint32_t)plan->spec.bits + 7) / 8);
        check_section(plan, plan->base_offset, plan->spec.symmetric ? 0 : 4ull * plan->tiles);
        check_section(plan, plan->scale_offset, plan->tiles);
        FUZZ_CHECK(plan->base_offset % 4 == 0 && plan->scale_offset % 4 == 0 && plan->k == plan->n && plan->m == plan->n);
    }
    if (plan->index == ACTC_INDEX_NONE)
        return;
    FUZZ_CHECK(plan->k > 0 && plan->m > 0 && plan->tiles == (plan->m + 255) / 256);
    FUZZ_CHECK(plan->levels <= ACTC_CODEC_MAX_LEVELS && plan->regions <= ACTC_CODEC_MAX_REGIONS);
    check_section(plan, plan->values_offset, actc_codec_value_bytes(plan, plan->k));
    FUZZ_CHECK(plan->values_offset * 8 % plan->value_bits == 0);
    if (plan->tables)
        check_section(plan, plan->segment_offset, 4ull * plan->segments);
    if (plan->tables && plan->index != ACTC_INDEX_U16)
        check_section(plan, plan->tile_offset, 2ull * (plan->tiles - plan->segments));
    if (plan->index == ACTC_INDEX_MASK)
        check_section(plan, plan->mask_offset, (plan->m + 31) / 32 * 4);
    else
        check_section(plan, plan->index_offset, plan->k * (plan->index == ACTC_INDEX_U16 ? 2 : 1));
    if (actc_codec_scaled(plan))
        check_section(plan, plan->scale_offset, (plan->k + 255) / 256);
    uint64_t kept = 0;
    for (uint32_t r = 0; plan->tables && r < plan->regions; r++) {
        FUZZ_CHECK(plan->region_begin[r] <= plan->region_begin[r + 1]);
        FUZZ_CHECK(plan->region_k[r] <= plan->region_begin[r + 1] - plan->region_begin[r]);
        kept += plan->region_k[r];
    }
    FUZZ_CHECK(!plan->tables || (kept == plan->k && plan->region_begin[plan->regions] == plan->m));
}

static void check_spec(actc_context *context, const char *text, const actc_shape *shape)
{
    actc_codec_spec spec, again;
    actc_status status = actc_codec_spec_parse(context, text, &spec);
    fuzz_answered(status);
    if (status != ACTC_OK)
        return;
    char *canonical = actc_codec_spec_format(&spec);
    FUZZ_CHECK(canonical && actc_codec_spec_parse(context, canonical, &again) == ACTC_OK);
    char *twice = actc_codec_spec_format(&again);
    FUZZ_CHECK(twice && strcmp(canonical, twice) == 0);
    FUZZ_CHECK(spec.bits == again.bits && spec.symmetric == again.symmetric);
    FUZZ_CHECK(spec.by_ratio == again.by_ratio && spec.kind == again.kind);
    FUZZ_CHECK(spec.by_ratio ? spec.ratio == again.ratio : !actc_codec_selects(spec.kind) || spec.lambda == again.lambda);
    actc_free(twice);
    actc_free(canonical);

    actc_codec_plan *plan;
    status = actc_codec_plan_create(context, &spec, shape, &plan);
    fuzz_answered(status);
    if (status == ACTC_OK)
        check_plan(plan);
    actc_codec_plan_destroy(&plan);
}

static void check_schedule(actc_context *context, const char *text)
{
    actc_schedule schedule = {.size = sizeof schedule};
    actc_status status = actc_schedule_parse(context, text, 0.1, 7, &schedule);
    fuzz_answered(status);
    for (uint64_t epoch = 0; status == ACTC_OK && epoch < 12; epoch++) {
        double rate = actc_schedule_rate(&schedule, epoch);
        FUZZ_CHECK(rate >= 0 && rate <= 0.1);
        actc_schedule_observe(&schedule, epoch % 3 ? 1.0 : 0.5);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_reader r = {data, size};
    const actc_shape *shape = &shapes[fuzz_byte(&r) % (sizeof shapes / sizeof *shapes)];
    char *text = fuzz_text(r.data, r.left);
    check_spec(fuzz_context(), text, shape);
    check_schedule(fuzz_context(), text);
    free(text);
    return 0;
}
