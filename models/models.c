/* models.c: the table of networks. */
#include "models.h"

#include <string.h>

const actc_model *const actc_models[] = {&actc_model_mnistnet};
const size_t actc_models_count = sizeof actc_models / sizeof *actc_models;

const actc_model *actc_model_find(const char *name)
{
    for (size_t i = 0; i < actc_models_count; i++)
        if (!strcmp(actc_models[i]->name, name))
            return actc_models[i];
    return NULL;
}
