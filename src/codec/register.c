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

static void registry_free(actc_context *context)
{
    while (context->codecs) {
        actc_registered_codec *next = context->codecs->next;
        actc_free(context->codecs->name);
        actc_free(context->codecs);
        context->codecs = next;
    }
}

static bool name_is_legal(const char *name)
{
    static const char accepted[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t length = strlen(name);
    return length >= 1 && length <= 63 && strspn(name, accepted) == length;
}

actc_status actc_codec_register(actc_context *context, const char *name, const actc_user_codec *codec)
{
    ACTC_OWN_MODES;
    if (!context)
        return ACTC_ERROR_INVALID_ARGUMENT;
    if (!name || !name_is_legal(name))
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "codec name \"%s\"; accepted: 1 to 63 letters, digits, '-' and '_'", name ? name : "(null)");
    const actc_user_codec none = {0};
    actc_user_codec full = none;
    if (codec)
        ACTC_RETURN_IF_ERROR(actc_take_options(context, "actc_user_codec", codec, sizeof full, &none, &full));
    if (!full.payload_bytes || !full.pack || !full.unpack)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "codec \"%s\": payload_bytes, pack and unpack must be given", name);
    if (actc_codec_name_is_builtin(name) || actc_codec_registry_find(context, name))
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "codec name \"%s\" is taken", name);
    actc_registered_codec *entry = actc_calloc(1, sizeof *entry);
    char *copy = actc_strdup(name);
    if (!entry || !copy) {
        actc_free(entry);
        actc_free(copy);
        return actc_out_of_memory(context, sizeof *entry, "a registered codec");
    }
    entry->name = copy;
    entry->codec = full;
    entry->next = context->codecs;
    context->codecs = entry;
    context->free_codecs = registry_free;
    return ACTC_OK;
}
