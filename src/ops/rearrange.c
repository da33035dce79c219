/* rearrange.c: the same elements in another order or shape: permute, reshape, pixel shuffle, patchify. */
#include "move.h"

/* ---- permute ---- */

ACTC_MOVE_DEF(permute);

actc_tensor *actc_permute(actc_graph *graph, const char *name, actc_tensor *x, const int *order)
{
    if (!actc_move_accepts(graph, name, &actc_permute_def, x))
        return NULL;
    if (!order)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (permute): order is NULL", name);
    const int ndim = x->shape.ndim;
    actc_move_attributes a = {.shape = {.ndim = ndim, .dims = {1}}, .n_moves = 1};
    bool seen[ACTC_MAX_DIMS] = {false};
    for (int i = 0; i < ndim; i++) {
        if ((i == 0) != (order[i] == 0) || order[i] < 0 || order[i] >= ndim || seen[order[i]])
            return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                                   "%s (permute): order[%d] is %d; 0 comes first, then 1 to %d, each once", name, i, order[i],
                                   ndim - 1);
        seen[order[i]] = true;
        a.shape.dims[i] = x->shape.dims[order[i]];
        if (i > 0)
            actc_move_add(&a.moves[0], a.shape.dims[i], order[i], 1, i, 1);
    }
    return actc_move_append(graph, name, &actc_permute_def, x, &a);
}

/* ---- reshape ---- */

/* A sample's axes in PyTorch's order, outermost first, as they lie in memory: maps have their channels and their positions, all
 * else has one axis. */
typedef struct runs {
    int n, axis[2];
    int64_t size[2];
} runs;

static runs runs_of(const actc_shape *shape)
{
    const int64_t elements = actc_shape_elements(shape) / shape->dims[0];
    const int64_t channels = shape->ndim < 4 ? 1 : shape->dims[1], positions = elements / channels;
    if (channels > 1 && positions > 1)
        return (runs){2, {1, shape->ndim - 1}, {channels, positions}};
    return (runs){1, {channels > 1 ? 1 : shape->ndim - 1}, {elements}};
}

/* Loops that take the elements in PyTorch's order from one shape to the other; false where a loop would have to end inside of an
 * axis. */
static bool in_order(const actc_shape *from, const actc_shape *to, actc_move *move)
{
    const runs f = runs_of(from), t = runs_of(to);
    int i = f.n - 1, k = t.n - 1;
    int64_t from_step = 1, to_step = 1;
    *move = (actc_move){0};
    while (i >= 0 && k >= 0) { /* innermost first */
        const int64_t from_left = f.size[i] / from_step, to_left = t.size[k] / to_step;
        const int64_t count = from_left < to_left ? from_left : to_left;
        if (from_left % count || to_left % count)
            return false;
        actc_move_add(move, count, f.axis[i], from_step, t.axis[k], to_step);
        from_step *= count;
        to_step *= count;
        if (from_step == f.size[i]) {
            from_step = 1;
            i--;
        }
        if (to_step == t.size[k]) {
            to_step = 1;
            k--;
        }
    }
    return true;
}

/* The shape of `dims` with what -1 stands for; false after an error. */
static bool take_dims(actc_graph *graph, const char *name, const actc_tensor *x, const int64_t *dims, int ndim, actc_shape *shape)
{
    char given[96], text[96];
    int open = 0;
    uint64_t elements = (uint64_t)actc_shape_elements(&x->shape), known = 1;
    if (ndim < 0 || ndim >= ACTC_MAX_DIMS || (ndim && !dims)) {
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (reshape): %d dimensions a sample given, 0 to %d are accepted",
                        name, ndim, ACTC_MAX_DIMS - 1);
        return false;
    }
    *shape = (actc_shape){.ndim = ndim + 1, .dims = {1}};
    for (int i = 0; i < ndim; i++) {
        if ((dims[i] == -1 && open) || dims[i] == 0 || dims[i] < -1 || dims[i] > INT32_MAX) {
            actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                            "%s (reshape): dimension %d is %lld, must be 1 to %d, or one of them -1",
                            name, i, (long long)dims[i], INT32_MAX);
            return false;
        }
        shape->dims[i + 1] = dims[i];
        if (dims[i] == -1)
            open = i + 1;
        else if (!actc_mul_u64(known, (uint64_t)dims[i], &known))
            known = UINT64_MAX;
    }
    if (open ? elements % known != 0 : known != elements) {
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (reshape): %s cannot become %s: %llu elements a sample", name,
                        actc_shape_text(&x->shape, text), actc_shape_text(shape, given), (unsigned long long)elements);
        return false;
    }
    if (open)
        shape->dims[open] = (int64_t)(elements / known);
    return true;
}

ACTC_MOVE_DEF(reshape);

actc_tensor *actc_reshape(actc_graph *graph, const char *name, actc_tensor *x, const int64_t *dims, int ndim)
{
    actc_move_attributes a = {.n_moves = 1};
    if (!actc_move_accepts(graph, name, &actc_reshape_def, x) || !take_dims(graph, name, x, dims, ndim, &a.shape))
        return NULL;
    if (!in_order(&x->shape, &a.shape, &a.moves[0])) {
        const actc_shape rows = {.ndim = 2, .dims = {1, actc_shape_elements(&x->shape)}};
        in_order(&x->shape, &rows, &a.moves[0]);
        in_order(&rows, &a.shape, &a.moves[1]);
        a.n_moves = 2;
    }
    return actc_move_append(graph, name, &actc_reshape_def, x, &a);
}

/* ---- blocks of positions ---- */

static bool is_map(actc_graph *graph, const char *name, const actc_op_def *def, const actc_tensor *x)
{
    char text[96];
    if (x->shape.ndim < 4)
        actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (%s): needs an input N,C,H,W or N,C,D,H,W, got %s", name,
                        def->kind, actc_shape_text(&x->shape, text));
    return graph->status == ACTC_OK;
}

ACTC_MOVE_DEF(pixel_shuffle);

actc_tensor *actc_pixel_shuffle(actc_graph *graph, const char *name, actc_tensor *x, int64_t factor)
{
    if (!actc_move_accepts(graph, name, &actc_pixel_shuffle_def, x) || !is_map(graph, name, &actc_pixel_shuffle_def, x))
        return NULL;
    const int ndim = x->shape.ndim, axes = ndim - 2;
    int64_t channels = x->shape.dims[1];
    bool good = factor >= 1;
    for (int i = 0; i < axes && good; i++) {
        good = channels % factor == 0;
        channels /= factor;
    }
    if (!good)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                               "%s (pixel_shuffle): factor %lld of %lld channels; factor^%d must divide the channels", name,
                               (long long)factor, (long long)x->shape.dims[1], axes);
    actc_move_attributes a = {.shape = x->shape, .n_moves = 1};
    actc_move *move = &a.moves[0];
    int64_t step = 1; /* of the innermost factor of the channels, which becomes the last axis' */
    a.shape.dims[1] = channels;
    for (int i = ndim - 1; i >= 2; i--, step *= factor) {
        a.shape.dims[i] *= factor;
        actc_move_add(move, x->shape.dims[i], i, 1, i, factor);
        actc_move_add(move, factor, 1, step, i, 1);
    }
    actc_move_add(move, channels, 1, step, 1, 1);
    return actc_move_append(graph, name, &actc_pixel_shuffle_def, x, &a);
}

ACTC_MOVE_DEF(patchify);

actc_tensor *actc_patchify(actc_graph *graph, const char *name, actc_tensor *x, const int64_t *patch)
{
    if (!actc_move_accepts(graph, name, &actc_patchify_def, x) || !is_map(graph, name, &actc_patchify_def, x))
        return NULL;
    if (!patch)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (patchify): patch is NULL", name);
    actc_move_attributes a = {.n_moves = 1};
    int64_t tokens = 1, elements = x->shape.dims[1];
    actc_move_add(&a.moves[0], elements, 1, 1, 2, 1);
    for (int i = x->shape.ndim - 1; i >= 2; i--) {
        const int64_t size = x->shape.dims[i], of_patch = patch[i - 2];
        if (of_patch < 1 || size % of_patch)
            return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                                   "%s (patchify): patch[%d] is %lld, must divide the axis of %lld", name, i - 2,
                                   (long long)of_patch, (long long)size);
        actc_move_add(&a.moves[0], size / of_patch, i, of_patch, 1, tokens);
        actc_move_add(&a.moves[0], of_patch, i, 1, 2, elements);
        tokens *= size / of_patch;
        elements *= of_patch;
    }
    a.shape = (actc_shape){.ndim = 3, .dims = {1, tokens, elements}};
    return actc_move_append(graph, name, &actc_patchify_def, x, &a);
}
