/* emit.c: appending commands to a program. */
#include <string.h>

#include "../codec/codec_internal.h"
#include "../exact/binary.h"
#include "lower.h"

static void fail_memory(actc_lower *lower)
{
    if (lower->status == ACTC_OK)
        lower->status = actc_out_of_memory(lower->build->context, sizeof(actc_command), "a program");
}

static bool keep(actc_build *build, char *text)
{
    if (!text || !actc_grow((void **)&build->labels, &build->labels_capacity, build->n_labels + 1, sizeof *build->labels)) {
        actc_free(text);
        return false;
    }
    build->labels[build->n_labels++] = text;
    return true;
}

/* "conv2: conv backward data", kept by the build. */
static const char *label(actc_lower *lower, const char *what)
{
    actc_build *build = lower->build;
    char *text = lower->op ? actc_format("%s: %s", lower->op->path, what) : actc_strdup(what);
    if (keep(build, text))
        return text;
    fail_memory(lower);
    return "";
}

/* What the work is, of the same text for all of its kind; "bn backward": an operator's kernels and products, where those that
 * follow one another share it. `name`: of a convolution. */
static const char *kind_of(actc_lower *lower, actc_command_type type, const char *name)
{
    actc_build *build = lower->build;
    const actc_program *program = &build->programs[lower->program];
    if (lower->again)
        return "recompute";
    switch (type) {
    case ACTC_COMMAND_CONV: return name;
    case ACTC_COMMAND_PACK: return "pack";
    case ACTC_COMMAND_UNPACK: return "unpack";
    case ACTC_COMMAND_COPY: return "copy";
    case ACTC_COMMAND_FILL: return "fill";
    case ACTC_COMMAND_HOST: return "user codec";
    case ACTC_COMMAND_KERNEL:
    case ACTC_COMMAND_GEMM: break;
    }
    if (!lower->op)
        return "update";
    bool backward = lower->program == ACTC_PROGRAM_TRAIN && build->n_forward > 0;
    char *text = actc_format("%s %s", lower->op->def->kind, backward ? "backward" : "forward");
    const char *before = program->n_commands ? program->commands[program->n_commands - 1].kind : NULL;
    if (text && before && !strcmp(text, before)) {
        actc_free(text);
        return before;
    }
    if (keep(build, text))
        return text;
    fail_memory(lower);
    return "";
}

static actc_command *append(actc_lower *lower, actc_command_type type, const char *what)
{
    if (lower->status != ACTC_OK)
        return NULL;
    actc_program *program = &lower->build->programs[lower->program];
    if (!actc_grow((void **)&program->commands, &lower->build->command_capacity[lower->program], program->n_commands + 1,
                   sizeof *program->commands)) {
        fail_memory(lower);
        return NULL;
    }
    actc_command *command = &program->commands[program->n_commands];
    *command = (actc_command){.type = type, .label = label(lower, what), .kind = kind_of(lower, type, what)};
    for (int i = 0; i < ACTC_MAX_VIEWS; i++)
        command->views[i] = ACTC_NO_VIEW;
    if (lower->status != ACTC_OK)
        return NULL;
    program->n_commands++;
    return command;
}

static void set_view(actc_command *command, uint32_t index, actc_view view, char access)
{
    view.bytes = actc_align(view.bytes, 4);
    command->views[index] = view;
    command->access[index] = (uint8_t)access;
    if (index >= command->n_views)
        command->n_views = (uint8_t)(index + 1);
}

/* Operations of a command: multiply-adds of products, elements of what else is read and written. */
static uint64_t work_of(const actc_command *command)
{
    const actc_conv *c = &command->u.conv;
    const actc_gemm *g = &command->u.gemm;
    uint64_t elements = 0;
    if (command->type == ACTC_COMMAND_CONV)
        return (uint64_t)c->batch * c->od * c->oh * c->ow * c->oc * c->kd * c->kh * c->kw * (c->ic / c->groups);
    if (command->type == ACTC_COMMAND_GEMM)
        return (uint64_t)g->batch * g->m * g->n * g->k;
    for (uint32_t i = 0; i < command->n_views; i++)
        elements += command->views[i].bytes / 4;
    return elements;
}

static void count_work(actc_lower *lower, const actc_command *command)
{
    actc_build *build = lower->build;
    if (lower->again)
        build->again_work += work_of(command);
    else if (lower->program == ACTC_PROGRAM_TRAIN && !build->n_forward)
        build->forward_work += work_of(command);
}

/* Asks the device whether it can run the command, which is complete but for its workspace, and adds that. */
static void finish(actc_lower *lower, actc_command *command, bool workspace)
{
    actc_device *device = lower->build->device;
    char why[256] = "";
    count_work(lower, command);
    if (device->backend->supports && !device->backend->supports(device, command, why, sizeof why)) {
        lower->status = actc_fail(lower->build->context, ACTC_ERROR_UNSUPPORTED, "%s cannot run %s: %s", device->info.spec,
                                  command->label, why);
        return;
    }
    uint64_t bytes = 0;
    if (!workspace || !device->backend->workspace_bytes)
        return;
    lower->status = device->backend->workspace_bytes(device, command, &bytes);
    if (lower->status == ACTC_OK && bytes) {
        actc_view view = actc_lower_new(lower, ACTC_MEMORY_WORKSPACE, bytes, command->label);
        set_view(command, ACTC_WORKSPACE_VIEW, view, 'x');
    }
}

void actc_emit_kernel(actc_lower *lower, actc_kernel_id id, uint32_t groups, const void *params, const actc_view *views,
                      uint32_t n_views)
{
    const actc_kernel_info *info = &actc_kernel_infos[id];
    actc_command *command = append(lower, ACTC_COMMAND_KERNEL, info->name);
    if (!command)
        return;
    if (n_views != strlen(info->access)) {
        lower->status = actc_fail(lower->build->context, ACTC_ERROR_INTERNAL, "%s: kernel %s takes %zu views, got %u",
                                  command->label, info->name, strlen(info->access), n_views);
        return;
    }
    command->u.kernel.id = id;
    command->u.kernel.groups = groups;
    memcpy(command->u.kernel.params.bytes, params, info->params_bytes);
    command->u.kernel.params.words[0] = groups;
    for (uint32_t i = 0; i < n_views; i++)
        set_view(command, i, views[i], info->access[i]);
    finish(lower, command, false);
}

void actc_emit_elementwise(actc_lower *lower, actc_kernel_id id, const void *params, const actc_view *views, uint32_t n_views)
{
    uint32_t n;
    memcpy(&n, (const char *)params + sizeof n, sizeof n);
    actc_emit_kernel(lower, id, actc_element_groups(n), params, views, n_views);
}

/* Elements of a launch, a multiple of what keeps every part aligned: 256 bytes of anything from a bit an element up. */
#define PART_UNIT (8u * ACTC_VIEW_ALIGNMENT * 8u)
#define PART_MOST (1u << 30)

void actc_emit_region(actc_lower *lower, actc_kernel_id id, uint64_t n, const void *params, uint32_t first_word,
                      const actc_view *views, uint32_t n_views)
{
    uint64_t binding = lower->build->device->info.max_binding_bytes, part = binding ? binding / 4 / PART_UNIT * PART_UNIT : PART_MOST;
    uint32_t words[ACTC_MAX_PARAMS_BYTES / 4] = {0};
    part = part < PART_UNIT ? PART_UNIT : part > PART_MOST ? PART_MOST : part;
    memcpy(words, params, actc_kernel_infos[id].params_bytes);
    for (uint64_t first = 0; first < n && lower->status == ACTC_OK; first += part) {
        uint64_t count = n - first < part ? n - first : part;
        actc_view parts[ACTC_MAX_VIEWS];
        for (uint32_t i = 0; i < n_views; i++)
            parts[i] = views[i].bytes == n * 4 ? actc_lower_part(views[i], first * 4, count * 4) : views[i];
        words[1] = (uint32_t)count;
        if (first_word)
            words[first_word] = (uint32_t)first;
        actc_emit_elementwise(lower, id, words, parts, n_views);
    }
}

void actc_emit_gemm(actc_lower *lower, const actc_gemm *gemm, const actc_view views[4])
{
    actc_command *command = append(lower, ACTC_COMMAND_GEMM, "gemm");
    if (!command)
        return;
    command->u.gemm = actc_gemm_dense(*gemm);
    set_view(command, 0, views[0], 'r');
    set_view(command, 1, views[1], 'r');
    set_view(command, 2, gemm->bias ? views[2] : ACTC_NO_VIEW, 'r');
    set_view(command, 3, views[3], gemm->add ? 'x' : 'w');
    finish(lower, command, true);
}

void actc_emit_conv(actc_lower *lower, const actc_conv *conv, const actc_view views[4])
{
    static const char *const names[] = {"conv forward", "conv backward data", "conv backward filter"};
    actc_command *command = append(lower, ACTC_COMMAND_CONV, names[conv->pass]);
    if (!command)
        return;
    command->u.conv = *conv;
    set_view(command, 0, views[0], 'r');
    set_view(command, 1, views[1], 'r');
    set_view(command, 2, conv->bias ? views[2] : ACTC_NO_VIEW, 'r');
    set_view(command, 3, views[3], conv->add ? 'x' : 'w');
    finish(lower, command, true);
}

void actc_emit_fill(actc_lower *lower, actc_view view, uint32_t word)
{
    actc_command *command = append(lower, ACTC_COMMAND_FILL, "fill");
    if (!command)
        return;
    command->u.fill.word = word;
    set_view(command, 0, view, 'w');
}

void actc_emit_copy(actc_lower *lower, actc_view source, actc_view target)
{
    actc_command *command = append(lower, ACTC_COMMAND_COPY, "copy");
    if (!command)
        return;
    set_view(command, 0, source, 'r');
    set_view(command, 1, target, 'w');
}

void actc_emit_add(actc_lower *lower, actc_view a, actc_view b, actc_view sum)
{
    const uint32_t n = (uint32_t)(sum.bytes / 4);
    struct actc_params_binary params = {.n = n, .op = ACTC_BINARY_ADD, .size = {1, 1, 1, n}, .sa = {0, 0, 0, 1}, .sb = {0, 0, 0, 1}};
    ACTC_EMIT_ELEMENTWISE(lower, binary, &params, a, b, sum);
}

void actc_emit_accumulate(actc_lower *lower, actc_view source, actc_view target)
{
    actc_emit_add(lower, target, source, target);
}

void actc_emit_reduce(actc_lower *lower, uint32_t op, actc_view x, actc_view y, actc_view statistics, uint32_t outer, uint32_t rows,
                      uint32_t cols, float scale, const actc_view sums[2], bool add)
{
    uint32_t width = ACTC_REDUCE_WIDTH(op), columns = cols;
    do {
        uint32_t chunks = (rows + ACTC_SUM_ROWS - 1) / ACTC_SUM_ROWS, terms = ACTC_REDUCE_WIDTH(op);
        actc_view partial = actc_lower_new(lower, ACTC_MEMORY_WORKSPACE, 4ull * outer * chunks * terms * columns, "sums of chunks");
        struct actc_params_reduce_partial params = {.op = op, .outer = outer, .rows = rows, .cols = columns, .chunks = chunks};
        ACTC_EMIT(lower, reduce_partial, actc_groups((uint64_t)outer * chunks * columns), &params, x, y, statistics, partial);
        /* the sums of the chunks are rows again, of all terms side by side */
        x = partial;
        y = statistics = ACTC_NO_VIEW;
        rows = chunks;
        columns = width * cols;
        op = ACTC_REDUCE_SUM;
    } while (rows > ACTC_SUM_CHUNKS);
    struct actc_params_reduce_final params = {.outer = outer, .chunks = rows, .width = width, .cols = cols, .add = add, .scale = scale};
    ACTC_EMIT(lower, reduce_final, actc_groups((uint64_t)outer * columns), &params, x, sums[0], width > 1 ? sums[1] : ACTC_NO_VIEW);
}

void actc_emit_column_sum(actc_lower *lower, actc_view x, uint32_t rows, uint32_t cols, actc_view sum, bool add)
{
    actc_emit_reduce(lower, ACTC_REDUCE_SUM, x, ACTC_NO_VIEW, ACTC_NO_VIEW, 1, rows, cols, 1.0f, (actc_view[]){sum, ACTC_NO_VIEW}, add);
}

/* ---- codecs ---- */

static actc_codec_key host_key(const actc_host_codec *adapter, const void *step_block)
{
    const uint32_t *step = step_block;
    return (actc_codec_key){
        .seed = step[ACTC_STEP_SEED_LO] | (uint64_t)step[ACTC_STEP_SEED_HI] << 32,
        .step = step[ACTC_STEP_STEP_LO] | (uint64_t)step[ACTC_STEP_STEP_HI] << 32,
        .tensor = adapter->tensor,
    };
}

static int host_pack(void *user, void *const *views)
{
    const actc_host_codec *a = user;
    const actc_user_codec *codec = &a->plan->spec.user->codec;
    actc_codec_key key = host_key(a, views[2]);
    return codec->pack(codec->user, &a->plan->shape, views[0], &key, views[1]);
}

static int host_unpack(void *user, void *const *views)
{
    const actc_host_codec *a = user;
    const actc_user_codec *codec = &a->plan->spec.user->codec;
    actc_codec_key key = host_key(a, views[2]);
    return codec->unpack(codec->user, &a->plan->shape, views[0], &key, views[1]);
}

static void emit_host_codec(actc_lower *lower, const actc_codec_plan *plan, uint32_t tensor, bool pack, actc_view from,
                            actc_view to)
{
    actc_command *command = append(lower, ACTC_COMMAND_HOST, pack ? "user codec pack" : "user codec unpack");
    actc_host_codec *adapter = command ? actc_calloc(1, sizeof *adapter) : NULL;
    if (!adapter) {
        fail_memory(lower);
        return;
    }
    adapter->plan = plan;
    adapter->tensor = tensor;
    adapter->next = lower->build->host_codecs;
    lower->build->host_codecs = adapter;
    command->u.host.fn = pack ? host_pack : host_unpack;
    command->u.host.user = adapter;
    set_view(command, 0, from, 'r');
    set_view(command, 1, to, 'w');
    set_view(command, 2, actc_lower_step_block(lower), 'r');
    finish(lower, command, false);
    uint64_t transfer = 0; /* what a device whose memory the host does not see moves at once */
    for (uint32_t i = 0; i < command->n_views; i++)
        transfer += actc_align(command->views[i].bytes, ACTC_VIEW_ALIGNMENT);
    if (transfer > lower->build->transfer_bytes)
        lower->build->transfer_bytes = transfer;
}

/* The tables of a codec, one buffer a plan. */
static actc_view constants(actc_lower *lower, const actc_codec_plan *plan)
{
    actc_build *build = lower->build;
    if (!plan->constants_bytes)
        return ACTC_NO_VIEW;
    for (size_t i = 0; i < build->n_vbufs; i++)
        if (build->vbufs[i].initial == plan->constants)
            return (actc_view){.buffer = (uint32_t)i, .bytes = plan->constants_bytes};
    actc_view view = actc_lower_new(lower, ACTC_MEMORY_WORKSPACE, plan->constants_bytes, "codec tables");
    if (lower->status == ACTC_OK) {
        actc_vbuf *vbuf = &build->vbufs[view.buffer];
        vbuf->persistent = true;
        vbuf->initial = plan->constants;
        vbuf->initial_bytes = plan->constants_bytes;
    }
    return view;
}

/* Of a codec's random numbers: apart from those of the operator that made the tensor, whose path has the same hash. */
static uint32_t random_key(const actc_tensor *tensor)
{
    return actc_hash(tensor->name) ^ 0x9e3779b9u;
}

static void emit_codec(actc_lower *lower, const actc_saved *saved, bool pack, actc_view from, actc_view to, uint32_t first,
                       uint32_t count)
{
    const actc_codec_plan *plan = saved->codec;
    uint32_t key = random_key(saved->tensor);
    if (plan->spec.kind == ACTC_CODEC_USER) {
        emit_host_codec(lower, plan, key, pack, from, to);
        return;
    }
    char what[64];
    strcpy(what, pack ? "pack " : "unpack ");
    strncat(what, saved->tensor->name, sizeof what - 10);
    actc_view tables = constants(lower, plan);
    actc_command *command = append(lower, pack ? ACTC_COMMAND_PACK : ACTC_COMMAND_UNPACK, what);
    if (!command)
        return;
    command->u.codec = (actc_codec_work_desc){.plan = plan, .tensor = key, .first = first, .count = count};
    set_view(command, 0, from, 'r');
    set_view(command, 1, to, 'w');
    set_view(command, 2, actc_lower_step_block(lower), 'r');
    set_view(command, 3, tables, 'r');
    command->n_views = 5;
    command->access[ACTC_WORKSPACE_VIEW] = 'x';
    finish(lower, command, true);
    if (lower->status != ACTC_OK)
        return;
    if (command->views[ACTC_WORKSPACE_VIEW].buffer != ACTC_NO_BUFFER)
        lower->build->vbufs[command->views[ACTC_WORKSPACE_VIEW].buffer].owner = plan;
    if (!pack)
        lower->build->vbufs[to.buffer].owner = plan;
}

static actc_kept *kept_of(actc_lower *lower, const actc_saved *saved)
{
    for (size_t i = 0; i < lower->build->n_kept; i++)
        if (lower->build->kept[i].saved == saved)
            return &lower->build->kept[i];
    return NULL;
}

void actc_emit_pack(actc_lower *lower, const actc_saved *saved, actc_view value)
{
    actc_kept *kept = kept_of(lower, saved);
    if (!kept || lower->status != ACTC_OK)
        return;
    if (kept->capture != UINT32_MAX)
        actc_emit_copy(lower, value, (actc_view){.buffer = kept->capture, .bytes = value.bytes});
    if (!saved->codec || !saved->codec->payload_bytes) /* random stores nothing */
        return;
    actc_view payload = actc_lower_new(lower, ACTC_MEMORY_PAYLOAD, saved->codec->payload_bytes, saved->tensor->name);
    kept->payload = payload.buffer;
    emit_codec(lower, saved, true, value, payload, 0, saved->codec->samples);
}

bool actc_lower_normalised(const actc_lower *lower, const actc_tensor *tensor)
{
    const actc_saved *saved = lower->training ? actc_policy_find(&lower->build->policy, tensor) : NULL;
    return saved && saved->normalised;
}

void actc_lower_pack_normalised(actc_lower *lower, const actc_tensor *tensor, actc_view xhat)
{
    actc_emit_pack(lower, actc_policy_find(&lower->build->policy, tensor), xhat);
}

actc_view actc_lower_restore_planes(actc_lower *lower, const actc_tensor *tensor, uint32_t first, uint32_t count)
{
    const actc_saved *saved = actc_policy_find(&lower->build->policy, tensor);
    if (lower->status != ACTC_OK)
        return ACTC_NO_VIEW;
    uint32_t planes = actc_lower_planes(lower, tensor);
    uint64_t plane = actc_lower_bytes(lower, tensor) / planes;
    if (!saved || !saved->codec)
        return actc_lower_part(lower->values[tensor->id], first * plane, count * plane);
    bool whole = count == planes;
    if (lower->restored[tensor->id].bytes)
        return actc_lower_part(lower->restored[tensor->id], first * plane, count * plane);
    actc_view view = actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, count * plane, tensor->name);
    actc_kept *kept = kept_of(lower, saved);
    actc_view payload = kept && kept->payload != UINT32_MAX
                            ? (actc_view){.buffer = kept->payload, .bytes = saved->codec->payload_bytes}
                            : ACTC_NO_VIEW;
    /* a sample of the codec may be more than a plane, and all of a matrix */
    uint32_t samples = saved->codec->samples, units = whole ? samples : (uint32_t)((uint64_t)count * samples / planes);
    emit_codec(lower, saved, false, payload, view, (uint32_t)((uint64_t)first * samples / planes), units);
    if (whole)
        lower->restored[tensor->id] = view;
    return view;
}

actc_view actc_lower_restore(actc_lower *lower, const actc_tensor *tensor, uint32_t first, uint32_t count)
{
    uint32_t depth = actc_lower_planes(lower, tensor) / (uint32_t)lower->shapes[tensor->id].dims[0];
    return actc_lower_restore_planes(lower, tensor, first * depth, count * depth);
}

actc_view actc_lower_restore_all(actc_lower *lower, const actc_tensor *tensor)
{
    return actc_lower_restore_planes(lower, tensor, 0, actc_lower_planes(lower, tensor));
}
