/* dnnl.c: convolution through oneDNN (C interface, version 2).
 *
 * Activations are NHWC, weights O,KH,KW,I; where the primitive prefers another order of the weights, they are reordered
 * into the workspace before it, and weight gradients out of it after it. Scratchpads are the caller's: workspace_bytes
 * is what the op uses, to the byte. It asks oneDNN the same questions as prepare, with the same number of threads, so
 * that the two cannot differ.
 *
 * Only implementations that add in one order at every output position are taken: direct convolution, never Winograd, and
 * none built on oneDNN's gemm, whose edge tiles add in another order (equal rows of A give unequal rows of C; measured
 * with 2.6.3). For the same reason gemm itself is not oneDNN's here.
 */
#include <oneapi/dnnl/dnnl.h>

#include <stdio.h>
#include <string.h>

#include "cpu_device.h"

#ifdef ACTC_USE_OPENMP
#include <omp.h>
#else
#include <dlfcn.h>
#endif

#define MAX_STAGES 2
#define MAX_ARGS 5

/* One primitive and what it runs on. */
typedef struct stage {
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    int n_args;
    dnnl_exec_arg_t args[MAX_ARGS];
} stage;

/* An op being worked out: its primitives' descriptors and the parts of the workspace. */
struct actc_dnnl_op {
    const char *label;
    int n_stages;
    stage stages[MAX_STAGES];
    uint64_t reordered_bytes; /* weights, or weight gradients, in the primitive's order; at offset 0 */
    uint64_t scratch_bytes;   /* of the stage that needs most; behind it */
};

static actc_status fail(actc_cpu_device *device, const char *label, const char *what, dnnl_status_t status)
{
    static const char *const names[] = {"success",          "out of memory",  "invalid arguments", "unimplemented",
                                        "iterator ends",    "runtime error",  "not required"};
    const char *name = (unsigned)status < sizeof names / sizeof *names ? names[status] : "unknown status";
    return actc_fail(device->base.context, status == dnnl_out_of_memory ? ACTC_ERROR_OUT_OF_MEMORY : ACTC_ERROR_DEVICE,
                     "%s: oneDNN: %s: %s", label, what, name);
}

#define DNNL(call, label)                                \
    do {                                                 \
        dnnl_status_t status_ = (call);                  \
        if (status_ != dnnl_success)                     \
            return fail(device, (label), #call, status_); \
    } while (0)

void actc_dnnl_version_text(char *text, size_t size)
{
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, size, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
}

actc_status actc_dnnl_open(actc_cpu_device *device)
{
#ifdef ACTC_USE_OPENMP
    device->set_library_threads = omp_set_num_threads;
    device->get_library_threads = omp_get_max_threads;
#else
    /* oneDNN brought its OpenMP runtime along; asked for by name, this build need not link it. */
    *(void **)&device->set_library_threads = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    *(void **)&device->get_library_threads = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
#endif
    DNNL(dnnl_engine_create(&device->engine, dnnl_cpu, 0), "CPU device");
    DNNL(dnnl_stream_create(&device->stream, device->engine, dnnl_stream_default_flags), "CPU device");
    return ACTC_OK;
}

void actc_dnnl_close(actc_cpu_device *device)
{
    if (device->stream)
        dnnl_stream_destroy(device->stream);
    if (device->engine)
        dnnl_engine_destroy(device->engine);
}

int actc_dnnl_threads_enter(const actc_cpu_device *device)
{
    if (!device->set_library_threads || !device->get_library_threads)
        return 0;
    int saved = device->get_library_threads();
    device->set_library_threads(device->threads);
    return saved;
}

void actc_dnnl_threads_leave(const actc_cpu_device *device, int saved)
{
    if (saved > 0)
        device->set_library_threads(saved);
}

/* ---- memory descriptors ---- */

static dnnl_status_t tensor4(dnnl_memory_desc_t *md, uint32_t n, uint32_t c, uint32_t h, uint32_t w,
                             dnnl_format_tag_t tag)
{
    dnnl_dims_t dims = {n, c, h, w};
    return dnnl_memory_desc_init_by_tag(md, 4, dims, dnnl_f32, tag);
}

static const dnnl_memory_desc_t *query(const stage *s, dnnl_query_t what, int index)
{
    return dnnl_primitive_desc_query_md(s->desc, what, index);
}

/* ---- working an op out ---- */

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

static void note_scratch(actc_dnnl_op *op, const stage *s)
{
    const dnnl_memory_desc_t *md = query(s, dnnl_query_scratchpad_md, 0);
    uint64_t bytes = md ? dnnl_memory_desc_get_size(md) : 0;
    if (bytes > op->scratch_bytes)
        op->scratch_bytes = bytes;
}

/* Adds a stage from an op descriptor. */
static dnnl_status_t add_primitive(actc_cpu_device *device, actc_dnnl_op *op, const_dnnl_op_desc_t desc, bool add,
                                   dnnl_primitive_desc_t hint)
{
    stage *s = &op->stages[op->n_stages++];
    dnnl_primitive_attr_t attr;
    dnnl_status_t status = attributes(&attr, add);
    if (status != dnnl_success)
        return status;
    status = dnnl_primitive_desc_create(&s->desc, desc, attr, device->engine, hint);
    dnnl_primitive_attr_destroy(attr);
    if (status == dnnl_success)
        note_scratch(op, s);
    return status;
}

static dnnl_status_t add_reorder(actc_cpu_device *device, actc_dnnl_op *op, const dnnl_memory_desc_t *from,
                                 const dnnl_memory_desc_t *to, bool add)
{
    stage *s = &op->stages[op->n_stages++];
    dnnl_primitive_attr_t attr;
    dnnl_status_t status = attributes(&attr, add);
    if (status != dnnl_success)
        return status;
    status = dnnl_reorder_primitive_desc_create(&s->desc, from, device->engine, to, device->engine, attr);
    dnnl_primitive_attr_destroy(attr);
    if (status == dnnl_success)
        note_scratch(op, s);
    return status;
}

typedef struct conv_mds {
    dnnl_memory_desc_t x, w, w_any, bias, y;
    dnnl_dims_t strides, dilations, before, after;
} conv_mds;

static dnnl_status_t describe_shapes(const actc_conv *c, conv_mds *d)
{
    dnnl_dims_t bias = {c->oc};
    dnnl_status_t status = tensor4(&d->x, c->batch, c->ic, c->ih, c->iw, dnnl_nhwc);
    if (status == dnnl_success)
        status = tensor4(&d->w, c->oc, c->ic, c->kh, c->kw, dnnl_acdb);
    if (status == dnnl_success)
        status = tensor4(&d->w_any, c->oc, c->ic, c->kh, c->kw, dnnl_format_tag_any);
    if (status == dnnl_success)
        status = tensor4(&d->y, c->batch, c->oc, c->oh, c->ow, dnnl_nhwc);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&d->bias, 1, bias, dnnl_f32, dnnl_a);
    /* What is read behind the image follows from the output's extent; it may be less than the padding before it. */
    uint32_t in[2] = {c->ih, c->iw}, out[2] = {c->oh, c->ow}, k[2] = {c->kh, c->kw}, s[2] = {c->sh, c->sw},
             p[2] = {c->ph, c->pw}, dilation[2] = {c->dh, c->dw};
    for (int i = 0; i < 2; i++) {
        d->strides[i] = s[i];
        d->dilations[i] = (dnnl_dim_t)dilation[i] - 1; /* 0 is dense in oneDNN */
        d->before[i] = p[i];
        d->after[i] = ((dnnl_dim_t)out[i] - 1) * s[i] + ((dnnl_dim_t)k[i] - 1) * dilation[i] + 1 - in[i] - p[i];
    }
    return status;
}

/* The forward primitive, which the backward ones take as a hint. */
static dnnl_status_t forward_desc(const actc_conv *c, const conv_mds *d, dnnl_convolution_desc_t *desc)
{
    return dnnl_dilated_convolution_forward_desc_init(desc, dnnl_forward_training, dnnl_convolution_direct, &d->x,
                                                      &d->w_any, c->bias ? &d->bias : NULL, &d->y, d->strides,
                                                      d->dilations, d->before, d->after);
}

/* *suits: false where oneDNN has only implementations that are not taken. */
static actc_status describe(actc_cpu_device *device, const actc_command *command, actc_dnnl_op *op, bool *suits)
{
    const actc_conv *c = &command->u.conv;
    op->label = command->label;
    conv_mds d;
    dnnl_convolution_desc_t desc;
    DNNL(describe_shapes(c, &d), op->label);
    DNNL(forward_desc(c, &d, &desc), op->label);
    bool filter = c->pass == ACTC_CONV_BACKWARD_FILTER;
    if (c->pass == ACTC_CONV_FORWARD) {
        DNNL(add_primitive(device, op, &desc, false, NULL), op->label);
    } else {
        dnnl_primitive_desc_t hint = NULL;
        DNNL(dnnl_primitive_desc_create(&hint, &desc, NULL, device->engine, NULL), op->label);
        dnnl_status_t status =
            filter ? dnnl_dilated_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &d.x, &d.w_any,
                                                                         NULL, &d.y, d.strides, d.dilations, d.before,
                                                                         d.after)
                   : dnnl_dilated_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &d.x, &d.w_any, &d.y,
                                                                      d.strides, d.dilations, d.before, d.after);
        if (status == dnnl_success)
            status = add_primitive(device, op, &desc, false, hint);
        dnnl_primitive_desc_destroy(hint);
        if (status != dnnl_success)
            return fail(device, op->label, "convolution backward", status);
    }
    const char *implementation = NULL;
    DNNL(dnnl_primitive_desc_query(op->stages[0].desc, dnnl_query_impl_info_str, 0, &implementation), op->label);
    *suits = !strstr(implementation, "gemm");
    if (!*suits)
        return ACTC_OK;
    const dnnl_memory_desc_t *w = query(&op->stages[0], filter ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    if (!dnnl_memory_desc_equal(w, &d.w) || (filter && c->add)) {
        op->reordered_bytes = actc_align(dnnl_memory_desc_get_size(w), ACTC_VIEW_ALIGNMENT);
        DNNL(filter ? add_reorder(device, op, w, &d.w, c->add) : add_reorder(device, op, &d.w, w, false), op->label);
    }
    return ACTC_OK;
}

static void release(actc_dnnl_op *op)
{
    for (int i = 0; i < op->n_stages; i++) {
        stage *s = &op->stages[i];
        for (int j = 0; j < s->n_args; j++)
            dnnl_memory_destroy(s->args[j].memory);
        if (s->primitive)
            dnnl_primitive_destroy(s->primitive);
        if (s->desc)
            dnnl_primitive_desc_destroy(s->desc);
    }
}

actc_status actc_dnnl_workspace_bytes(actc_cpu_device *device, const actc_command *command, uint64_t *bytes,
                                      bool *suits)
{
    actc_dnnl_op op = {0};
    *suits = false;
    int saved = actc_dnnl_threads_enter(device);
    actc_status status = describe(device, command, &op, suits);
    actc_dnnl_threads_leave(device, saved);
    *bytes = *suits ? op.reordered_bytes + actc_align(op.scratch_bytes, ACTC_VIEW_ALIGNMENT) : 0;
    release(&op);
    return status;
}

/* ---- prepare and run ---- */

static dnnl_status_t add_arg(actc_cpu_device *device, stage *s, int arg, const dnnl_memory_desc_t *md, void *handle)
{
    dnnl_memory_t memory;
    dnnl_status_t status = dnnl_memory_create(&memory, md, device->engine, DNNL_MEMORY_NONE);
    if (status != dnnl_success)
        return status;
    s->args[s->n_args++] = (dnnl_exec_arg_t){arg, memory};
    return dnnl_memory_set_data_handle(memory, handle);
}

static actc_status bind_conv(actc_cpu_device *device, const actc_command *command, void *const *views, actc_dnnl_op *op)
{
    const actc_conv *c = &command->u.conv;
    stage *s = &op->stages[0], *reorder = op->n_stages > 1 ? &op->stages[1] : NULL;
    void *w = reorder ? views[ACTC_WORKSPACE_VIEW] : views[c->pass == ACTC_CONV_BACKWARD_FILTER ? 3 : 1];
    if (c->pass == ACTC_CONV_FORWARD) {
        DNNL(add_arg(device, s, DNNL_ARG_SRC, query(s, dnnl_query_src_md, 0), views[0]), op->label);
        DNNL(add_arg(device, s, DNNL_ARG_WEIGHTS, query(s, dnnl_query_weights_md, 0), w), op->label);
        if (c->bias)
            DNNL(add_arg(device, s, DNNL_ARG_BIAS, query(s, dnnl_query_weights_md, 1), views[2]), op->label);
        DNNL(add_arg(device, s, DNNL_ARG_DST, query(s, dnnl_query_dst_md, 0), views[3]), op->label);
    } else if (c->pass == ACTC_CONV_BACKWARD_DATA) {
        DNNL(add_arg(device, s, DNNL_ARG_DIFF_DST, query(s, dnnl_query_diff_dst_md, 0), views[0]), op->label);
        DNNL(add_arg(device, s, DNNL_ARG_WEIGHTS, query(s, dnnl_query_weights_md, 0), w), op->label);
        DNNL(add_arg(device, s, DNNL_ARG_DIFF_SRC, query(s, dnnl_query_diff_src_md, 0), views[3]), op->label);
    } else {
        DNNL(add_arg(device, s, DNNL_ARG_SRC, query(s, dnnl_query_src_md, 0), views[0]), op->label);
        DNNL(add_arg(device, s, DNNL_ARG_DIFF_DST, query(s, dnnl_query_diff_dst_md, 0), views[1]), op->label);
        DNNL(add_arg(device, s, DNNL_ARG_DIFF_WEIGHTS, query(s, dnnl_query_diff_weights_md, 0), w), op->label);
    }
    if (reorder) {
        bool filter = c->pass == ACTC_CONV_BACKWARD_FILTER;
        void *plain = views[filter ? 3 : 1];
        DNNL(add_arg(device, reorder, DNNL_ARG_FROM, query(reorder, dnnl_query_src_md, 0), filter ? w : plain),
             op->label);
        DNNL(add_arg(device, reorder, DNNL_ARG_TO, query(reorder, dnnl_query_dst_md, 0), filter ? plain : w), op->label);
    }
    return ACTC_OK;
}

static actc_status make(actc_cpu_device *device, const actc_command *command, void *const *views, actc_dnnl_op *op,
                        bool *suits)
{
    actc_status status = describe(device, command, op, suits);
    if (status != ACTC_OK || !*suits)
        return status;
    status = bind_conv(device, command, views, op);
    if (status != ACTC_OK)
        return status;
    for (int i = 0; i < op->n_stages; i++) {
        stage *s = &op->stages[i];
        const dnnl_memory_desc_t *scratch = query(s, dnnl_query_scratchpad_md, 0);
        if (scratch && dnnl_memory_desc_get_size(scratch) > 0)
            DNNL(add_arg(device, s, DNNL_ARG_SCRATCHPAD, scratch,
                         (char *)views[ACTC_WORKSPACE_VIEW] + op->reordered_bytes),
                 op->label);
        DNNL(dnnl_primitive_create(&s->primitive, s->desc), op->label);
    }
    /* Weights are reordered before the convolution, gradients after it. */
    if (op->n_stages == 2 && command->u.conv.pass != ACTC_CONV_BACKWARD_FILTER) {
        stage first = op->stages[0];
        op->stages[0] = op->stages[1];
        op->stages[1] = first;
    }
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
    actc_status status = make(device, command, views, op, &suits);
    if (status != ACTC_OK || !suits) {
        actc_dnnl_op_destroy(op);
        return status;
    }
    *out = op;
    return ACTC_OK;
}

actc_status actc_dnnl_run(actc_cpu_device *device, const actc_dnnl_op *op)
{
    for (int i = 0; i < op->n_stages; i++) {
        const stage *s = &op->stages[i];
        DNNL(dnnl_primitive_execute(s->primitive, device->stream, s->n_args, s->args), op->label);
    }
    DNNL(dnnl_stream_wait(device->stream), op->label);
    return ACTC_OK;
}

void actc_dnnl_op_destroy(actc_dnnl_op *op)
{
    if (!op)
        return;
    release(op);
    actc_free(op);
}
