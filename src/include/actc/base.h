/* actc/base.h: status codes, versions, element types and shapes.
 *
 * Conventions of every public header:
 *  - A function that can fail returns actc_status; the message that goes with a failure is kept by
 *    the context (actc_error_message). The library never exits, aborts or prints.
 *  - "must" in a comment is checked and fails with ACTC_ERROR_INVALID_ARGUMENT.
 *  - Option structs begin with `size`, set by their actc_*_default() function, and structs that a call fills
 *    begin with `size`, set by the caller to sizeof, so that fields can be added at their ends without breaking
 *    programs built against an older header: fields beyond a smaller size keep their defaults, or are not
 *    written. A size that no header ever had, such as 0 or one larger than this library's, fails.
 *  - Pointers passed in stay the caller's and are not kept unless a comment says so. An object made
 *    by actc_X_create belongs to the caller until actc_X_destroy(&object), which accepts a NULL object
 *    and sets the pointer to NULL.
 *  - Strings returned belong to the object they were asked of and live as long as it does, unless a
 *    comment says otherwise.
 *  - A call works under the default floating point modes (round to nearest, subnormals kept, exceptions masked) and the
 *    locale "C", whatever the caller's are, and gives those back. Callbacks run under the library's.
 *  - A child process made by fork() may go on with what it inherits, but for a loader with a thread and a device whose
 *    driver does not survive (Vulkan, CUDA) with all that was made from it: using one fails with ACTC_ERROR_UNSUPPORTED,
 *    destroying one frees the child's memory.
 */
#ifndef ACTC_BASE_H
#define ACTC_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define ACTC_API __attribute__((visibility("default")))
#define ACTC_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define ACTC_API
#define ACTC_PRINTF(fmt, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum actc_status {
    ACTC_OK = 0,
    ACTC_ERROR_INVALID_ARGUMENT = 1, /* a value, shape, option or spec that is not accepted */
    ACTC_ERROR_OUT_OF_MEMORY = 2,    /* host or device memory */
    ACTC_ERROR_NOT_FOUND = 3,        /* no such device, tensor, file or codec */
    ACTC_ERROR_UNSUPPORTED = 4,      /* the device or this build cannot do it */
    ACTC_ERROR_DEVICE = 5,           /* a driver or vendor library reported a failure */
    ACTC_ERROR_IO = 6,               /* open, read, write, flush or rename failed */
    ACTC_ERROR_CORRUPT = 7,          /* a file's content is damaged or is something else */
    ACTC_ERROR_NOT_FINITE = 8,       /* NaN or Inf in the loss or a gradient */
    ACTC_ERROR_INTERNAL = 9          /* a defect of actc itself */
} actc_status;

/* A short English name of the status, never NULL. */
ACTC_API const char *actc_status_string(actc_status status);

/* The API number of these headers, which grows by one with every change of them. A program that needs the library to know as
 * much checks actc_api_version() >= ACTC_API_VERSION. */
#define ACTC_API_VERSION 7

/* Version of the library that is running ("0.1.0"), and its API number. */
ACTC_API const char *actc_version(void);
ACTC_API int actc_api_version(void);

typedef enum actc_dtype {
    ACTC_F32 = 0,
    ACTC_I32 = 1 /* class labels */
} actc_dtype;

#define ACTC_MAX_DIMS 5

/* A logical shape in PyTorch's order: N,C,H,W / N,C,D,H,W / B,T,D / N,F / N.
 * The physical order in memory is channels-last (N,H,W,C) for 4-D and 5-D tensors and row-major for
 * the others; functions that take or return values say which of the two they use. */
typedef struct actc_shape {
    int ndim;
    int64_t dims[ACTC_MAX_DIMS];
} actc_shape;

/* Number of elements; 1 for ndim 0. */
ACTC_API int64_t actc_shape_elements(const actc_shape *shape);

#ifdef __cplusplus
}
#endif
#endif
