/* slice.c: a part of a tensor, and a tensor with something around it. */
#include <string.h>

#include "move.h"

/* Both keep the order of the elements: these loops are over those of `part`, the smaller of the two. */
static actc_move straight(const actc_shape *part)
{
    actc_move move = {0};
    for (int i = 1; i < part->ndim; i++)
        actc_move_add(&move, part->dims[i], i, 1, i, 1);
    return move;
}

ACTC_MOVE_DEF(slice);

actc_tensor *actc_slice(actc_graph *graph, const char *name, actc_tensor *x, int axis, int64_t begin, int64_t end)
{
    if (!actc_move_accepts(graph, name, &actc_slice_def, x))
        return NULL;
    if (axis < 1 || axis >= x->shape.ndim)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (slice): axis %d; 1 to %d are accepted", name, axis,
                               x->shape.ndim - 1);
    const int64_t size = x->shape.dims[axis];
    if (begin < 0 || begin >= end || end > size)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                               "%s (slice): %lld to %lld of axis %d; 0 <= begin < end <= %lld is accepted",
                               name, (long long)begin, (long long)end, axis, (long long)size);
    actc_move_attributes a = {.shape = x->shape, .n_moves = 1};
    a.shape.dims[axis] = end - begin;
    a.moves[0] = straight(&a.shape);
    a.moves[0].from_begin[axis] = (uint32_t)begin;
    return actc_move_append(graph, name, &actc_slice_def, x, &a);
}

ACTC_MOVE_DEF(pad);

actc_tensor *actc_pad(actc_graph *graph, const char *name, actc_tensor *x, const int64_t *before, const int64_t *after,
                      double value)
{
    if (!actc_move_accepts(graph, name, &actc_pad_def, x))
        return NULL;
    if (!before || !after)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (pad): before or after is NULL", name);
    const float fill = (float)value;
    actc_move_attributes a = {.shape = x->shape, .n_moves = 1};
    memcpy(&a.fill, &fill, sizeof fill);
    a.moves[0] = straight(&x->shape);
    for (int i = 1; i < x->shape.ndim; i++) {
        const int64_t around[] = {before[i - 1], after[i - 1]};
        for (int k = 0; k < 2; k++)
            if (around[k] < 0 || around[k] > INT32_MAX)
                return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (pad): %lld %s axis %d, must be 0 to %d", name,
                                       (long long)around[k], k ? "after" : "before", i, INT32_MAX);
        a.shape.dims[i] += around[0] + around[1];
        a.moves[0].to_begin[i] = (uint32_t)around[0];
    }
    return actc_move_append(graph, name, &actc_pad_def, x, &a);
}
