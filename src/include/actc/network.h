/* actc/network.h: a network prepared on a device, its steps, its memory and its state.
 *
 * actc_network_create lowers the graph for training and for evaluation, plans one arena for both, allocates
 * it and prepares the programs. After that a step uploads a batch and a block of constants and runs; nothing
 * is allocated or compiled.
 */
#ifndef ACTC_NETWORK_H
#define ACTC_NETWORK_H

#include <actc/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct actc_network actc_network;

typedef enum actc_optimizer_kind {
    ACTC_OPTIMIZER_SGD = 0,  /* torch.optim.SGD: L2 weight decay, momentum without dampening */
    ACTC_OPTIMIZER_ADAM = 1, /* torch.optim.Adam: L2 weight decay */
    ACTC_OPTIMIZER_ADAMW = 2 /* torch.optim.AdamW: decoupled weight decay */
} actc_optimizer_kind;

typedef struct actc_optimizer_options {
    size_t size;
    actc_optimizer_kind kind;
    double momentum;     /* SGD; 0 keeps no state */
    double beta1, beta2; /* Adam, AdamW: 0 <= beta < 1 */
    double epsilon;      /* Adam, AdamW: > 0 */
    double weight_decay; /* 0 to 1e30 */
} actc_optimizer_options;
/* Part of actc_network_options, and so of one size for good: further settings would be further options of the network.
 * PyTorch's defaults: betas 0.9 and 0.999, epsilon 1e-8, no momentum; weight decay 0 (AdamW 0.01). */
ACTC_API actc_optimizer_options actc_optimizer_options_default(actc_optimizer_kind kind);

typedef struct actc_network_options {
    size_t size;
    int64_t train_batch;  /* samples a training step; 0: not prepared for training */
    int64_t eval_batch;   /* the largest number of samples of one evaluation; 0: not prepared for it */
    int64_t infer_batch;  /* the largest number of samples of one inference, which computes the outputs alone and needs no
                           * targets; 0: not prepared for it */
    int accumulate;       /* training batches whose gradients are averaged before an update; >= 1. Where an epoch or a
                           * run ends in between, actc_network_apply_pending takes what there is */
    const char *compress; /* rules, NULL or "" for none: GLOB[,GLOB...][@KIND[,KIND...]]=CODEC[;...]. CODEC: a spec of
                           * actc/codec.h, or derivative[:bits=2|4|8] (4): gelu, silu, sigmoid and tanh keep their derivative at
                           * every element in so many bits, instead of the tensor that they would compute it from */
    actc_optimizer_options optimizer;
    uint64_t seed;        /* keys every random number of the run */
    bool capture;         /* keep the dense value of every saved tensor readable after a step
                           * (actc_network_read_saved); costs the memory that compression saves */
    bool no_inplace;      /* for tests: every operator writes to memory of its own; the same bits, more memory */
} actc_network_options;
ACTC_API actc_network_options actc_network_options_default(void);

/* graph: must have a loss when train_batch > 0; it is read only, and may be destroyed or prepared again
 * afterwards. The network keeps the device busy with its allocations until destroyed. Parameters are not
 * initialised. */
ACTC_API actc_status actc_network_create(actc_device *device, const actc_graph *graph,
                                         const actc_network_options *options, actc_network **out);
ACTC_API void actc_network_destroy(actc_network **network);
/* The name of the graph, and the optimiser that options named. */
ACTC_API const char *actc_network_name(const actc_network *network);
ACTC_API actc_optimizer_kind actc_network_optimizer(const actc_network *network);

/* Fills parameters by their initialisations from Philox4x32-10 keyed by (seed, hash of the parameter's
 * name), zeroes the optimiser's state and sets the step to 0. */
ACTC_API actc_status actc_network_initialize(actc_network *network);

typedef struct actc_step_result {
    size_t size;
    float loss;         /* mean over the batch */
    bool updated;       /* an optimiser step followed: `accumulate` batches were there */
    uint64_t step;      /* training batches done, this one included */
} actc_step_result;

/* One training batch: forward, backward and, where it is the accumulate-th since the last update, the update.
 * inputs: train_batch samples, f32, in the logical order N,C,H,W (row-major). labels: train_batch classes.
 * learning_rate: used by the update; must be 0 to 1e30. result may be NULL.
 * ACTC_ERROR_NOT_FINITE: the loss or a gradient is NaN or Inf; parameters and optimiser state are as before,
 * and the message names the step and the first tensor. */
ACTC_API actc_status actc_network_train_step(actc_network *network, const float *inputs, const int32_t *labels,
                                             double learning_rate, actc_step_result *result);

/* The update with the batches since the last one, which are fewer than `accumulate`: the optimiser steps by the mean of
 * their gradients, over their true number. For the end of an epoch or a run, whose batches may be no multiple of
 * `accumulate`: without it the last ones are never applied, and none is where the run has fewer. Counts as an update,
 * not as a step; where nothing is pending, nothing happens. learning_rate: as in actc_network_train_step. */
ACTC_API actc_status actc_network_apply_pending(actc_network *network, double learning_rate);

/* What an input is given: `data` holds the samples of the batch in the logical order (N,C,...; row-major), f32 or i32 as the
 * input was declared. */
typedef struct actc_binding {
    const char *name;
    const void *data;
} actc_binding;

/* The general form of actc_network_train_step: any inputs, by name, each that the losses depend on exactly once. */
ACTC_API actc_status actc_network_train(actc_network *network, const actc_binding *bindings, size_t count, double learning_rate,
                                        actc_step_result *result);
/* Losses, metrics and outputs of `samples` samples, 1 <= samples <= eval_batch. */
ACTC_API actc_status actc_network_evaluate_batch(actc_network *network, const actc_binding *bindings, size_t count,
                                                 int64_t samples);
/* Outputs of `samples` samples, 1 <= samples <= infer_batch; targets need not be given. */
ACTC_API actc_status actc_network_infer(actc_network *network, const actc_binding *bindings, size_t count, int64_t samples);

/* What a loss or metric came to in the last step or evaluation. */
typedef struct actc_value {
    size_t size;
    const char *name; /* path of the operator */
    double value;     /* a loss: its mean over what it counts after a training step, its sum after an evaluation; a metric: its
                       * sum, after an evaluation */
    int64_t count;    /* samples, positions or elements that it counted */
} actc_value;
ACTC_API size_t actc_network_value_count(const actc_network *network);
/* Losses in the order in which they were added to the graph, then metrics. value->size must be set by the caller. */
ACTC_API actc_status actc_network_value(const actc_network *network, size_t index, actc_value *value);
/* Output `index`, in the order in which they were added to the graph, of the samples of the last evaluation or inference (or one,
 * of what is made of parameters alone): f32 in the logical order. Until the next step. */
ACTC_API actc_status actc_network_read_output(actc_network *network, size_t index, float *values);

/* Evaluates `count` samples, 1 <= count <= eval_batch; adds to *loss_sum the sum of their losses and to
 * *correct the number whose largest output is at the label (the lowest index wins a tie). */
ACTC_API actc_status actc_network_evaluate(actc_network *network, const float *inputs, const int32_t *labels,
                                           int64_t count, double *loss_sum, int64_t *correct);

/* ---- state: parameters and optimiser, under the names and in the layouts that PyTorch uses ---- */

typedef enum actc_state_kind {
    ACTC_STATE_PARAMETER = 0,
    ACTC_STATE_GRADIENT = 1,  /* of the last batch, or the sum since the last update when accumulating */
    ACTC_STATE_OPTIMIZER = 2, /* "exp_avg.NAME", "exp_avg_sq.NAME", "momentum_buffer.NAME" */
    ACTC_STATE_BUFFER = 3     /* written by training steps themselves: "bn1.running_mean" */
} actc_state_kind;

typedef struct actc_state_info {
    size_t size;
    const char *name; /* belongs to the network */
    actc_state_kind kind;
    actc_shape shape; /* PyTorch's layout; f32, row-major */
} actc_state_info;

ACTC_API size_t actc_network_state_count(const actc_network *network);
/* index must be < the count. info->size is set to what the program was compiled with. */
ACTC_API actc_status actc_network_state_info_sized(const actc_network *network, size_t index, actc_state_info *info);
static inline actc_status actc_network_state_info(const actc_network *network, size_t index, actc_state_info *info)
{
    if (info)
        info->size = sizeof *info;
    return actc_network_state_info_sized(network, index, info);
}
/* values: as many f32 as the shape has elements, in PyTorch's layout. */
ACTC_API actc_status actc_network_read_state(actc_network *network, size_t index, float *values);
ACTC_API actc_status actc_network_write_state(actc_network *network, size_t index, const float *values);
/* Training batches done since actc_network_initialize; part of what a checkpoint keeps. */
ACTC_API uint64_t actc_network_step(const actc_network *network);
/* Optimiser steps done (Adam's t). */
ACTC_API uint64_t actc_network_updates(const actc_network *network);
/* Training batches since the last update, 0 <= pending < accumulate: their sum is what ACTC_STATE_GRADIENT holds. */
ACTC_API int actc_network_pending(const actc_network *network);
/* Must be 0 <= pending < accumulate and updates + pending <= step. Where networks accumulate, the gradients must be written
 * as well: the sum of the pending batches', or zeros. */
ACTC_API actc_status actc_network_set_step(actc_network *network, uint64_t step, uint64_t updates, int pending);

/* ---- memory ---- */

typedef enum actc_memory_category {
    ACTC_MEMORY_PARAMETERS = 0,
    ACTC_MEMORY_GRADIENTS = 1,
    ACTC_MEMORY_OPTIMIZER = 2,
    ACTC_MEMORY_KEPT_DENSE = 3, /* saved for the backward pass as they are */
    ACTC_MEMORY_PAYLOAD = 4,    /* saved compressed */
    ACTC_MEMORY_MASKS = 5,      /* ReLU masks and pooling indices */
    ACTC_MEMORY_TRANSIENT = 6,  /* activations and gradients of activations in flight, inputs */
    ACTC_MEMORY_WORKSPACE = 7,  /* of convolutions, gemm and codecs; staging; step constants */
    ACTC_MEMORY_CATEGORIES = 8
} actc_memory_category;
ACTC_API const char *actc_memory_category_string(actc_memory_category category);

typedef struct actc_memory_report {
    size_t size;
    uint64_t planned_bytes;              /* all that the network needs of the device */
    uint64_t allocated_bytes;            /* all that it obtained, counted where it was obtained */
    uint64_t planned_bytes_uncompressed; /* the plan of the same network without compression */
    uint64_t category_bytes[ACTC_MEMORY_CATEGORIES]; /* live at the peak of the plan; with slack_bytes they add
                                                      * up to planned_bytes */
    uint64_t slack_bytes;                /* alignment and holes of the arena */
    uint64_t saved_kept_dense_bytes;     /* sums over the saved tensors, whenever they live */
    uint64_t saved_payload_bytes;
    uint64_t saved_mask_bytes;
    uint64_t saved_uncompressed_bytes;   /* what the compressed tensors would take dense */
    const char *peak_at;                 /* the command at which the plan peaks ("conv2: conv backward data") */
    uint32_t segments_per_step;          /* submissions of one training step with its update */
    uint64_t after_forward_category_bytes[ACTC_MEMORY_CATEGORIES]; /* live between the forward and the backward pass of a
                                                                    * training step; 0 without train_batch */
    uint64_t after_forward_bytes;        /* of these, what is read after the forward pass of a framework that has made no
                                          * gradients yet: parameters, states (once) and what is saved for the backward
                                          * pass; and the inputs, which the caller has, where they are live or not */
    double recompute_percent;            /* what is computed again in the backward pass, in percent of the forward pass's
                                          * operations (multiply-adds of products, elements of all else) */
} actc_memory_report;
/* report->size must be set by the caller to sizeof(actc_memory_report). */
ACTC_API actc_status actc_network_memory(const actc_network *network, actc_memory_report *report);

/* A command of the network's programs, in the order in which they share the arena: training, update, evaluation, inference,
 * those that it was prepared for. */
typedef struct actc_timeline_entry {
    size_t size;
    const char *label;   /* "conv2: conv backward data"; belongs to the network */
    const char *program; /* "train", "update", "eval", "infer" */
    uint64_t live_bytes; /* of the buffers that live while it runs, those that always live among them; without the holes
                          * of the arena and what the device needs besides */
    bool backward;       /* of the training program: it comes after the forward pass */
    const char *kind;    /* "conv forward", "conv backward data", "conv backward filter", "pack", "unpack", "user codec", "copy",
                          * "fill", "update", "recompute" (all that is computed again), and of all other work the operator's, as rules name it: "bn forward", "relu backward" */
    double seconds;      /* that it took when its program last ran with actc_network_set_profiling, 0 before */
} actc_timeline_entry;
ACTC_API size_t actc_network_timeline_count(const actc_network *network);
/* index must be < the count; entry->size must be set by the caller. */
ACTC_API actc_status actc_network_timeline(const actc_network *network, size_t index, actc_timeline_entry *entry);

/* From now on what is run is timed command by command, for actc_timeline_entry.seconds; off again it runs as before. Every
 * command is waited for before the next begins and not a bit of what is computed is another, so the commands are told apart and
 * steps take longer. What the device needs for it is not in the plan. ACTC_ERROR_UNSUPPORTED: the device cannot time, and the
 * message says why. */
ACTC_API actc_status actc_network_set_profiling(actc_network *network, bool on);

/* What the backward pass uses a saved tensor for: how far the error of a compressed one reaches. */
typedef enum actc_saved_use {
    ACTC_SAVED_EXACT = 0,          /* a mask or an index: nothing is lost */
    ACTC_SAVED_FOR_PARAMETERS = 1, /* the gradients of the reader's own parameters, and nothing else (conv, linear) */
    ACTC_SAVED_FOR_GRADIENT = 2,   /* the gradient handed on to the layers before, through a derivative or statistics */
    ACTC_SAVED_PROBABILITY = 3     /* the loss is computed from it; compressed only where a rule names the kind */
} actc_saved_use;
/* "exact", "parameters", "gradient", "probability" */
ACTC_API const char *actc_saved_use_string(actc_saved_use use);

typedef struct actc_saved_info {
    size_t size;
    const char *name;       /* path of the operator whose output it is, or the input's name */
    const char *codec;      /* canonical spec, also that of derivatives; "none" where kept dense, "mask", "index", "own" (statistics that an
                           * operator keeps for itself) */
    const char *note;       /* why it is kept so where that is not obvious, else "" */
    actc_shape shape;       /* of the training batch */
    uint64_t dense_bytes;
    uint64_t payload_bytes; /* what the codec makes of dense_bytes, the same where there is none */
    actc_saved_use use;
    const char *readers;    /* the operators that need it, which is what rules match: "conv2, fc1" */
    uint64_t kept_bytes;    /* between forward and backward: payload_bytes and a mask beside them; without the former where it
                             * lies in the memory of a tensor before it. They add up to the saved bytes of actc_memory_report */
} actc_saved_info;
ACTC_API size_t actc_network_saved_count(const actc_network *network);
ACTC_API actc_status actc_network_saved_info(const actc_network *network, size_t index, actc_saved_info *info);
/* With options.capture: the dense value of the last step, in physical (channels-last) order. */
ACTC_API actc_status actc_network_read_saved(actc_network *network, size_t index, float *values);

/* Notes of the policy and the plan, one line each: matches with nothing to compress, tensors kept dense since a
 * payload would not be smaller, a peak raised by compression. NULL past the last. */
ACTC_API const char *actc_network_note(const actc_network *network, size_t index);

#ifdef __cplusplus
}
#endif
#endif
