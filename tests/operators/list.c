/* list.c: the operators that are tested, a line each. */
#include "list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../parity/values.h"
#include "graph/graph.h"

/* ---- building ---- */

static void take(int64_t to[3], const int64_t from[3])
{
    for (int i = 0; i < 3; i++)
        to[i] = from[i] ? from[i] : to[i];
}

static actc_conv_options conv_options(const operator_options *o)
{
    actc_conv_options options = actc_conv_options_default(o->out, 1);
    take(options.kernel, o->kernel);
    take(options.stride, o->stride);
    take(options.padding, o->padding);
    take(options.dilation, o->dilation);
    take(options.output_padding, o->output_padding);
    options.groups = o->groups ? o->groups : 1;
    options.bias = !o->no_bias;
    return options;
}

static actc_tensor *build_convolution(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    const actc_conv_options options = conv_options(o);
    return actc_convolution(graph, name, x, &options);
}

static actc_tensor *build_conv_transpose(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    const actc_conv_options options = conv_options(o);
    return actc_conv_transpose(graph, name, x, &options);
}

/* x as it is, or in the shape of dims[]. */
static actc_tensor *shaped(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    char sequence[64];
    snprintf(sequence, sizeof sequence, "%s_sequence", name);
    return o->ndim ? actc_reshape(graph, sequence, x, o->dims, o->ndim) : x;
}

static actc_tensor *build_linear(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    actc_linear_options options = actc_linear_options_default(o->out);
    options.bias = !o->no_bias;
    return actc_linear(graph, name, shaped(graph, name, x, o), &options);
}

static actc_tensor *build_relu(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    (void)o;
    return actc_relu(graph, name, x);
}

/* An operator of one tensor without options. */
#define BUILD_PLAIN(operator)                                                                                                \
    static actc_tensor *build_##operator(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)      \
    {                                                                                                                        \
        (void)o;                                                                                                             \
        return actc_##operator(graph, name, x);                                                                              \
    }
BUILD_PLAIN(sigmoid)
BUILD_PLAIN(tanh)
BUILD_PLAIN(silu)
BUILD_PLAIN(gelu)

/* Of larger numbers, some of them above 6. */
static actc_tensor *build_relu6(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    char scale[64];
    (void)o;
    snprintf(scale, sizeof scale, "%s_scale", name);
    return actc_relu6(graph, name, actc_scale(graph, scale, x, 8, 0.5));
}

static actc_tensor *build_leaky_relu(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_leaky_relu(graph, name, x, o->p);
}

static actc_tensor *build_scale(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_scale(graph, name, x, o->p, 0.25);
}

static actc_tensor *build_max_pool(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    actc_pool_options options = actc_pool_options_default(1);
    take(options.kernel, o->kernel);
    take(options.stride, o->stride);
    take(options.padding, o->padding);
    return actc_max_pool(graph, name, x, &options);
}

static actc_tensor *build_avg_pool(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    actc_avg_pool_options options = actc_avg_pool_options_default(1);
    take(options.kernel, o->kernel);
    take(options.stride, o->stride);
    take(options.padding, o->padding);
    options.count_include_pad = !o->no_bias;
    return actc_avg_pool(graph, name, x, &options);
}

static actc_tensor *build_adaptive_avg_pool(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_adaptive_avg_pool(graph, name, x, o->kernel);
}

/* relu(x) behind x, and x again. */
static actc_tensor *build_concat(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    char relu[64];
    snprintf(relu, sizeof relu, "%s_relu", name);
    actc_tensor *parts[] = {x, actc_relu(graph, relu, x), x};
    return actc_concat(graph, name, parts, 3, o->axis);
}

static actc_tensor *build_slice(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_slice(graph, name, x, o->axis, o->begin, o->end);
}

static actc_tensor *build_pad(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_pad(graph, name, x, o->before, o->after, o->p);
}

static actc_tensor *build_permute(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_permute(graph, name, shaped(graph, name, x, o), o->order);
}

static actc_tensor *build_reshape(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_reshape(graph, name, x, o->dims, o->ndim);
}

static actc_tensor *build_pixel_shuffle(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_pixel_shuffle(graph, name, x, o->factor);
}

static actc_tensor *build_patchify(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_patchify(graph, name, x, o->kernel);
}

/* To a map of another size: the tokens of dims[], whose patches become those of `kernel` on the axes of `before`. */
static actc_tensor *build_unpatchify(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_unpatchify(graph, name, shaped(graph, name, x, o), o->before, o->kernel, o->axis);
}

static actc_tensor *build_dropout(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_dropout(graph, name, x, o->p);
}

static actc_tensor *build_dropout2d(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_dropout2d(graph, name, x, o->p);
}

static actc_tensor *build_flatten(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    (void)o;
    return actc_flatten(graph, name, x);
}

/* x + relu(x): two gradients meet at x. */
static actc_tensor *build_add(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    char relu[64];
    (void)o;
    snprintf(relu, sizeof relu, "%s_relu", name);
    return actc_add(graph, name, x, actc_relu(graph, relu, x));
}

/* (N,C,1,...): the means of x, through a sigmoid. */
static actc_tensor *gate(actc_graph *graph, const char *name, actc_tensor *x)
{
    char pool[64], sigmoid[64];
    snprintf(pool, sizeof pool, "%s_pool", name);
    snprintf(sigmoid, sizeof sigmoid, "%s_gate", name);
    return actc_sigmoid(graph, sigmoid, actc_global_avg_pool(graph, pool, x));
}

static actc_tensor *build_add_gate(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    (void)o;
    return actc_add(graph, name, gate(graph, name, x), x);
}

/* As in squeeze and excitation. */
static actc_tensor *build_mul_gate(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    (void)o;
    return actc_mul(graph, name, x, gate(graph, name, x));
}

static actc_tensor *build_mul(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    char relu[64];
    (void)o;
    snprintf(relu, sizeof relu, "%s_relu", name);
    return actc_mul(graph, name, x, actc_relu(graph, relu, x));
}

static actc_tensor *build_square(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    (void)o;
    return actc_mul(graph, name, x, x);
}

/* (N,C,1,1) * (N,1,H,W): each is broadcast along the other's axes. */
static actc_tensor *build_mul_outer(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    char conv[64];
    const operator_options one = {.out = 1};
    (void)o;
    snprintf(conv, sizeof conv, "%s_conv", name);
    return actc_mul(graph, name, gate(graph, name, x), build_convolution(graph, conv, x, &one));
}

/* The parameter "NAME.weight" of the shape of x but for one axis. */
static actc_tensor *learned(actc_graph *graph, const char *name, const actc_tensor *x, int axis, int64_t size)
{
    char parameter[80];
    actc_shape shape = actc_tensor_shape(x);
    snprintf(parameter, sizeof parameter, "%s.weight", name);
    if (x)
        shape.dims[axis] = size;
    return actc_parameter_tensor(graph, name, actc_parameter_create(graph, parameter, shape.dims, shape.ndim, ACTC_INIT_NORMAL, 4));
}

/* A position embedding. */
static actc_tensor *build_add_parameter(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    char add[64];
    snprintf(add, sizeof add, "%s_add", name);
    x = shaped(graph, name, x, o);
    return actc_add(graph, add, x, learned(graph, name, x, 0, 1));
}

/* A gain of each channel. */
static actc_tensor *build_mul_parameter(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    char mul[64];
    const int64_t gain[] = {1, o->out, 1, 1};
    snprintf(mul, sizeof mul, "%s_parameter", name);
    return actc_mul(graph, name, actc_parameter_tensor(graph, mul, actc_parameter_create(graph, "gain", gain, 4, ACTC_INIT_NORMAL, 1)), x);
}

/* Class tokens: `begin` before x and as many behind. */
static actc_tensor *build_concat_parameter(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    char concat[64], last[64];
    snprintf(concat, sizeof concat, "%s_concat", name);
    snprintf(last, sizeof last, "%s_last", name);
    x = shaped(graph, name, x, o);
    actc_tensor *parts[] = {learned(graph, name, x, o->axis, o->begin), x, learned(graph, last, x, o->axis, o->begin)};
    return actc_concat(graph, concat, parts, 3, o->axis);
}

static actc_tensor *build_batch_norm(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    actc_batch_norm_options options = actc_batch_norm_options_default();
    options.affine = !o->no_affine;
    options.track = !o->no_track;
    return actc_batch_norm(graph, name, x, &options);
}

static actc_tensor *build_layer_norm(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    actc_layer_norm_options options = actc_layer_norm_options_default();
    options.affine = !o->no_affine;
    return actc_layer_norm(graph, name, shaped(graph, name, x, o), &options);
}

static actc_attention_options attention_options(const operator_options *o)
{
    actc_attention_options options = actc_attention_options_default(o->groups);
    options.causal = o->causal;
    options.dropout = o->p;
    options.scale = o->scale;
    return options;
}

/* Elements [begin, end) of rows, as a sequence of tokens. */
static actc_tensor *tokens_of(actc_graph *graph, const char *name, const char *what, actc_tensor *x, int64_t begin, int64_t end,
                              int64_t tokens)
{
    char part[64], sequence[64];
    snprintf(part, sizeof part, "%s_%s_part", name, what);
    snprintf(sequence, sizeof sequence, "%s_%s", name, what);
    return actc_reshape(graph, sequence, actc_slice(graph, part, x, 1, begin, end), (int64_t[]){tokens, -1}, 2);
}

/* Of dims[0] tokens, whose q, k and v have `out` numbers each. */
static actc_tensor *build_attention(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    const actc_attention_options options = attention_options(o);
    return actc_attention(graph, name, tokens_of(graph, name, "qkv", x, 0, 3 * o->dims[0] * o->out, o->dims[0]), &options);
}

/* Of dims[0] queries and dims[1] keys. */
static actc_tensor *build_cross_attention(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    const actc_attention_options options = attention_options(o);
    const int64_t queries = o->dims[0] * o->out, all = queries + 2 * o->dims[1] * o->out;
    return actc_cross_attention(graph, name, tokens_of(graph, name, "q", x, 0, queries, o->dims[0]),
                                tokens_of(graph, name, "kv", x, queries, all, o->dims[1]), &options);
}

static actc_tensor *build_global_avg_pool(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_global_avg_pool(graph, name, shaped(graph, name, x, o));
}

static actc_tensor *build_softmax(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_softmax(graph, name, shaped(graph, name, x, o));
}

/* To out x groups. */
static actc_tensor *build_resize(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return actc_resize_bilinear(graph, name, x, o->out, o->groups, o->p > 0);
}

static actc_tensor *build_log_softmax(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    (void)o;
    return actc_log_softmax(graph, name, x);
}

static actc_tensor *nll(actc_graph *graph, actc_tensor *x)
{
    return actc_nll_loss(graph, "loss", x, actc_label_input(graph, "label"));
}

/* A label a position. */
static actc_tensor *positions_label(actc_graph *graph, actc_tensor *x)
{
    actc_shape shape = actc_tensor_shape(x);
    return actc_input_of(graph, "label", ACTC_I32, shape.dims + 2, shape.ndim - 2);
}

static actc_tensor *nll_of_positions(actc_graph *graph, actc_tensor *x)
{
    return actc_nll_loss(graph, "loss", x, positions_label(graph, x));
}

static actc_tensor *cross_entropy_of_positions(actc_graph *graph, actc_tensor *x)
{
    return actc_cross_entropy(graph, "loss", x, positions_label(graph, x));
}

static actc_tensor *cross_entropy(actc_graph *graph, actc_tensor *x)
{
    return actc_cross_entropy(graph, "loss", x, actc_label_input(graph, "label"));
}

/* An f32 target of the shape of x. */
static actc_tensor *target_of(actc_graph *graph, const actc_tensor *x)
{
    const actc_shape shape = actc_tensor_shape(x);
    return actc_input_of(graph, "target", ACTC_F32, shape.dims + 1, shape.ndim - 1);
}

static actc_tensor *l1(actc_graph *graph, actc_tensor *x)
{
    return actc_l1_loss(graph, "loss", x, target_of(graph, x));
}

static actc_tensor *mse(actc_graph *graph, actc_tensor *x)
{
    return actc_mse_loss(graph, "loss", x, target_of(graph, x));
}

static actc_tensor *dice(actc_graph *graph, actc_tensor *x, actc_dice_options options, bool labels)
{
    const actc_shape shape = actc_tensor_shape(x);
    actc_tensor *target = labels ? actc_input_of(graph, "label", ACTC_I32, shape.dims + 2, shape.ndim - 2) : target_of(graph, x);
    options.size = sizeof options;
    return actc_dice_loss(graph, "loss", x, target, &options);
}

static actc_tensor *dice_brats(actc_graph *graph, actc_tensor *x)
{
    return dice(graph, x, (actc_dice_options){.sigmoid = true, .include_background = true, .squared_pred = true, .smooth_dr = 1e-5},
                false);
}

static actc_tensor *dice_spleen(actc_graph *graph, actc_tensor *x)
{
    return dice(graph, x, (actc_dice_options){.softmax = true, .smooth_nr = 1e-5, .smooth_dr = 1e-5}, true);
}

static actc_tensor *dice_batch(actc_graph *graph, actc_tensor *x)
{
    return dice(graph, x, (actc_dice_options){.softmax = true, .include_background = true, .squared_pred = true, .batch = true,
                                              .smooth_nr = 1, .smooth_dr = 1}, true);
}

/* Of what is no less than zero. */
static actc_tensor *dice_plain(actc_graph *graph, actc_tensor *x)
{
    return dice(graph, x, actc_dice_options_default(), false);
}

/* ---- the list ---- */

#define VECTOR(n, f) .batch = n, .sample = {f}, .ndim = 1
#define IMAGE(n, c, h, w) .batch = n, .sample = {c, h, w}, .ndim = 3
#define VOLUME(n, c, d, h, w) .batch = n, .sample = {c, d, h, w}, .ndim = 4

const operator_case operator_cases[] = {
    {"conv2d(n=2,c=3,hw=9x11,o=5,k=3x3,s=1x1,p=0x0)", "conv", build_convolution, IMAGE(2, 2, 9, 11),
     .width = 3, .options = {.out = 5, .kernel = {3, 3}}, .uses = ""},
    {"conv2d(n=3,c=4,hw=13x7,o=7,k=3x2,s=2x1,p=1x0)", "conv", build_convolution, IMAGE(3, 1, 13, 7),
     .width = 4, .options = {.out = 7, .kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0}}},
    {"conv2d(n=1,c=17,hw=10x10,o=3,k=3x3,s=1x1,p=2x2,d=2x2)", "conv", build_convolution, IMAGE(1, 3, 10, 10),
     .width = 17, .options = {.out = 3, .kernel = {3, 3}, .padding = {2, 2}, .dilation = {2, 2}}},
    {"conv2d(n=2,c=1,hw=28x28,o=16,k=3x3,s=1x1,p=0x0)", "conv", build_convolution, IMAGE(2, 1, 28, 28),
     .width = 1, .options = {.out = 16, .kernel = {3, 3}}},
    {"conv2d(n=1,c=1,hw=1x1,o=2,k=1x1,s=1x1,p=0x0)", "conv", build_convolution, IMAGE(1, 1, 1, 1),
     .width = 1, .options = {.out = 2, .kernel = {1, 1}}},
    {"linear(n=4,in=13,out=7)", "linear", build_linear, VECTOR(4, 5), .width = 13, .options = {.out = 7}, .uses = ""},
    {"linear(n=1,in=1,out=2)", "linear", build_linear, VECTOR(1, 3), .width = 1, .options = {.out = 2}},
    {"linear(n=33,in=257,out=65)", "linear", build_linear, VECTOR(33, 31), .width = 257, .options = {.out = 65}},
    {"linear(n=128,in=128,out=10)", "linear", build_linear, VECTOR(128, 16), .width = 128, .options = {.out = 10}},
    {"relu(n=2,c=3,hw=7x5)", "relu", build_relu, IMAGE(2, 2, 7, 5), .width = 3, .uses = ""},
    {"relu(n=5,f=259)", "relu", build_relu, VECTOR(5, 9), .width = 259},
    {"relu(n=3,c=4,hw=3x11)", "relu", build_relu, IMAGE(3, 2, 3, 11), .width = 4, .uses = "relu=value"},
    {"max_pool2d(n=2,c=3,hw=8x6,k=2x2,s=2x2,p=0x0)", "pool", build_max_pool, IMAGE(2, 2, 8, 6),
     .width = 3, .options = {.kernel = {2, 2}, .stride = {2, 2}}, .uses = ""},
    {"max_pool2d(n=1,c=5,hw=9x7,k=3x3,s=2x2,p=1x1)", "pool", build_max_pool, IMAGE(1, 3, 9, 7),
     .width = 5, .options = {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
    {"max_pool2d(n=3,c=2,hw=7x7,k=2x3,s=3x1,p=0x1)", "pool", build_max_pool, IMAGE(3, 1, 7, 7),
     .width = 2, .options = {.kernel = {2, 3}, .stride = {3, 1}, .padding = {0, 1}}},
    {"dropout(n=3,f=131,p=0.5)", "dropout", build_dropout, VECTOR(3, 7), .width = 131, .options = {.p = 0.5}, .uses = ""},
    {"dropout(n=2,c=3,hw=5x7,p=0.1)", "dropout", build_dropout, IMAGE(2, 2, 5, 7), .width = 3, .options = {.p = 0.1}},
    {"dropout2d(n=3,c=8,hw=5x6,p=0.25)", "dropout", build_dropout2d, IMAGE(3, 2, 5, 6), .width = 8, .options = {.p = 0.25}},
    {"dropout2d(n=4,f=65,p=0.25)", "dropout", build_dropout2d, VECTOR(4, 7), .width = 65, .options = {.p = 0.25}},
    {"flatten(n=3,c=5,hw=4x7)", "flatten", build_flatten, IMAGE(3, 2, 4, 7), .width = 5, .uses = ""},
    {"flatten(n=1,c=33,hw=3x1)", "flatten", build_flatten, IMAGE(1, 1, 3, 1), .width = 33},
    {"add(n=2,c=3,hw=5x5)", "add", build_add, IMAGE(2, 2, 5, 5), .width = 3, .uses = ""},
    {"add(n=7,f=37)", "add", build_add, VECTOR(7, 5), .width = 37},
    {"add_gate(n=2,c=3,hw=5x7)", "add", build_add_gate, IMAGE(2, 2, 5, 7), .width = 3},
    {"mul(n=7,f=37)", "mul", build_mul, VECTOR(7, 5), .width = 37},
    {"mul_square(n=2,c=3,hw=5x5)", "mul", build_square, IMAGE(2, 2, 5, 5), .width = 3},
    {"mul_gate(n=2,c=3,hw=5x7)", "mul", build_mul_gate, IMAGE(2, 2, 5, 7), .width = 3, .uses = ""},
    {"mul_gate(n=2,c=4,dhw=3x4x5)", "mul", build_mul_gate, VOLUME(2, 1, 3, 4, 5), .width = 4},
    {"mul_outer(n=2,c=3,hw=9x11)", "mul", build_mul_outer, IMAGE(2, 2, 9, 11), .width = 3},
    {"log_softmax_nll(n=5,classes=10)", "softmax", build_log_softmax, VECTOR(5, 12),
     .width = 10, .layer = "log_softmax", .loss = nll, .uses = ""},
    {"log_softmax_nll(n=300,classes=3,ignored=4)", "softmax", build_log_softmax, VECTOR(300, 4),
     .width = 3, .layer = "log_softmax", .loss = nll, .ignored = 4},
    {"cross_entropy(n=5,classes=10)", "loss", NULL, VECTOR(5, 12), .width = 10},
    {"cross_entropy(n=257,classes=7,ignored=3)", "loss", NULL, VECTOR(257, 4), .width = 7, .ignored = 3},
    {"cross_entropy(n=3,classes=1009)", "loss", NULL, VECTOR(3, 6), .width = 1009},
    {"linear(n=3,in=6,out=5,bias=0)", "linear", build_linear, VECTOR(3, 4), .width = 6, .options = {.out = 5, .no_bias = true}},
    {"linear(n=3,t=7,in=20,out=11)", "linear", build_linear, VECTOR(3, 5),
     .width = 140, .options = {.out = 11, .dims = {7, 20}, .ndim = 2}},
    {"linear(n=2,t=66,in=5,out=3,bias=0)", "linear", build_linear, VECTOR(2, 3),
     .width = 330, .options = {.out = 3, .dims = {66, 5}, .ndim = 2, .no_bias = true}},
    {"conv3d(n=2,c=3,dhw=5x6x4,o=5,k=3x3x2,s=2x1x1,p=1x1x0)", "conv", build_convolution, VOLUME(2, 2, 5, 6, 4),
     .width = 3, .options = {.out = 5, .kernel = {3, 3, 2}, .stride = {2, 1, 1}, .padding = {1, 1, 0}}},
    {"conv3d(n=1,c=2,dhw=7x5x6,o=3,k=2x3x3,p=1x2x2,d=2x2x1,bias=0)", "conv", build_convolution, VOLUME(1, 1, 7, 5, 6),
     .width = 2, .options = {.out = 3, .kernel = {2, 3, 3}, .padding = {1, 2, 2}, .dilation = {2, 2, 1}, .no_bias = true}},
    {"depthwise2d(n=2,c=6,hw=9x7,o=6,k=3x3,s=2x1,p=1x1)", "conv", build_convolution, IMAGE(2, 2, 9, 7),
     .width = 6, .options = {.out = 6, .kernel = {3, 3}, .stride = {2, 1}, .padding = {1, 1}, .groups = 6}, .uses = ""},
    {"depthwise3d(n=2,c=3,dhw=5x4x6,o=6,k=3x3x3,p=1x1x1)", "conv", build_convolution, VOLUME(2, 2, 5, 4, 6),
     .width = 3, .options = {.out = 6, .kernel = {3, 3, 3}, .padding = {1, 1, 1}, .groups = 3}},
    {"conv_transpose2d(n=2,c=5,hw=5x6,o=3,k=3x2,s=2x2,p=1x0,output_padding=1x0)", "conv", build_conv_transpose,
     IMAGE(2, 2, 5, 6), .width = 5,
     .options = {.out = 3, .kernel = {3, 2}, .stride = {2, 2}, .padding = {1, 0}, .output_padding = {1, 0}}, .uses = ""},
    {"conv_transpose3d(n=1,c=4,dhw=3x4x2,o=3,k=2x2x2,s=2x2x2)", "conv", build_conv_transpose, VOLUME(1, 2, 3, 4, 2),
     .width = 4, .options = {.out = 3, .kernel = {2, 2, 2}, .stride = {2, 2, 2}}},
    {"batch_norm(n=3,c=5,hw=6x7)", "bn", build_batch_norm, IMAGE(3, 2, 6, 7), .width = 5, .uses = ""},
    {"batch_norm(n=2,c=4,hw=5x9)", "bn", build_batch_norm, IMAGE(2, 2, 5, 9), .width = 4, .uses = "bn=input"},
    {"batch_norm(n=130,f=9)", "bn", build_batch_norm, VECTOR(130, 6), .width = 9},
    {"batch_norm(n=2,c=3,dhw=3x4x5,affine=0)", "bn", build_batch_norm, VOLUME(2, 2, 3, 4, 5),
     .width = 3, .options = {.no_affine = true}},
    {"batch_norm(n=4,c=3,hw=5x5,track=0)", "bn", build_batch_norm, IMAGE(4, 2, 5, 5), .width = 3, .options = {.no_track = true},
     .mixes_samples = true},
    {"layer_norm(n=5,f=37)", "ln", build_layer_norm, VECTOR(5, 6), .width = 37, .uses = ""},
    {"layer_norm(n=3,t=7,d=20)", "ln", build_layer_norm, VECTOR(3, 5), .width = 140, .options = {.dims = {7, 20}, .ndim = 2}},
    {"layer_norm(n=2,t=66,d=5,affine=0)", "ln", build_layer_norm, VECTOR(2, 3),
     .width = 330, .options = {.dims = {66, 5}, .ndim = 2, .no_affine = true}},
    {"layer_norm(n=3,f=771)", "ln", build_layer_norm, VECTOR(3, 2), .width = 771},
    {"layer_norm(n=2,c=13,hw=5x4)", "ln", build_layer_norm, IMAGE(2, 2, 5, 4), .width = 13},
    {"layer_norm(n=2,c=5,dhw=3x2x4,affine=0)", "ln", build_layer_norm, VOLUME(2, 2, 3, 2, 4), .width = 5, .options = {.no_affine = true}},
    {"attention(n=2,t=7,heads=2,d=5)", "attention", build_attention, VECTOR(2, 4),
     .width = 210, .options = {.groups = 2, .out = 10, .dims = {7}}, .uses = ""},
    {"attention(n=2,t=67,heads=1,d=4,causal)", "attention", build_attention, VECTOR(2, 4),
     .width = 804, .options = {.groups = 1, .out = 4, .dims = {67}, .causal = true, .scale = 1.5}},
    {"attention(n=2,t=13,heads=3,d=3,dropout=0.3)", "attention", build_attention, VECTOR(2, 4),
     .width = 351, .options = {.groups = 3, .out = 9, .dims = {13}, .p = 0.3}},
    {"cross_attention(n=2,tq=5,tk=66,heads=2,d=3)", "attention", build_cross_attention, VECTOR(2, 4),
     .width = 822, .options = {.groups = 2, .out = 6, .dims = {5, 66}}},
    {"cross_attention(n=1,tq=9,tk=4,heads=1,d=7,causal,dropout=0.2)", "attention", build_cross_attention, VECTOR(1, 4),
     .width = 119, .options = {.groups = 1, .out = 7, .dims = {9, 4}, .p = 0.2, .causal = true}},
    {"global_avg_pool(n=3,c=5,hw=7x9)", "avgpool", build_global_avg_pool, IMAGE(3, 2, 7, 9), .width = 5, .uses = ""},
    {"relu6(n=2,c=3,hw=7x5)", "relu", build_relu6, IMAGE(2, 2, 7, 5), .width = 3, .uses = ""},
    {"relu6(n=5,f=259)", "relu", build_relu6, VECTOR(5, 9), .width = 259},
    {"sigmoid(n=2,c=3,hw=7x5)", "sigmoid", build_sigmoid, IMAGE(2, 2, 7, 5), .width = 3, .uses = ""},
    {"tanh(n=2,c=3,hw=7x5)", "tanh", build_tanh, IMAGE(2, 2, 7, 5), .width = 3, .uses = ""},
    {"silu(n=2,c=3,hw=7x5)", "silu", build_silu, IMAGE(2, 2, 7, 5), .width = 3, .uses = ""},
    {"gelu(n=2,c=3,hw=7x5)", "gelu", build_gelu, IMAGE(2, 2, 7, 5), .width = 3, .uses = ""},
    {"gelu(n=5,f=259)", "gelu", build_gelu, VECTOR(5, 9), .width = 259},
    {"leaky_relu(n=2,c=3,hw=7x5,slope=0.2)", "leaky_relu", build_leaky_relu, IMAGE(2, 2, 7, 5), .width = 3, .options = {.p = 0.2}, .uses = ""},
    {"scale(n=2,c=3,hw=7x5,a=-1.7)", "scale", build_scale, IMAGE(2, 2, 7, 5), .width = 3, .options = {.p = -1.7}, .uses = ""},
    {"global_avg_pool(n=2,c=4,dhw=5x6x7)", "avgpool", build_global_avg_pool, VOLUME(2, 1, 5, 6, 7), .width = 4},
    {"global_avg_pool(n=3,t=9,d=20)", "avgpool", build_global_avg_pool, VECTOR(3, 5),
     .width = 180, .options = {.dims = {9, 20}, .ndim = 2}},
    {"avg_pool2d(n=2,c=3,hw=8x7,k=3x2,s=2x2,p=1x0)", "avgpool", build_avg_pool, IMAGE(2, 2, 8, 7),
     .width = 3, .options = {.kernel = {3, 2}, .stride = {2, 2}, .padding = {1, 0}}},
    {"avg_pool3d(n=2,c=3,dhw=5x6x4,k=2x3x3,s=2x1x2,p=1x1x1,count_include_pad=0)", "avgpool", build_avg_pool, VOLUME(2, 2, 5, 6, 4),
     .width = 3, .options = {.kernel = {2, 3, 3}, .stride = {2, 1, 2}, .padding = {1, 1, 1}, .no_bias = true}},
    {"adaptive_avg_pool(n=2,c=3,hw=8x7,to=3x5)", "avgpool", build_adaptive_avg_pool, IMAGE(2, 2, 8, 7),
     .width = 3, .options = {.kernel = {3, 5}}},
    {"adaptive_avg_pool(n=2,c=3,hw=4x5,to=1x1)", "avgpool", build_adaptive_avg_pool, IMAGE(2, 2, 4, 5),
     .width = 3, .options = {.kernel = {1, 1}}},
    {"adaptive_avg_pool(n=1,c=5,dhw=4x6x3,to=2x3x1)", "avgpool", build_adaptive_avg_pool, VOLUME(1, 2, 4, 6, 3),
     .width = 5, .options = {.kernel = {2, 3, 1}}},
    {"max_pool3d(n=2,c=3,dhw=5x6x4,k=3x2x2,s=2x2x1,p=1x0x1)", "pool", build_max_pool, VOLUME(2, 2, 5, 6, 4),
     .width = 3, .options = {.kernel = {3, 2, 2}, .stride = {2, 2, 1}, .padding = {1, 0, 1}}},
    {"concat(n=2,c=3,hw=5x4,axis=1)", "concat", build_concat, IMAGE(2, 2, 5, 4), .width = 3, .options = {.axis = 1}, .uses = ""},
    {"concat(n=2,c=3,dhw=2x4x3,axis=2)", "concat", build_concat, VOLUME(2, 2, 2, 4, 3), .width = 3, .options = {.axis = 2}},
    {"concat(n=2,c=3,dhw=2x4x3,axis=4)", "concat", build_concat, VOLUME(2, 2, 2, 4, 3), .width = 3, .options = {.axis = 4}},
    {"concat(n=3,f=37,axis=1)", "concat", build_concat, VECTOR(3, 5), .width = 37, .options = {.axis = 1}},
    {"parameter_add(n=5,t=7,d=12)", "parameter", build_add_parameter, VECTOR(5, 3),
     .width = 84, .options = {.dims = {7, 12}, .ndim = 2}},
    {"parameter_add(n=3,c=5,hw=4x3)", "parameter", build_add_parameter, IMAGE(3, 2, 4, 3), .width = 5, .uses = ""},
    {"parameter_mul(n=3,c=5,hw=4x3)", "mul", build_mul_parameter, IMAGE(3, 2, 4, 3), .width = 5, .options = {.out = 5}},
    {"parameter_concat(n=5,t=7,d=12,axis=1)", "concat", build_concat_parameter, VECTOR(5, 3),
     .width = 84, .options = {.dims = {7, 12}, .ndim = 2, .axis = 1, .begin = 1}},
    {"parameter_concat(n=3,c=5,dhw=2x4x3,axis=1)", "concat", build_concat_parameter, VOLUME(3, 2, 2, 4, 3),
     .width = 5, .options = {.axis = 1, .begin = 2}},
    {"parameter_concat(n=3,c=5,hw=4x3,axis=3)", "concat", build_concat_parameter, IMAGE(3, 2, 4, 3),
     .width = 5, .options = {.axis = 3, .begin = 2}},
    {"slice(n=2,c=7,hw=5x4,axis=1,begin=2,end=5)", "slice", build_slice, IMAGE(2, 2, 5, 4),
     .width = 7, .options = {.axis = 1, .begin = 2, .end = 5}, .uses = ""},
    {"slice(n=2,c=3,dhw=4x3x5,axis=2,begin=1,end=4)", "slice", build_slice, VOLUME(2, 1, 4, 3, 5),
     .width = 3, .options = {.axis = 2, .begin = 1, .end = 4}},
    {"slice(n=3,f=300,axis=1,begin=0,end=257)", "slice", build_slice, VECTOR(3, 5),
     .width = 300, .options = {.axis = 1, .begin = 0, .end = 257}},
    {"pad(n=2,c=3,hw=5x4,before=0x1x0,after=2x0x3,value=-1.5)", "pad", build_pad, IMAGE(2, 2, 5, 4),
     .width = 3, .options = {.before = {0, 1, 0}, .after = {2, 0, 3}, .p = -1.5}, .uses = ""},
    {"pad(n=2,c=2,dhw=3x2x4,before=1x2x0x1,after=0x1x1x1)", "pad", build_pad, VOLUME(2, 1, 3, 2, 4),
     .width = 2, .options = {.before = {1, 2, 0, 1}, .after = {0, 1, 1, 1}}},
    {"permute(n=2,c=3,hw=5x4,order=0213)", "permute", build_permute, IMAGE(2, 2, 5, 4),
     .width = 3, .options = {.order = {0, 2, 1, 3}}, .uses = ""},
    {"permute(n=2,c=3,dhw=2x4x5,order=04132)", "permute", build_permute, VOLUME(2, 2, 2, 4, 5),
     .width = 3, .options = {.order = {0, 4, 1, 3, 2}}},
    {"permute(n=2,t=9,d=35,order=021)", "permute", build_permute, VECTOR(2, 6),
     .width = 315, .options = {.dims = {9, 35}, .ndim = 2, .order = {0, 2, 1}}},
    {"reshape(n=3,c=5,hw=4x7,dims=140)", "reshape", build_reshape, IMAGE(3, 2, 4, 7),
     .width = 5, .options = {.dims = {-1}, .ndim = 1}, .uses = ""},
    {"reshape(n=3,c=4,hw=6x5,dims=8x5x3)", "reshape", build_reshape, IMAGE(3, 2, 6, 5),
     .width = 4, .options = {.dims = {8, 5, 3}, .ndim = 3}},
    {"reshape(n=2,c=6,hw=2x2,dims=4x3x2)", "reshape", build_reshape, IMAGE(2, 2, 2, 2),
     .width = 6, .options = {.dims = {4, 3, 2}, .ndim = 3}},
    {"reshape(n=2,c=3,hw=6x4,dims=3x2x3x4)", "reshape", build_reshape, IMAGE(2, 2, 6, 4),
     .width = 3, .options = {.dims = {3, 2, 3, 4}, .ndim = 4}},
    {"reshape(n=3,f=120,dims=2x3x4x5)", "reshape", build_reshape, VECTOR(3, 5),
     .width = 120, .options = {.dims = {2, 3, -1, 5}, .ndim = 4}},
    {"pixel_shuffle(n=2,c=12,hw=3x5,factor=2)", "pixel_shuffle", build_pixel_shuffle, IMAGE(2, 2, 3, 5),
     .width = 12, .options = {.factor = 2}, .uses = ""},
    {"pixel_shuffle(n=2,c=54,dhw=2x3x2,factor=3)", "pixel_shuffle", build_pixel_shuffle, VOLUME(2, 1, 2, 3, 2),
     .width = 54, .options = {.factor = 3}},
    {"patchify(n=2,c=3,hw=8x6,patch=4x2)", "patchify", build_patchify, IMAGE(2, 2, 8, 6),
     .width = 3, .options = {.kernel = {4, 2}}, .uses = ""},
    {"patchify(n=2,c=3,dhw=4x6x4,patch=2x3x4)", "patchify", build_patchify, VOLUME(2, 1, 4, 6, 4),
     .width = 3, .options = {.kernel = {2, 3, 4}}},
    {"unpatchify(n=2,t=6,d=24,to=8x6,patch=4x2)", "unpatchify", build_unpatchify, VECTOR(2, 5),
     .width = 144, .options = {.dims = {6, 24}, .ndim = 2, .before = {8, 6}, .kernel = {4, 2}, .axis = 2}},
    {"unpatchify(n=2,t=8,d=24,to=4x6x4,patch=2x3x2)", "unpatchify", build_unpatchify, VECTOR(2, 5),
     .width = 192, .options = {.dims = {8, 24}, .ndim = 2, .before = {4, 6, 4}, .kernel = {2, 3, 2}, .axis = 3}},
    {"unpatchify(n=3,t=4,d=5,to=4x1,patch=1x1)", "unpatchify", build_unpatchify, IMAGE(3, 2, 2, 2), .width = 5,
     .options = {.dims = {4, -1}, .ndim = 2, .before = {4, 1}, .kernel = {1, 1}, .axis = 2}, .uses = ""},
    {"log_softmax_nll(n=2,classes=5,hw=4x7,ignored=5)", "softmax", build_log_softmax, IMAGE(2, 2, 4, 7),
     .width = 5, .layer = "log_softmax", .loss = nll_of_positions, .ignored = 5},
    {"softmax_nll(n=7,f=10)", "softmax", build_softmax, VECTOR(7, 6), .width = 10, .loss = nll, .uses = ""},
    {"softmax(n=3,f=301)", "softmax", build_softmax, VECTOR(3, 4), .width = 301},
    {"softmax(n=2,t=9,d=35)", "softmax", build_softmax, VECTOR(2, 6), .width = 315, .options = {.dims = {9, 35}, .ndim = 2}},
    {"softmax(n=2,c=5,hw=4x7)", "softmax", build_softmax, IMAGE(2, 2, 4, 7), .width = 5},
    {"softmax(n=1,c=67,dhw=2x3x2)", "softmax", build_softmax, VOLUME(1, 2, 2, 3, 2), .width = 67},
    {"cross_entropy(n=2,classes=3,dhw=5x7x11,ignored=4)", "loss", NULL, VOLUME(2, 2, 5, 7, 11),
     .width = 3, .loss = cross_entropy_of_positions, .ignored = 4},
    {"resize_bilinear(n=2,c=5,hw=7x6,to=28x20)", "resize", build_resize, IMAGE(2, 2, 7, 6),
     .width = 5, .options = {.out = 28, .groups = 20}, .uses = ""},
    {"resize_bilinear(n=2,c=3,hw=13x17,to=5x9,corners)", "resize", build_resize, IMAGE(2, 2, 13, 17),
     .width = 3, .options = {.out = 5, .groups = 9, .p = 1}},
    {"resize_bilinear(n=1,c=4,hw=1x1,to=6x11)", "resize", build_resize, IMAGE(1, 3, 1, 1),
     .width = 4, .options = {.out = 6, .groups = 11}},
    {"l1_loss(n=5,f=259)", "loss", NULL, VECTOR(5, 9), .width = 259, .loss = l1, .uses = ""},
    {"l1_loss(n=3,c=3,hw=11x9)", "loss", NULL, IMAGE(3, 2, 11, 9), .width = 3, .loss = l1},
    {"mse_loss(n=1,f=1)", "loss", NULL, VECTOR(1, 3), .width = 1, .loss = mse},
    {"mse_loss(n=3,c=2,dhw=5x6x7)", "loss", NULL, VOLUME(3, 1, 5, 6, 7), .width = 2, .loss = mse},
    {"dice(n=2,c=3,dhw=5x6x7,sigmoid,squared,masks)", "loss", NULL, VOLUME(2, 2, 5, 6, 7),
     .width = 3, .loss = dice_brats, .masks = true},
    {"dice(n=3,c=4,hw=13x11,softmax,background=0,labels)", "loss", NULL, IMAGE(3, 2, 13, 11), .width = 4, .loss = dice_spleen},
    {"dice(n=3,c=5,hw=9x8,softmax,squared,batch,labels)", "loss", NULL, IMAGE(3, 2, 9, 8),
     .width = 5, .loss = dice_batch, .mixes_samples = true},
    {"dice(n=4,c=70,softmax,background=0,labels)", "loss", NULL, VECTOR(4, 9), .width = 70, .loss = dice_spleen},
    {"dice(n=2,c=3,hw=7x9,masks)", "relu", build_relu, IMAGE(2, 2, 7, 9), .width = 3, .loss = dice_plain, .masks = true},
    {"mse_loss(n=4,f=1031)", "loss", NULL, VECTOR(4, 7), .width = 1031, .loss = mse, .uses = ""},
};
const size_t operator_n_cases = sizeof operator_cases / sizeof *operator_cases;

static actc_tensor *build_relu_linear(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *o)
{
    return build_linear(graph, "layer2", actc_relu(graph, name, x), o);
}

const operator_case operator_optimised = {"optimised", "linear", build_relu_linear, VECTOR(6, 19), .width = 67,
                                          .options = {.out = 11}};

/* ---- the network ---- */

void operator_graph(const operator_case *c, actc_graph *graph)
{
    const operator_options first = {.out = c->width};
    actc_tensor *x = actc_input(graph, "input", c->sample, c->ndim);
    x = c->ndim < 3 ? build_linear(graph, "layer0", x, &first) : build_convolution(graph, "layer0", x, &first);
    if (c->build)
        x = c->build(graph, c->layer ? c->layer : "layer1", x, &c->options);
    actc_graph_add_output(graph, x);
    if (!c->loss && x && actc_tensor_shape(x).ndim > 2)
        x = actc_flatten(graph, "layer2", x);
    actc_graph_set_loss(graph, c->loss ? c->loss(graph, x) : cross_entropy(graph, x));
}

/* ---- its inputs ---- */

static size_t elements(const operator_case *c, const actc_tensor *input)
{
    return (size_t)(c->batch * actc_shape_elements(&input->shape));
}

bool operator_batch_make(const operator_case *c, const actc_graph *graph, operator_batch *batch)
{
    *batch = (operator_batch){.n = graph->n_inputs};
    if (graph->n_inputs > OPERATOR_INPUTS)
        return false;
    for (size_t i = 0; i < graph->n_inputs; i++) {
        batch->data[i] = malloc(4 * elements(c, graph->inputs[i]));
        batch->bindings[i] = (actc_binding){graph->inputs[i]->name, batch->data[i]};
        if (!batch->data[i])
            return false;
    }
    return true;
}

void operator_batch_fill(const operator_case *c, const actc_graph *graph, uint64_t seed, operator_batch *batch)
{
    test_rng r = {seed};
    const actc_tensor *const *ends = (const actc_tensor *const *)graph->losses[0].tensor->producer->inputs; /* scores, target */
    const int64_t classes = ends[0]->shape.dims[1];
    for (size_t k = 0; k < batch->n; k++) {
        const actc_tensor *input = graph->inputs[k];
        for (size_t i = 0; i < elements(c, input); i++) {
            if (c->masks && input == ends[1]) {
                ((float *)batch->data[k])[i] = (float)(rng_next(&r) % 2);
                continue;
            }
            if (input->dtype == ACTC_F32) {
                ((float *)batch->data[k])[i] = bits_float(fill_value(&r, FILL_NORMAL)); /* with ties, for pooling */
                continue;
            }
            int32_t label = (int32_t)(rng_next(&r) % (uint64_t)classes);
            ((int32_t *)batch->data[k])[i] = c->ignored && i % (size_t)c->ignored == 1 ? -1 : label;
        }
    }
}

void operator_batch_free(operator_batch *batch)
{
    for (size_t i = 0; i < batch->n && i < OPERATOR_INPUTS; i++)
        free(batch->data[i]);
    *batch = (operator_batch){0};
}
