/* operator_net.h: networks of one operator: what they are, for the cases that run them and for the float64 reference. */
#ifndef ACTC_OPERATOR_NET_H
#define ACTC_OPERATOR_NET_H

#include <actc/actc.h>

#include "parity.h"

typedef enum net_layer_kind {
    NET_CONV2D,
    NET_LINEAR,
    NET_RELU,
    NET_MAX_POOL2D,
    NET_DROPOUT,
    NET_DROPOUT2D,
    NET_FLATTEN,
    NET_ADD,         /* x + relu(x): two gradients meet at x */
    NET_END = -1
} net_layer_kind;

typedef struct net_layer {
    net_layer_kind kind;
    int64_t out, kernel[2], stride[2], padding[2], dilation[2]; /* out: channels or features */
    bool no_bias;
    double p;
} net_layer;

#define NET_LAYERS 4

typedef struct operator_net {
    int64_t batch, sample[3]; /* C,H,W, or F,0,0 */
    int ndim;                 /* of the sample */
    net_layer layers[NET_LAYERS]; /* the first makes what the second gets its gradient for; up to kind NET_END */
    bool nll;                 /* log-softmax and NLL instead of cross-entropy */
    actc_optimizer_kind optimizer;
    double momentum, weight_decay;
    int steps;
    int ignored;              /* every so many-th label is -1; 0: none */
} operator_net;

/* Inputs and labels of a step, from a seed. */
void operator_net_batch(const operator_net *net, uint64_t seed, float *x, int32_t *labels);
/* Classes that the loss sees. */
int64_t operator_net_classes(const operator_net *net);
/* "layer0", ... */
const char *operator_net_name(int layer, char *text, size_t size);

/* A tensor in float64, in PyTorch's order, and how far a float32 result may be from each element. */
typedef struct net_tensor {
    size_t n;
    double *value, *error;
} net_tensor;

/* What the first training step of a network gives: computed in float64 from the same parameters, and bounded by going
 * through the errors that float32 makes (operator_float64.c). */
typedef struct operator_reference {
    net_tensor loss;                       /* one element */
    net_tensor weight[NET_LAYERS], bias[NET_LAYERS]; /* gradients; n is 0 where there is none */
} operator_reference;

/* weights, biases: the parameters' values in PyTorch's layout, NULL where there is none. False where memory has run out. */
bool operator_float64(const operator_net *net, uint64_t seed, const float *x, const int32_t *labels,
                      const float *const *weights, const float *const *biases, operator_reference *reference);
void operator_reference_free(operator_reference *reference);

#endif
