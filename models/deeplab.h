/* deeplab.h: DeepLabV3+ on MobileNetV2, of any width. */
#ifndef ACTC_MODELS_DEEPLAB_H
#define ACTC_MODELS_DEEPLAB_H

#include <actc/actc.h>

typedef struct actc_deeplab_options {
    double width;     /* of MobileNetV2: its width multiplier; channels become multiples of 8 */
    int64_t features; /* channels of the head */
    double dropout;   /* rate behind the pyramid */
    int64_t classes;  /* channels of the output */
} actc_deeplab_options;
/* Width 1, 256 features, dropout 0.1, 21 classes. */
actc_deeplab_options actc_deeplab_options_default(void);

/* x (N,C,H,W), H and W of at least 3 -> scores (N,classes,H,W). The pyramid normalises one mean a channel and sample, so training
 * takes batches of more than one. Errors stick in the graph. */
actc_tensor *actc_deeplabv3plus(actc_graph *graph, actc_tensor *x, const actc_deeplab_options *options);

#endif
