/* file.h: whole files. */
#ifndef ACTC_FILE_H
#define ACTC_FILE_H

#include <actc/context.h>

/* Opens a regular file for reading. ACTC_ERROR_NOT_FOUND where there is none, else ACTC_ERROR_IO (a folder, a pipe,
 * a link to nothing). The caller closes
 * *fd. */
actc_status actc_file_open(actc_context *context, const char *path, int *fd, uint64_t *bytes);
/* Reads exactly `bytes`; the file ending before is ACTC_ERROR_CORRUPT. */
actc_status actc_file_read(actc_context *context, const char *path, int fd, void *target, uint64_t bytes);

typedef struct actc_file_part {
    const void *data;
    uint64_t bytes;
} actc_file_part;

/* The parts one after the other become the content of `path`: written to PATH.tmp-PID-N, flushed to the disk,
 * renamed, and the folder flushed. On failure the temporary file is removed and `path` is as it was, but for a
 * failure of the folder's flush, after which it holds the new content and the message says so. */
actc_status actc_file_write(actc_context *context, const char *path, const actc_file_part *parts, size_t count);

#endif
