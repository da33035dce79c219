/* result.c: what comes out of a case is compared here, whatever the case is. */
#include "result.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Differing words that a message shows. */
#define SHOWN 4

const char *parity_status_name(parity_status status)
{
    static const char *const names[] = {"passed", "failed", "skipped"};
    return names[status];
}

/* Adds to the message as long as there is room; what follows says less. */
static void add_message(parity_result *r, const char *format, va_list args)
{
    size_t used = strlen(r->message);
    if (used && used + 3 < sizeof r->message) {
        memcpy(r->message + used, "; ", 3);
        used += 2;
    }
    vsnprintf(r->message + used, sizeof r->message - used, format, args);
}

bool parity_fail(parity_run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (run->result->status != PARITY_FAILED)
        run->result->message[0] = '\0';
    run->result->status = PARITY_FAILED;
    add_message(run->result, format, args);
    va_end(args);
    return false;
}

bool parity_skip(parity_run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (run->result->status == PARITY_PASSED) {
        run->result->status = PARITY_SKIPPED;
        add_message(run->result, format, args);
    }
    va_end(args);
    return false;
}

void parity_note(parity_run *run, const char *format, ...)
{
    va_list args;
    size_t used = strlen(run->result->note);
    va_start(args, format);
    if (used && used + 3 < sizeof run->result->note) {
        memcpy(run->result->note + used, "; ", 3);
        used += 2;
    }
    vsnprintf(run->result->note + used, sizeof run->result->note - used, format, args);
    va_end(args);
}

/* ---- outputs ---- */

static parity_output *add_output(parity_run *run, const char *label, const void *data, size_t bytes)
{
    parity_result *r = run->result;
    parity_output *grown = realloc(r->outputs, (r->n_outputs + 1) * sizeof *grown);
    if (grown)
        r->outputs = grown;
    void *copy = grown ? malloc(bytes ? bytes : 1) : NULL;
    if (!copy) {
        parity_fail(run, "out of memory");
        return NULL;
    }
    if (bytes)
        memcpy(copy, data, bytes);
    parity_output *o = &r->outputs[r->n_outputs++];
    *o = (parity_output){.hash = parity_hash(data, bytes), .bytes = bytes, .data = copy};
    snprintf(o->label, sizeof o->label, "%s", label);
    return o;
}

static const parity_output *find_output(const parity_result *r, const char *label)
{
    for (size_t i = 0; r && i < r->n_outputs; i++)
        if (strcmp(r->outputs[i].label, label) == 0)
            return &r->outputs[i];
    return NULL;
}

/* Words, or bytes where the length is not whole words, that differ: how many, and the first few in hex. */
static void describe_difference(parity_run *run, const char *label, const void *reference, const void *here, size_t bytes)
{
    size_t size = bytes % 4 ? 1 : 4, count = bytes / size, different = 0, used = 0;
    char text[300] = "";
    for (size_t i = 0; i < count; i++) {
        uint32_t a = 0, b = 0; /* little endian: a byte is a word whose others are 0 */
        memcpy(&a, (const char *)reference + i * size, size);
        memcpy(&b, (const char *)here + i * size, size);
        if (a == b)
            continue;
        if (different++ < SHOWN)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s[%zu] is %0*" PRIx32 ", here %0*" PRIx32,
                                     used ? ", " : "", i, (int)(2 * size), a, (int)(2 * size), b);
    }
    parity_fail(run, "%s: %zu of %zu %s differ: %s%s", label, different, count, size == 4 ? "words" : "bytes", text,
                different > SHOWN ? ", ..." : "");
}

/* Compares an output with that of the reference backend, byte by byte. */
static void check_reference(parity_run *run, const parity_output *o)
{
    const parity_output *reference = find_output(run->result->reference, o->label);
    if (!run->result->reference)
        return;
    if (!reference)
        parity_fail(run, "%s: the reference has no such output", o->label);
    else if (reference->bytes != o->bytes)
        parity_fail(run, "%s: %zu bytes, the reference has %zu", o->label, o->bytes, reference->bytes);
    else if (memcmp(reference->data, o->data, o->bytes))
        describe_difference(run, o->label, reference->data, o->data, o->bytes);
}

/* Compares an output with the file of --against, where there is one. */
static void check_record(parity_run *run, const parity_output *o, const double *wanted, const double *bound)
{
    char message[400];
    if (run->result->recorded && !parity_record_check(run->result->recorded, o, wanted, bound, message, sizeof message))
        parity_fail(run, "%s", message);
}

void parity_exact(parity_run *run, const char *label, const void *data, size_t bytes)
{
    const parity_output *o = add_output(run, label, data, bytes);
    if (!o)
        return;
    check_reference(run, o);
    check_record(run, o, NULL, NULL);
}

void parity_bounded(parity_run *run, const char *label, const float *got, const double *wanted, const double *bound,
                    size_t n, double nmse)
{
    parity_output *o = add_output(run, label, got, n * sizeof *got);
    if (!o)
        return;
    double error = 0, energy = 0;
    size_t outside = 0, first = 0;
    o->bounded = true;
    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)got[i] - wanted[i]), part = e <= bound[i] && bound[i] == 0 ? 0 : e / bound[i];
        if (!(part <= o->worst)) /* and where it is NaN */
            o->worst = part;
        if (!(e <= bound[i]) && outside++ == 0)
            first = i;
        error += e * e;
        energy += wanted[i] * wanted[i];
    }
    o->nmse = n < 64 ? -1 : error == 0 ? 0 : error / energy; /* of a few, all may cancel to nearly nothing */
    if (outside)
        parity_fail(run, "%s: %zu of %zu outside of the bound: [%zu] is %.9g, float64 says %.17g within %.3g", label,
                    outside, n, first, (double)got[first], wanted[first], bound[first]);
    else if (n >= 64 && !(error <= nmse * energy + 1e-30))
        parity_fail(run, "%s: NMSE %.3g, allowed is %.3g", label, o->nmse, nmse);
    if (run->device->deterministic) /* then everything is EXACT */
        check_reference(run, o);
    check_record(run, o, wanted, bound);
}

void parity_measure(parity_run *run, const char *label, double value, double limit)
{
    parity_result *r = run->result;
    parity_figure *grown = realloc(r->figures, (r->n_figures + 1) * sizeof *grown);
    if (!grown) {
        parity_fail(run, "out of memory");
        return;
    }
    r->figures = grown;
    parity_figure *f = &grown[r->n_figures++];
    *f = (parity_figure){.value = value, .limit = limit};
    snprintf(f->label, sizeof f->label, "%s", label);
    if (!(value <= limit))
        parity_fail(run, "%s is %.6g, allowed is %.6g", label, value, limit);
    if (r->recorded) { /* what was measured elsewhere keeps the limit too */
        const cJSON *other =
            cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(r->recorded, "figures"), label);
        if (!cJSON_IsNumber(other) || !(other->valuedouble <= limit))
            parity_fail(run, "%s is recorded as %.6g, allowed is %.6g", label,
                        cJSON_IsNumber(other) ? other->valuedouble : NAN, limit);
    }
}

/* ---- results ---- */

void parity_result_finish(parity_result *r, bool ran)
{
    parity_run run = {.result = r};
    if (!ran && r->status == PARITY_PASSED)
        parity_fail(&run, "the case failed without a reason");
    for (size_t i = 0; ran && r->reference && i < r->reference->n_outputs; i++) {
        const parity_output *o = &r->reference->outputs[i];
        if (!o->bounded && !find_output(r, o->label))
            parity_fail(&run, "%s: the reference has it, here there is none", o->label);
    }
    char message[200];
    if (ran && r->recorded && !parity_record_complete(r->recorded, r, message, sizeof message))
        parity_fail(&run, "%s", message);
}

double parity_result_worst(const parity_result *r)
{
    double worst = -1;
    for (size_t i = 0; i < r->n_outputs; i++)
        if (r->outputs[i].bounded && !(r->outputs[i].worst <= worst))
            worst = r->outputs[i].worst;
    for (size_t i = 0; i < r->n_figures; i++) {
        double part = r->figures[i].limit > 0 ? r->figures[i].value / r->figures[i].limit : r->figures[i].value;
        if (!(part <= worst))
            worst = part;
    }
    return worst;
}

double parity_result_nmse(const parity_result *r)
{
    double worst = -1;
    for (size_t i = 0; i < r->n_outputs; i++)
        if (r->outputs[i].bounded && !(r->outputs[i].nmse <= worst))
            worst = r->outputs[i].nmse;
    return worst;
}

void parity_result_free(parity_result *r)
{
    for (size_t i = 0; i < r->n_outputs; i++)
        free(r->outputs[i].data);
    free(r->outputs);
    free(r->figures);
    *r = (parity_result){0};
}
