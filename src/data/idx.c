/* idx.c: reads one IDX file.
 *
 * Nothing in the header is believed: memory grows with the bytes that have arrived, so that a header which
 * promises gigabytes costs what the file holds, and the end of the file is read for, so that zlib checks the
 * sum of a gzipped one.
 */
#include "idx.h"

#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "../io/file.h"
#include "../util/util.h"

/* The most that one file may unpack to: far above any IDX data set in use, far below what exhausts a machine by
 * accident. */
#define MAX_BYTES ((uint64_t)1 << 36)
/* First allocation of values. */
#define CHUNK ((uint64_t)1 << 20)
/* Read from the file at once. */
#define INPUT_BYTES 131072

/* zlib's own file reader takes whatever follows a gzip member for nothing, so members are unpacked here. */
struct reader {
    actc_context *context;
    const char *path;
    int fd;
    uint64_t size, consumed; /* of the file; bytes of it handed to zlib or read as they are */
    bool gzip;
    bool inside; /* a gzip member, which has not ended */
    z_stream z;
    bool z_made;
    uint8_t input[INPUT_BYTES];
};

/* Up to `bytes` of the file itself. */
static actc_status read_file(struct reader *s, void *target, uint64_t bytes, uint64_t *got)
{
    uint64_t left = s->size - s->consumed;
    *got = left < bytes ? left : bytes;
    s->consumed += *got;
    return actc_file_read(s->context, s->path, s->fd, target, *got);
}

static actc_status damaged_gzip(const struct reader *s, const char *what)
{
    return actc_fail(s->context, ACTC_ERROR_CORRUPT, "%s is damaged: gzip: %s", s->path, what);
}

/* Refills the input where it is empty; at the end of the file it stays so. */
static actc_status refill(struct reader *s)
{
    if (s->z.avail_in)
        return ACTC_OK;
    uint64_t got;
    ACTC_RETURN_IF_ERROR(read_file(s, s->input, sizeof s->input, &got));
    s->z.next_in = s->input;
    s->z.avail_in = (uInt)got;
    return ACTC_OK;
}

/* A gzip file is one member or several. */
static actc_status next_member(struct reader *s)
{
    uint64_t rest = s->size - s->consumed + s->z.avail_in;
    if (inflateReset(&s->z) != Z_OK)
        return damaged_gzip(s, "unknown error");
    if (*s->z.next_in != 0x1f)
        return actc_fail(s->context, ACTC_ERROR_CORRUPT, "%s is damaged: gzip: %llu bytes follow the compressed data that are none",
                         s->path, (unsigned long long)rest);
    s->inside = true;
    return ACTC_OK;
}

static actc_status unpack(struct reader *s, uint8_t *target, uint64_t bytes, uint64_t *got)
{
    *got = 0;
    while (*got < bytes) {
        ACTC_RETURN_IF_ERROR(refill(s));
        if (!s->z.avail_in)
            return s->inside ? damaged_gzip(s, "unexpected end of file") : ACTC_OK;
        if (!s->inside)
            ACTC_RETURN_IF_ERROR(next_member(s));
        uint64_t ask = bytes - *got < CHUNK ? bytes - *got : CHUNK;
        s->z.next_out = target + *got;
        s->z.avail_out = (uInt)ask;
        int code = inflate(&s->z, Z_NO_FLUSH);
        *got += ask - s->z.avail_out;
        if (code == Z_STREAM_END)
            s->inside = false;
        else if (code == Z_MEM_ERROR)
            return actc_out_of_memory(s->context, CHUNK, "reading gzip");
        else if (code != Z_OK && code != Z_BUF_ERROR) /* the latter: more input is wanted */
            return damaged_gzip(s, s->z.msg ? s->z.msg : "unknown error");
    }
    return ACTC_OK;
}

/* Reads up to `bytes`; *got is less only at the end of the file. */
static actc_status read_some(struct reader *s, void *target, uint64_t bytes, uint64_t *got)
{
    return s->gzip ? unpack(s, target, bytes, got) : read_file(s, target, bytes, got);
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static actc_status read_header(struct reader *s, int ndim, actc_idx *idx)
{
    actc_context *context = s->context;
    const char *path = s->path;
    uint8_t magic[4], dims[4 * ACTC_IDX_MAX_DIMS];
    uint64_t got;
    ACTC_RETURN_IF_ERROR(read_some(s, magic, sizeof magic, &got));
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
    ACTC_RETURN_IF_ERROR(read_some(s, dims, 4u * (unsigned)ndim, &got));
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

static actc_status read_values(struct reader *s, actc_idx *idx)
{
    actc_context *context = s->context;
    const char *path = s->path;
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
        ACTC_RETURN_IF_ERROR(read_some(s, idx->values + done, capacity - done, &got));
        done += got;
        if (done < capacity)
            return actc_fail(context, ACTC_ERROR_CORRUPT, "%s is truncated: its header calls for %llu bytes of values, it holds %llu",
                             path, (unsigned long long)idx->bytes, (unsigned long long)done);
    }
    uint8_t more;
    ACTC_RETURN_IF_ERROR(read_some(s, &more, 1, &got));
    if (got)
        return actc_fail(context, ACTC_ERROR_CORRUPT, "%s holds more than the %llu bytes of values that its header calls for",
                         path, (unsigned long long)idx->bytes);
    return ACTC_OK;
}

/* Looks whether it is gzipped. */
static actc_status open_reader(struct reader *s)
{
    uint64_t got;
    ACTC_RETURN_IF_ERROR(actc_file_open(s->context, s->path, &s->fd, &s->size));
    ACTC_RETURN_IF_ERROR(read_file(s, s->input, 2, &got));
    s->gzip = got == 2 && s->input[0] == 0x1f && s->input[1] == 0x8b;
    if (lseek(s->fd, 0, SEEK_SET) < 0)
        return actc_fail(s->context, ACTC_ERROR_IO, "cannot read %s: it cannot be positioned", s->path);
    s->consumed = 0;
    if (!s->gzip)
        return ACTC_OK;
    s->inside = s->z_made = inflateInit2(&s->z, 16 + MAX_WBITS) == Z_OK; /* 16: gzip only */
    return s->z_made ? ACTC_OK : actc_out_of_memory(s->context, CHUNK, "reading gzip");
}

actc_status actc_idx_read(actc_context *context, const char *path, int ndim, actc_idx *out)
{
    memset(out, 0, sizeof *out);
    struct reader *s = actc_calloc(1, sizeof *s);
    if (!s)
        return actc_out_of_memory(context, sizeof *s, path);
    s->context = context;
    s->path = path;
    s->fd = -1;
    actc_status status = open_reader(s);
    if (status == ACTC_OK)
        status = read_header(s, ndim, out);
    if (status == ACTC_OK)
        status = read_values(s, out);
    if (s->z_made)
        inflateEnd(&s->z);
    if (s->fd >= 0)
        close(s->fd);
    actc_free(s);
    if (status != ACTC_OK) {
        actc_free(out->values);
        memset(out, 0, sizeof *out);
    }
    return status;
}
