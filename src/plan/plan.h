/* plan.h: buffers with lifetimes, and their places in the arena. Knows commands, and nothing of networks. */
#ifndef ACTC_PLAN_H
#define ACTC_PLAN_H

#include <actc/network.h>

#include "../../backends/backend.h"
#include "../util/util.h"

/* A range of bytes that commands read and write: a virtual buffer, until the planner gives it a place. */
typedef struct actc_vbuf {
    const char *name; /* of a tensor or a role; belongs to the graph or is a literal */
    actc_memory_category category;
    uint64_t bytes;   /* multiple of ACTC_VIEW_ALIGNMENT */
    uint64_t used;    /* bytes that mean something */
    bool persistent;  /* lives through all programs and between them */
    bool entry;       /* written by the host before its program: lives from the program's first command */
    bool exit;        /* read by the host after its program: lives to the program's last command */
    uint32_t program; /* of an entry or exit buffer */
    const void *initial; /* uploaded once after allocation (codec tables), NULL for none */
    uint64_t initial_bytes;
    const void *owner; /* the codec whose restored values or workspace it holds, NULL for all else */
    /* of the tensors that lie in it, while a program is lowered (lower.c) */
    uint32_t last_use;   /* 1 + the last operator that reads one of them in the forward pass; UINT32_MAX: read after it */
    bool survives;       /* the backward pass reads one of them as it is */
    uint32_t gradients;  /* gradients that lie in it and have not been used up */
    /* the plan */
    bool touched;         /* some command uses it */
    uint32_t first, last; /* commands of its life, counted through all programs */
    uint32_t arena;       /* arena buffer and offset there */
    uint64_t offset;
} actc_vbuf;

typedef struct actc_plan_limits {
    uint64_t buffer_bytes; /* of one arena buffer; 0: none */
    const char *device;    /* for messages */
} actc_plan_limits;

typedef struct actc_plan {
    uint64_t *arena_bytes;
    size_t n_arenas;
    uint32_t times;        /* commands of all programs */
    uint64_t *live;        /* [times]: bytes of the buffers that live then */
    uint64_t peak_bytes;   /* the greatest of them, */
    uint64_t tensor_peak_bytes; /* and of all but workspace: the same on every device */
    uint64_t category_bytes[ACTC_MEMORY_CATEGORIES]; /* live at the peak */
    const char *peak_label; /* the command there; belongs to the program */
} actc_plan;

/* Finds lifetimes, places every buffer that is used, and rewrites the views of the commands to places in the arena. programs:
 * in the order in which they share time. */
actc_status actc_plan_create(actc_context *context, actc_program *programs, uint32_t n_programs, actc_vbuf *vbufs, size_t n_vbufs,
                             const actc_plan_limits *limits, actc_plan *plan);
void actc_plan_destroy(actc_plan *plan);

/* curve[t] += bytes for every t of the buffer's life, as differences; actc_plan_integrate makes values of them. The curve has
 * plan->times + 2 elements. */
void actc_plan_add_life(const actc_vbuf *vbuf, uint64_t bytes, uint64_t *curve);
void actc_plan_integrate(uint64_t *curve, uint32_t times);

#endif
