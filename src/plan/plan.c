/* plan.c: lifetimes of virtual buffers and their places in the arena.
 *
 * Time is the index of a command, counted through all programs. A buffer lives from the first command that touches it to
 * the last (an entry buffer from its program's first), a persistent one always. Buffers are placed largest first, each at
 * the lowest offset where nothing that lives at the same time is; several orders are tried and the smallest arena wins.
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
static uint64_t lowest_offset(const planner *p, const uint32_t *placed, size_t n_placed, const actc_vbuf *vbuf,
                              uint32_t arena)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < n_placed; i++) {
        const actc_vbuf *other = &p->vbufs[placed[i]];
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
static uint64_t place_all(const planner *p, const order_key *order, size_t n, uint32_t *placed, uint64_t limit,
                          uint64_t *arena_bytes, size_t *n_arenas)
{
    size_t n_placed = 0;
    uint64_t total = 0;
    *n_arenas = 0;
    for (size_t k = 0; k < n; k++) {
        actc_vbuf *vbuf = &p->vbufs[order[k].index];
        for (vbuf->arena = 0;; vbuf->arena++) {
            vbuf->offset = lowest_offset(p, placed, n_placed, vbuf, vbuf->arena);
            if (vbuf->arena >= *n_arenas)
                arena_bytes[(*n_arenas)++] = 0;
            if (vbuf->offset + vbuf->bytes <= limit || vbuf->offset == 0)
                break;
        }
        if (vbuf->offset + vbuf->bytes > arena_bytes[vbuf->arena])
            arena_bytes[vbuf->arena] = vbuf->offset + vbuf->bytes;
        size_t at = n_placed++;
        while (at > 0 && before(vbuf, &p->vbufs[placed[at - 1]])) {
            placed[at] = placed[at - 1];
            at--;
        }
        placed[at] = order[k].index;
    }
    for (size_t i = 0; i < *n_arenas; i++)
        total += arena_bytes[i];
    return total;
}

static size_t list_touched(const planner *p, int strategy, order_key *order)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_vbufs; i++) {
        const actc_vbuf *v = &p->vbufs[i];
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

static actc_status place_best(const planner *p)
{
    size_t n = p->n_vbufs;
    order_key *order = actc_calloc(n, sizeof *order);
    uint32_t *placed = actc_calloc(n, sizeof *placed);
    uint64_t *arenas = p->plan->arena_bytes = actc_calloc(n, sizeof *arenas);
    if (!order || !placed || !arenas) {
        actc_free(order);
        actc_free(placed);
        return actc_out_of_memory(p->context, n * sizeof *order, "the memory plan");
    }
    uint64_t limit = p->limits->buffer_bytes ? p->limits->buffer_bytes : UINT64_MAX;
    uint64_t least = UINT64_MAX;
    int best = 0;
    for (int strategy = 0; strategy < 5; strategy++) {
        /* the fifth run repeats the best one for keeps */
        size_t touched = list_touched(p, strategy < 4 ? strategy : best, order);
        uint64_t total = place_all(p, order, touched, placed, limit, arenas, &p->plan->n_arenas);
        if (strategy < 4 && total < least) {
            least = total;
            best = strategy;
        }
    }
    actc_free(order);
    actc_free(placed);
    for (size_t i = 0; i < n; i++) {
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
    actc_status status = place_best(&p);
    if (status == ACTC_OK)
        status = find_peak(&p);
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
