/* Contexts share nothing: two of them side by side on two threads, each with a data set, a loader that reads ahead on a
 * thread of its own, a network that trains compressed, checkpoints and codecs, get what one alone gets. Run under the thread
 * sanitizer too (suite threads). */
#include <pthread.h>

#include "../../src/util/util.h"
#include "files.h"
#include "fill.h"
#include "models.h"

enum { BATCH = 8, IMAGES = 30, STEPS = 6, ELEMENTS = 3 * 5 * 20 * 23 };

typedef struct job {
    const char *rules, *folder;
    int number; /* of its checkpoint */
    float losses[STEPS];
    double evaluated;
    int64_t correct;
    float restored[ELEMENTS];
    actc_status status;
} job;

typedef struct objects {
    actc_context *context;
    actc_device *device;
    actc_graph *graph;
    actc_network *network;
    actc_dataset *dataset;
    actc_loader *loader;
    actc_codec *codec;
} objects;

static actc_status make(objects *o, const job *j)
{
    actc_device_options where = actc_device_options_default();
    actc_network_options options = actc_network_options_default();
    actc_loader_options reading = actc_loader_options_default();
    where.device = "cpu";
    where.threads = 2;
    options.train_batch = options.eval_batch = reading.batch = BATCH;
    options.compress = j->rules;
    options.seed = reading.seed = 3;
    reading.drop_last = true;
    ACTC_RETURN_IF_ERROR(actc_context_create(NULL, &o->context));
    ACTC_RETURN_IF_ERROR(actc_device_open(o->context, &where, &o->device));
    ACTC_RETURN_IF_ERROR(actc_graph_create(o->context, "mnistnet", &o->graph));
    actc_model_build(&actc_model_mnistnet, o->graph);
    ACTC_RETURN_IF_ERROR(actc_network_create(o->device, o->graph, &options, &o->network));
    ACTC_RETURN_IF_ERROR(actc_dataset_open(o->context, "mnist", j->folder, true, &o->dataset));
    ACTC_RETURN_IF_ERROR(actc_loader_create(o->context, o->dataset, &reading, &o->loader));
    return actc_network_initialize(o->network);
}

static actc_status train(objects *o, job *j)
{
    char path[300];
    actc_batch batch = {.size = sizeof batch};
    actc_checkpoint_position position = actc_checkpoint_position_default();
    snprintf(path, sizeof path, "%s/checkpoint-%d", j->folder, j->number);
    for (int i = 0; i < STEPS; i++) {
        actc_step_result result = {.size = sizeof result};
        ACTC_RETURN_IF_ERROR(actc_loader_next(o->loader, &batch));
        ACTC_RETURN_IF_ERROR(actc_network_train_step(o->network, batch.inputs, batch.labels, 1e-3, &result));
        j->losses[i] = result.loss;
        if (i == STEPS / 2) { /* back to where it was, while the next batches are being read */
            ACTC_RETURN_IF_ERROR(actc_network_save_checkpoint(o->network, path, &position));
            ACTC_RETURN_IF_ERROR(actc_network_load_checkpoint(o->network, path, &position));
            ACTC_RETURN_IF_ERROR(actc_loader_seek(o->loader, batch.epoch, batch.index));
        }
    }
    return actc_network_evaluate(o->network, batch.inputs, batch.labels, batch.count, &j->evaluated, &j->correct);
}

static actc_status pack_and_unpack(objects *o, job *j)
{
    static const char *const specs[] = {"threshold:values=int8", "dct:lambda=5", "wavelet:values=f16", "dct:select=tile"};
    const actc_shape shape = {.ndim = 4, .dims = {3, 5, 20, 23}};
    const actc_codec_key key = {1, 2, 3};
    unsigned char payload[4 * ELEMENTS];
    test_rng r = {9};
    for (int i = 0; i < ELEMENTS; i++)
        j->restored[i] = rng_normal(&r);
    for (int i = 0; i < 4; i++) {
        actc_codec_info info = {.size = sizeof info};
        ACTC_RETURN_IF_ERROR(actc_codec_create(o->device, specs[i], &shape, &o->codec));
        ACTC_RETURN_IF_ERROR(actc_codec_info_get(o->codec, &info));
        if (info.payload_bytes > sizeof payload)
            return ACTC_ERROR_INTERNAL;
        ACTC_RETURN_IF_ERROR(actc_codec_pack(o->codec, j->restored, &key, payload));
        ACTC_RETURN_IF_ERROR(actc_codec_unpack(o->codec, payload, &key, j->restored));
        actc_codec_destroy(&o->codec);
    }
    return ACTC_OK;
}

/* Failures are kept in the job, since cmocka's checks belong to the main thread. */
static void *work(void *argument)
{
    job *j = argument;
    objects o = {0};
    j->status = make(&o, j);
    if (j->status == ACTC_OK)
        j->status = train(&o, j);
    if (j->status == ACTC_OK)
        j->status = pack_and_unpack(&o, j);
    actc_codec_destroy(&o.codec);
    actc_loader_destroy(&o.loader);
    actc_dataset_destroy(&o.dataset);
    actc_network_destroy(&o.network);
    actc_graph_destroy(&o.graph);
    actc_device_destroy(&o.device);
    actc_context_destroy(&o.context);
    return NULL;
}

static void make_data(const char *folder)
{
    static unsigned char images[16 + IMAGES * 784] = {0, 0, 8, 3, 0, 0, 0, IMAGES, 0, 0, 0, 28, 0, 0, 0, 28};
    unsigned char labels[8 + IMAGES] = {0, 0, 8, 1, 0, 0, 0, IMAGES};
    char path[300];
    for (size_t i = 16; i < sizeof images; i++)
        images[i] = (unsigned char)(i * 7919 >> 3);
    for (size_t i = 8; i < sizeof labels; i++)
        labels[i] = i * 7 % 10;
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", folder);
    write_raw(path, images, sizeof images);
    snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte", folder);
    write_raw(path, labels, sizeof labels);
}

static void side_by_side(void **state)
{
    static const char *const rules[] = {NULL, "conv1,relu1,conv2=dct:lambda=10", "*=threshold:values=int8;conv2=wavelet"};
    const struct test_folder *folder = *state;
    make_data(folder->path);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        static job jobs[3];
        pthread_t threads[2];
        memset(jobs, 0, sizeof jobs);
        for (int n = 0; n < 3; n++)
            jobs[n] = (job){.rules = rules[i], .folder = folder->path, .number = n};
        work(&jobs[2]); /* alone */
        for (int n = 0; n < 2; n++)
            assert_int_equal(pthread_create(&threads[n], NULL, work, &jobs[n]), 0);
        for (int n = 0; n < 2; n++)
            assert_int_equal(pthread_join(threads[n], NULL), 0);
        for (int n = 0; n < 3; n++) {
            assert_int_equal(jobs[n].status, ACTC_OK);
            assert_memory_equal(jobs[n].losses, jobs[2].losses, sizeof jobs[2].losses);
            assert_memory_equal(jobs[n].restored, jobs[2].restored, sizeof jobs[2].restored);
            assert_true(jobs[n].evaluated == jobs[2].evaluated && jobs[n].correct == jobs[2].correct);
        }
        assert_true(jobs[2].losses[0] > 1 && jobs[2].losses[0] < 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(side_by_side, folder_setup, folder_teardown)};
    return cmocka_run_group_tests_name("contexts", tests, NULL, NULL);
}
