/* products.h: gemm and conv commands as kernel launches, the same for every backend.
 *
 * A launch of a product kernel makes rows x columns outputs, `copies` times; the backend chooses tiles and groups. In a
 * convolution the rows are its long side (pixels, or weights of one output channel) and the columns its channels.
 */
#ifndef ACTC_PRODUCTS_H
#define ACTC_PRODUCTS_H

#include "../backend.h"

/* Floats of the partial sums of a filter's gradient: at most so many, or a copy of the filter where that is more. The
 * chunks follow from the shape alone, since the order of additions does. */
#define ACTC_FILTER_PARTIAL_FLOATS (1u << 22)
#define ACTC_FILTER_MAX_CHUNKS 4096u

typedef struct actc_product_launch {
    actc_kernel_id id;
    uint64_t rows, columns, copies; /* of kernels of the families PRODUCT and DEPTHWISE */
    uint64_t groups;                /* 0: the backend's choice, in tiles */
    double products;                /* multiplications */
    uint8_t views[ACTC_MAX_VIEWS];  /* which view of the command each of the kernel's is */
    union {
        uint32_t words[ACTC_MAX_PARAMS_BYTES / 4]; /* the kernel's struct; `groups` is not set */
        char bytes[ACTC_MAX_PARAMS_BYTES];
    } params;
} actc_product_launch;

/* Number of a view that no product has: the kernel's is empty. */
#define ACTC_PRODUCT_ABSENT (ACTC_MAX_VIEWS - 1)

#define ACTC_PRODUCT_LAUNCHES 2
typedef struct actc_product {
    actc_product_launch launches[ACTC_PRODUCT_LAUNCHES];
    uint32_t count;
    uint64_t workspace_bytes; /* a multiple of ACTC_VIEW_ALIGNMENT */
    uint64_t max_elements;    /* of the largest operand, or of the workspace */
} actc_product;

/* command: a GEMM or CONV, whose views need not be resolved. exact: by the kernels of a deterministic device. */
void actc_product_lower(const actc_command *command, bool exact, actc_product *out);

/* Whether the kernels can count its elements, in 32 bits with tiles past the end; else false with the shape in `why`. */
bool actc_product_fits(const actc_command *command, const actc_product *product, char *why, size_t why_size);

#endif
