/* pool.c: pooling of maps of two and three axes. The largest value keeps its place inside the window, 8 bits an output; the mean keeps
 * nothing. */
#include "../lower/lower.h"

/* By the kernels' axes: depth, height, width; an image has a depth of 1. */
typedef struct actc_pool_attributes {
    uint32_t kernel[3], stride[3], padding[3];
    bool adaptive;       /* means of parts of the map: output[] of them */
    bool count_include_pad;
    uint32_t output[3];
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
        if (a->adaptive) {
            out->dims[d] = a->output[i];
            continue;
        }
        int64_t room = in[0].dims[d] + 2 * (int64_t)a->padding[i] - a->kernel[i];
        if (room < 0) {
            snprintf(why, why_size, "the window of %u is larger than the padded input %s", a->kernel[i], actc_shape_text(&in[0], text));
            return false;
        }
        out->dims[d] = room / a->stride[i] + 1;
    }
    return true;
}

/* What the kernels know of a launch over `n` elements of its output. */
typedef struct geometry {
    uint32_t n, channels, x[3], y[3];
} geometry;

static geometry geometry_of(const actc_lower *lower, const actc_op *op, const actc_tensor *written)
{
    geometry g = {.n = (uint32_t)actc_lower_elements(lower, written), .channels = (uint32_t)op->output->shape.dims[1]};
    axes(&lower->shapes[op->inputs[0]->id], g.x);
    axes(&lower->shapes[op->output->id], g.y);
    return g;
}

#define POOL_PARAMS(type)                                                                                                  \
    (struct type)                                                                                                          \
    {                                                                                                                      \
        .n = g.n, .channels = g.channels, .id = g.x[0], .ih = g.x[1], .iw = g.x[2], .od = g.y[0], .oh = g.y[1],            \
        .ow = g.y[2], .kd = a->kernel[0], .kh = a->kernel[1], .kw = a->kernel[2], .sd = a->stride[0], .sh = a->stride[1],  \
        .sw = a->stride[2], .pd = a->padding[0], .ph = a->padding[1], .pw = a->padding[2]                                  \
    }

static void forward(actc_lower *lower, const actc_op *op)
{
    const actc_pool_attributes *a = op->attributes;
    const geometry g = geometry_of(lower, op, op->output);
    struct actc_params_max_pool_fwd params = POOL_PARAMS(actc_params_max_pool_fwd);
    actc_view in = actc_lower_input(lower, op, 0), out = actc_lower_output(lower, op);
    /* Evaluation has no use for the index; the kernel writes it to scratch memory there. */
    actc_view index = actc_lower_has_backward(lower, op) ? actc_lower_keep(lower, op, 0, ACTC_MEMORY_MASKS, g.n)
                                                         : actc_lower_new(lower, ACTC_MEMORY_TRANSIENT, g.n, op->path);
    ACTC_EMIT_ELEMENTWISE(lower, max_pool_fwd, &params, in, out, index);
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    const actc_pool_attributes *a = op->attributes;
    const geometry g = geometry_of(lower, op, op->inputs[0]);
    struct actc_params_max_pool_bwd params = POOL_PARAMS(actc_params_max_pool_bwd);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT_ELEMENTWISE(lower, max_pool_bwd, &params, actc_lower_output_gradient(lower, op), actc_lower_kept(lower, op, 0), dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_max_pool_def = {.kind = "pool", .attributes_bytes = sizeof(actc_pool_attributes), .infer = infer,
                                       .keeps = true, .forward = forward, .backward = backward};

/* ---- means ---- */

/* What all windows' values count; 0 where that depends on the window. */
static float scale_of(const actc_pool_attributes *a, const uint32_t x[3])
{
    double positions = 1;
    bool same = true;
    for (int i = 0; i < 3; i++) {
        same = same && (a->adaptive ? x[i] % a->output[i] == 0 : a->count_include_pad || a->padding[i] == 0);
        positions *= a->adaptive ? x[i] / a->output[i] : a->kernel[i];
    }
    return same ? (float)(1 / positions) : 0.0f;
}

static void avg_forward(actc_lower *lower, const actc_op *op)
{
    const actc_pool_attributes *a = op->attributes;
    const geometry g = geometry_of(lower, op, op->output);
    struct actc_params_avg_pool_fwd params = POOL_PARAMS(actc_params_avg_pool_fwd);
    params.adaptive = a->adaptive;
    params.scale = scale_of(a, g.x);
    ACTC_EMIT_ELEMENTWISE(lower, avg_pool_fwd, &params, actc_lower_input(lower, op, 0), actc_lower_output(lower, op));
}

static void avg_backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    const actc_pool_attributes *a = op->attributes;
    const geometry g = geometry_of(lower, op, op->inputs[0]);
    struct actc_params_avg_pool_bwd params = POOL_PARAMS(actc_params_avg_pool_bwd);
    params.adaptive = a->adaptive;
    params.scale = scale_of(a, g.x);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT_ELEMENTWISE(lower, avg_pool_bwd, &params, actc_lower_output_gradient(lower, op), dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_avg_pool_def = {.kind = "avgpool", .attributes_bytes = sizeof(actc_pool_attributes), .infer = infer,
                                       .forward = avg_forward, .backward = avg_backward};

/* ---- building ---- */

actc_pool_options actc_pool_options_default(int64_t kernel)
{
    return (actc_pool_options){.size = sizeof(actc_pool_options), .kernel = {kernel, kernel, kernel}, .stride = {kernel, kernel, kernel}};
}

actc_max_pool2d_options actc_max_pool2d_options_default(int64_t kernel)
{
    return actc_pool_options_default(kernel);
}

static bool is_map(actc_graph *graph, const char *name, const char *kind, const actc_tensor *x, int most)
{
    char text[96];
    if (x->shape.ndim >= 4 && x->shape.ndim <= most)
        return true;
    actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (%s): needs an input N,C,H,W%s, got %s", name, kind,
                    most > 4 ? " or N,C,D,H,W" : "", actc_shape_text(&x->shape, text));
    return false;
}

/* Windows of the axes of x; *positions: of one. False with the graph's error set. */
static bool take_windows(actc_graph *graph, const char *name, const char *kind, const actc_tensor *x, const int64_t kernel[3],
                         const int64_t stride[3], const int64_t padding[3], actc_pool_attributes *a, uint64_t *positions)
{
    *positions = 1;
    for (int i = 0; i < 3; i++)
        a->kernel[i] = a->stride[i] = 1;
    for (int i = 0; i < x->shape.ndim - 2; i++) {
        const int axis = i + 5 - x->shape.ndim;
        int64_t k = kernel[i], s = stride[i], p = padding[i];
        if (k < 1 || k > 4096 || s < 1 || s > 65535 || p < 0 || p > k / 2) {
            actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT,
                            "%s (%s): kernel %lld, stride %lld, padding %lld; kernel must be 1 to 4096, stride >= 1, padding 0 to kernel/2",
                            name, kind, (long long)k, (long long)s, (long long)p);
            return false;
        }
        a->kernel[axis] = (uint32_t)k;
        a->stride[axis] = (uint32_t)s;
        a->padding[axis] = (uint32_t)p;
        *positions *= (uint64_t)k;
    }
    return true;
}

static actc_tensor *build(actc_graph *graph, const char *name, actc_tensor *x, const actc_pool_options *given, int most)
{
    actc_pool_options options, defaults = actc_pool_options_default(1);
    actc_pool_attributes a = {0};
    uint64_t positions;
    if (!actc_graph_accepts(graph, &x, 1, name) ||
        !actc_graph_take_options(graph, name, "actc_pool_options", given, sizeof options, &defaults, &options) ||
        !is_map(graph, name, "pool", x, most) ||
        !take_windows(graph, name, "pool", x, options.kernel, options.stride, options.padding, &a, &positions))
        return NULL;
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

actc_avg_pool_options actc_avg_pool_options_default(int64_t kernel)
{
    return (actc_avg_pool_options){.size = sizeof(actc_avg_pool_options), .kernel = {kernel, kernel, kernel},
                                   .stride = {kernel, kernel, kernel}, .count_include_pad = true};
}

actc_tensor *actc_avg_pool(actc_graph *graph, const char *name, actc_tensor *x, const actc_avg_pool_options *given)
{
    actc_avg_pool_options options, defaults = actc_avg_pool_options_default(1);
    actc_pool_attributes a = {0};
    uint64_t positions;
    if (!actc_graph_accepts(graph, &x, 1, name) ||
        !actc_graph_take_options(graph, name, "actc_avg_pool_options", given, sizeof options, &defaults, &options) ||
        !is_map(graph, name, "avgpool", x, 5) ||
        !take_windows(graph, name, "avgpool", x, options.kernel, options.stride, options.padding, &a, &positions))
        return NULL;
    if (positions > 1 << 24) /* its number is a float */
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (avgpool): a window of %ux%ux%u has more than 2^24 positions", name,
                               a.kernel[0], a.kernel[1], a.kernel[2]);
    a.count_include_pad = options.count_include_pad;
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_avg_pool_def, .inputs = &x, .n_inputs = 1, .attributes = &a});
}

actc_tensor *actc_adaptive_avg_pool(actc_graph *graph, const char *name, actc_tensor *x, const int64_t *sizes)
{
    actc_pool_attributes a = {.adaptive = true, .output = {1, 1, 1}};
    if (!actc_graph_accepts(graph, &x, 1, name) || !is_map(graph, name, "avgpool", x, 5))
        return NULL;
    int64_t positions = 1, parts = 1;
    for (int i = 0; i < x->shape.ndim - 2; i++) {
        int64_t size = sizes ? sizes[i] : 0, in = x->shape.dims[2 + i];
        if (size < 1 || size > 65535 || in > 65535)
            return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (avgpool): size %lld from %lld along axis %d; both must be 1 to 65535",
                                   name, (long long)size, (long long)in, i + 2);
        a.output[i + 5 - x->shape.ndim] = (uint32_t)size;
        positions *= (in + size - 1) / size + 1;
        parts *= size;
    }
    if (parts == 1) /* in chunks, by all threads */
        return actc_global_avg_pool(graph, name, x);
    if (positions > 1 << 24)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (avgpool): a part of more than 2^24 positions", name);
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_avg_pool_def, .inputs = &x, .n_inputs = 1, .attributes = &a});
}
