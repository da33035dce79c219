/* conv_parts.h: a convolution cut into parts that threads do by themselves. */
#ifndef ACTC_CPU_CONV_PARTS_H
#define ACTC_CPU_CONV_PARTS_H

#include "../backend.h"

typedef struct actc_conv_part {
    actc_conv conv; /* the part as a convolution of its own */
    uint64_t x, y;  /* where it begins in the two tensors, in elements */
} actc_conv_part;

/* Cuts into `wanted` parts or fewer: whole samples, or, where there are fewer of them,
 * planes (rows of an image) of one sample. Together the parts compute what the whole does: of a forward pass they make
 * outputs and read the inputs that those need, of backward data they make input gradients, of backward filter each has a sum
 * of its own. Extents and padding differ between parts, the rest is the whole's. NULL where memory has run out. */
actc_conv_part *actc_conv_cut(const actc_conv *conv, uint32_t wanted, uint32_t *count);

#endif
