/* step.h: training steps of a network on two devices, compared.
 *
 * Convolutions and matrix products differ in their last bits between backends, so what two backends compress in a step is
 * not the same, and whole steps cannot be compared by their bytes. What can be claimed is split up:
 *   payloads   what the reference saves in a step is packed to the same bytes by every backend
 *   lock-step  every step starts from the reference's parameters and optimiser state; the loss within a bound, and every
 *              gradient: where `give` in all steps, with the reference's saved tensors, masks and pooling indices in the
 *              place of the device's own; else in the steps in which both took the same decisions
 *   kept sets  each device's own first step keeps the same coefficients but for some at the threshold
 *   free run   each device goes on from its own parameters; no claim past step 20
 */
#ifndef ACTC_PARITY_STEP_H
#define ACTC_PARITY_STEP_H

#include "../../src/runtime/network.h"
#include "models.h"

#define STEP_MESSAGE 512

typedef struct step_setup {
    const actc_model *model;
    const actc_model_config *config; /* NULL: what is usual for the model, on its data set; else on generated data */
    const char *rules;   /* of compression; "" for none */
    int64_t batch;
    int steps;
    uint64_t seed;
    const char *data;    /* directory of the data set, NULL for where the packages put it */
} step_setup;

/* The first batches of the model's data set, shuffled by the seed; or generated: normal inputs and f32 targets, classes drawn
 * evenly. */
typedef struct step_batches {
    int count;
    size_t inputs, labels; /* of one batch */
    float *x;
    int32_t *y;
    bool no_classes;       /* y holds f32 targets */
} step_batches;

typedef enum step_outcome { STEP_GOOD, STEP_BAD, STEP_SKIPPED } step_outcome;

/* STEP_SKIPPED where the data set is not installed. */
step_outcome step_batches_read(actc_context *context, const step_setup *setup, step_batches *out, char *message);
void step_batches_free(step_batches *batches);

/* ---- lock-step and free run ---- */

#define STEP_MOST_STEPS 64

/* Coefficients kept by the reference, by one of the two only, and of those the largest |value| / threshold - 1, each with
 * its own device's threshold. */
typedef struct step_kept {
    uint64_t count, differ;
    double largest;
} step_kept;

typedef struct step_figures {
    int steps;
    double loss_reference[STEP_MOST_STEPS], loss_device[STEP_MOST_STEPS];
    double loss_error;      /* largest relative difference, and the step (from 1) it is at */
    int loss_at;
    double gradient_error;  /* largest relative L2 difference of a gradient (to a hundredth of all together where it is less) */
    int gradient_at;
    char gradient_name[64];
    /* The device's own forward pass beside the reference's, summed over the steps: how many there are and how many differ. A
     * decision is a sign (of what is kept dense, or a mask bit), a pooling index or a coefficient kept. */
    uint64_t signs, signs_differ, indices, indices_differ;
    step_kept kept;
    int agreeing;           /* steps with the same decisions, and their largest gradient_error */
    double agreeing_error;
    double seconds[2];      /* spent in the reference's steps, in the device's */
} step_figures;

/* Every step from the reference's state. give: the device's backward pass runs on what the reference carried over. */
bool step_lock_step(actc_device *reference, actc_device *device, const step_setup *setup, const step_batches *batches,
                    bool give, step_figures *figures, char *message);
/* Each device on its own. Gradients are not compared. */
bool step_free_run(actc_device *reference, actc_device *device, const step_setup *setup, const step_batches *batches,
                   step_figures *figures, char *message);

/* ---- what a step saves (step_saved.c) ---- */

/* A tensor that the reference saved in a training batch, in physical order. */
typedef struct step_saved_tensor {
    char name[64];
    int step; /* from 1 */
    actc_shape shape;
    uint64_t bytes;
    float *x;
} step_saved_tensor;

typedef struct step_saved {
    step_saved_tensor *tensors;
    size_t count, capacity;
} step_saved;

/* Trains the setup's network uncompressed and copies every tensor with values that it saves in the steps `at` (n_at of them,
 * from 1, ascending). */
bool step_saved_read(actc_device *reference, const step_setup *setup, const step_batches *batches, const int *at, int n_at,
                     step_saved *saved, char *message);
void step_saved_free(step_saved *saved);

typedef struct step_packed {
    unsigned char *payload;
    uint64_t payload_bytes;
    float *restored; /* as long as the tensor */
} step_packed;
/* Packs and restores a tensor on a device, with the random numbers that the network would draw for it. */
bool step_pack(actc_device *device, const char *spec, const step_saved_tensor *tensor, uint64_t seed, step_packed *out,
               char *message);
void step_packed_free(step_packed *packed);

/* Adds what two payloads of a plan keep to `kept`. name: for the message. */
bool step_compare_kept(const actc_codec_plan *plan, const unsigned char *reference, const unsigned char *device,
                       const char *name, step_kept *kept, char *message);

/* ---- inside ---- */

/* The network of a setup on a device, with its parameters drawn from the seed. */
typedef struct step_side {
    actc_graph *graph;
    actc_network *network;
} step_side;
bool step_open(step_side *side, actc_device *device, const step_setup *setup, bool capture, char *message);
void step_close(step_side *side);
bool step_say(char *message, const char *format, ...) ACTC_PRINTF(2, 3);
/* One training step at the setup's learning rate (1e-3); the loss is of the batch before the update. */
bool step_train(const step_side *side, const step_batches *batches, int step, float *loss, char *message);

/* The values of state `index`, to be freed, and its name. */
bool step_read_state(const step_side *side, size_t index, float **values, size_t *n, char *name, size_t name_size,
                     char *message);

/* Copies of everything that `network` carries from its forward to its backward pass, filled by step_carried_download. */
typedef struct step_carried {
    actc_carried *list;
    unsigned char **bytes;
    size_t count;
} step_carried;
bool step_carried_open(step_carried *carried, const actc_network *network, char *message);
void step_carried_close(step_carried *carried);
/* An actc_between_fn; user is the step_carried. */
actc_status step_carried_download(void *user, actc_network *network);

#endif
