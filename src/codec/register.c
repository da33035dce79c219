/* register.c: codecs of the user's, kept by the context. */
#include <string.h>

#include "../util/util.h"
#include "codec_internal.h"

const actc_registered_codec *actc_codec_registry_find(const actc_context *context, const char *name)
{
    for (const actc_registered_codec *c = context->codecs; c; c = c->next)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

void actc_codec_registry_free(actc_context *context)
{
    while (context->codecs) {
        actc_registered_codec *next = context->codecs->next;
        actc_free(context->codecs->name);
        actc_free(context->codecs);
        context->codecs = next;
    }
}
