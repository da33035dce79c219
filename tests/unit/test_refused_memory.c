/* Allocations refused, one at a time and from one on, through the whole life of the library's objects: context, data,
 * device, graph, network, steps, evaluation, state on disk, codecs. Every call says OUT_OF_MEMORY, nothing leaks (the
 * address sanitizer looks), no file is left half-written, the device has back what was taken, and the next try succeeds.
 *
 * ACTC_TEST_DEVICE names the device (default cpu). A Vulkan device is opened once, since that is slow, and a seeded part of
 * the allocations is refused (test_vulkan.c refuses those of opening one).
 */
#include "../../src/util/util.h"
#include "files.h"
#include "fill.h"
#include "keep_loaded.h"
#include "models.h"

enum { BATCH = 2 };

typedef struct life {
    const struct test_folder *folder;
    const char *name;         /* of the device */
    const char *rules;
    actc_device *kept_device; /* NULL: every life opens its own */
    actc_context *context;
    actc_device *device;
    actc_dataset *dataset;
    actc_loader *loader;
    actc_graph *graph;
    actc_network *network;
    actc_codec *codec;
    char message[256];        /* of the failure */
} life;

/* ---- the parts of a life; each leaves what it made in the life, and what it made for itself nowhere ---- */

static actc_status open_device(life *l)
{
    if (l->kept_device) {
        l->device = l->kept_device;
        return ACTC_OK;
    }
    size_t count;
    actc_device_info infos[8] = {{.size = sizeof *infos}};
    if (strncmp(l->name, "vulkan", 6))
        ACTC_RETURN_IF_ERROR(actc_device_list(l->context, infos, 8, &count));
    actc_device_options options = actc_device_options_default();
    options.device = l->name;
    options.threads = 2;
    return actc_device_open(l->context, &options, &l->device);
}

static actc_status read_data(life *l)
{
    ACTC_RETURN_IF_ERROR(actc_dataset_open(l->context, "mnist", l->folder->path, true, &l->dataset));
    actc_loader_options options = actc_loader_options_default();
    options.batch = BATCH;
    options.drop_last = true;
    ACTC_RETURN_IF_ERROR(actc_loader_create(l->context, l->dataset, &options, &l->loader));
    return actc_loader_seek(l->loader, 1, 1);
}

static actc_status make_network(life *l)
{
    ACTC_RETURN_IF_ERROR(actc_graph_create(l->context, "mnistnet", &l->graph));
    actc_push_scope(l->graph, "unused");
    actc_push_codec(l->graph, "dct:lambda=20");
    actc_pop_codec(l->graph);
    actc_pop_scope(l->graph);
    actc_model_build(&actc_model_mnistnet, l->graph);
    ACTC_RETURN_IF_ERROR(actc_graph_status(l->graph));
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = BATCH;
    options.compress = l->rules;
    options.capture = l->rules && strchr(l->rules, ';');
    ACTC_RETURN_IF_ERROR(actc_network_create(l->device, l->graph, &options, &l->network));
    return actc_network_initialize(l->network);
}

static actc_status steps(life *l)
{
    actc_batch batch = {.size = sizeof batch};
    double loss = 0;
    int64_t correct = 0;
    for (int i = 0; i < 2; i++) {
        actc_step_result result = {.size = sizeof result};
        ACTC_RETURN_IF_ERROR(actc_loader_next(l->loader, &batch));
        ACTC_RETURN_IF_ERROR(actc_network_train_step(l->network, batch.inputs, batch.labels, 1e-3, &result));
    }
    return actc_network_evaluate(l->network, batch.inputs, batch.labels, batch.count, &loss, &correct);
}

static actc_status state_on_disk(life *l)
{
    char checkpoint[300], parameters[300];
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", l->folder->path);
    snprintf(parameters, sizeof parameters, "%s/parameters", l->folder->path);
    actc_checkpoint_position position = actc_checkpoint_position_default();
    ACTC_RETURN_IF_ERROR(actc_network_save_checkpoint(l->network, checkpoint, &position));
    ACTC_RETURN_IF_ERROR(actc_network_save_parameters(l->network, parameters));
    ACTC_RETURN_IF_ERROR(actc_network_load_checkpoint(l->network, checkpoint, &position));
    return actc_network_load_parameters(l->network, parameters);
}

static uint64_t user_bytes(void *user, const actc_shape *shape)
{
    (void)user;
    return 2 * (uint64_t)actc_shape_elements(shape);
}

static int user_pack(void *user, const actc_shape *shape, const float *x, const actc_codec_key *key, void *payload)
{
    (void)user, (void)x, (void)key;
    memset(payload, 0, 2 * (size_t)actc_shape_elements(shape));
    return 0;
}

static int user_unpack(void *user, const actc_shape *shape, const void *payload, const actc_codec_key *key, float *x)
{
    (void)user, (void)payload, (void)key;
    memset(x, 0, sizeof *x * (size_t)actc_shape_elements(shape));
    return 0;
}

static actc_status codecs(life *l)
{
    static const char *const specs[] = {"none", "dct:block=row,norm=none", "wavelet:select=band,mode=symmetric,levels=9",
                                        "threshold:values=int8,select=tile", "dct:values=f16"};
    const actc_shape shape = {.ndim = 4, .dims = {2, 4, 9, 7}};
    static float x[504];
    static unsigned char payload[4 * 504];
    const actc_codec_key keys[2] = {{1, 2, 3}, {1, 2, 4}}; /* another tensor: prepared again */
    test_rng r = {3};
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = rng_normal(&r);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        double seconds;
        actc_codec_info info = {.size = sizeof info};
        ACTC_RETURN_IF_ERROR(actc_codec_create(l->device, specs[i], &shape, &l->codec));
        ACTC_RETURN_IF_ERROR(actc_codec_info_get(l->codec, &info));
        assert_true(info.payload_bytes <= sizeof payload);
        for (int k = 0; k < 2; k++) {
            ACTC_RETURN_IF_ERROR(actc_codec_pack(l->codec, x, &keys[k], payload));
            ACTC_RETURN_IF_ERROR(actc_codec_unpack(l->codec, payload, &keys[k], x));
        }
        ACTC_RETURN_IF_ERROR(actc_codec_benchmark(l->codec, ACTC_CODEC_PACK, 2, 2, &seconds));
        actc_codec_destroy(&l->codec);
    }
    return ACTC_OK;
}

static actc_status live(life *l)
{
    if (!l->kept_device) {
        ACTC_RETURN_IF_ERROR(actc_context_create(NULL, &l->context));
        actc_user_codec codec = {sizeof codec, user_bytes, user_pack, user_unpack, NULL};
        ACTC_RETURN_IF_ERROR(actc_codec_register(l->context, "half", &codec));
    }
    ACTC_RETURN_IF_ERROR(open_device(l));
    uint64_t before = actc_device_allocated_bytes(l->device);
    ACTC_RETURN_IF_ERROR(read_data(l));
    ACTC_RETURN_IF_ERROR(make_network(l));
    ACTC_RETURN_IF_ERROR(steps(l));
    ACTC_RETURN_IF_ERROR(state_on_disk(l));
    actc_network_destroy(&l->network);
    if (!l->kept_device)
        assert_int_equal(actc_device_allocated_bytes(l->device), before);
    return codecs(l);
}

/* As a program cleans up after any failure: everything it may have, in the order of making undone. */
static void die(life *l)
{
    if (l->context)
        snprintf(l->message, sizeof l->message, "%s", actc_error_message(l->context));
    actc_codec_destroy(&l->codec);
    actc_network_destroy(&l->network);
    actc_graph_destroy(&l->graph);
    actc_loader_destroy(&l->loader);
    actc_dataset_destroy(&l->dataset);
    if (l->kept_device)
        return;
    if (l->device)
        assert_int_equal(actc_device_allocated_bytes(l->device), 0);
    actc_device_destroy(&l->device);
    actc_context_destroy(&l->context);
}

/* ---- refusing ---- */

typedef struct refuser {
    long refuse, seen;
    bool from_then_on;
} refuser;

static bool refuse(void *user, size_t bytes)
{
    refuser *r = user;
    long number = r->seen++;
    (void)bytes;
    return r->from_then_on ? number < r->refuse : number != r->refuse;
}

static actc_status live_refused(life *l, refuser *r)
{
    actc_alloc_set_hook(refuse, r);
    actc_status status = live(l);
    actc_alloc_set_hook(NULL, NULL);
    die(l);
    return status;
}

/* Nothing refused: it works. */
static long live_well(life *l)
{
    refuser none = {-1, 0, false};
    actc_status status = live_refused(l, &none);
    if (status != ACTC_OK)
        fail_msg("nothing refused: %s: %s", actc_status_string(status), l->message);
    return none.seen;
}

static life life_of(void **state, const char *rules)
{
    const char *name = getenv("ACTC_TEST_DEVICE");
    life l = {.folder = *state, .name = name ? name : "cpu", .rules = rules};
    if (!strncmp(l.name, "vulkan", 6)) {
        l.context = l.folder->context;
        actc_device_options options = actc_device_options_default();
        options.device = l.name;
        assert_ok(l.context, actc_device_open(l.context, &options, &l.kept_device));
    }
    return l;
}

static void end_of(life *l)
{
    if (l->kept_device)
        actc_device_destroy(&l->kept_device);
}

/* Every `stride`-th allocation on average, every one on null; the first and the last always. */
static void refuse_in_turn(void **state, const char *rules)
{
    life l = life_of(state, rules);
    if (l.kept_device)
        live_well(&l); /* makes the pipelines, which stay: later lives do not obtain memory for them */
    for (int from_then_on = 0; from_then_on < 2; from_then_on++) {
        long total = live_well(&l);
        int files = folder_files(l.folder);
        uint32_t stride = (strcmp(l.name, "null") ? 3u : 1u) * (from_then_on ? 5u : 1u);
#ifdef __SANITIZE_ADDRESS__
        stride *= rules ? 4 : 1; /* a life takes ten times as long */
#endif
        if (l.kept_device)
            stride = (uint32_t)(total / 20) + 1;
        assert_true(total > 300);
        test_rng choose = {(uint64_t)total};
        for (long i = 0; i < total; i++) {
            if (i && i != total - 1 && rng_next(&choose) % stride)
                continue;
            refuser r = {i, 0, from_then_on};
            actc_status status = live_refused(&l, &r);
            if (status != ACTC_ERROR_OUT_OF_MEMORY)
                fail_msg("rules %s, allocation %ld of %ld refused%s: %s: %s", rules ? rules : "none", i, total,
                         from_then_on ? " and all later ones" : "", actc_status_string(status), l.message);
            if (i && !strstr(l.message, "memory"))
                fail_msg("allocation %ld refused: the message is \"%s\"", i, l.message);
            if (folder_files(l.folder) != files)
                fail_msg("allocation %ld refused: %d files instead of %d", i, folder_files(l.folder), files);
        }
    }
    live_well(&l);
    end_of(&l);
}

static void plain(void **state)
{
    refuse_in_turn(state, NULL);
}

static void compressed(void **state)
{
    refuse_in_turn(state, "conv1,relu1,conv2=dct:lambda=10");
}

static void compressed_in_many_ways(void **state)
{
    life l = life_of(state, NULL);
    bool user = !l.kept_device; /* the codec is registered with the life's own context */
    end_of(&l);
    refuse_in_turn(state, user ? "*=threshold:values=int8;conv2@conv=wavelet:select=band;maxpool,drop1=half;fc2=random"
                               : "*=threshold:values=int8;conv2@conv=wavelet:select=band;fc2=random");
}

static int make_data(void **state)
{
    /* hundreds of files are flushed to the disk, which takes long and is not what is tested */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    if (folder_setup(state))
        return -1;
    const struct test_folder *folder = *state;
    enum { IMAGES = 5 };
    static unsigned char images[16 + IMAGES * 784] = {0, 0, 8, 3, 0, 0, 0, IMAGES, 0, 0, 0, 28, 0, 0, 0, 28};
    unsigned char labels[8 + IMAGES] = {0, 0, 8, 1, 0, 0, 0, IMAGES, 7, 3, 0, 9, 1};
    char path[300];
    for (size_t i = 16; i < sizeof images; i++)
        images[i] = (unsigned char)(i * 7919 >> 3);
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", folder->path);
    write_raw(path, images, sizeof images);
    snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte", folder->path);
    write_raw(path, labels, sizeof labels);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain, make_data, folder_teardown),
        cmocka_unit_test_setup_teardown(compressed, make_data, folder_teardown),
        cmocka_unit_test_setup_teardown(compressed_in_many_ways, make_data, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
