/* loader.c: batches prepared ahead on a thread.
 *
 * A ring of three buffers: the caller holds one, two are filled ahead. Three counters since the last seek say
 * all about them: `filled` batches made, `taken` handed out, `released` given back (taken, or taken - 1 while the
 * caller holds one). Batch number n lies in slot n % SLOTS.
 *
 * Invariants: released <= taken <= filled <= released + SLOTS. A slot between released and filled is written
 * by nobody. The producer alone touches `order`, and reads `cursor` without the lock only while `busy`; a seek waits
 * until it is not busy before it moves the cursor. The thread never touches the context (which is one thread's
 * at a time) and never allocates: what goes wrong is written into the slot.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../util/util.h"
#include "dataset.h"

#define SLOTS 3

struct slot {
    float *inputs;
    int32_t *labels; /* f32 targets where the data set has no classes */
    int64_t count;
    uint64_t epoch;
    int64_t index;
    bool failed;
    char why[256];
};

struct cursor {
    uint64_t epoch;
    int64_t index;
};

struct actc_loader {
    actc_context *context;
    const actc_dataset *dataset;
    actc_loader_options options;
    int64_t size;    /* samples of an epoch */
    int64_t batches; /* of an epoch */
    int64_t targets; /* of a sample */
    float lut[256];  /* pixel -> normalised */

    uint32_t *order; /* of epoch order_epoch, where order_valid */
    uint64_t order_epoch;
    bool order_valid;

    struct slot slots[SLOTS];
    uint64_t filled, taken, released;
    struct cursor cursor; /* of the batch to make next */
    bool failed;          /* the batch made last could not be made: none follows */
    bool busy;            /* the thread is making a batch */
    bool stop;

    bool threaded, locks_made;
    uint32_t process; /* that has the thread */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t made;   /* filled grew, or busy ended */
    pthread_cond_t wanted; /* room for a batch, or stop */
};

/* A forked child has no producer, and the lock may be held by what was one. */
static bool is_orphan(const actc_loader *loader)
{
    return loader->threaded && loader->process != actc_process_number();
}

static actc_status check_process(const actc_loader *loader)
{
    return is_orphan(loader) ? actc_fail(loader->context, ACTC_ERROR_UNSUPPORTED,
                                         "the loader was made before fork() and its thread is the parent's: a child process must "
                                         "make a loader of its own")
                             : ACTC_OK;
}

actc_loader_options actc_loader_options_default(void)
{
    return (actc_loader_options){
        .size = sizeof(actc_loader_options), .batch = 128, .shuffle = true, .mean = 0.1307, .std = 0.3081};
}

static bool fill_sample(const actc_loader *loader, int64_t sample, float *inputs, int32_t *label, struct slot *slot)
{
    const actc_dataset *dataset = loader->dataset;
    if (dataset->generate) {
        dataset->generate(dataset, sample, inputs, label);
        return true;
    }
    const uint8_t *pixels = actc_dataset_sample(dataset, sample, label, slot->why, sizeof slot->why);
    if (!pixels)
        return false;
    for (int64_t i = 0; i < dataset->sample_elements; i++)
        inputs[i] = loader->lut[pixels[i]];
    return true;
}

/* Makes the batch at `at` in `slot`. */
static void fill(actc_loader *loader, struct cursor at, struct slot *slot)
{
    if (loader->options.shuffle && !(loader->order_valid && loader->order_epoch == at.epoch)) {
        actc_shuffle(loader->order, (uint32_t)loader->size, loader->options.seed, at.epoch);
        loader->order_epoch = at.epoch;
        loader->order_valid = true;
    }
    int64_t first = at.index * loader->options.batch, left = loader->size - first;
    slot->count = left < loader->options.batch ? left : loader->options.batch;
    slot->epoch = at.epoch;
    slot->index = at.index;
    slot->failed = false;
    for (int64_t i = 0; i < slot->count && !slot->failed; i++) {
        int64_t sample = loader->options.shuffle ? (int64_t)loader->order[first + i] : first + i;
        slot->failed = !fill_sample(loader, sample, slot->inputs + i * loader->dataset->sample_elements,
                                    slot->labels + i * loader->targets, slot);
    }
}

/* After the batch at the cursor has been made; with the lock held where there is a thread. */
static void advance(actc_loader *loader)
{
    loader->failed = loader->slots[loader->filled % SLOTS].failed;
    loader->filled++;
    if (++loader->cursor.index == loader->batches) {
        loader->cursor.index = 0;
        loader->cursor.epoch++;
    }
}

static void *produce(void *user)
{
    actc_loader *loader = user;
    pthread_mutex_lock(&loader->lock);
    for (;;) {
        while (!loader->stop && (loader->failed || loader->filled == loader->released + SLOTS))
            pthread_cond_wait(&loader->wanted, &loader->lock);
        if (loader->stop)
            break;
        loader->busy = true;
        struct cursor at = loader->cursor;
        struct slot *slot = &loader->slots[loader->filled % SLOTS];
        pthread_mutex_unlock(&loader->lock);
        fill(loader, at, slot);
        pthread_mutex_lock(&loader->lock);
        loader->busy = false;
        advance(loader);
        pthread_cond_broadcast(&loader->made);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* Signals are the program's business: its handlers must not run on the loader's thread. */
static int start_thread(actc_loader *loader)
{
    sigset_t all, before;
    sigfillset(&all);
    int error = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (error)
        return error;
    error = pthread_create(&loader->thread, NULL, produce, loader);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static actc_status make_locks(actc_loader *loader)
{
    int error = pthread_mutex_init(&loader->lock, NULL);
    if (error)
        return actc_fail(loader->context, ACTC_ERROR_OUT_OF_MEMORY, "loader: no mutex: error %d", error);
    error = pthread_cond_init(&loader->made, NULL);
    if (!error) {
        error = pthread_cond_init(&loader->wanted, NULL);
        if (error)
            pthread_cond_destroy(&loader->made);
    }
    if (error) {
        pthread_mutex_destroy(&loader->lock);
        return actc_fail(loader->context, ACTC_ERROR_OUT_OF_MEMORY, "loader: no condition variable: error %d", error);
    }
    loader->locks_made = true;
    return ACTC_OK;
}

static actc_status check_options(actc_context *context, const actc_dataset *dataset, const actc_loader_options *options,
                                 actc_loader_options *checked)
{
    const actc_loader_options defaults = actc_loader_options_default();
    ACTC_RETURN_IF_ERROR(actc_take_options(context, "actc_loader_options", options ? options : &defaults, sizeof defaults,
                                           &defaults, checked));
    if (checked->batch < 1)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "batch of %lld samples, it must be > 0",
                         (long long)checked->batch);
    if (checked->drop_last && checked->batch > dataset->used)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "batch of %lld samples, but the data set has %lld and a smaller batch is left out",
                         (long long)checked->batch, (long long)dataset->used);
    if (!isfinite(checked->mean))
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "mean %g, it must be finite", checked->mean);
    if (!(checked->std > 0) || !isfinite(checked->std))
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "std %g, it must be finite and > 0", checked->std);
    return ACTC_OK;
}

static actc_status make_buffers(actc_loader *loader)
{
    int64_t most = loader->options.batch < loader->size ? loader->options.batch : loader->size;
    uint64_t inputs, labels;
    if (!actc_mul_u64((uint64_t)most, (uint64_t)loader->dataset->sample_elements * sizeof(float), &inputs))
        inputs = UINT64_MAX;
    if (!actc_mul_u64((uint64_t)most, (uint64_t)loader->targets * sizeof(int32_t), &labels))
        labels = UINT64_MAX;
    for (int i = 0; i < SLOTS; i++) {
        struct slot *slot = &loader->slots[i];
        slot->inputs = actc_malloc(inputs);
        slot->labels = actc_malloc(labels);
        if (!slot->inputs || !slot->labels)
            return actc_out_of_memory(loader->context, slot->inputs ? labels : inputs, "a batch of samples");
    }
    if (loader->options.shuffle) {
        loader->order = actc_malloc((uint64_t)loader->size * sizeof(uint32_t));
        if (!loader->order)
            return actc_out_of_memory(loader->context, (uint64_t)loader->size * sizeof(uint32_t), "the order of samples");
    }
    return ACTC_OK;
}

actc_status actc_loader_create(actc_context *context, const actc_dataset *dataset, const actc_loader_options *options,
                               actc_loader **out)
{
    ACTC_OWN_MODES;
    if (!context || !out)
        return ACTC_ERROR_INVALID_ARGUMENT;
    *out = NULL;
    if (!dataset)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "a loader needs a data set");
    actc_loader_options checked;
    ACTC_RETURN_IF_ERROR(check_options(context, dataset, options, &checked));
    actc_loader *loader = actc_calloc(1, sizeof *loader);
    if (!loader)
        return actc_out_of_memory(context, sizeof *loader, "a loader");
    loader->context = context;
    loader->process = actc_process_number();
    loader->dataset = dataset;
    loader->options = checked;
    loader->size = dataset->used;
    loader->targets = actc_shape_elements(&dataset->target);
    loader->batches = loader->size / checked.batch + (!checked.drop_last && loader->size % checked.batch != 0);
    for (int i = 0; i < 256; i++)
        loader->lut[i] = (float)((i / 255.0 - checked.mean) / checked.std);
    actc_status status = make_buffers(loader);
    if (status == ACTC_OK)
        status = make_locks(loader);
    if (status != ACTC_OK) {
        actc_loader_destroy(&loader);
        return status;
    }
    int error = start_thread(loader);
    loader->threaded = error == 0;
    if (error) {
        char text[128];
        actc_log_message(context, ACTC_LOG_WARNING, "no thread to read batches ahead (%s): they are made when they are asked for",
                 strerror_r(error, text, sizeof text));
    }
    *out = loader;
    return ACTC_OK;
}

void actc_loader_destroy(actc_loader **out)
{
    if (!out || !*out)
        return;
    actc_loader *loader = *out;
    bool orphan = is_orphan(loader);
    if (loader->threaded && !orphan) {
        pthread_mutex_lock(&loader->lock);
        loader->stop = true;
        pthread_cond_signal(&loader->wanted);
        pthread_mutex_unlock(&loader->lock);
        pthread_join(loader->thread, NULL);
    }
    if (loader->locks_made && !orphan) {
        pthread_cond_destroy(&loader->made);
        pthread_cond_destroy(&loader->wanted);
        pthread_mutex_destroy(&loader->lock);
    }
    for (int i = 0; i < SLOTS; i++) {
        actc_free(loader->slots[i].inputs);
        actc_free(loader->slots[i].labels);
    }
    actc_free(loader->order);
    actc_free(loader);
    *out = NULL;
}

int64_t actc_loader_batches(const actc_loader *loader)
{
    return loader ? loader->batches : 0;
}

actc_status actc_loader_next_sized(actc_loader *loader, actc_batch *batch)
{
    ACTC_OWN_MODES;
    if (!loader)
        return ACTC_ERROR_INVALID_ARGUMENT;
    const actc_batch none = {0};
    ACTC_RETURN_IF_ERROR(actc_give_info(loader->context, "actc_batch", batch, sizeof none, &none));
    ACTC_RETURN_IF_ERROR(check_process(loader));
    if (loader->threaded) {
        pthread_mutex_lock(&loader->lock);
        loader->released = loader->taken;
        pthread_cond_signal(&loader->wanted);
        while (loader->filled == loader->taken)
            pthread_cond_wait(&loader->made, &loader->lock);
    } else {
        loader->released = loader->taken;
        if (loader->filled == loader->taken) {
            fill(loader, loader->cursor, &loader->slots[loader->filled % SLOTS]);
            advance(loader);
        }
    }
    /* A batch that failed is not taken, so that the next call finds it again. */
    const struct slot *slot = &loader->slots[loader->taken % SLOTS];
    loader->taken += !slot->failed;
    if (loader->threaded)
        pthread_mutex_unlock(&loader->lock);
    if (slot->failed)
        return actc_fail(loader->context, ACTC_ERROR_IO, "batch %lld of epoch %llu: %s", (long long)slot->index,
                         (unsigned long long)slot->epoch, slot->why);
    const bool has_classes = loader->dataset->classes > 0;
    const actc_batch full = {.inputs = slot->inputs, .labels = has_classes ? slot->labels : NULL, .count = slot->count,
                             .epoch = slot->epoch, .index = slot->index,
                             .targets = has_classes ? NULL : (const float *)(const void *)slot->labels};
    return actc_give_info(loader->context, "actc_batch", batch, sizeof full, &full);
}

actc_status actc_loader_seek(actc_loader *loader, uint64_t epoch, int64_t index)
{
    ACTC_OWN_MODES;
    if (!loader)
        return ACTC_ERROR_INVALID_ARGUMENT;
    if (index < 0 || index >= loader->batches)
        return actc_fail(loader->context, ACTC_ERROR_INVALID_ARGUMENT, "batch %lld of an epoch of %lld batches",
                         (long long)index, (long long)loader->batches);
    ACTC_RETURN_IF_ERROR(check_process(loader));
    if (loader->threaded) {
        pthread_mutex_lock(&loader->lock);
        while (loader->busy)
            pthread_cond_wait(&loader->made, &loader->lock);
    }
    loader->filled = loader->taken = loader->released = 0;
    loader->failed = false;
    loader->cursor = (struct cursor){epoch, index};
    if (loader->threaded) {
        pthread_cond_signal(&loader->wanted);
        pthread_mutex_unlock(&loader->lock);
    }
    return ACTC_OK;
}
