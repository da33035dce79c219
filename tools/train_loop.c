/* train_loop.c: steps, epochs, evaluation.
 *
 * Everything that a later step depends on is in the network's state, the loader's position and `run->position`,
 * which is always that of the batch after the last step; so that a checkpoint taken between any two steps goes on bit
 * for bit. At the end of an epoch the schedule is told and the position moved before a checkpoint is written.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "train.h"

volatile sig_atomic_t train_interrupted, train_save_asked;

static int add_loss(train_run *run, float loss)
{
    if (run->loss_count == run->loss_capacity) {
        size_t capacity = run->loss_capacity ? 2 * run->loss_capacity : 256;
        float *grown = realloc(run->losses, capacity * sizeof *grown);
        if (!grown)
            return tool_fail(run->t, "out of memory");
        run->losses = grown;
        run->loss_capacity = capacity;
    }
    run->losses[run->loss_count++] = loss;
    return 0;
}

static int add_rate(train_run *run, train_rate rate)
{
    if (run->rate_count == run->rate_capacity) {
        size_t capacity = run->rate_capacity ? 2 * run->rate_capacity : 16;
        train_rate *grown = realloc(run->rates, capacity * sizeof *grown);
        if (!grown)
            return tool_fail(run->t, "out of memory");
        run->rates = grown;
        run->rate_capacity = capacity;
    }
    run->rates[run->rate_count++] = rate;
    return 0;
}

int train_evaluate(train_run *run, bool whole)
{
    double loss = 0, correct = 0;
    int64_t counted = 0;
    if (actc_loader_seek(run->test_loader, 0, 0) != ACTC_OK)
        return tool_failed(run->t, run->context);
    for (int64_t i = 0; i < actc_loader_batches(run->test_loader); i++) {
        actc_batch batch = {.size = sizeof batch};
        actc_binding bindings[TRAIN_INPUTS];
        /* of the loss, which counts samples, positions or elements, and of what is right */
        actc_value value = {.size = sizeof value}, right = {.size = sizeof right};
        if (actc_loader_next(run->test_loader, &batch) != ACTC_OK)
            return tool_failed(run->t, run->context);
        data_bind(&batch, bindings);
        if (actc_network_evaluate_batch(run->network, bindings, TRAIN_INPUTS, batch.count) != ACTC_OK ||
            actc_network_value(run->network, 0, &value) != ACTC_OK ||
            (run->classes && actc_network_value(run->network, 1, &right) != ACTC_OK))
            return tool_failed(run->t, run->context);
        loss += value.value;
        correct += right.value;
        counted += value.count;
        if (train_interrupted && !whole)
            return 0;
    }
    run->test_loss = loss / (double)counted;
    run->test_accuracy = run->classes ? correct / (double)counted : (double)NAN;
    run->tested_step = actc_network_step(run->network);
    return 0;
}

const char *train_test_text(const train_run *run, char text[TRAIN_TEST_TEXT])
{
    int n = snprintf(text, TRAIN_TEST_TEXT, "test loss %.4f", run->test_loss);
    if (run->classes)
        snprintf(text + n, TRAIN_TEST_TEXT - (size_t)n, "  test accuracy %.4f", run->test_accuracy);
    return text;
}

static int log_step(train_run *run, const actc_step_result *result, uint64_t epoch, double rate)
{
    if (!run->s->log_every || result->step % (uint64_t)run->s->log_every)
        return 0;
    cJSON *line = cJSON_CreateObject();
    json_u64(line, "step", result->step);
    json_u64(line, "epoch", epoch + 1);
    json_f32(line, "loss", result->loss);
    json_f64(line, "lr", rate);
    int code = folder_write_metrics(run, line);
    return code ? code : add_loss(run, result->loss);
}

static int end_epoch(train_run *run, tool_progress *progress, const actc_batch *batch, double rate, const train_rate *measured)
{
    /* batches that are no multiple of --accumulate: an update of their own, so that the next epoch begins with none */
    if (actc_network_apply_pending(run->network, rate) != ACTC_OK)
        return tool_failed(run->t, run->context);
    double mean = run->position.loss_sum / (double)(batch->index + 1);
    actc_schedule_observe(&run->schedule, mean);
    run->position.loss_sum = 0;
    run->position.schedule_best = run->schedule.best;
    run->position.schedule_bad_epochs = run->schedule.bad_epochs;
    run->position.schedule_reductions = run->schedule.reductions;
    /* also when interrupted: the epoch is over, and who goes on does not come back to it */
    int code = train_evaluate(run, true);
    if (code)
        return code;
    double images_per_s = (double)measured->images / measured->seconds;
    tool_progress_clear(progress);
    char test[TRAIN_TEST_TEXT];
    fprintf(run->text, "epoch %3" PRIu64 "/%" PRId64 "  loss %.4f  %s  %.0f images/s  lr %.3g\n", batch->epoch + 1, run->epochs, mean,
            train_test_text(run, test), images_per_s, rate);
    fflush(run->text);
    cJSON *line = cJSON_CreateObject();
    json_u64(line, "step", actc_network_step(run->network));
    json_u64(line, "epoch", batch->epoch + 1);
    json_f64(line, "train_loss", mean);
    json_f64(line, "test_loss", run->test_loss);
    json_f64(line, "test_accuracy", run->test_accuracy); /* null where there are no classes */
    json_f64(line, "images_per_s", images_per_s);
    json_f64(line, "lr", rate);
    return folder_write_metrics(run, line);
}

static void draw(const train_run *run, tool_progress *progress, uint64_t epoch, const train_rate *measured)
{
    char label[48];
    uint64_t done = actc_network_step(run->network);
    double per_s = measured->seconds > 0 ? (double)measured->images / measured->seconds : 0;
    double left = per_s > 0 ? (double)(run->total_steps - done) * (double)run->s->batch / per_s : 1e9;
    snprintf(label, sizeof label, "epoch %" PRIu64 "/%" PRId64, epoch + 1, run->epochs);
    tool_progress_draw(progress, label, done, run->total_steps, per_s, "images/s", left);
}

/* The checkpoint of --save-every, or the one that SIGUSR1 asked for. */
static int save_between(train_run *run, tool_progress *progress, uint64_t step)
{
    bool asked = train_save_asked;
    if (train_interrupted || !(asked || (run->save_every && step % (uint64_t)run->save_every == 0)))
        return 0;
    train_save_asked = 0;
    int code = folder_save(run);
    if (code || !asked)
        return code;
    tool_progress_clear(progress);
    if (run->folder)
        tool_note(run->t, "saved after step %" PRIu64 ", as SIGUSR1 asked; goes on", step);
    else
        tool_note(run->t, "note: SIGUSR1 asks for a checkpoint, which --out none does not keep");
    return 0;
}

/* One step and what follows it; *measured grows by it, and is put away at the end of an epoch. */
static int one_step(train_run *run, tool_progress *progress, train_rate *measured)
{
    actc_batch batch = {.size = sizeof batch};
    double start = tool_now();
    if (actc_loader_next(run->loader, &batch) != ACTC_OK)
        return tool_failed(run->t, run->context);
    double rate = actc_schedule_rate(&run->schedule, batch.epoch);
    actc_step_result result = {.size = sizeof result};
    actc_binding bindings[TRAIN_INPUTS];
    data_bind(&batch, bindings);
    actc_status status = actc_network_train(run->network, bindings, TRAIN_INPUTS, rate, &result);
    if (status != ACTC_OK) {
        tool_progress_clear(progress);
        tool_failed(run->t, run->context);
        /* Between two updates the sum of the epoch's losses no longer fits the network, which is back at the last. */
        if (status == ACTC_ERROR_NOT_FINITE && run->s->accumulate == 1 && folder_save(run) == 0 && run->folder)
            tool_note(run->t, "the state before this step is kept in %s", run->folder);
        return TOOL_FAILURE;
    }
    measured->images += batch.count;
    measured->seconds += tool_now() - start;
    run->position.loss_sum += (double)result.loss;
    bool last = batch.index + 1 == actc_loader_batches(run->loader);
    run->position.epoch = batch.epoch + last;
    run->position.index = last ? 0 : batch.index + 1;
    int code = log_step(run, &result, batch.epoch, rate);
    if (!code)
        draw(run, progress, batch.epoch, measured);
    if (!code && last) {
        measured->whole = measured->images == actc_loader_batches(run->loader) * run->s->batch;
        code = add_rate(run, *measured);
        if (!code)
            code = end_epoch(run, progress, &batch, rate, measured);
        *measured = (train_rate){0};
    }
    return code ? code : save_between(run, progress, result.step);
}

int train_loop(train_run *run)
{
    tool_progress progress = {0};
    train_rate measured = {0};
    int code = 0;
    while (!code && !train_interrupted && actc_network_step(run->network) < run->total_steps)
        code = one_step(run, &progress, &measured);
    tool_progress_clear(&progress);
    if (!code && measured.images)
        code = add_rate(run, measured);
    return code;
}
