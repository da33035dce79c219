/* parity.h: what a case of actc-parity is.
 *
 * A case runs on one device and hands over what came out; the comparison with the reference backend, with float64 and with a
 * recorded file is made here, once, for all of them. A file of cases offers one function that adds them to the list
 * (parity_NAME_cases, at the end of this header) and is named in list.c.
 *
 *   static bool run_one(const parity_case *c, parity_run *run)
 *   {
 *       const my_shape *shape = c->data;
 *       ... fill inputs from run->seed, compute on run->device ...
 *       parity_exact(run, "y", y, bytes);
 *       return true;
 *   }
 *   void parity_my_cases(parity_list *list)
 *   {
 *       parity_add(list, PARITY_OPERATOR, ACTC_PARITY_EXACT, run_one, &shape, sizeof shape, "my_operator(n=%d)", shape.n);
 *   }
 */
#ifndef ACTC_PARITY_H
#define ACTC_PARITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../backends/backend.h"

/* ---- cases ---- */

typedef enum parity_level {
    PARITY_KERNEL,   /* one command of backend.h */
    PARITY_OPERATOR, /* a network of one operator, forward and backward, and optimisers */
    PARITY_CODEC,    /* payload bytes and X^lambda */
    PARITY_STEP,     /* one training step of a network */
    PARITY_TRAINING, /* several training steps */
    PARITY_LEVELS
} parity_level;
const char *parity_level_name(parity_level level);

typedef struct parity_case parity_case;
typedef struct parity_run parity_run;

/* Runs the case on run->device. False after parity_fail or parity_skip, whose value it returns. What it hands over is judged
 * when it has returned. Called for the reference backend first, then for the others, one after the other. */
typedef bool (*parity_run_fn)(const parity_case *c, parity_run *run);

/* Seconds of one run, the bytes that it must read and write at least, the additions and multiplications (0: not counted). */
typedef struct parity_speed {
    double seconds, bytes, flops;
} parity_speed;
typedef bool (*parity_bench_fn)(const parity_case *c, parity_run *run, parity_speed *speed);

struct parity_case {
    char name[224];          /* unique: what it is and its parameters; none of the characters ' * ? [ */
    parity_level level;
    actc_parity parity;
    bool full;               /* in --suite full only; set after parity_add */
    bool deterministic;      /* devices opened as deterministic; set after parity_add */
    bool local;              /* what it gives depends on the reference backend's fast mode, so it is compared side by side only:
                              * not recorded, and not compared with a record; set after parity_add */
    parity_run_fn run;
    parity_bench_fn bench;   /* NULL: not timed; set after parity_add */
    void *data;              /* the case's own copy of what parity_add got */
    int kernel;              /* the kernel that this is a case of, or -1; set after parity_add */
};

/* ---- what a case gets, and says ---- */

struct parity_run {
    actc_context *context;
    actc_device *device;     /* to run on */
    actc_device
        *reference; /* of the reference backend; the same as device where that runs. Opened alike, used by nobody else */
    uint64_t seed;           /* hash of --seed and the case's name: all data come from it, whatever else is run */
    /* A place for what is the same on every device (a float64 reference): NULL at first, kept over all devices of the case,
     * then given to free_shared. */
    void *shared;
    void (*free_shared)(void *shared);
    struct parity_result *result; /* result.h */
};

/* The case fails on this device, or cannot be run on it; both return false. */
bool parity_fail(parity_run *run, const char *format, ...) ACTC_PRINTF(2, 3);
bool parity_skip(parity_run *run, const char *format, ...) ACTC_PRINTF(2, 3);

/* Bytes that must be the reference backend's. label: what they are, unique in the case. */
void parity_exact(parity_run *run, const char *label, const void *data, size_t bytes);
/* Numbers that each lie within a bound of what float64 says, and whose normalised mean squared error, where there are at
 * least 64 of them, is at most nmse. On deterministic devices they must be the reference backend's as well. */
void parity_bounded(parity_run *run, const char *label, const float *got, const double *wanted, const double *bound,
                    size_t n, double nmse);
/* An error of the case's own making: fails where value > limit or value is NaN. Reported, and recorded. */
void parity_measure(parity_run *run, const char *label, double value, double limit);
/* A line for the reader of the results: what was compared, or a figure without a bound. */
void parity_note(parity_run *run, const char *format, ...) ACTC_PRINTF(2, 3);

/* ---- the list ---- */

typedef struct parity_list {
    parity_case **cases;
    size_t count, capacity;
    bool failed; /* out of memory */
} parity_list;

/* Adds a case whose name the format gives; `data` is copied. Returns it for further settings; where memory has run out, a
 * case that is not in the list. */
parity_case *parity_add(parity_list *list, parity_level level, actc_parity parity, parity_run_fn run, const void *data,
                        size_t data_bytes, const char *format, ...) ACTC_PRINTF(7, 8);
/* All cases there are. False with a message where memory has run out, two have one name, or a kernel has none. */
bool parity_list_all(parity_list *list, char *message, size_t size);
void parity_list_free(parity_list *list);
/* The seed of a case's data. */
uint64_t parity_seed(uint64_t seed, const char *name);
uint64_t parity_hash(const void *data, size_t bytes);

/* Each in a file of its own. */
void parity_kernel_cases(parity_list *list);       /* kernel_cases.c */
void parity_element_cases(parity_list *list);      /* element_cases.c */
void parity_norm_cases(parity_list *list);         /* norm_cases.c */
void parity_attention_cases(parity_list *list);    /* attention_cases.c */
void parity_product_cases(parity_list *list);      /* product_cases.c */
void parity_codec_kernel_cases(parity_list *list); /* codec_kernel_cases.c */
void parity_operator_cases(parity_list *list);     /* operator_cases.c */
void parity_codec_cases(parity_list *list);        /* codec_cases.c */
void parity_step_cases(parity_list *list);         /* step_cases.c */

#endif
