/* models.h: the networks that the tools know by name, built on the public header only. */
#ifndef ACTC_MODELS_H
#define ACTC_MODELS_H

#include <actc/actc.h>

/* A number that a network can be built with beside its input's shape and its classes: widths, depths. "dropout", of every
 * network that drops, is a share of its rates in percent: at 0 it is the same function in every step. "loss", where there are several:
 * 0 cross-entropy, 1 Dice of masks, 2 Dice of classes. */
typedef struct actc_model_option {
    const char *name;
    const char *summary; /* a few words for --help */
    int64_t usual, least, most;
    const char *words;   /* where its values have names, these, "cls|mean" from `least` up; NULL: it is a number */
} actc_model_option;
#define ACTC_MODEL_MAX_OPTIONS 12

/* What a network is built for. */
typedef struct actc_model_config {
    actc_shape sample; /* of one input, without the batch: channels, then H,W or D,H,W */
    int64_t classes;   /* 0: it makes an image, its target is another one, and it takes the usual channels alone */
    int64_t options[ACTC_MODEL_MAX_OPTIONS]; /* of the model's options, in their order */
} actc_model_config;

typedef struct actc_model {
    const char *name;
    const char *summary;      /* one line for --help */
    actc_model_config usual;  /* the input and the classes that it is built for where nothing else is asked for */
    bool maps;                /* its output has a value for each class at each position, as its labels do; else one a sample */
    bool fixed;               /* and what alone it is known for; else any channels, sizes and classes of at least 1 */
    actc_model_option options[ACTC_MODEL_MAX_OPTIONS]; /* the first without a name ends them */
    const char *dataset;      /* the default --data; NULL: none of those that actc reads is of its shape */
    double mean, std;         /* normalisation of its inputs */
    /* Inputs "input" and "label", one a sample or one a position of it; loss "loss". Errors stick in the graph. */
    void (*build)(actc_graph *graph, const actc_model_config *config);
} actc_model;

extern const actc_model *const actc_models[];
extern const size_t actc_models_count;
/* NULL where there is none of that name. */
const actc_model *actc_model_find(const char *name);
/* What is usual, the options too. */
actc_model_config actc_model_usual(const actc_model *model);
/* Builds it for what is usual. */
void actc_model_build(const actc_model *model, actc_graph *graph);

extern const actc_model actc_model_mnistnet;
/* resnet18, resnet34, resnet50, resnet101, resnet152, resnet152star, wideresnet101 */
extern const actc_model actc_model_resnets[];
#define ACTC_MODEL_RESNETS 7
extern const actc_model actc_model_unet3d;
/* efficientnet_b0 to efficientnet_b8 */
extern const actc_model actc_model_efficientnets[];
#define ACTC_MODEL_EFFICIENTNETS 9
extern const actc_model actc_model_edsr;
extern const actc_model actc_model_deeplabv3plus;
extern const actc_model actc_model_vit, actc_model_vit3d;
extern const actc_model actc_model_cvt;

#endif
