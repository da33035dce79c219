/* host.h: what the lowest layer offers to all others and to the backends: failures, the log, host memory. */
#ifndef ACTC_HOST_H
#define ACTC_HOST_H

#include <actc/context.h>

/* Keeps the message and returns the status. */
actc_status actc_fail(actc_context *context, actc_status status, const char *format, ...) ACTC_PRINTF(3, 4);
void actc_log_message(actc_context *context, actc_log_level level, const char *format, ...) ACTC_PRINTF(3, 4);

/* Host memory; fail like malloc. Tests make them fail (util/alloc.c). */
void *actc_malloc(size_t bytes);
void *actc_calloc(size_t count, size_t bytes);
void *actc_realloc(void *pointer, size_t bytes);
void actc_free(void *pointer);
/* Aligned to 4096 bytes, zeroed; freed by actc_free_pages. */
void *actc_malloc_pages(size_t bytes);
void actc_free_pages(void *pointer);

#define ACTC_VIEW_ALIGNMENT 256 /* in a device's memory: of every view's offset, and of what its bytes are padded to */

static inline uint64_t actc_align(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) / alignment * alignment;
}

#endif
