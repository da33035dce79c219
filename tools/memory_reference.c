/* memory_reference.c: what the code of Vu et al. (TMLR 2024) has allocated right after a forward pass, by its layers' shapes.
 *
 * PyTorch's layers save: convolution, linear layer, batch norm, average pool, SiLU their input; ReLU, sigmoid their output; products
 * both inputs; max-pool its input and an int64 index for each output; batch norm two vectors; layer norm its input and two numbers a row; GELU its input, softmax
 * its output; dropout a byte an element; attention, written out, copies of q, k and v, the softmax, its mask, and what is left of it. A map that several save is in memory once. The reference hooks
 * what the layers it compresses save: each save becomes a payload of its own, of a float32 and an int64 index a kept value, and
 * the map stays as well where a layer outside (a shortcut, a pool) saves it.
 */
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory_table.h"

enum { PAYLOAD_BYTES = 12, NO_STORAGE = -1 };

typedef enum layer_saves {
    SAVES_NOTHING,
    SAVES_INPUT,
    SAVES_BOTH_INPUTS,
    SAVES_OUTPUT,
    SAVES_MASK,
    SAVES_INPUT_AND_ROWS,
    SAVES_ATTENTION,
    SAVES_INPUT_AND_INDEX,
    SAVES_INPUT_AND_STATISTICS
} layer_saves;

static const struct {
    const char *kind;
    layer_saves saves;
} known_kinds[] = {
    {"conv", SAVES_INPUT},
    {"linear", SAVES_INPUT},
    {"avgpool", SAVES_INPUT},
    {"bn", SAVES_INPUT_AND_STATISTICS},
    {"pool", SAVES_INPUT_AND_INDEX},
    {"relu", SAVES_OUTPUT},
    {"sigmoid", SAVES_OUTPUT},
    {"silu", SAVES_INPUT},
    {"mul", SAVES_BOTH_INPUTS},
    {"ln", SAVES_INPUT_AND_ROWS},
    {"gelu", SAVES_INPUT},
    {"attention", SAVES_ATTENTION},
    {"parameter", SAVES_NOTHING},
    {"slice", SAVES_NOTHING},
    {"patchify", SAVES_NOTHING},
    {"dropout", SAVES_MASK},
    {"scale", SAVES_NOTHING}, /* by a number */
    {"pad", SAVES_NOTHING},
    {"resize", SAVES_NOTHING},
    {"pixel_shuffle", SAVES_NOTHING},
    {"add", SAVES_NOTHING},
    {"concat", SAVES_NOTHING},
    {"flatten", SAVES_NOTHING},
    {"loss", SAVES_NOTHING},
    {"metric", SAVES_NOTHING},
};

/* Shapes are for one sample. Storages: those of the inputs first, then one a layer, which a flattened map does not use. */
typedef struct layer {
    char *path;
    layer_saves saves;
    bool is_loss;
    int64_t parameters, channels, elements;
    int input, second, output; /* storages */
} layer;

struct memory_reference {
    layer *layers;
    size_t count;
    memory_reference_form form;
    int inputs;
    int64_t *input_elements; /* 0: a target */
    bool *dense;             /* for counting: by storage, whether it is counted already */
};

static bool matches(const char *globs, const char *path, int flags)
{
    char glob[64];
    for (const char *p = globs; p && *p; p += strcspn(p, ","), p += *p == ',') {
        snprintf(glob, sizeof glob, "%.*s", (int)strcspn(p, ","), p);
        if (fnmatch(glob, path, flags) == 0)
            return true;
    }
    return false;
}

static int64_t elements_of(const actc_shape *shape)
{
    int64_t elements = 1;
    for (int d = 0; d < shape->ndim; d++)
        elements *= shape->dims[d];
    return elements;
}

static int storage_of(const memory_reference *reference, const actc_graph *graph, const char *name)
{
    for (size_t i = reference->count; name && i-- > 0;)
        if (strcmp(reference->layers[i].path, name) == 0)
            return reference->layers[i].output;
    for (int i = 0; name && i < reference->inputs; i++) {
        actc_input_info info = {.size = sizeof info};
        if (actc_graph_input_info(graph, (size_t)i, &info) == ACTC_OK && strcmp(info.name, name) == 0)
            return i;
    }
    return NO_STORAGE;
}

static bool take_layer(memory_reference *reference, const actc_graph *graph, size_t index, const char **unknown)
{
    actc_operator_info info = {.size = sizeof info};
    if (actc_graph_operator_info(graph, index, &info) != ACTC_OK)
        return false;
    layer *l = &reference->layers[index];
    size_t kind = 0, kinds = sizeof known_kinds / sizeof *known_kinds;
    while (kind < kinds && strcmp(known_kinds[kind].kind, info.kind) != 0)
        kind++;
    if (kind == kinds) {
        *unknown = info.kind;
        return false;
    }
    *l = (layer){.path = strdup(info.path), .saves = known_kinds[kind].saves, .parameters = info.parameters,
                 .channels = info.shape.ndim > 1 ? info.shape.dims[1] : 0, .elements = elements_of(&info.shape),
                 .is_loss = strcmp(info.kind, "loss") == 0, .output = reference->inputs + (int)index};
    l->input = storage_of(reference, graph, actc_graph_operator_input(graph, index, 0));
    if (strcmp(info.kind, "parameter") == 0) /* it has none */
        l->input = l->output;
    if (l->saves == SAVES_BOTH_INPUTS)
        l->second = storage_of(reference, graph, actc_graph_operator_input(graph, index, 1));
    if (strcmp(info.kind, "avgpool") == 0 && reference->form.pools_are_means)
        l->saves = SAVES_NOTHING;
    if (strcmp(info.kind, "relu") == 0 && matches(reference->form.relu6, info.path, 0))
        l->saves = SAVES_INPUT;
    if (strcmp(info.kind, "flatten") == 0)
        l->output = l->input;
    reference->count = index + 1;
    return l->path && l->input != NO_STORAGE && l->second != NO_STORAGE;
}

memory_reference *memory_reference_create(const actc_graph *graph, const memory_reference_form *form, const char **unknown)
{
    size_t count = actc_graph_operator_count(graph), inputs = actc_graph_input_count(graph);
    memory_reference *reference = calloc(1, sizeof *reference);
    *unknown = NULL;
    if (!reference)
        return NULL;
    reference->layers = calloc(count ? count : 1, sizeof *reference->layers);
    reference->input_elements = calloc(inputs ? inputs : 1, sizeof *reference->input_elements);
    reference->inputs = (int)inputs;
    if (form)
        reference->form = *form;
    reference->dense = calloc(count + inputs + 1, sizeof *reference->dense);
    bool good = reference->layers && reference->input_elements && reference->dense;
    for (size_t i = 0; good && i < inputs; i++) {
        actc_input_info info = {.size = sizeof info};
        good = actc_graph_input_info(graph, i, &info) == ACTC_OK;
        if (good && info.dtype == ACTC_F32)
            reference->input_elements[i] = elements_of(&info.shape);
    }
    for (size_t i = 0; good && i < count; i++)
        good = take_layer(reference, graph, i, unknown);
    if (!good)
        memory_reference_destroy(&reference);
    return reference;
}

void memory_reference_destroy(memory_reference **reference)
{
    if (!*reference)
        return;
    for (size_t i = 0; (*reference)->layers && i < (*reference)->count; i++)
        free((*reference)->layers[i].path);
    free((*reference)->layers);
    free((*reference)->input_elements);
    free((*reference)->dense);
    free(*reference);
    *reference = NULL;
}

/* ---- counting ---- */

/* The layer as the network was built that the reference measured. */
static const layer *built(const memory_reference *reference, const memory_reference_rules *rules, size_t index)
{
    const layer *l = &reference->layers[index];
    bool other = rules->stand_in && index < rules->stand_in->count && !matches(rules->built, l->path, 0);
    return other ? &rules->stand_in->layers[index] : l;
}

typedef struct counted {
    const memory_reference *reference;
    const memory_reference_rules *rules;
    uint64_t batch, bytes;
} counted;

static uint64_t storage_elements(const counted *c, int storage)
{
    int inputs = c->reference->inputs;
    int64_t elements = storage < inputs ? c->reference->input_elements[storage]
                                        : built(c->reference, c->rules, (size_t)(storage - inputs))->elements;
    return c->batch * (uint64_t)elements;
}

static void keep(counted *c, int storage)
{
    if (!c->reference->dense[storage])
        c->bytes += sizeof(float) * storage_elements(c, storage);
    c->reference->dense[storage] = true;
}

static void save(counted *c, int storage, bool compressed)
{
    if (compressed)
        c->bytes += PAYLOAD_BYTES * (uint64_t)((double)storage_elements(c, storage) / c->rules->lambda);
    else
        keep(c, storage);
}

/* Of memory of its own, that nobody else saves. */
static void save_own(counted *c, int64_t elements, bool compressed)
{
    const uint64_t n = c->batch * (uint64_t)elements;
    c->bytes += compressed ? PAYLOAD_BYTES * (uint64_t)((double)n / c->rules->lambda) : sizeof(float) * n;
}

static void save_attention(counted *c, const layer *l, bool compressed)
{
    const int64_t scores = c->reference->form.heads * l->channels * l->channels; /* channels: tokens of (tokens, features) */
    for (int i = 0; i < 3; i++)
        save_own(c, l->elements, compressed);
    for (int i = 0; i < 2; i++)
        save_own(c, scores, compressed);
    c->bytes += c->batch * (uint64_t)scores;
}

static void count_layer(counted *c, const layer *l)
{
    bool compressed = matches(c->rules->layers, l->path, c->rules->any_depth ? 0 : FNM_PATHNAME);
    c->bytes += sizeof(float) * (uint64_t)l->parameters;
    if (l->saves == SAVES_OUTPUT)
        save(c, l->output, compressed);
    else if (l->saves == SAVES_ATTENTION)
        save_attention(c, l, compressed);
    else if (l->saves == SAVES_MASK)
        c->bytes += c->batch * (uint64_t)l->elements;
    else if (l->saves != SAVES_NOTHING)
        save(c, l->input, compressed);
    if (l->saves == SAVES_BOTH_INPUTS)
        save(c, l->second, compressed);
    if (l->saves == SAVES_INPUT_AND_INDEX)
        c->bytes += sizeof(int64_t) * c->batch * (uint64_t)l->elements;
    if (l->saves == SAVES_INPUT_AND_ROWS)
        c->bytes += 2 * sizeof(float) * c->batch * (uint64_t)l->channels;
    if (l->saves == SAVES_INPUT_AND_STATISTICS) /* of the batch and running ones, and PyTorch's counter of batches */
        c->bytes += 4 * sizeof(float) * (uint64_t)l->channels + sizeof(int64_t);
    if (l->is_loss)
        keep(c, l->input); /* the network's output */
}

uint64_t memory_reference_bytes(const memory_reference *reference, int64_t batch, const memory_reference_rules *rules)
{
    counted c = {.reference = reference, .rules = rules, .batch = (uint64_t)batch};
    memset(reference->dense, 0, ((size_t)reference->inputs + reference->count) * sizeof *reference->dense);
    for (int i = 0; i < reference->inputs; i++)
        keep(&c, i);
    for (size_t i = 0; i < reference->count; i++)
        count_layer(&c, built(reference, rules, i));
    return c.bytes;
}
