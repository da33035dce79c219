/* dct_blocks.c: forward and inverse 2-D dct of blocks, a block and channel in each lane.
 *
 * Where neighbouring lanes are neighbouring channels, rows are loaded as they lie; elsewhere instances of equal size are
 * collected until the lanes are full. Coefficients leave through a transpose, so that each instance's lie together.
 */
#include "simd.h"

#define CODEC_DCT_T codec_vf
#include "../kernels/codec_dct_block.h"
#include "fused.h"

/* Instances of one size that share the lanes. */
typedef struct group {
    uint32_t lh, lw, count;
    uint64_t element[CODEC_LANES]; /* of row 0, column 0 */
    float *y[CODEC_LANES];         /* forward */
    uint32_t first[CODEC_LANES], last[CODEC_LANES], begin[CODEC_LANES]; /* inverse: kept ones, place of coefficient 0 */
} group;

typedef struct work {
    const actc_codec_plan *plan;
    const float *tables;
    const float *from;
    float *to;
    const uint32_t *places, *bits; /* inverse */
    uint64_t line, column;         /* elements from row to row, from column to column */
    uint64_t ahead;                /* elements to what is loaded next: lines lie too far apart for processors to see it */
} work;

/* ---- 1-D, in place, 16 with constant bounds ---- */

CODEC_INLINE void forward_line(codec_vf *v, uint32_t length, const float *matrix)
{
    switch (length) {
    case 4: codec_dct_any(v, 4, matrix); break;
    case 10: codec_dct_any(v, 10, matrix); break;
    case 12: codec_dct_any(v, 12, matrix); break;
    default: codec_dct_1d(v, length, matrix); break;
    }
}

CODEC_INLINE void inverse_line(codec_vf *v, uint32_t length, const float *matrix)
{
    switch (length) {
    case 4: codec_idct_any(v, 4, matrix); break;
    case 10: codec_idct_any(v, 10, matrix); break;
    case 12: codec_idct_any(v, 12, matrix); break;
    default: codec_idct_1d(v, length, matrix); break;
    }
}

/* ---- forward ---- */

/* Along the height: b[u][w] from the columns; from b itself where they have been gathered there. */
static void forward_columns(const work *k, const group *g, bool gathered, codec_vf b[16][16])
{
    const float *x = k->from + g->element[0];
    if (g->lh == 16 && !gathered && g->count == CODEC_LANES) {
        for (uint32_t w = 0; w < g->lw; w++) {
            codec_vf v[16];
            if (k->ahead)
                for (uint32_t h = 0; h < 16; h++)
                    __builtin_prefetch((const char *)x + (h * k->line + w * k->column + k->ahead) * sizeof(float));
            for (int h = 0; h < 16; h++)
                v[h] = codec_flush(codec_load(x + (uint64_t)h * k->line + w * k->column));
            ACTC_DCT16(codec_vf, v)
            for (int u = 0; u < 16; u++)
                b[u][w] = codec_flush(v[u]);
        }
        return;
    }
    for (uint32_t w = 0; w < g->lw; w++) {
        codec_vf v[16];
        for (uint32_t h = 0; h < g->lh; h++) {
            const float *at = x + h * k->line + w * k->column;
            v[h] = gathered                  ? b[h][w]
                   : g->count == CODEC_LANES ? codec_flush(codec_load(at))
                                             : codec_flush(codec_load_part(at, g->count));
        }
        forward_line(v, g->lh, k->tables);
        for (uint32_t u = 0; u < g->lh; u++)
            b[u][w] = codec_flush(v[u]);
    }
}

/* Along the width, and each lane's coefficients to where they belong. */
static void forward_rows(const work *k, const group *g, codec_vf b[16][16])
{
    if (g->lw == 16) {
        for (uint32_t u = 0; u < g->lh; u++) {
            codec_vf v[16];
            for (int w = 0; w < 16; w++)
                v[w] = b[u][w];
            ACTC_DCT16(codec_vf, v)
            for (int w = 0; w < 16; w++)
                v[w] = codec_canon(v[w]);
            for (int j = 0; j < 16; j += CODEC_LANES) {
                codec_transpose(v + j);
                for (uint32_t i = 0; i < g->count; i++)
                    codec_store(g->y[i] + u * 16 + j, v[j + i]);
            }
        }
        return;
    }
    for (uint32_t u = 0; u < g->lh; u++) {
        codec_vf v[16] = {{0}};
        for (uint32_t w = 0; w < g->lw; w++)
            v[w] = b[u][w];
        forward_line(v, g->lw, k->tables + ACTC_CODEC_WIDTH_MATRIX);
        for (uint32_t w = 0; w < g->lw; w++)
            v[w] = codec_canon(v[w]);
        for (uint32_t j = 0; j < g->lw; j += CODEC_LANES) {
            codec_transpose(v + j);
            for (uint32_t i = 0; i < g->count; i++)
                codec_store_part(g->y[i] + u * g->lw + j, v[j + i], ACTC_MIN(CODEC_LANES, g->lw - j));
        }
    }
}

/* Rows of instances anywhere become lanes: b[h][w]. */
static void gather(const work *k, const group *g, codec_vf b[16][16])
{
    for (uint32_t h = 0; h < g->lh; h++) {
        if (k->column == 1) {
            for (uint32_t j = 0; j < g->lw; j += CODEC_LANES) {
                uint32_t width = ACTC_MIN(CODEC_LANES, g->lw - j);
                codec_vf v[CODEC_LANES];
                for (uint32_t i = 0; i < CODEC_LANES; i++) {
                    const float *at = k->from + g->element[i < g->count ? i : 0] + h * k->line + j;
                    v[i] = width == CODEC_LANES ? codec_load(at) : codec_load_part(at, width);
                }
                codec_transpose(v);
                for (uint32_t i = 0; i < width; i++)
                    b[h][j + i] = codec_flush(v[i]);
            }
            continue;
        }
        for (uint32_t w = 0; w < g->lw; w++) {
            float v[CODEC_LANES] = {0};
            for (uint32_t i = 0; i < g->count; i++)
                v[i] = k->from[g->element[i] + h * k->line + w * k->column];
            b[h][w] = codec_flush(codec_load(v));
        }
    }
}

static void forward_group(const work *k, const group *g, bool gathered)
{
    codec_vf b[16][16];
    if (gathered)
        gather(k, g, b);
    forward_columns(k, g, gathered, b);
    forward_rows(k, g, b);
}

/* ---- inverse ---- */

/* Kept coefficients to their lanes: b[u][v]. Returns the rows u that hold any; those that hold none are zero. */
static uint32_t scatter(const work *k, const group *g, codec_vf b[16][16])
{
    float *all = (float *)b;
    uint32_t rows = 0, area = g->lh * g->lw, inverse = 65535 / g->lw + 1; /* c * inverse >> 16 is c / lw for c < 256 */
    memset(b, 0, g->lh * sizeof b[0]);
    for (uint32_t i = 0; i < g->count; i++)
        for (uint32_t e = g->first[i]; e < g->last[i]; e++) {
            uint32_t c = k->places[e] - g->begin[i];
            if (c >= area)
                continue;
            uint32_t u = c * inverse >> 16, v = c - u * g->lw;
            rows |= 1u << u;
            all[(u * 16 + v) * CODEC_LANES + i] = actc_flush_bits(k->bits[e]);
        }
    return rows;
}

/* Rows of zeros stay as they are: their sums are zeros, whose sign canonical results do not keep. */
static void inverse_group(const work *k, const group *g, bool gathered)
{
    codec_vf b[16][16];
    uint32_t rows = scatter(k, g, b);
    for (uint32_t u = 0; u < g->lh; u++) {
        if (!(rows >> u & 1))
            continue;
        if (g->lw == 16) {
            codec_vf v[16];
            for (int w = 0; w < 16; w++)
                v[w] = b[u][w];
            ACTC_IDCT16(codec_vf, v)
            for (int w = 0; w < 16; w++)
                b[u][w] = codec_flush(v[w]);
        } else {
            inverse_line(b[u], g->lw, k->tables + ACTC_CODEC_WIDTH_MATRIX);
            for (uint32_t w = 0; w < g->lw; w++)
                b[u][w] = codec_flush(b[u][w]);
        }
    }
    float *x = k->to + g->element[0];
    for (uint32_t w = 0; w < g->lw; w++) {
        codec_vf v[16];
        if (g->lh == 16) {
            for (int u = 0; u < 16; u++)
                v[u] = b[u][w];
            ACTC_IDCT16(codec_vf, v)
        } else {
            for (uint32_t u = 0; u < g->lh; u++)
                v[u] = b[u][w];
            inverse_line(v, g->lh, k->tables);
        }
        float *at = x + w * k->column;
        if (k->ahead)
            for (uint32_t h = 0; h < g->lh; h++)
                __builtin_prefetch((char *)at + (h * k->line + k->ahead) * sizeof(float), 1);
        if (gathered) {
            for (uint32_t h = 0; h < g->lh; h++)
                b[h][w] = codec_canon(v[h]);
        } else if (g->count == CODEC_LANES) {
            for (uint32_t h = 0; h < g->lh; h++)
                codec_store(at + h * k->line, codec_canon(v[h]));
        } else {
            for (uint32_t h = 0; h < g->lh; h++)
                codec_store_part(at + h * k->line, codec_canon(v[h]), g->count);
        }
    }
    if (!gathered)
        return;
    for (uint32_t h = 0; h < g->lh; h++)
        for (uint32_t w = 0; w < g->lw; w++) {
            float v[CODEC_LANES];
            codec_store(v, b[h][w]);
            for (uint32_t i = 0; i < g->count; i++)
                k->to[g->element[i] + h * k->line + w * k->column] = v[i];
        }
}

static void zero_instances(const work *k, uint32_t lh, uint32_t lw, uint64_t element, uint32_t count)
{
    float *x = k->to + element;
    for (uint32_t h = 0; h < lh; h++)
        for (uint32_t w = 0; w < lw; w++)
            if (count == CODEC_LANES)
                codec_store(x + h * k->line + w * k->column, (codec_vf){0});
            else
                for (uint32_t i = 0; i < count; i++)
                    x[h * k->line + w * k->column + i] = 0;
}

/* ---- units ---- */

/* Groups that wait for their lanes to fill: by whether they are at the bottom and at the right. */
typedef struct waiting {
    group groups[2][2];
} waiting;

static void run_group(const work *k, group *g, bool gathered)
{
    if (g->count && k->places)
        inverse_group(k, g, gathered);
    else if (g->count)
        forward_group(k, g, gathered);
    g->count = 0;
}

/* The kept coefficients among the next `area`: entries from *entry on. */
static void take_entries(const work *k, group *g, uint32_t lane, uint32_t begin, uint32_t area, uint32_t *entry,
                         uint32_t count)
{
    g->begin[lane] = begin;
    g->first[lane] = *entry;
    while (*entry < count && k->places[*entry] - begin < area)
        ++*entry;
    g->last[lane] = *entry;
}

static void block(work *k, waiting *wait, uint32_t lh, uint32_t lw, uint32_t c0, uint32_t c1, uint64_t element,
                  uint64_t begin, uint32_t *entry, uint32_t count)
{
    uint32_t area = lh * lw, size = (uint32_t)k->plan->spec.block, channels = c1 - c0;
    bool lie_together = channels % CODEC_LANES == 0 || channels > 2 * CODEC_LANES;
    group *shared = &wait->groups[lh < size][lw < size], own = {.lh = lh, .lw = lw};
    for (uint32_t c = 0; c < channels;) {
        uint32_t lanes = lie_together ? ACTC_MIN(CODEC_LANES, channels - c) : 1;
        group *g = lie_together ? &own : shared;
        g->lh = lh;
        g->lw = lw;
        uint32_t before = *entry;
        for (uint32_t i = 0; i < lanes; i++, c++) {
            uint32_t lane = g->count++;
            g->element[lane] = element + c0 + c;
            if (!k->places)
                g->y[lane] = k->to + begin + (uint64_t)c * area;
            else
                take_entries(k, g, lane, (uint32_t)(begin + (uint64_t)c * area), area, entry, count);
        }
        if (k->places && *entry == before) {
            g->count -= lanes;
            zero_instances(k, lh, lw, g->element[g->count], lanes);
        } else if (lie_together || g->count == CODEC_LANES) {
            k->ahead = c % CODEC_LANES                     ? 0
                       : c < channels                      ? CODEC_LANES
                       : channels < k->plan->channels / 2 ? 4 * k->column /* a sample's: nothing follows */
                                                           : size * k->column - (c - CODEC_LANES);
            run_group(k, g, !lie_together);
        }
    }
}

static void run_unit(work *k, const codec_units *units, const codec_unit *unit, uint32_t count, uint64_t origin)
{
    const actc_codec_plan *plan = units->plan;
    uint32_t size = (uint32_t)plan->spec.block, entry = 0, rows = actc_codec_blocks(plan->height, size);
    waiting wait;
    for (int i = 0; i < 4; i++)
        wait.groups[i / 2][i % 2].count = 0;
    uint64_t at = 0;
    k->plan = plan;
    k->tables = units->tables;
    k->column = plan->channels;
    k->line = (uint64_t)plan->width * plan->channels;
    for (uint32_t row = unit->row; row < unit->row + unit->rows; row++) {
        uint32_t h = row % rows * size, lh = ACTC_MIN(size, plan->height - h);
        uint64_t first = ((uint64_t)(row / rows) * plan->height + h) * k->line - origin;
        for (uint32_t b = unit->block; b < unit->block + unit->blocks; b++) {
            uint32_t w = b * size, lw = ACTC_MIN(size, plan->width - w);
            block(k, &wait, lh, lw, unit->c0, unit->c1, first + w * k->column, at, &entry, count);
            at += (uint64_t)lh * lw * (unit->c1 - unit->c0);
        }
    }
    for (int i = 0; i < 4; i++)
        run_group(k, &wait.groups[i / 2][i % 2], true);
}

void ACTC_CPU_NAME(fused_dct_blocks)(const codec_units *units, const codec_unit *unit, const float *x, float *y,
                                     float *scratch)
{
    work k = {.from = x, .to = y};
    (void)scratch;
    run_unit(&k, units, unit, 0, 0);
}

void ACTC_CPU_NAME(fused_idct_blocks)(const codec_units *units, const codec_unit *unit, const uint32_t *places,
                                      const uint32_t *bits, uint32_t count, float *x)
{
    const actc_codec_plan *plan = units->plan;
    uint32_t rows = actc_codec_blocks(plan->height, (uint32_t)plan->spec.block);
    work k = {.to = x, .places = places, .bits = bits};
    run_unit(&k, units, unit, count, units->first / rows * plan->height * plan->width * plan->channels);
}
