/* models.c: the table of networks. */
#include "models.h"

#include <string.h>

const actc_model *const actc_models[] = {
    &actc_model_mnistnet,   &actc_model_resnets[0], &actc_model_resnets[1], &actc_model_resnets[2],
    &actc_model_resnets[3], &actc_model_resnets[4], &actc_model_resnets[5], &actc_model_resnets[6], &actc_model_unet3d,
    &actc_model_efficientnets[0], &actc_model_efficientnets[1], &actc_model_efficientnets[2], &actc_model_efficientnets[3],
    &actc_model_efficientnets[4], &actc_model_efficientnets[5], &actc_model_efficientnets[6], &actc_model_efficientnets[7],
    &actc_model_efficientnets[8],
    &actc_model_edsr,       &actc_model_deeplabv3plus,
    &actc_model_vit,        &actc_model_vit3d,      &actc_model_cvt,
};
const size_t actc_models_count = sizeof actc_models / sizeof *actc_models;

actc_model_config actc_model_usual(const actc_model *model)
{
    actc_model_config config = model->usual;
    for (int i = 0; i < ACTC_MODEL_MAX_OPTIONS; i++)
        config.options[i] = model->options[i].usual;
    return config;
}

void actc_model_build(const actc_model *model, actc_graph *graph)
{
    actc_model_config config = actc_model_usual(model);
    model->build(graph, &config);
}

const actc_model *actc_model_find(const char *name)
{
    for (size_t i = 0; i < actc_models_count; i++)
        if (!strcmp(actc_models[i]->name, name))
            return actc_models[i];
    return NULL;
}
