/* autodiff.h: which operators run backward, which tensors and parameters get gradients, and what must be saved. */
#ifndef ACTC_AUTODIFF_H
#define ACTC_AUTODIFF_H

#include "../graph/op.h"

typedef struct actc_value_need {
    const actc_op *op;
    actc_need_kind kind; /* not ACTC_NEED_SIGN */
} actc_value_need;

/* What a program must compute. */
enum { ACTC_ROOT_LOSSES = 1, ACTC_ROOT_METRICS = 2, ACTC_ROOT_OUTPUTS = 4 };
/* live: [op id], all false before: which operators these roots depend on. */
void actc_autodiff_live(const actc_graph *graph, unsigned roots, bool *live);

/* A tensor that some backward operator reads. Each tensor appears once, however many operators need it. */
typedef struct actc_saved_need {
    const actc_tensor *tensor;
    actc_value_need *values; /* by operators that need its values, in graph order */
    size_t n_values, values_capacity;
    const actc_op *sign_op;  /* the operator that needs its sign (a ReLU's own output), NULL if none */
} actc_saved_need;

typedef struct actc_autodiff {
    const bool *live;               /* [op id]: what training computes; the caller's */
    bool *backward;                 /* [op id]: the operator has a backward */
    actc_gradient_flags *gradients; /* [op id] */
    bool *flags;                    /* what gradients points to */
    actc_saved_need *saved;
    size_t n_saved, saved_capacity;
    bool failed;                    /* out of memory */
} actc_autodiff;

/* live: [op id], what training computes; NULL where the network is not prepared for it: then nothing has a gradient. */
actc_status actc_autodiff_create(const actc_graph *graph, const bool *live, actc_autodiff *autodiff);
/* Adds a need of the operator's. */
actc_status actc_autodiff_need(actc_autodiff *autodiff, const actc_op *op, const actc_tensor *tensor, actc_need_kind kind);
void actc_autodiff_destroy(actc_autodiff *autodiff);

#endif
