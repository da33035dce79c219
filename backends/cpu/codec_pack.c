/* codec_pack.c: fused packing. A pass over the units counts and, where few are kept, collects what may be kept; the key is
 * found among the candidates; a second look, at the candidates or at the transform done again, writes the payload. With
 * select=tile and select=random one pass does it all.
 */
#include <string.h>

#include "codec_pack_internal.h"

#include "../../src/exact/codec.h"

/* ---- memory ---- */

/* Of candidates, at least; below that many coefficients all of them are. */
#define LEAST_ROOM 4096u
/* Coefficients in the sample that tells where the key is: the standard error of a share of them is below 0.4 %. */
#define SAMPLE_KEYS 16384u

/* Candidates that the pool holds: some more than are kept where that is few, else what lies in a narrow interval. */
static uint32_t pool_room(const actc_codec_plan *plan, bool *single)
{
    uint64_t least = 2 * plan->k + plan->k / 2 + LEAST_ROOM, most = CODEC_MAX(plan->m / 16, LEAST_ROOM);
    *single = plan->regions == 1 && (plan->m <= LEAST_ROOM || least <= most);
    if (plan->regions > 1 || plan->k >= plan->m)
        return 0;
    return (uint32_t)CODEC_MIN(plan->m, *single ? CODEC_MIN(4 * plan->k + LEAST_ROOM, most) : most);
}

static bool ends_inside_tile(const actc_codec_plan *plan, uint64_t end)
{
    return end % ACTC_CODEC_TILE != 0 && end != plan->m;
}

/* Tiles that a part ends inside of. */
static uint32_t share_tiles(codec_pack *p)
{
    const actc_codec_plan *plan = p->units.plan;
    uint32_t count = 0;
    uint64_t last = UINT64_MAX;
    if (p->units.transform == CODEC_IDENTITY)
        return 0;
    if (p->shared_at)
        memset(p->shared_at, 0, plan->tiles * sizeof *p->shared_at);
    for (uint32_t i = 0; i < p->units.parts; i++) {
        uint64_t end = actc_codec_part_at(&p->units, i).end;
        if (!ends_inside_tile(plan, end) || end / ACTC_CODEC_TILE == last)
            continue;
        last = end / ACTC_CODEC_TILE;
        if (p->shared_at) {
            p->shared_tiles[count] = (uint32_t)last;
            p->shared_at[last] = count + 1;
        }
        count++;
    }
    return count;
}

static void lay_out(codec_pack *p, codec_memory *memory)
{
    const actc_codec_plan *plan = p->units.plan;
    uint32_t slots = (uint32_t)p->threads < p->units.units ? (uint32_t)p->threads : p->units.units;
    p->threads = (int)slots;
    codec_memory one = {NULL, 0};
    if (p->units.transform != CODEC_IDENTITY) {
        actc_codec_take(&one, (p->units.most + 64) * sizeof(float)); /* rows are stored whole vectors at a time */
        actc_codec_take(&one, p->units.scratch_floats * sizeof(float));
    }
    p->thread_bytes = one.at;
    p->thread_memory = actc_codec_take(memory, p->thread_bytes * slots);
    if (actc_codec_scaled(plan))
        p->writer.largest = actc_codec_take(memory, (plan->k + 255) / 256 * sizeof(uint32_t));
    if (!plan->tables) {
        p->shared_count = share_tiles(p);
        if (p->shared_count) {
            p->shared_tiles = actc_codec_take(memory, p->shared_count * sizeof(uint32_t));
            p->shared = actc_codec_take(memory, p->shared_count * ACTC_CODEC_TILE * sizeof(uint32_t));
            p->shared_at = actc_codec_take(memory, plan->tiles * sizeof(uint32_t));
        }
        return;
    }
    p->spans = actc_codec_take(memory, p->units.spans * sizeof *p->spans);
    p->segment_slots = actc_codec_take(memory, (plan->segments + 1) * sizeof(uint32_t));
    p->bins = actc_codec_take(memory, (uint64_t)CODEC_BINS * plan->regions * slots * sizeof(uint32_t));
    p->pool_room = pool_room(plan, &p->single);
    p->sample_room = p->pool_room && p->pool_room < plan->m ? SAMPLE_KEYS : 0;
    p->sample = actc_codec_take(memory, p->sample_room * sizeof(uint32_t));
    p->pool_bits = actc_codec_take(memory, p->pool_room * sizeof(uint32_t));
    p->pool_numbers = actc_codec_take(memory, p->pool_room * sizeof(uint32_t));
}

uint64_t actc_cpu_codec_pack_workspace(const actc_codec_work_desc *work, int threads)
{
    codec_memory memory = {NULL, 0};
    codec_pack p = {.threads = threads};
    actc_codec_units_init(&p.units, work->plan, 0, work->plan->samples);
    lay_out(&p, &memory);
    return memory.at;
}

float *actc_codec_thread_y(const codec_pack *p, int thread)
{
    return (float *)(void *)(p->thread_memory + (uint64_t)thread * p->thread_bytes);
}

float *actc_codec_thread_scratch(const codec_pack *p, int thread)
{
    codec_memory one = {(char *)actc_codec_thread_y(p, thread), 0};
    actc_codec_take(&one, (p->units.most + 64) * sizeof(float));
    return actc_codec_take(&one, 0);
}

/* ---- units ---- */

typedef struct unit_loop {
    codec_pack *p;
    codec_span_fn fn;
} unit_loop;

/* The coefficients of a unit, part after part. */
static const uint32_t *coefficients(codec_pack *p, const codec_unit *unit, int thread)
{
    if (p->units.transform == CODEC_IDENTITY)
        return (const uint32_t *)(const void *)(p->x + unit->begin);
    float *y = actc_codec_thread_y(p, thread);
    p->fns->forward[p->units.transform](&p->units, unit, p->x, y, actc_codec_thread_scratch(p, thread));
    return (const uint32_t *)(const void *)y;
}

static void run_units(void *user, uint32_t begin, uint32_t end, int thread)
{
    const unit_loop *loop = user;
    codec_pack *p = loop->p;
    for (uint32_t u = begin; u < end; u++) {
        codec_unit unit = actc_codec_unit_at(&p->units, u);
        const uint32_t *y = coefficients(p, &unit, thread);
        for (uint32_t q = 0; q < p->units.unit_parts; q++) {
            codec_part part = {u, 0, unit.begin, unit.end};
            if (p->units.transform == CODEC_WAVELET)
                part = actc_codec_part_at(&p->units, actc_codec_part_number(&p->units, u, q));
            for (uint64_t c = part.begin, next; c < part.end; c = next) {
                next = CODEC_MIN(part.end, (c | 65535) + 1);
                loop->fn(p, p->spans ? &p->spans[part.number + (c >> 16)] : NULL, &p->regions[part.region], c,
                         y + (c - part.begin), (uint32_t)(next - c), thread);
            }
            y += part.end - part.begin;
        }
    }
}

void actc_codec_each_span(codec_pack *p, codec_span_fn fn)
{
    unit_loop loop = {p, fn};
    actc_parallel_for(p->threads, p->units.units, 1, run_units, &loop);
}

/* ---- the slots of spans ---- */

/* In the order of coefficients: where each span's kept ones go, and the segment table. */
static uint64_t place_spans(codec_pack *p)
{
    const actc_codec_plan *plan = p->units.plan;
    uint32_t region = 0, ties = p->regions[0].ties;
    uint64_t slot = 0;
    for (uint32_t i = 0; i < p->units.parts; i++) {
        codec_part part = actc_codec_part_at(&p->units, i);
        if (part.region != region) {
            region = part.region;
            ties = p->regions[region].ties;
        }
        for (uint64_t c = part.begin; c < part.end; c = (c | 65535) + 1) {
            codec_span *span = &p->spans[i + (c >> 16)];
            if (c % ACTC_CODEC_SEGMENT == 0)
                p->segment_slots[c >> 16] = (uint32_t)slot;
            span->slot = (uint32_t)slot;
            span->ties = CODEC_MIN(span->equal, ties);
            ties -= span->ties;
            slot += span->above + span->ties;
        }
    }
    for (uint32_t s = 0; s < plan->segments; s++) {
        uint32_t end = s + 1 < plan->segments ? p->segment_slots[s + 1] : (uint32_t)slot;
        memcpy(p->writer.payload + plan->segment_offset + 4ull * s, &end, sizeof end);
    }
    return slot;
}

/* ---- writing ---- */

/* The part [c, next) of a tile. */
typedef struct tile_piece {
    uint64_t tile, c, next;
    bool whole;
} tile_piece;

static tile_piece piece_at(const actc_codec_plan *plan, uint64_t c, uint64_t end)
{
    uint64_t tile_end = CODEC_MIN((c / ACTC_CODEC_TILE + 1) * ACTC_CODEC_TILE, plan->m);
    tile_piece piece = {c / ACTC_CODEC_TILE, c, CODEC_MIN(end, tile_end), false};
    piece.whole = c % ACTC_CODEC_TILE == 0 && piece.next == tile_end;
    return piece;
}

static void put_piece(codec_pack *p, const tile_piece *piece, uint8_t *places, const uint32_t *bits, uint32_t count,
                      uint64_t slot)
{
    uint32_t offset = (uint32_t)(piece->c % ACTC_CODEC_TILE);
    if (offset == 0 && p->units.plan->tables)
        actc_codec_put_tile_entry(&p->writer, piece->tile, slot - p->segment_slots[piece->c >> 16]);
    for (uint32_t i = 0; offset && i < count; i++)
        places[i] = (uint8_t)(places[i] + offset);
    actc_codec_put(&p->writer, piece->tile * ACTC_CODEC_TILE, piece->whole, places, bits, count, slot);
}

static void write_span(codec_pack *p, codec_span *span, codec_region *region, uint64_t first, const uint32_t *y, uint32_t n,
                       int thread)
{
    uint8_t places[CODEC_KEEP_ROOM];
    uint32_t bits[CODEC_KEEP_ROOM], ties = span->ties;
    uint64_t slot = span->slot;
    (void)thread;
    for (uint64_t c = first; c < first + n;) {
        tile_piece piece = piece_at(p->units.plan, c, first + n);
        uint32_t count = p->fns->keep(y + (c - first), (uint32_t)(piece.next - c), region->key, &ties, places, bits);
        put_piece(p, &piece, places, bits, count, slot);
        slot += count;
        c = piece.next;
    }
}

/* The same from the candidates. */
static void write_from_pool(codec_pack *p, const codec_span *span, const codec_region *region, uint64_t first, uint64_t end)
{
    uint8_t places[ACTC_CODEC_TILE + 1]; /* a candidate is put down before it is known whether it stays */
    uint32_t bits[ACTC_CODEC_TILE + 1], ties = span->ties, at = span->offset, last = span->offset + span->count;
    uint64_t slot = span->slot;
    for (uint64_t c = first; c < end;) {
        tile_piece piece = piece_at(p->units.plan, c, end);
        uint32_t count = 0;
        for (; at < last && p->pool_numbers[at] < piece.next; at++) { /* no branch on the key: it is anyone's guess */
            uint32_t key = p->pool_bits[at] & 0x7fffffffu, tie = key == region->key && ties;
            places[count] = (uint8_t)(p->pool_numbers[at] - c);
            bits[count] = p->pool_bits[at];
            count += (key > region->key) | tie;
            ties -= tie;
        }
        put_piece(p, &piece, places, bits, count, slot);
        slot += count;
        c = piece.next;
    }
}

static void run_pool_parts(void *user, uint32_t begin, uint32_t end, int thread)
{
    codec_pack *p = user;
    (void)thread;
    for (uint32_t i = begin; i < end; i++) {
        codec_part part = actc_codec_part_at(&p->units, i);
        for (uint64_t c = part.begin, next; c < part.end; c = next) {
            next = CODEC_MIN(part.end, (c | 65535) + 1);
            write_from_pool(p, &p->spans[i + (c >> 16)], &p->regions[part.region], c, next);
        }
    }
}

static void write_all(codec_pack *p, bool from_pool)
{
    if (from_pool)
        actc_parallel_for(p->threads, p->units.parts, 1, run_pool_parts, p);
    else
        actc_codec_each_span(p, write_span);
}

/* ---- select=tile, select=random ---- */

/* The random sample of a tile; the two rounds of int8 draw the same. */
static uint32_t keep_sample(const codec_pack *p, uint64_t tile, const uint32_t *y, uint32_t n, uint32_t most, uint8_t *places,
                            uint32_t *bits)
{
    const uint32_t *step = p->writer.step;
    actc_u32x4 random = actc_philox(ACTC_SAMPLE_DRAWS + (uint32_t)tile, p->writer.tensor, step[ACTC_STEP_STEP_LO],
                                    step[ACTC_STEP_STEP_HI], step[ACTC_STEP_SEED_LO], step[ACTC_STEP_SEED_HI]);
    return p->fns->keep_sample(y, n, most, random.x, random.y, places, bits);
}

static void write_tile(codec_pack *p, uint64_t tile, const uint32_t *y, uint32_t *hint)
{
    const actc_codec_plan *plan = p->units.plan;
    uint64_t begin = tile * ACTC_CODEC_TILE, slot = actc_codec_tile_slot(plan, tile);
    uint64_t end = actc_codec_tile_slot(plan, tile + 1);
    uint32_t n = (uint32_t)CODEC_MIN(plan->m - begin, ACTC_CODEC_TILE), bits[CODEC_KEEP_ROOM];
    uint8_t places[CODEC_KEEP_ROOM];
    uint32_t most = (uint32_t)(end - slot);
    uint32_t count = plan->spec.select == ACTC_SELECT_RANDOM ? keep_sample(p, tile, y, n, most, places, bits)
                                                             : p->fns->keep_largest(y, n, most, hint, places, bits);
    actc_codec_put(&p->writer, begin, true, places, bits, count, slot);
    actc_codec_put_nothing(&p->writer, slot + count, end);
}

static void tile_span(codec_pack *p, codec_span *span, codec_region *region, uint64_t first, const uint32_t *y, uint32_t n,
                      int thread)
{
    (void)span;
    (void)region;
    uint32_t hint = 0;
    (void)thread;
    for (uint64_t c = first; c < first + n;) {
        tile_piece piece = piece_at(p->units.plan, c, first + n);
        if (piece.whole)
            write_tile(p, piece.tile, y + (c - first), &hint);
        else /* kept until all of it is there */
            memcpy(p->shared + (p->shared_at[piece.tile] - 1ull) * ACTC_CODEC_TILE + c % ACTC_CODEC_TILE, y + (c - first),
                   (size_t)(piece.next - c) * sizeof *y);
        c = piece.next;
    }
}

static void run_shared_tiles(void *user, uint32_t begin, uint32_t end, int thread)
{
    codec_pack *p = user;
    uint32_t hint = 0;
    (void)thread;
    for (uint32_t i = begin; i < end; i++)
        write_tile(p, p->shared_tiles[i], p->shared + (uint64_t)i * ACTC_CODEC_TILE, &hint);
}

static void write_tiles(codec_pack *p)
{
    actc_codec_each_span(p, tile_span);
    actc_parallel_for(p->threads, p->shared_count, 16, run_shared_tiles, p);
}

/* ---- all of it ---- */

void actc_cpu_codec_pack(const actc_codec_work_desc *work, actc_cpu_isa isa, int threads, const float *x, void *payload,
                         const uint32_t *step, void *workspace)
{
    const actc_codec_plan *plan = work->plan;
    codec_memory memory = {workspace, 0};
    codec_pack p = {.fns = actc_cpu_codec_fns(isa), .x = x, .threads = threads};
    p.writer = (codec_writer){.plan = plan, .payload = payload, .step = step, .tensor = work->tensor};
    actc_codec_units_init(&p.units, plan, 0, plan->samples);
    lay_out(&p, &memory);
    bool scaled = actc_codec_scaled(plan), from_pool = false;
    if (plan->tables) {
        actc_codec_select_keys(&p, &from_pool);
        uint64_t kept = place_spans(&p);
        actc_codec_writer_begin(&p.writer);
        actc_codec_put_nothing(&p.writer, kept, plan->k);
    } else {
        share_tiles(&p);
        actc_codec_writer_begin(&p.writer);
    }
    for (int round = scaled ? 0 : 1; round < 2; round++) {
        p.writer.measure = round == 0;
        if (plan->tables)
            write_all(&p, from_pool);
        else
            write_tiles(&p);
        if (round == 0)
            actc_codec_put_scales(&p.writer);
    }
}
