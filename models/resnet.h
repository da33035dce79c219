/* resnet.h: residual networks of any depths and widths. */
#ifndef ACTC_MODELS_RESNET_H
#define ACTC_MODELS_RESNET_H

#include <actc/actc.h>

typedef struct actc_resnet_options {
    int depths[4];       /* blocks of each layer: 2,2,2,2 is ResNet18, 3,4,6,3 ResNet34 or, with bottlenecks, ResNet50 */
    bool bottleneck;
    int64_t width;       /* planes of the first layer; doubled from layer to layer */
    int64_t group_width; /* planes of a bottleneck's inner convolutions are planes * group_width / 64: 128 is WideResNet */
    bool imagenet_stem;  /* torchvision's: 7x7 with stride 2 and a max-pool, for large images; else 3x3 */
    int64_t classes;
} actc_resnet_options;
/* ResNet18 for 100 classes. */
actc_resnet_options actc_resnet_options_default(void);

/* x (N,C,H,W), H and W of 32 or, with the ImageNet stem, 224 -> logits (N,classes). Errors stick in the graph. */
actc_tensor *actc_resnet(actc_graph *graph, actc_tensor *x, const actc_resnet_options *options);

#endif
