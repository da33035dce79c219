/* cvt.h: convolutional vision transformers of any size. */
#ifndef ACTC_MODELS_CVT_H
#define ACTC_MODELS_CVT_H

#include <actc/actc.h>

#define ACTC_CVT_STAGES 3

typedef struct actc_cvt_options {
    int64_t dim[ACTC_CVT_STAGES];   /* channels of each stage */
    int64_t depth[ACTC_CVT_STAGES]; /* its blocks */
    int64_t heads[ACTC_CVT_STAGES];
    int64_t head_dim;
    int64_t classes;
} actc_cvt_options;
/* CvT-13: 64, 192, 384 channels in 1, 2, 10 blocks of 1, 3, 6 heads of 64; 1000 classes. */
actc_cvt_options actc_cvt_options_default(void);

/* x (N,C,H,W) -> logits (N,classes). Errors stick in the graph. */
actc_tensor *actc_cvt(actc_graph *graph, actc_tensor *x, const actc_cvt_options *options);

#endif
