/* network_test.h: a context, a device from ACTC_TEST_DEVICE and MnistNet, for tests of prepared networks.
 *
 * ACTC_TEST_DEVICE names the device (default cpu); ACTC_TEST_VALIDATE=1 opens it under the validation layer.
 */
#ifndef ACTC_NETWORK_TEST_H
#define ACTC_NETWORK_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <actc/actc.h>

#include "keep_loaded.h"
#include "models.h"

#define CHECK(context, call)                                                                    \
    do {                                                                                        \
        actc_status check_ = (call);                                                            \
        if (check_ != ACTC_OK)                                                                  \
            fail_msg("%s: %s: %s", #call, actc_status_string(check_), actc_error_message(context)); \
    } while (0)

typedef struct fixture {
    actc_context *context;
    actc_device *device;
    actc_graph *graph;
} fixture;

/* One device for a group of tests: a Vulkan device keeps the pipelines it has made. */
static inline int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    const char *name = getenv("ACTC_TEST_DEVICE");
    actc_device_options options = actc_device_options_default();
    options.device = name ? name : "cpu";
    options.validate = getenv("ACTC_TEST_VALIDATE") && !strncmp(options.device, "vulkan", 6);
    if (!f || actc_context_create(NULL, &f->context) != ACTC_OK)
        return -1;
    CHECK(f->context, actc_device_open(f->context, &options, &f->device));
    CHECK(f->context, actc_graph_create(f->context, "mnistnet", &f->graph));
    actc_model_build(&actc_model_mnistnet, f->graph);
    CHECK(f->context, actc_graph_status(f->graph));
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    fixture *f = *state;
    actc_graph_destroy(&f->graph);
    /* staging memory may stay with a device; the CPU has none */
    if (actc_device_get_info(f->device)->type == ACTC_DEVICE_CPU)
        assert_int_equal(actc_device_allocated_bytes(f->device), 0);
    actc_device_destroy(&f->device);
    actc_context_destroy(&f->context);
    free(f);
    return 0;
}

/* MnistNet for batches of this size, initialised with seed 7. */
static inline actc_network *network_of(const fixture *f, int64_t batch, const char *rules)
{
    actc_network_options options = actc_network_options_default();
    actc_network *network = NULL;
    options.train_batch = options.eval_batch = batch;
    options.compress = rules;
    options.seed = 7;
    CHECK(f->context, actc_network_create(f->device, f->graph, &options, &network));
    CHECK(f->context, actc_network_initialize(network));
    return network;
}

/* Deterministic images and labels. */
static inline void fill_batch(float *images, int32_t *labels, int64_t batch)
{
    uint32_t state = 12345;
    for (int64_t i = 0; i < batch * 784; i++) {
        state = state * 1664525u + 1013904223u;
        images[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
    for (int64_t i = 0; i < batch; i++)
        labels[i] = (int32_t)(i * 7 % 10);
}

#endif
