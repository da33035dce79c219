/* common_network.c: choosing a network, and the keys of its memory. */
#include "common_network.h"

#include <stdlib.h>
#include <string.h>

/* "32,32" into the spatial dimensions of a sample; false where it is none that fits. */
static bool parse_size(const char *text, actc_shape *sample)
{
    for (int d = 1; d < sample->ndim; d++) {
        char *end;
        if (*text < '0' || *text > '9')
            return false;
        sample->dims[d] = strtoll(text, &end, 10);
        bool last = d + 1 == sample->ndim;
        if (sample->dims[d] < 1 || sample->dims[d] > 65536 || *end != (last ? '\0' : ','))
            return false;
        text = end + 1;
    }
    return true;
}

int tool_choose_network(const tool *t, const char *name, const char *size, int64_t classes, const actc_model **model,
                        actc_model_config *config)
{
    *model = name ? actc_model_find(name) : NULL;
    if (!*model) {
        char names[256] = "";
        for (size_t i = 0; i < actc_models_count; i++)
            snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "", actc_models[i]->name);
        return name ? tool_usage(t, "unknown network '%s'; there are %s", name, names)
                    : tool_usage(t, "no network is named; there are %s", names);
    }
    *config = (*model)->usual;
    bool good = !size || parse_size(size, &config->sample);
    for (int d = 1; d < config->sample.ndim && (*model)->fixed; d++)
        good = good && config->sample.dims[d] == (*model)->usual.sample.dims[d];
    if (!good && (*model)->fixed)
        return tool_usage(t, "--size %s: %s takes %lld,%lld alone", size, name, (long long)(*model)->usual.sample.dims[1],
                          (long long)(*model)->usual.sample.dims[2]);
    if (!good)
        return tool_usage(t, "--size %s: %s takes HEIGHT,WIDTH, each 1 to 65536", size, name);
    if (classes && (*model)->fixed && classes != config->classes)
        return tool_usage(t, "--classes %lld: %s has %lld", (long long)classes, name, (long long)config->classes);
    config->classes = classes ? classes : config->classes;
    return 0;
}

char *tool_shape_text(const actc_shape *shape, char *text, size_t size)
{
    size_t used = 0;
    *text = '\0';
    for (int d = 0; d < shape->ndim && used < size; d++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", d ? "x" : "", (long long)shape->dims[d]);
    return text;
}

cJSON *json_categories(cJSON *json, const char *key, const uint64_t bytes[ACTC_MEMORY_CATEGORIES])
{
    cJSON *categories = cJSON_AddObjectToObject(json, key);
    for (int c = 0; c < ACTC_MEMORY_CATEGORIES; c++) {
        char name[32];
        snprintf(name, sizeof name, "%s", actc_memory_category_string((actc_memory_category)c));
        for (char *p = name; *p; p++)
            *p = *p == ' ' ? '_' : *p;
        json_u64(categories, name, bytes[c]);
    }
    return categories;
}
