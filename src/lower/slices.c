/* slices.c: in how many parts each compressed tensor is restored: in as few as the plan has room for.
 *
 * A first build restores everything in halves, which shows where each tensor is read. What lives beside restored values lives in
 * any case, so that its most is a floor of the peak, and what is free below the floor is room in which values may be restored for
 * nothing: whole, where it reaches from the first reader to the last (they are restored once, then), else in parts that fit where
 * they are read.
 *
 * A weight gradient is the sum over the slices, so that their number shows in its bits. A deterministic device must not choose it
 * by workspaces, which other devices (and thread counts) do not have, and keeps to the numbers that it has always had: one budget
 * for all tensors, the largest with which the tensors' peak is least.
 */
#include <stdlib.h>
#include <string.h>

#include "lower.h"

/* More parts would cost launches and save little. */
#define MOST_PARTS 64
/* Halos, parts of equal size and workspaces are not counted before; where they lead above the floor, parts become smaller. */
#define TRIES 4

/* A buffer of restored values. */
typedef struct restored {
    const actc_kept *kept;
    const actc_vbuf *vbuf;
    uint32_t index;
} restored;

typedef struct slicing {
    uint64_t *budgets; /* [tensor id]: bytes that may be restored at once */
    uint64_t floor;
} slicing;

static bool is_restored(const actc_vbuf *vbuf)
{
    return vbuf->owner && vbuf->touched && vbuf->category != ACTC_MEMORY_WORKSPACE;
}

static const actc_kept *kept_by(const actc_build *build, const void *codec)
{
    for (size_t i = 0; i < build->n_kept; i++)
        if (build->kept[i].saved && build->kept[i].saved->codec == codec)
            return &build->kept[i];
    return NULL;
}

/* Small tensors first: it is those that room is found for whole. */
static int by_size(const void *a, const void *b)
{
    const restored *x = a, *y = b;
    if (x->kept->dense_bytes != y->kept->dense_bytes)
        return x->kept->dense_bytes < y->kept->dense_bytes ? -1 : 1;
    if (x->kept != y->kept)
        return x->kept < y->kept ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The buffers of restored values, those of a tensor one after the other. `parts`: but for those that hold all of one. */
static actc_status list_restored(const actc_build *build, bool parts, restored **list, size_t *n)
{
    *n = 0;
    *list = actc_calloc(build->n_vbufs + 1, sizeof **list);
    if (!*list)
        return actc_out_of_memory(build->context, build->n_vbufs * sizeof **list, "the memory plan");
    for (size_t i = 0; i < build->n_vbufs; i++) {
        const actc_vbuf *v = &build->vbufs[i];
        const actc_kept *kept = is_restored(v) ? kept_by(build, v->owner) : NULL;
        if (kept && (!parts || v->used < kept->dense_bytes))
            (*list)[(*n)++] = (restored){kept, v, (uint32_t)i};
    }
    qsort(*list, *n, sizeof **list, by_size);
    return ACTC_OK;
}

static uint64_t most_of(const uint64_t *curve, uint32_t first, uint32_t last)
{
    uint64_t most = 0;
    for (uint32_t t = first; t <= last; t++)
        most = curve[t] > most ? curve[t] : most;
    return most;
}

static void add(uint64_t *curve, const actc_vbuf *life, uint64_t bytes)
{
    for (uint32_t t = life->first; t <= life->last; t++)
        curve[t] += bytes;
}

/* The budget of one tensor, whose buffers these are; what it takes is added to the curve. */
static uint64_t find_room(const restored *list, size_t n, uint64_t floor, uint64_t *curve)
{
    const uint64_t bytes = actc_align(list->kept->dense_bytes, ACTC_VIEW_ALIGNMENT);
    const uint64_t least = (bytes + MOST_PARTS - 1) / MOST_PARTS;
    actc_vbuf span = *list->vbuf;
    uint64_t most = 0;
    for (size_t i = 0; i < n; i++) {
        const actc_vbuf *v = list[i].vbuf;
        uint64_t beside = most_of(curve, v->first, v->last);
        span.first = v->first < span.first ? v->first : span.first;
        span.last = v->last > span.last ? v->last : span.last;
        most = beside > most ? beside : most;
    }
    if (most_of(curve, span.first, span.last) + bytes <= floor) {
        add(curve, &span, bytes);
        return bytes;
    }
    uint64_t room = floor > most ? floor - most : 0;
    room = room < least ? least : room > bytes / 2 ? bytes / 2 : room;
    for (size_t i = 0; i < n; i++)
        add(curve, list[i].vbuf, room);
    return room;
}

/* From a build with everything in halves. */
static actc_status find_budgets(const actc_build *build, slicing *s)
{
    restored *list;
    size_t n;
    uint64_t *curve = actc_calloc((size_t)build->plan.times + 2, sizeof *curve);
    if (!curve)
        return actc_out_of_memory(build->context, build->plan.times * sizeof *curve, "the memory plan");
    actc_status status = list_restored(build, true, &list, &n);
    for (size_t i = 0; i < n; i++)
        actc_plan_add_life(list[i].vbuf, list[i].vbuf->bytes, curve);
    actc_plan_integrate(curve, build->plan.times);
    for (uint32_t t = 0; t < build->plan.times; t++)
        curve[t] = build->plan.live[t] - curve[t];
    if (build->plan.times)
        s->floor = most_of(curve, 0, build->plan.times - 1);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && list[end].kept == list[i].kept;)
            end++;
        s->budgets[list[i].kept->saved->tensor->id] = find_room(list + i, end - i, s->floor, curve);
    }
    actc_free(list);
    actc_free(curve);
    return status;
}

/* Halves the budget of every tensor that is being restored where more than the floor lives. *changed: whether there is one. */
static actc_status tighten(const actc_build *build, slicing *s, bool *changed)
{
    restored *list;
    size_t n;
    *changed = false;
    ACTC_RETURN_IF_ERROR(list_restored(build, false, &list, &n));
    for (size_t i = 0, end; i < n; i = end) {
        uint64_t *budget = &s->budgets[list[i].kept->saved->tensor->id], bytes = list[i].kept->dense_bytes, most = 0;
        for (end = i; end < n && list[end].kept == list[i].kept; end++) {
            uint64_t here = most_of(build->plan.live, list[end].vbuf->first, list[end].vbuf->last);
            most = here > most ? here : most;
        }
        if (most > s->floor && *budget > (bytes + MOST_PARTS - 1) / MOST_PARTS) {
            *budget = (*budget < bytes ? *budget : bytes) / 2;
            *changed = true;
        }
    }
    actc_free(list);
    return ACTC_OK;
}

static size_t restorations(const actc_build *build)
{
    size_t n = 0;
    for (size_t i = 0; i < build->n_vbufs; i++)
        n += is_restored(&build->vbufs[i]);
    return n;
}

/* Less memory or, where that is within 0.4 % (places in the arena are found by a rule of thumb), less work. */
static bool is_better(const actc_build *a, const actc_build *b)
{
    uint64_t x = a->planned_bytes, y = b->planned_bytes, apart = x < y ? y - x : x - y;
    return apart <= y / 256 ? restorations(a) < restorations(b) : x < y;
}

static actc_status build_again(const actc_build *like, const slicing *s, actc_build **next)
{
    return actc_build_create(like->device, like->graph, like->options, true, s->budgets, next);
}

static void swap(actc_build **a, actc_build **b)
{
    actc_build *c = *a;
    *a = *b;
    *b = c;
}

static actc_status budget_each(slicing *s, actc_build **best)
{
    bool changed = true;
    ACTC_RETURN_IF_ERROR(find_budgets(*best, s));
    for (int i = 0; i < TRIES && changed; i++) {
        actc_build *next;
        ACTC_RETURN_IF_ERROR(build_again(*best, s, &next));
        actc_status status = tighten(next, s, &changed);
        if (status == ACTC_OK && is_better(next, *best))
            swap(&next, best);
        actc_build_destroy(&next);
        ACTC_RETURN_IF_ERROR(status);
    }
    return ACTC_OK;
}

static void set_all(const actc_graph *graph, slicing *s, uint64_t budget)
{
    for (size_t i = 0; i < graph->n_tensors; i++)
        s->budgets[i] = budget;
}

/* Of a deterministic device: less at once lowers the peak until something else is the peak. */
static actc_status budget_all(slicing *s, actc_build **best)
{
    uint64_t largest = 0;
    for (size_t i = 0; i < (*best)->n_kept; i++)
        if ((*best)->kept[i].saved && (*best)->kept[i].saved->codec && (*best)->kept[i].dense_bytes > largest)
            largest = (*best)->kept[i].dense_bytes;
    for (uint32_t parts = 2, idle = 0; parts <= MOST_PARTS && idle < 2; parts *= 2) {
        actc_build *next;
        set_all((*best)->graph, s, (largest + parts - 1) / parts);
        ACTC_RETURN_IF_ERROR(build_again(*best, s, &next));
        idle++;
        if (next->plan.tensor_peak_bytes < (*best)->plan.tensor_peak_bytes) {
            swap(&next, best);
            idle = 0;
        }
        actc_build_destroy(&next);
    }
    return ACTC_OK;
}

actc_status actc_build_best(actc_device *device, const actc_graph *graph, const actc_network_options *options, actc_build **out)
{
    slicing s = {.budgets = actc_calloc(graph->n_tensors, sizeof *s.budgets)};
    *out = NULL;
    if (!s.budgets)
        return actc_out_of_memory(device->context, graph->n_tensors * sizeof *s.budgets, "the memory plan");
    set_all(graph, &s, UINT64_MAX);
    actc_status status = actc_build_create(device, graph, options, true, device->deterministic ? s.budgets : NULL, out);
    if (status == ACTC_OK && restorations(*out))
        status = device->deterministic ? budget_all(&s, out) : budget_each(&s, out);
    actc_free(s.budgets);
    if (status != ACTC_OK)
        actc_build_destroy(out);
    return status;
}
