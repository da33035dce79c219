/* product_float64.h: what a gemm or conv command computes, in float64, and how far from it a float32 result may be. */
#ifndef ACTC_PARITY_PRODUCT_FLOAT64_H
#define ACTC_PARITY_PRODUCT_FLOAT64_H

#include "kernel_case.h"

/* What every output is, and how far from it a float32 result may be; while they are summed, the sum of the magnitudes. */
typedef struct product_sums {
    size_t n;
    double *wanted, *bound;
    double *dropped; /* the sum of the magnitudes of products that may be read as zero: a factor lies below 2^-50 */
} product_sums;

/* data: of the command's views, before it runs. NULL where memory has run out. */
product_sums *product_sums_make(const kernel_spec *spec, void *const *data);
void product_sums_free(void *sums);

/* Elements of the operands of a convolution. */
typedef struct product_conv_sizes {
    size_t x, w, y, bias;
} product_conv_sizes;
product_conv_sizes product_conv_sizes_of(const actc_conv *conv);

#endif
