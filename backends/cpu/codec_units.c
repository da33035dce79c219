/* codec_units.c: how the fused codecs cut a tensor into units, parts and spans (fused/fused.h). */
#include "fused/fused.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Coefficients of a unit, about: 64 KiB, which with a transform's own 32 stays in a second-level cache, and which make
 * the overhead of a unit small. */
#define UNIT_COEFFICIENTS 16384u

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return a / b + (a % b != 0);
}

static codec_transform transform_of(const actc_codec_plan *plan)
{
    if (plan->spec.kind == ACTC_CODEC_DCT)
        return plan->spec.block ? CODEC_BLOCKS : CODEC_ROWS;
    return plan->spec.kind == ACTC_CODEC_WAVELET && plan->levels ? CODEC_WAVELET : CODEC_IDENTITY;
}

/* Rows of a sample. */
static uint32_t rows_of(const codec_units *u)
{
    const actc_codec_plan *plan = u->plan;
    return u->transform == CODEC_BLOCKS ? actc_codec_blocks(plan->height, (uint32_t)plan->spec.block)
           : u->transform == CODEC_ROWS ? plan->height
                                        : 1;
}

static uint32_t blocks_of(const codec_units *u)
{
    return u->transform == CODEC_BLOCKS ? actc_codec_blocks(u->plan->width, (uint32_t)u->plan->spec.block) : 1;
}

/* First coefficient of a row, which may be the one behind the last. */
static uint64_t row_begin(const codec_units *u, uint64_t row)
{
    const actc_codec_plan *plan = u->plan;
    uint64_t rows = rows_of(u), line = (uint64_t)plan->width * plan->channels;
    uint64_t h = row % rows * (u->transform == CODEC_BLOCKS ? (uint32_t)plan->spec.block : 1);
    return (row / rows * plan->height + h) * line;
}

/* Floats of what a wavelet's passes keep of one sample. */
static uint64_t wavelet_scratch(const actc_codec_plan *plan)
{
    uint32_t finest = plan->bands - 1, taps = (uint32_t)plan->taps;
    uint64_t c = plan->channels, oh = plan->band_height[finest], ow = plan->band_width[finest];
    uint64_t apart = (2 * ow + taps + 8) * c, ring = 2 * (taps + 2) * ow * c;
    return 2 * oh * ow * c + apart + ring + (plan->width + taps + 8) * c + oh + 256;
}

void actc_codec_units_init(codec_units *u, const actc_codec_plan *plan, uint64_t first, uint64_t last)
{
    *u = (codec_units){.plan = plan, .transform = transform_of(plan)};
    if (plan->constants)
        u->tables = (const float *)(const void *)((const uint32_t *)plan->constants + ACTC_CODEC_TABLES);
    uint32_t c = plan->channels, w = plan->width, per_sample = rows_of(u);
    uint64_t all_rows = (uint64_t)plan->samples * per_sample, all_units = 0;
    u->first = first * per_sample;
    u->last = last * per_sample;
    u->unit_rows = u->unit_parts = u->row_units = u->chunks = 1;
    u->unit_blocks = blocks_of(u);
    u->unit_channels = c;
    if (u->transform == CODEC_IDENTITY) {
        uint64_t sample = plan->n / plan->samples;
        u->first = first * sample;
        u->last = last * sample;
        u->unit_rows = UNIT_COEFFICIENTS;
        all_rows = plan->n;
        u->most = MIN(plan->n, UNIT_COEFFICIENTS);
    } else if (u->transform == CODEC_WAVELET) {
        uint64_t sample = plan->m / plan->samples;
        u->unit_rows = MAX(1u, (uint32_t)MIN(plan->samples, UNIT_COEFFICIENTS / sample));
        u->unit_parts = plan->bands;
        u->most = u->unit_rows * sample;
        u->scratch_floats = wavelet_scratch(plan);
    } else {
        uint32_t block = (uint32_t)plan->spec.block, lh = block ? MIN(block, plan->height) : 1;
        uint32_t area = lh * (block ? MIN(block, w) : w);
        uint64_t row = (uint64_t)lh * w * c;
        u->scratch_floats = block ? 0 : (uint64_t)CODEC_ROW_LANES * w;
        if (row <= UNIT_COEFFICIENTS) {
            u->unit_rows = (uint32_t)MIN(all_rows, UNIT_COEFFICIENTS / row);
            u->most = u->unit_rows * row;
        } else {
            uint32_t instances = MAX(UNIT_COEFFICIENTS / area, 1u);
            instances = instances > 16 ? instances & ~15u : instances;
            u->unit_blocks = MAX(1u, instances / c);
            u->unit_channels = MIN(c, instances);
            u->chunks = ceil_div(c, u->unit_channels);
            u->row_units = ceil_div(blocks_of(u), u->unit_blocks) * u->chunks;
            u->most = (uint64_t)u->unit_blocks * u->unit_channels * area;
        }
    }
    u->units = (uint32_t)((u->last - u->first + u->unit_rows - 1) / u->unit_rows) * u->row_units;
    all_units = (all_rows + u->unit_rows - 1) / u->unit_rows * u->row_units;
    u->parts = (uint32_t)all_units * u->unit_parts;
    u->spans = u->parts + plan->segments;
}

codec_unit actc_codec_unit_at(const codec_units *u, uint32_t unit)
{
    const actc_codec_plan *plan = u->plan;
    uint64_t row = u->first + (uint64_t)(unit / u->row_units) * u->unit_rows;
    uint32_t at = unit % u->row_units, block = at / u->chunks * u->unit_blocks, blocks = blocks_of(u);
    codec_unit r = {.row = (uint32_t)row, .rows = (uint32_t)MIN(u->unit_rows, u->last - row), .block = block,
                    .blocks = MIN(u->unit_blocks, blocks - block), .c0 = at % u->chunks * u->unit_channels};
    r.c1 = MIN(r.c0 + u->unit_channels, plan->channels);
    if (u->transform == CODEC_IDENTITY) {
        r.begin = row;
        r.end = row + r.rows;
    } else if (u->row_units == 1) {
        r.begin = row_begin(u, row);
        r.end = row_begin(u, row + r.rows);
    } else {
        uint64_t begin = row_begin(u, row), lh = (row_begin(u, row + 1) - begin) / ((uint64_t)plan->width * plan->channels);
        uint64_t length = u->transform == CODEC_BLOCKS ? (uint32_t)plan->spec.block : plan->width, w = block * length;
        uint64_t lw = MIN(r.blocks * length, plan->width - w);
        r.begin = begin + w * lh * plan->channels + r.c0 * lh * lw; /* c0 is 0 with several blocks */
        r.end = r.begin + lh * lw * (r.c1 - r.c0);
    }
    return r;
}

codec_part actc_codec_part_at(const codec_units *u, uint32_t p)
{
    const actc_codec_plan *plan = u->plan;
    codec_part part = {.number = p};
    if (u->transform != CODEC_WAVELET) {
        codec_unit unit = actc_codec_unit_at(u, p);
        part.begin = unit.begin;
        part.end = unit.end;
        return part;
    }
    uint32_t groups = u->parts / u->unit_parts, band = p / groups;
    uint64_t each = (uint64_t)plan->band_height[band] * plan->band_width[band] * plan->channels;
    uint64_t first = (uint64_t)(p % groups) * u->unit_rows, last = MIN(first + u->unit_rows, plan->samples);
    part.begin = plan->band_begin[band] + first * each;
    part.end = plan->band_begin[band] + last * each;
    part.region = plan->spec.select == ACTC_SELECT_BAND ? (band + 2) / 3 : 0;
    return part;
}
