/* program.c: programs on the CPU.
 *
 * prepare resolves every view to a host pointer, every kernel to its function, gemm to the gemm kernel and conv to oneDNN
 * primitives or, on a deterministic device and where oneDNN does not suit, to kernels too; run only calls. Nothing is
 * allocated in run.
 */
#include <stdlib.h>
#include <string.h>

#include "../common/products.h"
#include "cpu_device.h"

/* A range of a loop is worth a thread of its own from some 10 us on: waking a team takes about 2 us. In groups of 1,024
 * elements, with the times of one thread with AVX2. */
#define GRAIN_LIGHT 32u /* a multiplication or a comparison an element: 0.3 us a group */
#define GRAIN_HEAVY 4u  /* random numbers, roots, windows: 1 to 4 us a group */
/* Bytes copied or filled that are worth a thread. */
#define GRAIN_BYTES (256u * 1024u)
/* Groups of gemm and convolution kernels, which split their outputs evenly over them: so many products each, which take
 * about 10 us, but no more groups than this. */
#define MAC_GROUP_PRODUCTS (1u << 18)
#define MAC_GROUPS 4096u

/* A kernel launch, ready to call. */
typedef struct launch {
    actc_cpu_kernel_fn fn;
    uint32_t groups, grain;
    union {
        uint32_t words[ACTC_MAX_PARAMS_BYTES / 4];
        char bytes[ACTC_MAX_PARAMS_BYTES];
    } params;
    void *views[ACTC_MAX_VIEWS];
} launch;

typedef struct step {
    const actc_command *command;
    void *views[ACTC_MAX_VIEWS];
    actc_dnnl_op *dnnl;   /* conv, NULL where it runs by kernels */
    launch launches[ACTC_PRODUCT_LAUNCHES]; /* kernel, gemm, conv by kernels */
    uint32_t n_launches;
    double seconds;       /* spent in it, where the device or the program is timed, */
    double last;          /* and of them in the last run */
} step;

struct actc_executable {
    const actc_program *program;
    step *steps;
    uint64_t runs;
};

/* ---- lowering gemm and conv to kernels: EXACT ones on a deterministic device ---- */

static uint32_t grain_of(actc_kernel_id id)
{
    static const uint32_t grains[] = {[ACTC_GRAIN_LIGHT] = GRAIN_LIGHT, [ACTC_GRAIN_HEAVY] = GRAIN_HEAVY, [ACTC_GRAIN_WHOLE] = 1};
    return grains[actc_kernel_infos[id].grain];
}

static uint32_t mac_groups(double products)
{
    double groups = products / MAC_GROUP_PRODUCTS;
    return groups < 1 ? 1 : groups < MAC_GROUPS ? (uint32_t)groups : MAC_GROUPS;
}

static launch *add_launch(const actc_cpu_device *device, step *s, actc_kernel_id id, uint32_t groups, const void *params,
                          size_t params_bytes)
{
    launch *l = &s->launches[s->n_launches++];
    l->fn = actc_cpu_kernel_table(device->isa)[id];
    l->groups = groups;
    l->grain = grain_of(id);
    memcpy(l->params.bytes, params, params_bytes);
    l->params.words[0] = groups;
    return l;
}

static void lower_product(const actc_cpu_device *device, step *s)
{
    actc_product product;
    actc_product_lower(s->command, device->base.deterministic, &product);
    for (uint32_t i = 0; i < product.count; i++) {
        const actc_product_launch *p = &product.launches[i];
        /* products are shared out evenly over any number of groups */
        uint32_t groups = p->products > 0 ? mac_groups(p->products) : (uint32_t)p->groups;
        launch *l = add_launch(device, s, p->id, groups, p->params.bytes, sizeof p->params);
        for (size_t v = 0; v < strlen(actc_kernel_infos[p->id].access); v++)
            l->views[v] = s->views[p->views[v]];
    }
}

/* Whether oneDNN is asked for a convolution. Its depthwise ones in volumes run at a twentieth of the others, and its gradients
 * of 2-D depthwise filters at a tenth of the forward pass (measured with 2.6.3). */
static bool uses_library(const actc_device *base, const actc_command *command)
{
    return !base->deterministic && command->u.conv.groups == 1;
}

bool actc_cpu_supports(actc_device *base, const actc_command *command, char *why, size_t why_size)
{
    if (command->type != ACTC_COMMAND_GEMM && command->type != ACTC_COMMAND_CONV)
        return true;
    actc_product product;
    actc_product_lower(command, base->deterministic, &product);
    return actc_product_fits(command, &product, why, why_size);
}

actc_status actc_cpu_workspace_bytes(actc_device *base, const actc_command *command, uint64_t *bytes)
{
    actc_cpu_device *device = (actc_cpu_device *)base;
    *bytes = 0;
    switch (command->type) {
    case ACTC_COMMAND_CONV: {
        bool suits = false;
        if (uses_library(base, command)) {
            actc_status status = actc_dnnl_workspace_bytes(device, command, bytes, &suits);
            if (status != ACTC_OK)
                return status;
        }
        if (!suits) {
            actc_product product;
            actc_product_lower(command, base->deterministic, &product);
            *bytes = product.workspace_bytes;
        }
        return ACTC_OK;
    }
    case ACTC_COMMAND_PACK:
    case ACTC_COMMAND_UNPACK:
        *bytes = actc_align(actc_cpu_codec_workspace(&command->u.codec, command->type == ACTC_COMMAND_UNPACK, &device->codec),
                            ACTC_VIEW_ALIGNMENT);
        return ACTC_OK;
    default: return ACTC_OK;
    }
}

/* ---- prepare ---- */

static actc_status prepare_step(actc_cpu_device *device, const actc_command *command, actc_buffer *const *buffers,
                                uint32_t n_buffers, step *s)
{
    actc_context *context = device->base.context;
    s->command = command;
    for (uint32_t i = 0; i < command->n_views; i++) {
        const actc_view *view = &command->views[i];
        if (view->bytes == 0)
            continue;
        if (view->buffer >= n_buffers)
            return actc_fail(context, ACTC_ERROR_INTERNAL, "%s: view %u names buffer %u of %u", command->label, i,
                             view->buffer, n_buffers);
        s->views[i] = (char *)buffers[view->buffer]->data + view->offset;
    }
    switch (command->type) {
    case ACTC_COMMAND_KERNEL: {
        launch *l = add_launch(device, s, command->u.kernel.id, command->u.kernel.groups, command->u.kernel.params.bytes,
                               sizeof command->u.kernel.params);
        memcpy(l->views, s->views, sizeof l->views);
        return ACTC_OK;
    }
    case ACTC_COMMAND_GEMM: lower_product(device, s); return ACTC_OK;
    case ACTC_COMMAND_CONV:
        if (uses_library(&device->base, command)) {
            actc_status status = actc_dnnl_prepare(device, command, s->views, &s->dnnl);
            if (status != ACTC_OK || s->dnnl)
                return status;
        }
        lower_product(device, s);
        return ACTC_OK;
    case ACTC_COMMAND_PACK:
    case ACTC_COMMAND_UNPACK:
    case ACTC_COMMAND_COPY:
    case ACTC_COMMAND_FILL:
    case ACTC_COMMAND_HOST: return ACTC_OK;
    }
    return actc_fail(context, ACTC_ERROR_INTERNAL, "%s: command type %d is unknown", command->label, (int)command->type);
}

static void report_times(actc_device *device, const actc_executable *executable)
{
    for (uint32_t i = 0; executable->runs && i < executable->program->n_commands; i++)
        actc_log_message(device->context, ACTC_LOG_INFO, "%s %3u: %8.1f us  %s", executable->program->name, i,
                         executable->steps[i].seconds * 1e6 / (double)executable->runs,
                         executable->program->commands[i].label);
}

void actc_cpu_executable_destroy(actc_device *device, actc_executable *executable)
{
    if (!executable)
        return;
    report_times(device, executable);
    if (executable->steps)
        for (uint32_t i = 0; i < executable->program->n_commands; i++)
            actc_dnnl_op_destroy(executable->steps[i].dnnl);
    actc_free(executable->steps);
    actc_free(executable);
}

actc_status actc_cpu_prepare(actc_device *base, const actc_program *program, actc_buffer *const *buffers,
                             uint32_t n_buffers, actc_executable **out)
{
    actc_cpu_device *device = (actc_cpu_device *)base;
    *out = NULL;
    actc_executable *executable = actc_calloc(1, sizeof *executable);
    if (executable) {
        executable->program = program;
        executable->steps = actc_calloc(program->n_commands, sizeof(step));
    }
    if (!executable || !executable->steps) {
        actc_cpu_executable_destroy(base, executable);
        return actc_fail(base->context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: program %s of %u commands",
                         program->name, program->n_commands);
    }
    actc_status status = ACTC_OK;
    for (uint32_t i = 0; i < program->n_commands && status == ACTC_OK; i++) {
        status = prepare_step(device, &program->commands[i], buffers, n_buffers, &executable->steps[i]);
    }
    if (status != ACTC_OK) {
        actc_cpu_executable_destroy(base, executable);
        return status;
    }
    *out = executable;
    return ACTC_OK;
}

/* ---- run ---- */

static void run_groups(void *user, uint32_t begin, uint32_t end, int thread)
{
    (void)thread;
    const launch *l = user;
    l->fn(l->params.bytes, l->views, begin, end);
}

typedef struct block_job {
    char *to;
    const char *from; /* NULL: fill */
    uint64_t bytes;
    uint32_t word;
} block_job;

static void run_blocks(void *user, uint32_t begin, uint32_t end, int thread)
{
    (void)thread;
    const block_job *job = user;
    uint64_t first = (uint64_t)begin * GRAIN_BYTES, last = (uint64_t)end * GRAIN_BYTES;
    last = last < job->bytes ? last : job->bytes;
    if (job->from) {
        memcpy(job->to + first, job->from + first, (size_t)(last - first));
    } else if (job->word == 0) {
        memset(job->to + first, 0, (size_t)(last - first));
    } else {
        uint32_t *words = (uint32_t *)(void *)(job->to + first);
        for (uint64_t i = 0; i < (last - first) / 4; i++)
            words[i] = job->word;
    }
}

static void move_bytes(const actc_cpu_device *device, void *to, const void *from, uint64_t bytes, uint32_t word)
{
    block_job job = {to, from, bytes, word};
    actc_parallel_for(device->threads, (uint32_t)((bytes + GRAIN_BYTES - 1) / GRAIN_BYTES), 1, run_blocks, &job);
}

static actc_status codec_status(const actc_cpu_device *device, const actc_command *command, actc_status status)
{
    if (status == ACTC_OK)
        return ACTC_OK;
    return actc_fail(device->base.context, status, "%s: the codec failed: %s", command->label, actc_status_string(status));
}

static actc_status run_step(actc_cpu_device *device, step *s)
{
    const actc_command *command = s->command;
    void *const *v = s->views;
    if (s->dnnl)
        return actc_dnnl_run(device, s->dnnl);
    for (uint32_t i = 0; i < s->n_launches; i++)
        actc_parallel_for(device->threads, s->launches[i].groups, s->launches[i].grain, run_groups, &s->launches[i]);
    switch (command->type) {
    case ACTC_COMMAND_PACK:
        return codec_status(device, command,
                            actc_cpu_pack(&command->u.codec, &device->codec, v[0], v[1], v[2], v[ACTC_WORKSPACE_VIEW]));
    case ACTC_COMMAND_UNPACK:
        return codec_status(device, command,
                            actc_cpu_unpack(&command->u.codec, &device->codec, v[0], v[1], v[2], v[ACTC_WORKSPACE_VIEW]));
    case ACTC_COMMAND_COPY: move_bytes(device, v[1], v[0], command->views[1].bytes, 0); break;
    case ACTC_COMMAND_FILL: move_bytes(device, v[0], NULL, command->views[0].bytes, command->u.fill.word); break;
    case ACTC_COMMAND_HOST: {
        int answer = command->u.host.fn(command->u.host.user, v);
        if (answer != 0)
            return actc_fail(device->base.context, ACTC_ERROR_DEVICE, "%s: the host function returned %d", command->label,
                             answer);
        break;
    }
    case ACTC_COMMAND_KERNEL:
    case ACTC_COMMAND_GEMM:
    case ACTC_COMMAND_CONV: break; /* done above */
    }
    return ACTC_OK;
}

actc_status actc_cpu_run(actc_device *base, actc_executable *executable)
{
    actc_cpu_device *device = (actc_cpu_device *)base;
    ACTC_OWN_MODES;
    actc_status status = ACTC_OK;
    for (uint32_t i = 0; i < executable->program->n_commands && status == ACTC_OK; i++) {
        step *s = &executable->steps[i];
        bool timed = device->timed || executable->program->timed;
        double before = timed ? actc_clock() : 0;
        status = run_step(device, s);
        s->last = timed ? actc_clock() - before : 0;
        s->seconds += s->last;
    }
    executable->runs += device->timed;
    return status;
}

actc_status actc_cpu_times(actc_device *device, actc_executable *executable, double *seconds)
{
    (void)device;
    for (uint32_t i = 0; i < executable->program->n_commands; i++)
        seconds[i] = executable->steps[i].last;
    return ACTC_OK;
}

uint32_t actc_cpu_segments(const actc_executable *executable)
{
    return actc_program_segments(executable->program);
}
