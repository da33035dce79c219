/* common.h: what the tools share: the standard streams, options, errors, JSON, tables, a progress bar.
 *
 * GNU conventions: --name VALUE or --name=VALUE, -x VALUE where an option has a letter, -- ends the options, --help, --version; errors on stderr with the
 * offending value and what is accepted; exit 2 for usage, 1 for failure.
 */
#ifndef ACTC_TOOLS_COMMON_H
#define ACTC_TOOLS_COMMON_H

#include <actc/actc.h>
#include <cjson/cJSON.h>
#include <stdio.h>

#define TOOL_FAILURE 1
#define TOOL_USAGE 2
#define TOOL_SKIPPED 77 /* what automake and Meson take for a test that was skipped */

/* ---- the standard streams ---- */

typedef struct tool tool;

/* Runs a tool from its first line to its exit code. Before: descriptors 0 to 2 that are closed are taken, so that no file
 * gets their numbers and with them what is printed. After: output that could not be written makes 0 (and a skip) a
 * TOOL_FAILURE, with a message, --help and lists included. */
int tool_main(const char *name, int (*run)(int argc, char **argv), int argc, char **argv);
/* Where results go: stdout; with --format json, once tool_parse has seen it, a descriptor that only the tool has. What
 * libraries print on theirs (oneDNN's verbose mode) is then sent to stderr. */
FILE *tool_output(void);
/* A message, once, that the standard output could not be written; returns the exit code. */
int tool_output_failed(const tool *t);

/* ---- options ---- */

typedef enum tool_option_type {
    TOOL_FLAG,   /* bool, no value */
    TOOL_STRING, /* const char *, the argument itself */
    TOOL_CHOICE, /* const char *, one of choices */
    TOOL_INT,    /* int64_t, least to most */
    TOOL_SEED,   /* uint64_t */
    TOOL_REAL    /* double, least to most */
} tool_option_type;

typedef struct tool_option {
    const char *name;    /* without the dashes */
    tool_option_type type;
    void *target;        /* holds the default before and the value after */
    const char *value;   /* its name in --help: "N" */
    const char *help;    /* one line; what the default is, where that helps */
    const char *choices; /* "text|json" */
    double least, most;
    bool given;          /* set by tool_parse */
    char letter;         /* 'k': -k VALUE is accepted as well; 0: none */
} tool_option;

struct tool {
    const char *name;
    const char *summary;     /* one line */
    const char *synopsis;    /* after the name: "MODEL --data NAME [OPTION...]" */
    const char *text;        /* further help after the options: examples */
    tool_option *options;
    size_t option_count;
};

/* Fills the options and puts the other arguments into positional (at most `most` of them; *count says how many).
 * True to go on; otherwise *exit_code is what to leave with (0 after --help and --version). */
bool tool_parse(const tool *t, int argc, char **argv, const char **positional, size_t most, size_t *count, int *exit_code);
tool_option *tool_find_option(const tool *t, const char *name);
/* Converts a text as if it had been given; false (with a message on stderr) where it is not accepted. */
bool tool_set_option(const tool *t, tool_option *option, const char *text);

/* Decimal, finite, and neither beyond a double nor so small that float32 takes it for 0; no blanks, hexadecimal, "inf" or
 * "nan". */
bool tool_parse_real(const char *text, double *value);

/* "NAME: message", and for usage "Try 'NAME --help'"; returns the exit code. */
int tool_fail(const tool *t, const char *format, ...) ACTC_PRINTF(2, 3);
int tool_usage(const tool *t, const char *format, ...) ACTC_PRINTF(2, 3);
/* The same without an exit code: "NAME: note: ...". All of these begin on a line of their own and show control characters
 * and bytes that are no UTF-8 escaped. */
void tool_note(const tool *t, const char *format, ...) ACTC_PRINTF(2, 3);
/* A line of text, escaped in the same way. */
void tool_line(FILE *stream, const char *format, ...) ACTC_PRINTF(2, 3);
/* Of a call of the library: prints the context's message. */
int tool_failed(const tool *t, const actc_context *context);
/* The same, as a usage error where the value of an option was not accepted. */
int tool_failed_option(const tool *t, const actc_context *context, actc_status status, const char *option);

/* A context whose warnings go to stderr; NULL, after a message, where there is none. */
actc_context *tool_context(const tool *t);

/* ---- JSON: numbers that read back to the same value ---- */

void json_f32(cJSON *object, const char *key, float value); /* %.9g; null where not finite */
void json_f64(cJSON *object, const char *key, double value); /* %.17g */
void json_u64(cJSON *object, const char *key, uint64_t value);
cJSON *json_f32_item(float value); /* for arrays */
/* Bytes that are no UTF-8 become U+FFFD: paths may be anything, JSON may not. */
void json_text(cJSON *object, const char *key, const char *text);
cJSON *json_text_item(const char *text);
bool tool_is_utf8(const char *text);
/* Prints on one line (compact) or indented, with a newline, and frees it; false when out of memory or the stream
 * failed. */
bool json_print(FILE *stream, cJSON *json, bool compact);

/* ---- text ---- */

/* Writes "12.3 MiB" into text (at least 24 bytes) and returns it. */
char *tool_bytes_text(uint64_t bytes, char *text);
/* "3 min 05 s"; at least 24 bytes. */
char *tool_time_text(double seconds, char *text);
#define BYTES_TEXT(bytes) tool_bytes_text((bytes), (char[24]){0})
#define TIME_TEXT(seconds) tool_time_text((seconds), (char[24]){0})
double tool_now(void); /* seconds of a clock that only goes forward */

/* Rows of cells, printed in columns as wide as their widest cell. */
typedef struct tool_table {
    const char *align; /* a letter a column, l or r; its length is the number of columns */
    char **cells;
    size_t count, capacity;
} tool_table;
void tool_table_add(tool_table *table, const char *format, ...) ACTC_PRINTF(2, 3); /* the next cell */
void tool_table_print(FILE *stream, tool_table *table); /* indented by two, then emptied */
void tool_table_drop(tool_table *table); /* emptied */

/* A bar on stderr, drawn at most ten times a second and only where stderr is a terminal; it fits the terminal's columns, and
 * uses no escape sequences where TERM is "dumb" or not set. A message clears it before. */
typedef struct tool_progress {
    int shown;     /* characters on the line */
    double drawn;  /* when */
} tool_progress;
void tool_progress_draw(tool_progress *progress, const char *label, uint64_t done, uint64_t total, double per_s,
                        const char *unit, double left_s);
void tool_progress_clear(tool_progress *progress);

#endif
