/* test_checkpoint.c: a network's state on disk: all of it comes back, and no file that does not fit changes anything.
 *
 * The network here is a small stand-in that counts how often it is written to; the real one goes through a
 * checkpoint in the tests of training.
 */
#include <math.h>

#include "files.h"

#include "runtime/network_state.h"
#include "io/safetensors.h"

#define MAX_STATES 8

struct actc_network {
    actc_context *context;
    const char *name;
    actc_optimizer_kind optimizer;
    int accumulate;
    uint64_t step, updates;
    int pending;
    size_t count;
    actc_state_info states[MAX_STATES];
    float values[MAX_STATES][24];
    int writes;
    int fail_read; /* number of the read that fails, or -1 */
};

actc_context *actc_network_context(const actc_network *network) { return network->context; }
const char *actc_network_name(const actc_network *network) { return network->name; }
actc_optimizer_kind actc_network_optimizer(const actc_network *network) { return network->optimizer; }
size_t actc_network_state_count(const actc_network *network) { return network->count; }
uint64_t actc_network_step(const actc_network *network) { return network->step; }
uint64_t actc_network_updates(const actc_network *network) { return network->updates; }
int actc_network_pending(const actc_network *network) { return network->pending; }
int actc_network_accumulate(const actc_network *network) { return network->accumulate; }
const char *actc_network_counter(const actc_network *network, size_t index)
{
    return network && index == 0 ? "bn.num_batches_tracked" : NULL;
}

actc_status actc_network_set_step(actc_network *network, uint64_t step, uint64_t updates, int pending)
{
    if (pending >= network->accumulate || updates + (uint64_t)pending > step)
        return ACTC_ERROR_INVALID_ARGUMENT;
    network->pending = pending;
    network->step = step;
    network->updates = updates;
    return ACTC_OK;
}

actc_status actc_network_state_info_sized(const actc_network *network, size_t index, actc_state_info *info)
{
    *info = network->states[index];
    return ACTC_OK;
}

actc_status actc_network_read_state(actc_network *network, size_t index, float *values)
{
    if (network->fail_read-- == 0)
        return ACTC_ERROR_DEVICE;
    memcpy(values, network->values[index], 4 * (size_t)actc_shape_elements(&network->states[index].shape));
    return ACTC_OK;
}

actc_status actc_network_write_state(actc_network *network, size_t index, const float *values)
{
    memcpy(network->values[index], values, 4 * (size_t)actc_shape_elements(&network->states[index].shape));
    network->writes++;
    return ACTC_OK;
}

struct fixture {
    struct test_folder *folder;
    actc_network network;
    char path[512];
};

static actc_network network_of(actc_context *context, const char *name, float first)
{
    actc_network n = {.context = context, .name = name, .optimizer = ACTC_OPTIMIZER_ADAM, .accumulate = 1, .fail_read = -1};
    static const actc_state_info states[] = {
        {0, "fc.weight", ACTC_STATE_PARAMETER, {2, {2, 3}}},          {0, "fc.bias", ACTC_STATE_PARAMETER, {1, {2}}},
        {0, "fc.weight.grad", ACTC_STATE_GRADIENT, {2, {2, 3}}},      {0, "fc.bias.grad", ACTC_STATE_GRADIENT, {1, {2}}},
        {0, "exp_avg.fc.weight", ACTC_STATE_OPTIMIZER, {2, {2, 3}}},  {0, "exp_avg_sq.fc.weight", ACTC_STATE_OPTIMIZER, {2, {2, 3}}},
        {0, "exp_avg.fc.bias", ACTC_STATE_OPTIMIZER, {1, {2}}},       {0, "exp_avg_sq.fc.bias", ACTC_STATE_OPTIMIZER, {1, {2}}},
    };
    n.count = MAX_STATES;
    memcpy(n.states, states, sizeof states);
    for (size_t i = 0; i < MAX_STATES; i++)
        for (int j = 0; j < 24; j++)
            n.values[i][j] = first + (float)(100 * i) + (float)j / 3;
    return n;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (folder_setup((void **)&f->folder))
        return -1;
    f->network = network_of(f->folder->context, "mnistnet", 1);
    f->network.step = 123456789012;
    f->network.updates = 123456789000;
    snprintf(f->path, sizeof f->path, "%s/checkpoint.safetensors", f->folder->path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *folder = f->folder;
    free(f);
    return folder_teardown(&folder);
}

static const actc_checkpoint_position somewhere = {sizeof somewhere, 7, 465, 0.1, 1.0 / 3, 2, 4};

static void save(struct fixture *f)
{
    assert_ok(f->folder->context, actc_network_save_checkpoint(&f->network, f->path, &somewhere));
}

/* All values but those of the kinds in `but` are the same. */
static void assert_same(const actc_network *a, const actc_network *b, unsigned but)
{
    for (size_t i = 0; i < a->count; i++)
        if (!(but & 1u << a->states[i].kind))
            assert_memory_equal(a->values[i], b->values[i], 4 * (size_t)actc_shape_elements(&a->states[i].shape));
}

static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    save(f);
    actc_network other = network_of(f->folder->context, "mnistnet", -9);
    actc_checkpoint_position position = actc_checkpoint_position_default();
    assert_int_equal(position.epoch, 0);
    assert_true(isinf(position.schedule_best));
    assert_ok(other.context, actc_network_load_checkpoint(&other, f->path, &position));
    assert_same(&other, &f->network, 1u << ACTC_STATE_GRADIENT);
    assert_true(other.values[2][0] != f->network.values[2][0]);
    assert_int_equal(other.writes, 6);
    assert_int_equal(other.step, 123456789012);
    assert_int_equal(other.updates, 123456789000);
    assert_memory_equal(&position, &somewhere, sizeof position);
    /* the same state is the same file */
    size_t count, again;
    unsigned char *bytes = read_raw(f->path, &count);
    assert_ok(other.context, actc_network_save_checkpoint(&other, f->path, &position));
    unsigned char *second = read_raw(f->path, &again);
    assert_int_equal(count, again);
    assert_memory_equal(bytes, second, count);
    free(bytes);
    free(second);
    /* a schedule that has seen nothing; no position wanted */
    assert_ok(other.context, actc_network_save_checkpoint(&other, f->path, NULL));
    position = somewhere;
    assert_ok(other.context, actc_network_load_checkpoint(&other, f->path, &position));
    assert_true(position.schedule_best == (double)INFINITY && position.index == 0);
    assert_ok(other.context, actc_network_load_checkpoint(&other, f->path, NULL));
}

/* The file again, with metadata as version 1 wrote them. */
static void as_version_1(const struct fixture *f)
{
    static const char *const keys[] = {"network", "optimizer", "step", "updates", "pending", "epoch", "index", "loss_sum",
                                       "schedule_best", "schedule_bad_epochs", "schedule_reductions"};
    actc_context *context = f->folder->context;
    actc_safetensors *file;
    actc_safetensors_entry entries[MAX_STATES] = {0};
    actc_safetensors_pair pairs[13] = {{"format", "actc-checkpoint"}, {"version", "1"}};
    assert_ok(context, actc_safetensors_open(context, f->path, &file));
    size_t count = actc_safetensors_count(file);
    for (size_t i = 0; i < count; i++)
        assert_ok(context, actc_safetensors_get(file, i, &entries[i].name, &entries[i].shape, &entries[i].values));
    for (size_t i = 0; i < 11; i++)
        pairs[i + 2] = (actc_safetensors_pair){keys[i], actc_safetensors_metadata(file, keys[i])};
    assert_ok(context, actc_safetensors_write(context, f->path, entries, count, pairs, 13));
    actc_safetensors_destroy(&file);
}

static void refused(struct fixture *f, actc_network *network, actc_status wanted, const char *text, const char *also)
{
    actc_network before = *network;
    actc_checkpoint_position position = somewhere, as_before = position;
    assert_failed(network->context, actc_network_load_checkpoint(network, f->path, &position), wanted, f->path, text, also, NULL);
    assert_memory_equal(network, &before, sizeof before);
    assert_memory_equal(&position, &as_before, sizeof position);
}

/* Between two updates the summed gradients are part of the state. */
static void test_accumulating(void **state)
{
    struct fixture *f = *state;
    f->network.accumulate = 4;
    f->network.step = 6;
    f->network.updates = 1;
    f->network.pending = 3; /* two before, applied early */
    save(f);
    actc_network other = network_of(f->folder->context, "mnistnet", -9);
    other.accumulate = 4;
    assert_ok(other.context, actc_network_load_checkpoint(&other, f->path, NULL));
    assert_same(&other, &f->network, 0);
    assert_int_equal(other.pending, 3);
    actc_network third = network_of(f->folder->context, "mnistnet", -9), before = third;
    third.accumulate = before.accumulate = 3;
    assert_failed(third.context, actc_network_load_checkpoint(&third, f->path, NULL), ACTC_ERROR_INVALID_ARGUMENT,
                  "3 of 4 batches accumulated", "accumulates 3", NULL);
    assert_memory_equal(&third, &before, sizeof third);
    /* of version 1, which did not say what it accumulated towards */
    as_version_1(f);
    refused(f, &third, ACTC_ERROR_INVALID_ARGUMENT, "3 batches accumulated", "would have 0 at step 6");
    third.accumulate = 4;
    refused(f, &third, ACTC_ERROR_INVALID_ARGUMENT, "3 batches accumulated", "would have 2 at step 6");
    /* where nothing is pending, what was accumulated goes */
    f->network.pending = 0;
    save(f);
    assert_ok(other.context, actc_network_load_checkpoint(&other, f->path, NULL));
    for (int i = 0; i < 6; i++)
        assert_true(other.values[2][i] == 0);
    assert_int_equal(other.pending, 0);
}

static void test_other_network(void **state)
{
    struct fixture *f = *state;
    save(f);
    actc_network other = network_of(f->folder->context, "resnet18", -9);
    refused(f, &other, ACTC_ERROR_INVALID_ARGUMENT, "network \"mnistnet\"", "not of \"resnet18\"");
    other = network_of(f->folder->context, "mnistnet", -9);
    other.optimizer = ACTC_OPTIMIZER_SGD;
    refused(f, &other, ACTC_ERROR_INVALID_ARGUMENT, "optimiser \"adam\"", "not of \"sgd\"");
    other.optimizer = ACTC_OPTIMIZER_ADAM;
    other.states[7].name = "exp_avg_sq.fc.more";
    refused(f, &other, ACTC_ERROR_INVALID_ARGUMENT, "holds no tensor \"exp_avg_sq.fc.more\"", "network mnistnet needs");
    other.count = 7;
    refused(f, &other, ACTC_ERROR_INVALID_ARGUMENT, "holds a tensor \"exp_avg_sq.fc.bias\"", "mnistnet has not");
    other = network_of(f->folder->context, "mnistnet", -9);
    other.states[0].shape = (actc_shape){2, {3, 2}};
    refused(f, &other, ACTC_ERROR_INVALID_ARGUMENT, "\"fc.weight\" is 2x3", "needs 3x2");
    other.states[0].shape = (actc_shape){3, {2, 3, 1}};
    refused(f, &other, ACTC_ERROR_INVALID_ARGUMENT, "\"fc.weight\" is 2x3", "needs 2x3x1");
}

/* Replaces the first `from` in the file by `to`, which is as long. */
static void patch(const char *path, const char *from, const char *to)
{
    assert_int_equal(strlen(from), strlen(to));
    size_t count;
    unsigned char *bytes = read_raw(path, &count), *at = memmem(bytes, count, from, strlen(from));
    assert_non_null(at);
    memcpy(at, to, strlen(to));
    write_raw(path, bytes, count);
    free(bytes);
}

/* In place: replacing the whole file every time is slow on some file systems. */
static void write_byte(const char *path, size_t at, unsigned byte)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_int_equal(fputc((int)byte, file), byte);
    assert_int_equal(fclose(file), 0);
}

/* One flipped bit, wherever it is, and nothing of the file is taken. */
static void test_flipped_bits(void **state)
{
    struct fixture *f = *state;
    save(f);
    size_t count;
    unsigned char *bytes = read_raw(f->path, &count);
    uint64_t header;
    memcpy(&header, bytes, sizeof header);
    actc_network other = network_of(f->folder->context, "mnistnet", -9);
    for (size_t i = 0; i < count * 8; i++) {
        if (i / 8 > 8 + header + 16 && i % 11) /* of the values, every eleventh */
            continue;
        write_byte(f->path, i / 8, bytes[i / 8] ^ 1u << i % 8);
        refused(f, &other, ACTC_ERROR_CORRUPT, "is damaged", "");
        /* as parameters it may have lost its checksum alone, but never values */
        actc_network before = other;
        if (actc_network_load_parameters(&other, f->path) == ACTC_OK)
            assert_same(&other, &f->network, 1u << ACTC_STATE_GRADIENT | 1u << ACTC_STATE_OPTIMIZER);
        other = before;
        write_byte(f->path, i / 8, bytes[i / 8]);
    }
    assert_ok(other.context, actc_network_load_checkpoint(&other, f->path, NULL));
    /* the message says what was expected and what was found */
    bytes[count - 5] ^= 64;
    write_raw(f->path, bytes, count);
    refused(f, &other, ACTC_ERROR_CORRUPT, "it was written with checksum", "what it holds has");
    free(bytes);
    /* the same of parameters alone */
    assert_ok(other.context, actc_network_save_parameters(&f->network, f->path));
    bytes = read_raw(f->path, &count);
    bytes[count - 5] ^= 64;
    write_raw(f->path, bytes, count);
    assert_failed(other.context, actc_network_load_parameters(&other, f->path), ACTC_ERROR_CORRUPT,
                  "it was written with checksum", NULL);
    free(bytes);
}

/* What another program writes with the same metadata and tensors in its own order is the same checkpoint. */
static void test_rewritten(void **state)
{
    struct fixture *f = *state;
    actc_context *context = f->folder->context;
    save(f);
    actc_safetensors *file;
    actc_safetensors_entry entries[MAX_STATES] = {0};
    actc_safetensors_pair pairs[20], pair;
    size_t n = 0;
    assert_ok(context, actc_safetensors_open(context, f->path, &file));
    size_t count = actc_safetensors_count(file);
    for (size_t i = 0; i < count; i++) {
        actc_safetensors_entry *e = &entries[count - 1 - i];
        assert_ok(context, actc_safetensors_get(file, i, &e->name, &e->shape, &e->values));
    }
    while (actc_safetensors_metadata_at(file, n, &pair))
        n++;
    for (size_t i = 0; i < n; i++)
        assert_true(actc_safetensors_metadata_at(file, n - 1 - i, &pairs[i]));
    assert_ok(context, actc_safetensors_write(context, f->path, entries, count, pairs, n));
    actc_safetensors_destroy(&file);
    actc_network other = network_of(context, "mnistnet", -9);
    assert_ok(context, actc_network_load_checkpoint(&other, f->path, NULL));
    assert_same(&other, &f->network, 1u << ACTC_STATE_GRADIENT);
}

static void count_warnings(void *user, actc_log_level level, const char *message)
{
    if (level == ACTC_LOG_WARNING && strstr(message, "has no checksum"))
        ++*(int *)user;
}

static void test_run(void **state)
{
    struct fixture *f = *state;
    int warnings = 0;
    actc_context_options options = actc_context_options_default();
    options.log = count_warnings;
    options.log_user = &warnings;
    actc_context *context = NULL;
    assert_int_equal(actc_context_create(&options, &context), ACTC_OK);
    f->network.context = context;
    actc_checkpoint_position mine = somewhere, others = somewhere;
    mine.run = "mine, seed 1";
    others.run = "others, seed 2";
    assert_ok(context, actc_network_save_checkpoint(&f->network, f->path, &mine));
    actc_network other = network_of(context, "mnistnet", -9), before = other;
    assert_failed(context, actc_network_load_checkpoint(&other, f->path, &others), ACTC_ERROR_INVALID_ARGUMENT,
                  "another run: of \"mine, seed 1\", not of \"others, seed 2\"", NULL);
    assert_memory_equal(&other, &before, sizeof other);
    actc_checkpoint_position loaded = actc_checkpoint_position_default();
    assert_ok(context, actc_network_load_checkpoint(&other, f->path, &loaded)); /* asked for no run's */
    assert_null(loaded.run);
    loaded.run = "mine, seed 1";
    assert_ok(context, actc_network_load_checkpoint(&other, f->path, &loaded));
    assert_string_equal(loaded.run, mine.run);
    assert_int_equal(loaded.index, mine.index);
    /* one that names no run */
    save(f);
    assert_failed(context, actc_network_load_checkpoint(&other, f->path, &loaded), ACTC_ERROR_INVALID_ARGUMENT,
                  "names no run, not one of \"mine, seed 1\"", NULL);
    /* and those of version 1, which never do, nor have a checksum: that is said */
    assert_int_equal(warnings, 0);
    as_version_1(f);
    assert_ok(context, actc_network_load_checkpoint(&other, f->path, &loaded));
    assert_int_equal(warnings, 1);
    actc_context_destroy(&context);
}

static void test_damaged(void **state)
{
    struct fixture *f = *state;
    actc_network other = network_of(f->folder->context, "mnistnet", -9);
    static const struct {
        const char *from, *to;
        actc_status status;
        const char *text, *also;
    } cases[] = {
        {"actc-checkpoint", "abcd-checkpoint", ACTC_ERROR_INVALID_ARGUMENT, "no checkpoint of actc", "abcd-checkpoint"},
        {"\"format\"", "\"farmot\"", ACTC_ERROR_INVALID_ARGUMENT, "no checkpoint of actc", ""},
        {"\"version\":\"1\"", "\"version\":\"3\"", ACTC_ERROR_UNSUPPORTED, "version \"3\"", "reads \"1\" and \"2\""},
        {"\"version\":\"1\"", "\"version\":\"2\"", ACTC_ERROR_CORRUPT, "\"checksum\" is missing", ""},
        {"\"step\":\"1", "\"step\":\"-", ACTC_ERROR_CORRUPT, "\"step\" is \"-23456789012\"", ""},
        {"\"step\"", "\"stop\"", ACTC_ERROR_CORRUPT, "\"step\" is missing", ""},
        {"\"updates\":\"1", "\"updates\":\"x", ACTC_ERROR_CORRUPT, "\"updates\" is \"x23456789000\"", ""},
        {"\"index\":\"465", "\"index\":\" 46", ACTC_ERROR_CORRUPT, "\"index\" is \" 46\"", ""},
        {"\"loss_sum\":\"3fb", "\"loss_sum\":\"3FB", ACTC_ERROR_CORRUPT, "\"loss_sum\" is \"3FB", ""},
        {"\"schedule_best\"", "\"schedule_bets\"", ACTC_ERROR_CORRUPT, "\"schedule_best\" is missing", ""},
        {"\"data_offsets\":[0,24]", "\"data_offsets\":[0,28]", ACTC_ERROR_CORRUPT, "fc.weight", "do not fit its shape"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        save(f);
        as_version_1(f); /* without a checksum, which would speak first */
        patch(f->path, cases[i].from, cases[i].to);
        refused(f, &other, cases[i].status, cases[i].text, cases[i].also);
    }
    unlink(f->path);
    refused(f, &other, ACTC_ERROR_NOT_FOUND, "No such file", "");
}

static void test_parameters(void **state)
{
    struct fixture *f = *state;
    actc_context *context = f->folder->context;
    assert_ok(context, actc_network_save_parameters(&f->network, f->path));
    actc_safetensors *file;
    assert_ok(context, actc_safetensors_open(context, f->path, &file));
    assert_int_equal(actc_safetensors_count(file), 2);
    assert_string_equal(actc_safetensors_metadata(file, "network"), "mnistnet");
    assert_string_equal(actc_safetensors_metadata(file, "step"), "123456789012");
    size_t at, raw_bytes;
    assert_failed(context, actc_safetensors_find(file, "bn.num_batches_tracked", &at), ACTC_ERROR_UNSUPPORTED, "of dtype I64", NULL);
    actc_safetensors_destroy(&file);
    /* the counter's data come first, aligned, and are the step */
    unsigned char *raw = read_raw(f->path, &raw_bytes);
    uint64_t header, counted;
    memcpy(&header, raw, sizeof header);
    memcpy(&counted, raw + 8 + header, sizeof counted);
    assert_true(header % 8 == 0 && counted == 123456789012u);
    free(raw);

    const unsigned others = 1u << ACTC_STATE_GRADIENT | 1u << ACTC_STATE_OPTIMIZER;
    /* of a network with another name: what counts is that every parameter is there */
    actc_network other = network_of(context, "student", -9), before = other;
    assert_ok(context, actc_network_load_parameters(&other, f->path));
    assert_same(&other, &f->network, others);
    assert_same(&other, &before, 1u << ACTC_STATE_PARAMETER);
    assert_int_equal(other.step, 0);
    assert_int_equal(other.writes, 2);
    /* no checkpoint */
    other = before;
    refused(f, &other, ACTC_ERROR_INVALID_ARGUMENT, "no checkpoint of actc", "actc-parameters");
    /* from a checkpoint */
    save(f);
    other = before;
    assert_ok(context, actc_network_load_parameters(&other, f->path));
    assert_same(&other, &f->network, others);
    assert_same(&other, &before, 1u << ACTC_STATE_PARAMETER);
    /* of PyTorch's, without metadata, in another order; then with one more, one missing */
    float weight[6] = {1, 2, 3, 4, 5, 6}, bias[2] = {7, 8};
    const actc_safetensors_entry entries[] = {
        {"fc.bias", {1, {2}}, bias}, {"fc.weight", {2, {2, 3}}, weight}, {"fc.num_batches_tracked", {0}, bias}};
    assert_ok(context, actc_safetensors_write(context, f->path, entries, 2, NULL, 0));
    assert_ok(context, actc_network_load_parameters(&other, f->path));
    assert_memory_equal(other.values[0], weight, sizeof weight);
    assert_memory_equal(other.values[1], bias, sizeof bias);
    before = other;
    assert_ok(context, actc_safetensors_write(context, f->path, entries, 3, NULL, 0));
    assert_failed(context, actc_network_load_parameters(&other, f->path), ACTC_ERROR_INVALID_ARGUMENT,
                  "holds a tensor \"fc.num_batches_tracked\"", NULL);
    assert_ok(context, actc_safetensors_write(context, f->path, entries, 1, NULL, 0));
    assert_failed(context, actc_network_load_parameters(&other, f->path), ACTC_ERROR_INVALID_ARGUMENT,
                  "holds no tensor \"fc.weight\"", NULL);
    assert_memory_equal(&other, &before, sizeof other);
}

/* A device that fails while it is read leaves the file of before. */
static void test_device_failure(void **state)
{
    struct fixture *f = *state;
    save(f);
    size_t count, again;
    unsigned char *bytes = read_raw(f->path, &count);
    f->network.fail_read = 3;
    f->network.values[0][0] = 5;
    assert_int_equal(actc_network_save_checkpoint(&f->network, f->path, &somewhere), ACTC_ERROR_DEVICE);
    unsigned char *second = read_raw(f->path, &again);
    assert_int_equal(count, again);
    assert_memory_equal(bytes, second, count);
    assert_int_equal(folder_files(f->folder), 1);
    free(bytes);
    free(second);
}

static void test_position(void **state)
{
    struct fixture *f = *state;
    actc_context *context = f->folder->context;
    actc_checkpoint_position position = somewhere;
    position.index = -1;
    assert_failed(context, actc_network_save_checkpoint(&f->network, f->path, &position), ACTC_ERROR_INVALID_ARGUMENT, "batch -1",
                  NULL);
    position = somewhere;
    position.size = 0;
    assert_failed(context, actc_network_save_checkpoint(&f->network, f->path, &position), ACTC_ERROR_INVALID_ARGUMENT, "size is 0",
                  NULL);
    assert_failed(context, actc_network_load_checkpoint(&f->network, f->path, &position), ACTC_ERROR_INVALID_ARGUMENT, "size is 0",
                  NULL);
    assert_int_equal(folder_files(f->folder), 0);
    /* a program built when the struct ended after index */
    position = somewhere;
    position.size = offsetof(actc_checkpoint_position, loss_sum);
    assert_ok(context, actc_network_save_checkpoint(&f->network, f->path, &position));
    actc_checkpoint_position loaded = {.size = position.size, .loss_sum = 77};
    assert_ok(context, actc_network_load_checkpoint(&f->network, f->path, &loaded));
    assert_int_equal(loaded.epoch, 7);
    assert_int_equal(loaded.index, 465);
    assert_true(loaded.loss_sum == 77);
    assert_int_equal(actc_network_save_checkpoint(NULL, f->path, NULL), ACTC_ERROR_INVALID_ARGUMENT);
}

static actc_status save_and_load(void *user)
{
    struct fixture *f = user;
    actc_network other = network_of(f->folder->context, "mnistnet", -9);
    actc_status status = actc_network_save_checkpoint(&f->network, f->path, &somewhere);
    return status == ACTC_OK ? actc_network_load_checkpoint(&other, f->path, NULL) : status;
}

static void test_out_of_memory(void **state)
{
    struct fixture *f = *state;
    refuse_each(f->folder->context, save_and_load, f);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip), TEST(test_accumulating),   TEST(test_other_network), TEST(test_damaged),
        TEST(test_parameters), TEST(test_device_failure), TEST(test_position),      TEST(test_out_of_memory),
        TEST(test_rewritten),  TEST(test_flipped_bits),   TEST(test_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
