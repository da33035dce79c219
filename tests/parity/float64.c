/* float64.c: a backend that computes in float64, on the host. */
#include "float64.h"

#include <stdlib.h>
#include <string.h>

#include "reference.h"

typedef struct float64_device {
    actc_device base;
    uint32_t limit;
} float64_device;

struct actc_buffer {
    reference_view words;
    uint64_t bytes;
};

struct actc_executable {
    const actc_program *program;
    actc_buffer *const *buffers;
};

static bool make_view(reference_view *view, size_t words)
{
    *view = (reference_view){words, calloc(words + 1, sizeof(double)), calloc(words + 1, sizeof(double)),
                             calloc(words + 1, sizeof(uint32_t))};
    return view->value && view->error && view->bits;
}

static void free_view(reference_view *view)
{
    free(view->value);
    free(view->error);
    free(view->bits);
    *view = (reference_view){0};
}

/* ---- memory ---- */

static void close_device(actc_device *device)
{
    free(device);
}

static void buffer_destroy(actc_device *device, actc_buffer *buffer)
{
    if (!buffer)
        return;
    device->allocated_bytes -= buffer->bytes;
    free_view(&buffer->words);
    free(buffer);
}

static actc_status buffer_create(actc_device *device, uint64_t bytes, actc_buffer **out)
{
    actc_buffer *buffer = calloc(1, sizeof *buffer);
    *out = NULL;
    if (!buffer || !make_view(&buffer->words, (size_t)(bytes / 4))) {
        if (buffer)
            free_view(&buffer->words);
        free(buffer);
        return actc_fail(device->context, ACTC_ERROR_OUT_OF_MEMORY, "float64: out of memory: a buffer of %llu bytes in float64",
                         (unsigned long long)bytes);
    }
    buffer->bytes = bytes;
    device->allocated_bytes += bytes;
    *out = buffer;
    return ACTC_OK;
}

static actc_status upload(actc_device *device, actc_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes)
{
    reference_view *to = &buffer->words;
    (void)device;
    if (!bytes)
        return ACTC_OK;
    memcpy((char *)to->bits + offset, source, (size_t)bytes);
    for (size_t i = (size_t)(offset / 4); i < (offset + bytes + 3) / 4; i++)
        reference_set_word(to, i, to->bits[i]);
    return ACTC_OK;
}

static actc_status download(actc_device *device, actc_buffer *buffer, uint64_t offset, void *target, uint64_t bytes)
{
    (void)device;
    if (bytes)
        memcpy(target, (const char *)buffer->words.bits + offset, (size_t)bytes);
    return ACTC_OK;
}

/* ---- commands ---- */

static bool supports(actc_device *device, const actc_command *command, char *why, size_t why_size)
{
    (void)device;
    if (reference_has(command))
        return true;
    if (command->type == ACTC_COMMAND_KERNEL)
        snprintf(why, why_size, "kernel %s has no reference in float64", actc_kernel_infos[command->u.kernel.id].name);
    else
        snprintf(why, why_size, "codecs are not computed in float64");
    return false;
}

/* A gemm leaves alone what lies between the rows of its result. */
static bool reads(const actc_command *command, uint32_t view)
{
    return command->access[view] != 'w' || command->type == ACTC_COMMAND_GEMM;
}

static void load(const actc_buffer *buffer, const actc_command *command, uint32_t index, reference_view *view)
{
    const size_t first = (size_t)(command->views[index].offset / 4);
    for (size_t i = 0; i < view->words; i++) {
        if (reads(command, index))
            reference_move(&buffer->words, first + i, view, i);
        else
            view->error[i] = REFERENCE_UNTOUCHED;
    }
}

/* Takes over what a command has written. Where it wrote bits, the value is theirs, unless they are decisions that are open;
 * where it wrote a float, the bits are those of the nearest one. */
static void store(actc_buffer *buffer, const actc_command *command, uint32_t index, const reference_view *view)
{
    const size_t first = (size_t)(command->views[index].offset / 4);
    const bool kept = reads(command, index);
    reference_view *to = &buffer->words;
    for (size_t i = 0; i < view->words; i++) {
        const size_t at = first + i;
        const bool bits = view->bits[i] != (kept ? to->bits[at] : 0);
        const bool number = !kept || memcmp(&view->value[i], &to->value[at], sizeof(double)) || view->error[i] != to->error[at];
        if (view->error[i] == REFERENCE_UNTOUCHED || (bits && !number)) {
            reference_set_word(to, at, view->bits[i]);
        } else if (number) {
            reference_move(view, i, to, at);
            if (!bits && view->error[i] < INFINITY) {
                const float nearest = (float)view->value[i];
                memcpy(&to->bits[at], &nearest, sizeof nearest);
            }
        }
    }
}

static actc_status run_command(actc_device *device, const actc_command *command, actc_buffer *const *buffers)
{
    reference_view views[ACTC_MAX_VIEWS] = {{0}};
    bool good = true;
    for (uint32_t v = 0; v < command->n_views; v++) {
        good &= make_view(&views[v], (size_t)((command->views[v].bytes + 3) / 4));
        if (good && views[v].words)
            load(buffers[command->views[v].buffer], command, v, &views[v]);
    }
    good = good && reference_command(command, views);
    for (uint32_t v = 0; v < command->n_views; v++) {
        if (good && views[v].words && command->access[v] != 'r')
            store(buffers[command->views[v].buffer], command, v, &views[v]);
        free_view(&views[v]);
    }
    return good ? ACTC_OK : actc_fail(device->context, ACTC_ERROR_OUT_OF_MEMORY, "float64: %s: out of memory", command->label);
}

/* ---- programs ---- */

static actc_status prepare(actc_device *device, const actc_program *program, actc_buffer *const *buffers, uint32_t n_buffers,
                           actc_executable **out)
{
    (void)n_buffers;
    for (uint32_t i = 0; i < program->n_commands; i++) {
        char why[128];
        if (!supports(device, &program->commands[i], why, sizeof why))
            return actc_fail(device->context, ACTC_ERROR_UNSUPPORTED, "%s: %s", program->commands[i].label, why);
    }
    *out = calloc(1, sizeof **out);
    if (!*out)
        return actc_fail(device->context, ACTC_ERROR_OUT_OF_MEMORY, "float64: out of memory");
    **out = (actc_executable){program, buffers};
    return ACTC_OK;
}

static void executable_destroy(actc_device *device, actc_executable *executable)
{
    (void)device;
    free(executable);
}

static actc_status run(actc_device *device, actc_executable *executable)
{
    const actc_program *program = executable->program;
    const uint32_t limit = ((float64_device *)device)->limit;
    for (uint32_t i = 0; i < program->n_commands && (!limit || i < limit); i++)
        ACTC_RETURN_IF_ERROR(run_command(device, &program->commands[i], executable->buffers));
    return ACTC_OK;
}

static uint32_t segments(const actc_executable *executable)
{
    return actc_program_segments(executable->program);
}

static const actc_backend float64_backend = {
    .name = "float64",
    .survives_fork = true,
    .close = close_device,
    .supports = supports,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .upload = upload,
    .download = download,
    .prepare = prepare,
    .executable_destroy = executable_destroy,
    .run = run,
    .segments = segments,
};

actc_status float64_open(actc_context *context, actc_device **out)
{
    float64_device *device = calloc(1, sizeof *device);
    *out = NULL;
    if (!device)
        return actc_fail(context, ACTC_ERROR_OUT_OF_MEMORY, "float64: out of memory");
    device->base = (actc_device){.backend = &float64_backend, .context = context,
                                 .info = {.spec = "float64", .backend = "float64", .name = "float64", .type = ACTC_DEVICE_CPU,
                                          .usable = true}};
    device->base.info.max_buffer_bytes = (uint64_t)PTRDIFF_MAX / ACTC_VIEW_ALIGNMENT * ACTC_VIEW_ALIGNMENT;
    device->base.info.max_binding_bytes = device->base.info.max_buffer_bytes;
    *out = &device->base;
    return ACTC_OK;
}

void float64_set_limit(actc_device *device, uint32_t commands)
{
    ((float64_device *)device)->limit = commands;
}

/* ---- reading ---- */

/* The first word of a range of a virtual buffer. */
static size_t word_of(const actc_network *network, uint32_t vbuf, uint64_t offset, reference_view **words)
{
    const actc_vbuf *v = &network->build->vbufs[vbuf];
    *words = &network->arenas[v->arena]->words;
    return (size_t)((v->offset + offset) / 4);
}

/* Element i of the host's order is word order[i] of the device's: n of them, found by rearranging their numbers, which a float
 * holds up to 2^24. NULL where memory has run out, or n is more. */
static float *order_of(const actc_parameter *parameter, const actc_shape *shape, size_t n)
{
    float *stored = n <= 1u << 24 ? malloc((n + 1) * sizeof *stored) : NULL, *order = malloc((n + 1) * sizeof *order);
    if (!stored || !order) {
        free(stored);
        free(order);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        stored[i] = (float)i;
    if (parameter)
        actc_relayout_parameter(parameter, stored, order, false);
    else
        actc_relayout_tensor(shape, stored, order);
    free(stored);
    return order;
}

static bool read_words(const reference_view *words, size_t first, float *order, size_t n, double *values, double *errors)
{
    for (size_t i = 0; order && i < n; i++) {
        values[i] = words->value[first + (size_t)order[i]];
        errors[i] = words->error[first + (size_t)order[i]];
    }
    const bool good = order != NULL;
    free(order);
    return good;
}

static size_t state_word(const actc_network *network, size_t index, reference_view **words)
{
    const actc_state_entry *entry = &network->states[index];
    return word_of(network, entry->vbuf, network->build->places[entry->parameter->id].offset, words);
}

bool float64_read_state(actc_network *network, size_t index, double *values, double *errors)
{
    const actc_parameter *parameter = network->states[index].parameter;
    const size_t n = (size_t)actc_shape_elements(&parameter->shape);
    reference_view *words;
    const size_t first = state_word(network, index, &words);
    return read_words(words, first, order_of(parameter, NULL, n), n, values, errors);
}

bool float64_read_output(actc_network *network, size_t index, double *values, double *errors)
{
    const actc_view view = network->build->outputs[network->last][index];
    actc_shape shape = network->build->shapes[network->last][network->graph->outputs[index]->id];
    if (shape.dims[0] > network->samples)
        shape.dims[0] = network->samples;
    const size_t n = (size_t)actc_shape_elements(&shape);
    reference_view *words;
    const size_t first = word_of(network, view.buffer, view.offset, &words);
    return read_words(words, first, order_of(NULL, &shape, n), n, values, errors);
}

double float64_result(const actc_network *network, uint32_t word, double *error)
{
    reference_view *words;
    const size_t at = word_of(network, network->build->v_result, 4 * (uint64_t)word, &words);
    if (error)
        *error = words->error[at];
    return words->value[at];
}

void float64_nudge(actc_network *network, size_t index, uint64_t element, double by)
{
    reference_view *words;
    const size_t at = state_word(network, index, &words);
    words->value[at + element] += by;
}

double float64_stored(const actc_network *network, size_t index, uint64_t element)
{
    reference_view *words;
    const size_t at = state_word(network, index, &words);
    return words->value[at + element];
}
