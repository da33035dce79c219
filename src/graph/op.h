/* op.h: what an operator is to the layers between the graph and the program.
 *
 * An operator is a definition in src/ops: its public builder function, and the functions below. Adding one needs its line in
 * ops/list.c, and nothing else above the program line.
 */
#ifndef ACTC_OP_H
#define ACTC_OP_H

#include <stdio.h>

#include <actc/operators.h>

#include "graph.h"

struct actc_lower;

/* What the backward pass reads of a tensor, and for what: how far an error that a codec makes in it reaches. */
typedef enum actc_need_kind {
    ACTC_NEED_SIGN,           /* only where it is > 0: a mask, or the values where they are kept anyway */
    ACTC_NEED_FOR_PARAMETERS, /* values, for the gradients of the operator's own parameters alone: an error stays there */
    ACTC_NEED_FOR_GRADIENT,   /* values, for the gradient handed on: an error reaches all layers before */
    ACTC_NEED_FOR_RECOMPUTE,  /* values, as they are, to compute others again from (src/policy/recompute.c) */
    ACTC_NEED_PROBABILITY,    /* a probability or prediction that the loss is computed from: a few bytes, and an error ruins
                               * training, so that a rule compresses it only where it names the operator's kind */
    ACTC_NEED_IF_EXACT        /* values of the operator's own output, where neither they nor what it reads are compressed; else it
                               * computes them again from that */
} actc_need_kind;

typedef struct actc_gradient_flags {
    bool *input;     /* [n_inputs]: this input needs a gradient */
    bool *parameter; /* [n_parameters]: this parameter exists and is trained */
} actc_gradient_flags;

typedef enum actc_op_role {
    ACTC_OP_LAYER,
    ACTC_OP_LOSS,  /* scalar: a mean in training, a sum in evaluation; its number is written by its kernels into a slot */
    ACTC_OP_METRIC /* the same, without a gradient */
} actc_op_role;

typedef void (*actc_need_fn)(void *user, const actc_op *op, const actc_tensor *tensor, actc_need_kind kind);

struct actc_op_def {
    const char *kind; /* as rules name it: conv, linear, relu, pool, softmax, dropout, flatten, add, sigmoid, loss, ... */
    uint32_t attributes_bytes;
    actc_op_role role;
    /* The output's shape from the inputs'; false with the reason in `why`. */
    bool (*infer)(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size);
    /* Whether the output is input 0, bytes and all: then it is never asked to emit anything. NULL: no. */
    bool (*alias)(const actc_op *op, const actc_shape *in, bool training);
    /* Says what the backward pass will read. NULL: nothing. */
    void (*needs)(const actc_op *op, const actc_gradient_flags *gradients, actc_need_fn need, void *user);
    /* The operator can keep its input normalised instead (unless the codec says bn=input, or somebody else reads it): then it hands that
     * to actc_lower_pack, and gets it back where it restores its input. */
    bool normalises;
    /* It may keep something of its own for the backward pass (actc_lower_keep): to compute that again it must run again. */
    bool keeps;
    /* Whether its first input may lie at the beginning of its output's memory when it is asked to emit, and the first input's gradient
     * at the beginning of its output's gradient: it moves one into the other in place. NULL: no. */
    bool (*spreads)(const struct actc_lower *lower, const actc_op *op);
    /* The operator can keep its slope at every element in a few bits (exact/unary.h) instead of the values that it needs for its
     * gradient: where actc_lower_slope_bits says so, these are not there. */
    bool keeps_slopes;
    /* Emit the commands; errors stick in the lowering. */
    void (*forward)(struct actc_lower *lower, const actc_op *op);
    void (*backward)(struct actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients);
    /* Whether in evaluation a sample's result depends on the others of its batch: then a part of a batch, behind which there is
     * anything, is refused. NULL: no. */
    bool (*mixes_samples)(const actc_op *op);
    /* Losses and metrics: checks the targets, of the input's type, that the host is about to give as input `index`, and counts
     * what its mean is taken over; false with the reason in `why`. NULL: every element of the target counts. */
    bool (*count)(const actc_op *op, uint32_t index, const void *target, int64_t elements, int64_t *counted, char *why,
                  size_t why_size);
};

/* Every operator there is (ops/list.c). */
extern const actc_op_def *const actc_op_defs[];
extern const size_t actc_n_op_defs;

#endif
