/* sized.c: structs that begin with their size, given by programs that may have been built against an older header. */
#include <string.h>

#include "util.h"

/* No such struct was ever smaller than its size field and a pointer. */
#define LEAST_SIZE (2 * sizeof(void *))

actc_status actc_check_size(actc_context *context, const char *what, size_t size, size_t full)
{
    if (size >= LEAST_SIZE && size <= full)
        return ACTC_OK;
    return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                     "%s.size is %zu; this library knows %zu bytes (options come from their _default function, other structs get "
                     "sizeof)", what, size, full);
}

actc_status actc_take_options(actc_context *context, const char *what, const void *given, size_t full, const void *defaults, void *out)
{
    if (!given)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "%s is NULL; options come from %s_default", what, what);
    size_t size;
    memcpy(&size, given, sizeof size);
    ACTC_RETURN_IF_ERROR(actc_check_size(context, what, size, full));
    memcpy(out, defaults, full);
    memcpy(out, given, size);
    memcpy(out, &full, sizeof full);
    return ACTC_OK;
}

actc_status actc_give_info(actc_context *context, const char *what, void *out, size_t full, const void *info)
{
    if (!out)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "%s is NULL; it is given with its size set to %zu", what, full);
    size_t size;
    memcpy(&size, out, sizeof size);
    ACTC_RETURN_IF_ERROR(actc_check_size(context, what, size, full));
    memcpy(out, info, size);
    memcpy(out, &size, sizeof size);
    return ACTC_OK;
}
