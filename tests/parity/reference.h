/* reference.h: what a kernel computes, in float64, with a bound on how far a float32 result may be from it.
 *
 * One function a kernel, in reference_<family>.c, found by the kernel's number. The cases of single kernels compare with it,
 * and networks are computed in float64 by running their programs command by command through it.
 */
#ifndef ACTC_PARITY_REFERENCE_H
#define ACTC_PARITY_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../backends/backend.h"

#define REFERENCE_UNIT 0x1p-24 /* of a rounding to nearest in float32 */
#define REFERENCE_TINY 0x1p-60 /* magnitudes below are read, and stored, as zero (src/exact/exact.h) */

/* Element i is word i of the view. `value` and `error` are of views that hold floats, `bits` of those that hold integers (masks,
 * indices, labels, the step block, the result block); all three are there in every view, words 0 in one that is absent. What
 * a kernel writes as float has `error` >= |float32 result - value|, counting the errors of what it read. */
typedef struct reference_view {
    size_t words;
    double *value, *error;
    uint32_t *bits;
} reference_view;

/* params: the kernel's struct. views: in the order of the kernel's access letters; those not written are left alone. */
typedef void (*reference_fn)(const void *params, reference_view *views);

/* NULL where a kernel has none (codecs; PRODUCT and DEPTHWISE kernels, whose commands are gemm and conv). */
reference_fn reference_of(actc_kernel_id id);

/* ---- for the functions themselves ---- */

/* A float that the host put into the step block. */
static inline double reference_step_float(const reference_view *step, uint32_t word)
{
    union { uint32_t u; float f; } pun = {.u = step->bits[word]};
    return pun.f;
}

/* Stores a result whose inputs' errors add up to `error` and which `roundings` float32 operations of at most `magnitude` led to. */
static inline void reference_store(reference_view *view, size_t i, double value, double error, double roundings, double magnitude)
{
    view->value[i] = value;
    view->error[i] = error + roundings * REFERENCE_UNIT * magnitude * (1 + 1e-6) + REFERENCE_TINY;
}

#endif
