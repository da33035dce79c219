/* codec_unpack.c: fused unpacking. A unit's kept coefficients are read from the payload and transformed back at once; where
 * there are none, zeros are written.
 */
#include <string.h>

#include "codec_payload.h"
#include "fused/fused.h"

#include "../../src/exact/exact.h"

/* Kept coefficients read at once where they become a dense array. */
#define READ_COEFFICIENTS 4096u

typedef struct unpack {
    codec_units units;
    const codec_fns *fns;
    codec_reader reader;
    float *x;
    char *thread_memory;
    uint64_t thread_bytes;
    int threads;
} unpack;

typedef struct thread_parts {
    uint32_t *places, *bits;
    float *y, *scratch;
} thread_parts;

static thread_parts parts_of(const unpack *u, codec_memory *memory)
{
    bool blocks = u->units.transform == CODEC_BLOCKS;
    uint64_t list = blocks ? u->units.most : CODEC_MIN(u->units.most, READ_COEFFICIENTS);
    bool dense = !blocks && u->units.transform != CODEC_IDENTITY;
    thread_parts t;
    t.places = actc_codec_take(memory, list * sizeof(uint32_t));
    t.bits = actc_codec_take(memory, list * sizeof(uint32_t));
    t.y = actc_codec_take(memory, dense ? u->units.most * sizeof(float) : 0);
    t.scratch = actc_codec_take(memory, u->units.scratch_floats * sizeof(float));
    return t;
}

static void lay_out(unpack *u, codec_memory *memory)
{
    codec_memory one = {NULL, 0};
    parts_of(u, &one);
    u->thread_bytes = one.at;
    u->threads = (uint32_t)u->threads < u->units.units ? u->threads : (int)u->units.units;
    u->thread_memory = actc_codec_take(memory, u->thread_bytes * (uint32_t)u->threads);
}

static void units_of(codec_units *units, const actc_codec_work_desc *work)
{
    actc_codec_units_init(units, work->plan, work->first, work->first + (uint64_t)work->count);
}

uint64_t actc_cpu_codec_unpack_workspace(const actc_codec_work_desc *work, int threads)
{
    codec_memory memory = {NULL, 0};
    unpack u = {.threads = threads};
    units_of(&u.units, work);
    lay_out(&u, &memory);
    return memory.at;
}

/* Coefficients [begin, end) into y, zeros between them. */
static void read_dense(const unpack *u, const thread_parts *t, uint64_t begin, uint64_t end, float *y, bool flush)
{
    memset(y, 0, (size_t)(end - begin) * sizeof *y);
    for (uint64_t c = begin, next; c < end; c = next) {
        next = CODEC_MIN(end, c + READ_COEFFICIENTS);
        uint32_t count = actc_codec_read(&u->reader, c, next, t->places, t->bits);
        float *to = y + (c - begin);
        for (uint32_t i = 0; i < count; i++)
            to[t->places[i]] = flush ? actc_flush_bits(t->bits[i]) : ACTC_BITS_F32(t->bits[i]);
    }
}

static void run_wavelet(const unpack *u, const thread_parts *t, const codec_unit *unit)
{
    const actc_codec_plan *plan = u->units.plan;
    float *y = t->y;
    for (uint32_t b = 0; b < plan->bands; b++) {
        uint64_t each = (uint64_t)plan->band_height[b] * plan->band_width[b] * plan->channels;
        uint64_t begin = plan->band_begin[b] + unit->row * each, end = begin + unit->rows * each;
        read_dense(u, t, begin, end, y, true);
        y += end - begin;
    }
}

static void run_units(void *user, uint32_t begin, uint32_t end, int thread)
{
    const unpack *u = user;
    codec_memory memory = {u->thread_memory + (uint64_t)thread * u->thread_bytes, 0};
    const thread_parts t = parts_of(u, &memory);
    for (uint32_t i = begin; i < end; i++) {
        codec_unit unit = actc_codec_unit_at(&u->units, i);
        if (u->units.transform == CODEC_IDENTITY) {
            read_dense(u, &t, unit.begin, unit.end, u->x + (unit.begin - u->units.first), false);
            continue;
        }
        if (u->units.transform == CODEC_BLOCKS) {
            uint32_t count = actc_codec_read(&u->reader, unit.begin, unit.end, t.places, t.bits);
            u->fns->inverse_blocks(&u->units, &unit, t.places, t.bits, count, u->x);
            continue;
        }
        if (u->units.transform == CODEC_WAVELET)
            run_wavelet(u, &t, &unit);
        else
            read_dense(u, &t, unit.begin, unit.end, t.y, true);
        u->fns->inverse[u->units.transform](&u->units, &unit, t.y, u->x, t.scratch);
    }
}

void actc_cpu_codec_unpack(const actc_codec_work_desc *work, actc_cpu_isa isa, int threads, const void *payload, float *x,
                           void *workspace)
{
    codec_memory memory = {workspace, 0};
    unpack u = {.fns = actc_cpu_codec_fns(isa), .reader = {work->plan, payload}, .x = x, .threads = threads};
    units_of(&u.units, work);
    lay_out(&u, &memory);
    actc_parallel_for(u.threads, u.units.units, 1, run_units, &u);
}
