/* common.c: the standard streams, options, errors, JSON and text for the tools. */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- errors ---- */

static void complain(const tool *t, const char *format, va_list args)
{
    fprintf(stderr, "%s: ", t->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int tool_fail(const tool *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(t, format, args);
    va_end(args);
    return TOOL_FAILURE;
}

int tool_usage(const tool *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(t, format, args);
    va_end(args);
    fprintf(stderr, "Try '%s --help'.\n", t->name);
    return TOOL_USAGE;
}

int tool_failed(const tool *t, const actc_context *context)
{
    return tool_fail(t, "%s", actc_error_message(context));
}

int tool_failed_option(const tool *t, const actc_context *context, actc_status status, const char *option)
{
    if (status == ACTC_ERROR_INVALID_ARGUMENT)
        return tool_usage(t, "--%s: %s", option, actc_error_message(context));
    return tool_fail(t, "--%s: %s", option, actc_error_message(context));
}

static void print_log(void *user, actc_log_level level, const char *message)
{
    fprintf(stderr, "%s: %s%s\n", ((const tool *)user)->name, level == ACTC_LOG_WARNING ? "warning: " : "", message);
}

actc_context *tool_context(const tool *t)
{
    actc_context_options options = actc_context_options_default();
    options.log = print_log;
    options.log_user = (void *)t;
    actc_context *context = NULL;
    actc_status status = actc_context_create(&options, &context);
    if (status != ACTC_OK)
        tool_fail(t, "%s", actc_status_string(status));
    return context;
}

/* ---- the standard streams ---- */

static FILE *private_output; /* NULL: stdout */
static bool output_reported;

/* A closed descriptor is opened for reading, so that writing to it goes on being an error. */
static bool take_closed_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) != -1)
            continue;
        int got = open("/dev/null", O_RDONLY); /* the lowest that is free: this one */
        if (got == -1)
            got = open("/", O_RDONLY); /* no /dev here */
        if (got != fd)
            return false;
    }
    return true;
}

FILE *tool_output(void)
{
    return private_output ? private_output : stdout;
}

/* Descriptor 1 becomes stderr's; what it was is tool_output's alone. */
static bool keep_output_private(void)
{
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (flags != -1 && (flags & O_ACCMODE) == O_RDONLY)
        return true; /* nothing can be written: tool_main says so, when the work is done */
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    FILE *output = fd == -1 ? NULL : fdopen(fd, "w");
    if (output && dup2(STDERR_FILENO, STDOUT_FILENO) == STDOUT_FILENO) {
        private_output = output;
        return true;
    }
    int error = errno;
    if (output)
        fclose(output);
    else if (fd != -1)
        close(fd);
    errno = error;
    return false;
}

static int output_failed(const char *name, int error)
{
    if (!output_reported)
        fprintf(stderr, "%s: cannot write to the standard output%s%s\n", name, error ? ": " : "", error ? strerror(error) : "");
    output_reported = true;
    return TOOL_FAILURE;
}

int tool_output_failed(const tool *t)
{
    return output_failed(t->name, errno);
}

int tool_main(const char *name, int (*run)(int argc, char **argv), int argc, char **argv)
{
    if (!take_closed_descriptors())
        return TOOL_FAILURE; /* nowhere to say so */
    int code = run(argc, argv);
    errno = 0;
    if (fflush(tool_output()) == 0 && !ferror(tool_output()))
        return code;
    output_failed(name, errno);
    return code == 0 || code == TOOL_SKIPPED ? TOOL_FAILURE : code;
}

/* ---- options ---- */

tool_option *tool_find_option(const tool *t, const char *name)
{
    for (size_t i = 0; i < t->option_count; i++)
        if (strcmp(name, t->options[i].name) == 0)
            return &t->options[i];
    return NULL;
}

static int unknown_option(const tool *t, const char *name)
{
    /* the option that shares the longest beginning */
    const char *near = NULL;
    size_t longest = 2;
    for (size_t i = 0; i < t->option_count; i++) {
        size_t same = 0;
        while (name[same] && name[same] == t->options[i].name[same])
            same++;
        if (same > longest) {
            longest = same;
            near = t->options[i].name;
        }
    }
    return tool_usage(t, "unknown option '--%s'%s%s%s", name, near ? "; did you mean '--" : "", near ? near : "", near ? "'?" : "");
}

static bool is_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);
    for (const char *p = choices; p; p = strchr(p, '|'), p += p != NULL)
        if (strcspn(p, "|") == length && strncmp(p, text, length) == 0)
            return true;
    return false;
}

static bool set_number(const tool *t, tool_option *o, const char *text)
{
    char *end;
    errno = 0;
    if (o->type == TOOL_SEED) {
        uint64_t seed = strtoull(text, &end, 0);
        if (end == text || *end || errno || *text == '-') {
            tool_usage(t, "--%s %s: a whole number from 0 to 2^64 - 1 is accepted", o->name, text);
            return false;
        }
        *(uint64_t *)o->target = seed;
        return true;
    }
    bool whole = o->type == TOOL_INT;
    long long integer = whole ? strtoll(text, &end, 10) : 0;
    double real = whole ? (double)integer : strtod(text, &end);
    if (end == text || *end || errno == ERANGE || !(real >= o->least && real <= o->most)) {
        if (o->most >= 9e15)
            tool_usage(t, "--%s %s: a %snumber from %g is accepted", o->name, text, whole ? "whole " : "", o->least);
        else
            tool_usage(t, "--%s %s: a %snumber from %g to %.10g is accepted", o->name, text, whole ? "whole " : "", o->least,
                       o->most);
        return false;
    }
    if (whole)
        *(int64_t *)o->target = integer;
    else
        *(double *)o->target = real;
    return true;
}

bool tool_set_option(const tool *t, tool_option *o, const char *text)
{
    switch (o->type) {
    case TOOL_FLAG: *(bool *)o->target = true; return true;
    case TOOL_STRING: *(const char **)o->target = text; return true;
    case TOOL_CHOICE:
        if (!is_choice(o->choices, text)) {
            tool_usage(t, "--%s %s: accepted are %s", o->name, text, o->choices);
            return false;
        }
        *(const char **)o->target = text;
        return true;
    case TOOL_INT:
    case TOOL_SEED:
    case TOOL_REAL: return set_number(t, o, text);
    }
    return false;
}

static void print_help(const tool *t)
{
    printf("Usage: %s %s\n%s\n\nOptions:\n", t->name, t->synopsis, t->summary);
    for (size_t i = 0; i < t->option_count; i++) {
        const tool_option *o = &t->options[i];
        char left[64];
        snprintf(left, sizeof left, "%s%.*s%s--%s%s%s", o->letter ? "-" : "", o->letter != 0, &o->letter, o->letter ? ", " : "",
                 o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("  %-22s %s\n", left, o->help);
    }
    printf("  %-22s this text\n  %-22s the version\n", "--help", "--version");
    if (t->text)
        printf("\n%s", t->text);
}

/* "-k VALUE" as if it were the long option; NULL where no option has this letter. */
static const char *long_form(const tool *t, const char *argument, char *text, size_t size)
{
    for (size_t i = 0; i < t->option_count && argument[0] == '-' && argument[1] && !argument[2]; i++)
        if (t->options[i].letter == argument[1]) {
            snprintf(text, size, "--%s", t->options[i].name);
            return text;
        }
    return NULL;
}

/* One argument that starts with --; true to go on. *i moves past a value of its own. */
static bool parse_option(const tool *t, const char *argument, int argc, char **argv, int *i, int *exit_code)
{
    char name[64];
    const char *equals = strchr(argument, '=');
    size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), argument);
    if (!equals && strcmp(name, "help") == 0) {
        print_help(t);
        *exit_code = 0;
        return false;
    }
    if (!equals && strcmp(name, "version") == 0) {
        printf("%s (actc) %s\n", t->name, actc_version());
        *exit_code = 0;
        return false;
    }
    tool_option *o = tool_find_option(t, name);
    *exit_code = TOOL_USAGE;
    if (!o) {
        unknown_option(t, name);
        return false;
    }
    const char *text = equals ? equals + 1 : NULL;
    if (o->type == TOOL_FLAG && text) {
        tool_usage(t, "--%s takes no value, '%s' is given", o->name, text);
        return false;
    }
    if (o->type != TOOL_FLAG && !text) {
        if (*i + 1 >= argc) {
            tool_usage(t, "--%s needs a value: %s", o->name, o->value);
            return false;
        }
        text = argv[++*i];
    }
    o->given = true;
    return tool_set_option(t, o, text);
}

static bool is_json(const tool *t)
{
    const tool_option *format = tool_find_option(t, "format");
    return format && strcmp(*(const char **)format->target, "json") == 0;
}

bool tool_parse(const tool *t, int argc, char **argv, const char **positional, size_t most, size_t *count, int *exit_code)
{
    bool options = true;
    *count = 0;
    for (int i = 1; i < argc; i++) {
        char text[72];
        const char *letter = options ? long_form(t, argv[i], text, sizeof text) : NULL;
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (letter || (options && strncmp(argv[i], "--", 2) == 0)) {
            if (!parse_option(t, (letter ? letter : argv[i]) + 2, argc, argv, &i, exit_code))
                return false;
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            *exit_code = strcmp(argv[i], "-h") == 0 ? (print_help(t), 0)
                                                    : tool_usage(t, "unknown option '%s'; options have two dashes", argv[i]);
            return false;
        } else if (*count == most) {
            *exit_code = tool_usage(t, "'%s' is one argument too many", argv[i]);
            return false;
        } else {
            positional[(*count)++] = argv[i];
        }
    }
    if (is_json(t) && !keep_output_private()) {
        *exit_code = tool_fail(t, "the standard output cannot be kept for JSON: %s", strerror(errno));
        return false;
    }
    return true;
}

/* ---- JSON ---- */

static cJSON *number_item(const char *format, double value)
{
    char text[40];
    if (!isfinite(value))
        return cJSON_CreateNull();
    snprintf(text, sizeof text, format, value);
    return cJSON_CreateRaw(text);
}

cJSON *json_f32_item(float value)
{
    return number_item("%.9g", (double)value);
}

void json_f32(cJSON *object, const char *key, float value)
{
    cJSON_AddItemToObject(object, key, json_f32_item(value));
}

void json_f64(cJSON *object, const char *key, double value)
{
    cJSON_AddItemToObject(object, key, number_item("%.17g", value));
}

void json_u64(cJSON *object, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    cJSON_AddItemToObject(object, key, cJSON_CreateRaw(text));
}

bool json_print(FILE *stream, cJSON *json, bool compact)
{
    char *text = json ? compact ? cJSON_PrintUnformatted(json) : cJSON_Print(json) : NULL;
    cJSON_Delete(json);
    bool good = text && fprintf(stream, "%s\n", text) > 0 && fflush(stream) == 0;
    cJSON_free(text);
    return good;
}

/* ---- text ---- */

char *tool_bytes_text(uint64_t bytes, char *text)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    int unit = 0;
    while (value >= 1023.95 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(text, 24, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

char *tool_time_text(double seconds, char *text)
{
    if (!(seconds < 1e7))
        snprintf(text, 24, "-");
    else if (seconds < 59.5)
        snprintf(text, 24, "%.0f s", seconds);
    else if (seconds < 3570)
        snprintf(text, 24, "%d min %02d s", (int)(seconds + 0.5) / 60, (int)(seconds + 0.5) % 60);
    else
        snprintf(text, 24, "%d h %02d min", (int)(seconds + 30) / 3600, (int)(seconds + 30) / 60 % 60);
    return text;
}

double tool_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void tool_table_add(tool_table *table, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? 2 * table->capacity : 64;
        char **grown = realloc(table->cells, capacity * sizeof *grown);
        if (!grown)
            return;
        table->cells = grown;
        table->capacity = capacity;
    }
    table->cells[table->count++] = strdup(text);
}

void tool_table_print(FILE *stream, tool_table *table)
{
    int widths[16] = {0};
    size_t columns = strlen(table->align);
    for (size_t i = 0; i < table->count; i++) {
        int width = table->cells[i] ? (int)strlen(table->cells[i]) : 0;
        if (width > widths[i % columns])
            widths[i % columns] = width;
    }
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % columns;
        const char *cell = table->cells[i] ? table->cells[i] : "";
        bool last = column + 1 == columns, left = table->align[column] == 'l';
        fprintf(stream, "  %*s%s", last && left ? 0 : left ? -widths[column] : widths[column], cell, last ? "\n" : "");
        free(table->cells[i]);
    }
    free(table->cells);
    table->cells = NULL;
    table->count = table->capacity = 0;
}

void tool_progress_draw(tool_progress *progress, const char *label, uint64_t done, uint64_t total, double per_s,
                        const char *unit, double left_s)
{
    enum { WIDTH = 24 };
    double now = tool_now();
    if (!isatty(STDERR_FILENO) || (progress->shown && now - progress->drawn < 0.1))
        return;
    char bar[WIDTH + 1];
    int filled = total ? (int)((double)done / (double)total * WIDTH) : 0;
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %3.0f %%  %.0f %s  %s left \033[K", label, bar, total ? 100.0 * (double)done / (double)total : 0.0,
            per_s, unit, TIME_TEXT(left_s));
    fflush(stderr);
    progress->shown = true;
    progress->drawn = now;
}

void tool_progress_clear(tool_progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    fflush(stderr);
    progress->shown = false;
}
