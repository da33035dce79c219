/* codec.c: codecs on plain buffers (actc/codec.h).
 *
 * A codec owns device buffers for what pack and unpack read and write, a step block, the tables and a workspace, and two
 * prepared programs of one command each. Codecs of the user's run on the host and have none of these.
 */
#include <string.h>

#include "../../backends/backend.h"
#include "../codec/codec_internal.h"
#include "../util/util.h"
#include "device.h"

/* Buffers of a codec, in the programs' numbering; sets of a benchmark follow. Unpack has its own payload and tensor, so
 * that what was packed last stays for the benchmark. */
enum {
    BUFFER_X,
    BUFFER_PAYLOAD,
    BUFFER_STEP,
    BUFFER_CONSTANTS,
    BUFFER_WORKSPACE,
    BUFFER_UNPACK_PAYLOAD,
    BUFFER_UNPACK_X,
    BUFFERS
};

struct actc_codec {
    actc_device *device;
    actc_codec_plan *plan;
    actc_buffer *buffers[BUFFERS];
    uint64_t bytes[BUFFERS];
    actc_command commands[2]; /* pack, unpack */
    actc_program programs[2];
    actc_executable *executables[2];
    bool packed; /* x and payload hold a tensor and its payload */
};

static actc_context *context_of(const actc_codec *codec)
{
    return codec->device->context;
}

static const actc_user_codec *user_of(const actc_codec *codec)
{
    return codec->plan->spec.kind == ACTC_CODEC_USER ? &codec->plan->spec.user->codec : NULL;
}

/* ---- making ---- */

static actc_view view_of(const actc_codec *codec, uint32_t buffer)
{
    return codec->bytes[buffer] ? (actc_view){.buffer = buffer, .bytes = codec->bytes[buffer]}
                                : (actc_view){.buffer = ACTC_NO_BUFFER};
}

static actc_command command_of(const actc_codec *codec, bool unpack)
{
    actc_command c = {.type = unpack ? ACTC_COMMAND_UNPACK : ACTC_COMMAND_PACK,
                      .label = unpack ? "unpack" : "pack",
                      .n_views = 5,
                      .access = {'r', 'w', 'r', 'r', 'x'}};
    c.views[0] = view_of(codec, unpack ? BUFFER_UNPACK_PAYLOAD : BUFFER_X);
    c.views[1] = view_of(codec, unpack ? BUFFER_UNPACK_X : BUFFER_PAYLOAD);
    c.views[2] = view_of(codec, BUFFER_STEP);
    c.views[3] = view_of(codec, BUFFER_CONSTANTS);
    c.views[4] = view_of(codec, BUFFER_WORKSPACE);
    c.u.codec = (actc_codec_work_desc){.plan = codec->plan, .count = codec->plan->samples};
    return c;
}

static actc_status size_workspace(actc_codec *codec)
{
    const actc_backend *backend = codec->device->backend;
    for (int i = 0; i < 2; i++) {
        actc_command command = command_of(codec, i);
        uint64_t bytes = 0;
        char why[256] = "";
        if (backend->supports && !backend->supports(codec->device, &command, why, sizeof why))
            return actc_fail(context_of(codec), ACTC_ERROR_UNSUPPORTED, "codec %s: %s cannot %s it: %s", codec->plan->text,
                             codec->device->info.spec, command.label, why);
        if (backend->workspace_bytes)
            ACTC_RETURN_IF_ERROR(backend->workspace_bytes(codec->device, &command, &bytes));
        if (bytes > codec->bytes[BUFFER_WORKSPACE])
            codec->bytes[BUFFER_WORKSPACE] = bytes;
    }
    return ACTC_OK;
}

static actc_status create_buffers(actc_codec *codec)
{
    const actc_backend *backend = codec->device->backend;
    uint64_t largest = codec->bytes[BUFFER_X];
    if (codec->bytes[BUFFER_PAYLOAD] > largest)
        largest = codec->bytes[BUFFER_PAYLOAD];
    if (backend->reserve)
        ACTC_RETURN_IF_ERROR(backend->reserve(codec->device, largest));
    for (int i = 0; i < BUFFERS; i++)
        if (codec->bytes[i])
            ACTC_RETURN_IF_ERROR(backend->buffer_create(codec->device, actc_align(codec->bytes[i], ACTC_VIEW_ALIGNMENT),
                                                        &codec->buffers[i]));
    if (codec->plan->constants_bytes)
        return backend->upload(codec->device, codec->buffers[BUFFER_CONSTANTS], 0, codec->plan->constants,
                               codec->plan->constants_bytes);
    return ACTC_OK;
}

static actc_status prepare(actc_codec *codec)
{
    const actc_codec_plan *plan = codec->plan;
    codec->bytes[BUFFER_X] = codec->bytes[BUFFER_UNPACK_X] = 4 * plan->n;
    codec->bytes[BUFFER_PAYLOAD] = codec->bytes[BUFFER_UNPACK_PAYLOAD] = plan->payload_bytes;
    codec->bytes[BUFFER_STEP] = ACTC_STEP_BLOCK_BYTES;
    codec->bytes[BUFFER_CONSTANTS] = plan->constants_bytes;
    ACTC_RETURN_IF_ERROR(size_workspace(codec));
    ACTC_RETURN_IF_ERROR(create_buffers(codec));
    for (int i = 0; i < 2; i++) {
        codec->commands[i] = command_of(codec, i);
        codec->programs[i] = (actc_program){.name = i ? "unpack" : "pack", .commands = &codec->commands[i], .n_commands = 1};
        ACTC_RETURN_IF_ERROR(codec->device->backend->prepare(codec->device, &codec->programs[i], codec->buffers, BUFFERS,
                                                             &codec->executables[i]));
    }
    return ACTC_OK;
}

actc_status actc_codec_create(actc_device *device, const char *spec, const actc_shape *shape, actc_codec **out)
{
    ACTC_OWN_MODES;
    if (!device)
        return ACTC_ERROR_INVALID_ARGUMENT;
    if (!shape || !out)
        return actc_fail(device->context, ACTC_ERROR_INVALID_ARGUMENT, "actc_codec_create: shape or out is NULL");
    *out = NULL;
    ACTC_RETURN_IF_ERROR(actc_device_runs(device));
    actc_codec_spec parsed;
    ACTC_RETURN_IF_ERROR(actc_codec_spec_parse(device->context, spec, &parsed));
    actc_codec *codec = actc_calloc(1, sizeof *codec);
    if (!codec)
        return actc_out_of_memory(device->context, sizeof *codec, "a codec");
    codec->device = device;
    actc_status status = actc_codec_plan_create(device->context, &parsed, shape, &codec->plan);
    if (status == ACTC_OK && !user_of(codec))
        status = prepare(codec);
    if (status != ACTC_OK)
        actc_codec_destroy(&codec);
    *out = codec;
    return status;
}

void actc_codec_destroy(actc_codec **codec)
{
    if (!codec || !*codec)
        return;
    const actc_backend *backend = (*codec)->device->backend;
    for (int i = 0; i < 2; i++)
        if ((*codec)->executables[i])
            backend->executable_destroy((*codec)->device, (*codec)->executables[i]);
    for (int i = 0; i < BUFFERS; i++)
        if ((*codec)->buffers[i])
            backend->buffer_destroy((*codec)->device, (*codec)->buffers[i]);
    actc_codec_plan_destroy(&(*codec)->plan);
    actc_free(*codec);
    *codec = NULL;
}

actc_status actc_codec_info_get(const actc_codec *codec, actc_codec_info *info)
{
    ACTC_OWN_MODES;
    static const char *const forms[] = {"", "mask", "u8", "u16"};
    if (!codec)
        return ACTC_ERROR_INVALID_ARGUMENT;
    const actc_codec_plan *plan = codec->plan;
    actc_codec_info full = {.spec = plan->text, .note = plan->note, .elements = plan->n,
                            .coefficients = plan->m, .kept = plan->k, .dense_bytes = 4 * plan->n,
                            .payload_bytes = plan->payload_bytes, .index_form = forms[plan->index],
                            .smaller = plan->smaller};
    return actc_give_info(context_of(codec), "actc_codec_info", info, sizeof full, &full);
}

/* ---- running ---- */

static actc_status upload_key(actc_codec *codec, const actc_codec_key *key)
{
    uint32_t step[ACTC_STEP_BLOCK_BYTES / 4] = {0};
    uint32_t tensor = key ? key->tensor : 0;
    if (key) {
        step[ACTC_STEP_SEED_LO] = (uint32_t)key->seed;
        step[ACTC_STEP_SEED_HI] = (uint32_t)(key->seed >> 32);
        step[ACTC_STEP_STEP_LO] = (uint32_t)key->step;
        step[ACTC_STEP_STEP_HI] = (uint32_t)(key->step >> 32);
    }
    const actc_backend *backend = codec->device->backend;
    /* the tensor's number is part of the commands: prepared again where it changes */
    for (int i = 0; i < 2; i++) {
        if (codec->commands[i].u.codec.tensor == tensor)
            continue;
        backend->executable_destroy(codec->device, codec->executables[i]);
        codec->executables[i] = NULL;
        codec->commands[i].u.codec.tensor = tensor;
        actc_status status =
            backend->prepare(codec->device, &codec->programs[i], codec->buffers, BUFFERS, &codec->executables[i]);
        if (status != ACTC_OK) {
            codec->commands[i].u.codec.tensor = ~tensor; /* try again next time */
            return status;
        }
    }
    return backend->upload(codec->device, codec->buffers[BUFFER_STEP], 0, step, sizeof step);
}

/* Bytes that upload and download take: multiples of 4; a last partial word goes through `tail`. */
static actc_status put(actc_codec *codec, int buffer, const void *source, uint64_t bytes)
{
    const actc_backend *backend = codec->device->backend;
    uint64_t whole = bytes & ~3ull;
    unsigned char tail[4] = {0};
    if (whole)
        ACTC_RETURN_IF_ERROR(backend->upload(codec->device, codec->buffers[buffer], 0, source, whole));
    memcpy(tail, (const unsigned char *)source + whole, (size_t)(bytes - whole));
    return bytes == whole ? ACTC_OK : backend->upload(codec->device, codec->buffers[buffer], whole, tail, 4);
}

static actc_status get(actc_codec *codec, int buffer, void *target, uint64_t bytes)
{
    const actc_backend *backend = codec->device->backend;
    uint64_t whole = bytes & ~3ull;
    unsigned char tail[4];
    if (whole)
        ACTC_RETURN_IF_ERROR(backend->download(codec->device, codec->buffers[buffer], 0, target, whole));
    if (bytes != whole) {
        ACTC_RETURN_IF_ERROR(backend->download(codec->device, codec->buffers[buffer], whole, tail, 4));
        memcpy((unsigned char *)target + whole, tail, (size_t)(bytes - whole));
    }
    return ACTC_OK;
}

static actc_status run(actc_codec *codec, bool unpack)
{
    if (!codec->executables[unpack])
        return actc_fail(context_of(codec), ACTC_ERROR_INTERNAL, "codec %s is not prepared", codec->plan->text);
    return codec->device->backend->run(codec->device, codec->executables[unpack]);
}

static actc_status check_arguments(const actc_codec *codec, const void *x, const void *payload, const char *function)
{
    if (!codec)
        return ACTC_ERROR_INVALID_ARGUMENT;
    if (!x || (!payload && codec->plan->payload_bytes))
        return actc_fail(context_of(codec), ACTC_ERROR_INVALID_ARGUMENT, "%s: x or payload is NULL", function);
    return ACTC_OK;
}

static actc_status answer_of_user(const actc_codec *codec, int answer, const char *what)
{
    return answer == 0 ? ACTC_OK
                       : actc_fail(context_of(codec), ACTC_ERROR_DEVICE, "codec %s: its %s function returned %d",
                                   codec->plan->text, what, answer);
}

actc_status actc_codec_pack(actc_codec *codec, const float *x, const actc_codec_key *key, void *payload)
{
    ACTC_OWN_MODES;
    ACTC_RETURN_IF_ERROR(check_arguments(codec, x, payload, "actc_codec_pack"));
    const actc_user_codec *user = user_of(codec);
    actc_codec_key zero = {0};
    if (user)
        return answer_of_user(codec, user->pack(user->user, &codec->plan->shape, x, key ? key : &zero, payload), "pack");
    ACTC_RETURN_IF_ERROR(actc_device_is_ours(codec->device));
    ACTC_RETURN_IF_ERROR(upload_key(codec, key));
    ACTC_RETURN_IF_ERROR(put(codec, BUFFER_X, x, codec->bytes[BUFFER_X]));
    ACTC_RETURN_IF_ERROR(run(codec, false));
    codec->packed = true;
    return get(codec, BUFFER_PAYLOAD, payload, codec->bytes[BUFFER_PAYLOAD]);
}

actc_status actc_codec_unpack(actc_codec *codec, const void *payload, const actc_codec_key *key, float *x)
{
    ACTC_OWN_MODES;
    ACTC_RETURN_IF_ERROR(check_arguments(codec, x, payload, "actc_codec_unpack"));
    const actc_user_codec *user = user_of(codec);
    actc_codec_key zero = {0};
    if (user)
        return answer_of_user(codec, user->unpack(user->user, &codec->plan->shape, payload, key ? key : &zero, x), "unpack");
    ACTC_RETURN_IF_ERROR(actc_device_is_ours(codec->device));
    ACTC_RETURN_IF_ERROR(upload_key(codec, key));
    ACTC_RETURN_IF_ERROR(put(codec, BUFFER_UNPACK_PAYLOAD, payload, codec->bytes[BUFFER_UNPACK_PAYLOAD]));
    ACTC_RETURN_IF_ERROR(run(codec, true));
    return get(codec, BUFFER_UNPACK_X, x, codec->bytes[BUFFER_UNPACK_X]);
}

/* ---- benchmark ---- */

/* Copies of x and what goes with them: the payload, or for a copy a second tensor. */
typedef struct rotation {
    actc_buffer **buffers; /* the codec's, then two a set */
    actc_command *commands;
    uint32_t count;
    actc_executable *executable;
} rotation;

static void rotation_destroy(actc_codec *codec, rotation *r)
{
    const actc_backend *backend = codec->device->backend;
    if (r->executable)
        backend->executable_destroy(codec->device, r->executable);
    for (uint32_t i = BUFFERS; r->buffers && i < r->count; i++)
        if (r->buffers[i])
            backend->buffer_destroy(codec->device, r->buffers[i]);
    actc_free(r->buffers);
    actc_free(r->commands);
}

/* The command of set i: the codec's own with x and payload exchanged for the set's. */
static actc_command command_of_set(const actc_codec *codec, actc_codec_work work, uint32_t first, uint64_t second_bytes)
{
    actc_view x = {.buffer = first, .bytes = codec->bytes[BUFFER_X]};
    actc_view second = {.buffer = second_bytes ? first + 1 : ACTC_NO_BUFFER, .bytes = second_bytes};
    actc_command c = {.type = ACTC_COMMAND_COPY, .label = "copy", .n_views = 2, .access = {'r', 'w'}};
    if (work != ACTC_CODEC_COPY)
        c = codec->commands[work == ACTC_CODEC_UNPACK];
    c.views[0] = work == ACTC_CODEC_UNPACK ? second : x;
    c.views[1] = work == ACTC_CODEC_UNPACK ? x : second;
    return c;
}

static actc_status rotation_create(actc_codec *codec, actc_codec_work work, int sets, rotation *r, actc_program *program)
{
    const actc_backend *backend = codec->device->backend;
    uint64_t second = work == ACTC_CODEC_COPY ? codec->bytes[BUFFER_X] : codec->bytes[BUFFER_PAYLOAD];
    r->count = BUFFERS + 2 * (uint32_t)sets;
    r->buffers = actc_calloc(r->count, sizeof(actc_buffer *));
    r->commands = actc_calloc((size_t)sets, sizeof *r->commands);
    if (!r->buffers || !r->commands)
        return actc_out_of_memory(context_of(codec), r->count * sizeof(actc_buffer *), "a codec's benchmark");
    memcpy(r->buffers, codec->buffers, sizeof codec->buffers);
    actc_command fill[2] = {{.type = ACTC_COMMAND_COPY, .label = "copy", .n_views = 2, .access = {'r', 'w'}}};
    for (int i = 0; i < sets; i++) {
        uint32_t first = BUFFERS + 2 * (uint32_t)i;
        uint64_t bytes[] = {codec->bytes[BUFFER_X], second};
        for (uint32_t j = 0; j < 2; j++)
            if (bytes[j])
                ACTC_RETURN_IF_ERROR(
                    backend->buffer_create(codec->device, actc_align(bytes[j], ACTC_VIEW_ALIGNMENT), &r->buffers[first + j]));
        /* x, and the payload where it is read */
        fill[0].views[0] = view_of(codec, BUFFER_X);
        fill[0].views[1] = (actc_view){.buffer = first, .bytes = bytes[0]};
        fill[1] = fill[0];
        fill[1].views[0] = view_of(codec, BUFFER_PAYLOAD);
        fill[1].views[1] = (actc_view){.buffer = first + 1, .bytes = bytes[1]};
        actc_program copies = {.name = "fill", .commands = fill, .n_commands = work == ACTC_CODEC_UNPACK && second ? 2 : 1};
        actc_executable *executable = NULL;
        ACTC_RETURN_IF_ERROR(backend->prepare(codec->device, &copies, r->buffers, r->count, &executable));
        actc_status status = backend->run(codec->device, executable);
        uint32_t word;
        if (status == ACTC_OK) /* waits */
            status = backend->download(codec->device, r->buffers[first], 0, &word, 4);
        backend->executable_destroy(codec->device, executable);
        ACTC_RETURN_IF_ERROR(status);
        r->commands[i] = command_of_set(codec, work, first, second);
    }
    *program = (actc_program){.name = "benchmark", .commands = r->commands, .n_commands = (uint32_t)sets};
    return backend->prepare(codec->device, program, r->buffers, r->count, &r->executable);
}

static actc_status time_rounds(actc_codec *codec, rotation *r, int rounds, double *seconds)
{
    const actc_backend *backend = codec->device->backend;
    uint32_t word;
    double start = actc_clock();
    for (int i = 0; i < rounds; i++)
        ACTC_RETURN_IF_ERROR(backend->run(codec->device, r->executable));
    ACTC_RETURN_IF_ERROR(backend->download(codec->device, r->buffers[BUFFERS], 0, &word, 4)); /* waits */
    *seconds = actc_clock() - start;
    return ACTC_OK;
}

actc_status actc_codec_benchmark(actc_codec *codec, actc_codec_work work, int buffers, int repeat, double *seconds)
{
    ACTC_OWN_MODES;
    if (!codec)
        return ACTC_ERROR_INVALID_ARGUMENT;
    if (!seconds || buffers < 1 || repeat < 1 || work < ACTC_CODEC_PACK || work > ACTC_CODEC_COPY)
        return actc_fail(context_of(codec), ACTC_ERROR_INVALID_ARGUMENT,
                         "actc_codec_benchmark: work %d, buffers %d, repeat %d; accepted: 0 to 2, at least 1, at least 1",
                         (int)work, buffers, repeat);
    if (user_of(codec))
        return actc_fail(context_of(codec), ACTC_ERROR_UNSUPPORTED, "codec %s is the user's: time its functions themselves",
                         codec->plan->text);
    if (!codec->packed)
        return actc_fail(context_of(codec), ACTC_ERROR_INVALID_ARGUMENT, "actc_codec_benchmark: nothing has been packed yet");
    ACTC_RETURN_IF_ERROR(actc_device_is_ours(codec->device));
    rotation r = {0};
    actc_program program;
    int rounds = (repeat + buffers - 1) / buffers;
    double warm;
    *seconds = 0;
    actc_status status = rotation_create(codec, work, buffers, &r, &program);
    if (status == ACTC_OK)
        status = time_rounds(codec, &r, 1, &warm);
    if (status == ACTC_OK)
        status = time_rounds(codec, &r, rounds, seconds);
    *seconds /= (double)rounds * buffers;
    rotation_destroy(codec, &r);
    return status;
}
