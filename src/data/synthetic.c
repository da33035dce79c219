/* synthetic.c: samples that are computed, not read.
 *
 * Sample i is a function of (seed, train, i) alone, in integers and one exact product, so it is the same on every machine. A value
 * is the sum of four 16-bit uniforms, centred and scaled to variance 1: bell-shaped, within +-3.47, and without a logarithm,
 * which C libraries round differently.
 */
#include "dataset.h"

#include "../exact/exact.h"
#include "../util/util.h"

/* The last word of the counter: apart from the streams of a network, of its first values and of the order of samples. */
#define INPUT_STREAM 0xC0000000u
#define TARGET_STREAM 0xC0000002u

/* The greatest number of elements of a sample or its targets: the words of the counter hold its index. */
#define MOST_ELEMENTS ((uint64_t)1 << 32)

static actc_u32x4 block(const actc_dataset *dataset, uint32_t number, int64_t sample, uint32_t stream)
{
    return actc_philox(number, (uint32_t)sample, 0, stream + (dataset->train ? 0 : 1), (uint32_t)dataset->seed,
                       (uint32_t)(dataset->seed >> 32));
}

static float bell(uint32_t a, uint32_t b)
{
    int32_t sum = (int32_t)((a & 0xffffu) + (a >> 16) + (b & 0xffffu) + (b >> 16));
    return (float)(sum - 2 * 65535) * 2.6428997e-5f; /* sqrt(3)/65536 */
}

static void generate(const actc_dataset *dataset, int64_t index, float *inputs, void *targets)
{
    for (int64_t i = 0; i < dataset->sample_elements; i += 2) {
        actc_u32x4 r = block(dataset, (uint32_t)(i / 2), index, INPUT_STREAM);
        inputs[i] = bell(r.x, r.y);
        if (i + 1 < dataset->sample_elements)
            inputs[i + 1] = bell(r.z, r.w);
    }
    int64_t count = actc_shape_elements(&dataset->target);
    for (int64_t i = 0; i < count; i += 4) {
        actc_u32x4 r = block(dataset, (uint32_t)(i / 4), index, TARGET_STREAM);
        const uint32_t bits[4] = {r.x, r.y, r.z, r.w};
        for (int64_t k = 0; k < 4 && i + k < count; k++) {
            if (dataset->classes)
                ((int32_t *)targets)[i + k] = (int32_t)(((uint64_t)bits[k] * (uint64_t)dataset->classes) >> 32);
            else
                ((float *)targets)[i + k] = actc_uniform(bits[k]);
        }
    }
}

static actc_status check_shape(actc_context *context, const char *what, const actc_shape *shape)
{
    uint64_t elements = 1;
    bool good = shape->ndim >= 0 && shape->ndim < ACTC_MAX_DIMS;
    for (int d = 0; good && d < shape->ndim; d++)
        good = shape->dims[d] > 0 && actc_mul_u64(elements, (uint64_t)shape->dims[d], &elements) && elements <= MOST_ELEMENTS;
    if (good)
        return ACTC_OK;
    char text[96] = "";
    if (shape->ndim >= 0 && shape->ndim <= ACTC_MAX_DIMS)
        actc_shape_text(shape, text);
    return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                     "synthetic data: %s of %d dimensions %s; 0 to %d are accepted, each > 0, of together at most %llu elements", what,
                     shape->ndim, text, ACTC_MAX_DIMS - 1, (unsigned long long)MOST_ELEMENTS);
}

actc_status actc_dataset_synthetic(actc_context *context, const actc_shape *sample, const actc_shape *target, int64_t classes,
                                   int64_t count, uint64_t seed, bool train, actc_dataset **out)
{
    ACTC_OWN_MODES;
    if (!context || !out)
        return ACTC_ERROR_INVALID_ARGUMENT;
    *out = NULL;
    const actc_shape one = {0};
    target = target ? target : &one;
    if (!sample)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "synthetic data: the shape of a sample must not be NULL");
    ACTC_RETURN_IF_ERROR(check_shape(context, "samples", sample));
    ACTC_RETURN_IF_ERROR(check_shape(context, "targets", target));
    if (classes < 0 || classes > INT32_MAX)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "synthetic data: %lld classes; 0 (none: f32 targets) to %d are accepted",
                         (long long)classes, INT32_MAX);
    if (count < 1 || count > INT32_MAX)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "synthetic data: %lld samples; 1 to %d are accepted",
                         (long long)count, INT32_MAX);
    actc_dataset *dataset = actc_calloc(1, sizeof *dataset);
    if (!dataset)
        return actc_out_of_memory(context, sizeof *dataset, "a data set");
    *dataset = (actc_dataset){.context = context, .size = count, .used = count, .classes = classes, .sample = *sample,
                              .target = *target, .sample_elements = actc_shape_elements(sample), .generate = generate,
                              .seed = seed, .train = train};
    *out = dataset;
    return ACTC_OK;
}
