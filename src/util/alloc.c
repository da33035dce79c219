/* alloc.c: host memory, with a door for tests that make allocations fail. */
#include "alloc.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

static actc_alloc_hook hook;
static void *hook_user;

void actc_alloc_set_hook(actc_alloc_hook function, void *user)
{
    hook = function;
    hook_user = user;
}

static bool refused(size_t bytes)
{
    return hook && !hook(hook_user, bytes);
}

void *actc_malloc(size_t bytes)
{
    return refused(bytes) ? NULL : malloc(bytes ? bytes : 1);
}

void *actc_calloc(size_t count, size_t bytes)
{
    return refused(bytes && count > SIZE_MAX / bytes ? SIZE_MAX : count * bytes) ? NULL
                                                                                 : calloc(count ? count : 1, bytes ? bytes : 1);
}

void *actc_realloc(void *pointer, size_t bytes)
{
    return refused(bytes) ? NULL : realloc(pointer, bytes ? bytes : 1);
}

void actc_free(void *pointer)
{
    free(pointer);
}

void *actc_malloc_pages(size_t bytes)
{
    size_t rounded = (size_t)actc_align(bytes ? bytes : 1, 4096);
    if (rounded < bytes || refused(rounded))
        return NULL;
    void *pointer = aligned_alloc(4096, rounded);
    if (pointer)
        memset(pointer, 0, rounded);
    return pointer;
}

void actc_free_pages(void *pointer)
{
    free(pointer);
}
