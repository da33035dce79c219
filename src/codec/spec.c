/* spec.c: codec specs as text: NAME[:key=value,...], and back to a canonical form.
 *
 * Every key and value that is not accepted is refused with the list of what is. The keys of a codec, their values
 * and defaults are those of actc/codec.h.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/util.h"
#include "codec_internal.h"
#include "wavelets.h"

static const char *const kind_names[] = {"none", "random", "derivative", "threshold", "dct", "wavelet", "quant", "recompute"};
#define KIND_COUNT (sizeof kind_names / sizeof kind_names[0])
static const char *const select_names[] = {"global", "tile", "random", "band"};
static const char *const values_names[] = {"f32", "f16", "bf16", "int8", "int4"};
static const char *const block_names[] = {"16", "8", "row"};
static const char *const norm_names[] = {"ortho", "none"};
static const char *const mode_names[] = {"periodic", "symmetric"};
static const char *const quant_mode_names[] = {"minmax", "symmetric"};
static const char *const bits_names[] = {"8", "4", "2", "1"};
static const char *const relu_names[] = {"mask", "value"};
static const char *const bn_names[] = {"normalised", "input"};

static const char *const slope_bits_names[] = {"2", "4", "8"};

static const char *const keys_plain[] = {"relu", "bn"};
static const char *const keys_derivative[] = {"bits"};
static const char *const keys_threshold[] = {"lambda", "ratio", "select", "values", "relu", "bn"};
static const char *const keys_dct[] = {"lambda", "ratio", "select", "values", "relu", "bn", "block", "norm"};
static const char *const keys_wavelet[] = {"lambda", "ratio", "select", "values", "relu", "bn", "wave", "levels", "mode"};
static const char *const keys_quant[] = {"bits", "mode", "relu", "bn"};

static const char *const keys_recompute[] = {"segments"};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static const char *const *keys_of(actc_codec_kind kind, size_t *count)
{
    switch (kind) {
    case ACTC_CODEC_DERIVATIVE: *count = LENGTH(keys_derivative); return keys_derivative;
    case ACTC_CODEC_THRESHOLD: *count = LENGTH(keys_threshold); return keys_threshold;
    case ACTC_CODEC_DCT: *count = LENGTH(keys_dct); return keys_dct;
    case ACTC_CODEC_WAVELET: *count = LENGTH(keys_wavelet); return keys_wavelet;
    case ACTC_CODEC_QUANT: *count = LENGTH(keys_quant); return keys_quant;
    case ACTC_CODEC_RECOMPUTE: *count = LENGTH(keys_recompute); return keys_recompute;
    default: *count = LENGTH(keys_plain); return keys_plain;
    }
}

/* "a, b, c" into text, cut where it does not fit. */
static const char *list(char *text, size_t size, const char *const *names, size_t count)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ", %s" : "%s", names[i]);
    return text;
}

/* Refuses `word`; what: "codec", "key of dct", "value of select". */
static actc_status refuse(actc_context *context, const char *spec, const char *what, const char *word,
                          const char *const *names, size_t count)
{
    char accepted[512];
    const char *near = actc_nearest(word, names, count);
    list(accepted, sizeof accepted, names, count);
    if (near)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "codec spec \"%s\": unknown %s \"%s\"; did you mean \"%s\"? Accepted: %s", spec, what, word, near,
                         accepted);
    return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "codec spec \"%s\": unknown %s \"%s\"; accepted: %s", spec, what,
                     word, accepted);
}

static actc_status choose(actc_context *context, const char *spec, const char *key, const char *value,
                          const char *const *names, size_t count, int *chosen)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(value, names[i])) {
            *chosen = (int)i;
            return ACTC_OK;
        }
    char what[64];
    snprintf(what, sizeof what, "value of %s", key);
    return refuse(context, spec, what, value, names, count);
}

static actc_status choose_wave(actc_context *context, const char *spec, const char *value, int *chosen)
{
    for (int i = 0; i < actc_wavelet_count; i++)
        if (!strcmp(value, actc_wavelets[i].name)) {
            *chosen = i;
            return ACTC_OK;
        }
    const char *names[256];
    for (int i = 0; i < actc_wavelet_count && i < 256; i++)
        names[i] = actc_wavelets[i].name;
    const char *near = actc_nearest(value, names, (size_t)actc_wavelet_count);
    return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                     "codec spec \"%s\": unknown value of wave \"%s\"%s%s%s; accepted: haar, db1..db38, sym2..sym20, "
                     "coif1..coif17, bior1.1..bior6.8, rbio1.1..rbio6.8, dmey",
                     spec, value, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
}

static actc_status parse_kind(actc_context *context, const char *text, const char *name, actc_codec_spec *spec)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (!strcmp(name, kind_names[i])) {
            spec->kind = (actc_codec_kind)i;
            return ACTC_OK;
        }
    spec->user = actc_codec_registry_find(context, name);
    if (spec->user) {
        spec->kind = ACTC_CODEC_USER;
        return ACTC_OK;
    }
    const char *names[64];
    size_t count = 0;
    for (; count < KIND_COUNT; count++)
        names[count] = kind_names[count];
    for (const actc_registered_codec *c = context->codecs; c && count < LENGTH(names); c = c->next)
        names[count++] = c->name;
    return refuse(context, text, "codec", name, names, count);
}

static actc_status parse_count(actc_context *context, const char *text, const char *key, const char *value, int most, int *out)
{
    int64_t count;
    if (!actc_parse_int64(value, &count) || count < 1 || count > most)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "codec spec \"%s\": %s=%s; accepted: an integer from 1 to %d", text, key,
                         value, most);
    *out = (int)count;
    return ACTC_OK;
}

static actc_status parse_key(actc_context *context, const char *text, const char *key, const char *value,
                             actc_codec_spec *spec, bool *norm_given)
{
    int chosen = 0;
    if (!strcmp(key, "lambda")) {
        if (!actc_parse_double(value, &spec->lambda) || spec->lambda < 1)
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                             "codec spec \"%s\": lambda=%s; accepted: a number of at least 1", text, value);
    } else if (!strcmp(key, "ratio")) {
        if (!actc_parse_double(value, &spec->ratio) || !(spec->ratio >= 0 && spec->ratio <= 1))
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                             "codec spec \"%s\": ratio=%s; accepted: a number from 0 to 1", text, value);
        spec->by_ratio = true;
    } else if (!strcmp(key, "select")) {
        /* band means something for wavelets only */
        ACTC_RETURN_IF_ERROR(choose(context, text, key, value, select_names,
                                    spec->kind == ACTC_CODEC_WAVELET ? LENGTH(select_names) : LENGTH(select_names) - 1,
                                    &chosen));
        spec->select = (actc_codec_select)chosen;
    } else if (!strcmp(key, "values")) {
        ACTC_RETURN_IF_ERROR(choose(context, text, key, value, values_names, LENGTH(values_names), &chosen));
        spec->values = (actc_codec_values)chosen;
    } else if (!strcmp(key, "relu")) {
        ACTC_RETURN_IF_ERROR(choose(context, text, key, value, relu_names, LENGTH(relu_names), &chosen));
        spec->relu_value = chosen == 1;
    } else if (!strcmp(key, "bn")) {
        ACTC_RETURN_IF_ERROR(choose(context, text, key, value, bn_names, LENGTH(bn_names), &chosen));
        spec->bn_input = chosen == 1;
    } else if (!strcmp(key, "bits") && spec->kind == ACTC_CODEC_DERIVATIVE) {
        ACTC_RETURN_IF_ERROR(choose(context, text, key, value, slope_bits_names, LENGTH(slope_bits_names), &chosen));
        spec->slope_bits = 2u << chosen;
    } else if (!strcmp(key, "block")) {
        static const int sizes[] = {16, 8, 0};
        ACTC_RETURN_IF_ERROR(choose(context, text, key, value, block_names, LENGTH(block_names), &chosen));
        spec->block = sizes[chosen];
    } else if (!strcmp(key, "norm")) {
        ACTC_RETURN_IF_ERROR(choose(context, text, key, value, norm_names, LENGTH(norm_names), &chosen));
        spec->norm_none = chosen == 1;
        *norm_given = true;
    } else if (!strcmp(key, "wave")) {
        return choose_wave(context, text, value, &spec->wave);
    } else if (!strcmp(key, "mode")) {
        const char *const *names = spec->kind == ACTC_CODEC_QUANT ? quant_mode_names : mode_names;
        ACTC_RETURN_IF_ERROR(choose(context, text, key, value, names, LENGTH(mode_names), &chosen));
        spec->symmetric = chosen == 1;
    } else if (!strcmp(key, "bits")) {
        ACTC_RETURN_IF_ERROR(choose(context, text, key, value, bits_names, LENGTH(bits_names), &chosen));
        spec->bits = 8 >> chosen;
    } else if (!strcmp(key, "levels")) {
        return parse_count(context, text, key, value, ACTC_CODEC_MAX_LEVELS, &spec->levels);
    } else if (!strcmp(key, "segments")) {
        return parse_count(context, text, key, value, ACTC_RECOMPUTE_MAX_SEGMENTS, &spec->segments);
    }
    return ACTC_OK;
}

static int default_wave(void)
{
    for (int i = 0; i < actc_wavelet_count; i++)
        if (!strcmp(actc_wavelets[i].name, "db3"))
            return i;
    return 0;
}

/* copy: the text after ':', cut up in place. */
static actc_status parse_keys(actc_context *context, const char *text, const char *name, char *copy, actc_codec_spec *spec)
{
    size_t key_count;
    const char *const *keys = keys_of(spec->kind, &key_count);
    unsigned seen = 0;
    bool norm_given = false, lambda_given = false;
    for (char *item = copy, *next; item; item = next) {
        next = strchr(item, ',');
        if (next)
            *next++ = '\0';
        char *value = strchr(item, '=');
        if (!value || value == item || !value[1])
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                             "codec spec \"%s\": \"%s\" is not of the form key=value", text, item);
        *value++ = '\0';
        size_t i = 0;
        while (i < key_count && strcmp(keys[i], item))
            i++;
        if (i == key_count) {
            char what[96];
            snprintf(what, sizeof what, "key of %.64s", name);
            return refuse(context, text, what, item, keys, key_count);
        }
        if (seen & (1u << i))
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "codec spec \"%s\": key %s is given twice", text, item);
        seen |= 1u << i;
        lambda_given |= !strcmp(item, "lambda");
        ACTC_RETURN_IF_ERROR(parse_key(context, text, item, value, spec, &norm_given));
    }
    if (lambda_given && spec->by_ratio)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "codec spec \"%s\": lambda and ratio exclude each other", text);
    if (spec->select == ACTC_SELECT_RANDOM && spec->by_ratio && spec->ratio == 1)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "codec spec \"%s\": ratio=1 keeps nothing; accepted with select=random: a number from 0 to below 1",
                         text);
    if (norm_given && spec->norm_none && spec->block != 0)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "codec spec \"%s\": norm=none is accepted only with block=row",
                         text);
    return ACTC_OK;
}

actc_status actc_codec_spec_parse(actc_context *context, const char *text, actc_codec_spec *spec)
{
    *spec = (actc_codec_spec){.lambda = 10, .block = 16, .levels = 3, .segments = 1, .bits = 8, .wave = default_wave()};
    if (!text || strlen(text) > 400)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "codec spec: %s",
                         text ? "longer than 400 characters" : "no text");
    char copy[512];
    strcpy(copy, text);
    char *colon = strchr(copy, ':');
    if (colon)
        *colon++ = '\0';
    ACTC_RETURN_IF_ERROR(parse_kind(context, text, copy, spec));
    spec->slope_bits = spec->kind == ACTC_CODEC_DERIVATIVE ? 4 : 0;
    return colon ? parse_keys(context, text, copy, colon, spec) : ACTC_OK;
}

/* The shortest decimal that reads back to the same number, with a point whatever the locale. */
static void format_double(char text[40], double value)
{
    if (value == floor(value) && value < 1e9) {
        snprintf(text, 40, "%.0f", value);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        double back;
        snprintf(text, 40, "%.*g", digits, value);
        for (char *c = text; *c; c++)
            if (!strchr("0123456789.eE+-", *c))
                *c = '.';
        if (actc_parse_double(text, &back) && back == value)
            return;
    }
}

static void append(char *text, size_t size, const char *key, const char *value)
{
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s=%s", strchr(text, ':') ? "," : ":", key, value);
}

char *actc_codec_spec_format(const actc_codec_spec *spec)
{
    char text[512], number[40];
    snprintf(text, sizeof text, "%s", spec->kind == ACTC_CODEC_USER ? spec->user->name : kind_names[spec->kind]);
    if (actc_codec_selects(spec->kind)) {
        format_double(number, spec->by_ratio ? spec->ratio : spec->lambda);
        append(text, sizeof text, spec->by_ratio ? "ratio" : "lambda", number);
        if (spec->select != ACTC_SELECT_GLOBAL)
            append(text, sizeof text, "select", select_names[spec->select]);
    }
    if (spec->kind == ACTC_CODEC_DERIVATIVE) {
        snprintf(number, sizeof number, "%u", spec->slope_bits);
        append(text, sizeof text, "bits", number);
    }
    if (spec->kind == ACTC_CODEC_DCT) {
        if (spec->block != 16)
            append(text, sizeof text, "block", spec->block ? "8" : "row");
        if (spec->norm_none)
            append(text, sizeof text, "norm", "none");
    }
    if (spec->kind == ACTC_CODEC_WAVELET) {
        if (spec->wave != default_wave())
            append(text, sizeof text, "wave", actc_wavelets[spec->wave].name);
        if (spec->levels != 3) {
            snprintf(number, sizeof number, "%d", spec->levels);
            append(text, sizeof text, "levels", number);
        }
        if (spec->symmetric)
            append(text, sizeof text, "mode", "symmetric");
    }
    if (spec->kind == ACTC_CODEC_QUANT) {
        snprintf(number, sizeof number, "%d", spec->bits);
        append(text, sizeof text, "bits", number);
        if (spec->symmetric)
            append(text, sizeof text, "mode", "symmetric");
    }
    if (spec->segments != 1) {
        snprintf(number, sizeof number, "%d", spec->segments);
        append(text, sizeof text, "segments", number);
    }
    if (spec->values != ACTC_VALUES_F32)
        append(text, sizeof text, "values", values_names[spec->values]);
    if (spec->relu_value)
        append(text, sizeof text, "relu", "value");
    if (spec->bn_input)
        append(text, sizeof text, "bn", "input");
    return actc_strdup(text);
}

bool actc_codec_name_is_builtin(const char *name)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (!strcmp(name, kind_names[i]))
            return true;
    return false;
}
