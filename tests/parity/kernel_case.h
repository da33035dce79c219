/* kernel_case.h: a case of one command: what it is, and what its views hold. */
#ifndef ACTC_KERNEL_CASE_H
#define ACTC_KERNEL_CASE_H

#include "kernel_run.h"
#include "parity.h"
#include "values.h"

/* Contents of a view beside those of fill_kind. */
typedef enum kernel_fill {
    KERNEL_FILL_STEP = 16, /* a step block */
    KERNEL_FILL_RESULT,    /* a result block */
    KERNEL_FILL_LABELS,    /* some are -1, some outside of the classes, which must not be read behind the row */
    KERNEL_FILL_PLACES,    /* bytes: any place of a pooling window, in the image or not */
    KERNEL_FILL_POSITIVE = 64 /* added to a fill_kind: without signs, as a sum of squares has none */
} kernel_fill;

typedef struct kernel_spec {
    actc_command command;         /* its views have their bytes, no buffer; words[0] of its parameters is set */
    uint8_t fill[ACTC_MAX_VIEWS]; /* fill_kind or kernel_fill, of views that are read */
    uint32_t rows, first;         /* of a step block: samples that count; whether it is the first update */
    float learning_rate;
    uint32_t bad;                 /* of a result block */
    uint32_t classes, places;
} kernel_spec;

typedef struct kernel_builder {
    parity_list *list;
    kernel_spec spec;
    bool full;
    const char *name; /* of the next case, instead of the kernel's: what the case was called before the kernel could do more */
} kernel_builder;

/* A KERNEL command of a kernel; its views follow. */
void kernel_begin(kernel_builder *b, actc_kernel_id id, uint64_t groups, const void *params);
/* The words of a view, and what it holds where it is read. */
void kernel_view(kernel_builder *b, uint32_t index, size_t words, int fill);
/* Adds the case, named by the kernel and the parameters that the format gives: "(n=%u)". */
parity_case *kernel_end(kernel_builder *b, const char *format, ...) ACTC_PRINTF(2, 3);

/* Memory for every view, filled from a seed; freed with kernel_data_free. False where memory has run out. */
bool kernel_data_make(const kernel_spec *spec, uint64_t seed, void **data);
void kernel_data_free(void **data);

/* parity_run_fn and parity_bench_fn of cases whose data is a kernel_spec: what the command wrote must be the reference's. */
bool kernel_case_run(const parity_case *c, parity_run *run);
bool kernel_case_bench(const parity_case *c, parity_run *run, parity_speed *speed);

static inline uint64_t element_groups(uint64_t n)
{
    return (n + ACTC_GROUP_ELEMENTS - 1) / ACTC_GROUP_ELEMENTS;
}

static inline uint64_t output_groups(uint64_t n)
{
    return (n + ACTC_GROUP_SIZE - 1) / ACTC_GROUP_SIZE;
}

#endif
