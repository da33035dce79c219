/* rearrange.c: the same elements in another order or shape: permute, reshape, pixel shuffle, patchify and back. */
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

/* Loops over the elements of a map of this shape by their patches, from the map to the sequence of these where `patchify`, else back;
 * the shape of the sequence. False with the error set where a patch does not fit. */
static bool by_patches(actc_graph *graph, const char *name, const actc_op_def *def, const actc_shape *map, const int64_t *patch,
                       bool patchify, actc_move *move, actc_shape *sequence)
{
    int64_t tokens = 1, elements = map->dims[1];
    *move = (actc_move){0};
    actc_move_add(move, elements, patchify ? 1 : 2, 1, patchify ? 2 : 1, 1);
    for (int i = map->ndim - 1; i >= 2; i--) {
        const int64_t size = map->dims[i], of_patch = patch[i - 2];
        if (of_patch < 1 || size % of_patch) {
            actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (%s): patch[%d] is %lld, must divide the axis of %lld", name,
                            def->kind, i - 2, (long long)of_patch, (long long)size);
            return false;
        }
        if (patchify) {
            actc_move_add(move, size / of_patch, i, of_patch, 1, tokens);
            actc_move_add(move, of_patch, i, 1, 2, elements);
        } else {
            actc_move_add(move, size / of_patch, 1, tokens, i, of_patch);
            actc_move_add(move, of_patch, 2, elements, i, 1);
        }
        tokens *= tokens > INT32_MAX ? 1 : size / of_patch; /* that many are too many */
        elements *= of_patch;
    }
    *sequence = (actc_shape){.ndim = 3, .dims = {1, tokens, elements}};
    return true;
}

ACTC_MOVE_DEF(patchify);

actc_tensor *actc_patchify(actc_graph *graph, const char *name, actc_tensor *x, const int64_t *patch)
{
    actc_move_attributes a = {.n_moves = 1};
    if (!actc_move_accepts(graph, name, &actc_patchify_def, x) || !is_map(graph, name, &actc_patchify_def, x))
        return NULL;
    if (!patch)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (patchify): patch is NULL", name);
    if (!by_patches(graph, name, &actc_patchify_def, &x->shape, patch, true, &a.moves[0], &a.shape))
        return NULL;
    return actc_move_append(graph, name, &actc_patchify_def, x, &a);
}

ACTC_MOVE_DEF(unpatchify);

actc_tensor *actc_unpatchify(actc_graph *graph, const char *name, actc_tensor *x, const int64_t *size, const int64_t *patch, int axes)
{
    char text[96];
    if (!actc_move_accepts(graph, name, &actc_unpatchify_def, x))
        return NULL;
    if (x->shape.ndim != 3)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (unpatchify): needs an input B,T,D, got %s", name,
                               actc_shape_text(&x->shape, text));
    if (!size || !patch || (axes != 2 && axes != 3))
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (unpatchify): %s", name,
                               size && patch ? "the axes must be 2 or 3" : "size or patch is NULL");
    int64_t of_patch = 1;
    actc_shape map = {.ndim = axes + 2, .dims = {1, 1}}, sequence;
    for (int i = 0; i < axes; i++) {
        if (size[i] < 1 || size[i] > INT32_MAX || patch[i] < 1 || patch[i] > size[i])
            return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                                   "%s (unpatchify): size[%d] is %lld and patch[%d] %lld; 1 <= patch <= size <= %d is accepted", name, i,
                                   (long long)size[i], i, (long long)patch[i], INT32_MAX);
        map.dims[i + 2] = size[i];
        of_patch = of_patch > INT32_MAX ? of_patch : of_patch * patch[i];
    }
    map.dims[1] = x->shape.dims[2] % of_patch == 0 ? x->shape.dims[2] / of_patch : 0;
    if (map.dims[1] == 0)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (unpatchify): patches of %lld positions must divide the %lld "
                               "elements of a token", name, (long long)of_patch, (long long)x->shape.dims[2]);
    actc_move_attributes a = {.shape = map, .n_moves = 1};
    if (!by_patches(graph, name, &actc_unpatchify_def, &map, patch, false, &a.moves[0], &sequence))
        return NULL;
    if (sequence.dims[1] != x->shape.dims[1])
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (unpatchify): %lld patches for %lld tokens", name,
                               (long long)sequence.dims[1], (long long)x->shape.dims[1]);
    return actc_move_append(graph, name, &actc_unpatchify_def, x, &a);
}
