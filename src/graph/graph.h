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
    ACTC_LAYOUT_CHANNELS_LAST /* PyTorch's O,I,spatial..., stored O,spatial...,I: of convolutions, and of maps */
} actc_parameter_layout;

typedef enum actc_parameter_role {
    ACTC_ROLE_WEIGHT,  /* trained, unless frozen */
    ACTC_ROLE_STATE,   /* what PyTorch calls a buffer: written by training steps, not by the optimiser (running statistics) */
    ACTC_ROLE_COUNTER  /* an i64 scalar of PyTorch's files that says how many training batches there were; no memory of its own */
} actc_parameter_role;

struct actc_parameter {
    actc_graph *graph;
    uint32_t id;
    char *name;
    actc_shape shape; /* PyTorch's */
    actc_parameter_layout layout;
    actc_init init;
    actc_parameter_role role;
    int64_t fan_in;
    float *values; /* its first values in place of init's; NULL: there are none */
    bool frozen; /* gets no gradient; always true where the role is not a weight's */
};

struct actc_op {
    const actc_op_def *def;
    uint32_t id;
    char *path;        /* "block1/conv2" */
    uint32_t hash;     /* of the path: key of its random numbers */
    actc_tensor **inputs;
    uint32_t n_inputs;
    actc_tensor *output;
    actc_parameter **parameters; /* weight, bias, ...: the operator knows which; NULL where absent */
    uint32_t n_parameters;
    const void *attributes; /* the operator's own struct, of def->attributes_bytes */
    const char *codec; /* spec of the innermost scope, NULL outside; belongs to the graph */
};

/* A loss and its part in what training minimises. */
typedef struct actc_graph_loss {
    const actc_tensor *tensor;
    double weight;
} actc_graph_loss;

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
    actc_tensor **inputs; /* what the host gives to a step, in the order in which they were built */
    size_t n_inputs, inputs_capacity;
    actc_graph_loss *losses;
    size_t n_losses, losses_capacity;
    const actc_tensor **metrics, **outputs; /* what an evaluation reports, and what can be read after it */
    size_t n_metrics, metrics_capacity, n_outputs, outputs_capacity;
};

static inline uint64_t actc_dtype_bytes(actc_dtype dtype)
{
    (void)dtype; /* f32 and i32 */
    return 4;
}

/* The first input of this type, NULL where there is none: what the calls for classifiers use. */
actc_tensor *actc_graph_input_of(const actc_graph *graph, actc_dtype dtype);


/* A network keeps its graph: released by actc_graph_destroy like the user's own reference. */
actc_graph *actc_graph_retain(const actc_graph *graph);

/* The first error of the graph, with its message as the context's; ACTC_OK where there is none. */
actc_status actc_graph_check(const actc_graph *graph);

/* Keeps the first error of the graph; returns NULL for the builders' sake. */
void *actc_graph_fail(actc_graph *graph, actc_status status, const char *format, ...) ACTC_PRINTF(3, 4);

/* False, with the graph's error set, where the graph has failed already, or a tensor is NULL or of another graph. */
bool actc_graph_accepts(actc_graph *graph, actc_tensor *const *inputs, uint32_t n_inputs, const char *name);

/* Options of an operator, from a caller of this or an older header (actc_take_options); false with the graph's error set. */
bool actc_graph_take_options(actc_graph *graph, const char *op_name, const char *what, const void *given, size_t full,
                             const void *defaults, void *out);

/* Appends an operator made of `prototype` (def, inputs, parameters, attributes), of which copies are kept; infers its output. */
actc_tensor *actc_graph_append(actc_graph *graph, const char *name, const actc_op *prototype);

/* The parameter "PATH.suffix" of the operator about to be built. */
actc_parameter *actc_graph_parameter(actc_graph *graph, const char *op_name, const char *suffix, const int64_t *dims,
                                     int ndim, actc_parameter_layout layout, actc_init init, int64_t fan_in, bool frozen);
/* The state "PATH.suffix" of the operator about to be built, with its first value (PyTorch's buffers). */
actc_parameter *actc_graph_state(actc_graph *graph, const char *op_name, const char *suffix, const int64_t *dims, int ndim,
                                 actc_init init);
/* The counter "PATH.suffix". */
void actc_graph_counter(actc_graph *graph, const char *op_name, const char *suffix);
/* Checks a parameter handed in by the user against the shape the operator needs. */
bool actc_graph_check_parameter(actc_graph *graph, const char *op_name, const actc_parameter *parameter,
                                const int64_t *dims, int ndim);

/* Shapes of all tensors for this batch: shapes[tensor id]. */
actc_status actc_graph_shapes(const actc_graph *graph, int64_t batch, actc_shape *shapes);

#endif
