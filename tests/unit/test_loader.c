/* test_loader.c: the order of samples, batches and their values, seeking, failures, and life without a thread. */
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "files.h"

#include "data/dataset.h"
#include "util/util.h"

#define SIZE 1000
#define SAMPLE 6

/* A data set whose sample i has label i % 10 and pixels that tell i. */
struct fixture {
    actc_context *context;
    actc_dataset dataset;
    uint8_t pixels[SIZE * SAMPLE], labels[SIZE];
    int64_t fail_at; /* of failing_read */
    char log[256];
};

static void keep_log(void *user, actc_log_level level, const char *message)
{
    struct fixture *f = user;
    if (level == ACTC_LOG_WARNING)
        snprintf(f->log, sizeof f->log, "%s", message);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    actc_context_options options = actc_context_options_default();
    options.log = keep_log;
    options.log_user = f;
    if (actc_context_create(&options, &f->context) != ACTC_OK)
        return -1;
    for (int i = 0; i < SIZE; i++) {
        f->labels[i] = (uint8_t)(i % 10);
        for (int j = 0; j < SAMPLE; j++)
            f->pixels[i * SAMPLE + j] = (uint8_t)(j == 0 ? i & 255 : j == 1 ? i >> 8 : i * 31 + j);
    }
    f->dataset = (actc_dataset){.context = f->context, .size = SIZE, .used = SIZE, .classes = 10,
                                .sample = {3, {1, 2, 3}}, .sample_elements = SAMPLE, .pixels = f->pixels, .labels = f->labels};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    actc_context_destroy(&f->context);
    free(f);
    return 0;
}

/* Which sample a row of a batch made with mean 0 and std 1/255 is. */
static int64_t which(const float *row)
{
    return (int64_t)lrintf(row[0]) + 256 * (int64_t)lrintf(row[1]);
}

static actc_loader *make(struct fixture *f, int64_t batch, bool shuffle, bool drop_last, uint64_t seed)
{
    actc_loader_options options = actc_loader_options_default();
    options.batch = batch;
    options.shuffle = shuffle;
    options.drop_last = drop_last;
    options.seed = seed;
    options.mean = 0;
    options.std = 1 / 255.0;
    actc_loader *loader;
    assert_ok(f->context, actc_loader_create(f->context, &f->dataset, &options, &loader));
    return loader;
}

/* Checks one batch against the order that actc_shuffle gives. */
static void check_batch(struct fixture *f, const actc_batch *batch, int64_t size, bool shuffle, uint64_t seed, uint64_t epoch,
                        int64_t index)
{
    static uint32_t order[SIZE];
    int64_t used = f->dataset.used, first = index * size, count = used - first < size ? used - first : size;
    for (uint32_t i = 0; i < used; i++)
        order[i] = i;
    if (shuffle)
        actc_shuffle(order, (uint32_t)used, seed, epoch);
    assert_int_equal(batch->epoch, epoch);
    assert_int_equal(batch->index, index);
    assert_int_equal(batch->count, count);
    for (int64_t i = 0; i < count; i++) {
        uint32_t sample = order[first + i];
        assert_int_equal(which(batch->inputs + i * SAMPLE), sample);
        assert_int_equal(batch->labels[i], f->labels[sample]);
        for (int j = 0; j < SAMPLE; j++)
            assert_int_equal(lrintf(batch->inputs[i * SAMPLE + j]), f->pixels[sample * SAMPLE + (uint32_t)j]);
    }
}

static void run_epochs(struct fixture *f, int64_t size, bool shuffle, bool drop_last, int64_t batches)
{
    actc_loader *loader = make(f, size, shuffle, drop_last, 5);
    assert_int_equal(actc_loader_batches(loader), batches);
    for (uint64_t epoch = 0; epoch < 3; epoch++)
        for (int64_t index = 0; index < batches; index++) {
            actc_batch batch = {.size = sizeof batch};
            assert_ok(f->context, actc_loader_next(loader, &batch));
            check_batch(f, &batch, size, shuffle, 5, epoch, index);
        }
    actc_loader_destroy(&loader);
    assert_null(loader);
    actc_loader_destroy(&loader);
}

static void test_epochs(void **state)
{
    run_epochs(*state, 128, true, true, 7);
    run_epochs(*state, 128, true, false, 8);
    run_epochs(*state, 128, false, false, 8);
    run_epochs(*state, 100, true, false, 10);
    run_epochs(*state, 100, true, true, 10);
    run_epochs(*state, SIZE, true, true, 1);
    run_epochs(*state, 5000, true, false, 1);
    run_epochs(*state, 1, false, true, SIZE);
    struct fixture *f = *state;
    assert_string_equal(f->log, "");
    assert_ok(f->context, actc_dataset_limit(&f->dataset, 37));
    run_epochs(f, 8, true, false, 5);
    run_epochs(f, 8, true, true, 4);
}

/* The values written out by tests/oracle/shuffle.py. */
static void test_order(void **state)
{
    static const struct {
        uint32_t n;
        uint64_t seed, epoch;
        uint32_t first[8], sum;
    } wanted[] = {
        {60000, 0x1, 0x0, {13378, 1009, 7546, 54283, 29675, 755, 52940, 16247}, 0x8d8bf8f1},
        {60000, 0x1, 0x1, {33229, 59345, 19864, 46896, 7334, 31248, 34072, 47577}, 0xb8555fb1},
        {1000, 0x123456789abcdef0, 0x100000002, {879, 309, 874, 216, 568, 570, 175, 678}, 0x13bb2749},
        {2, 0x7, 0x3, {0, 1}, 0x4bb53254},
        {1, 0x0, 0x0, {0}, 0x4b95f515},
    };
    (void)state;
    static uint32_t order[60000];
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        actc_shuffle(order, wanted[i].n, wanted[i].seed, wanted[i].epoch);
        uint32_t sum = 2166136261u;
        for (uint32_t j = 0; j < wanted[i].n; j++) {
            if (j < 8)
                assert_int_equal(order[j], wanted[i].first[j]);
            for (int b = 0; b < 32; b += 8)
                sum = (sum ^ (order[j] >> b & 255)) * 16777619u;
        }
        assert_int_equal(sum, wanted[i].sum);
    }
}

/* Every order of three samples turns up equally often over many epochs (chi-square, 5 degrees of freedom, p 1e-6). */
static void test_fair(void **state)
{
    (void)state;
    int counts[27] = {0}, trials = 60000;
    for (int epoch = 0; epoch < trials; epoch++) {
        uint32_t order[3];
        actc_shuffle(order, 3, 99, (uint64_t)epoch);
        counts[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    double chi = 0, expected = trials / 6.0;
    int kinds = 0;
    for (int i = 0; i < 27; i++)
        if (counts[i]) {
            chi += (counts[i] - expected) * (counts[i] - expected) / expected;
            kinds++;
        }
    assert_int_equal(kinds, 6);
    assert_true(chi < 36);
}

/* (x/255 - mean)/std in double, rounded once; both ends and the middle written out. */
static void test_values(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 256; i++)
        f->pixels[i] = (uint8_t)i;
    f->dataset.sample_elements = 256;
    f->dataset.used = 2;
    actc_loader_options options = actc_loader_options_default();
    options.batch = 1;
    options.shuffle = false;
    actc_loader *loader;
    actc_batch batch = {.size = sizeof batch};
    assert_ok(f->context, actc_loader_create(f->context, &f->dataset, &options, &loader));
    assert_ok(f->context, actc_loader_next(loader, &batch));
    for (int i = 0; i < 256; i++)
        assert_true(batch.inputs[i] == (float)((i / 255.0 - 0.1307) / 0.3081));
    assert_true(batch.inputs[0] == -0.424212923f);
    assert_true(batch.inputs[255] == 2.82148647f);
    actc_loader_destroy(&loader);
}

static void seek_about(struct fixture *f)
{
    actc_loader *loader = make(f, 64, true, true, 11);
    uint32_t random = 1;
    for (int round = 0; round < 200; round++) {
        random = random * 1664525u + 1013904223u;
        uint64_t epoch = (random >> 8) % 5;
        int64_t index = (random >> 16) % 15;
        assert_ok(f->context, actc_loader_seek(loader, epoch, index));
        for (uint32_t k = 0; k < (random >> 28); k++) {
            actc_batch batch = {.size = sizeof batch};
            assert_ok(f->context, actc_loader_next(loader, &batch));
            check_batch(f, &batch, 64, true, 11, epoch, index);
            if (++index == 15) {
                index = 0;
                epoch++;
            }
        }
    }
    assert_failed(f->context, actc_loader_seek(loader, 0, 15), ACTC_ERROR_INVALID_ARGUMENT, "batch 15 of an epoch of 15", NULL);
    assert_failed(f->context, actc_loader_seek(loader, 0, -1), ACTC_ERROR_INVALID_ARGUMENT, NULL);
    assert_ok(f->context, actc_loader_seek(loader, UINT64_MAX - 1, 0));
    actc_loader_destroy(&loader);
}

static void test_seek(void **state)
{
    seek_about(*state);
}

/* Thread creation refused: a default stack that no address space has room for. */
static void test_without_thread(void **state)
{
    struct fixture *f = *state;
    pthread_attr_t before, huge;
    assert_int_equal(pthread_getattr_default_np(&before), 0);
    assert_int_equal(pthread_attr_init(&huge), 0);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 56), 0);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    run_epochs(f, 128, true, false, 8);
    assert_non_null(strstr(f->log, "no thread to read batches ahead"));
    seek_about(f);
    assert_int_equal(pthread_setattr_default_np(&before), 0);
    f->log[0] = '\0';
    run_epochs(f, 128, true, false, 8);
    assert_string_equal(f->log, "");
    pthread_attr_destroy(&huge);
    pthread_attr_destroy(&before);
}

static const uint8_t *failing_read(const actc_dataset *dataset, int64_t index, int32_t *label, char *why, size_t why_size)
{
    const struct fixture *f = (const struct fixture *)((const char *)dataset - offsetof(struct fixture, dataset));
    if (index == f->fail_at) {
        snprintf(why, why_size, "sample %lld cannot be read", (long long)index);
        return NULL;
    }
    *label = f->labels[index];
    return f->pixels + index * SAMPLE;
}

/* Batches before the failure come whole; it is reported in its place, again and again, until a seek goes past it. */
static void test_failure(void **state)
{
    struct fixture *f = *state;
    f->dataset.read = failing_read;
    f->fail_at = 230;
    actc_loader *loader = make(f, 50, false, true, 0);
    actc_batch batch = {.size = sizeof batch};
    for (int64_t index = 0; index < 4; index++) {
        assert_ok(f->context, actc_loader_next(loader, &batch));
        check_batch(f, &batch, 50, false, 0, 0, index);
    }
    for (int i = 0; i < 3; i++) {
        assert_failed(f->context, actc_loader_next(loader, &batch), ACTC_ERROR_IO, "batch 4 of epoch 0",
                      "sample 230 cannot be read", NULL);
        assert_null(batch.inputs);
    }
    assert_ok(f->context, actc_loader_seek(loader, 0, 5));
    assert_ok(f->context, actc_loader_next(loader, &batch));
    check_batch(f, &batch, 50, false, 0, 0, 5);
    actc_loader_destroy(&loader);
    /* destroyed with the failure waiting */
    loader = make(f, 50, false, true, 0);
    assert_ok(f->context, actc_loader_seek(loader, 0, 4));
    actc_loader_destroy(&loader);
}

static uint32_t digest_of(struct fixture *f)
{
    uint32_t digest = 0;
    assert_ok(f->context, actc_dataset_digest(&f->dataset, &digest));
    return digest;
}

/* Every pixel, every label and their number count, wherever they lie; what is left out does not. */
static void test_digest(void **state)
{
    struct fixture *f = *state;
    uint32_t first = digest_of(f), other;
    f->labels[999]++;
    assert_int_not_equal(digest_of(f), first);
    f->labels[999]--;
    f->pixels[0] ^= 1;
    assert_int_not_equal(digest_of(f), first);
    f->pixels[0] ^= 1;
    assert_int_equal(digest_of(f), first);
    f->dataset.read = failing_read;
    f->fail_at = 990;
    assert_failed(f->context, actc_dataset_digest(&f->dataset, &other), ACTC_ERROR_IO, "sample 990", "cannot be read", NULL);
    f->fail_at = -1;
    assert_int_equal(digest_of(f), first);
    assert_ok(f->context, actc_dataset_limit(&f->dataset, 999));
    other = digest_of(f);
    assert_int_not_equal(other, first);
    f->labels[999]++;
    assert_int_equal(digest_of(f), other);
    assert_int_equal(actc_dataset_digest(NULL, &other), ACTC_ERROR_INVALID_ARGUMENT);
}
#if !defined(__SANITIZE_THREAD__)
/* The loader's thread is the parent's, and so may be its lock. */
static void test_fork(void **state)
{
    struct fixture *f = *state;
    actc_loader *loader = make(f, 10, true, false, 5);
    actc_batch batch;
    assert_ok(f->context, actc_loader_next(loader, &batch));
    for (int destroys = 0; destroys < 2; destroys++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            alarm(30);
            bool right = destroys || (actc_loader_next(loader, &batch) == ACTC_ERROR_UNSUPPORTED && !batch.inputs &&
                                      strstr(actc_error_message(f->context), "fork()") &&
                                      actc_loader_seek(loader, 1, 0) == ACTC_ERROR_UNSUPPORTED);
            actc_loader_destroy(&loader);
            loader = make(f, 10, true, false, 5);
            right &= actc_loader_next(loader, &batch) == ACTC_OK && batch.count == 10;
            actc_loader_destroy(&loader);
            _exit(right ? 0 : 1);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_ok(f->context, actc_loader_next(loader, &batch));
    check_batch(f, &batch, 10, true, 5, 0, 1);
    actc_loader_destroy(&loader);
}
#endif

/* What a caller holds is not written until its next call, and two batches are made while it holds it. */
static _Atomic int reads;
static const uint8_t *counting_read(const actc_dataset *dataset, int64_t index, int32_t *label, char *why, size_t why_size)
{
    (void)why, (void)why_size;
    reads++;
    *label = dataset->labels[index];
    return dataset->pixels + index * SAMPLE;
}

static void wait_for_reads(int wanted)
{
    for (int i = 0; i < 5000 && reads < wanted; i++)
        usleep(1000);
    usleep(20000); /* time to do too much */
    assert_int_equal(reads, wanted);
}

static void test_ahead(void **state)
{
    struct fixture *f = *state;
    f->dataset.read = counting_read;
    reads = 0;
    actc_loader *loader = make(f, 10, true, true, 3);
    actc_batch batch = {.size = sizeof batch};
    wait_for_reads(30);
    assert_ok(f->context, actc_loader_next(loader, &batch));
    wait_for_reads(30);
    check_batch(f, &batch, 10, true, 3, 0, 0);
    assert_ok(f->context, actc_loader_next(loader, &batch));
    wait_for_reads(40);
    check_batch(f, &batch, 10, true, 3, 0, 1);
    actc_loader_destroy(&loader);
}

/* Signals for the process must not land on the loader's thread. */
static pthread_t handled_on;
static void on_signal(int number)
{
    (void)number;
    handled_on = pthread_self();
}

static void test_signals(void **state)
{
    struct fixture *f = *state;
    struct sigaction action = {.sa_handler = on_signal}, before;
    sigset_t usr1, mask;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    actc_loader *loader = make(f, 10, true, true, 3);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &usr1, &mask), 0);
    assert_false(sigismember(&mask, SIGUSR1)); /* the loader put the mask back */
    memset(&handled_on, 0, sizeof handled_on);
    kill(getpid(), SIGUSR1);
    usleep(20000); /* a thread that does not block it would handle it now */
    assert_false(pthread_equal(handled_on, pthread_self()));
    pthread_t none;
    memset(&none, 0, sizeof none);
    assert_memory_equal(&handled_on, &none, sizeof none);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
    assert_true(pthread_equal(handled_on, pthread_self()));
    actc_loader_destroy(&loader);
    sigaction(SIGUSR1, &before, NULL);
}

static void refused(struct fixture *f, int64_t batch, bool drop_last, double mean, double std, const char *text)
{
    actc_loader_options options = actc_loader_options_default();
    options.batch = batch;
    options.drop_last = drop_last;
    options.mean = mean;
    options.std = std;
    actc_loader *loader = (actc_loader *)1;
    assert_failed(f->context, actc_loader_create(f->context, &f->dataset, &options, &loader), ACTC_ERROR_INVALID_ARGUMENT, text,
                  NULL);
    assert_null(loader);
}

static void test_options(void **state)
{
    struct fixture *f = *state;
    refused(f, 0, false, 0, 1, "batch of 0");
    refused(f, -3, false, 0, 1, "batch of -3");
    refused(f, SIZE + 1, true, 0, 1, "batch of 1001 samples, but the data set has 1000");
    refused(f, 1, true, NAN, 1, "mean nan");
    refused(f, 1, true, 0, 0, "std 0");
    refused(f, 1, true, 0, -1, "std -1");
    refused(f, 1, true, 0, INFINITY, "std inf");
    actc_loader_options options = actc_loader_options_default();
    options.size = 0;
    actc_loader *loader;
    assert_failed(f->context, actc_loader_create(f->context, &f->dataset, &options, &loader), ACTC_ERROR_INVALID_ARGUMENT,
                  "size is 0", NULL);
    assert_failed(f->context, actc_loader_create(f->context, NULL, NULL, &loader), ACTC_ERROR_INVALID_ARGUMENT, NULL);
    /* a caller built when the struct ended after `batch` */
    options.batch = 100;
    options.std = 0;
    options.size = offsetof(actc_loader_options, shuffle);
    assert_ok(f->context, actc_loader_create(f->context, &f->dataset, &options, &loader));
    assert_int_equal(actc_loader_batches(loader), 10);
    assert_failed(f->context, actc_loader_next(loader, NULL), ACTC_ERROR_INVALID_ARGUMENT, NULL);
    actc_loader_destroy(&loader);
}

static actc_status create_and_destroy(void *user)
{
    struct fixture *f = user;
    actc_loader *loader;
    actc_status status = actc_loader_create(f->context, &f->dataset, NULL, &loader);
    actc_loader_destroy(&loader);
    return status;
}

/* Without classes targets are f32 of [0, 1), each sample's its own. */
static void test_synthetic_f32_targets(void **state)
{
    struct fixture *f = *state;
    enum { TARGETS = 3 * 8 * 10, BATCH = 8 };
    const actc_shape sample = {3, {3, 4, 5}}, target = {3, {3, 8, 10}};
    actc_dataset *set;
    actc_loader *loader;
    actc_batch batch;
    actc_loader_options options = actc_loader_options_default();
    options.batch = BATCH;
    assert_ok(f->context, actc_dataset_synthetic(f->context, &sample, &target, 0, BATCH, 5, true, &set));
    assert_int_equal(actc_dataset_classes(set), 0);
    assert_ok(f->context, actc_loader_create(f->context, set, &options, &loader));
    assert_ok(f->context, actc_loader_next(loader, &batch));
    assert_null(batch.labels);
    double sum = 0;
    for (int i = 0; i < BATCH * TARGETS; i++) {
        assert_true(batch.targets[i] >= 0 && batch.targets[i] < 1);
        sum += (double)batch.targets[i];
    }
    assert_true(fabs(sum / (BATCH * TARGETS) - 0.5) < 0.03);
    assert_memory_not_equal(batch.targets, batch.targets + TARGETS, TARGETS * sizeof(float));
    actc_loader_destroy(&loader);
    actc_dataset_destroy(&set);
}

/* What a loader gives of generated samples is theirs, whatever the order: of any target shape, of mean 0 and variance 1. */
static void test_synthetic(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 40, ELEMENTS = 2 * 7 * 9, TARGETS = 7 * 9, BATCH = 8 };
    const actc_shape sample = {3, {2, 7, 9}}, target = {2, {7, 9}};
    float inputs[COUNT][ELEMENTS];
    int32_t targets[COUNT][TARGETS], classes[3] = {0};
    actc_dataset *set;
    assert_ok(f->context, actc_dataset_synthetic(f->context, &sample, &target, 3, COUNT, 5, true, &set));
    assert_int_equal(actc_dataset_size(set), COUNT);
    assert_int_equal(actc_dataset_target_shape(set).dims[1], 9);
    actc_loader_options options = actc_loader_options_default();
    options.batch = BATCH;
    options.shuffle = false;
    actc_loader *loader;
    actc_batch batch;
    double sum = 0, squares = 0;
    assert_ok(f->context, actc_loader_create(f->context, set, &options, &loader));
    for (int i = 0; i < COUNT; i += BATCH) {
        assert_ok(f->context, actc_loader_next(loader, &batch));
        memcpy(inputs[i], batch.inputs, BATCH * sizeof *inputs);
        memcpy(targets[i], batch.labels, BATCH * sizeof *targets);
    }
    actc_loader_destroy(&loader);
    for (int i = 0; i < COUNT * ELEMENTS; i++) {
        double x = inputs[i / ELEMENTS][i % ELEMENTS];
        sum += x;
        squares += x * x;
    }
    for (int i = 0; i < COUNT * TARGETS; i++) {
        int32_t t = targets[i / TARGETS][i % TARGETS];
        assert_true(t >= 0 && t < 3);
        classes[t]++;
    }
    assert_true(fabs(sum / (COUNT * ELEMENTS)) < 0.06 && fabs(squares / (COUNT * ELEMENTS) - 1) < 0.06);
    for (int i = 0; i < 3; i++)
        assert_true(abs(classes[i] - COUNT * TARGETS / 3) < 120);
    assert_memory_not_equal(inputs[0], inputs[1], sizeof inputs[0]);
    assert_memory_not_equal(targets[0], targets[1], sizeof targets[0]);
    /* shuffled: each row is that of the sample whose turn it is */
    uint32_t order[COUNT];
    actc_shuffle(order, COUNT, 9, 3);
    options.shuffle = true;
    options.seed = 9;
    assert_ok(f->context, actc_loader_create(f->context, set, &options, &loader));
    assert_ok(f->context, actc_loader_seek(loader, 3, 2));
    assert_ok(f->context, actc_loader_next(loader, &batch));
    for (int i = 0; i < BATCH; i++) {
        assert_memory_equal(batch.inputs + i * ELEMENTS, inputs[order[2 * BATCH + i]], sizeof inputs[0]);
        assert_memory_equal(batch.labels + i * TARGETS, targets[order[2 * BATCH + i]], sizeof targets[0]);
    }
    assert_null(batch.targets);
    actc_loader_destroy(&loader);
    uint32_t digest, other;
    assert_ok(f->context, actc_dataset_digest(set, &digest));
    actc_dataset_destroy(&set);
    for (int i = 0; i < 3; i++) { /* another seed, another part, fewer samples: other data */
        assert_ok(f->context, actc_dataset_synthetic(f->context, &sample, &target, 3, i == 2 ? 39 : COUNT, i == 0 ? 6 : 5, i != 1, &set));
        assert_ok(f->context, actc_dataset_digest(set, &other));
        assert_int_not_equal(digest, other);
        assert_ok(f->context, actc_loader_create(f->context, set, NULL, &loader));
        actc_loader_destroy(&loader);
        actc_dataset_destroy(&set);
    }
    const actc_shape none = {2, {3, 0}}, deep = {5, {1, 1, 1, 1, 1}};
    assert_failed(f->context, actc_dataset_synthetic(f->context, &none, NULL, 3, 1, 0, true, &set), ACTC_ERROR_INVALID_ARGUMENT,
                  "3x0", NULL);
    assert_failed(f->context, actc_dataset_synthetic(f->context, &sample, &deep, 3, 1, 0, true, &set), ACTC_ERROR_INVALID_ARGUMENT,
                  "targets of 5 dimensions", NULL);
    assert_failed(f->context, actc_dataset_synthetic(f->context, &sample, NULL, -1, 1, 0, true, &set), ACTC_ERROR_INVALID_ARGUMENT,
                  "-1 classes", "f32 targets", NULL);
    assert_failed(f->context, actc_dataset_synthetic(f->context, &sample, NULL, 3, 0, 0, true, &set), ACTC_ERROR_INVALID_ARGUMENT,
                  "0 samples", NULL);
}

static void test_out_of_memory(void **state)
{
    struct fixture *f = *state;
    refuse_each(f->context, create_and_destroy, f);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_epochs),  TEST(test_order), TEST(test_fair),    TEST(test_values),  TEST(test_seek),          TEST(test_without_thread),
#if !defined(__SANITIZE_THREAD__)
        TEST(test_fork),
#endif
        TEST(test_failure), TEST(test_digest), TEST(test_ahead), TEST(test_signals), TEST(test_options), TEST(test_synthetic), TEST(test_synthetic_f32_targets),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
