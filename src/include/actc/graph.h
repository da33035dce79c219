/* actc/graph.h: building a network.
 *
 * A graph is a static list of operators. Shapes are logical and in PyTorch's order; the first dimension
 * of an input is the batch and is given when the network is prepared (actc_network_create), so a shape
 * here holds the dimensions of one sample.
 *
 * Errors stick: the first one is kept, later calls accept NULL tensors and return NULL, and
 * actc_graph_status (or actc_network_create) returns it. Code that builds a network checks once.
 *
 * Operators are named by the path of the scopes around them and their own name ("block1/conv2"); a path
 * must be unique. Parameters are named after their operator as torchvision does ("conv1.weight",
 * "block1.conv2.bias": scopes joined by dots).
 */
#ifndef ACTC_GRAPH_H
#define ACTC_GRAPH_H

#include <actc/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct actc_graph actc_graph;
typedef struct actc_tensor actc_tensor;       /* owned by the graph */
typedef struct actc_parameter actc_parameter; /* owned by the graph */

ACTC_API actc_status actc_graph_create(actc_context *context, const char *name, actc_graph **out);
ACTC_API void actc_graph_destroy(actc_graph **graph);
ACTC_API actc_status actc_graph_status(const actc_graph *graph);

/* The logical shape of a tensor for batch 1. */
ACTC_API actc_shape actc_tensor_shape(const actc_tensor *tensor);

/* What a step is given under this name: samples, or targets of a loss. dims: the shape of one sample without the batch, e.g.
 * {1, 28, 28}; 0 <= ndim < ACTC_MAX_DIMS, dims may be NULL where ndim is 0 (one value a sample). dtype: ACTC_F32, or ACTC_I32
 * for classes (0 <= class < classes, checked by the losses: -1 marks what is to be ignored). */
ACTC_API actc_tensor *actc_input_of(actc_graph *graph, const char *name, actc_dtype dtype, const int64_t *dims, int ndim);
/* An f32 input; one i32 class a sample. */
ACTC_API actc_tensor *actc_input(actc_graph *graph, const char *name, const int64_t *dims, int ndim);
ACTC_API actc_tensor *actc_label_input(actc_graph *graph, const char *name);

/* Scopes add "name/" to the path of the operators built until the matching pop. */
ACTC_API void actc_push_scope(actc_graph *graph, const char *name);
ACTC_API void actc_pop_scope(actc_graph *graph);

/* Tensors saved for the backward pass by the operators built until the matching pop are kept by this
 * codec ("dct:lambda=100"; "none" for dense). The innermost wins; rules given to actc_network_create
 * come later and win over scopes. */
ACTC_API void actc_push_codec(actc_graph *graph, const char *spec);
ACTC_API void actc_pop_codec(actc_graph *graph);

/* How a parameter gets its first values. */
typedef enum actc_init {
    ACTC_INIT_DEFAULT = 0, /* PyTorch's default of the operator: U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for
                            * weights and biases of convolutions and linear layers */
    ACTC_INIT_ZEROS = 1,
    ACTC_INIT_ONES = 2
} actc_init;

/* A parameter to share between operators (tied weights). dims: PyTorch's layout (OIHW for conv2d, OI for
 * linear). fan_in: for ACTC_INIT_DEFAULT; must be > 0 there. */
ACTC_API actc_parameter *actc_parameter_create(actc_graph *graph, const char *name, const int64_t *dims, int ndim,
                                               actc_init init, int64_t fan_in);
/* A frozen parameter gets no gradient and no update, and what only its gradient needs is not saved. */
ACTC_API void actc_parameter_freeze(actc_parameter *parameter);

typedef struct actc_conv2d_options {
    size_t size;
    int64_t out_channels; /* must be > 0 */
    int64_t kernel[2];    /* height, width; must be > 0 */
    int64_t stride[2];    /* default 1 */
    int64_t padding[2];   /* zeros added on both sides; default 0 */
    int64_t dilation[2];  /* default 1 */
    bool bias;            /* default true */
    bool frozen;          /* the operator's own parameters are frozen */
    actc_parameter *weight_parameter; /* NULL: the operator makes its own */
    actc_parameter *bias_parameter;
} actc_conv2d_options;
ACTC_API actc_conv2d_options actc_conv2d_options_default(int64_t out_channels, int64_t kernel);

/* x (N,C,H,W) -> (N,out_channels,OH,OW), OH = floor((H + 2p - d(k-1) - 1)/s) + 1, cross-correlation as in
 * PyTorch's Conv2d (padding_mode zeros, groups 1). */
ACTC_API actc_tensor *actc_conv2d(actc_graph *graph, const char *name, actc_tensor *x,
                                  const actc_conv2d_options *options);

/* x (N,F) -> (N,out_features): x W^T + b. */
typedef struct actc_linear_options {
    size_t size;
    int64_t out_features; /* must be > 0 */
    bool bias;            /* default true */
    bool frozen;
    actc_parameter *weight_parameter;
    actc_parameter *bias_parameter;
} actc_linear_options;
ACTC_API actc_linear_options actc_linear_options_default(int64_t out_features);
ACTC_API actc_tensor *actc_linear(actc_graph *graph, const char *name, actc_tensor *x,
                                  const actc_linear_options *options);

/* max(x, 0); NaN stays NaN. Backward keeps a 1-bit mask, or the dense output where another operator keeps it
 * anyway, or the compressed output with the codec key relu=value. */
ACTC_API actc_tensor *actc_relu(actc_graph *graph, const char *name, actc_tensor *x);

typedef struct actc_max_pool2d_options {
    size_t size;
    int64_t kernel[2];  /* kernel[0] * kernel[1] must be <= 255: the index is 8 bits */
    int64_t stride[2];  /* default: the kernel */
    int64_t padding[2]; /* must be <= kernel / 2 */
} actc_max_pool2d_options;
ACTC_API actc_max_pool2d_options actc_max_pool2d_options_default(int64_t kernel);
/* x (N,C,H,W); the first position in row-major order wins a tie, NaN wins over numbers, as in PyTorch. */
ACTC_API actc_tensor *actc_max_pool2d(actc_graph *graph, const char *name, actc_tensor *x,
                                      const actc_max_pool2d_options *options);

/* Each element (dropout) or each channel of each sample (dropout2d) is zeroed with probability p in training and
 * the others multiplied by 1/(1-p); identity in evaluation. 0 <= p < 1. Nothing is saved: the mask is drawn
 * again from the counter-based generator. dropout2d takes (N,C,H,W), or (N,F) where it drops features, as
 * PyTorch's Dropout2d treats its input's second dimension as channels. */
ACTC_API actc_tensor *actc_dropout(actc_graph *graph, const char *name, actc_tensor *x, double p);
ACTC_API actc_tensor *actc_dropout2d(actc_graph *graph, const char *name, actc_tensor *x, double p);

/* (N,...) -> (N,F) in PyTorch's C,H,W order, so that linear weights move both ways. */
ACTC_API actc_tensor *actc_flatten(actc_graph *graph, const char *name, actc_tensor *x);

/* x (N,C), (N,C,H,W) or (N,C,D,H,W) -> log(softmax(x)) over C. */
ACTC_API actc_tensor *actc_log_softmax(actc_graph *graph, const char *name, actc_tensor *x);
/* log_probabilities (N,C), labels (N), or maps (N,C,H,W) and (N,H,W), (N,C,D,H,W) and (N,D,H,W) -> scalar, mean over the
 * positions whose label is not -1. */
ACTC_API actc_tensor *actc_nll_loss(actc_graph *graph, const char *name, actc_tensor *log_probabilities,
                                    actc_tensor *labels);
/* The same of logits: log-softmax and NLL in one. */
ACTC_API actc_tensor *actc_cross_entropy(actc_graph *graph, const char *name, actc_tensor *logits,
                                         actc_tensor *labels);
/* Element-wise sum of two tensors of the same shape. */
ACTC_API actc_tensor *actc_add(actc_graph *graph, const char *name, actc_tensor *a, actc_tensor *b);

/* logits or log-probabilities (N,C,...), labels (N,...) -> the number of places, whose label is not -1, where the largest of
 * the C is at the label (the lowest index wins a tie). */
ACTC_API actc_tensor *actc_count_correct(actc_graph *graph, const char *name, actc_tensor *scores, actc_tensor *labels);

/* Training minimises the sum of weight * loss over the losses added, each made by a loss operator; weight > 0. At most 16
 * losses and metrics. set_loss: the only loss, with weight 1; where its targets are classes and no metric was added, the
 * metric "LOSS_correct" too (actc_count_correct of its inputs). */
ACTC_API void actc_graph_add_loss(actc_graph *graph, actc_tensor *loss, double weight);
ACTC_API void actc_graph_set_loss(actc_graph *graph, actc_tensor *loss);
/* What evaluations report beside the losses, made by a metric operator (actc_network_value). */
ACTC_API void actc_graph_add_metric(actc_graph *graph, actc_tensor *metric);
/* A tensor that can be read after an evaluation or inference (actc_network_read_output). */
ACTC_API void actc_graph_add_output(actc_graph *graph, actc_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
