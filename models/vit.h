/* vit.h: vision transformers of any size, for images and volumes. */
#ifndef ACTC_MODELS_VIT_H
#define ACTC_MODELS_VIT_H

#include <actc/actc.h>

typedef struct actc_vit_options {
    int64_t patch[3];   /* for each spatial axis of the input, which it divides */
    int64_t dim, depth; /* features of a token; blocks */
    int64_t heads, head_dim;
    int64_t hidden;     /* features inside of a block's MLP */
    int64_t classes;
    double dropout;     /* of position embeddings, attention and MLPs; 0 <= dropout < 1 */
    bool mean_pool;     /* the mean of all tokens is classified; else the class token */
    bool norm_pooled;   /* the last norm is of what is pooled; else of every token, which the class token does not see */
} actc_vit_options;
/* Patches of 32 (volumes: frames of 2, 16), 1024 features, 5 blocks, 16 heads of 64, MLPs of 2048, 1000 classes, dropout 0.1. */
actc_vit_options actc_vit_options_default(void);

/* x (N,C,H,W) or (N,C,D,H,W) -> logits (N,classes). Errors stick in the graph. */
actc_tensor *actc_vit(actc_graph *graph, actc_tensor *x, const actc_vit_options *options);

#endif
