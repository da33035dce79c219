/* plan.c: lifetimes of virtual buffers and their places in the arena.
 *
 * Time is the index of a command, counted through all programs. A buffer lives from the first command that touches it to
 * the last (an entry buffer from its program's first), a persistent one always. Buffers are placed one after the other, each
 * at the lowest offset where nothing that lives at the same time is. Several orders are tried, and each again and again with
 * those first that came to lie above the bytes that live at the peak, until little is above; the smallest arena wins.
 */
#include <stdlib.h>
#include <string.h>

#include "plan.h"

/* What is being planned. */
typedef struct planner {
    actc_context *context;
    actc_program *programs;
    uint32_t n_programs;
    actc_vbuf *vbufs;
    size_t n_vbufs;
    const actc_plan_limits *limits;
    actc_plan *plan;
} planner;

static uint32_t program_start(const planner *p, uint32_t program)
{
    uint32_t start = 0;
    for (uint32_t i = 0; i < program; i++)
        start += p->programs[i].n_commands;
    return start;
}

static void touch(actc_vbuf *vbuf, uint32_t time)
{
    if (!vbuf->touched || time < vbuf->first)
        vbuf->first = time;
    if (!vbuf->touched || time > vbuf->last)
        vbuf->last = time;
    vbuf->touched = true;
}

static void find_lifetimes(const planner *p)
{
    uint32_t time = 0;
    for (uint32_t i = 0; i < p->n_programs; i++)
        for (uint32_t c = 0; c < p->programs[i].n_commands; c++, time++)
            for (uint32_t v = 0; v < p->programs[i].commands[c].n_views; v++)
                if (p->programs[i].commands[c].views[v].buffer != ACTC_NO_BUFFER)
                    touch(&p->vbufs[p->programs[i].commands[c].views[v].buffer], time);
    for (size_t i = 0; i < p->n_vbufs; i++) {
        actc_vbuf *vbuf = &p->vbufs[i];
        uint32_t start = program_start(p, vbuf->program), end = program_start(p, vbuf->program + 1);
        if (vbuf->persistent) {
            touch(vbuf, 0);
            touch(vbuf, time);
        }
        if (vbuf->entry) /* uploaded even where no command reads it */
            touch(vbuf, start);
        if (vbuf->exit)
            touch(vbuf, end > start ? end - 1 : start);
    }
}

/* ---- placement ---- */

typedef struct order_key {
    uint32_t index, urgency;
    uint64_t primary, secondary;
} order_key;

static int by_key(const void *a, const void *b)
{
    const order_key *x = a, *y = b;
    if (x->urgency != y->urgency)
        return x->urgency > y->urgency ? -1 : 1;
    if (x->primary != y->primary)
        return x->primary > y->primary ? -1 : 1;
    if (x->secondary != y->secondary)
        return x->secondary > y->secondary ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* A buffer that has been placed: what the search for room looks at, in few cache lines. */
typedef struct placed {
    uint32_t arena, first, last;
    uint64_t offset, end;
} placed;

/* How many of those placed, which are sorted by arena and offset, lie before this place. */
static size_t count_before(const placed *list, size_t n, uint32_t arena, uint64_t offset)
{
    size_t low = 0;
    while (low < n) {
        size_t middle = low + (n - low) / 2;
        bool is_before = list[middle].arena != arena ? list[middle].arena < arena : list[middle].offset < offset;
        if (is_before)
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

/* The lowest offset in arena `arena` where `vbuf` fits beside those placed. */
static uint64_t lowest_offset(const placed *list, size_t n, const actc_vbuf *vbuf, uint32_t arena)
{
    uint64_t offset = 0;
    size_t i = count_before(list, n, arena, 0);
    for (; i < n && list[i].arena == arena && list[i].offset < offset + vbuf->bytes; i++)
        if (list[i].end > offset && list[i].first <= vbuf->last && vbuf->first <= list[i].last)
            offset = list[i].end;
    return offset;
}

/* Places all buffers in this order; returns the sum of the arenas' sizes. limit: bytes of one arena buffer. */
static uint64_t place_all(const planner *p, const order_key *order, size_t n, placed *list, uint64_t limit, uint64_t *arena_bytes,
                          size_t *n_arenas)
{
    uint64_t total = 0;
    *n_arenas = 0;
    for (size_t k = 0; k < n; k++) {
        actc_vbuf *vbuf = &p->vbufs[order[k].index];
        for (vbuf->arena = 0;; vbuf->arena++) {
            vbuf->offset = lowest_offset(list, k, vbuf, vbuf->arena);
            if (vbuf->arena >= *n_arenas)
                arena_bytes[(*n_arenas)++] = 0;
            if (vbuf->offset + vbuf->bytes <= limit || vbuf->offset == 0)
                break;
        }
        const placed here = {vbuf->arena, vbuf->first, vbuf->last, vbuf->offset, vbuf->offset + vbuf->bytes};
        if (here.end > arena_bytes[here.arena])
            arena_bytes[here.arena] = here.end;
        size_t at = count_before(list, k, here.arena, here.offset);
        memmove(&list[at + 1], &list[at], (k - at) * sizeof *list);
        list[at] = here;
    }
    for (size_t i = 0; i < *n_arenas; i++)
        total += arena_bytes[i];
    return total;
}

/* The orders below, and how often each is mended. */
enum { ORDERS = 4, MENDINGS = 12 };

static size_t list_touched(const planner *p, int which, const uint32_t *urgency, order_key *order)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_vbufs; i++) {
        const actc_vbuf *v = &p->vbufs[i];
        if (!v->touched)
            continue;
        uint64_t life = v->last - v->first + 1;
        order_key key = {.index = (uint32_t)i, .urgency = urgency[i]};
        switch (which) {
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

/* Where a buffer is in the best placement so far. */
typedef struct place {
    uint32_t arena;
    uint64_t offset;
} place;

typedef struct search {
    order_key *order;
    placed *placed;
    uint32_t *urgency;
    uint64_t *arena_bytes;
    place *best;
    uint64_t least; /* bytes of its arenas */
} search;

/* Places all buffers in one of the orders, and keeps that where it is the best so far. */
static void try_order(const planner *p, search *s, int order)
{
    size_t n_arenas, touched = list_touched(p, order, s->urgency, s->order);
    uint64_t limit = p->limits->buffer_bytes ? p->limits->buffer_bytes : UINT64_MAX;
    uint64_t total = place_all(p, s->order, touched, s->placed, limit, s->arena_bytes, &n_arenas);
    if (total >= s->least)
        return;
    s->least = total;
    p->plan->n_arenas = n_arenas;
    memcpy(p->plan->arena_bytes, s->arena_bytes, n_arenas * sizeof *s->arena_bytes);
    for (size_t i = 0; i < p->n_vbufs; i++)
        s->best[i] = (place){p->vbufs[i].arena, p->vbufs[i].offset};
}

static void search_places(const planner *p, search *s)
{
    const uint64_t peak = p->plan->peak_bytes, good = peak + peak / 1024;
    s->least = UINT64_MAX;
    for (int order = 0; order < ORDERS && s->least > peak; order++)
        try_order(p, s, order);
    for (int order = 0; order < ORDERS && s->least > good && p->plan->n_arenas == 1; order++) {
        memset(s->urgency, 0, p->n_vbufs * sizeof *s->urgency);
        for (int i = 0; i <= MENDINGS && s->least > good; i++) {
            try_order(p, s, order);
            for (size_t b = 0; b < p->n_vbufs; b++)
                s->urgency[b] += p->vbufs[b].touched && p->vbufs[b].offset + p->vbufs[b].bytes > peak;
        }
    }
    for (size_t i = 0; i < p->n_vbufs; i++) {
        p->vbufs[i].arena = s->best[i].arena;
        p->vbufs[i].offset = s->best[i].offset;
    }
}

static actc_status place_best(const planner *p)
{
    size_t n = p->n_vbufs;
    search s = {.order = actc_calloc(n, sizeof *s.order), .placed = actc_calloc(n, sizeof *s.placed),
                .urgency = actc_calloc(n, sizeof *s.urgency), .arena_bytes = actc_calloc(n, sizeof *s.arena_bytes),
                .best = actc_calloc(n, sizeof *s.best)};
    p->plan->arena_bytes = actc_calloc(n, sizeof *p->plan->arena_bytes);
    bool room = s.order && s.placed && s.urgency && s.arena_bytes && s.best && p->plan->arena_bytes;
    if (room)
        search_places(p, &s);
    actc_free(s.order);
    actc_free(s.placed);
    actc_free(s.urgency);
    actc_free(s.arena_bytes);
    actc_free(s.best);
    return room ? ACTC_OK : actc_out_of_memory(p->context, n * sizeof *s.order, "the memory plan");
}

static actc_status check_limit(const planner *p)
{
    uint64_t limit = p->limits->buffer_bytes ? p->limits->buffer_bytes : UINT64_MAX;
    for (size_t i = 0; i < p->n_vbufs; i++) {
        const actc_vbuf *v = &p->vbufs[i];
        bool sized_by_batch = v->category != ACTC_MEMORY_PARAMETERS && v->category != ACTC_MEMORY_GRADIENTS &&
                              v->category != ACTC_MEMORY_OPTIMIZER;
        if (v->touched && v->bytes > limit)
            return actc_fail(p->context, ACTC_ERROR_UNSUPPORTED, "%s needs %llu bytes (%s), %s allows %llu in one buffer%s", v->name,
                             (unsigned long long)v->bytes, actc_memory_category_string(v->category), p->limits->device,
                             (unsigned long long)limit, sized_by_batch ? "; use a smaller batch" : "");
    }
    return ACTC_OK;
}

/* ---- accounting ---- */

void actc_plan_add_life(const actc_vbuf *vbuf, uint64_t bytes, uint64_t *curve)
{
    curve[vbuf->first] += bytes;
    curve[vbuf->last + 1] -= bytes;
}

void actc_plan_integrate(uint64_t *curve, uint32_t times)
{
    for (uint32_t t = 1; t < times; t++)
        curve[t] += curve[t - 1];
}

static uint64_t greatest(const uint64_t *curve, uint32_t times, uint32_t *at)
{
    *at = 0;
    for (uint32_t t = 1; t < times; t++)
        if (curve[t] > curve[*at])
            *at = t;
    return times ? curve[*at] : 0;
}

static const char *label_at(const planner *p, uint32_t time)
{
    for (uint32_t i = 0; i < p->n_programs; time -= p->programs[i++].n_commands)
        if (time < p->programs[i].n_commands)
            return p->programs[i].commands[time].label;
    return NULL;
}

static actc_status find_peak(const planner *p)
{
    actc_plan *plan = p->plan;
    uint32_t times = plan->times = program_start(p, p->n_programs), at;
    uint64_t *tensors = actc_calloc((size_t)times + 2, sizeof *tensors);
    plan->live = actc_calloc((size_t)times + 2, sizeof *plan->live);
    if (!plan->live || !tensors) {
        actc_free(tensors);
        return actc_out_of_memory(p->context, ((uint64_t)times + 2) * sizeof *tensors, "the memory plan");
    }
    for (size_t i = 0; i < p->n_vbufs; i++) {
        const actc_vbuf *v = &p->vbufs[i];
        if (!v->touched)
            continue;
        actc_plan_add_life(v, v->bytes, plan->live);
        if (v->category != ACTC_MEMORY_WORKSPACE)
            actc_plan_add_life(v, v->bytes, tensors);
    }
    actc_plan_integrate(plan->live, times);
    actc_plan_integrate(tensors, times);
    plan->tensor_peak_bytes = greatest(tensors, times, &at);
    plan->peak_bytes = greatest(plan->live, times, &at);
    plan->peak_label = label_at(p, at);
    for (size_t i = 0; i < p->n_vbufs; i++) {
        const actc_vbuf *v = &p->vbufs[i];
        if (v->touched && v->first <= at && at <= v->last)
            plan->category_bytes[v->category] += v->used < v->bytes ? v->used : v->bytes;
    }
    actc_free(tensors);
    return ACTC_OK;
}

static void rewrite_views(const planner *p)
{
    for (uint32_t i = 0; i < p->n_programs; i++) {
        for (uint32_t c = 0; c < p->programs[i].n_commands; c++) {
            actc_command *command = &p->programs[i].commands[c];
            for (uint32_t v = 0; v < command->n_views; v++) {
                actc_view *view = &command->views[v];
                if (view->buffer == ACTC_NO_BUFFER)
                    continue;
                const actc_vbuf *vbuf = &p->vbufs[view->buffer];
                view->buffer = vbuf->arena;
                view->offset += vbuf->offset;
            }
        }
    }
}

actc_status actc_plan_create(actc_context *context, actc_program *programs, uint32_t n_programs, actc_vbuf *vbufs, size_t n_vbufs,
                             const actc_plan_limits *limits, actc_plan *plan)
{
    *plan = (actc_plan){0};
    planner p = {context, programs, n_programs, vbufs, n_vbufs, limits, plan};
    find_lifetimes(&p);
    actc_status status = check_limit(&p);
    if (status == ACTC_OK)
        status = find_peak(&p);
    if (status == ACTC_OK)
        status = place_best(&p);
    if (status == ACTC_OK)
        rewrite_views(&p);
    else
        actc_plan_destroy(plan);
    return status;
}

void actc_plan_destroy(actc_plan *plan)
{
    actc_free(plan->arena_bytes);
    actc_free(plan->live);
    *plan = (actc_plan){0};
}
