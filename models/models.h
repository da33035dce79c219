/* models.h: the networks that the tools know by name, built on the public header only. */
#ifndef ACTC_MODELS_H
#define ACTC_MODELS_H

#include <actc/actc.h>

typedef struct actc_model {
    const char *name;
    const char *summary;      /* one line for --help */
    actc_shape sample;        /* of one input, without the batch */
    int64_t classes;
    const char *dataset;      /* the default --data */
    double mean, std;         /* normalisation of its inputs */
    void (*build)(actc_graph *graph); /* errors stick in the graph */
} actc_model;

extern const actc_model *const actc_models[];
extern const size_t actc_models_count;
/* NULL where there is none of that name. */
const actc_model *actc_model_find(const char *name);

extern const actc_model actc_model_mnistnet;

#endif
