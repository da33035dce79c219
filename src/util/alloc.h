/* alloc.h: tests make host allocations fail through this hook. */
#ifndef ACTC_ALLOC_H
#define ACTC_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Asked before every allocation; false makes it fail. Not for concurrent use. */
typedef bool (*actc_alloc_hook)(void *user, size_t bytes);
void actc_alloc_set_hook(actc_alloc_hook hook, void *user);

#endif
