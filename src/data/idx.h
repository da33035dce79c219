/* idx.h: the IDX format of MNIST: two zero bytes, a type, the number of dimensions, big-endian 32-bit
 * dimensions, the values. Only unsigned bytes (type 8) are read. */
#ifndef ACTC_IDX_H
#define ACTC_IDX_H

#include <actc/context.h>

#define ACTC_IDX_MAX_DIMS 4

typedef struct actc_idx {
    int ndim;
    int64_t dims[ACTC_IDX_MAX_DIMS];
    uint64_t bytes;  /* the product of the dimensions */
    uint8_t *values; /* actc_free */
} actc_idx;

/* Reads the whole file, gzipped or plain; it must hold `ndim` dimensions, none of them 0, and exactly the bytes
 * they call for. ACTC_ERROR_NOT_FOUND where there is no such file, ACTC_ERROR_IO where it cannot be read,
 * ACTC_ERROR_CORRUPT where its content is not that. *out is empty after a failure. */
actc_status actc_idx_read(actc_context *context, const char *path, int ndim, actc_idx *out);

#endif
