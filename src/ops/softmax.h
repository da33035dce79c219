/* softmax.h: the softmax operator as attention uses it. */
#ifndef ACTC_OPS_SOFTMAX_H
#define ACTC_OPS_SOFTMAX_H

#include "../graph/op.h"

/* Of matrices of weights, (B,matrices*rows,keys): a saved matrix is no probability that the loss is computed from, so that rules reach
 * it. causal: 0, or the rows of a matrix, row i of which sees the keys 0 to i alone. */
actc_tensor *actc_softmax_of_weights(actc_graph *graph, const char *name, actc_tensor *x, uint32_t causal);

#endif
