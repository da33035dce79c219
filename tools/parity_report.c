/* parity_report.c: what actc-parity prints and writes. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "parity.h"

/* Skipped cases that the text names one by one. */
#define SKIPPED_SHOWN 12

static const char *class_name(const parity_case *c)
{
    return c->parity == ACTC_PARITY_EXACT ? "EXACT" : "TOLERANT";
}

void parity_add_line(parity_lines *l, const parity_case *c, const char *backend, const char *text)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 64;
        parity_line *grown = realloc(l->lines, capacity * sizeof *grown);
        if (!grown)
            abort(); /* better than a failure that goes unseen */
        l->lines = grown;
        l->capacity = capacity;
    }
    parity_line *line = &l->lines[l->count++];
    *line = (parity_line){.c = c, .text = strdup(text)};
    snprintf(line->backend, sizeof line->backend, "%s", backend);
}

/* The command that runs one case on the reference and one backend. */
static void reproduce(const parity_session *s, const parity_line *line, char *text, size_t size)
{
    bool alone = strcmp(line->backend, s->backends[0].name) == 0;
    int used = s->against ? snprintf(text, size, "%s --against '%s'", s->program, s->against)
                          : snprintf(text, size, "%s --suite %s --seed %" PRIu64, s->program, s->suite, s->seed);
    snprintf(text + used, size - (size_t)used, " --backends %s%s%s%s%s%s -k '%s'", s->backends[0].name, alone ? "" : ",",
             alone ? "" : line->backend, alone && !s->against ? " --record /dev/null" : "",
             s->deterministic ? " --deterministic" : "", s->validate ? " --validate" : "", line->c->name);
}

/* ---- results ---- */

cJSON *parity_json_case(parity_session *s, const parity_case *c)
{
    if (!s->json_cases)
        return NULL;
    cJSON *json = cJSON_CreateObject();
    json_text(json, "name", c->name);
    json_text(json, "level", parity_level_name(c->level));
    json_text(json, "class", class_name(c));
    cJSON_AddBoolToObject(json, "deterministic", c->deterministic || s->deterministic);
    cJSON_AddObjectToObject(json, "backends");
    cJSON_AddItemToArray(s->json_cases, json);
    return json;
}

static cJSON *result_json(const parity_result *r)
{
    cJSON *json = cJSON_CreateObject();
    json_text(json, "status", parity_status_name(r->status));
    json_f64(json, "seconds", r->seconds);
    if (r->message[0])
        json_text(json, "reason", r->message);
    if (r->note[0])
        json_text(json, "note", r->note);
    if (parity_result_worst(r) >= 0)
        json_f64(json, "worst", parity_result_worst(r));
    if (parity_result_nmse(r) >= 0)
        json_f64(json, "nmse", parity_result_nmse(r));
    cJSON *measures = r->n_figures ? cJSON_AddObjectToObject(json, "measures") : NULL;
    for (size_t i = 0; i < r->n_figures; i++) {
        cJSON *figure = cJSON_AddObjectToObject(measures, r->figures[i].label);
        json_f64(figure, "value", r->figures[i].value);
        json_f64(figure, "limit", r->figures[i].limit);
    }
    return json;
}

void parity_report_result(parity_session *s, const parity_case *c, size_t backend, const parity_result *r, cJSON *json_case)
{
    parity_backend *b = &s->backends[backend];
    parity_tally *t = &s->tallies[c->level][backend];
    double worst = parity_result_worst(r), nmse = parity_result_nmse(r);
    if (t->passed + t->failed + t->skipped == 0)
        t->worst = t->nmse = -1;
    t->seconds += r->seconds;
    t->worst = worst > t->worst ? worst : t->worst;
    t->nmse = nmse > t->nmse ? nmse : t->nmse;
    if (json_case)
        cJSON_AddItemToObject(cJSON_GetObjectItemCaseSensitive(json_case, "backends"), b->name, result_json(r));
    if (r->status == PARITY_PASSED) {
        t->passed++;
        return;
    }
    if (r->status == PARITY_SKIPPED) {
        t->skipped++;
        parity_add_line(&s->skipped, c, b->name, r->message);
        return;
    }
    t->failed++;
    parity_add_line(&s->failed, c, b->name, r->message);
    if (parity_is_json(s))
        return;
    char command[1024];
    tool_progress_clear(&s->progress);
    reproduce(s, &s->failed.lines[s->failed.count - 1], command, sizeof command);
    printf("FAILED %s (%s, %s) on %s\n  %s\n  %s\n", c->name, parity_level_name(c->level), class_name(c), b->name,
           r->message, command);
    fflush(stdout);
}

/* ---- text ---- */

static void add_number(tool_table *table, const char *format, double value)
{
    char text[40] = "-";
    if (value >= 0)
        snprintf(text, sizeof text, format, value);
    tool_table_add(table, "%s", text);
}

static void print_skipped(const parity_session *s)
{
    size_t shown = 0;
    for (size_t i = 0; i < s->skipped.count; i++) {
        const parity_line *line = &s->skipped.lines[i];
        if (line->c && shown++ >= SKIPPED_SHOWN)
            continue;
        printf("skipped %s%s%s: %s\n", line->c ? line->c->name : "", line->c ? " on " : "", line->backend, line->text);
    }
    if (shown > SKIPPED_SHOWN)
        printf("skipped %zu more; --format json has all\n", shown - SKIPPED_SHOWN);
}

void parity_report_end(parity_session *s, double seconds)
{
    print_skipped(s);
    for (size_t b = 0; b < s->n_backends; b++) {
        const actc_device *device = s->backends[b].devices[0] ? s->backends[b].devices[0] : s->backends[b].devices[1];
        const actc_device_info *info = actc_device_get_info(device);
        printf("%s%s: %s, %s\n", s->backends[b].name, b ? "" : " (reference)", info->name, info->driver);
    }
    tool_table table = {.align = "llrrrrrr"};
    static const char *const titles[] = {"level",   "backend", "passed",      "failed",
                                         "skipped", "seconds", "worst error", "NMSE"};
    for (size_t i = 0; i < 8; i++)
        tool_table_add(&table, "%s", titles[i]);
    for (int level = 0; level < PARITY_LEVELS; level++)
        for (size_t b = 0; b < s->n_backends; b++) {
            const parity_tally *t = &s->tallies[level][b];
            if (t->passed + t->failed + t->skipped == 0)
                continue;
            tool_table_add(&table, "%s", parity_level_name((parity_level)level));
            tool_table_add(&table, "%s", s->backends[b].name);
            tool_table_add(&table, "%zu", t->passed);
            tool_table_add(&table, "%zu", t->failed);
            tool_table_add(&table, "%zu", t->skipped);
            tool_table_add(&table, "%.1f", t->seconds);
            add_number(&table, "%.3f of bound", t->worst);
            add_number(&table, "%.1e", t->nmse);
        }
    tool_table_print(stdout, &table);
    printf("%zu cases, %zu failures, seed %" PRIu64 ", suite %s, %s\n", s->n_cases, s->failed.count, s->seed, s->suite,
           TIME_TEXT(seconds));
    fflush(stdout);
}

/* ---- JSON ---- */

static cJSON *lines_json(const parity_session *s, const parity_lines *lines, bool failed)
{
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < lines->count; i++) {
        const parity_line *line = &lines->lines[i];
        cJSON *json = cJSON_CreateObject();
        cJSON_AddItemToObject(json, "case", line->c ? json_text_item(line->c->name) : cJSON_CreateNull());
        json_text(json, "backend", line->backend);
        json_text(json, "reason", line->text ? line->text : "");
        if (failed) {
            char command[1024];
            reproduce(s, line, command, sizeof command);
            json_text(json, "command", command);
        }
        cJSON_AddItemToArray(array, json);
    }
    return array;
}

static cJSON *device_json(const parity_backend *b, bool reference)
{
    cJSON *json = cJSON_CreateObject();
    const actc_device *device = b->devices[0] ? b->devices[0] : b->devices[1];
    json_text(json, "name", b->name);
    cJSON_AddBoolToObject(json, "reference", reference);
    if (!device)
        return json;
    const actc_device_info *info = actc_device_get_info(device);
    json_text(json, "device", info->spec);
    json_text(json, "backend", info->backend);
    json_text(json, "device_name", info->name);
    json_text(json, "driver", info->driver);
    cJSON_AddBoolToObject(json, "exact", info->exact);
    json_text(json, "exact_evidence", info->exact_evidence);
    if (b->copy_bytes_s > 0)
        json_f64(json, "copy_gb_s", b->copy_bytes_s / 1e9);
    return json;
}

bool parity_print_json(parity_session *s)
{
    cJSON *json = cJSON_CreateObject();
    json_text(json, "actc", actc_version());
    json_text(json, "suite", s->suite);
    json_u64(json, "seed", s->seed);
    cJSON *backends = cJSON_AddArrayToObject(json, "backends");
    for (size_t i = 0; i < s->n_backends; i++)
        cJSON_AddItemToArray(backends, device_json(&s->backends[i], i == 0));
    cJSON_AddItemToObject(json, "cases", s->json_cases);
    s->json_cases = NULL;
    cJSON_AddItemToObject(json, "failed", lines_json(s, &s->failed, true));
    cJSON_AddItemToObject(json, "skipped", lines_json(s, &s->skipped, false));
    return json_print(tool_output(), json, false);
}

/* ---- files: a head and then a line a case; gzipped where the name says so ---- */

static bool record_write(parity_session *s, const char *text, size_t length)
{
    s->record_bad |= length > 0 && gzwrite(s->record_file, text, (unsigned)length) != (int)length;
    return !s->record_bad;
}

int parity_record_open(parity_session *s)
{
    parity_backend *b = &s->backends[s->n_backends - 1];
    size_t length = strlen(s->record);
    errno = 0;
    s->record_file = gzopen(s->record, length > 3 && strcmp(s->record + length - 3, ".gz") == 0 ? "wb9" : "wbT");
    if (!s->record_file)
        return tool_fail(s->t, "--record %s: %s", s->record, errno ? strerror(errno) : "out of memory");
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, s->seed);
    cJSON *head = cJSON_CreateObject(), *device = device_json(b, false);
    json_text(head, "format", "actc-parity-1");
    json_text(head, "actc", actc_version());
    json_text(head, "suite", s->suite);
    json_text(head, "seed", seed);
    cJSON_AddBoolToObject(head, "deterministic", s->deterministic);
    cJSON_AddItemToObject(head, "device", device);
    char *text = cJSON_PrintUnformatted(head);
    cJSON_Delete(head);
    bool good = text != NULL;
    if (good && record_write(s, text, strlen(text) - 1)) /* without its brace */
        record_write(s, ",\"cases\":[\n", strlen(",\"cases\":[\n"));
    s->record_empty = true;
    cJSON_free(text);
    return good ? 0 : tool_fail(s->t, "out of memory");
}

void parity_record_add(parity_session *s, const parity_case *c, const parity_result *r)
{
    if (r->status != PARITY_PASSED)
        return;
    cJSON *json = parity_record_case(c, r);
    char *text = cJSON_PrintUnformatted(json);
    if (text && record_write(s, ",\n", s->record_empty ? 0 : 2))
        record_write(s, text, strlen(text));
    s->record_bad |= !text;
    s->record_empty = false;
    cJSON_free(text);
    cJSON_Delete(json);
}

int parity_record_close(parity_session *s)
{
    errno = 0;
    record_write(s, "\n]}\n", strlen("\n]}\n"));
    s->record_bad |= gzclose(s->record_file) != Z_OK;
    s->record_file = NULL;
    return s->record_bad ? tool_fail(s->t, "--record %s: %s", s->record, errno ? strerror(errno) : "it was not written whole") : 0;
}

/* The text of a plain or gzipped file; NULL with the reason in `why`. */
static char *read_file(const char *path, const char **why)
{
    errno = 0;
    gzFile file = gzopen(path, "rb");
    char *text = NULL;
    size_t used = 0, capacity = 0;
    int got = 0, code = Z_OK;
    *why = errno ? strerror(errno) : "out of memory";
    if (!file)
        return NULL;
    do {
        used += (size_t)got;
        if (used + 1 >= capacity) {
            char *grown = realloc(text, capacity = 2 * capacity + 65536);
            if (!grown) {
                free(text);
                gzclose(file);
                return NULL;
            }
            text = grown;
        }
    } while ((got = gzread(file, text + used, (unsigned)(capacity - used - 1))) > 0);
    text[used] = '\0';
    gzerror(file, &code);
    if (got < 0 || code != Z_OK) {
        *why = code == Z_ERRNO ? strerror(errno) : "gzip: the file is damaged";
        free(text);
        text = NULL;
    }
    gzclose(file);
    return text;
}

int parity_against_open(parity_session *s)
{
    const char *why;
    char *text = read_file(s->against, &why);
    if (!text)
        return tool_fail(s->t, "--against %s: %s", s->against, why);
    s->against_json = cJSON_Parse(text);
    free(text);
    const cJSON *json = s->against_json, *cases = cJSON_GetObjectItemCaseSensitive(json, "cases");
    const char *format = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "format"));
    const char *seed = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "seed"));
    const char *suite = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "suite"));
    if (!format || strcmp(format, "actc-parity-1") != 0 || !seed || !suite || !cJSON_IsArray(cases))
        return tool_fail(s->t, "--against %s: not a file that actc-parity --record has written", s->against);
    char *end;
    s->seed = strtoull(seed, &end, 10);
    if (*end || !*seed || (strcmp(suite, "smoke") != 0 && strcmp(suite, "full") != 0))
        return tool_fail(s->t, "--against %s: the seed is '%s', the suite '%s'", s->against, seed, suite);
    s->suite = strcmp(suite, "full") == 0 ? "full" : "smoke";
    s->deterministic |= cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "deterministic"));
    s->against_cases = cJSON_CreateObject();
    cJSON *item;
    cJSON_ArrayForEach(item, cases)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        if (name)
            cJSON_AddItemReferenceToObject(s->against_cases, name, item);
    }
    return 0;
}
