/* memory_plot.h: the parts of actc-memory: the plans that it compares (actc-memory.c) and their curves (memory_plot.c). */
#ifndef ACTC_TOOLS_MEMORY_PLOT_H
#define ACTC_TOOLS_MEMORY_PLOT_H

#include "common_network.h"

enum { PHASE_FORWARD, PHASE_BACKWARD, PHASE_UPDATE, PHASES };

typedef struct memory_point {
    char *label;
    uint64_t live_bytes;
} memory_point;

/* What is known of a network once it has been taken down. */
typedef struct memory_plan {
    actc_memory_report report; /* peak_at is the one below */
    char *peak_at, *codec, *notes; /* codec: those that keep something, "none"; notes: one a line */
    memory_point *points;      /* a command of a training step each */
    size_t count;
    size_t phases[PHASES + 1]; /* where each begins, and the end */
} memory_plan;

extern const char *const memory_phases[PHASES];

/* A chart of at most MEMORY_ROWS rows: a number of commands each, with the label of the largest. */
#define MEMORY_ROWS 40
void memory_print_chart(FILE *stream, const memory_plan *plan, uint64_t full_bytes);
/* Both curves as SVG, that of `plan` with this title; uncompressed may be NULL. False with errno where it cannot be written. */
bool memory_plot(const char *path, const char *network, const char *title, const memory_plan *plan, const memory_plan *uncompressed);

#endif
