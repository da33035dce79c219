/* network.h: inside of a prepared network. */
#ifndef ACTC_NETWORK_INTERNAL_H
#define ACTC_NETWORK_INTERNAL_H

#include "../lower/lower.h"

/* A tensor of the network's state: a parameter, its gradient, or optimiser state of it. */
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
    uint64_t allocated_bytes, planned_bytes_uncompressed;
    uint64_t step, updates; /* training batches and updates done */
    int pending;            /* batches since the last update */
    actc_state_entry *states;
    size_t n_states;
    char **notes;
    size_t n_notes, notes_capacity;
    float *staging;         /* channels-last copy of a batch, NULL where the layouts agree */
    float *state_staging;   /* the largest parameter */
};

/* Moves bytes between the host and a virtual buffer. */
actc_status actc_network_upload(actc_network *network, uint32_t vbuf, uint64_t offset, const void *source, uint64_t bytes);
actc_status actc_network_download(actc_network *network, uint32_t vbuf, uint64_t offset, void *target, uint64_t bytes);

/* state.c */
actc_status actc_network_list_states(actc_network *network);

#endif
