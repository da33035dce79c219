/* idx.c: reads one IDX file.
 *
 * Nothing in the header is believed: memory grows with the bytes that have arrived, so that a header which
 * promises gigabytes costs what the file holds, and the end of the file is read for, so that zlib checks the
 * sum of a gzipped one.
 */
#include "idx.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "../util/util.h"

/* The most that one file may unpack to: far above any IDX data set in use, far below what exhausts a machine by
 * accident. */
#define MAX_BYTES ((uint64_t)1 << 36)
/* First allocation, and what is asked of zlib at once at most. */
#define CHUNK ((uint64_t)1 << 20)

/* What zlib or the system says of the last read. */
static actc_status read_failure(actc_context *context, const char *path, gzFile file)
{
    int code = Z_OK;
    int error = errno;
    const char *text = gzerror(file, &code);
    char buffer[128];
    if (code == Z_ERRNO)
        return actc_fail(context, ACTC_ERROR_IO, "cannot read %s: %s", path, strerror_r(error, buffer, sizeof buffer));
    if (code == Z_MEM_ERROR)
        return actc_out_of_memory(context, CHUNK, "reading gzip");
    /* zlib's text begins with the path */
    size_t length = strlen(path);
    if (strncmp(text, path, length) == 0 && strncmp(text + length, ": ", 2) == 0)
        text += length + 2;
    return actc_fail(context, ACTC_ERROR_CORRUPT, "%s is damaged: gzip: %s", path, *text ? text : "unknown error");
}

/* Reads up to `bytes`; *got is less only at the end of the file. */
static actc_status read_some(actc_context *context, const char *path, gzFile file, void *target, uint64_t bytes,
                             uint64_t *got)
{
    *got = 0;
    while (*got < bytes) {
        uint64_t ask = bytes - *got < CHUNK ? bytes - *got : CHUNK;
        int n = gzread(file, (char *)target + *got, (unsigned)ask);
        if (n < 0)
            return read_failure(context, path, file);
        if (n == 0) {
            /* A gzip stream that stops in its middle reads like an end of file, but leaves an error behind. */
            int code;
            gzerror(file, &code);
            return code == Z_OK || code == Z_STREAM_END ? ACTC_OK : read_failure(context, path, file);
        }
        *got += (uint64_t)n;
    }
    return ACTC_OK;
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static actc_status read_header(actc_context *context, const char *path, gzFile file, int ndim, actc_idx *idx)
{
    uint8_t magic[4], dims[4 * ACTC_IDX_MAX_DIMS];
    uint64_t got;
    ACTC_RETURN_IF_ERROR(read_some(context, path, file, magic, sizeof magic, &got));
    if (got < sizeof magic)
        return actc_fail(context, ACTC_ERROR_CORRUPT, "%s is no IDX file: it holds %llu bytes", path,
                         (unsigned long long)got);
    if (magic[0] != 0 || magic[1] != 0)
        return actc_fail(context, ACTC_ERROR_CORRUPT,
                         "%s is neither an IDX file nor one gzipped: it starts with the bytes %02x %02x %02x %02x, not with 00 00 08 %02x",
                         path, magic[0], magic[1], magic[2], magic[3], ndim);
    if (magic[2] != 8)
        return actc_fail(context, ACTC_ERROR_CORRUPT, "%s: IDX element type 0x%02x, only 0x08 (unsigned byte) is accepted",
                         path, magic[2]);
    if (magic[3] != ndim)
        return actc_fail(context, ACTC_ERROR_CORRUPT, "%s: IDX file of %d dimensions, %d wanted (%s)", path, magic[3], ndim,
                         ndim == 1 ? "labels" : "images");
    ACTC_RETURN_IF_ERROR(read_some(context, path, file, dims, 4u * (unsigned)ndim, &got));
    if (got < 4u * (unsigned)ndim)
        return actc_fail(context, ACTC_ERROR_CORRUPT, "%s is truncated: its header ends after %llu bytes", path,
                         (unsigned long long)(got + sizeof magic));
    idx->ndim = ndim;
    idx->bytes = 1;
    for (int i = 0; i < ndim; i++) {
        idx->dims[i] = big_endian(dims + 4 * i);
        uint64_t dim = (uint64_t)idx->dims[i];
        if (dim == 0 || dim > MAX_BYTES / idx->bytes)
            return actc_fail(context, ACTC_ERROR_CORRUPT, "%s: dimension %d of the header is %llu, which %s", path, i,
                             (unsigned long long)dim, dim == 0 ? "leaves nothing" : "cannot be");
        idx->bytes *= dim;
    }
    return ACTC_OK;
}

static actc_status read_values(actc_context *context, const char *path, gzFile file, actc_idx *idx)
{
    uint64_t capacity = 0, done = 0, got;
    while (done < idx->bytes) {
        if (done == capacity) {
            capacity = capacity ? 2 * capacity : CHUNK;
            capacity = capacity < idx->bytes ? capacity : idx->bytes;
            uint8_t *grown = actc_realloc(idx->values, capacity);
            if (!grown)
                return actc_out_of_memory(context, capacity, path);
            idx->values = grown;
        }
        ACTC_RETURN_IF_ERROR(read_some(context, path, file, idx->values + done, capacity - done, &got));
        done += got;
        if (done < capacity)
            return actc_fail(context, ACTC_ERROR_CORRUPT, "%s is truncated: its header calls for %llu bytes of values, it holds %llu",
                             path, (unsigned long long)idx->bytes, (unsigned long long)done);
    }
    uint8_t more;
    ACTC_RETURN_IF_ERROR(read_some(context, path, file, &more, 1, &got));
    if (got)
        return actc_fail(context, ACTC_ERROR_CORRUPT, "%s holds more than the %llu bytes of values that its header calls for",
                         path, (unsigned long long)idx->bytes);
    return ACTC_OK;
}

actc_status actc_idx_read(actc_context *context, const char *path, int ndim, actc_idx *out)
{
    memset(out, 0, sizeof *out);
    errno = 0;
    gzFile file = gzopen(path, "rbe");
    if (!file) {
        int error = errno;
        char buffer[128];
        if (error == 0 || error == ENOMEM)
            return actc_out_of_memory(context, CHUNK, path);
        return actc_fail(context, error == ENOENT ? ACTC_ERROR_NOT_FOUND : ACTC_ERROR_IO, "cannot open %s: %s", path,
                         strerror_r(error, buffer, sizeof buffer));
    }
    gzbuffer(file, 1 << 17);
    actc_status status = read_header(context, path, file, ndim, out);
    if (status == ACTC_OK)
        status = read_values(context, path, file, out);
    gzclose_r(file);
    if (status != ACTC_OK) {
        actc_free(out->values);
        memset(out, 0, sizeof *out);
    }
    return status;
}
