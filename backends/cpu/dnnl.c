/* dnnl.c: convolution through oneDNN (C interface, version 2).
 *
 * Activations are NHWC, weights O,KH,KW,I; where the primitive prefers another order of the weights, they are reordered
 * into the workspace before it, and weight gradients out of it after it. Scratchpads are the caller's: workspace_bytes
 * is what the op uses, to the byte, since it works the op out as prepare does.
 *
 * The convolution is cut into parts (conv_parts.h), which actc_parallel_for hands to its threads; each runs a primitive
 * made for one thread. So oneDNN starts no threads of its own, the backend has one set of threads, and one that the system
 * takes away for a while delays its part only. Weight gradients of the parts are added in ascending order; how many parts
 * there are depends on the number of threads of the device and on nothing else.
 *
 * Where the sums of a forward or backward data pass have many products and the processor has AVX-512, its parts go through blocks of 16
 * channels: oneDNN's kernels for those add the products of a block before they add them to the rest, where the ones for channels-last have
 * one chain of additions, which rounds more (docs/parity.md, "Against PyTorch").
 *
 * Only implementations that add in one order at every output position are taken: direct convolution, never Winograd,
 * and none built on oneDNN's gemm, whose edge tiles add in another order (equal rows of A give unequal rows of C;
 * measured with 2.6.3). For the same reason gemm itself is not oneDNN's here.
 */
#include <oneapi/dnnl/dnnl.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "conv_parts.h"
#include "cpu_device.h"

/* Parts a thread: more even out threads that come late. Weight gradients above FILTER_SMALL_BYTES get one part a thread,
 * since each part has its own sum in the workspace, and no more parts than FILTER_SUMS_BYTES hold. */
#define PARTS_A_THREAD 4u
#define FILTER_SMALL_BYTES (64u * 1024u)
#define FILTER_SUMS_BYTES (64u << 20)
/* Samples are cut where their parts have so many products, some 10 us of work. */
#define PART_PRODUCTS (1u << 20)
#define MAX_ARGS 5
/* Sums of more products than this are made in blocks of channels, where a part's tensors in blocks are no larger than that. */
#define LONG_CHAIN 512u
#define CHANNEL_BLOCK 16u
#define BLOCKED_BYTES (4u << 20)

typedef struct exec_args {
    int n;
    dnnl_exec_arg_t arg[MAX_ARGS];
} exec_args;

/* A primitive for parts of one shape. */
typedef struct sized {
    const actc_conv *conv;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_primitive_desc_t block_desc[2]; /* of what is read into blocks of channels, and of what is written out of them; or NULL */
    dnnl_primitive_t block[2];
} sized;

typedef struct part {
    const sized *sized;
    float *x; /* where the part's inputs, or their gradients, begin */
    exec_args args; /* all but the scratchpad, which is the thread's; the tensor that is read comes first, the one that is written last */
    dnnl_memory_t stored[2]; /* these two as they lie in the network, where args has them in blocks of channels */
} part;

struct actc_dnnl_op {
    const actc_command *command;
    actc_conv whole;
    actc_conv_part *cut;
    sized *sizes;
    uint32_t n_sizes, n_parts;
    uint32_t *size_of; /* of each part, an index into sizes */
    part *parts;
    const float *bias; /* of backward data, which oneDNN does not add */
    /* Weights in the primitive's order, or the sum of a part: at the start of the workspace, one after the other. */
    uint64_t w_bytes, n_w;
    dnnl_primitive_desc_t reorder_desc; /* NULL: the primitive takes weights as they are stored */
    dnnl_primitive_t reorder;
    exec_args reorder_args;
    /* Behind them a scratchpad a thread. */
    uint64_t scratch_bytes, n_scratch;
    dnnl_memory_t *scratch;
    /* And behind those what a part reads and writes in blocks of channels, for each thread. */
    bool blocks;
    uint64_t blocked_bytes[2];
    char *blocked;
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

static bool is_volume(const actc_conv *c)
{
    return c->id > 1 || c->od > 1 || c->kd > 1;
}

/* Activations of so many channels and positions, or weights. */
static dnnl_status_t tensor(dnnl_memory_desc_t *md, bool volume, uint32_t n, uint32_t c, uint32_t d, uint32_t h, uint32_t w,
                            bool any)
{
    dnnl_dims_t image = {n, c, h, w}, box = {n, c, d, h, w};
    return volume ? dnnl_memory_desc_init_by_tag(md, 5, box, dnnl_f32, any ? dnnl_format_tag_any : dnnl_acdeb)
                  : dnnl_memory_desc_init_by_tag(md, 4, image, dnnl_f32, any ? dnnl_format_tag_any : dnnl_acdb);
}

static dnnl_status_t weights(dnnl_memory_desc_t *md, const actc_conv *c, bool any)
{
    return tensor(md, is_volume(c), c->oc, c->ic, c->kd, c->kh, c->kw, any);
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

/* x or y in blocks of channels. */
static dnnl_status_t in_blocks(dnnl_memory_desc_t *md)
{
    dnnl_dims_t dims;
    memcpy(dims, md->dims, sizeof dims);
    const int ndims = md->ndims;
    return dnnl_memory_desc_init_by_tag(md, ndims, dims, dnnl_f32, ndims == 5 ? dnnl_aBcde16b : dnnl_aBcd16b);
}

static dnnl_status_t describe_shapes(const actc_conv *c, conv_mds *d)
{
    const bool volume = is_volume(c);
    dnnl_dims_t bias = {c->oc};
    TRY(tensor(&d->x, volume, c->batch, c->ic, c->id, c->ih, c->iw, false));
    TRY(tensor(&d->y, volume, c->batch, c->oc, c->od, c->oh, c->ow, false));
    TRY(dnnl_memory_desc_init_by_tag(&d->bias, 1, bias, dnnl_f32, dnnl_a));
    /* What is read behind the image follows from the output's extent; it may be less than the padding before it. */
    const uint32_t in[3] = {c->id, c->ih, c->iw}, out[3] = {c->od, c->oh, c->ow}, k[3] = {c->kd, c->kh, c->kw},
                   s[3] = {c->sd, c->sh, c->sw}, p[3] = {c->pd, c->ph, c->pw}, dilation[3] = {c->dd, c->dh, c->dw};
    for (int axis = volume ? 0 : 1, i = 0; axis < 3; axis++, i++) {
        d->strides[i] = s[axis];
        d->dilations[i] = (dnnl_dim_t)dilation[axis] - 1; /* 0 is dense in oneDNN */
        d->before[i] = p[axis];
        d->after[i] = ((dnnl_dim_t)out[axis] - 1) * s[axis] + ((dnnl_dim_t)k[axis] - 1) * dilation[axis] + 1 - in[axis] - p[axis];
    }
    return dnnl_success;
}

static bool has_forward_bias(const actc_conv *c)
{
    return c->bias && c->pass == ACTC_CONV_FORWARD;
}

/* The primitive for weights in the order w, which may be `any`. */
static dnnl_status_t describe_sized(actc_cpu_device *device, const dnnl_memory_desc_t *w, bool blocks, sized *s)
{
    const actc_conv *c = s->conv;
    conv_mds d;
    dnnl_convolution_desc_t desc;
    TRY(describe_shapes(c, &d));
    if (blocks) {
        TRY(in_blocks(&d.x));
        TRY(in_blocks(&d.y));
    }
    TRY(dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_training, dnnl_convolution_direct, &d.x, w,
                                                   has_forward_bias(c) ? &d.bias : NULL, &d.y, d.strides, d.dilations, d.before,
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

/* Whether the sums are made in blocks of channels. */
static bool wants_blocks(const actc_dnnl_op *op)
{
    const actc_conv *c = &op->whole;
    const uint64_t channels = c->pass == ACTC_CONV_FORWARD ? c->ic : c->oc;
    if (c->pass == ACTC_CONV_BACKWARD_FILTER || channels * c->kd * c->kh * c->kw <= LONG_CHAIN || c->ic % CHANNEL_BLOCK ||
        c->oc % CHANNEL_BLOCK || (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) != dnnl_cpu_isa_avx512_core)
        return false;
    uint64_t most = 0;
    for (uint32_t i = 0; i < op->n_sizes; i++) {
        const actc_conv *p = op->sizes[i].conv;
        uint64_t x = (uint64_t)p->id * p->ih * p->iw * p->ic, y = (uint64_t)p->od * p->oh * p->ow * p->oc;
        uint64_t bytes = (x + y) * p->batch * sizeof(float);
        most = bytes > most ? bytes : most;
    }
    return most <= BLOCKED_BYTES;
}

/* The reorders of what a part reads into blocks and of what it writes out of them. */
static dnnl_status_t describe_blocks(actc_cpu_device *device, actc_dnnl_op *op, sized *s)
{
    const bool forward = s->conv->pass == ACTC_CONV_FORWARD;
    conv_mds d;
    TRY(describe_shapes(s->conv, &d));
    const dnnl_memory_desc_t *in = query(s->desc, forward ? dnnl_query_src_md : dnnl_query_diff_dst_md, 0),
                             *out = query(s->desc, forward ? dnnl_query_dst_md : dnnl_query_diff_src_md, 0);
    dnnl_primitive_attr_t attr;
    TRY(attributes(&attr, false));
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&s->block_desc[0], forward ? &d.x : &d.y, device->engine, in,
                                                              device->engine, attr);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&s->block_desc[1], out, device->engine, forward ? &d.y : &d.x, device->engine, attr);
    dnnl_primitive_attr_destroy(attr);
    TRY(status);
    for (int k = 0; k < 2; k++) {
        uint64_t bytes = actc_align(dnnl_memory_desc_get_size(k ? out : in), ACTC_VIEW_ALIGNMENT);
        op->blocked_bytes[k] = bytes > op->blocked_bytes[k] ? bytes : op->blocked_bytes[k];
        note_scratch(op, s->block_desc[k]);
    }
    return dnnl_success;
}

/* Parts that the convolution is to be cut into. */
static uint32_t parts_wanted(const actc_cpu_device *device, const actc_conv *c)
{
    uint64_t w_bytes = (uint64_t)c->oc * c->kd * c->kh * c->kw * c->ic * sizeof(float), threads = (uint64_t)device->threads;
    bool filter = c->pass == ACTC_CONV_BACKWARD_FILTER;
    uint64_t parts = threads == 1 ? 1 : threads * (!filter || w_bytes <= FILTER_SMALL_BYTES ? PARTS_A_THREAD : 1);
    if (filter && parts > FILTER_SUMS_BYTES / w_bytes)
        parts = FILTER_SUMS_BYTES / w_bytes;
    uint64_t worth = (uint64_t)c->batch * c->od * c->oh * c->ow * (w_bytes / sizeof(float)) / PART_PRODUCTS;
    if (parts > c->batch && parts > worth)
        parts = worth > c->batch ? worth : c->batch;
    return parts < 1 ? 1 : (uint32_t)parts;
}

static bool same_shape(const actc_conv *a, const actc_conv *b)
{
    return a->batch == b->batch && a->id == b->id && a->ih == b->ih && a->iw == b->iw && a->od == b->od && a->oh == b->oh &&
           a->ow == b->ow && a->pd == b->pd && a->ph == b->ph && a->pw == b->pw;
}

/* Cuts the convolution and finds the shapes that its parts have. */
static actc_status cut(actc_cpu_device *device, actc_dnnl_op *op)
{
    actc_conv *c = &op->whole;
    if (c->kd == 1 && c->sd == 1 && c->pd == 0) { /* planes that do not see each other */
        c->batch *= c->id;
        c->id = c->od = c->dd = 1;
    }
    op->cut = actc_conv_cut(c, parts_wanted(device, c), &op->n_parts);
    op->sizes = op->cut ? actc_calloc(op->n_parts, sizeof *op->sizes) : NULL;
    op->size_of = op->sizes ? actc_calloc(op->n_parts, sizeof *op->size_of) : NULL;
    if (!op->size_of)
        return actc_fail(device->base.context, ACTC_ERROR_OUT_OF_MEMORY, "%s: out of host memory", op->command->label);
    for (uint32_t i = 0; i < op->n_parts; i++) {
        uint32_t k = 0;
        while (k < op->n_sizes && !same_shape(op->sizes[k].conv, &op->cut[i].conv))
            k++;
        if (k == op->n_sizes)
            op->sizes[op->n_sizes++].conv = &op->cut[i].conv;
        op->size_of[i] = k;
    }
    return ACTC_OK;
}

/* *suits: false where oneDNN has only implementations that are not taken. */
static actc_status describe(actc_cpu_device *device, const actc_command *command, actc_dnnl_op *op, bool *suits)
{
    const actc_conv *c = &op->whole;
    const char *label = command->label;
    bool filter = command->u.conv.pass == ACTC_CONV_BACKWARD_FILTER;
    op->command = command;
    op->whole = command->u.conv;
    actc_status cut_status = cut(device, op);
    if (cut_status != ACTC_OK)
        return cut_status;
    dnnl_memory_desc_t any, plain;
    DNNL(weights(&any, c, true), label);
    DNNL(weights(&plain, c, false), label);
    const dnnl_memory_desc_t *w = &any;
    *suits = true;
    op->blocks = wants_blocks(op);
    for (uint32_t i = 0; i < op->n_sizes && *suits; i++) {
        DNNL(describe_sized(device, w, op->blocks, &op->sizes[i]), label);
        if (op->blocks)
            DNNL(describe_blocks(device, op, &op->sizes[i]), label);
        if (i == 0)
            w = query(op->sizes[0].desc, filter ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
        *suits = adds_in_one_order(&op->sizes[i]);
        note_scratch(op, op->sizes[i].desc);
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

static void release_primitive(dnnl_primitive_t primitive, dnnl_primitive_desc_t desc)
{
    if (primitive)
        dnnl_primitive_destroy(primitive);
    if (desc)
        dnnl_primitive_desc_destroy(desc);
}

static void release(actc_dnnl_op *op)
{
    for (uint32_t i = 0; op->parts && i < op->n_parts; i++) {
        release_args(&op->parts[i].args);
        for (int k = 0; k < 2; k++)
            if (op->parts[i].stored[k])
                dnnl_memory_destroy(op->parts[i].stored[k]);
    }
    actc_free(op->parts);
    for (uint64_t i = 0; op->scratch && i < op->n_scratch; i++)
        if (op->scratch[i])
            dnnl_memory_destroy(op->scratch[i]);
    actc_free(op->scratch);
    release_args(&op->reorder_args);
    for (uint32_t i = 0; i < op->n_sizes; i++) {
        release_primitive(op->sizes[i].primitive, op->sizes[i].desc);
        for (int k = 0; k < 2; k++)
            release_primitive(op->sizes[i].block[k], op->sizes[i].block_desc[k]);
    }
    release_primitive(op->reorder, op->reorder_desc);
    actc_free(op->size_of);
    actc_free(op->sizes);
    actc_free(op->cut);
}

actc_status actc_dnnl_workspace_bytes(actc_cpu_device *device, const actc_command *command, uint64_t *bytes,
                                      bool *suits)
{
    actc_dnnl_op op = {0};
    *suits = false;
    int saved = enter(device);
    actc_status status = describe(device, command, &op, suits);
    leave(device, saved);
    *bytes = *suits ? op.n_w * op.w_bytes + op.n_scratch * (op.scratch_bytes + op.blocked_bytes[0] + op.blocked_bytes[1]) : 0;
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

/* Memory objects of part i. */
static dnnl_status_t bind_part(actc_cpu_device *device, actc_dnnl_op *op, void *const *views, uint32_t i)
{
    const actc_conv *c = &op->whole;
    part *p = &op->parts[i];
    dnnl_primitive_desc_t desc = p->sized->desc;
    char *x = views[c->pass == ACTC_CONV_BACKWARD_DATA ? 3 : 0];
    char *y = views[c->pass == ACTC_CONV_FORWARD ? 3 : c->pass == ACTC_CONV_BACKWARD_DATA ? 0 : 1];
    x += op->cut[i].x * sizeof(float);
    y += op->cut[i].y * sizeof(float);
    p->x = (float *)(void *)x;
    char *w = op->n_w ? (char *)views[ACTC_WORKSPACE_VIEW] + (op->n_w > 1 ? i : 0) * op->w_bytes
                      : views[c->pass == ACTC_CONV_BACKWARD_FILTER ? 3 : 1];
    if (op->blocks) { /* which memory the blocks are is known when it runs: the thread's */
        const dnnl_primitive_desc_t *reorder = p->sized->block_desc;
        const bool forward = c->pass == ACTC_CONV_FORWARD;
        TRY(dnnl_memory_create(&p->stored[0], query(reorder[0], dnnl_query_src_md, 0), device->engine, forward ? x : y));
        TRY(dnnl_memory_create(&p->stored[1], query(reorder[1], dnnl_query_dst_md, 0), device->engine, forward ? y : x));
        x = y = NULL;
    }
    if (c->pass == ACTC_CONV_FORWARD) {
        TRY(add_arg(device, &p->args, DNNL_ARG_SRC, query(desc, dnnl_query_src_md, 0), x));
        TRY(add_arg(device, &p->args, DNNL_ARG_WEIGHTS, query(desc, dnnl_query_weights_md, 0), w));
        if (has_forward_bias(c))
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
    const actc_conv *c = &op->whole;
    bool filter = c->pass == ACTC_CONV_BACKWARD_FILTER;
    for (uint32_t i = 0; i < op->n_parts; i++) {
        op->parts[i].sized = &op->sizes[op->size_of[i]];
        TRY(bind_part(device, op, views, i));
    }
    if (c->bias && c->pass == ACTC_CONV_BACKWARD_DATA)
        op->bias = views[2];
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
    for (uint32_t i = 0; i < op->n_sizes; i++) {
        TRY(dnnl_primitive_create(&op->sizes[i].primitive, op->sizes[i].desc));
        for (int k = 0; k < 2 && op->blocks; k++)
            TRY(dnnl_primitive_create(&op->sizes[i].block[k], op->sizes[i].block_desc[k]));
    }
    if (op->blocks)
        op->blocked = (char *)views[ACTC_WORKSPACE_VIEW] + op->n_w * op->w_bytes + op->n_scratch * op->scratch_bytes;
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

static void add_bias(const actc_dnnl_op *op, const part *p)
{
    const actc_conv *c = p->sized->conv;
    uint64_t pixels = (uint64_t)c->batch * c->id * c->ih * c->iw;
    for (uint64_t i = 0; i < pixels; i++)
        for (uint32_t k = 0; k < c->ic; k++)
            p->x[i * c->ic + k] += op->bias[k];
}

static dnnl_status_t move_blocks(const job *j, const part *p, int which, int thread)
{
    dnnl_memory_t blocked = p->args.arg[which ? p->args.n - 1 : 0].memory;
    exec_args args = {2, {{DNNL_ARG_FROM, which ? blocked : p->stored[0]}, {DNNL_ARG_TO, which ? p->stored[1] : blocked}}};
    return execute(j->device, j->op, p->sized->block[which], &args, thread);
}

static dnnl_status_t run_part(const job *j, const part *p, int thread)
{
    const actc_dnnl_op *op = j->op;
    if (op->blocks) {
        char *in = op->blocked + (uint64_t)thread * (op->blocked_bytes[0] + op->blocked_bytes[1]);
        TRY(dnnl_memory_set_data_handle(p->args.arg[0].memory, in));
        TRY(dnnl_memory_set_data_handle(p->args.arg[p->args.n - 1].memory, in + op->blocked_bytes[0]));
        TRY(move_blocks(j, p, 0, thread));
    }
    TRY(execute(j->device, op, p->sized->primitive, &p->args, thread));
    return op->blocks ? move_blocks(j, p, 1, thread) : dnnl_success;
}

static void run_parts(void *user, uint32_t begin, uint32_t end, int thread)
{
    const job *j = user;
    int saved = enter(j->device);
    for (uint32_t i = begin; i < end; i++) {
        const part *p = &j->op->parts[i];
        dnnl_status_t status = run_part(j, p, thread);
        if (status != dnnl_success)
            j->status[thread] = status;
        else if (j->op->bias)
            add_bias(j->op, p);
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
    const actc_conv *c = &op->whole;
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
        uint64_t floats = op->reorder ? op->w_bytes / sizeof(float) : (uint64_t)c->oc * c->kd * c->kh * c->kw * c->ic;
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
