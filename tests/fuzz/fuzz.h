/* fuzz.h: what the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput; libFuzzer drives it (run.sh), and
 * in every build driver.c runs it over its corpus. Anything but a returned 0 is a finding: a crash, a report of a
 * sanitizer, or FUZZ_CHECK. */
#ifndef ACTC_FUZZ_H
#define ACTC_FUZZ_H

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <actc/actc.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                               \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);   \
            abort();                                                                        \
        }                                                                                   \
    } while (0)

/* One context for the whole process: what a call leaves behind meets the next. */
static inline actc_context *fuzz_context(void)
{
    static actc_context *context;
    if (!context)
        FUZZ_CHECK(actc_context_create(NULL, &context) == ACTC_OK);
    return context;
}

static inline actc_device *fuzz_device(const char *name)
{
    static actc_device *device;
    if (!device) {
        actc_device_options options = actc_device_options_default();
        options.device = name;
        FUZZ_CHECK(actc_device_open(fuzz_context(), &options, &device) == ACTC_OK);
    }
    return device;
}

/* A regular file in memory with this content, by a path that can be opened until the next call. */
static inline const char *fuzz_file(const void *bytes, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("input", MFD_CLOEXEC);
        FUZZ_CHECK(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    FUZZ_CHECK(ftruncate(fd, 0) == 0);
    FUZZ_CHECK(pwrite(fd, bytes, size, 0) == (ssize_t)size);
    return path;
}

static char fuzz_folder_path[128];

static inline void fuzz_folder_remove(void)
{
    char path[512];
    DIR *dir = opendir(fuzz_folder_path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", fuzz_folder_path, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    if (dir)
        closedir(dir);
    rmdir(fuzz_folder_path);
}

/* A folder for the process's files, in memory where there is such a place; removed with them at the end. */
static inline const char *fuzz_folder(void)
{
    if (!fuzz_folder_path[0]) {
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
        snprintf(fuzz_folder_path, sizeof fuzz_folder_path, "%s/actc-fuzz-XXXXXX", base ? base : "/tmp");
        FUZZ_CHECK(mkdtemp(fuzz_folder_path) != NULL);
        atexit(fuzz_folder_remove);
    }
    return fuzz_folder_path;
}

/* Writes a file of the folder. */
static inline void fuzz_write(const char *name, const void *bytes, size_t size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && close(fd) == 0);
}

/* The input as text; free(). */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    FUZZ_CHECK(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* Input bytes as numbers, 0 when they are used up. */
typedef struct fuzz_reader {
    const uint8_t *data;
    size_t left;
} fuzz_reader;

static inline uint32_t fuzz_byte(fuzz_reader *r)
{
    if (!r->left)
        return 0;
    r->left--;
    return *r->data++;
}

/* The call failed with a message, or not at all. */
static inline void fuzz_answered(actc_status status)
{
    FUZZ_CHECK(status == ACTC_OK || actc_error_message(fuzz_context())[0]);
    FUZZ_CHECK(status != ACTC_ERROR_INTERNAL && status != ACTC_ERROR_OUT_OF_MEMORY);
}

#endif
