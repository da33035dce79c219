/* result.h: what a case gave on one backend, compared with the reference, with float64, with a record. */
#ifndef ACTC_PARITY_RESULT_H
#define ACTC_PARITY_RESULT_H

#include <cjson/cJSON.h>

#include "parity.h"

typedef enum parity_status { PARITY_PASSED, PARITY_FAILED, PARITY_SKIPPED } parity_status;
const char *parity_status_name(parity_status status);

typedef struct parity_output {
    char label[48];
    bool bounded;
    uint64_t hash;
    size_t bytes;
    void *data;
    double worst, nmse; /* bounded: the largest error as a part of its bound; see parity_bounded */
} parity_output;

typedef struct parity_figure {
    char label[80];
    double value, limit;
} parity_figure;

typedef struct parity_result {
    parity_status status;
    char message[1600]; /* why it failed or was skipped */
    char note[400];
    double seconds;
    parity_output *outputs;
    size_t n_outputs;
    parity_figure *figures;
    size_t n_figures;
    const struct parity_result *reference; /* to compare with; NULL for the reference itself */
    const cJSON *recorded;                 /* the case in the file of --against, or NULL */
} parity_result;

void parity_result_free(parity_result *result);
/* Compares what can only be compared at the end (that as much has come out as from the reference), and sets the status. */
void parity_result_finish(parity_result *result, bool ran);
/* The largest of its errors as a part of the bound, and the largest NMSE; -1 where there are none. */
double parity_result_worst(const parity_result *result);
double parity_result_nmse(const parity_result *result);

/* ---- files of --record and --against (record.c) ---- */

/* {"outputs": [...], "figures": [...]} */
cJSON *parity_record_case(const parity_case *c, const parity_result *result);
/* Compare an output with the recorded one of the same label; what differs goes to the message. wanted, bound: of bounded
 * outputs, to judge recorded values by. False where it differs. True where there is none: a case may have got more outputs since. */
bool parity_record_check(const cJSON *recorded, const parity_output *output, const double *wanted, const double *bound,
                         char *message, size_t size);
/* Whether everything that is recorded has come out. */
bool parity_record_complete(const cJSON *recorded, const parity_result *result, char *message, size_t size);

#endif
