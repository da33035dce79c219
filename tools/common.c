/* common.c: the standard streams, options, errors, JSON and text for the tools. */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* ---- errors ---- */

static tool_progress *on_screen; /* the bar that stands on the terminal's line, NULL where there is none */

/* Bytes of the UTF-8 character at p, 0 where there is none. */
static size_t utf8_length(const unsigned char *p)
{
    size_t length = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool odd = (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0) || (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] >= 0x90);
    return odd ? 0 : length;
}

/* Control characters, and what turns the direction of text round. */
static bool moves_cursor(const unsigned char *p)
{
    if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0)) /* C0, DEL, C1 */
        return true;
    if (p[0] != 0xe2 || (p[1] != 0x80 && p[1] != 0x81))
        return false;
    return p[1] == 0x80 ? p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae) : p[2] >= 0xa6 && p[2] <= 0xa9;
}

/* Messages hold names that users choose, and so anything: what would move the cursor, and bytes that are no UTF-8, are as they
 * are written in C. To be freed. */
static char *escaped(const char *text)
{
    static const char digits[] = "0123456789abcdef";
    char *shown = malloc(4 * strlen(text) + 1), *to = shown;
    for (const unsigned char *p = (const unsigned char *)text; shown && *p;) {
        size_t length = utf8_length(p);
        if (*p == '\n' || *p == '\t' || *p == '\r') {
            *to++ = '\\';
            *to++ = *p == '\n' ? 'n' : *p == '\t' ? 't' : 'r';
        } else if (length && !moves_cursor(p)) {
            to = (char *)memcpy(to, p, length) + length;
        } else {
            for (size_t i = 0; i < (length ? length : 1); i++) {
                const char escape[] = {'\\', 'x', digits[p[i] >> 4], digits[p[i] & 15]};
                to = (char *)memcpy(to, escape, sizeof escape) + sizeof escape;
            }
        }
        p += length ? length : 1;
    }
    if (shown)
        *to = '\0';
    return shown;
}

/* In one call, which stderr makes one write of: lines of several processes do not mix. */
static void put_args(FILE *stream, const char *begin, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, args);
    char *shown = text ? escaped(text) : NULL;
    fprintf(stream, "%s%s\n", begin, shown ? shown : "out of memory");
    free(shown);
    free(text);
}

void tool_line(FILE *stream, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_args(stream, "", format, args);
    va_end(args);
}

/* On a line of its own, whatever stands there. */
static void complain(const tool *t, const char *format, va_list args)
{
    if (on_screen)
        tool_progress_clear(on_screen);
    char begin[64];
    snprintf(begin, sizeof begin, "%s: ", t->name);
    put_args(stderr, begin, format, args);
}

void tool_note(const tool *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(t, format, args);
    va_end(args);
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
    tool_note(user, "%s%s", level == ACTC_LOG_WARNING ? "warning: " : "", message);
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

/* Decimal digits with a sign, and in real numbers a point and an exponent: no blanks, no hexadecimal, no "inf" or "nan". */
static bool is_decimal(const char *text, bool real)
{
    const char *p = text + (*text == '-');
    size_t whole = strspn(p, "0123456789"), fraction = 0;
    p += whole;
    if (real && *p == '.') {
        fraction = strspn(p + 1, "0123456789");
        p += 1 + fraction;
    }
    if (real && whole + fraction && (*p == 'e' || *p == 'E')) {
        p += 1 + (p[1] == '-' || p[1] == '+');
        size_t exponent = strspn(p, "0123456789");
        p += exponent ? exponent : 0;
        if (!exponent)
            return false;
    }
    return whole + fraction && !*p;
}

bool tool_parse_real(const char *text, double *value)
{
    errno = 0;
    *value = is_decimal(text, true) ? strtod(text, NULL) : NAN;
    /* what underflows, here or in float32, is not what was written */
    return isfinite(*value) && errno != ERANGE && (*value == 0 || fabs(*value) >= (double)FLT_MIN);
}

static bool set_number(const tool *t, tool_option *o, const char *text)
{
    errno = 0;
    if (o->type == TOOL_SEED) {
        uint64_t seed = strtoull(text, NULL, 10);
        if (!is_decimal(text, false) || errno || *text == '-') {
            tool_usage(t, "--%s %s: a whole decimal number from 0 to 2^64 - 1 is accepted", o->name, text);
            return false;
        }
        *(uint64_t *)o->target = seed;
        return true;
    }
    bool whole = o->type == TOOL_INT;
    double real;
    long long integer = whole ? strtoll(text, NULL, 10) : 0;
    bool good = whole ? is_decimal(text, false) && errno != ERANGE : tool_parse_real(text, &real);
    if (whole)
        real = (double)integer;
    if (!good || !(real >= o->least && real <= o->most)) {
        tool_usage(t, "--%s %s: a %snumber from %g to %.10g, in decimal,%s is accepted", o->name, text, whole ? "whole " : "", o->least,
                   o->most, whole ? "" : " and not 0 in float32 unless it is 0,");
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

enum { HELP_COLUMNS = 80, HELP_INDENT = 25 };

/* Words from column `column` on, in lines of HELP_COLUMNS that begin at HELP_INDENT. */
static void print_wrapped(const char *text, int column)
{
    while (*text) {
        int word = (int)strcspn(text, " ");
        if (column > HELP_INDENT && column + 1 + word > HELP_COLUMNS) {
            printf("\n%*s", HELP_INDENT, "");
            column = HELP_INDENT;
        } else if (column > HELP_INDENT) {
            putchar(' ');
            column++;
        }
        printf("%.*s", word, text);
        column += word;
        text += word;
        text += *text == ' ';
    }
    putchar('\n');
}

/* The last blank at or before `most` that is not inside quotes, 0 where there is none. */
static int last_blank(const char *line, int length, int most, bool quotes)
{
    int blank = 0, quoted = 0;
    for (int i = 0; i < length && i <= most; i++) {
        quoted ^= quotes && line[i] == '\'';
        if (line[i] == ' ' && !quoted && strspn(line, " ") < (size_t)i)
            blank = i;
    }
    return blank;
}

/* Lines that are too long go on in the next one: sentences as they are, examples (which are indented) behind a backslash. */
static void print_text(const char *text)
{
    while (*text) {
        int length = (int)strcspn(text, "\n");
        bool example = *text == ' ';
        for (int indent = 0;;) {
            int most = HELP_COLUMNS - indent - (example ? 2 : 0);
            int end = indent + length <= HELP_COLUMNS ? 0 : last_blank(text, length, most, example);
            printf("%*s%.*s%s\n", indent, "", end ? end : length, text, end && example ? " \\" : "");
            text += end ? end + 1 : length;
            length -= end ? end + 1 : length;
            if (!end)
                break;
            indent = example ? 6 : 0;
        }
        text += *text == '\n';
    }
}

static void print_help(const tool *t)
{
    printf("Usage: %s %s\n", t->name, t->synopsis);
    print_text(t->summary);
    printf("\nOptions:\n");
    for (size_t i = 0; i < t->option_count; i++) {
        const tool_option *o = &t->options[i];
        char left[64];
        snprintf(left, sizeof left, "%s%.*s%s--%s%s%s", o->letter ? "-" : "", o->letter != 0, &o->letter, o->letter ? ", " : "",
                 o->name, o->value ? " " : "", o->value ? o->value : "");
        if (strlen(left) > HELP_INDENT - 3)
            printf("  %s\n%*s", left, HELP_INDENT, "");
        else
            printf("  %-*s ", HELP_INDENT - 3, left);
        print_wrapped(o->help, HELP_INDENT);
    }
    printf("  %-22s this text\n  %-22s the version\n", "--help", "--version");
    if (t->text) {
        putchar('\n');
        print_text(t->text);
    }
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

bool tool_is_utf8(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    for (size_t length; *p; p += length)
        if ((length = utf8_length(p)) == 0)
            return false;
    return true;
}

cJSON *json_text_item(const char *text)
{
    char *clean = malloc(3 * strlen(text) + 1), *to = clean;
    if (!clean)
        return NULL;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t length = utf8_length(p);
        memcpy(to, length ? (const char *)p : "\xef\xbf\xbd", length ? length : 3); /* U+FFFD */
        to += length ? length : 3;
        p += length ? length : 1;
    }
    *to = '\0';
    cJSON *item = cJSON_CreateString(clean);
    free(clean);
    return item;
}

void json_text(cJSON *object, const char *key, const char *text)
{
    cJSON_AddItemToObject(object, key, json_text_item(text));
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
    }
    tool_table_drop(table);
}

void tool_table_drop(tool_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    table->cells = NULL;
    table->count = table->capacity = 0;
}

/* ---- the bar ---- */

static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    const char *columns = getenv("COLUMNS");
    return columns && atoi(columns) > 0 ? atoi(columns) : 80;
}

/* Terminals that know no escape sequences. */
static bool is_dumb(void)
{
    const char *term = getenv("TERM");
    return !term || !*term || strcmp(term, "dumb") == 0;
}

/* Overwrites what stands on the line; the cursor is at its beginning afterwards. */
static void erase_line(tool_progress *progress)
{
    int columns = terminal_columns() - 1; /* of now: it may have been narrowed */
    if (is_dumb())
        fprintf(stderr, "\r%*s\r", progress->shown < columns ? progress->shown : columns, "");
    else
        fputs("\r\033[K", stderr);
    progress->shown = 0;
}

void tool_progress_draw(tool_progress *progress, const char *label, uint64_t done, uint64_t total, double per_s,
                        const char *unit, double left_s)
{
    enum { WIDTH = 24 };
    double now = tool_now();
    if (!isatty(STDERR_FILENO) || (progress->shown && now - progress->drawn < 0.1))
        return;
    char bar[2 * WIDTH + 4] = "", line[256];
    int filled = total ? (int)((double)done / (double)total * WIDTH) : 0, columns = terminal_columns() - 1;
    double percent = total ? 100.0 * (double)done / (double)total : 0.0;
    snprintf(bar, sizeof bar, "[%.*s%.*s] ", filled, "########################", WIDTH - filled, "........................");
    /* the longest form that fits: a line that wraps would stay on the screen */
    int length = snprintf(line, sizeof line, "%s %s%3.0f %%  %.0f %s  %s left", label, bar, percent, per_s, unit, TIME_TEXT(left_s));
    if (length > columns)
        length = snprintf(line, sizeof line, "%s %3.0f %%  %.0f %s  %s left", label, percent, per_s, unit, TIME_TEXT(left_s));
    if (length > columns)
        length = snprintf(line, sizeof line, "%3.0f %%  %s left", percent, TIME_TEXT(left_s));
    if (length > columns)
        length = snprintf(line, sizeof line, "%.0f %%", percent);
    if (length > columns)
        length = columns < 0 ? 0 : columns;
    erase_line(progress);
    fprintf(stderr, "%.*s", length, line);
    fflush(stderr);
    progress->shown = length > 0 ? length : 1;
    progress->drawn = now;
    on_screen = progress;
}

void tool_progress_clear(tool_progress *progress)
{
    if (progress->shown)
        erase_line(progress);
    fflush(stderr);
    if (on_screen == progress)
        on_screen = NULL;
}
