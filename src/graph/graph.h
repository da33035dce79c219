/* graph.h: the inside of a graph: tensors, operators, parameters, in the order they were built.
 *
 * A graph is immutable once built. Shapes here are for batch 1; actc_graph_shapes gives those of any batch.
 */
#ifndef ACTC_GRAPH_INTERNAL_H
#define ACTC_GRAPH_INTERNAL_H

#include <actc/graph.h>

#include "../util/util.h"

typedef struct actc_op actc_op;
typedef struct actc_op_def actc_op_def;

struct actc_tensor {
    actc_graph *graph;
    uint32_t id;
    const char *name;       /* path of the producer, or the input's name */
    actc_shape shape;       /* dims[0] is the batch, 1 here */
    actc_dtype dtype;
    const actc_op *producer; /* NULL for inputs */
    uint32_t consumers;
};

/* How a parameter lies in device memory; PyTorch's layout is what the public interface shows. */
typedef enum actc_parameter_layout {
    ACTC_LAYOUT_PLAIN, /* as PyTorch's */
    ACTC_LAYOUT_OHWI   /* PyTorch's OIHW, stored O,H,W,I */
} actc_parameter_layout;

struct actc_parameter {
    actc_graph *graph;
    uint32_t id;
    char *name;
    actc_shape shape; /* PyTorch's */
    actc_parameter_layout layout;
    actc_init init;
    int64_t fan_in;
    bool frozen;
};

#define ACTC_OP_MAX_INPUTS 2
#define ACTC_OP_MAX_PARAMETERS 2

typedef struct actc_conv2d_attributes {
    uint32_t kernel[2], stride[2], padding[2], dilation[2];
    uint32_t out_channels;
} actc_conv2d_attributes;

typedef struct actc_pool2d_attributes {
    uint32_t kernel[2], stride[2], padding[2];
} actc_pool2d_attributes;

typedef struct actc_dropout_attributes {
    double p;
    bool channels; /* one draw a channel of a sample */
} actc_dropout_attributes;

struct actc_op {
    const actc_op_def *def;
    uint32_t id;
    char *path;        /* "block1/conv2" */
    uint32_t hash;     /* of the path: key of its random numbers */
    actc_tensor *inputs[ACTC_OP_MAX_INPUTS];
    uint32_t n_inputs;
    actc_tensor *output;
    actc_parameter *parameters[ACTC_OP_MAX_PARAMETERS]; /* weight, bias; NULL where absent */
    const char *codec; /* spec of the innermost scope, NULL outside; belongs to the graph */
    union {
        actc_conv2d_attributes conv2d;
        actc_pool2d_attributes pool2d;
        actc_dropout_attributes dropout;
        uint32_t out_features; /* linear */
    } u;
};

struct actc_graph {
    actc_context *context;
    char *name;
    actc_status status; /* the first error, which sticks, */
    char *message;      /* and what it said */
    uint32_t references; /* the user's, and one for each network made of it */
    actc_tensor **tensors;
    size_t n_tensors, tensors_capacity;
    actc_op **ops;
    size_t n_ops, ops_capacity;
    actc_parameter **parameters;
    size_t n_parameters, parameters_capacity;
    char **strings; /* codec specs and scope prefixes */
    size_t n_strings, strings_capacity;
    const char *scopes[32];
    uint32_t n_scopes;
    const char *codecs[32];
    uint32_t n_codecs;
    actc_tensor *input, *labels, *loss;
};

/* A network keeps its graph: released by actc_graph_destroy like the user's own reference. */
actc_graph *actc_graph_retain(const actc_graph *graph);

/* The first error of the graph, with its message as the context's; ACTC_OK where there is none. */
actc_status actc_graph_check(const actc_graph *graph);

/* Keeps the first error of the graph; returns NULL for the builders' sake. */
void *actc_graph_fail(actc_graph *graph, actc_status status, const char *format, ...) ACTC_PRINTF(3, 4);

/* False, with the graph's error set, where the graph has failed already, or a tensor is NULL or of another graph. */
bool actc_graph_accepts(actc_graph *graph, actc_tensor *const *inputs, uint32_t n_inputs, const char *name);

/* Appends an operator made of `prototype` (def, inputs, parameters, attributes); infers its output. */
actc_tensor *actc_graph_append(actc_graph *graph, const char *name, const actc_op *prototype);

/* The parameter "PATH.suffix" of the operator about to be built. */
actc_parameter *actc_graph_parameter(actc_graph *graph, const char *op_name, const char *suffix, const int64_t *dims,
                                     int ndim, actc_parameter_layout layout, int64_t fan_in, bool frozen);
/* Checks a parameter handed in by the user against the shape the operator needs. */
bool actc_graph_check_parameter(actc_graph *graph, const char *op_name, const actc_parameter *parameter,
                                const int64_t *dims, int ndim);

/* Shapes of all tensors for this batch: shapes[tensor id]. */
actc_status actc_graph_shapes(const actc_graph *graph, int64_t batch, actc_shape *shapes);

#endif
