/* step_lock.c: training steps on two devices in lock-step, and each on its own. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "step.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void note_loss(step_figures *figures, int step, float reference, float device)
{
    double error = fabs((double)device - reference) / fabs((double)reference);
    figures->loss_reference[step] = reference;
    figures->loss_device[step] = device;
    figures->steps = step + 1;
    if (!(error <= figures->loss_error)) { /* NaN too */
        figures->loss_error = error;
        figures->loss_at = step + 1;
    }
}

/* ---- state ---- */

/* Values of one state tensor of each side, as large as the largest. */
typedef struct state_pair {
    float *reference, *device;
} state_pair;

static bool allocate_pair(const actc_network *network, state_pair *pair, char *message)
{
    size_t most = 1;
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        size_t n = 1;
        if (actc_network_state_info(network, i, &info) != ACTC_OK)
            return step_say(message, "state %zu: %s", i, actc_error_message(network->context));
        for (int d = 0; d < info.shape.ndim; d++)
            n *= (size_t)info.shape.dims[d];
        most = n > most ? n : most;
    }
    *pair = (state_pair){malloc(most * sizeof(float)), malloc(most * sizeof(float))};
    return (pair->reference && pair->device) || step_say(message, "no memory for the largest parameter");
}

/* The device takes the reference's parameters, optimiser state and counters. */
static bool copy_state(const step_side *from, const step_side *to, float *values, char *message)
{
    for (size_t i = 0; i < actc_network_state_count(from->network); i++) {
        actc_state_info info = {.size = sizeof info};
        actc_status status = actc_network_state_info(from->network, i, &info);
        if (status == ACTC_OK && info.kind == ACTC_STATE_GRADIENT)
            continue;
        if (status == ACTC_OK)
            status = actc_network_read_state(from->network, i, values);
        if (status != ACTC_OK)
            return step_say(message, "reading %s: %s", info.name, actc_error_message(from->network->context));
        if (actc_network_write_state(to->network, i, values) != ACTC_OK)
            return step_say(message, "writing %s: %s", info.name, actc_error_message(to->network->context));
    }
    if (actc_network_set_step(to->network, actc_network_step(from->network), actc_network_updates(from->network),
                              actc_network_pending(from->network)) != ACTC_OK)
        return step_say(message, "%s", actc_error_message(to->network->context));
    return true;
}

static double norm_of(const float *x, const float *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (y ? (double)y[i] : 0);
        sum += d * d;
    }
    return sqrt(sum);
}

/* The reference's gradient `index` into pair->reference and its elements into *n; 0 of them where the state is no gradient. */
static bool read_gradient(const step_side *side, size_t index, const state_pair *pair, actc_state_info *info, size_t *n, char *message)
{
    *info = (actc_state_info){.size = sizeof *info};
    if (actc_network_state_info(side->network, index, info) != ACTC_OK)
        return step_say(message, "%s", actc_error_message(side->network->context));
    *n = info->kind == ACTC_STATE_GRADIENT ? (size_t)actc_shape_elements(&info->shape) : 0;
    if (*n && actc_network_read_state(side->network, index, pair->reference) != ACTC_OK)
        return step_say(message, "reading %s: %s", info->name, actc_error_message(side->network->context));
    return true;
}

/* Gradients that are nothing but rounding, as that of a bias before a batch norm, are compared to this part of all together. */
#define GRADIENT_FLOOR 0.01

/* agree: both took the same decisions in this step. */
static bool compare_gradients(const step_side *reference, const step_side *device, const state_pair *pair, int step,
                              bool agree, step_figures *figures, char *message)
{
    double all = 0;
    int compared = 0;
    figures->agreeing += agree;
    const size_t count = actc_network_state_count(reference->network);
    for (size_t i = 0; i < 2 * count; i++) { /* first how large all together are */
        actc_state_info info;
        size_t n = 0;
        if (!read_gradient(reference, i % count, pair, &info, &n, message))
            return false;
        double norm = norm_of(pair->reference, NULL, n);
        if (i < count)
            all = hypot(all, norm);
        if (i < count || !n)
            continue;
        if (actc_network_read_state(device->network, i % count, pair->device) != ACTC_OK)
            return step_say(message, "reading %s: %s", info.name, actc_error_message(device->network->context));
        double error = norm_of(pair->device, pair->reference, n);
        error = error == 0 ? 0 : error / fmax(norm, GRADIENT_FLOOR * all);
        if (!(error <= figures->gradient_error)) {
            figures->gradient_error = error;
            figures->gradient_at = step + 1;
            snprintf(figures->gradient_name, sizeof figures->gradient_name, "%s", info.name);
        }
        if (agree && !(error <= figures->agreeing_error))
            figures->agreeing_error = error;
        compared++;
    }
    return compared || step_say(message, "%s has no gradients", actc_network_name(reference->network));
}

/* ---- between forward and backward ---- */

typedef struct exchange {
    const step_carried *reference; /* what the reference carried over in this step */
    step_carried own;              /* what the device did */
    bool give;
    step_figures *figures;
    char *message;
} exchange;

static uint64_t decisions_that_differ(const step_figures *f)
{
    return f->signs_differ + f->indices_differ + f->kept.differ;
}

static void compare_mask(const unsigned char *a, const unsigned char *b, uint64_t bytes, step_figures *f)
{
    for (uint64_t i = 0; i < bytes; i++)
        f->signs_differ += (uint64_t)__builtin_popcount(a[i] ^ b[i]);
    f->signs += 8 * bytes;
}

static void compare_signs(const unsigned char *a, const unsigned char *b, uint64_t bytes, step_figures *f)
{
    for (uint64_t i = 0; i < bytes; i += sizeof(float)) {
        float x, y;
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        f->signs_differ += (x > 0) != (y > 0);
    }
    f->signs += bytes / sizeof(float);
}

static void compare_indices(const unsigned char *a, const unsigned char *b, uint64_t bytes, step_figures *f)
{
    for (uint64_t i = 0; i < bytes; i++)
        f->indices_differ += a[i] != b[i];
    f->indices += bytes;
}

static actc_status between_device(void *user, actc_network *network)
{
    exchange *e = user;
    actc_status status = step_carried_download(&e->own, network);
    for (size_t i = 0; i < e->own.count && status == ACTC_OK; i++) {
        const actc_carried *c = &e->own.list[i];
        const unsigned char *a = e->reference->bytes[i], *b = e->own.bytes[i];
        switch (c->kind) {
        case ACTC_CARRIED_MASK: compare_mask(a, b, c->bytes, e->figures); break;
        case ACTC_CARRIED_DENSE: compare_signs(a, b, c->bytes, e->figures); break;
        case ACTC_CARRIED_INDEX: compare_indices(a, b, c->bytes, e->figures); break;
        case ACTC_CARRIED_PAYLOAD:
            if (!step_compare_kept(c->codec, a, b, c->name, &e->figures->kept, e->message))
                return actc_fail(network->context, ACTC_ERROR_INTERNAL, "%s", e->message);
        }
        if (e->give)
            status = actc_network_upload(network, c->vbuf, c->offset, a, c->bytes);
    }
    return status;
}

static bool same_lists(const step_carried *a, const step_carried *b, char *message)
{
    bool same = a->count == b->count;
    for (size_t i = 0; i < a->count && same; i++)
        same = a->list[i].kind == b->list[i].kind && a->list[i].bytes == b->list[i].bytes &&
               !strcmp(a->list[i].name, b->list[i].name);
    return same || step_say(message, "the devices do not carry over the same tensors (%zu and %zu of them)", a->count,
                            b->count);
}

/* ---- the runs ---- */

static bool open_sides(step_side sides[2], actc_device *reference, actc_device *device, const step_setup *setup, char *message)
{
    return step_open(&sides[0], reference, setup, false, message) && step_open(&sides[1], device, setup, false, message);
}

static bool run_lock_step(const step_side *reference, const step_side *device, const step_batches *batches,
                          const state_pair *pair, step_figures *figures, char *message)
{
    for (int s = 0; s < batches->count; s++) {
        float losses[2];
        uint64_t before = decisions_that_differ(figures);
        if (!copy_state(reference, device, pair->reference, message))
            return false;
        double start = now();
        if (!step_train(reference, batches, s, &losses[0], message))
            return false;
        double middle = now();
        if (!step_train(device, batches, s, &losses[1], message))
            return false;
        figures->seconds[0] += middle - start;
        figures->seconds[1] += now() - middle;
        note_loss(figures, s, losses[0], losses[1]);
        if (!compare_gradients(reference, device, pair, s, decisions_that_differ(figures) == before, figures, message))
            return false;
    }
    return true;
}

bool step_lock_step(actc_device *reference, actc_device *device, const step_setup *setup, const step_batches *batches,
                    bool give, step_figures *figures, char *message)
{
    step_side sides[2] = {0};
    step_carried carried = {0};
    state_pair pair = {0};
    *figures = (step_figures){0};
    exchange e = {.reference = &carried, .give = give, .figures = figures, .message = message};
    bool good = open_sides(sides, reference, device, setup, message) &&
                step_carried_open(&carried, sides[0].network, message) &&
                step_carried_open(&e.own, sides[1].network, message) && same_lists(&carried, &e.own, message) && allocate_pair(sides[0].network, &pair, message);
    if (good && actc_network_set_between(sides[0].network, step_carried_download, &carried) != ACTC_OK)
        good = step_say(message, "%s", actc_error_message(reference->context));
    if (good && actc_network_set_between(sides[1].network, between_device, &e) != ACTC_OK)
        good = step_say(message, "%s", actc_error_message(device->context));
    good = good && run_lock_step(&sides[0], &sides[1], batches, &pair, figures, message);
    free(pair.reference);
    free(pair.device);
    step_carried_close(&carried);
    step_carried_close(&e.own);
    step_close(&sides[0]);
    step_close(&sides[1]);
    return good;
}

bool step_free_run(actc_device *reference, actc_device *device, const step_setup *setup, const step_batches *batches,
                   step_figures *figures, char *message)
{
    step_side sides[2] = {0};
    *figures = (step_figures){0};
    bool good = open_sides(sides, reference, device, setup, message);
    for (int s = 0; s < batches->count && good; s++) {
        float losses[2] = {0};
        double start = now();
        good = step_train(&sides[0], batches, s, &losses[0], message);
        double middle = now();
        good = good && step_train(&sides[1], batches, s, &losses[1], message);
        figures->seconds[0] += middle - start;
        figures->seconds[1] += now() - middle;
        if (good)
            note_loss(figures, s, losses[0], losses[1]);
    }
    step_close(&sides[0]);
    step_close(&sides[1]);
    return good;
}
