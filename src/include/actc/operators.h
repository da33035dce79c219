/* actc/operators.h: the operators of a network.
 *
 * Every function appends one operator to the graph and returns its output, which the graph owns; NULL where the graph has an
 * error (actc/graph.h). Definitions are PyTorch's unless a comment says otherwise. Shapes are logical: N,C,H,W and N,C,D,H,W for
 * maps (called "a map" below; its spatial axes are H,W or D,H,W), B,T,D for sequences, N,F for rows.
 * Options come from their _default function.
 */
#ifndef ACTC_OPERATORS_H
#define ACTC_OPERATORS_H

#include <actc/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- convolution ---- */

/* Arrays have an entry for each spatial axis of x, in its order (H,W or D,H,W); a map of two axes ignores the third entry. */
typedef struct actc_conv_options {
    size_t size;
    int64_t out_channels; /* must be > 0 */
    int64_t kernel[3];    /* must be > 0 */
    int64_t stride[3];    /* default 1 */
    int64_t padding[3];   /* zeros added on both sides; default 0 */
    int64_t dilation[3];  /* default 1 */
    bool bias;            /* default true */
    bool frozen;          /* the operator's own parameters are frozen */
    actc_parameter *weight_parameter; /* NULL: the operator makes its own; O,I,spatial... (transposed: I,O,spatial...) */
    actc_parameter *bias_parameter;
    int64_t groups;       /* default 1; else the number of input channels, of which out_channels is a multiple: depthwise */
    int64_t output_padding[3]; /* of transposed convolutions: added to the output's size on one side; < stride; default 0 */
    actc_init init;       /* of its own parameters: ACTC_INIT_DEFAULT, the default, or ACTC_INIT_KAIMING_NORMAL: weights N(0, 2 / fan_out) with
                           * fan_out = kernel out_channels / groups, biases 0 */
} actc_conv_options;
ACTC_API actc_conv_options actc_conv_options_default(int64_t out_channels, int64_t kernel);

/* x (N,C,H,W) or (N,C,D,H,W) -> (N,out_channels,...), OH = floor((H + 2p - d(k-1) - 1)/s) + 1: cross-correlation as in PyTorch's
 * Conv2d and Conv3d with padding_mode zeros. A convolution along one axis is one of (N,C,1,W) with kernel {1,k}. */
ACTC_API actc_tensor *actc_convolution(actc_graph *graph, const char *name, actc_tensor *x, const actc_conv_options *options);
/* OH = (H - 1) s - 2p + d(k-1) + output_padding + 1: PyTorch's ConvTranspose2d and ConvTranspose3d with one group. */
ACTC_API actc_tensor *actc_conv_transpose(actc_graph *graph, const char *name, actc_tensor *x, const actc_conv_options *options);

/* The same, of (N,C,H,W) alone. */
typedef actc_conv_options actc_conv2d_options;
ACTC_API actc_conv2d_options actc_conv2d_options_default(int64_t out_channels, int64_t kernel);
ACTC_API actc_tensor *actc_conv2d(actc_graph *graph, const char *name, actc_tensor *x, const actc_conv2d_options *options);

/* ---- linear ---- */

typedef struct actc_linear_options {
    size_t size;
    int64_t out_features; /* must be > 0 */
    bool bias;            /* default true */
    bool frozen;
    actc_parameter *weight_parameter;
    actc_parameter *bias_parameter;
} actc_linear_options;
ACTC_API actc_linear_options actc_linear_options_default(int64_t out_features);
/* x (N,F) -> (N,out_features), (B,T,D) -> (B,T,out_features): x W^T + b of each row. */
ACTC_API actc_tensor *actc_linear(actc_graph *graph, const char *name, actc_tensor *x, const actc_linear_options *options);

/* ---- element by element ---- */

/* max(x, 0); NaN stays NaN. Backward keeps a 1-bit mask, or the dense output where another operator
 * keeps it anyway, or the compressed output with the codec key relu=value. */
ACTC_API actc_tensor *actc_relu(actc_graph *graph, const char *name, actc_tensor *x);
/* min(max(x, 0), 6); the same otherwise. Its kind is relu. */
ACTC_API actc_tensor *actc_relu6(actc_graph *graph, const char *name, actc_tensor *x);
/* Functions of each element of x, of any shape. sigmoid and tanh save their output for the backward pass, silu and gelu
 * their input; gelu is the exact one, x * (1 + erf(x / sqrt(2))) / 2. */
ACTC_API actc_tensor *actc_sigmoid(actc_graph *graph, const char *name, actc_tensor *x);
ACTC_API actc_tensor *actc_tanh(actc_graph *graph, const char *name, actc_tensor *x);
ACTC_API actc_tensor *actc_silu(actc_graph *graph, const char *name, actc_tensor *x);
ACTC_API actc_tensor *actc_gelu(actc_graph *graph, const char *name, actc_tensor *x);
/* x where x > 0, else slope x; slope: 1e-6 to 1e6. Saves its output. */
ACTC_API actc_tensor *actc_leaky_relu(actc_graph *graph, const char *name, actc_tensor *x, double slope);
/* a * x + b, with a and b finite as f32. Nothing is saved. */
ACTC_API actc_tensor *actc_scale(actc_graph *graph, const char *name, actc_tensor *x, double a, double b);
/* Element-wise sum and product of two tensors with equally many axes. Where they differ in an axis, one of them must have a size
 * of 1 there and is broadcast: (N,C,H,W) * (N,C,1,1); along the batch only what is made of parameters has it. Volumes broadcast along axes that lie far apart
 * (N,C,1,H,1, channels last in memory) are refused. add saves nothing, mul each input that the other's gradient needs. */
ACTC_API actc_tensor *actc_add(actc_graph *graph, const char *name, actc_tensor *a, actc_tensor *b);
ACTC_API actc_tensor *actc_mul(actc_graph *graph, const char *name, actc_tensor *a, actc_tensor *b);

/* Each element (dropout) or each channel of each sample (dropout2d) is zeroed with probability p in training and
 * the others multiplied by 1/(1-p); identity in evaluation. 0 <= p < 1. Nothing is saved: the mask is drawn
 * again from the counter-based generator. dropout2d takes a map, or (N,F) where it drops features, as
 * PyTorch's Dropout2d treats its input's second dimension as channels. */
ACTC_API actc_tensor *actc_dropout(actc_graph *graph, const char *name, actc_tensor *x, double p);
ACTC_API actc_tensor *actc_dropout2d(actc_graph *graph, const char *name, actc_tensor *x, double p);

/* ---- normalisation ---- */

typedef struct actc_batch_norm_options {
    size_t size;
    double epsilon;   /* default 1e-5; 1e-12 to 1 */
    double momentum;  /* of the running statistics; default 0.1; 0 to 1 */
    bool affine;      /* weight and bias; default true */
    bool track;       /* running statistics, which evaluation uses; default true. Without: evaluation uses the batch's
                       * too, and takes whole batches only */
    bool frozen;      /* weight and bias get no gradient */
} actc_batch_norm_options;
ACTC_API actc_batch_norm_options actc_batch_norm_options_default(void);
/* x: a map or (N,F), normalised over all but the channels; needs more than one value a channel in training. Parameters "weight",
 * "bias"; buffers "running_mean", "running_var"; counter "num_batches_tracked". Saves its input, and a
 * mean and an inverse deviation a channel. */
ACTC_API actc_tensor *actc_batch_norm(actc_graph *graph, const char *name, actc_tensor *x, const actc_batch_norm_options *options);
typedef struct actc_layer_norm_options {
    size_t size;
    double epsilon; /* default 1e-5; 1e-12 to 1 */
    bool affine;    /* weight and bias, an element each of what is normalised; default true */
    bool frozen;    /* the operator's own parameters are frozen */
    actc_parameter *weight_parameter; /* NULL: the operator makes its own, (D); else (D), or with axes of 1 around: (1,C,1,1) */
    actc_parameter *bias_parameter;
} actc_layer_norm_options;
ACTC_API actc_layer_norm_options actc_layer_norm_options_default(void);
/* x (N,F) or (B,T,D), each row normalised over its last dimension: PyTorch's LayerNorm of one dimension; or a map, each position
 * normalised over its channels: timm's LayerNorm2d. Parameters "weight", "bias". Saves its input, and a mean and an inverse deviation a row. */
ACTC_API actc_tensor *actc_layer_norm(actc_graph *graph, const char *name, actc_tensor *x, const actc_layer_norm_options *options);
/* Softmax over the last dimension of (N,F) or (B,T,D), or over the channels of a map; saves its output. */
ACTC_API actc_tensor *actc_softmax(actc_graph *graph, const char *name, actc_tensor *x);
/* x (N,C) -> log(softmax(x)) over C; saves its output. */
ACTC_API actc_tensor *actc_log_softmax(actc_graph *graph, const char *name, actc_tensor *x);

/* ---- attention ---- */

typedef struct actc_attention_options {
    size_t size;
    int64_t heads;  /* must be > 0 */
    double scale;   /* of the products of queries and keys, 1e-6 to 1e6; default 0: head_dim^-1/2 */
    double dropout; /* each weight of the softmax is zeroed with this probability in training and the others multiplied by
                     * 1/(1-p), drawn again in the backward pass; 0 <= dropout < 1; default 0 */
    bool causal;    /* query i sees the keys 0 to i alone; default false */
} actc_attention_options;
ACTC_API actc_attention_options actc_attention_options_default(int64_t heads);
/* softmax(scale * q k^T) v for each head: PyTorch's scaled_dot_product_attention. qkv (B,T,3*heads*head_dim) -> (B,T,heads*head_dim):
 * a token has the q, k and v of all heads one behind the other, each heads x head_dim, as timm and torchvision have them. head_dim is 1
 * to 256. The softmax matrix is never in memory: it is linear in T. Saves qkv; where it is not compressed its output, too, and a
 * number a query and head; else the backward pass computes these again from what is restored. */
ACTC_API actc_tensor *actc_attention(actc_graph *graph, const char *name, actc_tensor *qkv, const actc_attention_options *options);
/* The same of q (B,TQ,heads*head_dim) and kv (B,TK,2*heads*head_dim), k and v: (B,TQ,heads*head_dim). */
ACTC_API actc_tensor *actc_cross_attention(actc_graph *graph, const char *name, actc_tensor *q, actc_tensor *kv,
                                           const actc_attention_options *options);

/* ---- pooling ---- */

/* Arrays as in actc_conv_options. */
typedef struct actc_pool_options {
    size_t size;
    int64_t kernel[3];  /* a window of at most 255 places (max): the index is 8 bits */
    int64_t stride[3];  /* default: the kernel */
    int64_t padding[3]; /* must be <= kernel / 2 */
} actc_pool_options;
ACTC_API actc_pool_options actc_pool_options_default(int64_t kernel);
typedef struct actc_avg_pool_options {
    size_t size;
    int64_t kernel[3];  /* 1 to 4096 */
    int64_t stride[3];  /* default: the kernel */
    int64_t padding[3]; /* zeros; must be <= kernel / 2 */
    bool count_include_pad; /* default true: a mean counts them, too */
} actc_avg_pool_options;
ACTC_API actc_avg_pool_options actc_avg_pool_options_default(int64_t kernel);
/* x (N,C,H,W) or (N,C,D,H,W); PyTorch's AvgPool without ceil_mode. Saves nothing. */
ACTC_API actc_tensor *actc_avg_pool(actc_graph *graph, const char *name, actc_tensor *x, const actc_avg_pool_options *options);
/* To sizes[] (an entry for each spatial axis, 1 to 65535): PyTorch's AdaptiveAvgPool, where output i is the mean from
 * floor(i*in/out) to ceil((i+1)*in/out). Saves nothing. */
ACTC_API actc_tensor *actc_adaptive_avg_pool(actc_graph *graph, const char *name, actc_tensor *x, const int64_t *sizes);
/* A map's mean over all positions, (N,C,1,1) or (N,C,1,1,1), or a sequence's over its tokens, (B,1,D). */
ACTC_API actc_tensor *actc_global_avg_pool(actc_graph *graph, const char *name, actc_tensor *x);
/* x (N,C,H,W) or (N,C,D,H,W); the first position in row-major order wins a tie, NaN wins over numbers, as in PyTorch. */
ACTC_API actc_tensor *actc_max_pool(actc_graph *graph, const char *name, actc_tensor *x, const actc_pool_options *options);
/* The same, of (N,C,H,W) alone. */
typedef actc_pool_options actc_max_pool2d_options;
ACTC_API actc_max_pool2d_options actc_max_pool2d_options_default(int64_t kernel);
ACTC_API actc_tensor *actc_max_pool2d(actc_graph *graph, const char *name, actc_tensor *x, const actc_max_pool2d_options *options);

/* x (N,C,H,W) -> (N,C,height,width), PyTorch's F.interpolate(size=(height,width), mode="bilinear", align_corners=...); sizes are
 * 1 to 65536. Saves nothing. */
ACTC_API actc_tensor *actc_resize_bilinear(actc_graph *graph, const char *name, actc_tensor *x, int64_t height, int64_t width,
                                           bool align_corners);

/* ---- parameters ---- */

/* A parameter (1,...) as a tensor, which add, mul and concat broadcast over the batch: class tokens, position embeddings. Its gradient
 * is the sum over the batch. Nothing is saved. */
ACTC_API actc_tensor *actc_parameter_tensor(actc_graph *graph, const char *name, actc_parameter *parameter);

/* ---- moving ---- */

/* (N,...) -> (N,F) in PyTorch's C,H,W order, so that linear weights move both ways. */
ACTC_API actc_tensor *actc_flatten(actc_graph *graph, const char *name, actc_tensor *x);
/* `count` tensors of the same shape but for their size along `axis` (1: channels or features; not the batch), one behind the other;
 * what is made of parameters is broadcast over the batch. Nothing is saved. */
ACTC_API actc_tensor *actc_concat(actc_graph *graph, const char *name, actc_tensor *const *inputs, uint32_t count, int axis);

/* Elements in other places, bit for bit; nothing is saved. Axes are those of the logical shape, 0 the batch, which stays. Where the bytes
 * would lie as they do, the output is the input and costs nothing. */

/* Elements [begin, end) of an axis that is not the batch; 0 <= begin < end <= its size. */
ACTC_API actc_tensor *actc_slice(actc_graph *graph, const char *name, actc_tensor *x, int axis, int64_t begin, int64_t end);
/* `value` around x: before[i] and after[i] elements (>= 0) along axis i + 1, an entry for each axis but the batch. */
ACTC_API actc_tensor *actc_pad(actc_graph *graph, const char *name, actc_tensor *x, const int64_t *before, const int64_t *after,
                               double value);
/* Axis i of the output is axis order[i] of x, an entry for each axis; order[0] is 0. */
ACTC_API actc_tensor *actc_permute(actc_graph *graph, const char *name, actc_tensor *x, const int *order);
/* (N,...) -> (N,dims[0],...), `ndim` dimensions of a sample (0 to 4), in PyTorch's order of elements; one of them may be -1: what is left. */
ACTC_API actc_tensor *actc_reshape(actc_graph *graph, const char *name, actc_tensor *x, const int64_t *dims, int ndim);
/* (N,C*f*f,H,W) -> (N,C,H*f,W*f) and (N,C*f*f*f,D,H,W) -> (N,C,D*f,H*f,W*f): PyTorch's PixelShuffle, MONAI's in three dimensions. */
ACTC_API actc_tensor *actc_pixel_shuffle(actc_graph *graph, const char *name, actc_tensor *x, int64_t factor);
/* A map -> a sequence of its patches, (N,tokens,elements of a patch): einops' "b c (h p1) (w p2) -> b (h w) (p1 p2 c)" and
 * "b c (d p1) (h p2) (w p3) -> b (d h w) (p1 p2 p3 c)". patch: an entry for each spatial axis, which it divides. */
ACTC_API actc_tensor *actc_patchify(actc_graph *graph, const char *name, actc_tensor *x, const int64_t *patch);

/* Back: a sequence -> the map with these spatial axes (size: H,W or D,H,W) that patchify takes to it; axes: 2 or 3. Patches of 1 cost
 * nothing, either way. */
ACTC_API actc_tensor *actc_unpatchify(actc_graph *graph, const char *name, actc_tensor *x, const int64_t *size, const int64_t *patch,
                                      int axes);

/* ---- losses and metrics ----
 * Scalars: in training a mean, in evaluation a sum. Targets are inputs of the graph: i32 classes (N) of scores (N,C), or one a
 * position, (N,H,W) of (N,C,H,W) and (N,D,H,W) of (N,C,D,H,W); -1 marks what does not count. */

ACTC_API actc_tensor *actc_nll_loss(actc_graph *graph, const char *name, actc_tensor *log_probabilities, actc_tensor *labels);
/* log-softmax and NLL in one. */
ACTC_API actc_tensor *actc_cross_entropy(actc_graph *graph, const char *name, actc_tensor *logits, actc_tensor *labels);
/* scores (N,C), labels (N) -> the number of places, whose label is not -1, where the largest of the C is at the
 * label (the lowest index wins a tie). A metric. */
ACTC_API actc_tensor *actc_count_correct(actc_graph *graph, const char *name, actc_tensor *scores, actc_tensor *labels);

typedef struct actc_dice_options {
    size_t size;
    bool sigmoid, softmax;   /* of the scores, one of them at most; default neither: the scores are probabilities */
    bool include_background; /* default true; false: class 0 does not count */
    bool squared_pred;       /* squares in the denominator; default false */
    bool batch;              /* default false: a loss for each class of each sample; true: for each class of the whole batch, and
                              * evaluation takes whole batches only */
    double smooth_nr;        /* default 1e-5; 0 to 1e6 */
    double smooth_dr;        /* default 1e-5; 1e-12 to 1e6 */
} actc_dice_options;
ACTC_API actc_dice_options actc_dice_options_default(void);
/* Scores of C classes, p their probabilities: 1 - (2 sum of p t + smooth_nr) / (sum of p + sum of t + smooth_dr), sums over all
 * positions: MONAI's DiceLoss. In training the mean over samples and classes, in evaluation the sum. t are f32 masks of the
 * scores' shape (several classes may be at a place), or 1 at the i32 class of each position; -1 is refused. options NULL:
 * the defaults. Saves the probabilities, and the masks. */
ACTC_API actc_tensor *actc_dice_loss(actc_graph *graph, const char *name, actc_tensor *scores, actc_tensor *target,
                                     const actc_dice_options *options);
/* |prediction - target| and (prediction - target)^2, over all elements: PyTorch's L1Loss and MSELoss. The target is an f32 input
 * of the prediction's shape and gets no gradient. Both are saved. */
ACTC_API actc_tensor *actc_l1_loss(actc_graph *graph, const char *name, actc_tensor *prediction, actc_tensor *target);
ACTC_API actc_tensor *actc_mse_loss(actc_graph *graph, const char *name, actc_tensor *prediction, actc_tensor *target);

#ifdef __cplusplus
}
#endif
#endif
