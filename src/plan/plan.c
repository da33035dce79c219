/* plan.c: lifetimes of virtual buffers and their places in the arena.
 *
 * Time is the index of a command, counted through all programs. A buffer lives from the first command that touches it to
 * the last (an entry buffer from its program's first), a persistent one always. Buffers are placed largest first, each at
 * the lowest offset where nothing that lives at the same time is; several orders are tried and the smallest arena wins.
 */
#include <stdlib.h>
#include <string.h>

#include "../lower/lower.h"

static uint32_t program_start(const actc_build *build, uint32_t program)
{
    uint32_t start = 0;
    for (uint32_t p = 0; p < program; p++)
        start += build->programs[p].n_commands;
    return start;
}

static void find_lifetimes(actc_build *build)
{
    uint32_t time = 0, end = program_start(build, ACTC_PROGRAM_COUNT);
    for (uint32_t p = 0; p < ACTC_PROGRAM_COUNT; p++) {
        for (uint32_t c = 0; c < build->programs[p].n_commands; c++, time++) {
            const actc_command *command = &build->programs[p].commands[c];
            for (uint32_t i = 0; i < command->n_views; i++) {
                if (command->views[i].buffer == ACTC_NO_BUFFER)
                    continue;
                actc_vbuf *vbuf = &build->vbufs[command->views[i].buffer];
                if (!vbuf->touched)
                    vbuf->first = time;
                vbuf->touched = true;
                vbuf->last = time;
            }
        }
    }
    for (size_t i = 0; i < build->n_vbufs; i++) {
        actc_vbuf *vbuf = &build->vbufs[i];
        if (vbuf->persistent) {
            vbuf->touched = true;
            vbuf->first = 0;
            vbuf->last = end;
        } else if (vbuf->entry) {
            /* Uploaded even where no command reads it. */
            uint32_t start = program_start(build, vbuf->program);
            if (!vbuf->touched)
                vbuf->last = start;
            vbuf->touched = true;
            vbuf->first = start;
        }
    }
}

/* ---- placement ---- */

typedef struct order_key {
    uint32_t index;
    uint64_t primary, secondary;
} order_key;

static int by_key(const void *a, const void *b)
{
    const order_key *x = a, *y = b;
    if (x->primary != y->primary)
        return x->primary > y->primary ? -1 : 1;
    if (x->secondary != y->secondary)
        return x->secondary > y->secondary ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static bool overlap_in_time(const actc_vbuf *a, const actc_vbuf *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset in arena `arena` where `vbuf` fits beside the `placed` ones; placed are sorted by offset. */
static uint64_t lowest_offset(const actc_build *build, const uint32_t *placed, size_t n_placed, const actc_vbuf *vbuf,
                              uint32_t arena)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < n_placed; i++) {
        const actc_vbuf *other = &build->vbufs[placed[i]];
        if (other->arena != arena || !overlap_in_time(vbuf, other))
            continue;
        if (other->offset >= offset + vbuf->bytes)
            break;
        if (other->offset + other->bytes > offset)
            offset = other->offset + other->bytes;
    }
    return offset;
}

static bool before(const actc_vbuf *a, const actc_vbuf *b)
{
    return a->arena != b->arena ? a->arena < b->arena : a->offset < b->offset;
}

/* Places all buffers in this order; returns the sum of the arenas' sizes. limit: bytes of one arena buffer. */
static uint64_t place_all(actc_build *build, const order_key *order, size_t n, uint32_t *placed, uint64_t limit,
                          uint64_t *arena_bytes, size_t *n_arenas)
{
    size_t n_placed = 0;
    uint64_t total = 0;
    *n_arenas = 0;
    for (size_t k = 0; k < n; k++) {
        actc_vbuf *vbuf = &build->vbufs[order[k].index];
        for (vbuf->arena = 0;; vbuf->arena++) {
            vbuf->offset = lowest_offset(build, placed, n_placed, vbuf, vbuf->arena);
            if (vbuf->arena >= *n_arenas)
                arena_bytes[(*n_arenas)++] = 0;
            if (vbuf->offset + vbuf->bytes <= limit || vbuf->offset == 0)
                break;
        }
        if (vbuf->offset + vbuf->bytes > arena_bytes[vbuf->arena])
            arena_bytes[vbuf->arena] = vbuf->offset + vbuf->bytes;
        size_t at = n_placed++;
        while (at > 0 && before(vbuf, &build->vbufs[placed[at - 1]])) {
            placed[at] = placed[at - 1];
            at--;
        }
        placed[at] = order[k].index;
    }
    for (size_t i = 0; i < *n_arenas; i++)
        total += arena_bytes[i];
    return total;
}

static size_t list_touched(const actc_build *build, int strategy, order_key *order)
{
    size_t n = 0;
    for (size_t i = 0; i < build->n_vbufs; i++) {
        const actc_vbuf *v = &build->vbufs[i];
        if (!v->touched)
            continue;
        uint64_t life = v->last - v->first + 1;
        order_key key = {.index = (uint32_t)i};
        switch (strategy) {
        case 0: key.primary = v->bytes; key.secondary = life; break;         /* largest first */
        case 1: key.primary = life; key.secondary = v->bytes; break;         /* longest-lived first */
        case 2: key.primary = v->bytes * life; key.secondary = v->bytes; break;
        default: key.primary = UINT32_MAX - v->first; key.secondary = v->bytes; break; /* in order of birth */
        }
        order[n++] = key;
    }
    qsort(order, n, sizeof *order, by_key);
    return n;
}

static actc_status place_best(actc_build *build)
{
    size_t n = build->n_vbufs;
    order_key *order = actc_calloc(n, sizeof *order);
    uint32_t *placed = actc_calloc(n, sizeof *placed);
    build->arena_bytes = actc_calloc(n, sizeof *build->arena_bytes);
    if (!order || !placed || !build->arena_bytes) {
        actc_free(order);
        actc_free(placed);
        return actc_out_of_memory(build->context, n * sizeof *order, "the memory plan");
    }
    uint64_t limit = build->device->info.max_buffer_bytes ? build->device->info.max_buffer_bytes : UINT64_MAX;
    uint64_t least = UINT64_MAX;
    int best = 0;
    for (int strategy = 0; strategy < 5; strategy++) {
        /* the fifth run repeats the best one for keeps */
        size_t touched = list_touched(build, strategy < 4 ? strategy : best, order);
        uint64_t total = place_all(build, order, touched, placed, limit, build->arena_bytes, &build->n_arenas);
        if (strategy < 4 && total < least) {
            least = total;
            best = strategy;
        }
    }
    actc_free(order);
    actc_free(placed);
    for (size_t i = 0; i < n; i++) {
        const actc_vbuf *v = &build->vbufs[i];
        uint64_t range = build->device->info.max_binding_bytes;
        bool sized_by_batch = v->category != ACTC_MEMORY_PARAMETERS && v->category != ACTC_MEMORY_GRADIENTS &&
                              v->category != ACTC_MEMORY_OPTIMIZER;
        if (v->touched && (v->bytes > limit || (range && v->bytes > range)))
            return actc_fail(build->context, ACTC_ERROR_UNSUPPORTED,
                             "%s needs %llu bytes (%s), %s allows %llu in one buffer%s", v->name,
                             (unsigned long long)v->bytes, actc_memory_category_string(v->category), build->device->info.spec,
                             (unsigned long long)(v->bytes > limit ? limit : range), sized_by_batch ? "; use a smaller batch" : "");
    }
    return ACTC_OK;
}

/* ---- accounting ---- */

static void find_peak(actc_build *build)
{
    uint32_t time = 0;
    for (uint32_t p = 0; p < ACTC_PROGRAM_COUNT; p++) {
        for (uint32_t c = 0; c < build->programs[p].n_commands; c++, time++) {
            uint64_t live = 0, tensors = 0, category[ACTC_MEMORY_CATEGORIES] = {0};
            for (size_t i = 0; i < build->n_vbufs; i++) {
                const actc_vbuf *v = &build->vbufs[i];
                if (v->touched && v->first <= time && time <= v->last) {
                    live += v->bytes;
                    tensors += v->category == ACTC_MEMORY_WORKSPACE ? 0 : v->bytes;
                    category[v->category] += v->used < v->bytes ? v->used : v->bytes;
                }
            }
            if (tensors > build->tensor_peak_bytes)
                build->tensor_peak_bytes = tensors;
            if (live > build->peak_bytes) {
                build->peak_bytes = live;
                build->peak_label = build->programs[p].commands[c].label;
                memcpy(build->category_bytes, category, sizeof category);
            }
        }
    }
}

actc_status actc_plan(actc_build *build)
{
    find_lifetimes(build);
    ACTC_RETURN_IF_ERROR(place_best(build));
    find_peak(build);
    for (uint32_t p = 0; p < ACTC_PROGRAM_COUNT; p++) {
        for (uint32_t c = 0; c < build->programs[p].n_commands; c++) {
            actc_command *command = &build->programs[p].commands[c];
            for (uint32_t i = 0; i < command->n_views; i++) {
                actc_view *view = &command->views[i];
                if (view->buffer == ACTC_NO_BUFFER)
                    continue;
                const actc_vbuf *v = &build->vbufs[view->buffer];
                view->buffer = v->arena;
                view->offset += v->offset;
            }
        }
    }
    const actc_backend *backend = build->device->backend;
    uint64_t overhead = backend->overhead_bytes ? backend->overhead_bytes(build->device, build->transfer_bytes) : 0;
    build->category_bytes[ACTC_MEMORY_WORKSPACE] += overhead;
    build->planned_bytes = overhead;
    for (size_t i = 0; i < build->n_arenas; i++) {
        if (backend->buffer_bytes)
            build->arena_bytes[i] = backend->buffer_bytes(build->device, build->arena_bytes[i]);
        build->planned_bytes += build->arena_bytes[i];
    }
    return ACTC_OK;
}
