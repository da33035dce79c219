/* parity.h: the parts of actc-parity: devices (parity_devices.c), the report (parity_report.c), timing (parity_bench.c).
 * What cases are, and how they are compared, is in tests/parity. */
#ifndef ACTC_TOOLS_PARITY_H
#define ACTC_TOOLS_PARITY_H

#include <zlib.h>

#include "../tests/parity/result.h"
#include "common.h"

#define PARITY_MAX_BACKENDS 16
#define PARITY_EXIT_SKIPPED TOOL_SKIPPED

typedef struct parity_backend {
    char name[64];            /* as it was named: "vulkan:llvmpipe" */
    actc_device *devices[2];  /* fast, deterministic; opened when the first case needs them */
    bool tried[2];
    char reasons[2][1024];    /* why one could not be opened */
    double copy_bytes_s;      /* of --bench; 0 before it is measured */
} parity_backend;

typedef struct parity_tally {
    size_t passed, failed, skipped;
    double seconds, worst, nmse; /* -1: none */
} parity_tally;

/* One line of what failed or was skipped. */
typedef struct parity_line {
    const parity_case *c;  /* NULL: a whole backend */
    char backend[64];
    char *text;
} parity_line;

typedef struct parity_lines {
    parity_line *lines;
    size_t count, capacity;
} parity_lines;

typedef struct parity_session {
    const tool *t;
    const char *program;   /* argv[0], for commands that reproduce */
    /* options */
    const char *backend_names, *suite, *filter, *record, *against, *format;
    uint64_t seed;
    int64_t threads;
    bool list, bench, validate, deterministic;
    const char *oracle, *oracle_device, *oracle_net, *oracle_settings;

    actc_context *context;
    parity_list all;
    const parity_case **cases; /* chosen by suite and filter */
    size_t n_cases;
    parity_backend backends[PARITY_MAX_BACKENDS];
    size_t n_backends;

    cJSON *against_json, *against_cases; /* of the file; cases by name */
    gzFile record_file;
    bool record_empty, record_bad;

    parity_tally tallies[PARITY_LEVELS][PARITY_MAX_BACKENDS];
    parity_lines failed, skipped;
    cJSON *json_cases;       /* with --format json */
    tool_progress progress;
} parity_session;

static inline bool parity_is_json(const parity_session *s)
{
    return s->format[0] == 'j';
}

/* ---- parity_devices.c ---- */

/* Fills the list of backends from --backends, or with all that the machine has. 0, or the exit code after a message. */
int parity_find_backends(parity_session *s);
/* The device of a backend, deterministic or not; NULL with why. */
actc_device *parity_device(parity_session *s, parity_backend *b, bool deterministic, const char **why);
void parity_close_backends(parity_session *s);

/* ---- parity_oracle.c ---- */

/* One training step of the network in the file of --oracle on every backend, against what the file says. The exit code. */
int parity_oracle(parity_session *s);

/* ---- parity_report.c ---- */

void parity_add_line(parity_lines *lines, const parity_case *c, const char *backend, const char *text);
/* One result: into the tables, the JSON, and, where it failed, at once onto the standard output. */
void parity_report_result(parity_session *s, const parity_case *c, size_t backend, const parity_result *r, cJSON *json_case);
/* The case's object for parity_report_result, already in the list; NULL where no JSON is asked for. */
cJSON *parity_json_case(parity_session *s, const parity_case *c);
void parity_report_end(parity_session *s, double seconds);
/* Prints the one JSON object; false where that failed. */
bool parity_print_json(parity_session *s);
int parity_record_open(parity_session *s);
void parity_record_add(parity_session *s, const parity_case *c, const parity_result *r);
int parity_record_close(parity_session *s);
/* Reads the file of --against; its seed and suite become those of this run. */
int parity_against_open(parity_session *s);

/* ---- parity_bench.c ---- */

int parity_bench_all(parity_session *s);

#endif
