/* record.c: what one backend gave, in a small file, and the comparison with it elsewhere. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "result.h"

/* Outputs of at most so many bytes are kept whole. */
#define WHOLE_BYTES 64

static cJSON *number(double value)
{
    char text[40];
    if (!isfinite(value))
        return cJSON_CreateNull();
    snprintf(text, sizeof text, "%.9g", value);
    return cJSON_CreateRaw(text);
}

static cJSON *output_json(const parity_output *o)
{
    cJSON *json = cJSON_CreateObject();
    char text[2 * WHOLE_BYTES + 1];
    cJSON_AddStringToObject(json, "label", o->label);
    cJSON_AddItemToObject(json, "bytes", number((double)o->bytes));
    snprintf(text, sizeof text, "%016" PRIx64, o->hash);
    cJSON_AddStringToObject(json, "hash", text);
    if (o->bounded) {
        cJSON_AddItemToObject(json, "worst", number(o->worst));
        cJSON_AddItemToObject(json, "nmse", number(o->nmse));
    }
    if (o->bytes <= WHOLE_BYTES) {
        for (size_t i = 0; i < o->bytes; i++)
            snprintf(text + 2 * i, 3, "%02x", ((const unsigned char *)o->data)[i]);
        text[2 * o->bytes] = '\0';
        cJSON_AddStringToObject(json, "data", text);
    }
    return json;
}

cJSON *parity_record_case(const parity_case *c, const parity_result *r)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "name", c->name);
    cJSON *outputs = cJSON_AddArrayToObject(json, "outputs");
    for (size_t i = 0; i < r->n_outputs; i++)
        cJSON_AddItemToArray(outputs, output_json(&r->outputs[i]));
    cJSON *figures = r->n_figures ? cJSON_AddObjectToObject(json, "figures") : NULL;
    for (size_t i = 0; i < r->n_figures; i++)
        cJSON_AddItemToObject(figures, r->figures[i].label, number(r->figures[i].value));
    return json;
}

/* ---- the comparison ---- */

static const cJSON *find(const cJSON *recorded, const char *label)
{
    const cJSON *o;
    cJSON_ArrayForEach(o, cJSON_GetObjectItemCaseSensitive(recorded, "outputs"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "label"));
        if (name && strcmp(name, label) == 0)
            return o;
    }
    return NULL;
}

/* The bytes of a recorded output; false where it was not kept whole, or is damaged. */
static bool whole(const cJSON *o, size_t bytes, unsigned char *data)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "data"));
    if (!text || bytes > WHOLE_BYTES || strlen(text) != 2 * bytes)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        unsigned value;
        if (sscanf(text + 2 * i, "%2x", &value) != 1)
            return false;
        data[i] = (unsigned char)value;
    }
    return true;
}

static bool check_exact(const cJSON *recorded, const parity_output *o, char *message, size_t size)
{
    unsigned char data[WHOLE_BYTES];
    char hash[20];
    const char *other = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(recorded, "hash"));
    snprintf(hash, sizeof hash, "%016" PRIx64, o->hash);
    bool kept = whole(recorded, o->bytes, data);
    for (size_t i = 0; kept && i < o->bytes; i++)
        if (data[i] != ((const unsigned char *)o->data)[i]) {
            snprintf(message, size, "%s: byte %zu is recorded as %02x, here it is %02x", o->label, i, data[i],
                     ((const unsigned char *)o->data)[i]);
            return false;
        }
    if (other && strcmp(other, hash) == 0)
        return true;
    snprintf(message, size, "%s: the hash is recorded as %s, here it is %s", o->label, other ? other : "nothing", hash);
    return false;
}

/* Recorded values lie within the bound too; of outputs that were not kept whole, the recorded errors do. */
static bool check_bounded(const cJSON *recorded, const parity_output *o, const double *wanted, const double *bound,
                          char *message, size_t size)
{
    float values[WHOLE_BYTES / sizeof(float)];
    const cJSON *worst = cJSON_GetObjectItemCaseSensitive(recorded, "worst");
    if (whole(recorded, o->bytes, (unsigned char *)values)) {
        for (size_t i = 0; i < o->bytes / sizeof(float); i++)
            if (!(fabs((double)values[i] - wanted[i]) <= bound[i])) {
                snprintf(message, size, "%s: [%zu] is recorded as %.9g, float64 says %.17g within %.3g", o->label, i,
                         (double)values[i], wanted[i], bound[i]);
                return false;
            }
        return true;
    }
    if (cJSON_IsNumber(worst) && worst->valuedouble <= 1)
        return true;
    snprintf(message, size, "%s: the largest recorded error is %g times its bound", o->label,
             cJSON_IsNumber(worst) ? worst->valuedouble : NAN);
    return false;
}

bool parity_record_check(const cJSON *recorded, const parity_output *o, const double *wanted, const double *bound,
                         char *message, size_t size)
{
    const cJSON *other = find(recorded, o->label), *bytes = cJSON_GetObjectItemCaseSensitive(other, "bytes");
    if (!other)
        return true;
    if (!cJSON_IsNumber(bytes) || bytes->valuedouble != (double)o->bytes) {
        snprintf(message, size, "%s: has another length in the recorded file", o->label);
        return false;
    }
    return o->bounded ? check_bounded(other, o, wanted, bound, message, size) : check_exact(other, o, message, size);
}

bool parity_record_complete(const cJSON *recorded, const parity_result *r, char *message, size_t size)
{
    const cJSON *o, *outputs = cJSON_GetObjectItemCaseSensitive(recorded, "outputs");
    if (r->n_outputs && !cJSON_GetArraySize(outputs)) {
        snprintf(message, size, "none of its outputs is in the recorded file");
        return false;
    }
    cJSON_ArrayForEach(o, outputs)
    {
        const char *label = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "label"));
        bool found = false;
        for (size_t i = 0; label && i < r->n_outputs; i++)
            found |= strcmp(r->outputs[i].label, label) == 0;
        if (found)
            continue;
        snprintf(message, size, "%s: is in the recorded file, here there is none", label ? label : "an output without a label");
        return false;
    }
    return true;
}
