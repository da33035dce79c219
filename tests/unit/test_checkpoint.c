/* test_checkpoint.c: a network's state on disk: all of it comes back, and no file that does not fit changes anything.
 *
 * The network here is a small stand-in that counts how often it is written to; the real one goes through a
 * checkpoint in the tests of training.
 */
#include <math.h>

#include "files.h"

#include "io/network_state.h"

#define MAX_STATES 8

struct actc_network {
    actc_context *context;
    const char *name;
    actc_optimizer_kind optimizer;
    int accumulate;
    uint64_t step, updates;
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
int actc_network_pending(const actc_network *network) { return (int)(network->step % (uint64_t)network->accumulate); }

actc_status actc_network_set_step(actc_network *network, uint64_t step, uint64_t updates)
{
    network->step = step;
    network->updates = updates;
    return ACTC_OK;
}

actc_status actc_network_state_info(const actc_network *network, size_t index, actc_state_info *info)
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
        {"fc.weight", ACTC_STATE_PARAMETER, {2, {2, 3}}},          {"fc.bias", ACTC_STATE_PARAMETER, {1, {2}}},
        {"fc.weight.grad", ACTC_STATE_GRADIENT, {2, {2, 3}}},      {"fc.bias.grad", ACTC_STATE_GRADIENT, {1, {2}}},
        {"exp_avg.fc.weight", ACTC_STATE_OPTIMIZER, {2, {2, 3}}},  {"exp_avg_sq.fc.weight", ACTC_STATE_OPTIMIZER, {2, {2, 3}}},
        {"exp_avg.fc.bias", ACTC_STATE_OPTIMIZER, {1, {2}}},       {"exp_avg_sq.fc.bias", ACTC_STATE_OPTIMIZER, {1, {2}}},
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

/* Between two updates the summed gradients are part of the state. */
static void test_accumulating(void **state)
{
    struct fixture *f = *state;
    f->network.accumulate = 4;
    f->network.step = 6;
    f->network.updates = 1;
    save(f);
    actc_network other = network_of(f->folder->context, "mnistnet", -9);
    other.accumulate = 4;
    assert_ok(other.context, actc_network_load_checkpoint(&other, f->path, NULL));
    assert_same(&other, &f->network, 0);
    actc_network third = network_of(f->folder->context, "mnistnet", -9), before = third;
    third.accumulate = before.accumulate = 3;
    assert_failed(third.context, actc_network_load_checkpoint(&third, f->path, NULL), ACTC_ERROR_INVALID_ARGUMENT,
                  "2 batches accumulated", "would have 0 at step 6", NULL);
    assert_memory_equal(&third, &before, sizeof third);
}

static void refused(struct fixture *f, actc_network *network, actc_status wanted, const char *text, const char *also)
{
    actc_network before = *network;
    actc_checkpoint_position position = somewhere, as_before = position;
    assert_failed(network->context, actc_network_load_checkpoint(network, f->path, &position), wanted, f->path, text, also, NULL);
    assert_memory_equal(network, &before, sizeof before);
    assert_memory_equal(&position, &as_before, sizeof position);
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
        {"\"version\":\"1\"", "\"version\":\"2\"", ACTC_ERROR_UNSUPPORTED, "version \"2\"", "reads \"1\""},
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
    actc_safetensors_destroy(&file);

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
    assert_failed(context, actc_network_save_checkpoint(&f->network, f->path, &position), ACTC_ERROR_INVALID_ARGUMENT, "size 0",
                  NULL);
    assert_failed(context, actc_network_load_checkpoint(&f->network, f->path, &position), ACTC_ERROR_INVALID_ARGUMENT, "size 0",
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
