/* move.h: operators that put the elements of one tensor at other places of another, and nothing else. Each describes in logical
 * axes where its elements go; from that come its alias, its forward pass and, the other way round, its backward pass.
 */
#ifndef ACTC_MOVE_H
#define ACTC_MOVE_H

#include "../lower/lower.h"

#define ACTC_MOVE_LOOPS 8

/* One of the loops over the elements of a sample: each of its `count` rounds goes `from_step` further along axis `from` of the
 * source and `to_step` along axis `to` of the target. */
typedef struct actc_move_loop {
    uint32_t count;
    int from, to;
    uint32_t from_step, to_step;
} actc_move_loop;

typedef struct actc_move {
    uint32_t n_loops;
    actc_move_loop loops[ACTC_MOVE_LOOPS];
    uint32_t from_begin[ACTC_MAX_DIMS], to_begin[ACTC_MAX_DIMS]; /* of the first element, by axis */
} actc_move;

/* The attributes of such an operator. */
typedef struct actc_move_attributes {
    actc_shape shape; /* of the output; its batch is the input's */
    uint32_t n_moves; /* 2: by way of rows (N,F) in PyTorch's order, where no loops lead straight from one to the other */
    actc_move moves[2];
    uint32_t fill;    /* bits of the elements of the output that nothing is moved to */
} actc_move_attributes;

/* actc_graph_accepts of an input, which must also have few enough elements for 32-bit loops. */
bool actc_move_accepts(actc_graph *graph, const char *name, const actc_op_def *def, actc_tensor *x);
void actc_move_add(actc_move *move, int64_t count, int from, int64_t from_step, int to, int64_t to_step);
actc_tensor *actc_move_append(actc_graph *graph, const char *name, const actc_op_def *def, actc_tensor *x,
                              const actc_move_attributes *attributes);

bool actc_move_infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size);
bool actc_move_alias(const actc_op *op, const actc_shape *in, bool training);
void actc_move_forward(actc_lower *lower, const actc_op *op);
void actc_move_backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients);

#define ACTC_MOVE_DEF(name)                                                                                              \
    const actc_op_def actc_##name##_def = {.kind = #name, .attributes_bytes = sizeof(actc_move_attributes),              \
                                           .infer = actc_move_infer, .alias = actc_move_alias,                           \
                                           .forward = actc_move_forward, .backward = actc_move_backward}

#endif
