/* recompute.c: what is computed again in the backward pass instead of being kept.
 *
 * Operators that follow one another and are chosen by the same rule or scope are a segment. Nothing that they save is kept: before the
 * backward pass enters a segment, those of its operators whose outputs or own notes are needed run again, from the tensors at its
 * border, which are kept as they are (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016). What operators outside read
 * of a segment is kept as ever.
 */
#include <string.h>

#include "policy.h"

typedef struct work {
    const actc_graph *graph;
    actc_autodiff *autodiff;
    const actc_shape *shapes;
    actc_policy *policy;
    const actc_saved_need **need; /* [tensor id]: NULL where nobody's backward needs it */
    bool *wanted;                 /* [tensor id]: read by an operator of its segment that runs again */
    bool *border;                 /* [tensor id]: scratch of the segment at hand */
} work;

static uint64_t bytes_of(const work *w, const actc_tensor *tensor)
{
    return (uint64_t)actc_shape_elements(&w->shapes[tensor->id]) * actc_dtype_bytes(tensor->dtype);
}

static bool is_of(const work *w, const actc_op *op, uint32_t segment)
{
    return op && w->policy->segment[op->id] == segment;
}

/* Whether only operators of the segment, which has made the tensor, need it in the backward pass. */
static bool stays_inside(const work *w, const actc_tensor *tensor, uint32_t segment)
{
    const actc_saved_need *need = w->need[tensor->id];
    bool inside = need && is_of(w, tensor->producer, segment) && (!need->sign_op || is_of(w, need->sign_op, segment));
    for (size_t i = 0; inside && i < need->n_values; i++)
        inside = is_of(w, need->values[i].op, segment);
    return inside;
}

/* ---- segments ---- */

static bool is_layer(const work *w, size_t op)
{
    return w->autodiff->live[op] && w->graph->ops[op]->def->role == ACTC_OP_LAYER;
}

/* Bytes of the tensors made in [begin, at) and read in [at, end). */
static uint64_t crossing_bytes(const work *w, size_t begin, size_t at, size_t end)
{
    uint64_t bytes = 0;
    memset(w->border, 0, w->graph->n_tensors * sizeof *w->border);
    for (size_t i = at; i < end; i++) {
        const actc_op *op = w->graph->ops[i];
        for (uint32_t k = 0; k < op->n_inputs && is_layer(w, i); k++) {
            const actc_tensor *t = op->inputs[k];
            if (t->producer && t->producer->id >= begin && t->producer->id < at && !w->border[t->id]) {
                w->border[t->id] = true;
                bytes += bytes_of(w, t);
            }
        }
    }
    return bytes;
}

/* Of what the operators of [begin, end) make, the bytes that backward operators need. */
static uint64_t needed_bytes(const work *w, size_t begin, size_t end)
{
    uint64_t bytes = 0;
    for (size_t i = begin; i < end; i++)
        if (is_layer(w, i) && w->need[w->graph->ops[i]->output->id])
            bytes += bytes_of(w, w->graph->ops[i]->output);
    return bytes;
}

/* Where in (first, end) to cut a run that began at `begin`: where the fewest bytes cross among the places whose needed bytes before
 * them are within `reach` of `target`; there being none, the nearest. `first` where there is no place. Tensors that cross earlier
 * cuts are kept anyway. */
static size_t cut_at(const work *w, size_t begin, size_t first, size_t end, double target, double reach)
{
    size_t best = first, nearest = first;
    uint64_t least = UINT64_MAX;
    double before = (double)needed_bytes(w, begin, first), distance = 1e300;
    for (size_t i = first + 1; i < end; i++) {
        before += (double)needed_bytes(w, i - 1, i);
        const double away = before > target ? before - target : target - before;
        const uint64_t crossing = away <= reach ? crossing_bytes(w, begin, i, end) : UINT64_MAX;
        if (crossing != UINT64_MAX && crossing <= least) { /* of equals the last: behind what works in place */
            least = crossing;
            best = i;
        }
        if (away < distance) {
            distance = away;
            nearest = i;
        }
    }
    return best != first ? best : nearest;
}

static void add_segment(work *w, size_t begin, size_t end)
{
    w->policy->n_segments++;
    for (size_t i = begin; i < end; i++)
        if (is_layer(w, i))
            w->policy->segment[i] = w->policy->n_segments;
}

/* Cuts [begin, end) into `count` segments of about the same needed bytes. The last of several is none: its backward pass follows at
 * once, so that nothing would be gained. */
static void cut(work *w, size_t begin, size_t end, int count)
{
    const double part = (double)needed_bytes(w, begin, end) / count;
    size_t first = begin;
    for (int s = 1; s < count; s++) {
        size_t last = cut_at(w, begin, first, end, part * s, part / 8);
        if (last > first)
            add_segment(w, first, last);
        first = last;
    }
    if (count == 1)
        add_segment(w, begin, end);
}

static void find_segments(work *w, const actc_recompute_mark *marks)
{
    const size_t n = w->graph->n_ops;
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        if (!is_layer(w, i) || !marks[i].by) {
            i = end;
            continue;
        }
        while (end < n && (!is_layer(w, end) || marks[end].by == marks[i].by))
            end++;
        cut(w, i, end, marks[i].segments);
        i = end;
    }
}

/* ---- what runs again ---- */

/* Whether the tensor is kept as it is, at the border of a later segment. */
static bool is_border(const actc_saved_need *need)
{
    for (size_t i = 0; need && i < need->n_values; i++)
        if (need->values[i].kind == ACTC_NEED_FOR_RECOMPUTE)
            return true;
    return false;
}

/* Marks what of the segment runs again, and its border; false where that would keep more than it saves. */
static bool mark_segment(work *w, uint32_t segment)
{
    actc_policy *policy = w->policy;
    uint64_t saved = 0, kept = 0;
    memset(w->border, 0, w->graph->n_tensors * sizeof *w->border);
    for (size_t i = w->graph->n_ops; i-- > 0;) {
        const actc_op *op = w->graph->ops[i];
        const actc_tensor *out = op->output;
        if (policy->segment[i] != segment)
            continue;
        const actc_saved_need *need = w->need[out->id];
        if (stays_inside(w, out, segment)) {
            policy->recomputed[out->id] = true;
            saved += need->n_values ? bytes_of(w, out) : bytes_of(w, out) / 32;
        }
        policy->again[i] = policy->recomputed[out->id] || w->wanted[out->id] || (op->def->keeps && w->autodiff->backward[i]);
        for (uint32_t k = 0; policy->again[i] && k < op->n_inputs; k++) {
            const actc_tensor *in = op->inputs[k];
            bool inside = is_of(w, in->producer, segment);
            w->wanted[in->id] |= inside && !is_border(w->need[in->id]);
            if (inside || w->border[in->id])
                continue;
            w->border[in->id] = true;
            kept += w->need[in->id] && w->need[in->id]->n_values ? 0 : bytes_of(w, in);
        }
    }
    return saved > kept;
}

static actc_status add_border(work *w, uint32_t segment)
{
    for (size_t t = 0; t < w->graph->n_tensors; t++) {
        const actc_op *reader = NULL;
        for (size_t i = 0; w->border[t] && i < w->graph->n_ops && !reader; i++)
            for (uint32_t k = 0; k < w->graph->ops[i]->n_inputs && w->policy->again[i]; k++)
                if (w->policy->segment[i] == segment && w->graph->ops[i]->inputs[k]->id == t)
                    reader = w->graph->ops[i];
        if (reader)
            ACTC_RETURN_IF_ERROR(actc_autodiff_need(w->autodiff, reader, w->graph->tensors[t], ACTC_NEED_FOR_RECOMPUTE));
    }
    return ACTC_OK;
}

/* The operators of the segment keep what they save after all. */
static void dissolve(work *w, uint32_t segment)
{
    for (size_t i = 0; i < w->graph->n_ops; i++) {
        if (w->policy->segment[i] != segment)
            continue;
        w->policy->recomputed[w->graph->ops[i]->output->id] = false;
        w->policy->again[i] = false;
        w->policy->segment[i] = 0;
    }
}

static actc_status run(work *w, const actc_recompute_mark *marks)
{
    find_segments(w, marks);
    for (uint32_t s = w->policy->n_segments; s > 0; s--) {
        for (size_t t = 0; t < w->graph->n_tensors; t++)
            w->need[t] = NULL;
        for (size_t i = 0; i < w->autodiff->n_saved; i++)
            w->need[w->autodiff->saved[i].tensor->id] = &w->autodiff->saved[i];
        if (mark_segment(w, s))
            ACTC_RETURN_IF_ERROR(add_border(w, s));
        else
            dissolve(w, s);
    }
    return ACTC_OK;
}

actc_status actc_recompute_create(const actc_graph *graph, actc_autodiff *autodiff, const actc_shape *shapes,
                                  const actc_recompute_mark *marks, actc_policy *policy)
{
    work w = {.graph = graph, .autodiff = autodiff, .shapes = shapes, .policy = policy};
    policy->segment = actc_calloc(graph->n_ops, sizeof *policy->segment);
    policy->again = actc_calloc(graph->n_ops, sizeof *policy->again);
    policy->recomputed = actc_calloc(graph->n_tensors, sizeof *policy->recomputed);
    w.need = actc_calloc(graph->n_tensors, sizeof *w.need);
    w.wanted = actc_calloc(graph->n_tensors, sizeof *w.wanted);
    w.border = actc_calloc(graph->n_tensors, sizeof *w.border);
    actc_status status = ACTC_OK;
    if (!policy->segment || !policy->again || !policy->recomputed || !w.need || !w.wanted || !w.border) {
        status = actc_out_of_memory(graph->context, graph->n_tensors, "what is computed again");
    } else {
        for (size_t i = 0; i < autodiff->n_saved; i++)
            w.need[autodiff->saved[i].tensor->id] = &autodiff->saved[i];
        status = run(&w, marks);
    }
    actc_free(w.need);
    actc_free(w.wanted);
    actc_free(w.border);
    return status;
}
