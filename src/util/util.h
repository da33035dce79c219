/* util.h: the context's inside, and small helpers of libactc. */
#ifndef ACTC_UTIL_H
#define ACTC_UTIL_H

#include <stdarg.h>

#include "host.h"

struct actc_registered_codec;

struct actc_context {
    actc_context_options options;
    char message[1024];
    struct actc_registered_codec *codecs; /* list of user codecs (codec/register.c), */
    void (*free_codecs)(actc_context *context); /* which knows how to free it; NULL before the first */
};

/* Rates and the like are used as f32, divided by small numbers: this is what is accepted, and room is left. */
#define ACTC_MAX_REAL 1e30

#define ACTC_RETURN_IF_ERROR(expression)      \
    do {                                      \
        actc_status status_ = (expression);   \
        if (status_ != ACTC_OK)               \
            return status_;                   \
    } while (0)

actc_status actc_fail_v(actc_context *context, actc_status status, const char *format, va_list args);
actc_status actc_out_of_memory(actc_context *context, uint64_t bytes, const char *what);
/* Counts forks from now on (actc_process_number); false when out of memory. */
bool actc_watch_forks(void);

/* Structs that begin with their size (sized.c). The caller's may be smaller, of an older header, and never larger.
 * take_options: *out gets `defaults` and over it what was given. give_info: the caller's struct gets as much of `info` as it
 * has room for. */
actc_status actc_check_size(actc_context *context, const char *what, size_t size, size_t full);
actc_status actc_take_options(actc_context *context, const char *what, const void *given, size_t full, const void *defaults, void *out);
actc_status actc_give_info(actc_context *context, const char *what, void *out, size_t full, const void *info);

/* Grows *array (of elements of `element` bytes) so that it holds at least `count`; *capacity is updated. */
bool actc_grow(void **array, size_t *capacity, size_t count, size_t element);

char *actc_strdup(const char *text);
char *actc_strndup(const char *text, size_t length);
/* printf into memory of its own; NULL when out of memory. */
char *actc_format(const char *format, ...) ACTC_PRINTF(1, 2);

/* Copies `text`; where it is longer than size - 1 its middle gives way to " ... ", so that what it is about and the reason at its
 * end both stay. Cuts between characters of UTF-8. */
void actc_shorten(char *target, size_t size, const char *text);

/* FNV-1a, 32 bits: the hash of paths and names in RNG keys. Part of what a seed means; must not change. */
uint32_t actc_hash(const char *text);

/* Shell-like glob over a whole path: * matches any characters, '/' included, ? one, [abc] and [a-z] a set. */
bool actc_glob_match(const char *glob, const char *text);

/* The nearest of `names` to `word` by edit distance, or NULL when none is near: for "did you mean". */
const char *actc_nearest(const char *word, const char *const *names, size_t count);

/* Whole-string numbers; false where anything is left over or out of range. Independent of the locale. */
bool actc_parse_double(const char *text, double *value);
bool actc_parse_int64(const char *text, int64_t *value);

/* Multiplies with overflow check. */
bool actc_mul_u64(uint64_t a, uint64_t b, uint64_t *product);

/* Writes a shape as "128x16x26x26" into text (at least 96 bytes) and returns it. */
char *actc_shape_text(const actc_shape *shape, char *text);

#endif
