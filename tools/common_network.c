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

/* "cls|mean", or "1 to 65536". */
static const char *accepted_text(const actc_model_option *option, char *text, size_t size)
{
    if (option->words)
        snprintf(text, size, "%s", option->words);
    else
        snprintf(text, size, "%lld to %lld", (long long)option->least, (long long)option->most);
    return text;
}

/* The name of a value, or its number. */
static const char *value_text(const actc_model_option *option, int64_t value, char *text, size_t size)
{
    const char *word = option->words;
    for (int64_t i = option->least; word && i < value; i++)
        word += strcspn(word, "|") + 1;
    if (word)
        snprintf(text, size, "%.*s", (int)strcspn(word, "|"), word);
    else
        snprintf(text, size, "%lld", (long long)value);
    return text;
}

/* The value at the start of `text`, up to a comma or its end; false where the option does not take it. */
static bool take_value(const actc_model_option *option, const char *text, int64_t *value)
{
    const size_t length = strcspn(text, ",");
    char *end, word[32];
    for (*value = option->least; option->words && *value <= option->most; ++*value)
        if (strlen(value_text(option, *value, word, sizeof word)) == length && !strncmp(word, text, length))
            return true;
    if (option->words || *text < '0' || *text > '9')
        return false;
    *value = strtoll(text, &end, 10);
    return end == text + length && *value >= option->least && *value <= option->most;
}

/* "channels=4,features=32" */
static int choose_settings(const tool *t, const char *text, const actc_model *model, actc_model_config *config)
{
    const actc_model_option channels = {.name = "channels", .usual = 1, .least = 1, .most = 65536};
    const actc_model_option *options[ACTC_MODEL_MAX_OPTIONS + 1];
    int64_t *targets[ACTC_MODEL_MAX_OPTIONS + 1];
    char known[640] = "", accepted[80];
    int n = 0;
    if (!model->fixed && model->usual.classes) {
        options[n] = &channels;
        targets[n++] = &config->sample.dims[0];
    }
    for (int i = 0; i < ACTC_MODEL_MAX_OPTIONS && model->options[i].name; i++) {
        options[n] = &model->options[i];
        targets[n++] = &config->options[i];
    }
    if (!n)
        return tool_usage(t, "--net-option %s: %s has none", text, model->name);
    for (int i = 0; i < n; i++)
        put(known, sizeof known, "%s%s (%s)", i ? ", " : "", options[i]->name, accepted_text(options[i], accepted, sizeof accepted));
    for (const char *p = text;; p++) {
        const size_t length = strcspn(p, "=,");
        int k = 0;
        while (k < n && (strlen(options[k]->name) != length || strncmp(p, options[k]->name, length)))
            k++;
        if (k == n || p[length] != '=')
            return tool_usage(t, "--net-option %s: '%.*s' is not KEY=%s; %s has %s", text, (int)strcspn(p, ","), p,
                              k < n && options[k]->words ? options[k]->words : "NUMBER", model->name, known);
        p += length + 1;
        if (!take_value(options[k], p, targets[k]))
            return tool_usage(t, "--net-option %s: '%.*s' is no %s that %s takes: %s", text, (int)strcspn(p, ","), p,
                              options[k]->words ? "word" : "number", options[k]->name,
                              accepted_text(options[k], accepted, sizeof accepted));
        p += strcspn(p, ",");
        if (!*p)
            return 0;
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
        for (int k = 0; k < ACTC_MODEL_MAX_OPTIONS && model->options[k].name; k++) {
            const actc_model_option *option = &model->options[k];
            char usual[32];
            put(text, size, "      --net-option %s=%s: %s (%s)\n", option->name, option->words ? option->words : "N", option->summary,
                value_text(option, option->usual, usual, sizeof usual));
        }
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
