/* edsr.h: enhanced deep super-resolution networks of any width, depth and scale. */
#ifndef ACTC_MODELS_EDSR_H
#define ACTC_MODELS_EDSR_H

#include <actc/actc.h>

typedef struct actc_edsr_options {
    int64_t features; /* channels between head and tail */
    int blocks;       /* residual blocks */
    int scale;        /* 2, 3 or 4: the output's size by the input's */
} actc_edsr_options;
/* 256 features, 32 blocks, scale 4. */
actc_edsr_options actc_edsr_options_default(void);

/* x (N,3,H,W), colours of 0 to 255 -> (N,3,H*scale,W*scale), the same. Errors stick in the graph. */
actc_tensor *actc_edsr(actc_graph *graph, actc_tensor *x, const actc_edsr_options *options);

#endif
