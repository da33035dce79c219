/* memory_table.h: the published table of memory beside ours (memory_table.c), and what the published system counts
 * (memory_reference.c). */
#ifndef ACTC_TOOLS_MEMORY_TABLE_H
#define ACTC_TOOLS_MEMORY_TABLE_H

#include "common_network.h"

/* ---- what PyTorch has allocated after a forward pass, as the reference compresses it ---- */

/* The layers of a graph, and which memory each saves. */
typedef struct memory_reference memory_reference;
/* What operators of one kind are in the reference's program. */
typedef struct memory_reference_form {
    bool pools_are_means; /* average pools are means over all positions, which save nothing in PyTorch */
    int64_t heads;        /* of attention */
    const char *relu6;    /* globs, * taking in slashes too: ReLUs that are ReLU6, which saves its input; NULL: none */
} memory_reference_form;
/* form: NULL for none of it. NULL where it is out of memory, or the graph has an operator of which nothing is known: then *unknown is its kind. */
memory_reference *memory_reference_create(const actc_graph *graph, const memory_reference_form *form, const char **unknown);
void memory_reference_destroy(memory_reference **reference);

typedef struct memory_reference_rules {
    const char *layers;  /* globs, separated by commas: the layers inside which saved maps are compressed; NULL: none */
    bool any_depth;      /* the * of `layers` takes in slashes too */
    double lambda;       /* one of so many values is kept, in 12 bytes; INFINITY: none is */
    const memory_reference *stand_in; /* NULL, or a network of the same layers: those that `built` does not match are its */
    const char *built;   /* globs whose * takes in slashes too */
} memory_reference_rules;
/* Bytes of a batch: parameters, buffers, inputs, the output, and what the layers save, targets left out. */
uint64_t memory_reference_bytes(const memory_reference *reference, int64_t batch, const memory_reference_rules *rules);

/* ---- cells ---- */

#define MIB (1024.0 * 1024.0)

/* A table as text or markdown; table.align says how many columns there are. */
typedef struct memory_cells {
    tool_table table;
    bool markdown;
} memory_cells;
void memory_cells_head(memory_cells *cells, const char *const *texts);
void memory_cells_row(memory_cells *cells, const char *const *texts);
void memory_cells_end(memory_cells *cells);
/* "12.3", "-" where it is below 0; in text. */
char *memory_mib_text(double mib, char *text, size_t size);
#define MEMORY_MIB_TEXT(mib) memory_mib_text((mib), (char[24]){0}, 24)

/* ---- tables 2 and 3 ---- */

/* A row of the published table: ours are compressed by the rules that select the same layers. */
typedef struct memory_row {
    const char *layers;        /* "Conv+BN", "all"; NULL: none or unknown */
    int blocks;                /* compressed ones; 0: none, which is M_BL; below 0: unknown */
    double published_mib;      /* below 0: there is none */
    double recomputed_mib;     /* below 0: it cannot be */
} memory_row;
/* The row of which these are the network, the batch and the rules (NULL: none); what is unknown is NULL or below 0. 0 or the
 * exit code. */
int memory_table_find(const tool *t, actc_context *context, const actc_model *model, const actc_model_config *config,
                      int64_t batch, const char *compress, memory_row *found);
/* The keys of a row: layers, blocks, published_mib, recomputed_mib; null where there is none. */
void json_memory_row(cJSON *json, const memory_row *row);
/* Plans every row, or those of one network (NULL: all), and prints them; returns the exit code. */
int memory_table(const tool *t, actc_context *context, actc_device *device, const actc_model *only, const char *format);
/* The published table of methods, likewise. times: NULL, or a file of times of steps as actc-bench measured them
 * (tools/measure-methods.py); format "markdown", "text" or "json". */
int memory_methods(const tool *t, actc_context *context, actc_device *device, const actc_model *only, const char *times,
                   const char *format);

#endif
