/* move.c: what a move is in memory, and the launches that make it. */
#include "move.h"

#include "physical.h"

/* ---- building ---- */

static bool fits(const actc_shape *shape)
{
    uint64_t elements = 1;
    for (int i = 0; i < shape->ndim; i++)
        if (!actc_mul_u64(elements, (uint64_t)shape->dims[i], &elements) || elements > INT32_MAX)
            return false;
    return true;
}

static void *too_large(actc_graph *graph, const char *name, const actc_op_def *def, const actc_shape *shape)
{
    char text[96];
    return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (%s): %s has more than 2^31 - 1 elements", name, def->kind,
                           actc_shape_text(shape, text));
}

bool actc_move_accepts(actc_graph *graph, const char *name, const actc_op_def *def, actc_tensor *x)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return false;
    if (!fits(&x->shape))
        too_large(graph, name, def, &x->shape);
    return graph->status == ACTC_OK;
}

void actc_move_add(actc_move *move, int64_t count, int from, int64_t from_step, int to, int64_t to_step)
{
    move->loops[move->n_loops++] = (actc_move_loop){(uint32_t)count, from, to, (uint32_t)from_step, (uint32_t)to_step};
}

actc_tensor *actc_move_append(actc_graph *graph, const char *name, const actc_op_def *def, actc_tensor *x,
                              const actc_move_attributes *attributes)
{
    if (!fits(&attributes->shape))
        return too_large(graph, name, def, &attributes->shape);
    return actc_graph_append(graph, name, &(actc_op){.def = def, .inputs = &x, .n_inputs = 1, .attributes = attributes});
}

bool actc_move_infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    *out = ((const actc_move_attributes *)op->attributes)->shape;
    out->dims[0] = in[0].dims[0];
    return true;
}

/* ---- in memory ---- */

#define COPY_AXES 6
#define BOX_AXES (ACTC_MOVE_LOOPS + 1)

typedef struct axis {
    uint32_t size, ss, ds; /* strides in the source and in the target */
} axis;

/* What is moved, as strided axes in the order of the target. */
typedef struct box {
    uint32_t n, axes;
    axis axis[BOX_AXES];
    uint32_t source_at, target_at;
} box;

/* Puts an axis in its place, unless it is of one element. */
static void insert(box *b, axis a)
{
    if (a.size == 1)
        return;
    uint32_t k = b->axes++;
    for (; k > 0 && b->axis[k - 1].ds < a.ds; k--)
        b->axis[k] = b->axis[k - 1];
    b->axis[k] = a;
}

/* Neighbours that lie as one axis in both become one. */
static void join(box *b)
{
    uint32_t kept = 0;
    for (uint32_t k = 0; k < b->axes; k++) {
        axis *last = kept ? &b->axis[kept - 1] : NULL, a = b->axis[k];
        if (last && last->ss == a.size * a.ss && last->ds == a.size * a.ds)
            *last = (axis){last->size * a.size, a.ss, a.ds};
        else
            b->axis[kept++] = a;
    }
    b->axes = kept;
}

/* From a tensor to the other, or back. */
static box box_of(const actc_move *move, const actc_shape *from, const actc_shape *to, bool back)
{
    uint32_t dims[ACTC_MAX_DIMS], from_strides[ACTC_MAX_DIMS], to_strides[ACTC_MAX_DIMS];
    actc_physical_dims(from, dims, from_strides);
    actc_physical_dims(to, dims, to_strides);
    box b = {.n = (uint32_t)from->dims[0]};
    axis batch = {(uint32_t)from->dims[0], from_strides[0], to_strides[0]};
    insert(&b, back ? (axis){batch.size, batch.ds, batch.ss} : batch);
    for (uint32_t i = 0; i < move->n_loops; i++) {
        const actc_move_loop *loop = &move->loops[i];
        uint32_t s = loop->from_step * from_strides[actc_physical_axis(from, loop->from)];
        uint32_t d = loop->to_step * to_strides[actc_physical_axis(to, loop->to)];
        b.n *= loop->count;
        insert(&b, (axis){loop->count, back ? d : s, back ? s : d});
    }
    for (int i = 0; i < from->ndim; i++)
        *(back ? &b.target_at : &b.source_at) += move->from_begin[i] * from_strides[actc_physical_axis(from, i)];
    for (int i = 0; i < to->ndim; i++)
        *(back ? &b.source_at : &b.target_at) += move->to_begin[i] * to_strides[actc_physical_axis(to, i)];
    join(&b);
    return b;
}

bool actc_move_alias(const actc_op *op, const actc_shape *in, bool training)
{
    (void)training;
    const actc_move_attributes *a = op->attributes;
    actc_shape out = a->shape;
    out.dims[0] = in[0].dims[0];
    if (a->n_moves > 1 || actc_shape_elements(&in[0]) != actc_shape_elements(&out))
        return false;
    const box b = box_of(&a->moves[0], &in[0], &out, false);
    return b.axes == 0 || (b.axes == 1 && b.axis[0].ss == 1 && b.axis[0].ds == 1);
}

/* ---- emitting ---- */

/* The columns of matrices become their rows: there is a kernel for that. */
static bool is_transpose(const box *b, struct actc_params_transpose *params)
{
    if (b->source_at || b->target_at || b->axes < 2 || b->axes > 3)
        return false;
    const axis *batch = b->axes == 3 ? &b->axis[0] : NULL, *cols = &b->axis[b->axes - 2], *rows = cols + 1;
    *params = (struct actc_params_transpose){.n = b->n, .rows = rows->size, .cols = cols->size};
    return cols->ss == 1 && cols->ds == rows->size && rows->ss == cols->size && rows->ds == 1 &&
           (!batch || (batch->ss == rows->size * cols->size && batch->ds == batch->ss));
}

static void emit(actc_lower *lower, box b, actc_view source, actc_view target)
{
    struct actc_params_transpose transpose;
    if (is_transpose(&b, &transpose)) {
        ACTC_EMIT_ELEMENTWISE(lower, transpose, &transpose, source, target);
        return;
    }
    if (b.axes > COPY_AXES) { /* a launch for each round of the shortest axis */
        uint32_t k = 0;
        for (uint32_t i = 1; i < b.axes; i++)
            k = b.axis[i].size < b.axis[k].size ? i : k;
        const axis turns = b.axis[k];
        b.axes--;
        b.n /= turns.size;
        for (uint32_t i = k; i < b.axes; i++)
            b.axis[i] = b.axis[i + 1];
        for (uint32_t i = 0; i < turns.size; i++, b.source_at += turns.ss, b.target_at += turns.ds)
            emit(lower, b, source, target);
        return;
    }
    struct actc_params_copy_nd params = {.n = b.n, .size = {1, 1, 1, 1, 1, 1}, .source_at = b.source_at,
                                         .target_at = b.target_at};
    for (uint32_t i = 0; i < b.axes; i++) {
        const uint32_t k = COPY_AXES - b.axes + i;
        params.size[k] = b.axis[i].size;
        params.ss[k] = b.axis[i].ss;
        params.ds[k] = b.axis[i].ds;
    }
    ACTC_EMIT_ELEMENTWISE(lower, copy_nd, &params, source, target);
}

/* All moves one after the other, from the first tensor to the last, or back. */
static void run(actc_lower *lower, const actc_op *op, actc_view source, actc_view target, bool back)
{
    const actc_move_attributes *a = op->attributes;
    const actc_shape *from = &lower->shapes[op->inputs[0]->id], *to = &lower->shapes[op->output->id];
    const actc_shape rows = {.ndim = 2, .dims = {from->dims[0], actc_shape_elements(from) / from->dims[0]}};
    const actc_shape *ends[] = {from, a->n_moves > 1 ? &rows : to, to};
    for (uint32_t k = 0; k < a->n_moves; k++) {
        const uint32_t m = back ? a->n_moves - 1 - k : k;
        const box b = box_of(&a->moves[m], ends[m], ends[m + 1], back);
        const bool last = k + 1 == a->n_moves;
        const actc_view next = last ? target : actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, source.bytes, op->path);
        if (b.n < next.bytes / 4)
            actc_emit_fill(lower, next, back ? 0 : a->fill);
        emit(lower, b, source, next);
        source = next;
    }
}

void actc_move_forward(actc_lower *lower, const actc_op *op)
{
    run(lower, op, actc_lower_input(lower, op, 0), actc_lower_output(lower, op), false);
}

void actc_move_backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    run(lower, op, actc_lower_output_gradient(lower, op), dx, true);
    actc_lower_commit_gradient(lower, op, 0, dx);
}
