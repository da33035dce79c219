/* A training step cut where its forward pass ends (src/runtime/halves.c): the same step to the last bit, and what is carried
 * over is what the backward pass reads. */
#include "../../src/runtime/network.h"
#include "network_test.h"

#define BATCH 8

static const char *const rules[] = {"", "conv1,relu1,conv2=dct:lambda=10",
                                    "fc1=threshold:values=int8;conv1,relu1,conv2=wavelet"};
#define RULES (sizeof rules / sizeof *rules)

static float images[BATCH * 784];
static int32_t labels[BATCH];

typedef enum action { NOTHING, COUNT, CLEAR_MASKS, CLEAR_PAYLOADS, CLEAR_DENSE, FAIL } action;

typedef struct between {
    action action;
    int calls;
    size_t kinds[4];
} between;

static actc_status on_between(void *user, actc_network *network)
{
    between *b = user;
    static const unsigned char zeros[BATCH * 16 * 26 * 26 * 4];
    actc_carried list[16];
    size_t count = actc_network_carried(network, list, 16);
    b->calls++;
    assert_true(count > 0 && count <= 16);
    if (b->action == FAIL)
        return actc_fail(network->context, ACTC_ERROR_IO, "as asked");
    for (size_t i = 0; i < count; i++) {
        const actc_carried *c = &list[i];
        b->kinds[c->kind]++;
        assert_true(c->bytes > 0 && c->bytes <= sizeof zeros);
        if ((b->action == CLEAR_MASKS && c->kind == ACTC_CARRIED_MASK && !strcmp(c->name, "relu2")) ||
            (b->action == CLEAR_PAYLOADS && c->kind == ACTC_CARRIED_PAYLOAD) ||
            (b->action == CLEAR_DENSE && c->kind == ACTC_CARRIED_DENSE && !strcmp(c->name, "relu1")))
            CHECK(network->context, actc_network_upload(network, c->vbuf, c->offset, zeros, c->bytes));
    }
    return ACTC_OK;
}

/* Loss and all state after two steps. */
static float *run_steps(const fixture *f, const char *compress, between *cut, size_t *n, float *loss)
{
    actc_network *network = network_of(f, BATCH, compress);
    actc_step_result result = {.size = sizeof result};
    if (cut)
        CHECK(f->context, actc_network_set_between(network, on_between, cut));
    for (int s = 0; s < 2; s++)
        CHECK(f->context, actc_network_train_step(network, images, labels, 1e-3, &result));
    *loss = result.loss;
    float *all = NULL;
    *n = 0;
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        CHECK(f->context, actc_network_state_info(network, i, &info));
        size_t elements = (size_t)actc_shape_elements(&info.shape);
        all = realloc(all, (*n + elements) * sizeof *all);
        assert_non_null(all);
        CHECK(f->context, actc_network_read_state(network, i, all + *n));
        *n += elements;
    }
    actc_network_destroy(&network);
    return all;
}

static void cut_step_is_the_whole_step(void **state)
{
    for (size_t r = 0; r < RULES; r++) {
        between cut = {.action = COUNT};
        size_t n[2];
        float loss[2], *whole = run_steps(*state, rules[r], NULL, &n[0], &loss[0]);
        float *halves = run_steps(*state, rules[r], &cut, &n[1], &loss[1]);
        assert_int_equal(cut.calls, 2);
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(&loss[0], &loss[1], sizeof loss[0]);
        assert_memory_equal(whole, halves, n[0] * sizeof *whole);
        free(whole);
        free(halves);
        /* relu2's mask and the pool's index always; relu1 is a value where it is not compressed */
        assert_true(cut.kinds[ACTC_CARRIED_MASK] >= 2 && cut.kinds[ACTC_CARRIED_INDEX] == 2);
        assert_int_equal(cut.kinds[ACTC_CARRIED_PAYLOAD] > 0, *rules[r] != 0);
        assert_true(cut.kinds[ACTC_CARRIED_DENSE] > 0);
    }
}

/* Gradient of one parameter after one step: whether all of it is zero. */
static bool gradient_is_zero(const fixture *f, const char *compress, action what, const char *name)
{
    actc_network *network = network_of(f, BATCH, compress);
    between cut = {.action = what};
    bool zero = true, found = false;
    CHECK(f->context, actc_network_set_between(network, on_between, &cut));
    CHECK(f->context, actc_network_train_step(network, images, labels, 1e-3, NULL));
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        CHECK(f->context, actc_network_state_info(network, i, &info));
        if (strcmp(info.name, name))
            continue;
        size_t n = (size_t)actc_shape_elements(&info.shape);
        float *values = malloc(n * sizeof *values);
        assert_non_null(values);
        CHECK(f->context, actc_network_read_state(network, i, values));
        found = true;
        for (size_t k = 0; k < n; k++)
            zero &= values[k] == 0;
        free(values);
    }
    assert_true(found);
    actc_network_destroy(&network);
    return zero;
}

static void backward_reads_what_is_carried(void **state)
{
    const fixture *f = *state;
    assert_false(gradient_is_zero(f, "", COUNT, "grad.fc1.weight"));
    assert_true(gradient_is_zero(f, "", CLEAR_MASKS, "grad.fc1.weight"));
    assert_false(gradient_is_zero(f, "", COUNT, "grad.conv2.weight"));
    assert_true(gradient_is_zero(f, "", CLEAR_DENSE, "grad.conv2.weight"));
    assert_false(gradient_is_zero(f, "conv2=threshold:lambda=10,select=tile", COUNT, "grad.conv2.weight"));
    assert_true(gradient_is_zero(f, "conv2=threshold:lambda=10,select=tile", CLEAR_PAYLOADS, "grad.conv2.weight"));
}

static void failure_between_fails_the_step(void **state)
{
    const fixture *f = *state;
    actc_network *network = network_of(f, BATCH, "");
    between cut = {.action = FAIL};
    CHECK(f->context, actc_network_set_between(network, on_between, &cut));
    assert_int_equal(actc_network_train_step(network, images, labels, 1e-3, NULL), ACTC_ERROR_IO);
    assert_string_equal(actc_error_message(f->context), "as asked");
    assert_int_equal(actc_network_step(network), 0);
    CHECK(f->context, actc_network_set_between(network, NULL, NULL));
    CHECK(f->context, actc_network_train_step(network, images, labels, 1e-3, NULL));
    assert_int_equal(cut.calls, 1);
    actc_network_destroy(&network);
}

static void evaluation_only_is_refused(void **state)
{
    const fixture *f = *state;
    actc_network_options options = actc_network_options_default();
    actc_network *network = NULL;
    options.eval_batch = BATCH;
    CHECK(f->context, actc_network_create(f->device, f->graph, &options, &network));
    assert_int_equal(actc_network_set_between(network, on_between, NULL), ACTC_ERROR_INVALID_ARGUMENT);
    actc_network_destroy(&network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_step_is_the_whole_step),
        cmocka_unit_test(backward_reads_what_is_carried),
        cmocka_unit_test(failure_between_fails_the_step),
        cmocka_unit_test(evaluation_only_is_refused),
    };
    fill_batch(images, labels, BATCH);
    return cmocka_run_group_tests_name("halves", tests, set_up, tear_down);
}
