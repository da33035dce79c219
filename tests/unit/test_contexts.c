/* Contexts share nothing: two of them train side by side on two threads and get what one alone gets. */
#include <pthread.h>

#include "network_test.h"

#define BATCH 8
#define STEPS 3

typedef struct job {
    float losses[STEPS];
    bool done;
} job;

/* Everything of its own; failures leave `done` false, since cmocka's checks belong to the main thread. */
static void *train(void *argument)
{
    job *j = argument;
    actc_context *context = NULL;
    actc_device *device = NULL;
    actc_graph *graph = NULL;
    actc_network *network = NULL;
    actc_device_options where = actc_device_options_default();
    actc_network_options options = actc_network_options_default();
    static const char rules[] = "conv1,relu1,conv2=dct:lambda=10";
    float images[BATCH * 784];
    int32_t labels[BATCH];
    where.device = "cpu";
    where.threads = 2;
    options.train_batch = BATCH;
    options.compress = rules;
    options.seed = 3;
    fill_batch(images, labels, BATCH);
    bool good = actc_context_create(NULL, &context) == ACTC_OK && actc_device_open(context, &where, &device) == ACTC_OK &&
                actc_graph_create(context, "mnistnet", &graph) == ACTC_OK;
    if (good)
        actc_model_mnistnet.build(graph);
    good = good && actc_network_create(device, graph, &options, &network) == ACTC_OK && actc_network_initialize(network) == ACTC_OK;
    for (int i = 0; good && i < STEPS; i++) {
        actc_step_result result = {.size = sizeof result};
        good = actc_network_train_step(network, images, labels, 1e-3, &result) == ACTC_OK;
        j->losses[i] = result.loss;
    }
    actc_network_destroy(&network);
    actc_graph_destroy(&graph);
    actc_device_destroy(&device);
    actc_context_destroy(&context);
    j->done = good;
    return NULL;
}

static void side_by_side(void **state)
{
    (void)state;
    job alone = {0}, both[2] = {0};
    pthread_t threads[2];
    train(&alone);
    assert_true(alone.done);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, train, &both[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(both[i].done);
        assert_memory_equal(both[i].losses, alone.losses, sizeof alone.losses);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(side_by_side)};
    return cmocka_run_group_tests_name("contexts", tests, NULL, NULL);
}
