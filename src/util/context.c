/* context.c: contexts, error messages, logging. */
#include <stdio.h>
#include <string.h>

#include "util.h"
#include "version.h"

const char *actc_status_string(actc_status status)
{
    switch (status) {
    case ACTC_OK: return "ok";
    case ACTC_ERROR_INVALID_ARGUMENT: return "invalid argument";
    case ACTC_ERROR_OUT_OF_MEMORY: return "out of memory";
    case ACTC_ERROR_NOT_FOUND: return "not found";
    case ACTC_ERROR_UNSUPPORTED: return "unsupported";
    case ACTC_ERROR_DEVICE: return "device error";
    case ACTC_ERROR_IO: return "input/output error";
    case ACTC_ERROR_CORRUPT: return "corrupt data";
    case ACTC_ERROR_NOT_FINITE: return "not finite";
    case ACTC_ERROR_INTERNAL: return "internal error";
    }
    return "unknown status";
}

const char *actc_version(void)
{
    return ACTC_VERSION;
}

int actc_api_version(void)
{
    return ACTC_API_NUMBER;
}

actc_context_options actc_context_options_default(void)
{
    return (actc_context_options){.size = sizeof(actc_context_options), .log_level = ACTC_LOG_WARNING};
}

actc_status actc_context_create(const actc_context_options *options, actc_context **out)
{
    ACTC_OWN_MODES;
    if (!out)
        return ACTC_ERROR_INVALID_ARGUMENT;
    *out = NULL;
    actc_context *context = actc_watch_forks() ? actc_calloc(1, sizeof *context) : NULL;
    if (!context)
        return ACTC_ERROR_OUT_OF_MEMORY;
    const actc_context_options defaults = actc_context_options_default();
    actc_status status = actc_take_options(context, "actc_context_options", options ? options : &defaults, sizeof defaults,
                                           &defaults, &context->options);
    if (status != ACTC_OK)
        actc_context_destroy(&context);
    *out = context;
    return status;
}

void actc_context_destroy(actc_context **context)
{
    if (!context || !*context)
        return;
    if ((*context)->free_codecs)
        (*context)->free_codecs(*context);
    actc_free(*context);
    *context = NULL;
}

const char *actc_error_message(const actc_context *context)
{
    return context ? context->message : "";
}

/* Shortened where it is too long: a path may have 4095 bytes, and the reason comes behind it. */
static void format_text(char *text, size_t size, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(text, size, format, args);
    char *whole = length < 0 || (size_t)length < size ? NULL : actc_malloc((size_t)length + 1);
    if (whole) {
        vsnprintf(whole, (size_t)length + 1, format, again);
        actc_shorten(text, size, whole);
        actc_free(whole);
    }
    va_end(again);
}

actc_status actc_fail_v(actc_context *context, actc_status status, const char *format, va_list args)
{
    char text[sizeof context->message];
    format_text(text, sizeof text, format, args); /* an argument may be the old message */
    memcpy(context->message, text, sizeof text);
    if (context->options.log && context->options.log_level >= ACTC_LOG_DEBUG)
        context->options.log(context->options.log_user, ACTC_LOG_DEBUG, context->message);
    return status;
}

actc_status actc_fail(actc_context *context, actc_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    actc_fail_v(context, status, format, args);
    va_end(args);
    return status;
}

actc_status actc_out_of_memory(actc_context *context, uint64_t bytes, const char *what)
{
    return actc_fail(context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: %llu bytes for %s",
                     (unsigned long long)bytes, what);
}

void actc_log_message(actc_context *context, actc_log_level level, const char *format, ...)
{
    if (!context->options.log || level > context->options.log_level)
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    format_text(text, sizeof text, format, args);
    va_end(args);
    context->options.log(context->options.log_user, level, text);
}
