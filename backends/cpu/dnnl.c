/* dnnl.c: convolution through oneDNN (C interface, version 2 or 3).
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
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "conv_parts.h"
#include "cpu_device.h"
#include "dnnl_api.h"

/* Parts a thread: more even out threads that come late. Weight gradients above FILTER_SMALL_BYTES get one part a thread,
 * since each part has its own sum in the workspace, and no more parts than FILTER_SUMS_BYTES hold. */
#define PARTS_A_THREAD 4u
#define FILTER_SMALL_BYTES (64u * 1024u)
#define FILTER_SUMS_BYTES (64u << 20)
/* Samples are cut where their parts have so many products, some 10 us of work. */
#define PART_PRODUCTS (1u << 20)
#define MAX_ARGS 5
/* Sums of more products than this are made in blocks of channels, where a part's tensors in blocks are no larger than that. */
#define LONG_CHAIN 128u
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

/* How a tensor lies: as the network keeps it, as oneDNN likes it, in blocks of CHANNEL_BLOCK channels. */
typedef enum layout { PLAIN, ANY, BLOCKS } layout;

/* Activations of so many channels and positions, or weights. */
static dnnl_status_t tensor(actc_md *md, bool volume, uint32_t n, uint32_t c, uint32_t d, uint32_t h, uint32_t w, layout lies)
{
    static const dnnl_format_tag_t tags[2][3] = {{dnnl_acdb, dnnl_format_tag_any, dnnl_aBcd16b},
                                                 {dnnl_acdeb, dnnl_format_tag_any, dnnl_aBcde16b}};
    dnnl_dims_t image = {n, c, h, w}, box = {n, c, d, h, w};
    return actc_md_create(md, volume ? 5 : 4, volume ? box : image, dnnl_f32, tags[volume][lies]);
}

static dnnl_status_t weights(actc_md *md, const actc_conv *c, layout lies)
{
    return tensor(md, is_volume(c), c->oc, c->ic, c->kd, c->kh, c->kw, lies);
}

static actc_md_view query(dnnl_primitive_desc_t desc, dnnl_query_t what, int index)
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
        status = actc_post_ops_append_sum(ops);
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
    actc_md_view md = query(desc, dnnl_query_scratchpad_md, 0);
    uint64_t bytes = md ? actc_align(dnnl_memory_desc_get_size(md), ACTC_VIEW_ALIGNMENT) : 0;
    if (bytes > op->scratch_bytes)
        op->scratch_bytes = bytes;
}

typedef struct shapes {
    actc_md x, bias, y;
} shapes;

static void release_shapes(shapes *m)
{
    actc_md_destroy(&m->x);
    actc_md_destroy(&m->bias);
    actc_md_destroy(&m->y);
}

/* m starts as zeros and is to be released, also after a failure. */
static dnnl_status_t describe_shapes(const actc_conv *c, layout lies, shapes *m)
{
    const bool volume = is_volume(c);
    dnnl_dims_t bias = {c->oc};
    TRY(tensor(&m->x, volume, c->batch, c->ic, c->id, c->ih, c->iw, lies));
    TRY(tensor(&m->y, volume, c->batch, c->oc, c->od, c->oh, c->ow, lies));
    return actc_md_create(&m->bias, 1, bias, dnnl_f32, dnnl_a);
}

static void describe_window(const actc_conv *c, actc_conv_desc *d)
{
    /* What is read behind the image follows from the output's extent; it may be less than the padding before it. */
    const uint32_t in[3] = {c->id, c->ih, c->iw}, out[3] = {c->od, c->oh, c->ow}, k[3] = {c->kd, c->kh, c->kw},
                   s[3] = {c->sd, c->sh, c->sw}, p[3] = {c->pd, c->ph, c->pw}, dilation[3] = {c->dd, c->dh, c->dw};
    for (int axis = is_volume(c) ? 0 : 1, i = 0; axis < 3; axis++, i++) {
        d->strides[i] = s[axis];
        d->dilations[i] = (dnnl_dim_t)dilation[axis] - 1; /* 0 is dense in oneDNN */
        d->before[i] = p[axis];
        d->after[i] = ((dnnl_dim_t)out[axis] - 1) * s[axis] + ((dnnl_dim_t)k[axis] - 1) * dilation[axis] + 1 - in[axis] - p[axis];
    }
}

static bool has_forward_bias(const actc_conv *c)
{
    return c->bias && c->pass == ACTC_CONV_FORWARD;
}

/* The primitive of s over tensors that are described. */
static dnnl_status_t describe_primitive(actc_cpu_device *device, actc_md_view w, const shapes *m, sized *s)
{
    const actc_conv *c = s->conv;
    actc_conv_desc d = {.pass = dnnl_forward_training, .x = actc_md_of(&m->x), .w = w, .y = actc_md_of(&m->y)};
    describe_window(c, &d);
    if (has_forward_bias(c))
        d.bias = actc_md_of(&m->bias);
    dnnl_primitive_attr_t attr;
    TRY(attributes(&attr, false));
    dnnl_primitive_desc_t hint = NULL; /* what the backward passes want to know of the forward one */
    dnnl_status_t status = dnnl_success;
    if (c->pass != ACTC_CONV_FORWARD) {
        status = actc_conv_desc_create(&hint, &d, device->engine, NULL, NULL);
        d.pass = c->pass == ACTC_CONV_BACKWARD_FILTER ? dnnl_backward_weights : dnnl_backward_data;
    }
    if (status == dnnl_success)
        status = actc_conv_desc_create(&s->desc, &d, device->engine, hint, attr);
    if (hint)
        dnnl_primitive_desc_destroy(hint);
    dnnl_primitive_attr_destroy(attr);
    return status;
}

/* The primitive for weights in the order w, which may be `any`. */
static dnnl_status_t describe_sized(actc_cpu_device *device, actc_md_view w, bool blocks, sized *s)
{
    shapes m = {0};
    dnnl_status_t status = describe_shapes(s->conv, blocks ? BLOCKS : PLAIN, &m);
    if (status == dnnl_success)
        status = describe_primitive(device, w, &m, s);
    release_shapes(&m);
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
    const bool dilated = c->dd * c->dh * c->dw != 1; /* in blocks oneDNN falls to its reference code where much is padding */
    if (c->pass == ACTC_CONV_BACKWARD_FILTER || channels * c->kd * c->kh * c->kw <= LONG_CHAIN || dilated || c->ic % CHANNEL_BLOCK ||
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
    actc_md_view in = query(s->desc, forward ? dnnl_query_src_md : dnnl_query_diff_dst_md, 0),
                 out = query(s->desc, forward ? dnnl_query_dst_md : dnnl_query_diff_src_md, 0);
    shapes m = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status = describe_shapes(s->conv, PLAIN, &m);
    if (status == dnnl_success)
        status = attributes(&attr, false);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&s->block_desc[0], actc_md_of(forward ? &m.x : &m.y), device->engine, in,
                                                    device->engine, attr);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&s->block_desc[1], out, device->engine, actc_md_of(forward ? &m.y : &m.x),
                                                    device->engine, attr);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    release_shapes(&m);
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

/* The primitives of op's parts, whose weights are described. *suits: false where oneDNN has only implementations that are not
 * taken. */
static actc_status describe_parts(actc_cpu_device *device, actc_dnnl_op *op, const actc_md *any, const actc_md *plain,
                                  bool *suits)
{
    const actc_conv *c = &op->whole;
    const char *label = op->command->label;
    bool filter = c->pass == ACTC_CONV_BACKWARD_FILTER;
    actc_md_view w = actc_md_of(any);
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
    bool reorders = !dnnl_memory_desc_equal(w, actc_md_of(plain)) || (filter && c->add);
    if (!reorders && !(filter && op->n_parts > 1))
        return ACTC_OK;
    op->w_bytes = actc_align(dnnl_memory_desc_get_size(w), ACTC_VIEW_ALIGNMENT);
    op->n_w = filter ? op->n_parts : 1;
    if (!reorders)
        return ACTC_OK;
    dnnl_primitive_attr_t attr;
    DNNL(attributes(&attr, filter && c->add), label);
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&op->reorder_desc, filter ? w : actc_md_of(plain), device->engine,
                                                              filter ? actc_md_of(plain) : w, device->engine, attr);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return fail(device, label, "weight reorder", status);
    note_scratch(op, op->reorder_desc);
    return ACTC_OK;
}

static actc_status describe(actc_cpu_device *device, const actc_command *command, actc_dnnl_op *op, bool *suits)
{
    op->command = command;
    op->whole = command->u.conv;
    actc_status status = cut(device, op);
    if (status != ACTC_OK)
        return status;
    actc_md any = {0}, plain = {0};
    dnnl_status_t described = weights(&any, &op->whole, ANY);
    if (described == dnnl_success)
        described = weights(&plain, &op->whole, PLAIN);
    status = described == dnnl_success ? describe_parts(device, op, &any, &plain, suits)
                                       : fail(device, command->label, "weights", described);
    actc_md_destroy(&any);
    actc_md_destroy(&plain);
    return status;
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

static dnnl_status_t add_arg(actc_cpu_device *device, exec_args *args, int arg, actc_md_view md, void *handle)
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

/* A plain run of bytes serves every primitive as its scratchpad; what it holds is the primitive's affair. */
static dnnl_status_t bind_scratch(actc_cpu_device *device, actc_dnnl_op *op, void *const *views)
{
    dnnl_dims_t dims = {(dnnl_dim_t)op->scratch_bytes};
    char *scratch = (char *)views[ACTC_WORKSPACE_VIEW] + op->n_w * op->w_bytes;
    actc_md md = {0};
    dnnl_status_t status = actc_md_create(&md, 1, dims, dnnl_u8, dnnl_a);
    for (uint64_t i = 0; i < op->n_scratch && status == dnnl_success; i++)
        status = dnnl_memory_create(&op->scratch[i], actc_md_of(&md), device->engine, scratch + i * op->scratch_bytes);
    actc_md_destroy(&md);
    return status;
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
    return op->scratch_bytes ? bind_scratch(device, op, views) : dnnl_success;
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
