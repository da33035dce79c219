/* dataset.c: data sets by name.
 *
 * Every data set read so far is a pair of IDX files for training and another for testing; the table below says
 * what they are called and where a package puts them.
 */
#include "dataset.h"

#include <string.h>
#include <zlib.h>

#include "../util/util.h"
#include "idx.h"

struct source {
    const char *name;
    const char *directory; /* where the package puts it */
    const char *hint;      /* how to get it */
    int64_t classes;
};

static const struct source sources[] = {
    {"fashion-mnist", "/usr/share/datasets/fashion-mnist",
     "Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist", 10},
    {"mnist", "/usr/share/datasets/mnist", "Debian has no package of it; name the folder that holds the four files", 10},
};
#define N_SOURCES (sizeof sources / sizeof *sources)

/* NULL, with the context's message set, where there is no such name. */
static const struct source *find_source(actc_context *context, const char *name)
{
    const char *names[N_SOURCES];
    for (size_t i = 0; i < N_SOURCES; i++) {
        names[i] = sources[i].name;
        if (strcmp(name, sources[i].name) == 0)
            return &sources[i];
    }
    const char *nearest = actc_nearest(name, names, N_SOURCES);
    actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "unknown data set \"%s\"%s%s%s; there are: fashion-mnist, mnist", name,
              nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    return NULL;
}

/* Reads the first that is there of DIRECTORY/PART-KIND.gz and DIRECTORY/PART-KIND, or the same with a dot for the dash, as some
 * archives unpack; *path names it (actc_free). */
static actc_status read_either(actc_context *context, const struct source *source, const char *directory, const char *part,
                               const char *kind, int ndim, char **path, actc_idx *idx)
{
    for (int i = 0; i < 4; i++) {
        *path = actc_format("%s/%s%c%s%s", directory, part, i < 2 ? '-' : '.', kind, i % 2 ? "" : ".gz");
        if (!*path)
            return actc_out_of_memory(context, strlen(directory), "a path");
        actc_status status = actc_idx_read(context, *path, ndim, idx);
        if (status != ACTC_ERROR_NOT_FOUND)
            return status;
        actc_free(*path);
        *path = NULL;
    }
    return actc_fail(context, ACTC_ERROR_NOT_FOUND, "data set %s: there is neither %s-%s.gz nor %s-%s nor %s.%s[.gz] in %s; %s",
                     source->name, part, kind, part, kind, part, kind, directory, source->hint);
}

static actc_status check_pair(actc_context *context, const struct source *source, const actc_idx *images,
                              const char *images_path, const actc_idx *labels, const char *labels_path)
{
    if (images->dims[0] != labels->dims[0])
        return actc_fail(context, ACTC_ERROR_CORRUPT, "%s holds %lld images, but %s %lld labels", images_path,
                         (long long)images->dims[0], labels_path, (long long)labels->dims[0]);
    if (images->dims[0] > INT32_MAX)
        return actc_fail(context, ACTC_ERROR_CORRUPT, "%s: %lld images, at most %d are accepted", images_path,
                         (long long)images->dims[0], INT32_MAX);
    for (int64_t i = 0; i < labels->dims[0]; i++)
        if (labels->values[i] >= source->classes)
            return actc_fail(context, ACTC_ERROR_CORRUPT, "%s: label %lld is %d, data set %s has classes 0 to %lld", labels_path,
                             (long long)i, labels->values[i], source->name, (long long)source->classes - 1);
    return ACTC_OK;
}

static actc_status dataset_read(actc_dataset *dataset, const struct source *source, const char *directory, bool train)
{
    actc_context *context = dataset->context;
    actc_idx images = {0}, labels = {0};
    char *images_path = NULL, *labels_path = NULL;
    actc_status status = read_either(context, source, directory, train ? "train-images" : "t10k-images", "idx3-ubyte", 3,
                                     &images_path, &images);
    if (status == ACTC_OK)
        status = read_either(context, source, directory, train ? "train-labels" : "t10k-labels", "idx1-ubyte", 1, &labels_path,
                             &labels);
    if (status == ACTC_OK)
        status = check_pair(context, source, &images, images_path, &labels, labels_path);
    if (status == ACTC_OK) {
        dataset->size = dataset->used = images.dims[0];
        dataset->classes = source->classes;
        dataset->sample = (actc_shape){3, {1, images.dims[1], images.dims[2]}};
        dataset->sample_elements = images.dims[1] * images.dims[2];
        dataset->pixels = images.values;
        dataset->labels = labels.values;
    } else {
        actc_free(images.values);
        actc_free(labels.values);
    }
    actc_free(images_path);
    actc_free(labels_path);
    return status;
}

actc_status actc_dataset_open(actc_context *context, const char *name, const char *directory, bool train, actc_dataset **out)
{
    ACTC_OWN_MODES;
    if (!context || !out)
        return ACTC_ERROR_INVALID_ARGUMENT;
    *out = NULL;
    if (!name)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "a data set must be named; there are: fashion-mnist, mnist");
    const struct source *source = find_source(context, name);
    if (!source)
        return ACTC_ERROR_INVALID_ARGUMENT;
    actc_dataset *dataset = actc_calloc(1, sizeof *dataset);
    if (!dataset)
        return actc_out_of_memory(context, sizeof *dataset, "a data set");
    dataset->context = context;
    actc_status status = dataset_read(dataset, source, directory ? directory : source->directory, train);
    if (status != ACTC_OK)
        actc_dataset_destroy(&dataset);
    *out = dataset;
    return status;
}

void actc_dataset_destroy(actc_dataset **dataset)
{
    if (!dataset || !*dataset)
        return;
    actc_free((*dataset)->pixels);
    actc_free((*dataset)->labels);
    actc_free(*dataset);
    *dataset = NULL;
}

int64_t actc_dataset_size(const actc_dataset *dataset)
{
    return dataset ? dataset->used : 0;
}

actc_status actc_dataset_limit(actc_dataset *dataset, int64_t count)
{
    ACTC_OWN_MODES;
    if (!dataset)
        return ACTC_ERROR_INVALID_ARGUMENT;
    if (count < 1 || count > dataset->size)
        return actc_fail(dataset->context, ACTC_ERROR_INVALID_ARGUMENT, "limit of %lld samples; 1 to %lld are accepted",
                         (long long)count, (long long)dataset->size);
    dataset->used = count;
    return ACTC_OK;
}

const uint8_t *actc_dataset_sample(const actc_dataset *dataset, int64_t index, int32_t *label, char *why, size_t why_size)
{
    if (dataset->read)
        return dataset->read(dataset, index, label, why, why_size);
    *label = dataset->labels[index];
    return dataset->pixels + index * dataset->sample_elements;
}

actc_status actc_dataset_digest(const actc_dataset *dataset, uint32_t *digest)
{
    ACTC_OWN_MODES;
    if (!dataset)
        return ACTC_ERROR_INVALID_ARGUMENT;
    if (!digest)
        return actc_fail(dataset->context, ACTC_ERROR_INVALID_ARGUMENT, "actc_dataset_digest needs a number to fill");
    char why[256] = "";
    uLong crc = crc32_z(0, NULL, 0);
    if (dataset->generate) {
        crc = crc32_z(crc, (const Bytef *)&dataset->seed, sizeof dataset->seed);
        crc = crc32_z(crc, (const Bytef *)&dataset->train, sizeof dataset->train);
        crc = crc32_z(crc, (const Bytef *)&dataset->used, sizeof dataset->used);
        crc = crc32_z(crc, (const Bytef *)&dataset->classes, sizeof dataset->classes);
        crc = crc32_z(crc, (const Bytef *)dataset->sample.dims, (size_t)dataset->sample.ndim * sizeof dataset->sample.dims[0]);
        crc = crc32_z(crc, (const Bytef *)dataset->target.dims, (size_t)dataset->target.ndim * sizeof dataset->target.dims[0]);
        *digest = (uint32_t)crc;
        return ACTC_OK;
    }
    for (int64_t i = 0; i < dataset->used; i++) {
        int32_t label;
        const uint8_t *sample = actc_dataset_sample(dataset, i, &label, why, sizeof why);
        if (!sample)
            return actc_fail(dataset->context, ACTC_ERROR_IO, "sample %lld: %s", (long long)i, why);
        crc = crc32_z(crc, sample, (size_t)dataset->sample_elements);
        crc = crc32_z(crc, (const Bytef *)&label, sizeof label);
    }
    *digest = (uint32_t)crc;
    return ACTC_OK;
}

actc_shape actc_dataset_sample_shape(const actc_dataset *dataset)
{
    return dataset ? dataset->sample : (actc_shape){0};
}

actc_shape actc_dataset_target_shape(const actc_dataset *dataset)
{
    return dataset ? dataset->target : (actc_shape){0};
}

int64_t actc_dataset_classes(const actc_dataset *dataset)
{
    return dataset ? dataset->classes : 0;
}
