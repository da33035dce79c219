/* schedule.c: learning rates by epoch, as torch.optim.lr_scheduler gives them.
 *
 * Powers are repeated multiplications, as PyTorch's schedulers do them and so that no pow() of the system's
 * makes a difference. The state of plateau lies in the public struct, so that a checkpoint can keep it.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <actc/data.h>

#include "../util/util.h"

#define PI 3.14159265358979323846
/* ReduceLROnPlateau's defaults: a loss counts as lower below (1 - THRESHOLD) of the lowest; a reduction that would
 * change the rate by no more than MIN_CHANGE is left out. */
#define THRESHOLD 1e-4
#define MIN_CHANGE 1e-8

struct key {
    const char *name;
    double *real; /* one of the two */
    int64_t *whole;
    double least, most;
};

/* *given: a bit for each key that was there before. */
static actc_status set_key(actc_context *context, const char *spec, const struct key *keys, size_t count, const char *name,
                           const char *value, unsigned *given)
{
    const char *names[4];
    for (size_t i = 0; i < count; i++) {
        const struct key *key = &keys[i];
        names[i] = key->name;
        if (strcmp(name, key->name) != 0)
            continue;
        if (*given & 1u << i)
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "schedule \"%s\": key %s is given twice", spec, name);
        *given |= 1u << i;
        double number;
        int64_t whole;
        bool good = key->whole ? actc_parse_int64(value, &whole) : actc_parse_double(value, &number);
        if (good && key->whole)
            number = (double)whole;
        if (!good || number < key->least || number > key->most)
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "schedule \"%s\": %s=%s; %s from %g to %g is accepted", spec, name,
                             value, key->whole ? "a whole number" : "a number", key->least, key->most);
        if (key->whole)
            *key->whole = whole;
        else
            *key->real = number;
        return ACTC_OK;
    }
    if (!count)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "schedule \"%s\": it has no keys, but \"%s\" is given", spec, name);
    const char *nearest = actc_nearest(name, names, count);
    char list[128] = "";
    for (size_t i = 0; i < count; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "schedule \"%s\": unknown key \"%s\"%s%s%s; there are: %s", spec, name,
                     nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "", list);
}

/* text: key=value,key=value; overwritten. */
static actc_status set_keys(actc_context *context, const char *spec, const struct key *keys, size_t count, char *text)
{
    char *rest = text;
    unsigned given = 0;
    while (rest) {
        char *item = strsep(&rest, ","), *equals = strchr(item, '=');
        if (!equals)
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "schedule \"%s\": \"%s\" is not key=value", spec, item);
        *equals = '\0';
        ACTC_RETURN_IF_ERROR(set_key(context, spec, keys, count, item, equals + 1, &given));
    }
    return ACTC_OK;
}

static actc_schedule defaults(void)
{
    return (actc_schedule){.size = sizeof(actc_schedule), .gamma = 0.1, .step_epochs = 30, .epochs = 1, .patience = 10,
                           .best = (double)INFINITY};
}

/* What the caller's struct holds, which may be of an older or a newer header; its size is that of what both know. */
static actc_schedule known(const actc_schedule *schedule)
{
    actc_schedule full = defaults();
    const size_t size = schedule->size < sizeof full ? schedule->size : sizeof full;
    memcpy(&full, schedule, size);
    full.size = size;
    return full;
}

static actc_status parse(actc_context *context, const char *spec, char *text, actc_schedule *s)
{
    static const char *const kinds[] = {"constant", "step", "cosine", "plateau"};
    const double most = (double)INT32_MAX;
    const struct key step[] = {{"epochs", NULL, &s->step_epochs, 1, most}, {"gamma", &s->gamma, NULL, 0, 1}};
    const struct key cosine[] = {{"epochs", NULL, &s->epochs, 1, most}, {"min-lr", &s->min_lr, NULL, 0, s->lr}};
    const struct key plateau[] = {{"patience", NULL, &s->patience, 0, most},
                                  {"gamma", &s->gamma, NULL, 0, 1},
                                  {"min-lr", &s->min_lr, NULL, 0, s->lr}};
    const struct key *const keys[] = {NULL, step, cosine, plateau};
    static const size_t counts[] = {0, 2, 2, 3};
    char *options = text;
    const char *name = strsep(&options, ":");
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, kinds[i]) != 0)
            continue;
        s->kind = (actc_schedule_kind)i;
        return options ? set_keys(context, spec, keys[i], counts[i], options) : ACTC_OK;
    }
    const char *nearest = actc_nearest(name, kinds, 4);
    return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                     "unknown schedule \"%s\"%s%s%s; there are: constant, step[:epochs=N,gamma=G], cosine[:epochs=N,min-lr=X], "
                     "plateau[:patience=N,gamma=G,min-lr=X]",
                     name, nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

actc_status actc_schedule_parse(actc_context *context, const char *spec, double lr, int64_t epochs, actc_schedule *schedule)
{
    ACTC_OWN_MODES;
    if (!context || !schedule)
        return ACTC_ERROR_INVALID_ARGUMENT;
    const actc_schedule none = {0};
    ACTC_RETURN_IF_ERROR(actc_give_info(context, "actc_schedule", schedule, sizeof none, &none));
    if (!spec)
        spec = "constant";
    if (!(lr >= 0 && lr <= ACTC_MAX_REAL))
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "learning rate %g; a number from 0 to %g is accepted", lr, ACTC_MAX_REAL);
    if (epochs < 1)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "schedule over %lld epochs; 1 or more are accepted",
                         (long long)epochs);
    actc_schedule parsed = defaults();
    parsed.lr = lr;
    parsed.epochs = epochs;
    char *text = actc_strdup(spec);
    if (!text)
        return actc_out_of_memory(context, strlen(spec), "a schedule");
    actc_status status = parse(context, spec, text, &parsed);
    actc_free(text);
    return status == ACTC_OK ? actc_give_info(context, "actc_schedule", schedule, sizeof parsed, &parsed) : status;
}

double actc_schedule_rate(const actc_schedule *given, uint64_t epoch)
{
    ACTC_OWN_MODES;
    const actc_schedule full = known(given), *schedule = &full;
    double rate = schedule->lr;
    switch (schedule->kind) {
    case ACTC_SCHEDULE_CONSTANT: break;
    case ACTC_SCHEDULE_STEP:
        /* ends early: below 2^-1074 it stays 0, and gamma 1 changes nothing */
        for (uint64_t n = epoch / (uint64_t)schedule->step_epochs; n > 0 && rate > 0 && schedule->gamma < 1; n--)
            rate *= schedule->gamma;
        break;
    case ACTC_SCHEDULE_COSINE:
        if (epoch >= (uint64_t)schedule->epochs)
            return schedule->min_lr;
        rate = schedule->min_lr +
               (schedule->lr - schedule->min_lr) * (1.0 + cos(PI * (double)epoch / (double)schedule->epochs)) / 2.0;
        break;
    case ACTC_SCHEDULE_PLATEAU:
        for (int64_t n = schedule->reductions; n > 0; n--) {
            double lower = rate * schedule->gamma;
            if (lower < schedule->min_lr)
                lower = schedule->min_lr;
            if (!(rate - lower > MIN_CHANGE))
                break;
            rate = lower;
        }
        break;
    }
    return rate;
}

void actc_schedule_observe(actc_schedule *given, double loss)
{
    ACTC_OWN_MODES;
    actc_schedule full = known(given), *schedule = &full;
    if (schedule->kind != ACTC_SCHEDULE_PLATEAU)
        return;
    /* A NaN is not below anything and counts as a bad epoch. The first loss is compared with Inf. */
    if (loss < schedule->best * (1.0 - THRESHOLD)) {
        schedule->best = loss;
        schedule->bad_epochs = 0;
    } else {
        schedule->bad_epochs++;
    }
    if (schedule->bad_epochs > schedule->patience) {
        schedule->reductions++;
        schedule->bad_epochs = 0;
    }
    memcpy(given, schedule, schedule->size);
}
