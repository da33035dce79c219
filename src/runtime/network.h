/* network.h: inside of a prepared network. */
#ifndef ACTC_NETWORK_INTERNAL_H
#define ACTC_NETWORK_INTERNAL_H

#include "../lower/lower.h"

/* A tensor of the network's state: a parameter, its gradient, optimiser state of it, or a buffer. */
typedef struct actc_state_entry {
    char *name;
    actc_state_kind kind;
    const actc_parameter *parameter;
    uint32_t vbuf; /* of the region it lies in */
} actc_state_entry;

struct actc_network {
    actc_context *context;
    actc_device *device;
    actc_graph *graph;
    actc_network_options options;
    char *compress; /* options.compress, owned */
    actc_build *build;
    actc_buffer **arenas;
    size_t n_arenas;
    actc_executable *executables[ACTC_PROGRAM_COUNT];
    actc_status (*between)(void *user, struct actc_network *network); /* halves.c; NULL: a step is not cut */
    void *between_user;
    actc_executable *halves[2];
    actc_program half_programs[2];
    actc_executable *timed[ACTC_PROGRAM_COUNT]; /* profile.c; NULL: not being timed */
    actc_program timed_programs[ACTC_PROGRAM_COUNT];
    double *seconds;        /* of each command of the timeline; NULL before any was timed */
    uint64_t allocated_bytes, planned_bytes_uncompressed;
    uint64_t step, updates; /* training batches and updates done */
    int pending;            /* batches since the last update */
    actc_state_entry *states;
    size_t n_states;
    char **notes;
    size_t n_notes, notes_capacity;
    uint32_t last;          /* the program that ran last, ACTC_PROGRAM_COUNT for none, */
    int64_t samples;        /* on so many samples; */
    int64_t counted[ACTC_STEP_VALUES]; /* what each loss and metric counted of them; */
    uint32_t result[ACTC_RESULT_BLOCK_BYTES / 4]; /* the result block after it (training, evaluation) */
    float *state_staging;   /* the largest parameter */
};

/* Moves bytes between the host and a virtual buffer. */
actc_status actc_network_upload(actc_network *network, uint32_t vbuf, uint64_t offset, const void *source, uint64_t bytes);
actc_status actc_network_download(actc_network *network, uint32_t vbuf, uint64_t offset, void *target, uint64_t bytes);

/* ---- running a program (profile.c) ---- */

/* Runs it, timed where it is to be. */
actc_status actc_network_run(actc_network *network, uint32_t program);
void actc_network_drop_timed(actc_network *network);

/* ---- a training step in two halves (halves.c), for actc-parity ---- */

/* From now on the training program runs as two executables, its own commands cut where the forward pass ends, and `between`
 * is called between them. It may move what is carried to and from the host. NULL: whole again, as it is without this call.
 * What the device needs for two more executables is not in the plan. */
typedef actc_status (*actc_between_fn)(void *user, actc_network *network);
actc_status actc_network_set_between(actc_network *network, actc_between_fn between, void *user);
/* Runs the training program, whole or cut. */
actc_status actc_network_run_training(actc_network *network);
void actc_network_drop_halves(actc_network *network);

typedef enum actc_carried_kind {
    ACTC_CARRIED_DENSE,
    ACTC_CARRIED_PAYLOAD,
    ACTC_CARRIED_MASK,
    ACTC_CARRIED_INDEX
} actc_carried_kind;

/* A range of memory that the forward pass fills for the backward pass to read. */
typedef struct actc_carried {
    actc_carried_kind kind;
    const char *name;             /* of the saved tensor, or the pooling's path */
    const actc_codec_plan *codec; /* of a payload */
    uint32_t vbuf;
    uint64_t offset, bytes;
} actc_carried;
/* All of them, the first `room` written to `list`; returns how many there are. For the same graph, rules and batch they are
 * the same on every device but for where they lie. */
size_t actc_network_carried(const actc_network *network, actc_carried *list, size_t room);

/* layout.c: `from` and `to` must not overlap */
void actc_relayout_parameter(const actc_parameter *parameter, const float *from, float *to, bool to_stored);
void actc_relayout_tensor(const actc_shape *shape, const float *stored, float *values);

/* state.c */
actc_status actc_network_list_states(actc_network *network);

#endif
