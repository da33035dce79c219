/* host.h: what the lowest layer offers to all others and to the backends: failures, the log, host memory. */
#ifndef ACTC_HOST_H
#define ACTC_HOST_H

#include <locale.h>

#include <actc/context.h>

/* Keeps the message and returns the status. */
actc_status actc_fail(actc_context *context, actc_status status, const char *format, ...) ACTC_PRINTF(3, 4);
void actc_log_message(actc_context *context, actc_log_level level, const char *format, ...) ACTC_PRINTF(3, 4);

/* 0, and in a forked child one more than in its parent. */
uint32_t actc_process_number(void);

/* Host memory; fail like malloc. Tests make them fail (util/alloc.c). */
void *actc_malloc(size_t bytes);
void *actc_calloc(size_t count, size_t bytes);
void *actc_realloc(void *pointer, size_t bytes);
void actc_free(void *pointer);
/* Aligned to 4096 bytes, zeroed; freed by actc_free_pages. */
void *actc_malloc_pages(size_t bytes);
void actc_free_pages(void *pointer);

/* Seconds of a clock that only goes forward. */
double actc_clock(void);

/* The calling thread's floating point modes and locale as the library needs them; gives what was there. */
typedef struct actc_modes {
    uint64_t control; /* of the processor: MXCSR, FPCR */
    uint16_t x87;
    locale_t locale;
} actc_modes;
actc_modes actc_modes_enter(void);
void actc_modes_leave(const actc_modes *saved);
/* From here to the end of the block; first in every public function that can fail or returns a real number, which
 * tests/structure holds the headers to. */
#define ACTC_OWN_MODES const actc_modes own_modes_ __attribute__((cleanup(actc_modes_leave), unused)) = actc_modes_enter()

#define ACTC_VIEW_ALIGNMENT 256 /* in a device's memory: of every view's offset, and of what its bytes are padded to */

static inline uint64_t actc_align(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) / alignment * alignment;
}

#endif
