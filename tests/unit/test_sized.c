/* test_sized.c: every public struct that begins with its size, as programs built against other headers give it: of the smallest
 * size that there was, of one that lacks the last fields, and of sizes that no header ever had.
 *
 * A struct lies in memory of exactly its size, so that the address sanitizer sees what goes beyond it; what a smaller one does
 * not hold is nonsense in memory behind it, which must not be read as an option or written as an answer. */
#include "files.h"
#include "keep_loaded.h"
#include "models.h"

#include "data/dataset.h"

#define LEAST (2 * sizeof(void *))
#define NONSENSE 0xa5

enum { BATCH = 2, PIXELS = 784 };

typedef struct objects {
    struct test_folder *folder;
    actc_context *context;
    actc_device *device;
    actc_graph *graph;
    actc_network *network;
    actc_codec *codec;
    actc_dataset dataset;
    uint8_t pixels[BATCH * PIXELS], labels[BATCH];
    actc_loader *loader;
    char checkpoint[300];
    int registered;
} objects;

static objects o; /* cases are functions of a struct and of these */

static int set_up(void **state)
{
    if (folder_setup(state))
        return -1;
    o.folder = *state;
    actc_context *context = o.context = o.folder->context;
    actc_device_options where = actc_device_options_default();
    where.device = "cpu";
    assert_ok(context, actc_device_open(context, &where, &o.device));
    assert_ok(context, actc_graph_create(context, "mnistnet", &o.graph));
    actc_model_build(&actc_model_mnistnet, o.graph);
    actc_network_options options = actc_network_options_default();
    options.train_batch = options.eval_batch = BATCH;
    options.compress = "*=dct:lambda=10";
    assert_ok(context, actc_network_create(o.device, o.graph, &options, &o.network));
    assert_ok(context, actc_network_initialize(o.network));
    const actc_shape shape = {.ndim = 2, .dims = {30, 40}};
    assert_ok(context, actc_codec_create(o.device, "threshold", &shape, &o.codec));
    o.dataset = (actc_dataset){.context = context, .size = BATCH, .used = BATCH, .classes = 10, .sample = {3, {1, 28, 28}},
                               .sample_elements = PIXELS, .pixels = o.pixels, .labels = o.labels};
    assert_ok(context, actc_loader_create(context, &o.dataset, NULL, &o.loader));
    snprintf(o.checkpoint, sizeof o.checkpoint, "%s/checkpoint", o.folder->path);
    assert_ok(context, actc_network_save_checkpoint(o.network, o.checkpoint, NULL));
    return 0;
}

static int tear_down(void **state)
{
    actc_loader_destroy(&o.loader);
    actc_codec_destroy(&o.codec);
    actc_network_destroy(&o.network);
    actc_graph_destroy(&o.graph);
    actc_device_destroy(&o.device);
    return folder_teardown(state);
}

/* ---- options: `fill` makes a whole struct, `call` gives one ---- */

static void fill_context(void *s)
{
    *(actc_context_options *)s = actc_context_options_default();
}

static actc_status call_context(void *s)
{
    actc_context *context;
    actc_status status = actc_context_create(s, &context);
    actc_context_destroy(&context);
    return status;
}

static void fill_device(void *s)
{
    actc_device_options *options = s;
    *options = actc_device_options_default();
    options->device = "null";
}

static actc_status call_device(void *s)
{
    actc_device *device;
    actc_status status = actc_device_open(o.context, s, &device);
    actc_device_destroy(&device);
    return status;
}

/* An operator over an image of 3x8x8, or over 192 features. */
static actc_status build(void (*add)(actc_graph *graph, actc_tensor *x, const void *options), int ndim, const void *options)
{
    const int64_t image[] = {3, 8, 8}, features[] = {192};
    actc_graph *graph;
    assert_ok(o.context, actc_graph_create(o.context, "one", &graph));
    add(graph, actc_input(graph, "x", ndim == 3 ? image : features, ndim), options);
    actc_status status = actc_graph_status(graph);
    actc_graph_destroy(&graph);
    return status;
}

static void fill_conv2d(void *s)
{
    *(actc_conv2d_options *)s = actc_conv2d_options_default(4, 3);
}

static void add_conv2d(actc_graph *graph, actc_tensor *x, const void *options)
{
    actc_conv2d(graph, "conv", x, options);
}

static actc_status call_conv2d(void *s)
{
    return build(add_conv2d, 3, s);
}

static void fill_linear(void *s)
{
    *(actc_linear_options *)s = actc_linear_options_default(4);
}

static void add_linear(actc_graph *graph, actc_tensor *x, const void *options)
{
    actc_linear(graph, "fc", x, options);
}

static actc_status call_linear(void *s)
{
    return build(add_linear, 1, s);
}

static void fill_batch_norm(void *s)
{
    *(actc_batch_norm_options *)s = actc_batch_norm_options_default();
}

static void add_batch_norm(actc_graph *graph, actc_tensor *x, const void *options)
{
    actc_batch_norm(graph, "bn", x, options);
}

static actc_status call_batch_norm(void *s)
{
    return build(add_batch_norm, 3, s);
}

static void fill_dice(void *s)
{
    *(actc_dice_options *)s = actc_dice_options_default();
}

static void add_dice(actc_graph *graph, actc_tensor *x, const void *options)
{
    const actc_shape shape = actc_tensor_shape(x);
    actc_dice_loss(graph, "dice", x, actc_input_of(graph, "masks", ACTC_F32, shape.dims + 1, shape.ndim - 1), options);
}

static actc_status call_dice(void *s)
{
    return build(add_dice, 3, s);
}

static void fill_layer_norm(void *s)
{
    *(actc_layer_norm_options *)s = actc_layer_norm_options_default();
}

static void add_layer_norm(actc_graph *graph, actc_tensor *x, const void *options)
{
    actc_layer_norm(graph, "ln", x, options);
}

static actc_status call_layer_norm(void *s)
{
    return build(add_layer_norm, 1, s);
}

static void fill_attention(void *s)
{
    *(actc_attention_options *)s = actc_attention_options_default(1);
}

static void add_attention(actc_graph *graph, actc_tensor *x, const void *options)
{
    actc_attention(graph, "attention", actc_reshape(graph, "tokens", x, (int64_t[]){-1, 3}, 2), options);
}

static actc_status call_attention(void *s)
{
    return build(add_attention, 1, s);
}

static void fill_avg_pool(void *s)
{
    *(actc_avg_pool_options *)s = actc_avg_pool_options_default(2);
}

static void add_avg_pool(actc_graph *graph, actc_tensor *x, const void *options)
{
    actc_avg_pool(graph, "pool", x, options);
}

static actc_status call_avg_pool(void *s)
{
    return build(add_avg_pool, 3, s);
}

static void fill_max_pool(void *s)
{
    *(actc_pool_options *)s = actc_pool_options_default(2);
}

static void add_max_pool(actc_graph *graph, actc_tensor *x, const void *options)
{
    actc_max_pool(graph, "pool", x, options);
}

static actc_status call_max_pool(void *s)
{
    return build(add_max_pool, 3, s);
}

static void fill_network(void *s)
{
    actc_network_options *options = s;
    *options = actc_network_options_default();
    options->train_batch = BATCH;
}

static actc_status call_network(void *s)
{
    actc_network *network;
    actc_status status = actc_network_create(o.device, o.graph, s, &network);
    actc_network_destroy(&network);
    return status;
}

static void fill_optimizer(void *s)
{
    *(actc_optimizer_options *)s = actc_optimizer_options_default(ACTC_OPTIMIZER_ADAMW);
}

/* It lies in the network's options, as much of it as they have room for. */
static actc_status call_optimizer(void *s)
{
    actc_network_options options;
    size_t size = *(size_t *)s;
    fill_network(&options);
    memset(&options.optimizer, NONSENSE, sizeof options.optimizer);
    memcpy(&options.optimizer, s, size < sizeof options.optimizer ? size : sizeof options.optimizer);
    options.optimizer.size = size;
    return call_network(&options);
}

static void fill_loader(void *s)
{
    *(actc_loader_options *)s = actc_loader_options_default();
}

static actc_status call_loader(void *s)
{
    actc_loader *loader;
    actc_status status = actc_loader_create(o.context, &o.dataset, s, &loader);
    actc_loader_destroy(&loader);
    return status;
}

static void fill_position(void *s)
{
    *(actc_checkpoint_position *)s = actc_checkpoint_position_default();
}

static actc_status call_save(void *s)
{
    return actc_network_save_checkpoint(o.network, o.checkpoint, s);
}

/* What it fills is an option too: the run that the checkpoint must be of. */
static actc_status call_load(void *s)
{
    return actc_network_load_checkpoint(o.network, o.checkpoint, s);
}

static uint64_t user_bytes(void *user, const actc_shape *shape)
{
    (void)user;
    return (uint64_t)actc_shape_elements(shape);
}

static int user_pack(void *user, const actc_shape *shape, const float *x, const actc_codec_key *key, void *payload)
{
    (void)user, (void)shape, (void)x, (void)key, (void)payload;
    return 0;
}

static int user_unpack(void *user, const actc_shape *shape, const void *payload, const actc_codec_key *key, float *x)
{
    (void)user, (void)shape, (void)payload, (void)key, (void)x;
    return 0;
}

static void fill_user_codec(void *s)
{
    *(actc_user_codec *)s = (actc_user_codec){sizeof(actc_user_codec), user_bytes, user_pack, user_unpack, NULL};
}

static actc_status call_user_codec(void *s)
{
    char name[32];
    snprintf(name, sizeof name, "mine-%d", o.registered++);
    return actc_codec_register(o.context, name, s);
}

/* ---- structs that a call fills ---- */

static actc_status call_device_list(void *s)
{
    size_t count;
    return actc_device_list(o.context, s, 1, &count);
}

static actc_status call_codec_info(void *s)
{
    return actc_codec_info_get(o.codec, s);
}

static actc_status call_batch(void *s)
{
    return actc_loader_next_sized(o.loader, s);
}

static actc_status call_step(void *s)
{
    static const float images[BATCH * PIXELS];
    static const int32_t labels[BATCH];
    return actc_network_train_step(o.network, images, labels, 1e-3, s);
}

static actc_status call_value(void *s)
{
    return actc_network_value(o.network, 0, s);
}

static actc_status call_operator(void *s)
{
    return actc_graph_operator_info(o.graph, 0, s);
}

static actc_status call_input(void *s)
{
    return actc_graph_input_info(o.graph, 0, s);
}

static actc_status call_state(void *s)
{
    return actc_network_state_info_sized(o.network, 0, s);
}

static actc_status call_memory(void *s)
{
    return actc_network_memory(o.network, s);
}

static actc_status call_timeline(void *s)
{
    return actc_network_timeline(o.network, 0, s);
}

static actc_status call_saved(void *s)
{
    return actc_network_saved_info(o.network, 0, s);
}

/* Also that the other functions of a schedule keep to its size. */
static actc_status call_schedule(void *s)
{
    actc_status status = actc_schedule_parse(o.context, "plateau:patience=0", 0.5, 10, s);
    if (status != ACTC_OK)
        return status;
    actc_schedule_observe(s, 1.0);
    actc_schedule_observe(s, 2.0);
    double rate = actc_schedule_rate(s, 3);
    assert_true(*(size_t *)s < sizeof(actc_schedule) || rate == 0.05);
    return ACTC_OK;
}

typedef struct sized {
    const char *name;
    size_t full, mid;
    size_t least; /* that is enough for a call */
    void (*fill)(void *s); /* NULL: the call does */
    actc_status (*call)(void *s);
    bool mute;             /* there is no context to keep a message */
} sized;

#define OPTIONS(type, field, fill, call) {#type, sizeof(type), offsetof(type, field), LEAST, fill, call, false}
#define FILLED(type, field, call) {#type, sizeof(type), offsetof(type, field), LEAST, NULL, call, false}

static const sized structs[] = {
    {"actc_context_options", sizeof(actc_context_options), offsetof(actc_context_options, log_level), LEAST, fill_context,
     call_context, true},
    OPTIONS(actc_device_options, validate, fill_device, call_device),
    OPTIONS(actc_conv_options, dilation, fill_conv2d, call_conv2d),
    OPTIONS(actc_linear_options, weight_parameter, fill_linear, call_linear),
    OPTIONS(actc_batch_norm_options, affine, fill_batch_norm, call_batch_norm),
    OPTIONS(actc_dice_options, smooth_nr, fill_dice, call_dice),
    OPTIONS(actc_layer_norm_options, affine, fill_layer_norm, call_layer_norm),
    OPTIONS(actc_attention_options, causal, fill_attention, call_attention),
    OPTIONS(actc_avg_pool_options, padding, fill_avg_pool, call_avg_pool),
    OPTIONS(actc_pool_options, padding, fill_max_pool, call_max_pool),
    OPTIONS(actc_network_options, optimizer, fill_network, call_network),
    OPTIONS(actc_optimizer_options, epsilon, fill_optimizer, call_optimizer),
    OPTIONS(actc_loader_options, mean, fill_loader, call_loader),
    OPTIONS(actc_checkpoint_position, schedule_best, fill_position, call_save),
    OPTIONS(actc_checkpoint_position, run, fill_position, call_load),
    /* nothing of it can be left out but what is handed to its functions */
    {"actc_user_codec", sizeof(actc_user_codec), offsetof(actc_user_codec, user), offsetof(actc_user_codec, user), fill_user_codec,
     call_user_codec, false},
    FILLED(actc_device_info, usable, call_device_list),
    FILLED(actc_codec_info, payload_bytes, call_codec_info),
    FILLED(actc_batch, epoch, call_batch),
    {"actc_step_result", sizeof(actc_step_result), offsetof(actc_step_result, step), offsetof(actc_step_result, step), NULL,
     call_step, false},
    FILLED(actc_value, count, call_value),
    FILLED(actc_operator_info, parameters, call_operator),
    FILLED(actc_input_info, shape, call_input),
    FILLED(actc_state_info, shape, call_state),
    FILLED(actc_memory_report, after_forward_category_bytes, call_memory),
    FILLED(actc_timeline_entry, kind, call_timeline),
    FILLED(actc_saved_info, payload_bytes, call_saved),
    FILLED(actc_schedule, best, call_schedule),
};
#define STRUCTS (sizeof structs / sizeof *structs)

/* In memory of exactly `size` bytes, and again before nonsense, which stays. */
static void check_taken(const sized *s, size_t size)
{
    unsigned char *whole = malloc(s->full), *exact = malloc(size);
    assert_non_null(whole);
    assert_non_null(exact);
    memset(whole, NONSENSE, s->full);
    if (s->fill)
        s->fill(whole);
    memset(whole + size, NONSENSE, s->full - size);
    memcpy(whole, &size, sizeof size);
    memcpy(exact, whole, size);
    unsigned char *const memory[] = {exact, whole};
    for (int i = 0; i < 2; i++) {
        actc_status status = s->call(memory[i]);
        if (status != ACTC_OK)
            fail_msg("%s of %zu bytes of %zu: %s", s->name, size, s->full, s->mute ? "" : actc_error_message(o.context));
        assert_int_equal(*(size_t *)memory[i], size);
        uint64_t first;
        memcpy(&first, memory[i] + sizeof size, sizeof first);
        if (!s->fill && first == NONSENSE * 0x0101010101010101u)
            fail_msg("%s of %zu bytes of %zu was not filled", s->name, size, s->full);
    }
    for (size_t i = size; i < s->full; i++)
        if (whole[i] != NONSENSE)
            fail_msg("%s of %zu bytes of %zu: byte %zu was written", s->name, size, s->full, i);
    free(exact);
    free(whole);
}

static void check_refused(const sized *s, size_t size)
{
    unsigned char *given = malloc(s->full + LEAST);
    char text[32];
    assert_non_null(given);
    memset(given, 0, s->full + LEAST);
    if (s->fill)
        s->fill(given);
    memcpy(given, &size, sizeof size);
    snprintf(text, sizeof text, "size is %zu;", size);
    actc_status status = s->call(given);
    if (status != ACTC_ERROR_INVALID_ARGUMENT)
        fail_msg("%s of %zu bytes of %zu: status %d", s->name, size, s->full, (int)status);
    if (!s->mute && (!strstr(actc_error_message(o.context), s->name) || !strstr(actc_error_message(o.context), text)))
        fail_msg("%s of %zu bytes of %zu: %s", s->name, size, s->full, actc_error_message(o.context));
    free(given);
}

static void test_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < STRUCTS; i++) {
        const sized *s = &structs[i];
        assert_true(s->least <= s->mid && s->mid < s->full);
        check_taken(s, s->least);
        check_taken(s, s->mid);
        check_taken(s, s->full);
        check_refused(s, 0);
        check_refused(s, LEAST - 1);
        check_refused(s, s->full + 1);
        check_refused(s, SIZE_MAX);
    }
}

/* The entries of an array of a smaller struct lie closer together. */
static void test_list(void **state)
{
    (void)state;
    enum { SIZE = offsetof(actc_device_info, driver), PLACES = 8 };
    actc_device_info infos[PLACES] = {{.size = sizeof *infos}};
    unsigned char *smaller = malloc(SIZE * PLACES);
    size_t count, again, size = SIZE;
    assert_non_null(smaller);
    memset(smaller, NONSENSE, SIZE * PLACES);
    memcpy(smaller, &size, sizeof size);
    assert_ok(o.context, actc_device_list(o.context, infos, PLACES, &count));
    assert_ok(o.context, actc_device_list(o.context, (actc_device_info *)(void *)smaller, PLACES, &again));
    assert_int_equal(count, again);
    assert_in_range(count, 2, PLACES);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(infos[i].size, sizeof *infos);
        assert_memory_equal(smaller + i * SIZE, &size, sizeof size);
        assert_memory_equal(smaller + i * SIZE + sizeof size, infos[i].spec, SIZE - sizeof size);
    }
    for (size_t i = count * SIZE; i < SIZE * PLACES; i++)
        assert_int_equal(smaller[i], NONSENSE);
    free(smaller);
    assert_int_equal(actc_device_get_info(o.device)->size, sizeof *infos);
}

static void test_null(void **state)
{
    (void)state;
    assert_failed(o.context, actc_loader_next(o.loader, NULL), ACTC_ERROR_INVALID_ARGUMENT, "actc_batch is NULL", NULL);
    assert_failed(o.context, actc_codec_info_get(o.codec, NULL), ACTC_ERROR_INVALID_ARGUMENT, "actc_codec_info is NULL", NULL);
    assert_failed(o.context, actc_graph_operator_info(o.graph, 0, NULL), ACTC_ERROR_INVALID_ARGUMENT,
                  "actc_operator_info is NULL", NULL);
    assert_failed(o.context, actc_codec_register(o.context, "mine", NULL), ACTC_ERROR_INVALID_ARGUMENT, "\"mine\"", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes), cmocka_unit_test(test_list), cmocka_unit_test(test_null)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
