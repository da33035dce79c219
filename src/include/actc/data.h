/* actc/data.h: data sets, shuffled batches, and state on disk. */
#ifndef ACTC_DATA_H
#define ACTC_DATA_H

#include <actc/network.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A labelled set of samples: images held in memory as bytes, or generated ones. */
typedef struct actc_dataset actc_dataset;

/* name: "fashion-mnist" or "mnist". directory: NULL for where Debian's packages put it
 * (/usr/share/datasets/NAME; Debian has a package of fashion-mnist only). Reads
 * {train,t10k}-{images-idx3,labels-idx1}-ubyte, gzipped (.gz) or plain, .gz first; or with a dot for the second dash
 * (train-images.idx3-ubyte).
 * ACTC_ERROR_INVALID_ARGUMENT: no such name. ACTC_ERROR_NOT_FOUND: no such file; the message lists what was looked
 * for. ACTC_ERROR_CORRUPT: damaged, with the path and what is wrong. ACTC_ERROR_IO: it cannot be read. */
ACTC_API actc_status actc_dataset_open(actc_context *context, const char *name, const char *directory, bool train,
                                       actc_dataset **out);
/* Generated samples, for measuring: f32 values of mean 0 and variance 1, and targets uniform in [0, classes), or, where classes is 0,
 * f32 targets uniform in [0, 1): images, masks. Sample i depends on
 * (seed, train, i) only, on every machine, and is computed when a loader asks for it. sample: its shape, e.g. {3, {3, 32, 32}};
 * target: that of its targets, e.g. {3, {D, H, W}} for one a voxel, NULL for one a sample; both of at most ACTC_MAX_DIMS - 1
 * dimensions. 0 <= classes < 2^31, 1 <= count < 2^31. Both shapes are copied. ACTC_ERROR_INVALID_ARGUMENT. */
ACTC_API actc_status actc_dataset_synthetic(actc_context *context, const actc_shape *sample, const actc_shape *target,
                                            int64_t classes, int64_t count, uint64_t seed, bool train, actc_dataset **out);
ACTC_API void actc_dataset_destroy(actc_dataset **dataset);
ACTC_API int64_t actc_dataset_size(const actc_dataset *dataset);
/* Use only the first `count` samples; must be 1 <= count <= size, and no loader may have been made yet. */
ACTC_API actc_status actc_dataset_limit(actc_dataset *dataset, int64_t count);
/* CRC-32 over the samples that are used, each its bytes and its label: the same images in the same order give the same number,
 * in whatever files they lie. Reads all of them. Of generated samples: over what they are computed from, and their number. */
ACTC_API actc_status actc_dataset_digest(const actc_dataset *dataset, uint32_t *digest);
/* The shape of one sample (1,28,28), of its targets (no dimensions: one a sample) and the number of classes (0: targets are f32). */
ACTC_API actc_shape actc_dataset_sample_shape(const actc_dataset *dataset);
ACTC_API actc_shape actc_dataset_target_shape(const actc_dataset *dataset);
ACTC_API int64_t actc_dataset_classes(const actc_dataset *dataset);

/* Batches of normalised samples, (x/255 - mean)/std computed in f64 and rounded once to f32 (generated samples are f32 as they
 * are), prepared two batches ahead on a thread of the loader's own. Where the system refuses a thread, batches are made when
 * they are asked for, and a warning is logged. The order of the samples depends on (size, seed, epoch) only, on every machine. */
typedef struct actc_loader actc_loader;

typedef struct actc_loader_options {
    size_t size;
    int64_t batch;        /* must be > 0 */
    bool shuffle;         /* a permutation of the counter-based generator, keyed by (seed, epoch) */
    bool drop_last;       /* leave out the last, smaller batch of an epoch */
    uint64_t seed;
    double mean, std;     /* default 0.1307, 0.3081; must be finite, std > 0 */
} actc_loader_options;
ACTC_API actc_loader_options actc_loader_options_default(void);

/* dataset must outlive the loader, and have at least `batch` samples where drop_last. */
ACTC_API actc_status actc_loader_create(actc_context *context, const actc_dataset *dataset,
                                        const actc_loader_options *options, actc_loader **out);
ACTC_API void actc_loader_destroy(actc_loader **loader);
ACTC_API int64_t actc_loader_batches(const actc_loader *loader); /* an epoch */

typedef struct actc_batch {
    size_t size;
    const float *inputs;   /* batch x sample elements; valid until the next call on this loader */
    const int32_t *labels; /* batch x target elements; NULL where targets are f32 */
    int64_t count;         /* samples in this batch */
    uint64_t epoch;        /* from 0 */
    int64_t index;         /* of the batch in its epoch, from 0 */
    const float *targets;  /* the same as labels, where targets are f32; else NULL */
} actc_batch;
/* Never ends: after the last batch of an epoch comes the first of the next. batch->size is set to what the program
 * was compiled with. A failure is reported in the place of the batch that could not be made, and again until the next seek. */
ACTC_API actc_status actc_loader_next_sized(actc_loader *loader, actc_batch *batch);
static inline actc_status actc_loader_next(actc_loader *loader, actc_batch *batch)
{
    if (batch)
        batch->size = sizeof *batch;
    return actc_loader_next_sized(loader, batch);
}
/* The next batch will be this one; what was prepared ahead is dropped. must be 0 <= index < actc_loader_batches. */
ACTC_API actc_status actc_loader_seek(actc_loader *loader, uint64_t epoch, int64_t index);

/* ---- safetensors ---- */

typedef struct actc_safetensors actc_safetensors; /* a file read into memory, its float tensors as f32 */

/* Checks the header against the file's size, dtypes, shapes and offsets before anything is used. Tensors are
 * numbered in the order of their data. F64 is rounded to f32, F16 and BF16 are widened; tensors of another dtype or with more
 * than ACTC_MAX_DIMS dimensions are checked and passed over, but I64 and I32, and F64 as it is, can be had by name
 * (actc_safetensors_read_f64). ACTC_ERROR_NOT_FOUND, _IO or _CORRUPT (with the path and what is wrong). */
ACTC_API actc_status actc_safetensors_open(actc_context *context, const char *path, actc_safetensors **out);
ACTC_API void actc_safetensors_destroy(actc_safetensors **file);
ACTC_API size_t actc_safetensors_count(const actc_safetensors *file);
/* name, shape and values belong to the file object; any of them may be NULL. */
ACTC_API actc_status actc_safetensors_get(const actc_safetensors *file, size_t index, const char **name,
                                          actc_shape *shape, const float **values);
/* index of a name; ACTC_ERROR_NOT_FOUND, which leaves the context's message alone; or ACTC_ERROR_UNSUPPORTED, with the
 * reason, for a tensor that was passed over. */
ACTC_API actc_status actc_safetensors_find(const actc_safetensors *file, const char *name, size_t *index);
/* Copies the values of a tensor of dtype F64, F32, I64 or I32 into `values`, as many doubles as its shape has elements (an I64
 * beyond 2^53 is rounded). shape and values may be NULL, so that the shape can be asked for first. NOT_FOUND and UNSUPPORTED as
 * actc_safetensors_find gives them. */
ACTC_API actc_status actc_safetensors_read_f64(const actc_safetensors *file, const char *name, actc_shape *shape, double *values);
/* The names of all tensors, those that were passed over among them, in byte order; NULL past the last. */
ACTC_API const char *actc_safetensors_name(const actc_safetensors *file, size_t index);
/* A string of "__metadata__", NULL where there is none of that key. */
ACTC_API const char *actc_safetensors_metadata(const actc_safetensors *file, const char *key);

typedef struct actc_safetensors_entry {
    const char *name;
    actc_shape shape;
    const float *values;     /* F32 */
    const int64_t *integers; /* instead: I64. The checksum of a network's files leaves these out */
} actc_safetensors_entry;
typedef struct actc_safetensors_pair {
    const char *key, *value;
} actc_safetensors_pair;
/* Writes to a temporary file beside `path`, flushes it to the disk and renames it, so that `path` holds either what
 * it held before or all of the new content. After a failure the temporary file is gone; only a killed process leaves
 * one (PATH.tmp-*). The bytes depend on the arguments only. Names and keys must be unique UTF-8, "__metadata__" is
 * no tensor's name. */
ACTC_API actc_status actc_safetensors_write(actc_context *context, const char *path,
                                            const actc_safetensors_entry *entries, size_t count,
                                            const actc_safetensors_pair *metadata, size_t metadata_count);

/* ---- a network's state ---- */

/* Parameters and buffers, named as PyTorch names them: running statistics, and the I64 counters "num_batches_tracked", which are
 * the network's step. load_state_dict(strict=True) of the same network takes all of it. Network and step in the metadata, and a
 * checksum: 8 hexadecimal digits under "checksum", which other readers of the format pass over as they do the rest. */
ACTC_API actc_status actc_network_save_parameters(actc_network *network, const char *path);
/* The file must hold every parameter with its shape and nothing else, but may be a checkpoint, whose optimiser state
 * is passed over. A file that has a checksum must fit it (CORRUPT). Fails without changing the network. Optimiser state and counters stay as they are. */
ACTC_API actc_status actc_network_load_parameters(actc_network *network, const char *path);

/* How a file of weights differs from what a network needs. */
typedef enum actc_weight_problem {
    ACTC_WEIGHT_MISSING = 0,    /* the network has it, the file has not */
    ACTC_WEIGHT_UNEXPECTED = 1, /* the file has it, the network has not */
    ACTC_WEIGHT_SHAPE = 2,      /* of another shape */
    ACTC_WEIGHT_DTYPE = 3       /* of a dtype that is not read as f32, or of too many dimensions */
} actc_weight_problem;
typedef struct actc_weight_difference {
    actc_weight_problem problem;
    const char *name;         /* valid during the call, as all of this */
    actc_shape found, wanted; /* of ACTC_WEIGHT_SHAPE */
} actc_weight_difference;
/* Parameters and buffers from a file of PyTorch's names. Every difference is told to `report` (may be NULL) first. partial: what
 * fits is loaded, the rest stays as it is; else nothing is where there is a difference (INVALID_ARGUMENT). Not one tensor that
 * fits is INVALID_ARGUMENT, too. Counters "num_batches_tracked" and integers are passed over, and so is the rest of a checkpoint.
 * *loaded (may be NULL): how many tensors were taken. Errors else as actc_network_load_parameters. */
ACTC_API actc_status actc_network_load_weights(actc_network *network, const char *path, bool partial,
                                               void (*report)(void *user, const actc_weight_difference *difference), void *user,
                                               size_t *loaded);

/* Parameters, optimiser state (and gradients, while batches are being accumulated), counters and a checksum of all of them in
 * one file, so that a run can go on bit for bit. The position belongs to the caller's loop and is kept as it is. */
typedef struct actc_checkpoint_position {
    size_t size;
    uint64_t epoch;              /* the batch that comes next: for actc_loader_seek */
    int64_t index;
    double loss_sum;             /* over the batches of this epoch that are done */
    double schedule_best;        /* state of ACTC_SCHEDULE_PLATEAU, which may be Inf */
    int64_t schedule_bad_epochs;
    int64_t schedule_reductions;
    const char *run;             /* what the run is, in the caller's words (UTF-8); NULL: not said. Kept with a checkpoint; a load
                                  * into a position that names a run takes a checkpoint of no other */
} actc_checkpoint_position;
/* Epoch 0, batch 0, a schedule that has seen nothing. */
ACTC_API actc_checkpoint_position actc_checkpoint_position_default(void);
ACTC_API actc_status actc_network_save_checkpoint(actc_network *network, const char *path,
                                                  const actc_checkpoint_position *position);
/* Fails without changing network or position where the file is damaged (CORRUPT: its checksum does not fit, as after one
 * flipped bit) or of another network, optimiser or run (INVALID_ARGUMENT; the message names both). position->size and
 * position->run must be set by the caller (NULL: any run's). Checkpoints of version 1 have no checksum and name no run: they are
 * taken with a warning to the context's log. */
ACTC_API actc_status actc_network_load_checkpoint(actc_network *network, const char *path,
                                                  actc_checkpoint_position *position);

/* ---- learning-rate schedules ---- */

/* The rates that torch.optim.lr_scheduler gives, by epoch from 0. */
typedef enum actc_schedule_kind {
    ACTC_SCHEDULE_CONSTANT = 0,
    ACTC_SCHEDULE_STEP = 1,   /* StepLR: lr * gamma^floor(epoch / step_epochs) */
    ACTC_SCHEDULE_COSINE = 2, /* CosineAnnealingLR: min_lr + (lr - min_lr)(1 + cos(pi epoch / epochs))/2, and min_lr
                               * from `epochs` on (PyTorch would rise again) */
    ACTC_SCHEDULE_PLATEAU = 3 /* ReduceLROnPlateau: times gamma, but not below min_lr, after more than `patience` epochs
                               * in a row whose loss was not below (1 - 1e-4) of the lowest */
} actc_schedule_kind;

typedef struct actc_schedule {
    size_t size;
    actc_schedule_kind kind;
    double lr, gamma, min_lr;
    int64_t step_epochs, epochs, patience;
    double best;       /* state of plateau: lowest loss so far (Inf), epochs since, reductions so far */
    int64_t bad_epochs, reductions;
} actc_schedule;
/* spec: "constant", "step[:epochs=30,gamma=0.1]", "cosine[:epochs=N,min-lr=0]" (N: the argument `epochs`, those of the
 * run), "plateau[:patience=10,gamma=0.1,min-lr=0]"; each key may be left out. lr must be 0 to 1e30.
 * schedule->size must be set by the caller. */
ACTC_API actc_status actc_schedule_parse(actc_context *context, const char *spec, double lr, int64_t epochs,
                                         actc_schedule *schedule);
ACTC_API double actc_schedule_rate(const actc_schedule *schedule, uint64_t epoch);
/* Tells plateau the loss of an epoch that ended; the others ignore it. */
ACTC_API void actc_schedule_observe(actc_schedule *schedule, double loss);

#ifdef __cplusplus
}
#endif
#endif
