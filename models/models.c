/* models.c: the table of networks. */
#include "models.h"

#include <string.h>

const actc_model *const actc_models[] = {
    &actc_model_mnistnet,   &actc_model_resnets[0], &actc_model_resnets[1], &actc_model_resnets[2],
    &actc_model_resnets[3], &actc_model_resnets[4], &actc_model_resnets[5], &actc_model_resnets[6],
};
const size_t actc_models_count = sizeof actc_models / sizeof *actc_models;

void actc_model_build(const actc_model *model, actc_graph *graph)
{
    model->build(graph, &model->usual);
}

const actc_model *actc_model_find(const char *name)
{
    for (size_t i = 0; i < actc_models_count; i++)
        if (!strcmp(actc_models[i]->name, name))
            return actc_models[i];
    return NULL;
}
