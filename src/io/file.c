/* file.c: whole files, read with checks, replaced in one step.
 *
 * A reader of `path` sees the old content or the new, whenever the process or the machine stops: the new content
 * is on the disk under another name before rename() puts it in place, and rename() is atomic. The name of the
 * temporary file is the process's own, so that two writers of one path cannot mix their bytes.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../util/util.h"

/* Asked of one read() or write(): Linux moves less than 2 GiB at once. */
#define MOST_AT_ONCE ((uint64_t)1 << 30)

#define ERROR_TEXT(error) strerror_r((error), (char[128]){0}, 128)

actc_status actc_file_open(actc_context *context, const char *path, int *fd, uint64_t *bytes)
{
    /* O_NONBLOCK: opening a pipe must not wait for a writer */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) {
        int error = errno;
        struct stat link;
        /* a link to nothing is a mistake, and must not pass for an absent file, in whose place others may be looked for */
        if (error == ENOENT && lstat(path, &link) == 0)
            return actc_fail(context, ACTC_ERROR_IO, "cannot open %s: it is a link to what is not there", path);
        return actc_fail(context, error == ENOENT ? ACTC_ERROR_NOT_FOUND : ACTC_ERROR_IO, "cannot open %s: %s", path,
                         ERROR_TEXT(error));
    }
    struct stat info;
    actc_status status = ACTC_OK;
    if (fstat(*fd, &info) != 0) {
        int error = errno;
        status = actc_fail(context, ACTC_ERROR_IO, "cannot read %s: %s", path, ERROR_TEXT(error));
    } else if (!S_ISREG(info.st_mode)) {
        status = actc_fail(context, ACTC_ERROR_IO, "cannot read %s: it is %s", path,
                           S_ISDIR(info.st_mode) ? "a folder" : S_ISFIFO(info.st_mode) ? "a pipe, no regular file" : "no regular file");
    } else {
        *bytes = (uint64_t)info.st_size;
    }
    if (status != ACTC_OK) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

actc_status actc_file_read(actc_context *context, const char *path, int fd, void *target, uint64_t bytes)
{
    uint64_t done = 0;
    while (done < bytes) {
        uint64_t ask = bytes - done < MOST_AT_ONCE ? bytes - done : MOST_AT_ONCE;
        ssize_t n = read(fd, (char *)target + done, ask);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = errno;
            return actc_fail(context, ACTC_ERROR_IO, "cannot read %s: %s", path, ERROR_TEXT(error));
        }
        if (n == 0)
            return actc_fail(context, ACTC_ERROR_CORRUPT, "%s ended while it was read", path);
        done += (uint64_t)n;
    }
    return ACTC_OK;
}

/* All return 0 or an errno. */

static int create_temporary(const char *path, char **temporary, int *fd)
{
    static atomic_uint serial;
    for (int attempt = 0; attempt < 1000; attempt++) {
        /* A name may be taken by what a killed process of the same number left. */
        *temporary = actc_format("%s.tmp-%ld-%u", path, (long)getpid(), atomic_fetch_add(&serial, 1u));
        if (!*temporary)
            return ENOMEM;
        *fd = open(*temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (*fd >= 0)
            return 0;
        int error = errno;
        actc_free(*temporary);
        *temporary = NULL;
        if (error != EEXIST)
            return error;
    }
    return EEXIST;
}

static int write_all(int fd, const actc_file_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t done = 0;
        while (done < parts[i].bytes) {
            uint64_t ask = parts[i].bytes - done < MOST_AT_ONCE ? parts[i].bytes - done : MOST_AT_ONCE;
            ssize_t n = write(fd, (const char *)parts[i].data + done, ask);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return errno;
            if (n == 0)
                return EIO;
            done += (uint64_t)n;
        }
    }
    return 0;
}

static int flush_file(int fd)
{
    while (fsync(fd) != 0) {
        if (errno == EINTR)
            continue;
        /* what cannot be flushed (some network and FUSE file systems) is as safe as it gets */
        return errno == EINVAL || errno == ENOTSUP ? 0 : errno;
    }
    return 0;
}

/* *fd stays -1 for a folder that may be written but not read: it cannot be opened, and so not flushed. */
static int open_folder(const char *path, int *fd)
{
    const char *slash = strrchr(path, '/');
    char *folder = !slash ? actc_strdup(".") : slash == path ? actc_strdup("/") : actc_strndup(path, (size_t)(slash - path));
    if (!folder)
        return ENOMEM;
    *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = *fd < 0 && errno != EACCES ? errno : 0;
    actc_free(folder);
    return error;
}

/* Writes, flushes and renames; the temporary file is gone afterwards. */
static int replace(const char *path, const actc_file_part *parts, size_t count)
{
    char *temporary;
    int fd;
    int error = create_temporary(path, &temporary, &fd);
    if (error)
        return error;
    error = write_all(fd, parts, count);
    if (!error)
        error = flush_file(fd);
    if (close(fd) != 0 && !error)
        error = errno;
    if (!error && rename(temporary, path) != 0)
        error = errno;
    if (error)
        unlink(temporary);
    actc_free(temporary);
    return error;
}

actc_status actc_file_write(actc_context *context, const char *path, const actc_file_part *parts, size_t count)
{
    int folder = -1;
    int error = open_folder(path, &folder);
    if (!error)
        error = replace(path, parts, count);
    if (error) {
        if (folder >= 0)
            close(folder);
        return actc_fail(context, error == ENOMEM ? ACTC_ERROR_OUT_OF_MEMORY : ACTC_ERROR_IO,
                         "cannot write %s: %s; what was there before is as it was", path, ERROR_TEXT(error));
    }
    error = folder >= 0 ? flush_file(folder) : 0;
    if (folder >= 0)
        close(folder);
    if (error)
        return actc_fail(context, ACTC_ERROR_IO, "%s is written, but its folder could not be flushed to the disk: %s", path,
                         ERROR_TEXT(error));
    return ACTC_OK;
}
