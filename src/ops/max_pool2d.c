/* max_pool2d.c: max-pooling; keeps the position inside the window, 8 bits an output. */
#include "../lower/lower.h"

typedef struct actc_pool2d_attributes {
    uint32_t kernel[2], stride[2], padding[2];
} actc_pool2d_attributes;

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    const actc_pool2d_attributes *a = op->attributes;
    char text[96];
    if (in[0].ndim != 4) {
        snprintf(why, why_size, "needs an input N,C,H,W, got %s", actc_shape_text(&in[0], text));
        return false;
    }
    *out = in[0];
    for (int i = 0; i < 2; i++) {
        int64_t room = in[0].dims[2 + i] + 2 * (int64_t)a->padding[i] - a->kernel[i];
        if (room < 0) {
            snprintf(why, why_size, "the window of %u is larger than the padded input %s", a->kernel[i],
                     actc_shape_text(&in[0], text));
            return false;
        }
        out->dims[2 + i] = room / a->stride[i] + 1;
    }
    return true;
}

#define POOL_PARAMS(type)                                                                                        \
    (struct type)                                                                                                \
    {                                                                                                            \
        .n = n, .channels = (uint32_t)x[1], .id = 1, .ih = (uint32_t)x[2], .iw = (uint32_t)x[3], .od = 1,        \
        .oh = (uint32_t)y[2], .ow = (uint32_t)y[3], .kd = 1, .kh = a->kernel[0], .kw = a->kernel[1], .sd = 1,    \
        .sh = a->stride[0], .sw = a->stride[1], .ph = a->padding[0], .pw = a->padding[1]                         \
    }

static void forward(actc_lower *lower, const actc_op *op)
{
    const actc_pool2d_attributes *a = op->attributes;
    const int64_t *x = lower->shapes[op->inputs[0]->id].dims, *y = lower->shapes[op->output->id].dims;
    uint32_t n = (uint32_t)actc_lower_elements(lower, op->output);
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
    const actc_pool2d_attributes *a = op->attributes;
    const int64_t *x = lower->shapes[op->inputs[0]->id].dims, *y = lower->shapes[op->output->id].dims;
    uint32_t n = (uint32_t)actc_lower_elements(lower, op->inputs[0]);
    struct actc_params_max_pool_bwd params = POOL_PARAMS(actc_params_max_pool_bwd);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT_ELEMENTWISE(lower, max_pool_bwd, &params, actc_lower_output_gradient(lower, op),
                          actc_lower_kept(lower, op, 0), dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_max_pool2d_def = {.kind = "pool", .attributes_bytes = sizeof(actc_pool2d_attributes), .infer = infer,
                                         .forward = forward, .backward = backward};

actc_max_pool2d_options actc_max_pool2d_options_default(int64_t kernel)
{
    return (actc_max_pool2d_options){.size = sizeof(actc_max_pool2d_options), .kernel = {kernel, kernel}, .stride = {kernel, kernel}};
}

actc_tensor *actc_max_pool2d(actc_graph *graph, const char *name, actc_tensor *x, const actc_max_pool2d_options *given)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    actc_max_pool2d_options full, defaults = actc_max_pool2d_options_default(1);
    if (!actc_graph_take_options(graph, name, "actc_max_pool2d_options", given, sizeof full, &defaults, &full))
        return NULL;
    const actc_max_pool2d_options *options = &full;
    actc_pool2d_attributes a = {0};
    for (int i = 0; i < 2; i++) {
        int64_t k = options->kernel[i], s = options->stride[i], p = options->padding[i];
        if (k < 1 || k > 255 || s < 1 || s > 65535 || p < 0 || p > k / 2)
            return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                                   "%s (pool): kernel %lld, stride %lld, padding %lld; kernel and stride must be >= 1, "
                                   "padding 0 to kernel/2", name, (long long)k, (long long)s, (long long)p);
        a.kernel[i] = (uint32_t)k;
        a.stride[i] = (uint32_t)s;
        a.padding[i] = (uint32_t)p;
    }
    if (a.kernel[0] * a.kernel[1] > 255)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (pool): a window of %ux%u has more than 255 positions", name,
                               a.kernel[0], a.kernel[1]);
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_max_pool2d_def, .inputs = &x, .n_inputs = 1, .attributes = &a});
}
