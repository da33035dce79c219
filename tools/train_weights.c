/* train_weights.c: what --weights starts from, and a report of what of it does not fit. */
#include <stdio.h>
#include <string.h>

#include "train.h"

#define KINDS 4
#define NAMED 8 /* of a kind; the others are counted */

typedef struct weights_report {
    char text[KINDS][1536];
    size_t count[KINDS];
} weights_report;

static void on_difference(void *user, const actc_weight_difference *difference)
{
    weights_report *report = user;
    unsigned kind = (unsigned)difference->problem;
    if (kind >= KINDS || report->count[kind]++ >= NAMED)
        return;
    char *text = report->text[kind], found[96], wanted[96];
    size_t used = strlen(text), left = sizeof report->text[kind] - used;
    const char *comma = used ? ", " : "";
    if (difference->problem == ACTC_WEIGHT_SHAPE)
        snprintf(text + used, left, "%s%.80s (%s for %s)", comma, difference->name,
                 tool_shape_text(&difference->found, found, sizeof found), tool_shape_text(&difference->wanted, wanted, sizeof wanted));
    else
        snprintf(text + used, left, "%s%.80s", comma, difference->name);
}

static void tell(const train_run *run, const weights_report *report)
{
    static const char *const titles[KINDS] = {"missing", "unexpected", "of another shape", "of a dtype that is not read"};
    for (int kind = 0; kind < KINDS; kind++) {
        char more[48] = "";
        if (report->count[kind] > NAMED)
            snprintf(more, sizeof more, " and %zu more", report->count[kind] - NAMED);
        if (report->count[kind])
            tool_note(run->t, "--weights %s: %s: %s%s", run->s->weights, titles[kind], report->text[kind], more);
    }
}

int weights_load(train_run *run)
{
    weights_report report = {.count = {0}};
    size_t loaded;
    actc_status status = actc_network_load_weights(run->network, run->s->weights, run->s->weights_partial, on_difference, &report,
                                                   &loaded);
    tell(run, &report);
    if (status != ACTC_OK) {
        int code = tool_failed_option(run->t, run->context, status, "weights");
        if (status == ACTC_ERROR_INVALID_ARGUMENT && !run->s->weights_partial)
            tool_note(run->t, "--weights-partial takes what fits");
        return code;
    }
    if (run->s->weights_partial)
        tool_note(run->t, "--weights %s: %zu tensors are taken; missing ones keep their first values", run->s->weights, loaded);
    return 0;
}
