/* efficientnet.h: EfficientNets of any width and depth. */
#ifndef ACTC_MODELS_EFFICIENTNET_H
#define ACTC_MODELS_EFFICIENTNET_H

#include <actc/actc.h>

typedef struct actc_efficientnet_options {
    double width;    /* of B0's channels, to multiples of 8 and not below 90 %; B4 1.4, B8 2.2 */
    double depth;    /* of B0's blocks a stage, rounded up; B4 1.8, B8 3.6 */
    bool relu;       /* ReLU in the place of SiLU */
    bool tensorflow; /* padding and epsilon as TensorFlow's: timm's "tf_efficientnet"; else k/2 on all sides, and 1e-5 */
    int64_t classes;
} actc_efficientnet_options;
/* B0 for 1,000 classes. */
actc_efficientnet_options actc_efficientnet_options_default(void);

#define ACTC_EFFICIENTNET_STAGES 7
/* Stem and blocks: x (N,C,H,W) -> what each stage gives, stages[0] of half the size to stages[6] of a 32nd. Errors stick in the graph. */
void actc_efficientnet_features(actc_graph *graph, actc_tensor *x, const actc_efficientnet_options *options,
                                actc_tensor *stages[ACTC_EFFICIENTNET_STAGES]);
/* x (N,C,H,W) -> logits (N,classes). The classifier's parameters are named without the scopes around the call. */
actc_tensor *actc_efficientnet(actc_graph *graph, actc_tensor *x, const actc_efficientnet_options *options);

#endif
