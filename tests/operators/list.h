/* list.h: the operators, each in a network of its own: what their tests run over.
 *
 * A new operator is one line in list.c (and a function that builds it, where none there fits). From it come
 *   actc-parity     operator.NAME: loss, gradients, states and outputs against float64; operator_exact.NAME: the same bits everywhere
 *   test_operator_gradients   its gradients against finite differences in float64
 *   test_saved_uses           how far the error of a compressed tensor reaches, where `uses` is set
 *
 * The network: "input" (batch, sample...) -> "layer0", a convolution with windows of 1, or a linear layer, to `width` channels, which
 * makes what the operator gets a tensor that needs a gradient -> the operator -> "layer2", a flatten, where the output is a map -> loss.
 */
#ifndef ACTC_TEST_OPERATORS_H
#define ACTC_TEST_OPERATORS_H

#include <actc/actc.h>

/* What operators take. Entries that a kind does not know are not read; strides and dilations of 0 are 1. */
typedef struct operator_options {
    int64_t out, kernel[3], stride[3], padding[3], dilation[3], groups, output_padding[3]; /* out: channels or features */
    int axis, order[5], ndim; /* ndim: of dims */
    int64_t begin, end, before[4], after[4], dims[4], factor;
    double p, scale;
    bool causal, no_bias, no_affine, no_track;
} operator_options;

/* Appends the operator, under this name; others that it needs have names that begin with it. */
typedef actc_tensor *(*operator_build)(actc_graph *graph, const char *name, actc_tensor *x, const operator_options *options);

/* Appends the loss "loss" of x, with what it needs (an input for its targets). */
typedef actc_tensor *(*operator_loss)(actc_graph *graph, actc_tensor *x);

#define OPERATOR_DIMS 4

typedef struct operator_case {
    const char *name;   /* kind and options: names its cases, and seeds their data */
    const char *kind;   /* of the operator, as rules name it */
    operator_build build; /* NULL: layer0 alone */
    operator_options options;
    int64_t batch, sample[OPERATOR_DIMS];
    int ndim;           /* of the sample */
    int64_t width;
    bool mixes_samples; /* evaluates whole batches only */
    const char *layer;  /* the operator's name; NULL: "layer1" */
    operator_loss loss; /* of the operator's output as it is; NULL: cross-entropy of rows, flattened where it is a map */
    bool masks;         /* an f32 target of the loss is 0 or 1 */
    int ignored;        /* every so many-th label is -1; 0: none */
    const char *uses;   /* the key of codecs with which its uses are looked at, "" for none; NULL: they are not, another line does */
} operator_case;

extern const operator_case operator_cases[];
extern const size_t operator_n_cases;
/* Two linear layers with a ReLU between: what optimisers are tested on. */
extern const operator_case operator_optimised;

/* The network of a case; the graph's error says what went wrong. */
void operator_graph(const operator_case *c, actc_graph *graph);
/* What a step is given: something for each input of the graph, in its order. */
#define OPERATOR_INPUTS 4
typedef struct operator_batch {
    size_t n;
    actc_binding bindings[OPERATOR_INPUTS];
    void *data[OPERATOR_INPUTS];
} operator_batch;
/* False where memory has run out. Freed with operator_batch_free in any case. */
bool operator_batch_make(const operator_case *c, const actc_graph *graph, operator_batch *batch);
/* Other numbers, from a seed. */
void operator_batch_fill(const operator_case *c, const actc_graph *graph, uint64_t seed, operator_batch *batch);
void operator_batch_free(operator_batch *batch);

#endif
