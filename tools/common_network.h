/* common_network.h: how the tools are told of a network, and how they tell of its memory. */
#ifndef ACTC_TOOLS_COMMON_NETWORK_H
#define ACTC_TOOLS_COMMON_NETWORK_H

#include "common.h"
#include "models.h"

/* What a network is built for, as the options say it: what is usual where they are NULL or 0. */
typedef struct tool_network {
    const char *size, *settings;
    int64_t classes;
} tool_network;
/* The options of a tool that fill one. */
#define TOOL_NETWORK_OPTIONS(net)                                                                                                 \
    {"size", TOOL_STRING, &(net)->size, "H,W", "of the network's inputs; D,H,W for volumes (what is usual for it)"},              \
    {"classes", TOOL_INT, &(net)->classes, "N", "that it tells apart (what is usual for it)", NULL, 1, 1 << 20},                  \
    {"net-option", TOOL_STRING, &(net)->settings, "K=N[,K=N...]", "channels, and what is its own, listed below"}
/* For the text of --help: the networks with their usual inputs and options; truncated where it does not fit. */
#define TOOL_NETWORKS_BYTES 8192
char *tool_networks_text(char *text, size_t size);

/* The network of this name, and what it is built for. 0, or the exit code after a message that names what there is. name NULL:
 * none was named. */
int tool_choose_network(const tool *t, const char *name, const tool_network *net, const actc_model **model,
                        actc_model_config *config);
/* Of "sgd", "adam" or "adamw". */
actc_optimizer_kind tool_optimizer(const char *name);
/* After actc_network_create was refused with ACTC_ERROR_INVALID_ARGUMENT: names what was given that is wrong, the rules of --compress
 * only where the network can be had without them. TOOL_USAGE. */
int tool_refuse_network(const tool *t, actc_context *context, const actc_model_config *config, actc_device *device,
                        const actc_graph *graph, const actc_network_options *options);
/* "3x32x32"; returns text. */
char *tool_shape_text(const actc_shape *shape, char *text, size_t size);
/* An object "kept_dense": bytes and so on under the key; returned, to be added to. */
cJSON *json_categories(cJSON *json, const char *key, const uint64_t bytes[ACTC_MEMORY_CATEGORIES]);

#endif
