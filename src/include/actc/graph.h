/* actc/graph.h: building a network; its operators are in actc/operators.h.
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
    ACTC_INIT_ONES = 2,
    ACTC_INIT_NORMAL = 3,        /* normal, of mean 0 and variance 1 / fan_in; fan_in 1: PyTorch's randn */
    ACTC_INIT_KAIMING_NORMAL = 4 /* of variance 2 / fan_in (He et al., ICCV 2015), where fan_in may be another count */
} actc_init;

/* A parameter to share between operators (tied weights). dims: PyTorch's layout (OIHW for conv2d, OI for
 * linear; of a tensor the tensor's, (1,...)). fan_in: for all but zeros and ones; must be > 0 there. */
ACTC_API actc_parameter *actc_parameter_create(actc_graph *graph, const char *name, const int64_t *dims, int ndim,
                                               actc_init init, int64_t fan_in);
/* What actc_network_initialize gives it in place of `init`: as many finite f32 as it has elements, in PyTorch's layout; copied. */
ACTC_API void actc_parameter_set_values(actc_parameter *parameter, const float *values);
/* A frozen parameter gets no gradient and no update, and what only its gradient needs is not saved. */
ACTC_API void actc_parameter_freeze(actc_parameter *parameter);

/* Training minimises the sum of weight * loss over the losses added, each made by a loss operator; weight > 0. At most 16
 * losses and metrics. set_loss: the only loss, with weight 1; where its targets are classes and no metric was added, the
 * metric "LOSS_correct" too (actc_count_correct of its inputs). */
ACTC_API void actc_graph_add_loss(actc_graph *graph, actc_tensor *loss, double weight);
ACTC_API void actc_graph_set_loss(actc_graph *graph, actc_tensor *loss);
/* What evaluations report beside the losses, made by a metric operator (actc_network_value). */
ACTC_API void actc_graph_add_metric(actc_graph *graph, actc_tensor *metric);
/* A tensor that can be read after an evaluation or inference (actc_network_read_output). */
ACTC_API void actc_graph_add_output(actc_graph *graph, actc_tensor *tensor);

/* ---- looking at a graph ---- */

typedef struct actc_operator_info {
    size_t size;
    const char *path;   /* belongs to the graph, as all that follows */
    const char *kind;   /* as rules name it: "conv" */
    actc_shape shape;   /* of its output, for batch 1 */
    int64_t parameters; /* elements of its parameters, buffers left out */
} actc_operator_info;
ACTC_API size_t actc_graph_operator_count(const actc_graph *graph);
/* index: in the order in which they were built, must be < the count. info->size must be set by the caller. A parameter that
 * several operators share counts in the first. */
ACTC_API actc_status actc_graph_operator_info(const actc_graph *graph, size_t index, actc_operator_info *info);
/* What an operator reads: the path of the operator that makes it, or the name of the graph's input; belongs to the graph. NULL
 * past the last, and where index is not < the count. */
ACTC_API const char *actc_graph_operator_input(const actc_graph *graph, size_t index, size_t input);

typedef struct actc_input_info {
    size_t size;
    const char *name; /* belongs to the graph */
    actc_dtype dtype;
    actc_shape shape; /* for batch 1 */
} actc_input_info;
ACTC_API size_t actc_graph_input_count(const actc_graph *graph);
/* index: in the order in which they were built, must be < the count. info->size must be set by the caller. */
ACTC_API actc_status actc_graph_input_info(const actc_graph *graph, size_t index, actc_input_info *info);

#ifdef __cplusplus
}
#endif
#endif
