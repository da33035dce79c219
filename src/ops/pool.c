/* pool.c: max-pooling of maps of two and three axes; keeps the position inside the window, 8 bits an output. */
#include "../lower/lower.h"

/* By the kernels' axes: depth, height, width; an image has a depth of 1. */
typedef struct actc_pool_attributes {
    uint32_t kernel[3], stride[3], padding[3];
} actc_pool_attributes;

/* The sizes of a map along the kernels' axes. */
static void axes(const actc_shape *shape, uint32_t sizes[3])
{
    for (int i = 0; i < 3; i++)
        sizes[i] = i + shape->ndim < 5 ? 1 : (uint32_t)shape->dims[i + shape->ndim - 3];
}

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    const actc_pool_attributes *a = op->attributes;
    char text[96];
    *out = in[0];
    for (int d = 2; d < in[0].ndim; d++) {
        const int i = d + 3 - in[0].ndim;
        int64_t room = in[0].dims[d] + 2 * (int64_t)a->padding[i] - a->kernel[i];
        if (room < 0) {
            snprintf(why, why_size, "the window of %u is larger than the padded input %s", a->kernel[i], actc_shape_text(&in[0], text));
            return false;
        }
        out->dims[d] = room / a->stride[i] + 1;
    }
    return true;
}

#define POOL_PARAMS(type)                                                                                                  \
    (struct type)                                                                                                          \
    {                                                                                                                      \
        .n = n, .channels = channels, .id = x[0], .ih = x[1], .iw = x[2], .od = y[0], .oh = y[1], .ow = y[2],              \
        .kd = a->kernel[0], .kh = a->kernel[1], .kw = a->kernel[2], .sd = a->stride[0], .sh = a->stride[1],                \
        .sw = a->stride[2], .pd = a->padding[0], .ph = a->padding[1], .pw = a->padding[2]                                  \
    }

static void forward(actc_lower *lower, const actc_op *op)
{
    const actc_pool_attributes *a = op->attributes;
    uint32_t x[3], y[3], n = (uint32_t)actc_lower_elements(lower, op->output), channels = (uint32_t)op->output->shape.dims[1];
    axes(&lower->shapes[op->inputs[0]->id], x);
    axes(&lower->shapes[op->output->id], y);
    struct actc_params_max_pool_fwd params = POOL_PARAMS(actc_params_max_pool_fwd);
    actc_view in = actc_lower_input(lower, op, 0), out = actc_lower_output(lower, op);
    /* Evaluation has no use for the index; the kernel writes it to scratch memory there. */
    actc_view index = actc_lower_has_backward(lower, op) ? actc_lower_keep(lower, op, 0, ACTC_MEMORY_MASKS, n)
                                                         : actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, n, op->path);
    ACTC_EMIT_ELEMENTWISE(lower, max_pool_fwd, &params, in, out, index);
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    const actc_pool_attributes *a = op->attributes;
    uint32_t x[3], y[3], n = (uint32_t)actc_lower_elements(lower, op->inputs[0]), channels = (uint32_t)op->output->shape.dims[1];
    axes(&lower->shapes[op->inputs[0]->id], x);
    axes(&lower->shapes[op->output->id], y);
    struct actc_params_max_pool_bwd params = POOL_PARAMS(actc_params_max_pool_bwd);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT_ELEMENTWISE(lower, max_pool_bwd, &params, actc_lower_output_gradient(lower, op), actc_lower_kept(lower, op, 0), dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_max_pool_def = {.kind = "pool", .attributes_bytes = sizeof(actc_pool_attributes), .infer = infer,
                                       .forward = forward, .backward = backward};

actc_pool_options actc_pool_options_default(int64_t kernel)
{
    return (actc_pool_options){.size = sizeof(actc_pool_options), .kernel = {kernel, kernel, kernel}, .stride = {kernel, kernel, kernel}};
}

actc_max_pool2d_options actc_max_pool2d_options_default(int64_t kernel)
{
    return actc_pool_options_default(kernel);
}

static actc_tensor *build(actc_graph *graph, const char *name, actc_tensor *x, const actc_pool_options *given, int most)
{
    actc_pool_options options, defaults = actc_pool_options_default(1);
    actc_pool_attributes a = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    char text[96];
    if (!actc_graph_accepts(graph, &x, 1, name) ||
        !actc_graph_take_options(graph, name, "actc_pool_options", given, sizeof options, &defaults, &options))
        return NULL;
    if (x->shape.ndim < 4 || x->shape.ndim > most)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (pool): needs an input N,C,H,W%s, got %s", name,
                               most > 4 ? " or N,C,D,H,W" : "", actc_shape_text(&x->shape, text));
    uint64_t positions = 1;
    for (int i = 0; i < x->shape.ndim - 2; i++) {
        const int axis = i + 5 - x->shape.ndim;
        int64_t k = options.kernel[i], s = options.stride[i], p = options.padding[i];
        if (k < 1 || k > 255 || s < 1 || s > 65535 || p < 0 || p > k / 2)
            return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                                   "%s (pool): kernel %lld, stride %lld, padding %lld; kernel and stride must be >= 1, "
                                   "padding 0 to kernel/2", name, (long long)k, (long long)s, (long long)p);
        a.kernel[axis] = (uint32_t)k;
        a.stride[axis] = (uint32_t)s;
        a.padding[axis] = (uint32_t)p;
        positions *= (uint64_t)k;
    }
    if (positions > 255)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (pool): a window of %ux%ux%u has more than 255 positions", name,
                               a.kernel[0], a.kernel[1], a.kernel[2]);
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_max_pool_def, .inputs = &x, .n_inputs = 1, .attributes = &a});
}

actc_tensor *actc_max_pool(actc_graph *graph, const char *name, actc_tensor *x, const actc_pool_options *options)
{
    return build(graph, name, x, options, 5);
}

actc_tensor *actc_max_pool2d(actc_graph *graph, const char *name, actc_tensor *x, const actc_max_pool2d_options *options)
{
    return build(graph, name, x, options, 4);
}
