/* unet3d.h: U-Nets for volumes, of any depth and width. */
#ifndef ACTC_MODELS_UNET3D_H
#define ACTC_MODELS_UNET3D_H

#include <actc/actc.h>

typedef struct actc_unet3d_options {
    int64_t features; /* channels of the first level; doubled from level to level */
    int depth;        /* levels above the bottom, each of half the size */
    int64_t classes;  /* channels of the output */
} actc_unet3d_options;
/* 32 features, 4 levels, 3 classes. */
actc_unet3d_options actc_unet3d_options_default(void);

/* x (N,C,D,H,W), whose sizes 2^depth divides -> (N,classes,D,H,W). Errors stick in the graph. */
actc_tensor *actc_unet3d(actc_graph *graph, actc_tensor *x, const actc_unet3d_options *options);

#endif
