/* codec_internal.h: user codecs of a context. */
#ifndef ACTC_CODEC_INTERNAL_H
#define ACTC_CODEC_INTERNAL_H

#include "codec_plan.h"

typedef struct actc_registered_codec {
    struct actc_registered_codec *next;
    char *name;
    actc_user_codec codec;
} actc_registered_codec;

const actc_registered_codec *actc_codec_registry_find(const actc_context *context, const char *name);
/* Names that actc_codec_register refuses. */
bool actc_codec_name_is_builtin(const char *name);

#endif
