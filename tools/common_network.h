/* common_network.h: how the tools are told of a network, and how they tell of its memory. */
#ifndef ACTC_TOOLS_COMMON_NETWORK_H
#define ACTC_TOOLS_COMMON_NETWORK_H

#include "common.h"
#include "models.h"

/* The network of this name, and what it is built for: what is usual where size is NULL or classes 0. 0, or the exit code
 * after a message that names what there is. name NULL: none was named. */
int tool_choose_network(const tool *t, const char *name, const char *size, int64_t classes, const actc_model **model,
                        actc_model_config *config);
/* "3x32x32"; returns text. */
char *tool_shape_text(const actc_shape *shape, char *text, size_t size);
/* An object "kept_dense": bytes and so on under the key; returned, to be added to. */
cJSON *json_categories(cJSON *json, const char *key, const uint64_t bytes[ACTC_MEMORY_CATEGORIES]);

#endif
