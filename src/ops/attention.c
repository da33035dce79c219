/* attention.c: softmax(scale * q k^T) v of several heads.
 *
 * Saves its inputs and, where none of them is compressed, its output and a log-sum-exp a query. Where one is, weights and row sums
 * must be those of the restored numbers (of others the softmax does not add up to 1, and gradients explode): the backward pass then
 * begins with a forward pass over them, and the output is not kept. The same where the output's next reader compresses it.
 */
#include <math.h>

#include "dropout.h"

#include "../lower/lower.h"

typedef struct attention_attributes {
    uint32_t heads;
    bool causal;
    double scale, p;
} attention_attributes;

enum { LSE }; /* of what it keeps */

/* Of self attention, q and kv are one tensor: each token has q, k and v. */
static bool is_self(const actc_op *op)
{
    return op->n_inputs == 1;
}

static const actc_tensor *kv_tensor(const actc_op *op)
{
    return op->inputs[op->n_inputs - 1];
}

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    const attention_attributes *a = op->attributes;
    const actc_shape *q = &in[0], *kv = &in[op->n_inputs - 1];
    const int64_t parts = is_self(op) ? 3 : 1, head_dim = q->ndim == 3 ? q->dims[2] / parts / a->heads : 0, width = a->heads * head_dim;
    char text[2][96];
    bool fits = q->ndim == 3 && kv->ndim == 3 && width && q->dims[2] == parts * width && (is_self(op) || kv->dims[2] == 2 * width);
    if (!fits && is_self(op))
        snprintf(why, why_size, "needs q, k and v of %u heads side by side, B,T,3*heads*head_dim, got %s", a->heads,
                 actc_shape_text(q, text[0]));
    else if (!fits)
        snprintf(why, why_size, "needs q B,TQ,heads*head_dim and kv B,TK,2*heads*head_dim with %u heads, got %s and %s", a->heads,
                 actc_shape_text(q, text[0]), actc_shape_text(kv, text[1]));
    else if ((fits = head_dim <= ACTC_ATTENTION_HEAD_DIM) == false)
        snprintf(why, why_size, "head_dim is %lld, at most %u is supported", (long long)head_dim, ACTC_ATTENTION_HEAD_DIM);
    else if ((fits = actc_shape_elements(q) <= INT32_MAX && actc_shape_elements(kv) <= INT32_MAX) == false)
        snprintf(why, why_size, "an input has more than 2^31 - 1 elements");
    else if ((fits = a->p == 0 || q->dims[1] * ((kv->dims[1] + 3) / 4) <= UINT32_MAX) == false)
        snprintf(why, why_size, "dropout of %lld x %lld pairs has too few random numbers", (long long)q->dims[1], (long long)kv->dims[1]);
    *out = q[0];
    if (fits)
        out->dims[2] = width;
    return fits;
}

static void needs(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user)
{
    bool any = false;
    for (uint32_t i = 0; i < op->n_inputs; i++)
        any |= gradients->input[i];
    for (uint32_t i = 0; any && i < op->n_inputs; i++)
        need(user, op, op->inputs[i], ACTC_NEED_FOR_GRADIENT);
    if (any)
        need(user, op, op->output, ACTC_NEED_IF_EXACT);
}

static uint32_t tiles(uint32_t n)
{
    return (n + ACTC_ATTENTION_TILE - 1) / ACTC_ATTENTION_TILE;
}

static struct actc_params_attention describe(const actc_lower *lower, const actc_op *op)
{
    const attention_attributes *a = op->attributes;
    const actc_shape *q = &lower->shapes[op->inputs[0]->id], *kv = &lower->shapes[kv_tensor(op)->id];
    const uint32_t width = (uint32_t)lower->shapes[op->output->id].dims[2], first = is_self(op) ? width : 0;
    const bool dropout = lower->training && a->p > 0;
    struct actc_params_attention p = {
        .batch = (uint32_t)q->dims[0], .heads = a->heads, .head_dim = width / a->heads, .tq = (uint32_t)q->dims[1],
        .tk = (uint32_t)kv->dims[1], .causal = a->causal, .q_row = (uint32_t)q->dims[2], .k_at = first, .v_at = first + width,
        .kv_row = (uint32_t)kv->dims[2], .dropout = dropout, .path = op->hash, .rescale = 1};
    p.scale = (float)(a->scale > 0 ? a->scale : 1 / sqrt((double)p.head_dim));
    if (dropout) {
        p.threshold = actc_dropout_threshold(a->p);
        p.rescale = actc_dropout_scale(a->p);
    }
    return p;
}

static uint64_t rows_bytes(const struct actc_params_attention *p)
{
    return 4ull * p->batch * p->tq * p->heads;
}

static actc_view random_of(actc_lower *lower, const struct actc_params_attention *p)
{
    return p->dropout ? actc_lower_step_block(lower) : ACTC_NO_VIEW;
}

static void emit_forward(actc_lower *lower, struct actc_params_attention p, actc_view q, actc_view kv, actc_view o, actc_view lse)
{
    p.keep = lse.bytes > 0;
    ACTC_EMIT(lower, attention_fwd, p.batch * p.heads * tiles(p.tq) * tiles(p.head_dim), &p, q, kv, random_of(lower, &p), o, lse);
}

/* Whether the backward pass finds all that it needs, and as it was. */
static bool is_kept(const actc_lower *lower, const actc_op *op)
{
    bool kept = actc_lower_is_exact(lower, op->output);
    for (uint32_t i = 0; i < op->n_inputs; i++)
        kept &= actc_lower_is_exact(lower, op->inputs[i]);
    return kept;
}

static void forward(actc_lower *lower, const actc_op *op)
{
    const struct actc_params_attention p = describe(lower, op);
    actc_view lse = ACTC_NO_VIEW;
    if (actc_lower_has_backward(lower, op) && is_kept(lower, op))
        lse = actc_lower_keep(lower, op, LSE, ACTC_MEMORY_KEPT_DENSE, rows_bytes(&p));
    const actc_view q = actc_lower_input(lower, op, 0), kv = actc_lower_input(lower, op, op->n_inputs - 1);
    emit_forward(lower, p, q, kv, actc_lower_output(lower, op), lse);
}

/* In how many parts of whole samples to go through the inputs. */
static uint32_t parts_of(const actc_lower *lower, const actc_op *op, uint32_t batch)
{
    uint32_t parts = 1;
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        const uint32_t slices = actc_lower_slices(lower, op->inputs[i]);
        if (!actc_lower_has_planes(lower, op->inputs[i]))
            return 1;
        parts = slices > parts ? slices : parts;
    }
    for (bool whole = false; parts > 1 && !whole; parts -= !whole) {
        whole = batch % parts == 0 && actc_lower_bytes(lower, op->output) / parts % ACTC_VIEW_ALIGNMENT == 0;
        for (uint32_t i = 0; i < op->n_inputs; i++)
            whole &= actc_lower_bytes(lower, op->inputs[i]) / parts % ACTC_VIEW_ALIGNMENT == 0;
    }
    return parts;
}

static actc_view part_of(actc_view view, uint32_t part, uint32_t parts)
{
    return view.bytes ? actc_lower_part(view, part * (view.bytes / parts), view.bytes / parts) : view;
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    struct actc_params_attention p = describe(lower, op);
    const uint32_t last = op->n_inputs - 1, parts = parts_of(lower, op, p.batch);
    const bool kept = is_kept(lower, op);
    const actc_view all_do = actc_lower_output_gradient(lower, op);
    actc_view gradient[2] = {ACTC_NO_VIEW, ACTC_NO_VIEW}; /* of the inputs */
    for (uint32_t i = 0; i <= last; i++)
        if (gradients->input[i])
            gradient[i] = actc_lower_input_gradient(lower, op, i, false);
    p.batch /= parts;
    for (uint32_t part = 0; part < parts && lower->status == ACTC_OK; part++) {
        p.first = part * p.batch;
        const actc_view q = actc_lower_restore(lower, op->inputs[0], p.first, p.batch);
        const actc_view kv = last ? actc_lower_restore(lower, op->inputs[last], p.first, p.batch) : q;
        const actc_view dout = part_of(all_do, part, parts), random = random_of(lower, &p);
        actc_view o, lse;
        if (kept) {
            o = actc_lower_restore_all(lower, op->output);
            lse = actc_lower_kept(lower, op, LSE);
        } else {
            o = actc_lower_new(lower, ACTC_MEMORY_WORKSPACE, dout.bytes, "output of restored inputs");
            lse = actc_lower_new(lower, ACTC_MEMORY_WORKSPACE, rows_bytes(&p), "log-sum-exp of restored inputs");
            emit_forward(lower, p, q, kv, o, lse);
        }
        const actc_view delta = actc_lower_new(lower, ACTC_MEMORY_WORKSPACE, rows_bytes(&p), "row sums");
        const struct actc_params_attention_delta rows = {.rows = p.batch * p.tq * p.heads, .head_dim = p.head_dim};
        ACTC_EMIT(lower, attention_delta, (rows.rows + ACTC_ATTENTION_ROWS - 1) / ACTC_ATTENTION_ROWS, &rows, dout, o, delta);
        const uint32_t columns = p.batch * p.heads * tiles(p.head_dim);
        if (gradients->input[0])
            ACTC_EMIT(lower, attention_bwd_q, columns * tiles(p.tq), &p, q, kv, dout, lse, delta, random,
                      part_of(gradient[0], part, parts));
        if (gradients->input[last])
            ACTC_EMIT(lower, attention_bwd_kv, columns * tiles(p.tk), &p, q, kv, dout, lse, delta, random,
                      part_of(gradient[last], part, parts));
    }
    for (uint32_t i = 0; i <= last; i++)
        if (gradients->input[i])
            actc_lower_commit_gradient(lower, op, i, gradient[i]);
}

const actc_op_def actc_attention_def = {.kind = "attention", .attributes_bytes = sizeof(attention_attributes), .infer = infer,
                                        .needs = needs, .keeps = true, .forward = forward, .backward = backward};

actc_attention_options actc_attention_options_default(int64_t heads)
{
    return (actc_attention_options){.size = sizeof(actc_attention_options), .heads = heads};
}

static actc_tensor *build(actc_graph *graph, const char *name, actc_tensor **inputs, uint32_t n_inputs,
                          const actc_attention_options *given)
{
    if (!actc_graph_accepts(graph, inputs, n_inputs, name))
        return NULL;
    actc_attention_options o, defaults = actc_attention_options_default(0);
    if (!actc_graph_take_options(graph, name, "actc_attention_options", given, sizeof o, &defaults, &o))
        return NULL;
    if (o.heads < 1 || o.heads > 65535)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (attention): heads is %lld, must be 1 to 65535", name,
                               (long long)o.heads);
    if (!(o.scale == 0 || (o.scale >= 1e-6 && o.scale <= 1e6)))
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                               "%s (attention): scale is %g, must be 1e-6 to 1e6, or 0 for head_dim^-1/2", name, o.scale);
    if (!(o.dropout >= 0 && o.dropout < 1))
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (attention): dropout is %g, must be 0 <= dropout < 1", name,
                               o.dropout);
    const attention_attributes a = {(uint32_t)o.heads, o.causal, o.scale, o.dropout};
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_attention_def, .inputs = inputs, .n_inputs = n_inputs,
                                                     .attributes = &a});
}

actc_tensor *actc_attention(actc_graph *graph, const char *name, actc_tensor *qkv, const actc_attention_options *options)
{
    return build(graph, name, &qkv, 1, options);
}

actc_tensor *actc_cross_attention(actc_graph *graph, const char *name, actc_tensor *q, actc_tensor *kv,
                                  const actc_attention_options *options)
{
    return build(graph, name, (actc_tensor *[]){q, kv}, 2, options);
}
