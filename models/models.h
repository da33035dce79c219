/* models.h: the networks that the tools know by name, built on the public header only. */
#ifndef ACTC_MODELS_H
#define ACTC_MODELS_H

#include <actc/actc.h>

/* What a network is built for. */
typedef struct actc_model_config {
    actc_shape sample; /* of one input, without the batch */
    int64_t classes;
} actc_model_config;

typedef struct actc_model {
    const char *name;
    const char *summary;      /* one line for --help */
    actc_model_config usual;  /* what it is built for where nothing else is asked for */
    bool fixed;               /* and can be built for nothing else */
    const char *dataset;      /* the default --data; NULL: none of those that actc reads is of its shape */
    double mean, std;         /* normalisation of its inputs */
    /* Inputs "input" and "label", loss "loss". Errors stick in the graph. */
    void (*build)(actc_graph *graph, const actc_model_config *config);
} actc_model;

extern const actc_model *const actc_models[];
extern const size_t actc_models_count;
/* NULL where there is none of that name. */
const actc_model *actc_model_find(const char *name);
/* Builds it for what is usual. */
void actc_model_build(const actc_model *model, actc_graph *graph);

extern const actc_model actc_model_mnistnet;
/* resnet18, resnet34, resnet50, resnet101, resnet152, resnet152star, wideresnet101 */
extern const actc_model actc_model_resnets[];
#define ACTC_MODEL_RESNETS 7

#endif
