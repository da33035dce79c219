/* dnnl.c: convolution through oneDNN (C interface, version 2).
 *
 * Activations are NHWC, weights O,KH,KW,I; where the primitive prefers another order of the weights, they are reordered
 * into the workspace before it, and weight gradients out of it after it. Scratchpads are the caller's: workspace_bytes
 * is what the op uses, to the byte, since it works the op out as prepare does.
 *
 * The batch is cut into parts of whole samples, which actc_parallel_for hands to its threads; each runs a primitive made
 * for one thread. So oneDNN starts no threads of its own, the backend has one set of threads, and one that the system
 * takes away for a while delays its part only. Weight gradients of the parts are added in ascending order; how many parts
 * there are depends on the number of threads of the device and on nothing else.
 *
 * Only implementations that add in one order at every output position are taken: direct convolution, never Winograd,
 * and none built on oneDNN's gemm, whose edge tiles add in another order (equal rows of A give unequal rows of C;
 * measured with 2.6.3). For the same reason gemm itself is not oneDNN's here.
 */
#include <oneapi/dnnl/dnnl.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "cpu_device.h"

/* Parts a thread: more even out threads that come late. Weight gradients above FILTER_SMALL_BYTES get one part a thread,
 * since each part has its own sum in the workspace. */
#define PARTS_A_THREAD 4u
#define FILTER_SMALL_BYTES (64u * 1024u)
#define MAX_ARGS 5

typedef struct exec_args {
    int n;
    dnnl_exec_arg_t arg[MAX_ARGS];
} exec_args;

/* A primitive for so many samples. */
typedef struct sized {
    uint32_t samples;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
} sized;

typedef struct part {
    const sized *sized;
    exec_args args; /* all but the scratchpad, which is the thread's */
} part;

struct actc_dnnl_op {
    const actc_command *command;
    sized sizes[2]; /* the first `larger` parts have one sample more than the others */
    uint32_t n_parts, larger, each;
    part *parts;
    /* Weights in the primitive's order, or the sum of a part: at the start of the workspace, one after the other. */
    uint64_t w_bytes, n_w;
    dnnl_primitive_desc_t reorder_desc; /* NULL: the primitive takes weights as they are stored */
    dnnl_primitive_t reorder;
    exec_args reorder_args;
    /* Behind them a scratchpad a thread. */
    uint64_t scratch_bytes, n_scratch;
    dnnl_memory_t *scratch;
    /* Backward filter: the parts' sums and where their total goes. */
    float *sums, *total;
};

static actc_status fail(actc_cpu_device *device, const char *label, const char *what, dnnl_status_t status)
{
    static const char *const names[] = {"success",       "out of memory", "invalid arguments", "unimplemented",
                                        "iterator ends", "runtime error", "not required"};
    const char *name = (unsigned)status < sizeof names / sizeof *names ? names[status] : "unknown status";
    return actc_fail(device->base.context, status == dnnl_out_of_memory ? ACTC_ERROR_OUT_OF_MEMORY : ACTC_ERROR_DEVICE,
                     "%s: oneDNN: %s: %s", label, what, name);
}

#define DNNL(call, label)                                 \
    do {                                                  \
        dnnl_status_t status_ = (call);                   \
        if (status_ != dnnl_success)                      \
            return fail(device, (label), #call, status_); \
    } while (0)

/* For functions that pass oneDNN's status on. */
#define TRY(call)                        \
    do {                                 \
        dnnl_status_t status_ = (call);  \
        if (status_ != dnnl_success)     \
            return status_;              \
    } while (0)

void actc_dnnl_version_text(char *text, size_t size)
{
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, size, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
}

/* A function of the OpenMP runtime that oneDNN brought along, or NULL where it is built without. */
static void (*find_function(const char *name))(void)
{
    void (*function)(void) = NULL;
    *(void **)&function = dlsym(RTLD_DEFAULT, name);
    if (!function) { /* libactc was loaded with local scope */
        void *runtime = dlopen("libgomp.so.1", RTLD_LAZY | RTLD_NOLOAD);
        if (runtime) {
            *(void **)&function = dlsym(runtime, name);
            dlclose(runtime);
        }
    }
    return function;
}

actc_status actc_dnnl_open(actc_cpu_device *device)
{
    device->set_library_threads = (void (*)(int))find_function("omp_set_num_threads");
    device->get_library_threads = (int (*)(void))find_function("omp_get_max_threads");
    DNNL(dnnl_engine_create(&device->engine, dnnl_cpu, 0), "CPU device");
    /* One a thread: a stream is not for concurrent use. */
    device->streams = actc_calloc((size_t)device->threads, sizeof(dnnl_stream_t));
    if (!device->streams)
        return actc_fail(device->base.context, ACTC_ERROR_OUT_OF_MEMORY, "out of host memory: CPU device");
    for (int i = 0; i < device->threads; i++)
        DNNL(dnnl_stream_create(&device->streams[i], device->engine, dnnl_stream_default_flags), "CPU device");
    return ACTC_OK;
}

void actc_dnnl_close(actc_cpu_device *device)
{
    for (int i = 0; device->streams && i < device->threads; i++)
        if (device->streams[i])
            dnnl_stream_destroy(device->streams[i]);
    actc_free(device->streams);
    if (device->engine)
        dnnl_engine_destroy(device->engine);
}

/* Calls of oneDNN run between the two: on the calling thread alone. */
static int enter(const actc_cpu_device *device)
{
    if (!device->set_library_threads || !device->get_library_threads)
        return 0;
    int saved = device->get_library_threads();
    device->set_library_threads(1);
    return saved;
}

static void leave(const actc_cpu_device *device, int saved)
{
    if (saved > 0)
        device->set_library_threads(saved);
}

/* ---- working an op out ---- */

static dnnl_status_t tensor4(dnnl_memory_desc_t *md, uint32_t n, uint32_t c, uint32_t h, uint32_t w,
                             dnnl_format_tag_t tag)
{
    dnnl_dims_t dims = {n, c, h, w};
    return dnnl_memory_desc_init_by_tag(md, 4, dims, dnnl_f32, tag);
}

static const dnnl_memory_desc_t *query(dnnl_primitive_desc_t desc, dnnl_query_t what, int index)
{
    return dnnl_primitive_desc_query_md(desc, what, index);
}

/* Attributes of every primitive: scratchpad from the caller, and perhaps the result added to what is there. */
static dnnl_status_t attributes(dnnl_primitive_attr_t *attr, bool add)
{
    *attr = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(attr);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    dnnl_post_ops_t ops = NULL;
    if (status == dnnl_success && add)
        status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success && add)
        status = dnnl_post_ops_append_sum(ops, 1.0f);
    if (status == dnnl_success && add)
        status = dnnl_primitive_attr_set_post_ops(*attr, ops);
    if (ops)
        dnnl_post_ops_destroy(ops); /* copied */
    if (status != dnnl_success && *attr) {
        dnnl_primitive_attr_destroy(*attr);
        *attr = NULL;
    }
    return status;
}

static void note_scratch(actc_dnnl_op *op, dnnl_primitive_desc_t desc)
{
    const dnnl_memory_desc_t *md = query(desc, dnnl_query_scratchpad_md, 0);
    uint64_t bytes = md ? actc_align(dnnl_memory_desc_get_size(md), ACTC_VIEW_ALIGNMENT) : 0;
    if (bytes > op->scratch_bytes)
        op->scratch_bytes = bytes;
}

typedef struct conv_mds {
    dnnl_memory_desc_t x, bias, y;
    dnnl_dims_t strides, dilations, before, after;
} conv_mds;

static dnnl_status_t describe_shapes(const actc_conv *c, uint32_t samples, conv_mds *d)
{
    dnnl_dims_t bias = {c->oc};
    TRY(tensor4(&d->x, samples, c->ic, c->ih, c->iw, dnnl_nhwc));
    TRY(tensor4(&d->y, samples, c->oc, c->oh, c->ow, dnnl_nhwc));
    TRY(dnnl_memory_desc_init_by_tag(&d->bias, 1, bias, dnnl_f32, dnnl_a));
    /* What is read behind the image follows from the output's extent; it may be less than the padding before it. */
    uint32_t in[2] = {c->ih, c->iw}, out[2] = {c->oh, c->ow}, k[2] = {c->kh, c->kw}, s[2] = {c->sh, c->sw},
             p[2] = {c->ph, c->pw}, dilation[2] = {c->dh, c->dw};
    for (int i = 0; i < 2; i++) {
        d->strides[i] = s[i];
        d->dilations[i] = (dnnl_dim_t)dilation[i] - 1; /* 0 is dense in oneDNN */
        d->before[i] = p[i];
        d->after[i] = ((dnnl_dim_t)out[i] - 1) * s[i] + ((dnnl_dim_t)k[i] - 1) * dilation[i] + 1 - in[i] - p[i];
    }
    return dnnl_success;
}

/* The primitive for `samples` samples and weights in the order w, which may be `any`. */
static dnnl_status_t describe_sized(actc_cpu_device *device, const actc_conv *c, const dnnl_memory_desc_t *w, sized *s)
{
    conv_mds d;
    dnnl_convolution_desc_t desc;
    TRY(describe_shapes(c, s->samples, &d));
    TRY(dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_training, dnnl_convolution_direct, &d.x, w,
                                                   c->bias ? &d.bias : NULL, &d.y, d.strides, d.dilations, d.before,
                                                   d.after));
    dnnl_primitive_attr_t attr;
    TRY(attributes(&attr, false));
    dnnl_primitive_desc_t hint = NULL; /* what the backward passes want to know of the forward one */
    dnnl_status_t status = dnnl_success;
    if (c->pass != ACTC_CONV_FORWARD)
        status = dnnl_primitive_desc_create(&hint, &desc, NULL, device->engine, NULL);
    if (status == dnnl_success && c->pass == ACTC_CONV_BACKWARD_FILTER)
        status = dnnl_dilated_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &d.x, w, NULL, &d.y,
                                                                     d.strides, d.dilations, d.before, d.after);
    else if (status == dnnl_success && c->pass == ACTC_CONV_BACKWARD_DATA)
        status = dnnl_dilated_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &d.x, w, &d.y,
                                                                  d.strides, d.dilations, d.before, d.after);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&s->desc, &desc, attr, device->engine, hint);
    if (hint)
        dnnl_primitive_desc_destroy(hint);
    dnnl_primitive_attr_destroy(attr);
    return status;
}

static bool adds_in_one_order(const sized *s)
{
    const char *name = NULL;
    return dnnl_primitive_desc_query(s->desc, dnnl_query_impl_info_str, 0, &name) == dnnl_success && name &&
           !strstr(name, "gemm");
}

static void cut_batch(const actc_cpu_device *device, actc_dnnl_op *op)
{
    const actc_conv *c = &op->command->u.conv;
    uint64_t w_bytes = (uint64_t)c->oc * c->kh * c->kw * c->ic * sizeof(float), threads = (uint64_t)device->threads;
    bool small = c->pass != ACTC_CONV_BACKWARD_FILTER || w_bytes <= FILTER_SMALL_BYTES;
    uint64_t parts = threads == 1 ? 1 : threads * (small ? PARTS_A_THREAD : 1);
    op->n_parts = parts < c->batch ? (uint32_t)parts : c->batch;
    op->each = c->batch / op->n_parts;
    op->larger = c->batch % op->n_parts;
    op->sizes[0].samples = op->each + (op->larger > 0);
    op->sizes[1].samples = op->larger > 0 ? op->each : 0; /* 0: not needed */
}

/* *suits: false where oneDNN has only implementations that are not taken. */
static actc_status describe(actc_cpu_device *device, const actc_command *command, actc_dnnl_op *op, bool *suits)
{
    const actc_conv *c = &command->u.conv;
    const char *label = command->label;
    bool filter = c->pass == ACTC_CONV_BACKWARD_FILTER;
    op->command = command;
    cut_batch(device, op);
    dnnl_memory_desc_t any, plain;
    DNNL(tensor4(&any, c->oc, c->ic, c->kh, c->kw, dnnl_format_tag_any), label);
    DNNL(tensor4(&plain, c->oc, c->ic, c->kh, c->kw, dnnl_acdb), label);
    DNNL(describe_sized(device, c, &any, &op->sizes[0]), label);
    const dnnl_memory_desc_t *w =
        query(op->sizes[0].desc, filter ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    *suits = adds_in_one_order(&op->sizes[0]);
    note_scratch(op, op->sizes[0].desc);
    if (op->sizes[1].samples) {
        DNNL(describe_sized(device, c, w, &op->sizes[1]), label);
        *suits = *suits && adds_in_one_order(&op->sizes[1]);
        note_scratch(op, op->sizes[1].desc);
    }
    if (!*suits)
        return ACTC_OK;
    op->n_scratch = (uint64_t)device->threads < op->n_parts ? (uint64_t)device->threads : op->n_parts;
    bool reorders = !dnnl_memory_desc_equal(w, &plain) || (filter && c->add);
    if (!reorders && !(filter && op->n_parts > 1))
        return ACTC_OK;
    op->w_bytes = actc_align(dnnl_memory_desc_get_size(w), ACTC_VIEW_ALIGNMENT);
    op->n_w = filter ? op->n_parts : 1;
    if (!reorders)
        return ACTC_OK;
    dnnl_primitive_attr_t attr;
    DNNL(attributes(&attr, filter && c->add), label);
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&op->reorder_desc, filter ? w : &plain, device->engine,
                                                              filter ? &plain : w, device->engine, attr);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return fail(device, label, "weight reorder", status);
    note_scratch(op, op->reorder_desc);
    return ACTC_OK;
}

static void release_args(exec_args *args)
{
    for (int i = 0; i < args->n; i++)
        dnnl_memory_destroy(args->arg[i].memory);
}

static void release(actc_dnnl_op *op)
{
    for (uint32_t i = 0; op->parts && i < op->n_parts; i++)
        release_args(&op->parts[i].args);
    actc_free(op->parts);
    for (uint64_t i = 0; op->scratch && i < op->n_scratch; i++)
        if (op->scratch[i])
            dnnl_memory_destroy(op->scratch[i]);
    actc_free(op->scratch);
    release_args(&op->reorder_args);
    dnnl_primitive_t primitives[] = {op->sizes[0].primitive, op->sizes[1].primitive, op->reorder};
    dnnl_primitive_desc_t descs[] = {op->sizes[0].desc, op->sizes[1].desc, op->reorder_desc};
    for (int i = 0; i < 3; i++) {
        if (primitives[i])
            dnnl_primitive_destroy(primitives[i]);
        if (descs[i])
            dnnl_primitive_desc_destroy(descs[i]);
    }
}

actc_status actc_dnnl_workspace_bytes(actc_cpu_device *device, const actc_command *command, uint64_t *bytes,
                                      bool *suits)
{
    actc_dnnl_op op = {0};
    *suits = false;
    int saved = enter(device);
    actc_status status = describe(device, command, &op, suits);
    leave(device, saved);
    *bytes = *suits ? op.n_w * op.w_bytes + op.n_scratch * op.scratch_bytes : 0;
    release(&op);
    return status;
}

/* ---- prepare ---- */

static dnnl_status_t add_arg(actc_cpu_device *device, exec_args *args, int arg, const dnnl_memory_desc_t *md, void *handle)
{
    dnnl_memory_t memory;
    TRY(dnnl_memory_create(&memory, md, device->engine, DNNL_MEMORY_NONE));
    args->arg[args->n++] = (dnnl_exec_arg_t){arg, memory};
    return dnnl_memory_set_data_handle(memory, handle);
}

/* Memory objects of part i, which begins at sample `first`. */
static dnnl_status_t bind_part(actc_cpu_device *device, actc_dnnl_op *op, void *const *views, uint32_t i, uint32_t first)
{
    const actc_conv *c = &op->command->u.conv;
    part *p = &op->parts[i];
    dnnl_primitive_desc_t desc = p->sized->desc;
    char *x = views[c->pass == ACTC_CONV_BACKWARD_DATA ? 3 : 0];
    char *y = views[c->pass == ACTC_CONV_FORWARD ? 3 : c->pass == ACTC_CONV_BACKWARD_DATA ? 0 : 1];
    x += (uint64_t)first * c->ih * c->iw * c->ic * sizeof(float);
    y += (uint64_t)first * c->oh * c->ow * c->oc * sizeof(float);
    char *w = op->n_w ? (char *)views[ACTC_WORKSPACE_VIEW] + (op->n_w > 1 ? i : 0) * op->w_bytes
                      : views[c->pass == ACTC_CONV_BACKWARD_FILTER ? 3 : 1];
    if (c->pass == ACTC_CONV_FORWARD) {
        TRY(add_arg(device, &p->args, DNNL_ARG_SRC, query(desc, dnnl_query_src_md, 0), x));
        TRY(add_arg(device, &p->args, DNNL_ARG_WEIGHTS, query(desc, dnnl_query_weights_md, 0), w));
        if (c->bias)
            TRY(add_arg(device, &p->args, DNNL_ARG_BIAS, query(desc, dnnl_query_weights_md, 1), views[2]));
        return add_arg(device, &p->args, DNNL_ARG_DST, query(desc, dnnl_query_dst_md, 0), y);
    }
    TRY(add_arg(device, &p->args, DNNL_ARG_DIFF_DST, query(desc, dnnl_query_diff_dst_md, 0), y));
    if (c->pass == ACTC_CONV_BACKWARD_DATA) {
        TRY(add_arg(device, &p->args, DNNL_ARG_WEIGHTS, query(desc, dnnl_query_weights_md, 0), w));
        return add_arg(device, &p->args, DNNL_ARG_DIFF_SRC, query(desc, dnnl_query_diff_src_md, 0), x);
    }
    TRY(add_arg(device, &p->args, DNNL_ARG_SRC, query(desc, dnnl_query_src_md, 0), x));
    return add_arg(device, &p->args, DNNL_ARG_DIFF_WEIGHTS, query(desc, dnnl_query_diff_weights_md, 0), w);
}

static dnnl_status_t bind(actc_cpu_device *device, actc_dnnl_op *op, void *const *views)
{
    const actc_conv *c = &op->command->u.conv;
    bool filter = c->pass == ACTC_CONV_BACKWARD_FILTER;
    for (uint32_t i = 0, first = 0; i < op->n_parts; i++) {
        op->parts[i].sized = &op->sizes[op->larger > 0 && i >= op->larger ? 1 : 0];
        TRY(bind_part(device, op, views, i, first));
        first += op->parts[i].sized->samples;
    }
    if (filter && op->n_parts > 1) {
        op->sums = views[ACTC_WORKSPACE_VIEW];
        op->total = op->reorder_desc ? views[ACTC_WORKSPACE_VIEW] : views[3];
    }
    if (op->reorder_desc) {
        void *ours = views[ACTC_WORKSPACE_VIEW], *plain = views[filter ? 3 : 1];
        TRY(add_arg(device, &op->reorder_args, DNNL_ARG_FROM, query(op->reorder_desc, dnnl_query_src_md, 0),
                    filter ? ours : plain));
        TRY(add_arg(device, &op->reorder_args, DNNL_ARG_TO, query(op->reorder_desc, dnnl_query_dst_md, 0),
                    filter ? plain : ours));
        TRY(dnnl_primitive_create(&op->reorder, op->reorder_desc));
    }
    for (int i = 0; i < 2; i++)
        if (op->sizes[i].desc)
            TRY(dnnl_primitive_create(&op->sizes[i].primitive, op->sizes[i].desc));
    /* A plain run of bytes serves every primitive as its scratchpad; what it holds is the primitive's affair. */
    dnnl_dims_t dims = {(dnnl_dim_t)op->scratch_bytes};
    dnnl_memory_desc_t md;
    if (op->scratch_bytes == 0)
        return dnnl_success;
    TRY(dnnl_memory_desc_init_by_tag(&md, 1, dims, dnnl_u8, dnnl_a));
    for (uint64_t i = 0; i < op->n_scratch; i++) {
        TRY(dnnl_memory_create(&op->scratch[i], &md, device->engine, DNNL_MEMORY_NONE));
        TRY(dnnl_memory_set_data_handle(op->scratch[i], (char *)views[ACTC_WORKSPACE_VIEW] + op->n_w * op->w_bytes +
                                                            i * op->scratch_bytes));
    }
    return dnnl_success;
}

static actc_status make(actc_cpu_device *device, const actc_command *command, void *const *views, actc_dnnl_op *op,
                        bool *suits)
{
    actc_status status = describe(device, command, op, suits);
    if (status != ACTC_OK || !*suits)
        return status;
    op->parts = actc_calloc(op->n_parts, sizeof *op->parts);
    op->scratch = actc_calloc((size_t)op->n_scratch, sizeof *op->scratch);
    if (!op->parts || !op->scratch)
        return actc_fail(device->base.context, ACTC_ERROR_OUT_OF_MEMORY, "%s: out of host memory", command->label);
    DNNL(bind(device, op, views), command->label);
    return ACTC_OK;
}

actc_status actc_dnnl_prepare(actc_cpu_device *device, const actc_command *command, void *const *views,
                              actc_dnnl_op **out)
{
    *out = NULL;
    actc_dnnl_op *op = actc_calloc(1, sizeof *op);
    if (!op)
        return actc_fail(device->base.context, ACTC_ERROR_OUT_OF_MEMORY, "%s: out of host memory", command->label);
    bool suits = false;
    int saved = enter(device);
    actc_status status = make(device, command, views, op, &suits);
    leave(device, saved);
    if (status != ACTC_OK || !suits) {
        actc_dnnl_op_destroy(op);
        return status;
    }
    *out = op;
    return ACTC_OK;
}

void actc_dnnl_op_destroy(actc_dnnl_op *op)
{
    if (!op)
        return;
    release(op);
    actc_free(op);
}

/* ---- run ---- */

static dnnl_status_t execute(const actc_cpu_device *device, const actc_dnnl_op *op, dnnl_primitive_t primitive,
                             const exec_args *args, int thread)
{
    exec_args all = *args;
    if (op->scratch_bytes)
        all.arg[all.n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, op->scratch[thread]};
    TRY(dnnl_primitive_execute(primitive, device->streams[thread], all.n, all.arg));
    return dnnl_stream_wait(device->streams[thread]);
}

typedef struct job {
    actc_cpu_device *device;
    const actc_dnnl_op *op;
    dnnl_status_t *status; /* a thread each */
} job;

static void run_parts(void *user, uint32_t begin, uint32_t end, int thread)
{
    const job *j = user;
    int saved = enter(j->device);
    for (uint32_t i = begin; i < end; i++) {
        const part *p = &j->op->parts[i];
        dnnl_status_t status = execute(j->device, j->op, p->sized->primitive, &p->args, thread);
        if (status != dnnl_success)
            j->status[thread] = status;
    }
    leave(j->device, saved);
}

/* total = the parts' sums, added in ascending order. total may be the first of them. */
static void add_sums(void *user, uint32_t begin, uint32_t end, int thread)
{
    (void)thread;
    const actc_dnnl_op *op = user;
    uint64_t stride = op->w_bytes / sizeof(float);
    for (uint32_t i = begin; i < end; i++) {
        float s = op->sums[i];
        for (uint32_t k = 1; k < op->n_parts; k++)
            s += op->sums[k * stride + i];
        op->total[i] = s;
    }
}

actc_status actc_dnnl_run(actc_cpu_device *device, const actc_dnnl_op *op)
{
    const actc_conv *c = &op->command->u.conv;
    const char *label = op->command->label;
    bool filter = c->pass == ACTC_CONV_BACKWARD_FILTER;
    int saved = enter(device);
    dnnl_status_t status = dnnl_success;
    if (op->reorder && !filter)
        status = execute(device, op, op->reorder, &op->reorder_args, 0);
    leave(device, saved);
    if (status != dnnl_success)
        return fail(device, label, "weight reorder", status);

    memset(device->library_status, 0, (size_t)device->threads * sizeof *device->library_status);
    job j = {device, op, (dnnl_status_t *)device->library_status};
    _Static_assert(sizeof(dnnl_status_t) == sizeof *device->library_status, "statuses are ints");
    actc_parallel_for(device->threads, op->n_parts, 1, run_parts, &j);
    for (int i = 0; i < device->threads; i++)
        if (j.status[i] != dnnl_success)
            return fail(device, label, "convolution", j.status[i]);

    if (op->sums) {
        /* Where the sums have padding, the reorder leaves it out; it is 0 in all of them. */
        uint64_t floats = op->reorder ? op->w_bytes / sizeof(float) : (uint64_t)c->oc * c->kh * c->kw * c->ic;
        actc_parallel_for(device->threads, (uint32_t)floats, 8192, add_sums, (void *)(uintptr_t)op);
    }
    if (op->reorder && filter) {
        saved = enter(device);
        status = execute(device, op, op->reorder, &op->reorder_args, 0);
        leave(device, saved);
        if (status != dnnl_success)
            return fail(device, label, "weight gradient reorder", status);
    }
    return ACTC_OK;
}
