/* test_embedding.c: what an embedding program does around the library: it forks, computes under floating point modes
 * and a locale of its own, and passes what no one should. */
#include <fenv.h>
#include <locale.h>
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "network_test.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static const char *device_name(void)
{
    const char *name = getenv("ACTC_TEST_DEVICE");
    return name ? name : "cpu";
}

#define BATCH 4
#define RULES "conv1,relu1,conv2=dct:lambda=3.7;fc1=wavelet:lambda=7.3,values=int8"

static uint64_t hash(uint64_t h, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

/* ---- modes ---- */

static const struct {
    const char *name;
    int rounding;
    unsigned flush; /* MXCSR: FTZ and DAZ */
} modes[] = {{"default", FE_TONEAREST, 0},
             {"flushing", FE_TONEAREST, 0x8040},
             {"upward", FE_UPWARD, 0},
             {"downward", FE_DOWNWARD, 0x8040},
             {"towards zero", FE_TOWARDZERO, 0}};

static void set_modes(size_t m)
{
    assert_int_equal(fesetround(modes[m].rounding), 0);
#if defined(__x86_64__)
    _mm_setcsr((_mm_getcsr() & ~0x8040u) | modes[m].flush);
#endif
}

/* The caller's modes are as they were: in a call's way back, whatever it answered. */
static void check_modes(size_t m, const char *call)
{
    bool same = fegetround() == modes[m].rounding;
#if defined(__x86_64__)
    uint16_t x87;
    __asm__ volatile("fnstcw %0" : "=m"(x87)); /* what fegetround reads is one of the two */
    static const int shift = 10 - 13;
    same &= (_mm_getcsr() & 0x8040u) == modes[m].flush && (_mm_getcsr() & 0x6000u) >> -shift == (x87 & 0x0c00u);
#endif
    if (!same)
        fail_msg("%s: modes %s were not given back", call, modes[m].name);
}

#define UNDER(call)                  \
    do {                             \
        CHECK(f->context, call);     \
        check_modes(mode, #call);    \
    } while (0)

static const float *images; /* made before modes are set */
static const int32_t *labels;
static uint64_t sum_network(const fixture *f, size_t mode, uint64_t h)
{
    actc_network_options options = actc_network_options_default();
    actc_network *network = NULL;
    actc_step_result result = {.size = sizeof result};
    options.train_batch = options.eval_batch = BATCH;
    options.compress = RULES;
    options.seed = 7;
    options.optimizer.weight_decay = 0.013;
    UNDER(actc_network_create(f->device, f->graph, &options, &network));
    UNDER(actc_network_initialize(network));
    for (int i = 0; i < 2; i++) {
        UNDER(actc_network_train_step(network, images, labels, 1.1e-3, &result));
        h = hash(h, &result.loss, sizeof result.loss);
    }
    double loss = 0;
    int64_t correct = 0;
    for (int i = 0; i < 3; i++) /* sums in the caller's variable */
        UNDER(actc_network_evaluate(network, images, labels, BATCH, &loss, &correct));
    h = hash(h, &loss, sizeof loss);
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info;
        UNDER(actc_network_state_info(network, i, &info));
        size_t bytes = (size_t)actc_shape_elements(&info.shape) * sizeof(float);
        float *values = malloc(bytes);
        UNDER(actc_network_read_state(network, i, values));
        h = hash(h, values, bytes);
        free(values);
    }
    actc_network_destroy(&network);
    return h;
}

static uint64_t sum_codecs(const fixture *f, size_t mode, uint64_t h)
{
    static const char *const specs[] = {"dct:lambda=2.3,values=int8", "wavelet:ratio=0.31,values=f16", "random"};
    const actc_shape shape = {4, {1, 3, 20, 13}};
    actc_codec_key key = {.seed = 3, .step = 4, .tensor = 5};
    float restored[3 * 20 * 13];
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        actc_codec *codec = NULL;
        actc_codec_info info = {.size = sizeof info};
        unsigned char payload[8 * sizeof restored] = {0};
        UNDER(actc_codec_create(f->device, specs[i], &shape, &codec));
        UNDER(actc_codec_info_get(codec, &info));
        assert_true(info.payload_bytes <= sizeof payload);
        UNDER(actc_codec_pack(codec, images, &key, payload));
        UNDER(actc_codec_unpack(codec, payload, &key, restored));
        h = hash(hash(h, payload, (size_t)info.payload_bytes), restored, sizeof restored);
        h = hash(h, info.spec, strlen(info.spec));
        actc_codec_destroy(&codec);
    }
    return h;
}

static uint64_t sum_schedules(const fixture *f, size_t mode, uint64_t h)
{
    static const char *const specs[] = {"step:epochs=2,gamma=0.7", "cosine:min-lr=1e-7", "plateau:patience=0,gamma=0.3"};
    for (size_t i = 0; i < 3; i++) {
        actc_schedule schedule = {.size = sizeof schedule};
        UNDER(actc_schedule_parse(f->context, specs[i], 0.1, 9, &schedule));
        for (uint64_t epoch = 0; epoch < 9; epoch++) {
            double rate = actc_schedule_rate(&schedule, epoch);
            check_modes(mode, "actc_schedule_rate");
            actc_schedule_observe(&schedule, 1 + 0x1p-20); /* never lower than 1 - 1e-4 of it but once */
            check_modes(mode, "actc_schedule_observe");
            h = hash(h, &rate, sizeof rate);
        }
    }
    return h;
}

static uint64_t sum_under(const fixture *f, size_t mode)
{
    set_modes(mode);
    uint64_t h = sum_network(f, mode, 1469598103934665603u);
    h = sum_codecs(f, mode, h);
    h = sum_schedules(f, mode, h);
    /* a failure comes back the same way */
    actc_codec *codec = NULL;
    assert_int_equal(actc_codec_create(f->device, "dct:lambda=0.5", &(actc_shape){1, {5}}, &codec), ACTC_ERROR_INVALID_ARGUMENT);
    check_modes(mode, "a refused spec");
    set_modes(0);
    return hash(h, actc_error_message(f->context), strlen(actc_error_message(f->context)));
}

static void modes_do_not_show(void **state)
{
    const fixture *f = *state;
    static float pixels[BATCH * 784];
    static int32_t classes[BATCH];
    fill_batch(pixels, classes, BATCH);
    images = pixels;
    labels = classes;
    uint64_t wanted = sum_under(f, 0);
    for (size_t m = 1; m < sizeof modes / sizeof *modes; m++)
        if (sum_under(f, m) != wanted)
            fail_msg("results differ under modes %s", modes[m].name);
}

/* A decimal point of two bytes (ps_AF) or another one byte (de_DE): what is parsed and what is said stay the same. */
static void locales_do_not_show(void **state)
{
    const fixture *f = *state;
    static const char *const names[] = {"de_DE", "ps_AF"};
    char folder[] = "/tmp/actc-locale-XXXXXX", command[256];
    assert_non_null(mkdtemp(folder));
    uint64_t wanted = sum_under(f, 0);
    int made = 0;
    for (size_t i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "localedef -c -i %s -f UTF-8 %s/%s.UTF-8 >%s/log 2>&1", names[i], folder, names[i],
                 folder);
        made += system(command) == 0;
    }
    setenv("LOCPATH", folder, 1);
    bool same = true;
    for (size_t i = 0; i < 2 && made == 2; i++) {
        char name[32], text[32];
        snprintf(name, sizeof name, "%s.UTF-8", names[i]);
        assert_non_null(setlocale(LC_ALL, name));
        snprintf(text, sizeof text, "%g", 1.5);
        assert_string_not_equal(text, "1.5");
        same &= sum_under(f, 0) == wanted;
        snprintf(text, sizeof text, "%g", 1.5); /* given back */
        assert_string_not_equal(text, "1.5");
        setlocale(LC_ALL, "C");
    }
    unsetenv("LOCPATH");
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    if (made < 2) {
        print_message("no localedef, or no locale sources\n");
        skip();
    }
    assert_true(same);
}

/* What a float does not hold would make every parameter infinite. */
static void rates_out_of_range(void **state)
{
    const fixture *f = *state;
    static const double rates[] = {1e300, 1e31, -1, (double)INFINITY, (double)NAN};
    actc_network *network = network_of(f, BATCH, "");
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(actc_network_train_step(network, images, labels, rates[i], NULL), ACTC_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(actc_error_message(f->context), "must be 0 to 1e+30"));
    }
    CHECK(f->context, actc_network_train_step(network, images, labels, 1e-3, NULL));
    actc_network_destroy(&network);
    actc_schedule schedule = {.size = sizeof schedule};
    assert_int_equal(actc_schedule_parse(f->context, "constant", 1e300, 1, &schedule), ACTC_ERROR_INVALID_ARGUMENT);
    actc_network_options options = actc_network_options_default();
    options.train_batch = 1;
    options.optimizer.weight_decay = 1e300;
    assert_int_equal(actc_network_create(f->device, f->graph, &options, &network), ACTC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(actc_error_message(f->context), "weight decay is 1e+300, must be 0 to 1e30"));
}

/* A path of any length leaves room for what is wrong with it. */
static void reasons_are_not_cut(void **state)
{
    const fixture *f = *state;
    static char path[3000] = "start/";
    actc_safetensors *file = NULL;
    actc_dataset *dataset = NULL;
    for (size_t i = 6; i + 2 < sizeof path - 1; i += 2)
        memcpy(path + i, i % 100 ? "\xc3\xa9" : "/.", 2); /* é */
    assert_int_equal(actc_safetensors_open(f->context, path, &file), ACTC_ERROR_NOT_FOUND);
    const char *message = actc_error_message(f->context);
    assert_true(strstr(message, "cannot open start/") && strstr(message, " ... ") && strstr(message, ": No such file"));
    for (const char *p = message; *p; p++) /* no character is halved */
        assert_true((*p == '\xc3') == (p[1] == '\xa9'));
    assert_int_equal(actc_dataset_open(f->context, "mnist", path, true, &dataset), ACTC_ERROR_NOT_FOUND);
    assert_non_null(strstr(actc_error_message(f->context), "name the folder that holds the four files"));
}

/* Of a device that sees less of a buffer than the batch needs. */
static void binding_limit(void **state)
{
    const fixture *f = *state;
    if (strncmp(device_name(), "vulkan", 6) != 0)
        skip();
    actc_device_options where = actc_device_options_default();
    actc_network_options options = actc_network_options_default();
    actc_device *device = NULL;
    actc_network *network = NULL;
    where.device = device_name();
    options.train_batch = 64;
    setenv("ACTC_VK_MAX_BINDING", "1048576", 1);
    CHECK(f->context, actc_device_open(f->context, &where, &device));
    unsetenv("ACTC_VK_MAX_BINDING");
    assert_int_equal(actc_network_create(device, f->graph, &options, &network), ACTC_ERROR_UNSUPPORTED);
    assert_non_null(strstr(actc_error_message(f->context), "a kernel sees 1048576 (maxStorageBufferRange); use a smaller batch"));
    options.train_batch = 4;
    CHECK(f->context, actc_network_create(device, f->graph, &options, &network));
    actc_network_destroy(&network);
    actc_device_destroy(&device);
}

/* ---- fork ---- */

/* Runs `work` in a child, which has 60 seconds; its answer, 0 where all was right, or 100 and the signal that ended it. */
static int in_child(int (*work)(fixture *f, actc_network *network), fixture *f, actc_network *network)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return 99;
    if (child == 0) {
        alarm(60);
        _exit(work(f, network));
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child)
        return 98;
    return WIFSIGNALED(status) ? 100 + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool refused(const fixture *f, actc_status status)
{
    return status == ACTC_ERROR_UNSUPPORTED && strstr(actc_error_message(f->context), "fork()");
}

static float step_loss(actc_network *network)
{
    actc_step_result result = {.size = sizeof result};
    return actc_network_train_step(network, images, labels, 1e-3, &result) == ACTC_OK ? result.loss : NAN;
}

static bool survives(const fixture *f)
{
    return !strcmp(actc_device_get_info(f->device)->backend, "cpu");
}

static float next_loss; /* of the parent's network */

static int uses_what_it_inherits(fixture *f, actc_network *network)
{
    float values[10 * 784 * 10];
    double loss = 0;
    int64_t correct = 0;
    if (survives(f)) {
        if (step_loss(network) != next_loss)
            return 1;
    } else {
        const actc_shape shape = {1, {64}};
        actc_codec *codec = NULL;
        actc_network *second = NULL;
        actc_network_options options = actc_network_options_default();
        options.eval_batch = 1;
        if (!refused(f, actc_network_train_step(network, images, labels, 1e-3, NULL)))
            return 2;
        if (!refused(f, actc_network_evaluate(network, images, labels, 1, &loss, &correct)))
            return 3;
        if (!refused(f, actc_network_read_state(network, 0, values)) || !refused(f, actc_network_initialize(network)))
            return 4;
        if (!refused(f, actc_codec_create(f->device, "dct", &shape, &codec)) || codec)
            return 5;
        if (!refused(f, actc_network_create(f->device, f->graph, &options, &second)) || second)
            return 6;
        if (!refused(f, actc_device_compile_all(f->device, NULL, NULL)))
            return 7;
    }
    actc_network_destroy(&network);
    if (actc_device_allocated_bytes(f->device) != 0)
        return 8;
    actc_device_destroy(&f->device);
    return network || f->device ? 9 : 0;
}

/* What a driver has started for the parent's device is missing for a device of the child's own as well. */
static int opens_while_open(fixture *f, actc_network *network)
{
    actc_device_options options = actc_device_options_default();
    options.device = device_name();
    actc_device *own = NULL;
    actc_status status = actc_device_open(f->context, &options, &own);
    (void)network;
    if (!survives(f))
        return own || !strstr(actc_error_message(f->context), "fork()") ? 20 : 0;
    actc_device_destroy(&own);
    return status == ACTC_OK ? 0 : 21;
}

/* No device is open: the child's is as good as any, and the child may be a parent itself. */
static int opens_its_own(fixture *f, actc_network *network)
{
    (void)network;
    actc_device_options options = actc_device_options_default();
    options.device = device_name();
    if (actc_device_open(f->context, &options, &f->device) != ACTC_OK)
        return 30;
    actc_network *own = network_of(f, BATCH, RULES);
    int answer = in_child(uses_what_it_inherits, f, own);
    if (!answer && step_loss(own) != next_loss)
        answer = 31;
    actc_network_destroy(&own);
    actc_device_destroy(&f->device);
    return answer;
}

static void children_go_on_or_are_refused(void **state)
{
    fixture *f = *state;
    actc_network *network = network_of(f, BATCH, RULES), *twin = network_of(f, BATCH, RULES);
    next_loss = step_loss(twin);
    assert_true(isfinite(next_loss));
    actc_network_destroy(&twin);
    assert_int_equal(in_child(uses_what_it_inherits, f, network), 0);
    assert_int_equal(in_child(opens_while_open, f, network), 0);
    assert_true(step_loss(network) == next_loss); /* the parent's goes on, as if there had been no child */
    actc_network_destroy(&network);
    actc_device_destroy(&f->device);
    assert_int_equal(in_child(opens_its_own, f, NULL), 0);
    actc_device_options options = actc_device_options_default();
    options.device = device_name();
    CHECK(f->context, actc_device_open(f->context, &options, &f->device)); /* for tear_down */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_do_not_show),
        cmocka_unit_test(locales_do_not_show),
        cmocka_unit_test(rates_out_of_range),
        cmocka_unit_test(reasons_are_not_cut),
        cmocka_unit_test(binding_limit),
        cmocka_unit_test(children_go_on_or_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
