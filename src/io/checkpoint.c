/* checkpoint.c: a network's state as one safetensors file.
 *
 * Tensors carry the names and layouts of actc_network_state_info, which are PyTorch's; all else is strings in
 * __metadata__, a checksum of all of it included. A load checks that, names, shapes and counters first and writes into
 * the network only when nothing can be wrong with the file any more.
 *
 * Versions of a checkpoint: 2; and 1, which has no checksum, and neither "accumulate" nor "run". It is read with a warning.
 *
 * Doubles are kept as the 16 hexadecimal digits of their bits: they may be infinite, and must come back exactly
 * whatever the program's locale.
 */
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <actc/data.h>

#include "../util/util.h"
#include "../runtime/network_state.h"
#include "safetensors.h"

#define FORMAT_PARAMETERS "actc-parameters"
#define VERSION "2"
#define VERSION_UNCHECKED "1"

/* Which states a file holds. */
#define KINDS_PARAMETERS (1u << ACTC_STATE_PARAMETER | 1u << ACTC_STATE_BUFFER)
#define KINDS_CHECKPOINT (KINDS_PARAMETERS | 1u << ACTC_STATE_OPTIMIZER)
#define KINDS_GRADIENTS (1u << ACTC_STATE_GRADIENT)

static const char *optimizer_name(actc_optimizer_kind kind)
{
    switch (kind) {
    case ACTC_OPTIMIZER_SGD: return "sgd";
    case ACTC_OPTIMIZER_ADAM: return "adam";
    case ACTC_OPTIMIZER_ADAMW: return "adamw";
    }
    return "unknown";
}

actc_checkpoint_position actc_checkpoint_position_default(void)
{
    return (actc_checkpoint_position){.size = sizeof(actc_checkpoint_position), .schedule_best = (double)INFINITY};
}

/* The caller's position, or NULL for the default. */
static actc_status take_position(actc_context *context, const actc_checkpoint_position *position, actc_checkpoint_position *out)
{
    const actc_checkpoint_position defaults = actc_checkpoint_position_default();
    return actc_take_options(context, "actc_checkpoint_position", position ? position : &defaults, sizeof defaults, &defaults, out);
}

/* ---- metadata ---- */

#define MAX_PAIRS 20

struct metadata {
    actc_safetensors_pair pairs[MAX_PAIRS];
    char texts[MAX_PAIRS][24];
    size_t count;
};

static void put_text(struct metadata *metadata, const char *key, const char *value)
{
    metadata->pairs[metadata->count++] = (actc_safetensors_pair){key, value};
}

static void put_number(struct metadata *metadata, const char *key, uint64_t value)
{
    char *text = metadata->texts[metadata->count];
    snprintf(text, sizeof metadata->texts[0], "%" PRIu64, value);
    put_text(metadata, key, text);
}

static void put_double(struct metadata *metadata, const char *key, double value)
{
    char *text = metadata->texts[metadata->count];
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    snprintf(text, sizeof metadata->texts[0], "%016" PRIx64, bits);
    put_text(metadata, key, text);
}

static void put_checksum(struct metadata *metadata, uint32_t sum)
{
    char *text = metadata->texts[metadata->count];
    snprintf(text, sizeof metadata->texts[0], "%08" PRIx32, sum);
    put_text(metadata, ACTC_SAFETENSORS_CHECKSUM, text);
}

static actc_status bad_metadata(actc_context *context, const char *path, const char *key, const char *value)
{
    return actc_fail(context, ACTC_ERROR_CORRUPT, "%s is damaged: its metadata \"%s\" is %s%.40s%s", path, key,
                     value ? "\"" : "", value ? value : "missing", value ? "\"" : "");
}

static actc_status get_number(actc_context *context, const actc_safetensors *file, const char *path, const char *key,
                              int64_t *value)
{
    const char *text = actc_safetensors_metadata(file, key);
    if (!text || !actc_parse_int64(text, value) || *value < 0)
        return bad_metadata(context, path, key, text);
    return ACTC_OK;
}

static actc_status get_double(actc_context *context, const actc_safetensors *file, const char *path, const char *key,
                              double *value)
{
    const char *text = actc_safetensors_metadata(file, key);
    if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return bad_metadata(context, path, key, text);
    uint64_t bits = strtoull(text, NULL, 16);
    memcpy(value, &bits, sizeof *value);
    return ACTC_OK;
}

/* ---- save ---- */

/* Fills the entries of PyTorch's counters of training batches; `step` is the value of each. Returns their number; entries NULL:
 * nothing is filled. */
static size_t add_counters(const actc_network *network, actc_safetensors_entry *entries, const int64_t *step)
{
    size_t count = 0;
    for (const char *name; (name = actc_network_counter(network, count)) != NULL; count++)
        if (entries)
            entries[count] = (actc_safetensors_entry){.name = name, .integers = step};
    return count;
}

/* Adds the checksum to the metadata. Counters come first: 8-byte values must lie at multiples of 8 for some readers. */
static actc_status save(actc_network *network, const char *path, unsigned kinds, bool counters, struct metadata *metadata)
{
    actc_context *context = actc_network_context(network);
    size_t first = counters ? add_counters(network, NULL, NULL) : 0, count = first;
    size_t states = first + actc_network_state_count(network);
    const int64_t step = (int64_t)actc_network_step(network);
    uint64_t elements = 0;
    actc_safetensors_entry *entries = actc_calloc(states, sizeof *entries);
    size_t *indices = actc_calloc(states, sizeof *indices);
    float *values = NULL;
    actc_status status = entries && indices ? ACTC_OK : actc_out_of_memory(context, states * sizeof *entries, "a checkpoint");
    if (counters && status == ACTC_OK)
        add_counters(network, entries, &step);
    for (size_t i = 0; i < actc_network_state_count(network) && status == ACTC_OK; i++) {
        actc_state_info info = {.size = sizeof info};
        status = actc_network_state_info(network, i, &info);
        if (status != ACTC_OK || !(kinds & 1u << info.kind))
            continue;
        indices[count] = i;
        entries[count++] = (actc_safetensors_entry){.name = info.name, .shape = info.shape};
        elements += (uint64_t)actc_shape_elements(&info.shape);
    }
    if (status == ACTC_OK) {
        values = actc_malloc(elements * sizeof *values);
        if (!values)
            status = actc_out_of_memory(context, elements * sizeof *values, "a checkpoint");
    }
    float *next = values;
    for (size_t i = first; i < count && status == ACTC_OK; i++) {
        status = actc_network_read_state(network, indices[i], next);
        entries[i].values = next;
        next += actc_shape_elements(&entries[i].shape);
    }
    if (status == ACTC_OK) {
        put_checksum(metadata, actc_safetensors_checksum_of(entries, count, metadata->pairs, metadata->count));
        status = actc_safetensors_write(context, path, entries, count, metadata->pairs, metadata->count);
    }
    actc_free(values);
    actc_free(indices);
    actc_free(entries);
    return status;
}

actc_status actc_network_save_parameters(actc_network *network, const char *path)
{
    ACTC_OWN_MODES;
    if (!network)
        return ACTC_ERROR_INVALID_ARGUMENT;
    struct metadata metadata = {.count = 0};
    put_text(&metadata, "format", FORMAT_PARAMETERS);
    put_text(&metadata, "network", actc_network_name(network));
    put_number(&metadata, "step", actc_network_step(network));
    return save(network, path, KINDS_PARAMETERS, true, &metadata);
}

actc_status actc_network_save_checkpoint(actc_network *network, const char *path, const actc_checkpoint_position *position)
{
    ACTC_OWN_MODES;
    if (!network)
        return ACTC_ERROR_INVALID_ARGUMENT;
    actc_context *context = actc_network_context(network);
    actc_checkpoint_position p;
    ACTC_RETURN_IF_ERROR(take_position(context, position, &p));
    if (p.epoch > INT64_MAX || p.index < 0 || p.schedule_bad_epochs < 0 || p.schedule_reductions < 0)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "checkpoint position: epoch %" PRIu64 ", batch %" PRId64
                         ", %" PRId64 " bad epochs, %" PRId64 " reductions: none may be below 0",
                         p.epoch, p.index, p.schedule_bad_epochs, p.schedule_reductions);
    int pending = actc_network_pending(network);
    struct metadata metadata = {.count = 0};
    put_text(&metadata, "format", ACTC_FORMAT_CHECKPOINT);
    put_text(&metadata, "version", VERSION);
    put_text(&metadata, "network", actc_network_name(network));
    put_text(&metadata, "optimizer", optimizer_name(actc_network_optimizer(network)));
    if (p.run)
        put_text(&metadata, "run", p.run);
    put_number(&metadata, "step", actc_network_step(network));
    put_number(&metadata, "updates", actc_network_updates(network));
    put_number(&metadata, "pending", (uint64_t)pending);
    put_number(&metadata, "accumulate", (uint64_t)actc_network_accumulate(network));
    put_number(&metadata, "epoch", p.epoch);
    put_number(&metadata, "index", (uint64_t)p.index);
    put_double(&metadata, "loss_sum", p.loss_sum);
    put_double(&metadata, "schedule_best", p.schedule_best);
    put_number(&metadata, "schedule_bad_epochs", (uint64_t)p.schedule_bad_epochs);
    put_number(&metadata, "schedule_reductions", (uint64_t)p.schedule_reductions);
    return save(network, path, pending ? KINDS_CHECKPOINT | KINDS_GRADIENTS : KINDS_CHECKPOINT, false, &metadata);
}

/* ---- load ---- */

static actc_status name_extra(actc_network *network, const actc_safetensors *file, const char *path, unsigned kinds)
{
    actc_context *context = actc_network_context(network);
    for (size_t i = 0; i < actc_safetensors_count(file); i++) {
        const char *name;
        bool known = false;
        ACTC_RETURN_IF_ERROR(actc_safetensors_get(file, i, &name, NULL, NULL));
        for (size_t j = 0; j < actc_network_state_count(network) && !known; j++) {
            actc_state_info info = {.size = sizeof info};
            ACTC_RETURN_IF_ERROR(actc_network_state_info(network, j, &info));
            known = (kinds & 1u << info.kind) && strcmp(info.name, name) == 0;
        }
        if (!known)
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "%s holds a tensor \"%s\", which network %s has not", path, name,
                             actc_network_name(network));
    }
    return actc_fail(context, ACTC_ERROR_INTERNAL, "%s: network %s names a state twice", path, actc_network_name(network));
}

/* Every state of these kinds is in the file with its shape; nothing else that can be read is, unless `extra`. */
static actc_status check_states(actc_network *network, const actc_safetensors *file, const char *path, unsigned kinds,
                                bool extra)
{
    actc_context *context = actc_network_context(network);
    size_t wanted = 0;
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        ACTC_RETURN_IF_ERROR(actc_network_state_info(network, i, &info));
        if (!(kinds & 1u << info.kind))
            continue;
        wanted++;
        size_t index;
        actc_shape shape;
        actc_status found = actc_safetensors_find(file, info.name, &index);
        if (found != ACTC_OK && found != ACTC_ERROR_NOT_FOUND)
            return found;
        if (found != ACTC_OK)
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "%s holds no tensor \"%s\", which network %s needs", path,
                             info.name, actc_network_name(network));
        ACTC_RETURN_IF_ERROR(actc_safetensors_get(file, index, NULL, &shape, NULL));
        bool same = shape.ndim == info.shape.ndim;
        for (int d = 0; d < info.shape.ndim && same; d++)
            same = shape.dims[d] == info.shape.dims[d];
        if (!same) {
            char present[96], needed[96];
            return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "%s: tensor \"%s\" is %s, network %s needs %s", path, info.name,
                             actc_shape_text(&shape, present), actc_network_name(network), actc_shape_text(&info.shape, needed));
        }
    }
    if (wanted != actc_safetensors_count(file) && !extra)
        return name_extra(network, file, path, kinds);
    return ACTC_OK;
}

static actc_status write_states(actc_network *network, const actc_safetensors *file, unsigned kinds)
{
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info = {.size = sizeof info};
        ACTC_RETURN_IF_ERROR(actc_network_state_info(network, i, &info));
        if (!(kinds & 1u << info.kind))
            continue;
        size_t index;
        const float *values;
        ACTC_RETURN_IF_ERROR(actc_safetensors_find(file, info.name, &index));
        ACTC_RETURN_IF_ERROR(actc_safetensors_get(file, index, NULL, NULL, &values));
        ACTC_RETURN_IF_ERROR(actc_network_write_state(network, i, values));
    }
    return ACTC_OK;
}

actc_status actc_safetensors_check_sum(actc_context *context, const actc_safetensors *file, const char *path)
{
    const char *text = actc_safetensors_metadata(file, ACTC_SAFETENSORS_CHECKSUM);
    if (!text)
        return ACTC_OK;
    if (strlen(text) != 8 || strspn(text, "0123456789abcdef") != 8)
        return bad_metadata(context, path, ACTC_SAFETENSORS_CHECKSUM, text);
    uint32_t sum = actc_safetensors_checksum(file);
    if (sum != (uint32_t)strtoul(text, NULL, 16))
        return actc_fail(context, ACTC_ERROR_CORRUPT, "%s is damaged: it was written with checksum %s, what it holds has %08" PRIx32,
                         path, text, sum);
    return ACTC_OK;
}

static bool metadata_is(const actc_safetensors *file, const char *key, const char *value)
{
    const char *text = actc_safetensors_metadata(file, key);
    return text && strcmp(text, value) == 0;
}

actc_status actc_network_load_parameters(actc_network *network, const char *path)
{
    ACTC_OWN_MODES;
    if (!network)
        return ACTC_ERROR_INVALID_ARGUMENT;
    actc_safetensors *file;
    ACTC_RETURN_IF_ERROR(actc_safetensors_open(actc_network_context(network), path, &file));
    actc_status status = actc_safetensors_check_sum(actc_network_context(network), file, path);
    if (status == ACTC_OK)
        status = check_states(network, file, path, KINDS_PARAMETERS, metadata_is(file, "format", ACTC_FORMAT_CHECKPOINT));
    if (status == ACTC_OK)
        status = write_states(network, file, KINDS_PARAMETERS);
    actc_safetensors_destroy(&file);
    return status;
}

struct counters {
    int64_t step, updates, pending, epoch;
    int64_t accumulate; /* 0: not in the file */
};

static actc_status check_version(actc_context *context, const actc_safetensors *file, const char *path, bool *checked)
{
    const char *version = actc_safetensors_metadata(file, "version");
    *checked = metadata_is(file, "version", VERSION);
    if (!*checked && !metadata_is(file, "version", VERSION_UNCHECKED))
        return actc_fail(context, ACTC_ERROR_UNSUPPORTED,
                         "%s is a checkpoint of version \"%.40s\", this library reads \"" VERSION_UNCHECKED "\" and \"" VERSION "\"",
                         path, version ? version : "");
    if (*checked && !actc_safetensors_metadata(file, ACTC_SAFETENSORS_CHECKSUM))
        return bad_metadata(context, path, ACTC_SAFETENSORS_CHECKSUM, NULL);
    if (!*checked)
        actc_log_message(context, ACTC_LOG_WARNING, "%s is a checkpoint of version " VERSION_UNCHECKED
                         ", which has no checksum: damage to its values would not be seen", path);
    return ACTC_OK;
}

static actc_status check_run(actc_context *context, const actc_safetensors *file, const char *path, const char *run)
{
    const char *found = actc_safetensors_metadata(file, "run");
    if (!found)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "%s is a checkpoint that names no run, not one of \"%.350s\"", path,
                         run);
    if (strcmp(found, run) != 0)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "%s is a checkpoint of another run: of \"%.350s\", not of \"%.350s\"", path, found, run);
    return ACTC_OK;
}

/* Reads all that is not a tensor. */
static actc_status load_metadata(actc_network *network, const actc_safetensors *file, const char *path, struct counters *c,
                                 actc_checkpoint_position *p)
{
    actc_context *context = actc_network_context(network);
    const char *format = actc_safetensors_metadata(file, "format");
    bool checked;
    if (!format || strcmp(format, ACTC_FORMAT_CHECKPOINT) != 0)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "%s is no checkpoint of actc: its format is \"%.40s\", not \"%s\"", path,
                         format ? format : "", ACTC_FORMAT_CHECKPOINT);
    ACTC_RETURN_IF_ERROR(check_version(context, file, path, &checked));
    const char *name = actc_safetensors_metadata(file, "network"), *optimizer = actc_safetensors_metadata(file, "optimizer");
    if (!name || strcmp(name, actc_network_name(network)) != 0)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "%s is a checkpoint of network \"%.80s\", not of \"%s\"", path,
                         name ? name : "", actc_network_name(network));
    const char *wanted = optimizer_name(actc_network_optimizer(network));
    if (!optimizer || strcmp(optimizer, wanted) != 0)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "%s holds the state of optimiser \"%.40s\", not of \"%s\"", path,
                         optimizer ? optimizer : "", wanted);
    if (p->run && checked)
        ACTC_RETURN_IF_ERROR(check_run(context, file, path, p->run));
    ACTC_RETURN_IF_ERROR(get_number(context, file, path, "step", &c->step));
    ACTC_RETURN_IF_ERROR(get_number(context, file, path, "updates", &c->updates));
    ACTC_RETURN_IF_ERROR(get_number(context, file, path, "pending", &c->pending));
    c->accumulate = 0;
    if (checked)
        ACTC_RETURN_IF_ERROR(get_number(context, file, path, "accumulate", &c->accumulate));
    ACTC_RETURN_IF_ERROR(get_number(context, file, path, "epoch", &c->epoch));
    p->epoch = (uint64_t)c->epoch;
    ACTC_RETURN_IF_ERROR(get_number(context, file, path, "index", &p->index));
    ACTC_RETURN_IF_ERROR(get_double(context, file, path, "loss_sum", &p->loss_sum));
    ACTC_RETURN_IF_ERROR(get_double(context, file, path, "schedule_best", &p->schedule_best));
    ACTC_RETURN_IF_ERROR(get_number(context, file, path, "schedule_bad_epochs", &p->schedule_bad_epochs));
    ACTC_RETURN_IF_ERROR(get_number(context, file, path, "schedule_reductions", &p->schedule_reductions));
    return ACTC_OK;
}

/* Batches that wait for an update were accumulated towards the same number; version 1 did not say which, and had no update
 * before it was reached. */
static actc_status check_accumulated(const actc_network *network, const char *path, const struct counters *c)
{
    actc_context *context = actc_network_context(network);
    int accumulate = actc_network_accumulate(network);
    if (c->accumulate && c->pending && c->accumulate != accumulate)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "%s was saved with %" PRId64 " of %" PRId64 " batches accumulated, this network accumulates %d", path,
                         c->pending, c->accumulate, accumulate);
    if (!c->accumulate && c->pending != c->step % accumulate)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT,
                         "%s was saved with %" PRId64 " batches accumulated, this network would have %" PRId64 " at step %" PRId64
                         ": `accumulate` differs", path, c->pending, c->step % accumulate, c->step);
    return ACTC_OK;
}

/* What a network accumulated before it took a state in which nothing is pending. */
static actc_status clear_gradients(actc_network *network)
{
    actc_status status = ACTC_OK;
    for (size_t i = 0; i < actc_network_state_count(network) && status == ACTC_OK; i++) {
        actc_state_info info = {.size = sizeof info};
        ACTC_RETURN_IF_ERROR(actc_network_state_info(network, i, &info));
        if (info.kind != ACTC_STATE_GRADIENT)
            continue;
        size_t elements = (size_t)actc_shape_elements(&info.shape);
        float *zeros = actc_calloc(elements, sizeof *zeros);
        status = zeros ? actc_network_write_state(network, i, zeros)
                       : actc_out_of_memory(actc_network_context(network), elements * sizeof *zeros, "a gradient");
        actc_free(zeros);
    }
    return status;
}

/* Sets the counters first: of all that is written they alone can turn out not to fit the network's options. */
static actc_status apply(actc_network *network, const actc_safetensors *file, const char *path, const struct counters *c,
                         unsigned kinds)
{
    ACTC_RETURN_IF_ERROR(check_accumulated(network, path, c));
    bool stale = actc_network_pending(network) && !c->pending;
    if (c->pending > INT_MAX ||
        actc_network_set_step(network, (uint64_t)c->step, (uint64_t)c->updates, (int)c->pending) != ACTC_OK)
        return actc_fail(actc_network_context(network), ACTC_ERROR_CORRUPT,
                         "%s is damaged: step %" PRId64 " with %" PRId64 " updates and %" PRId64 " batches pending of %d", path,
                         c->step, c->updates, c->pending, actc_network_accumulate(network));
    if (stale)
        ACTC_RETURN_IF_ERROR(clear_gradients(network));
    return write_states(network, file, kinds);
}

actc_status actc_network_load_checkpoint(actc_network *network, const char *path, actc_checkpoint_position *position)
{
    ACTC_OWN_MODES;
    if (!network)
        return ACTC_ERROR_INVALID_ARGUMENT;
    actc_context *context = actc_network_context(network);
    actc_checkpoint_position given, loaded = actc_checkpoint_position_default();
    ACTC_RETURN_IF_ERROR(take_position(context, position, &given));
    loaded.run = given.run;
    actc_safetensors *file;
    actc_status status = actc_safetensors_open(context, path, &file);
    if (status == ACTC_ERROR_UNSUPPORTED) /* of another type or with more dimensions than a checkpoint's tensors have */
        status = actc_fail(context, ACTC_ERROR_CORRUPT, "%s is damaged or no checkpoint: %s", path, actc_error_message(context));
    if (status != ACTC_OK)
        return status;
    struct counters counters;
    status = actc_safetensors_check_sum(context, file, path);
    if (status == ACTC_OK)
        status = load_metadata(network, file, path, &counters, &loaded);
    if (status == ACTC_OK) {
        unsigned kinds = counters.pending ? KINDS_CHECKPOINT | KINDS_GRADIENTS : KINDS_CHECKPOINT;
        status = check_states(network, file, path, kinds, false);
        if (status == ACTC_OK)
            status = apply(network, file, path, &counters, kinds);
    }
    actc_safetensors_destroy(&file);
    if (status == ACTC_OK && position)
        status = actc_give_info(context, "actc_checkpoint_position", position, sizeof loaded, &loaded);
    return status;
}
