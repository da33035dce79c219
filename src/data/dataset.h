/* dataset.h: the inside of a data set, seen by the loader. */
#ifndef ACTC_DATASET_H
#define ACTC_DATASET_H

#include <actc/data.h>

/* Invariants: 1 <= used <= size < 2^31; every label is in [0, classes), or targets are f32 and classes is 0; immutable once a loader was made from it, so
 * that the loader's thread may read without a lock. */
struct actc_dataset {
    actc_context *context;
    int64_t size, used;
    int64_t classes;
    actc_shape sample;     /* channels, height, width */
    actc_shape target;     /* of a sample's labels; of no dimensions where it has one */
    int64_t sample_elements;
    uint8_t *pixels;       /* size x sample_elements, each sample in logical order */
    uint8_t *labels;
    /* Gives sample `index` (< used) as sample_elements bytes in logical order, valid until the next call. NULL: it lies
     * in `pixels`. Called on the loader's thread; on failure it writes the reason into why and returns NULL. */
    const uint8_t *(*read)(const actc_dataset *dataset, int64_t index, int32_t *label, char *why, size_t why_size);
    /* Not NULL: sample `index` (< used) is computed, in f32, with its targets, i32 or f32, and there is nothing to read. A pure
     * function of its arguments and these: */
    void (*generate)(const actc_dataset *dataset, int64_t index, float *inputs, void *targets);
    uint64_t seed;
    bool train;
};

/* Sample `index` (< used) of a set of bytes, wherever it lies; as `read` above. */
const uint8_t *actc_dataset_sample(const actc_dataset *dataset, int64_t index, int32_t *label, char *why, size_t why_size);

/* The permutation of 0..n-1 that epoch `epoch` goes through. 1 <= n < 2^31. */
void actc_shuffle(uint32_t *order, uint32_t n, uint64_t seed, uint64_t epoch);

#endif
