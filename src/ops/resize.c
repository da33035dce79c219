/* resize.c: bilinear resampling of maps. Saves nothing. */
#include "../lower/lower.h"

typedef struct resize_attributes {
    uint32_t size[2]; /* height, width */
    bool corners;
} resize_attributes;

static bool infer(const actc_op *op, const actc_shape *in, actc_shape *out, char *why, size_t why_size)
{
    const resize_attributes *a = op->attributes;
    char text[96];
    if (in[0].ndim != 4) {
        snprintf(why, why_size, "needs an input N,C,H,W, got %s", actc_shape_text(&in[0], text));
        return false;
    }
    *out = in[0];
    for (int i = 0; i < 2; i++)
        out->dims[2 + i] = a->size[i];
    return true;
}

static bool is_alias(const actc_op *op, const actc_shape *in, bool training)
{
    const resize_attributes *a = op->attributes;
    (void)training;
    return in->dims[2] == a->size[0] && in->dims[3] == a->size[1];
}

static float scale_of(const resize_attributes *a, int64_t inputs, int64_t outputs)
{
    if (!a->corners)
        return (float)inputs / (float)outputs;
    return outputs > 1 ? (float)(inputs - 1) / (float)(outputs - 1) : 0.0f;
}

static struct actc_params_bilinear_fwd params_of(const actc_lower *lower, const actc_op *op)
{
    const resize_attributes *a = op->attributes;
    const int64_t *in = lower->shapes[op->inputs[0]->id].dims, *out = lower->shapes[op->output->id].dims;
    return (struct actc_params_bilinear_fwd){
        .channels = (uint32_t)in[1], .ih = (uint32_t)in[2], .iw = (uint32_t)in[3], .oh = (uint32_t)out[2], .ow = (uint32_t)out[3],
        .corners = a->corners, .sy = scale_of(a, in[2], out[2]), .sx = scale_of(a, in[3], out[3])};
}

static void forward(actc_lower *lower, const actc_op *op)
{
    struct actc_params_bilinear_fwd params = params_of(lower, op);
    params.n = (uint32_t)actc_lower_elements(lower, op->output);
    actc_view x = actc_lower_input(lower, op, 0);
    ACTC_EMIT_ELEMENTWISE(lower, bilinear_fwd, &params, x, actc_lower_output(lower, op));
}

static void backward(actc_lower *lower, const actc_op *op, const actc_gradient_flags *gradients)
{
    if (!gradients->input[0])
        return;
    struct actc_params_bilinear_fwd params = params_of(lower, op);
    params.n = (uint32_t)actc_lower_elements(lower, op->inputs[0]);
    actc_view dx = actc_lower_input_gradient(lower, op, 0, false);
    ACTC_EMIT_ELEMENTWISE(lower, bilinear_bwd, &params, actc_lower_output_gradient(lower, op), dx);
    actc_lower_commit_gradient(lower, op, 0, dx);
}

const actc_op_def actc_resize_def = {.kind = "resize", .attributes_bytes = sizeof(resize_attributes), .infer = infer,
                                     .alias = is_alias, .forward = forward, .backward = backward};

actc_tensor *actc_resize_bilinear(actc_graph *graph, const char *name, actc_tensor *x, int64_t height, int64_t width,
                                  bool align_corners)
{
    if (!actc_graph_accepts(graph, &x, 1, name))
        return NULL;
    if (height < 1 || width < 1 || height > 65536 || width > 65536)
        return actc_graph_fail(graph, ACTC_ERROR_INVALID_ARGUMENT, "%s (resize): to %lldx%lld; height and width must be 1 to 65536",
                               name, (long long)height, (long long)width);
    const resize_attributes a = {{(uint32_t)height, (uint32_t)width}, align_corners};
    return actc_graph_append(graph, name, &(actc_op){.def = &actc_resize_def, .inputs = &x, .n_inputs = 1, .attributes = &a});
}
