/* loss.h: what the losses share. */
#ifndef ACTC_OPS_LOSS_H
#define ACTC_OPS_LOSS_H

#include "../lower/lower.h"

/* Scores are (N,C), or maps (N,C,H,W) or (N,C,D,H,W), which lie channels-last: rows of C, `positions` a sample. */
typedef struct actc_loss_rows {
    uint32_t rows, cols, positions;
} actc_loss_rows;
actc_loss_rows actc_loss_rows_of(const actc_lower *lower, const actc_tensor *scores);
bool actc_loss_scores_shape(const actc_shape *in, char *why, size_t why_size);
/* Whether there is a label for each position of the scores. */
bool actc_loss_labels_match(const actc_shape *scores, const actc_shape *labels, char *why, size_t why_size);
/* Whether input 1 is an f32 input of the graph, of input 0's shape. */
bool actc_loss_target_matches(const actc_op *op, const actc_shape *in, char *why, size_t why_size);

uint32_t actc_softmax_groups(uint32_t rows, uint32_t cols);

/* The word of the loss's norm in the step block, and its weight: of the kernels of its backward pass. */
uint32_t actc_loss_norm(const actc_lower *lower, const actc_op *op, float *weight);
/* The last of a loss's forward pass: `rows` losses, their mean (training) or sum (evaluation) into the result block. */
void actc_emit_loss(actc_lower *lower, const actc_op *op, actc_view losses, uint32_t rows);

#endif
