/* train_folder.c: the run folder of actc-train.
 *
 *   config.json                       what the run was started with
 *   metrics.jsonl                     a line every --log-every steps and every epoch
 *   checkpoint-STEP.safetensors       everything that is needed to go on; the last two are kept
 *   model.safetensors                 the parameters at the end
 *
 * config.json is written before the first step and checkpoints are put in place by a rename, so that whenever the
 * process is killed the folder can be resumed: from its newest checkpoint, or from the start.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "train.h"

#define KEPT_CHECKPOINTS 2

/* Options that are kept in config.json. What a fixed one says decides what the steps so far have done: a run cannot go
 * on under another value. Where a noted one changes, the run goes on differently than it would have, and says so. */
typedef enum kept_as { KEPT_FREE, KEPT_NOTED, KEPT_FIXED } kept_as;
static const struct {
    const char *name;
    kept_as as;
} kept[] = {
    {"data", KEPT_FIXED},     {"data-dir", KEPT_FREE},   {"device", KEPT_NOTED},        {"threads", KEPT_NOTED},
    {"compress", KEPT_NOTED}, {"epochs", KEPT_FREE},     {"steps", KEPT_FREE},          {"batch", KEPT_FIXED},
    {"accumulate", KEPT_FIXED}, {"optim", KEPT_FIXED},   {"lr", KEPT_NOTED},            {"schedule", KEPT_NOTED},
    {"seed", KEPT_FIXED},     {"save-every", KEPT_FREE}, {"log-every", KEPT_FREE},      {"limit", KEPT_FIXED},
    {"deterministic", KEPT_NOTED},
};
#define KEPT_COUNT (sizeof kept / sizeof *kept)

static char *path_of(const char *folder, const char *name)
{
    size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = malloc(bytes);
    if (path)
        snprintf(path, bytes, "%s/%s", folder, name);
    return path;
}

/* ---- config.json ---- */

/* The option's value as text, as it would be given; NULL for none. */
static const char *value_text(const tool_option *o, char *text, size_t size)
{
    switch (o->type) {
    case TOOL_FLAG: return *(bool *)o->target ? "true" : "false";
    case TOOL_STRING:
    case TOOL_CHOICE: return *(const char **)o->target;
    case TOOL_INT: snprintf(text, size, "%" PRId64, *(int64_t *)o->target); break;
    case TOOL_SEED: snprintf(text, size, "%" PRIu64, *(uint64_t *)o->target); break;
    case TOOL_REAL: snprintf(text, size, "%.17g", *(double *)o->target); break;
    }
    return text;
}

static cJSON *config_of(const train_run *run)
{
    cJSON *config = cJSON_CreateObject();
    cJSON_AddStringToObject(config, "actc", actc_version());
    cJSON_AddStringToObject(config, "model", run->model->name);
    for (size_t i = 0; i < KEPT_COUNT; i++) {
        const tool_option *o = tool_find_option(run->t, kept[i].name);
        char buffer[40];
        const char *text = value_text(o, buffer, sizeof buffer);
        /* below what may be given lies what stands for "not given" */
        bool unset = o->type == TOOL_INT && (double)*(int64_t *)o->target < o->least;
        if (!text || unset)
            cJSON_AddNullToObject(config, o->name);
        else if (o->type == TOOL_FLAG || o->type == TOOL_INT || o->type == TOOL_REAL)
            cJSON_AddRawToObject(config, o->name, text);
        else /* a seed, too: JSON readers hold numbers as doubles */
            cJSON_AddStringToObject(config, o->name, text);
    }
    return config;
}

/* Replaces the file in one step, as the library does with its own. */
static int replace_file(const train_run *run, const char *path, const char *text)
{
    char *temporary = malloc(strlen(path) + 32);
    if (!temporary)
        return tool_fail(run->t, "out of memory");
    sprintf(temporary, "%s.tmp-%ld", path, (long)getpid());
    FILE *file = fopen(temporary, "w");
    bool good = file && fputs(text, file) >= 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
    int error = errno;
    if (file && fclose(file) != 0 && good) {
        error = errno;
        good = false;
    }
    if (good && rename(temporary, path) != 0) {
        error = errno;
        good = false;
    }
    if (!good)
        unlink(temporary);
    free(temporary);
    return good ? 0 : tool_fail(run->t, "cannot write %s: %s", path, strerror(error));
}

int folder_write_config(train_run *run)
{
    if (!run->folder)
        return 0;
    cJSON *config = config_of(run);
    char *text = cJSON_Print(config), *path = path_of(run->folder, "config.json");
    int code = text && path ? replace_file(run, path, text) : tool_fail(run->t, "out of memory");
    cJSON_Delete(config);
    cJSON_free(text);
    free(path);
    return code;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    if (!file)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        long size = ftell(file);
        rewind(file);
        text = size >= 0 ? malloc((size_t)size + 1) : NULL;
        if (text)
            text[fread(text, 1, (size_t)size, file)] = '\0';
    }
    fclose(file);
    return text;
}

static int check_given(const train_run *run, const tool_option *o, kept_as as, const char *before)
{
    char buffer[40];
    const char *now = value_text(o, buffer, sizeof buffer);
    if (strcmp(now ? now : "", before ? before : "") == 0)
        return 0;
    if (as == KEPT_FIXED)
        return tool_usage(run->t, "--%s %s: the run in %s has %s, and cannot go on with another", o->name, now ? now : "",
                          run->s->resume, before && *before ? before : "none");
    if (as == KEPT_NOTED)
        fprintf(stderr, "%s: note: --%s %s replaces '%s' of the run so far: it will not be as if it had never stopped\n",
                run->t->name, o->name, now ? now : "", before ? before : "");
    return 0;
}

/* One option from the file. */
static int take_option(train_run *run, tool_option *o, kept_as as)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(run->config, o->name);
    char buffer[40] = "";
    const char *text = NULL;
    if (cJSON_IsString(item)) {
        text = item->valuestring;
    } else if (cJSON_IsNumber(item)) {
        snprintf(buffer, sizeof buffer, "%.17g", item->valuedouble);
        text = buffer;
    } else if (cJSON_IsBool(item)) {
        text = cJSON_IsTrue(item) ? "true" : "false";
    }
    if (o->given)
        return check_given(run, o, as, text);
    if (!text) {
        if (!item || cJSON_IsNull(item))
            return 0; /* not given, or an option that the run's release did not have */
        return tool_fail(run->t, "%s/config.json is damaged: \"%s\"", run->s->resume, o->name);
    }
    if (o->type == TOOL_FLAG)
        *(bool *)o->target = strcmp(text, "true") == 0;
    else if (!tool_set_option(run->t, o, text))
        return tool_fail(run->t, "%s/config.json is damaged: \"%s\"", run->s->resume, o->name);
    return 0;
}

int folder_read_config(train_run *run)
{
    const char *folder = run->s->resume;
    char *path = path_of(folder, "config.json"), *text = path ? read_text(path) : NULL;
    int error = errno;
    free(path);
    if (!text)
        return tool_fail(run->t, "--resume %s: it holds no run: config.json cannot be read: %s", folder, strerror(error));
    run->config = cJSON_Parse(text);
    free(text);
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(run->config, "model");
    if (!cJSON_IsString(model))
        return tool_fail(run->t, "--resume %s: config.json is damaged: it names no model", folder);
    if (run->model && strcmp(run->model->name, model->valuestring) != 0)
        return tool_fail(run->t, "--resume %s: it holds a run of %s, not of %s", folder, model->valuestring, run->model->name);
    run->model = actc_model_find(model->valuestring);
    if (!run->model)
        return tool_fail(run->t, "--resume %s: it holds a run of %s, which this actc-train does not know", folder,
                         model->valuestring);
    for (size_t i = 0; i < KEPT_COUNT; i++) {
        int code = take_option(run, tool_find_option(run->t, kept[i].name), kept[i].as);
        if (code)
            return code;
    }
    run->folder = strdup(folder);
    return run->folder ? 0 : tool_fail(run->t, "out of memory");
}

/* ---- the folder ---- */

static int make_folders(const train_run *run, const char *path)
{
    char *part = strdup(path);
    if (!part)
        return tool_fail(run->t, "out of memory");
    for (char *slash = part;;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = '\0';
        if (*part && mkdir(part, 0777) != 0 && errno != EEXIST) {
            int code = tool_fail(run->t, "--out %s: cannot make folder %s: %s ('--out none' keeps nothing)", path, part,
                                 strerror(errno));
            free(part);
            return code;
        }
        if (!slash)
            break;
        *slash = '/';
    }
    free(part);
    return 0;
}

/* runs/MODEL-DATE-TIME, with a number where that is taken. */
static char *default_folder(const train_run *run)
{
    char *path = malloc(strlen(run->model->name) + 64), stamp[32];
    time_t now = time(NULL);
    struct tm local;
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", localtime_r(&now, &local));
    for (int i = 0; path && i < 1000; i++) {
        sprintf(path, i ? "runs/%s-%s-%d" : "runs/%s-%s", run->model->name, stamp, i);
        if (access(path, F_OK) != 0)
            break;
    }
    return path;
}

int folder_make(train_run *run)
{
    if (run->s->out && strcmp(run->s->out, "none") == 0)
        return 0;
    run->folder = run->s->out ? strdup(run->s->out) : default_folder(run);
    if (!run->folder)
        return tool_fail(run->t, "out of memory");
    if (!*run->folder)
        return tool_usage(run->t, "--out: a folder's name is needed, or 'none'");
    int code = make_folders(run, run->folder);
    if (code)
        return code;
    char *path = path_of(run->folder, "config.json");
    bool taken = path && access(path, F_OK) == 0;
    free(path);
    if (taken)
        return tool_fail(run->t, "--out %s: it holds a run already; go on with it by --resume %s, or name another folder",
                         run->folder, run->folder);
    return folder_write_config(run);
}

/* ---- checkpoints ---- */

/* The step of a checkpoint's name; false for other names. */
static bool checkpoint_step(const char *name, uint64_t *step)
{
    int end = 0;
    return sscanf(name, "checkpoint-%" SCNu64 ".safetensors%n", step, &end) == 1 && end && !name[end];
}

/* Names of the folder's checkpoints, newest first; *count of them; free each and the list. */
static char **list_checkpoints(const train_run *run, size_t *count)
{
    char **names = NULL;
    *count = 0;
    DIR *dir = opendir(run->folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        uint64_t step, other;
        if (!checkpoint_step(entry->d_name, &step))
            continue;
        char **grown = realloc(names, (*count + 1) * sizeof *grown);
        if (!grown)
            break;
        names = grown;
        size_t at = (*count)++;
        for (; at > 0 && checkpoint_step(names[at - 1], &other) && other < step; at--)
            names[at] = names[at - 1];
        names[at] = strdup(entry->d_name);
        if (!names[at]) {
            (*count)--;
            memmove(names + at, names + at + 1, (*count - at) * sizeof *names);
            break;
        }
    }
    if (dir)
        closedir(dir);
    return names;
}

/* What a killed process was writing. */
static void remove_leftovers(const train_run *run)
{
    DIR *dir = opendir(run->folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (!strstr(entry->d_name, ".safetensors.tmp-") && strncmp(entry->d_name, "config.json.tmp-", 16) != 0 &&
            strncmp(entry->d_name, "metrics.jsonl.tmp-", 18) != 0)
            continue;
        char *path = path_of(run->folder, entry->d_name);
        if (path)
            unlink(path);
        free(path);
    }
    if (dir)
        closedir(dir);
}

int folder_load_newest(train_run *run)
{
    size_t count, bad = 0;
    char **names = list_checkpoints(run, &count);
    int code = 0;
    actc_status status = ACTC_ERROR_CORRUPT;
    for (size_t i = 0; i < count && status == ACTC_ERROR_CORRUPT; i++) {
        char *path = path_of(run->folder, names[i]);
        status = path ? actc_network_load_checkpoint(run->network, path, &run->position) : ACTC_ERROR_OUT_OF_MEMORY;
        free(path);
        if (status == ACTC_ERROR_CORRUPT) {
            bad++;
            fprintf(stderr, "%s: warning: %s; an older checkpoint is taken\n", run->t->name, actc_error_message(run->context));
        } else if (status != ACTC_OK) {
            code = tool_failed(run->t, run->context);
        }
    }
    if (bad && bad == count)
        code = tool_fail(run->t, "--resume %s: all its checkpoints are damaged", run->folder);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    if (!code)
        remove_leftovers(run);
    return code;
}

int folder_save(train_run *run)
{
    if (!run->folder)
        return 0;
    char name[64];
    snprintf(name, sizeof name, "checkpoint-%010" PRIu64 ".safetensors", actc_network_step(run->network));
    char *path = path_of(run->folder, name);
    actc_status status = path ? actc_network_save_checkpoint(run->network, path, &run->position) : ACTC_ERROR_OUT_OF_MEMORY;
    free(path);
    if (status != ACTC_OK)
        return tool_failed(run->t, run->context);
    size_t count;
    char **names = list_checkpoints(run, &count);
    for (size_t i = 0; i < count; i++) {
        char *old = i >= KEPT_CHECKPOINTS ? path_of(run->folder, names[i]) : NULL;
        if (old)
            unlink(old);
        free(old);
        free(names[i]);
    }
    free(names);
    return 0;
}

int folder_save_model(train_run *run)
{
    if (!run->folder)
        return 0;
    char *path = path_of(run->folder, "model.safetensors");
    actc_status status = path ? actc_network_save_parameters(run->network, path) : ACTC_ERROR_OUT_OF_MEMORY;
    free(path);
    return status == ACTC_OK ? 0 : tool_failed(run->t, run->context);
}

/* ---- metrics.jsonl ---- */

/* Keeps the lines up to the network's step: those after it will be written anew. */
static int cut_metrics(const train_run *run, const char *path)
{
    char *text = read_text(path), *out = text;
    if (!text)
        return 0;
    for (char *line = text; *line;) {
        char *end = strchr(line, '\n');
        size_t length = end ? (size_t)(end - line) + 1 : strlen(line);
        char *next = line + length;
        cJSON *json = cJSON_ParseWithLength(line, length);
        const cJSON *step = cJSON_GetObjectItemCaseSensitive(json, "step");
        bool keep = end && cJSON_IsNumber(step) && step->valuedouble <= (double)actc_network_step(run->network);
        cJSON_Delete(json);
        if (keep) {
            memmove(out, line, length);
            out += length;
        }
        line = next;
    }
    *out = '\0';
    int code = replace_file(run, path, text);
    free(text);
    return code;
}

int folder_open_metrics(train_run *run)
{
    if (!run->folder)
        return 0;
    char *path = path_of(run->folder, "metrics.jsonl");
    int code = path ? cut_metrics(run, path) : tool_fail(run->t, "out of memory");
    if (!code) {
        run->metrics = fopen(path, "a");
        if (!run->metrics)
            code = tool_fail(run->t, "cannot write %s: %s", path, strerror(errno));
    }
    free(path);
    return code;
}

int folder_write_metrics(train_run *run, cJSON *line)
{
    if (!run->metrics) {
        cJSON_Delete(line);
        return 0;
    }
    if (!json_print(run->metrics, line, true))
        return tool_fail(run->t, "cannot write %s/metrics.jsonl: %s", run->folder, strerror(errno));
    return 0;
}
