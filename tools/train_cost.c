/* train_cost.c: what deterministic mode costs: the same step in both modes, on the same device.
 *
 * Two networks of their own are trained on one batch, in turns, so that what else the machine does hits both; the fastest
 * step of each counts. The run's network is left alone. */
#include <stdlib.h>

#include "train.h"

/* In turns: at least so many steps each, and so long in all. */
#define STEPS_LEAST 3
#define SECONDS_LEAST 2.0

typedef struct mode {
    actc_device *device;
    actc_network *network;
    double seconds; /* of the fastest step; 0: none yet */
} mode;

static actc_status open_mode(const train_run *run, bool deterministic, mode *m)
{
    actc_device_options device_options = actc_device_options_default();
    actc_network_options options = run->options;
    device_options.device = run->s->device;
    device_options.threads = (int)run->s->threads;
    device_options.deterministic = deterministic;
    options.eval_batch = 0;
    options.accumulate = 1;
    actc_status status = actc_device_open(run->context, &device_options, &m->device);
    if (status == ACTC_OK)
        status = actc_network_create(m->device, run->graph, &options, &m->network);
    return status == ACTC_OK ? actc_network_initialize(m->network) : status;
}

static actc_status step(const train_run *run, const actc_batch *batch, mode *m, bool counts)
{
    actc_step_result result = {.size = sizeof result}; /* read back, so the work is done */
    actc_binding bindings[TRAIN_INPUTS];
    data_bind(batch, bindings);
    double start = tool_now();
    actc_status status = actc_network_train(m->network, bindings, TRAIN_INPUTS, run->s->lr, &result);
    double seconds = tool_now() - start;
    if (counts && (m->seconds == 0 || seconds < m->seconds))
        m->seconds = seconds;
    return status;
}

train_cost deterministic_cost(const train_run *run)
{
    mode deterministic = {0}, fast = {0};
    actc_batch batch = {.size = sizeof batch};
    actc_status status = open_mode(run, true, &deterministic);
    if (status == ACTC_OK)
        status = open_mode(run, false, &fast);
    if (status == ACTC_OK)
        status = actc_loader_seek(run->loader, 0, 0);
    if (status == ACTC_OK)
        status = actc_loader_next(run->loader, &batch);
    double start = tool_now();
    for (int i = 0; i <= STEPS_LEAST || tool_now() - start < SECONDS_LEAST; i++) {
        if (status != ACTC_OK || train_interrupted)
            break;
        status = step(run, &batch, &deterministic, i > 0); /* the first warms up */
        if (status == ACTC_OK)
            status = step(run, &batch, &fast, i > 0);
    }
    if (status != ACTC_OK) /* it takes more memory than the run itself, for one */
        tool_note(run->t, "note: the cost of --deterministic is not measured: %s", actc_error_message(run->context));
    train_cost cost = {.measured = status == ACTC_OK && deterministic.seconds > 0 && fast.seconds > 0};
    if (cost.measured) {
        cost.deterministic = (double)run->s->batch / deterministic.seconds;
        cost.fast = (double)run->s->batch / fast.seconds;
    }
    actc_network_destroy(&deterministic.network);
    actc_network_destroy(&fast.network);
    actc_device_destroy(&deterministic.device);
    actc_device_destroy(&fast.device);
    return cost;
}
