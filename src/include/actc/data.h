/* actc/data.h: data sets, shuffled batches, and state on disk. */
#ifndef ACTC_DATA_H
#define ACTC_DATA_H

#include <actc/network.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A labelled set of images held in memory as bytes. */
typedef struct actc_dataset actc_dataset;

/* name: "fashion-mnist" or "mnist". directory: NULL for where Debian's packages put it
 * (/usr/share/datasets/NAME). Reads {train,t10k}-{images-idx3,labels-idx1}-ubyte, gzipped (.gz) or plain.
 * A damaged file is ACTC_ERROR_CORRUPT with its path and what is wrong. */
ACTC_API actc_status actc_dataset_open(actc_context *context, const char *name, const char *directory, bool train,
                                       actc_dataset **out);
ACTC_API void actc_dataset_destroy(actc_dataset **dataset);
ACTC_API int64_t actc_dataset_size(const actc_dataset *dataset);
/* Use only the first `count` samples, 1 <= count <= size. */
ACTC_API actc_status actc_dataset_limit(actc_dataset *dataset, int64_t count);
/* The shape of one sample (1,28,28) and the number of classes. */
ACTC_API actc_shape actc_dataset_sample_shape(const actc_dataset *dataset);
ACTC_API int64_t actc_dataset_classes(const actc_dataset *dataset);

/* Batches of normalised samples, (x/255 - mean)/std, read ahead on a thread of its own. */
typedef struct actc_loader actc_loader;

typedef struct actc_loader_options {
    size_t size;
    int64_t batch;        /* must be > 0 */
    bool shuffle;         /* a permutation of the counter-based generator, keyed by (seed, epoch) */
    bool drop_last;       /* leave out the last, smaller batch of an epoch */
    uint64_t seed;
    double mean, std;     /* default 0.1307, 0.3081 */
} actc_loader_options;
ACTC_API actc_loader_options actc_loader_options_default(void);

/* dataset must outlive the loader. */
ACTC_API actc_status actc_loader_create(actc_context *context, const actc_dataset *dataset,
                                        const actc_loader_options *options, actc_loader **out);
ACTC_API void actc_loader_destroy(actc_loader **loader);
ACTC_API int64_t actc_loader_batches(const actc_loader *loader); /* an epoch */

typedef struct actc_batch {
    const float *inputs;   /* batch x sample elements; valid until the next call on this loader */
    const int32_t *labels;
    int64_t count;         /* samples in this batch */
    uint64_t epoch;        /* from 0 */
    int64_t index;         /* of the batch in its epoch, from 0 */
} actc_batch;
/* Never ends: after the last batch of an epoch comes the first of the next. */
ACTC_API actc_status actc_loader_next(actc_loader *loader, actc_batch *batch);
/* The next batch will be this one. index must be < actc_loader_batches. */
ACTC_API actc_status actc_loader_seek(actc_loader *loader, uint64_t epoch, int64_t index);

/* ---- safetensors ---- */

typedef struct actc_safetensors actc_safetensors; /* a file read into memory, f32 tensors only */

/* Checks the header against the file's size, dtypes, shapes and offsets before anything is used. */
ACTC_API actc_status actc_safetensors_open(actc_context *context, const char *path, actc_safetensors **out);
ACTC_API void actc_safetensors_destroy(actc_safetensors **file);
ACTC_API size_t actc_safetensors_count(const actc_safetensors *file);
/* name, shape and values belong to the file object; any of them may be NULL. */
ACTC_API actc_status actc_safetensors_get(const actc_safetensors *file, size_t index, const char **name,
                                          actc_shape *shape, const float **values);
/* index of a name, or ACTC_ERROR_NOT_FOUND. */
ACTC_API actc_status actc_safetensors_find(const actc_safetensors *file, const char *name, size_t *index);
/* A string of "__metadata__", NULL where there is none of that key. */
ACTC_API const char *actc_safetensors_metadata(const actc_safetensors *file, const char *key);

typedef struct actc_safetensors_entry {
    const char *name;
    actc_shape shape;
    const float *values;
} actc_safetensors_entry;
typedef struct actc_safetensors_pair {
    const char *key, *value;
} actc_safetensors_pair;
/* Writes to a temporary file beside `path`, flushes it to the disk and renames it, so that `path` holds either what
 * it held before or all of the new content. The bytes depend on the arguments only. */
ACTC_API actc_status actc_safetensors_write(actc_context *context, const char *path,
                                            const actc_safetensors_entry *entries, size_t count,
                                            const actc_safetensors_pair *metadata, size_t metadata_count);

/* ---- a network's state ---- */

/* Parameters only, named as PyTorch names them. Network and step in the metadata. */
ACTC_API actc_status actc_network_save_parameters(actc_network *network, const char *path);
ACTC_API actc_status actc_network_load_parameters(actc_network *network, const char *path);

/* Parameters, optimiser state and counters in one file, so that a run can go on bit for bit.
 * position: kept as it is for the caller (epoch and batch index of the data). */
typedef struct actc_checkpoint_position {
    uint64_t epoch;
    int64_t index;
} actc_checkpoint_position;
ACTC_API actc_status actc_network_save_checkpoint(actc_network *network, const char *path,
                                                  const actc_checkpoint_position *position);
/* Fails without changing the network where the file is damaged or of another network. */
ACTC_API actc_status actc_network_load_checkpoint(actc_network *network, const char *path,
                                                  actc_checkpoint_position *position);

/* ---- learning-rate schedules ---- */

typedef enum actc_schedule_kind {
    ACTC_SCHEDULE_CONSTANT = 0,
    ACTC_SCHEDULE_STEP = 1,   /* lr * gamma^(epoch / step_epochs) */
    ACTC_SCHEDULE_COSINE = 2, /* from lr to min_lr over `epochs`, by epoch */
    ACTC_SCHEDULE_PLATEAU = 3 /* lr * gamma after `patience` epochs without a lower loss */
} actc_schedule_kind;

typedef struct actc_schedule {
    size_t size;
    actc_schedule_kind kind;
    double lr, gamma, min_lr;
    int64_t step_epochs, epochs, patience;
    double best;       /* state of plateau: lowest loss so far, epochs since, reductions so far */
    int64_t bad_epochs, reductions;
} actc_schedule;
/* spec: "constant", "step:epochs=30,gamma=0.1", "cosine:epochs=N[,min-lr=X]", "plateau:patience=10,gamma=0.1". */
ACTC_API actc_status actc_schedule_parse(actc_context *context, const char *spec, double lr, int64_t epochs,
                                         actc_schedule *schedule);
ACTC_API double actc_schedule_rate(const actc_schedule *schedule, uint64_t epoch);
/* Tell plateau the loss of an epoch that ended; others ignore it. */
ACTC_API void actc_schedule_observe(actc_schedule *schedule, double loss);

#ifdef __cplusplus
}
#endif
#endif
