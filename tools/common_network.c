/* common_network.c: choosing a network, and the keys of its memory. */
#include "common_network.h"

#include <stdarg.h>
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

static const char *size_names(const actc_shape *sample)
{
    return sample->ndim == 4 ? "DEPTH,HEIGHT,WIDTH" : "HEIGHT,WIDTH";
}

/* Adds to a text of `size` bytes what fits. */
static void ACTC_PRINTF(3, 4) put(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static int choose_size(const tool *t, const char *text, const actc_model *model, actc_model_config *config)
{
    const actc_shape *usual = &model->usual.sample;
    bool good = parse_size(text, &config->sample);
    for (int d = 1; d < usual->ndim && model->fixed; d++)
        good = good && config->sample.dims[d] == usual->dims[d];
    if (good)
        return 0;
    if (!model->fixed)
        return tool_usage(t, "--size %s: %s takes %s, each 1 to 65536", text, model->name, size_names(usual));
    char sizes[80] = "";
    for (int d = 1; d < usual->ndim; d++)
        put(sizes, sizeof sizes, "%s%lld", d > 1 ? "," : "", (long long)usual->dims[d]);
    return tool_usage(t, "--size %s: %s takes %s alone", text, model->name, sizes);
}

/* "channels=4,features=32" */
static int choose_settings(const tool *t, const char *text, const actc_model *model, actc_model_config *config)
{
    char known[256] = "";
    const bool any_channels = !model->fixed && model->usual.classes;
    if (any_channels)
        put(known, sizeof known, "channels (1 to 65536)");
    for (int i = 0; i < ACTC_MODEL_MAX_OPTIONS && model->options[i].name; i++)
        put(known, sizeof known, "%s%s (%lld to %lld)", *known ? ", " : "", model->options[i].name,
            (long long)model->options[i].least, (long long)model->options[i].most);
    if (!*known)
        return tool_usage(t, "--net-option %s: %s has none", text, model->name);
    for (const char *p = text;; p++) {
        size_t length = strcspn(p, "=,");
        const char *value = p + length + 1;
        char *end = NULL;
        int64_t *target = NULL, least = 1, most = 65536;
        if (any_channels && length == strlen("channels") && !strncmp(p, "channels", length))
            target = &config->sample.dims[0];
        for (int i = 0; i < ACTC_MODEL_MAX_OPTIONS && model->options[i].name; i++) {
            const actc_model_option *option = &model->options[i];
            if (strlen(option->name) != length || strncmp(p, option->name, length))
                continue;
            target = &config->options[i];
            least = option->least;
            most = option->most;
        }
        if (!target || p[length] != '=')
            return tool_usage(t, "--net-option %s: '%.*s' is not KEY=NUMBER; %s has %s", text, (int)strcspn(p, ","), p, model->name,
                              known);
        *target = *value >= '0' && *value <= '9' ? strtoll(value, &end, 10) : least - 1;
        if (!end || (*end && *end != ',') || *target < least || *target > most)
            return tool_usage(t, "--net-option %s: '%.*s' is no number that %.*s takes: %lld to %lld", text,
                              (int)strcspn(value, ","), value, (int)length, p, (long long)least, (long long)most);
        if (!*end)
            return 0;
        p = end;
    }
}

int tool_choose_network(const tool *t, const char *name, const tool_network *net, const actc_model **model,
                        actc_model_config *config)
{
    *model = name ? actc_model_find(name) : NULL;
    if (!*model) {
        char names[512] = "";
        for (size_t i = 0; i < actc_models_count; i++)
            put(names, sizeof names, "%s%s", i ? ", " : "", actc_models[i]->name);
        return name ? tool_usage(t, "unknown network '%s'; there are %s", name, names)
                    : tool_usage(t, "no network is named; there are %s", names);
    }
    *config = actc_model_usual(*model);
    int code = net->size ? choose_size(t, net->size, *model, config) : 0;
    if (!code && net->settings)
        code = choose_settings(t, net->settings, *model, config);
    if (!code && net->classes && !config->classes)
        code = tool_usage(t, "--classes %lld: %s has none, its output is an image", (long long)net->classes, name);
    if (!code && net->classes && (*model)->fixed && net->classes != config->classes)
        code = tool_usage(t, "--classes %lld: %s has %lld", (long long)net->classes, name, (long long)config->classes);
    config->classes = net->classes ? net->classes : config->classes;
    return code;
}

int tool_refuse_network(const tool *t, actc_context *context, const actc_model_config *config, actc_device *device,
                        const actc_graph *graph, const actc_network_options *options)
{
    char sample[96];
    actc_network *network = NULL;
    actc_network_options plain = *options;
    plain.compress = NULL;
    actc_status status = actc_network_create(device, graph, &plain, &network);
    actc_network_destroy(&network);
    if (status == ACTC_ERROR_INVALID_ARGUMENT)
        return tool_usage(t, "--batch %lld and inputs of %s: %s", (long long)options->train_batch,
                          tool_shape_text(&config->sample, sample, sizeof sample), actc_error_message(context));
    status = actc_network_create(device, graph, options, &network); /* for its message */
    actc_network_destroy(&network);
    return tool_failed_option(t, context, status, "compress");
}

static bool same_kind(const actc_model *a, const actc_model *b)
{
    return !memcmp(a->options, b->options, sizeof a->options) && !memcmp(&a->usual.sample, &b->usual.sample, sizeof a->usual.sample) &&
           a->usual.classes == b->usual.classes;
}

char *tool_networks_text(char *text, size_t size)
{
    *text = '\0';
    for (size_t i = 0; i < actc_models_count;) {
        const actc_model *model = actc_models[i];
        char shape[80];
        put(text, size, "  %s", model->name);
        for (i++; i < actc_models_count && same_kind(model, actc_models[i]); i++)
            put(text, size, ",%s%s", strlen(strrchr(text, '\n') ? strrchr(text, '\n') : text) > 60 ? "\n  " : " ", actc_models[i]->name);
        put(text, size, "\n      of %s%s", model->fixed ? "" : "any size, usually ",
            tool_shape_text(&model->usual.sample, shape, sizeof shape));
        if (!model->usual.classes)
            put(text, size, ", to an image\n");
        else
            put(text, size, ", %lld classes%s\n", (long long)model->usual.classes, model->fixed ? " alone" : "; --net-option channels=N");
        for (int k = 0; k < ACTC_MODEL_MAX_OPTIONS && model->options[k].name; k++)
            put(text, size, "      --net-option %s=N: %s (%lld)\n", model->options[k].name, model->options[k].summary,
                (long long)model->options[k].usual);
    }
    return text;
}

actc_optimizer_kind tool_optimizer(const char *name)
{
    return !strcmp(name, "sgd") ? ACTC_OPTIMIZER_SGD : !strcmp(name, "adam") ? ACTC_OPTIMIZER_ADAM : ACTC_OPTIMIZER_ADAMW;
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
