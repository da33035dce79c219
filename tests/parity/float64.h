/* float64.h: a device that computes in float64.
 *
 * A network prepared on it is lowered and planned as on any other; its programs run command by command through the references
 * (reference.h). Every word of memory has a value, a bound of how far a float32 device may be from it, and bits, so that it does not
 * matter what a range of the arena is used for. Bounds are of the worst case: they grow with every layer, and beyond all measure in a
 * deep network (to DBL_MAX), whose values are right all the same. What the host uploads is exact. Networks with codecs, and commands without a
 * reference, are refused when they are prepared.
 */
#ifndef ACTC_PARITY_FLOAT64_H
#define ACTC_PARITY_FLOAT64_H

#include "runtime/network.h"

/* Closed by actc_device_destroy. */
actc_status float64_open(actc_context *context, actc_device **out);

/* Runs end after this many commands of the program; 0: after all. build->n_forward: a training step up to its loss. */
void float64_set_limit(actc_device *device, uint32_t commands);

/* Numbers of a network on such a device, in PyTorch's order of elements, each with its bound. False where memory has run out.
 * values and errors have the elements of the shape. */
bool float64_read_state(actc_network *network, size_t index, double *values, double *errors);
/* As actc_network_read_output: of `samples` samples, after an evaluation or an inference. */
bool float64_read_output(actc_network *network, size_t index, double *values, double *errors);
/* A word of the result block as a float. */
double float64_result(const actc_network *network, uint32_t word, double *error);
/* Adds `by` to an element of a state, counted as it is stored. */
void float64_nudge(actc_network *network, size_t index, uint64_t element, double by);
/* An element of a state, counted as it is stored. */
double float64_stored(const actc_network *network, size_t index, uint64_t element);

#endif
