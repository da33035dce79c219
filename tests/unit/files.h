/* files.h: what the tests of files share: a folder of their own, raw files, expected failures, refused memory. */
#ifndef ACTC_TEST_FILES_H
#define ACTC_TEST_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dirent.h>

#include <cmocka.h>

#include <actc/actc.h>

#include "util/alloc.h"

struct test_folder {
    actc_context *context;
    char path[256];
};

/* The folder's files are removed with it; it holds no folders. */
static inline int folder_setup(void **state)
{
    struct test_folder *folder = calloc(1, sizeof *folder);
    const char *base = getenv("TMPDIR");
    snprintf(folder->path, sizeof folder->path, "%s/actc-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder->path) || actc_context_create(NULL, &folder->context) != ACTC_OK)
        return -1;
    *state = folder;
    return 0;
}

static inline int folder_teardown(void **state)
{
    struct test_folder *folder = *state;
    char path[600];
    DIR *dir = opendir(folder->path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) {
            snprintf(path, sizeof path, "%s/%s", folder->path, entry->d_name);
            unlink(path);
        }
    closedir(dir);
    rmdir(folder->path);
    actc_context_destroy(&folder->context);
    free(folder);
    return 0;
}

/* How many files the folder holds. */
static inline int folder_files(const struct test_folder *folder)
{
    int count = 0;
    DIR *dir = opendir(folder->path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static inline void write_raw(const char *path, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

/* The whole file; free(). */
static inline unsigned char *read_raw(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    unsigned char *bytes = NULL;
    *count = 0;
    for (size_t n = 1; n;) {
        bytes = realloc(bytes, *count + 4096);
        n = fread(bytes + *count, 1, 4096, file);
        *count += n;
    }
    fclose(file);
    return bytes;
}

/* The call failed with this status, and its message holds every one of the texts (NULL ends them). */
static inline void assert_failed(actc_context *context, actc_status status, actc_status wanted, ...)
{
    const char *message = actc_error_message(context);
    if (status != wanted)
        fail_msg("status %s instead of %s; message: %s", actc_status_string(status), actc_status_string(wanted), message);
    va_list texts;
    va_start(texts, wanted);
    for (const char *text; (text = va_arg(texts, const char *));)
        if (!strstr(message, text))
            fail_msg("\"%s\" is not in the message: %s", text, message);
    va_end(texts);
}

static inline void assert_ok(actc_context *context, actc_status status)
{
    if (status != ACTC_OK)
        fail_msg("%s: %s", actc_status_string(status), actc_error_message(context));
}

/* Refuses allocation number `refuse` (from 0) and counts them. */
struct refusal {
    int refuse, seen;
};

static inline bool refuse_one(void *user, size_t bytes)
{
    struct refusal *refusal = user;
    (void)bytes;
    return refusal->seen++ != refusal->refuse;
}

/* Runs `work` with its first, second, ... allocation refused until none is left to refuse; every such run must fail
 * with OUT_OF_MEMORY (leaks show under the address sanitizer), the last succeed. */
static inline void refuse_each(actc_context *context, actc_status (*work)(void *user), void *user)
{
    for (int i = 0; i < 1000; i++) {
        struct refusal refusal = {i, 0};
        actc_alloc_set_hook(refuse_one, &refusal);
        actc_status status = work(user);
        actc_alloc_set_hook(NULL, NULL);
        if (refusal.seen <= i) {
            assert_ok(context, status);
            assert_true(i > 0);
            return;
        }
        assert_failed(context, status, ACTC_ERROR_OUT_OF_MEMORY, NULL);
    }
    fail_msg("more than 1000 allocations");
}

#endif
