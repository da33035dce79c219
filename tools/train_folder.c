/* train_folder.c: the run folder of actc-train.
 *
 *   config.json                       what the run was started with, and which images it sees
 *   metrics.jsonl                     a line every --log-every steps and every epoch
 *   checkpoint-STEP.safetensors       everything that is needed to go on; the last two are kept
 *   model.safetensors                 the parameters at the end
 *   lock                              while a process works on it (train_lock.c)
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
    {"deterministic", KEPT_NOTED}, {"size", KEPT_FIXED}, {"classes", KEPT_FIXED},       {"net-option", KEPT_FIXED},
    {"weights", KEPT_FREE},   {"weights-partial", KEPT_FIXED},
};
#define KEPT_COUNT (sizeof kept / sizeof *kept)

/* In config.json, of train_run.data_texts. */
static const char *const data_keys[2] = {"training-data", "test-data"};

char *folder_path(const char *folder, const char *name)
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

static void append(char **text, const char *key, const char *value)
{
    char *longer = malloc((*text ? strlen(*text) : 0) + strlen(key) + strlen(value) + 3);
    if (longer)
        sprintf(longer, "%s%s%s=%s", *text ? *text : "", *text ? " " : "", key, value);
    free(*text);
    *text = longer;
}

/* What the run is: all that decides its steps as it starts. A run keeps this text when some of it is changed later; its
 * checkpoints carry it, so that another run's are not taken for its own. */
static int identify(train_run *run)
{
    const cJSON *before = cJSON_GetObjectItemCaseSensitive(run->config, "run");
    if (before && !cJSON_IsString(before))
        return tool_fail(run->t, "%s/config.json is damaged: \"run\"", run->folder);
    if (before) {
        run->identity = strdup(before->valuestring);
    } else {
        append(&run->identity, "model", run->model->name);
        for (int fixed = 1; fixed >= 0 && run->identity; fixed--)
            for (size_t i = 0; i < KEPT_COUNT && run->identity; i++) {
                char buffer[40];
                const char *text = value_text(tool_find_option(run->t, kept[i].name), buffer, sizeof buffer);
                if (kept[i].as == (fixed ? KEPT_FIXED : KEPT_NOTED) && text)
                    append(&run->identity, kept[i].name, text);
            }
        for (int i = 0; i < 2 && run->identity; i++)
            append(&run->identity, data_keys[i], run->data_texts[i]);
    }
    return run->identity ? 0 : tool_fail(run->t, "out of memory");
}

/* Fills the texts of both data sets; those of a run that is resumed must be the same. */
static int check_data(train_run *run)
{
    for (int i = 0; i < 2; i++) {
        const actc_dataset *set = i ? run->test_set : run->train_set;
        uint32_t digest;
        if (actc_dataset_digest(set, &digest) != ACTC_OK)
            return tool_failed(run->t, run->context);
        char *text = run->data_texts[i];
        snprintf(text, sizeof run->data_texts[i], "%" PRId64 " images, crc32 %08" PRIx32, actc_dataset_size(set), digest);
        const cJSON *before = cJSON_GetObjectItemCaseSensitive(run->config, data_keys[i]);
        if (before && !cJSON_IsString(before))
            return tool_fail(run->t, "%s/config.json is damaged: \"%s\"", run->folder, data_keys[i]);
        if (before && strcmp(before->valuestring, text) != 0)
            return tool_fail(run->t, "--resume %s: its %s are %s, but those in %s are %s: a run cannot go on with other images",
                             run->folder, data_keys[i], before->valuestring, run->s->data_dir ? run->s->data_dir : run->s->data, text);
        if (run->config && !before)
            tool_note(run->t, "note: the run in %s does not say what its %s were, and they are not checked", run->folder,
                      data_keys[i]);
    }
    return 0;
}

int folder_identify(train_run *run)
{
    int code = check_data(run);
    return code ? code : identify(run);
}

/* {"bytes": "2f746d70ff"}: a text that is no UTF-8, in hexadecimal. */
static cJSON *bytes_item(const char *text)
{
    cJSON *item = cJSON_CreateObject();
    char *hex = malloc(2 * strlen(text) + 1);
    for (size_t i = 0; hex && i <= strlen(text); i++)
        sprintf(hex + 2 * i, text[i] ? "%02x" : "%.0x", (unsigned char)text[i]);
    if (hex)
        json_text(item, "bytes", hex);
    free(hex);
    return item;
}

/* The text of such an item, which lives in it from then on; NULL where it is damaged. */
static const char *bytes_text(cJSON *item)
{
    cJSON *hex = cJSON_GetObjectItemCaseSensitive(item, "bytes");
    size_t length = cJSON_IsString(hex) ? strlen(hex->valuestring) : 1;
    if (length % 2 || strspn(hex->valuestring, "0123456789abcdef") != length)
        return NULL;
    for (size_t i = 0; i < length / 2; i++) {
        unsigned byte;
        sscanf(hex->valuestring + 2 * i, "%2x", &byte);
        hex->valuestring[i] = (char)byte;
    }
    hex->valuestring[length / 2] = '\0';
    return hex->valuestring;
}

static bool is_path(const tool_option *o)
{
    return strcmp(o->name, "data-dir") == 0 || strcmp(o->name, "weights") == 0;
}

static cJSON *config_of(const train_run *run)
{
    cJSON *config = cJSON_CreateObject();
    json_text(config, "actc", actc_version());
    json_text(config, "model", run->model->name);
    for (size_t i = 0; i < KEPT_COUNT; i++) {
        const tool_option *o = tool_find_option(run->t, kept[i].name);
        char buffer[40];
        const char *text = value_text(o, buffer, sizeof buffer);
        char *absolute = text && is_path(o) ? realpath(text, NULL) : NULL;
        if (absolute) /* a run may be resumed from elsewhere */
            text = absolute;
        /* below what may be given lies what stands for "not given" */
        bool unset = o->type == TOOL_INT && (double)*(int64_t *)o->target < o->least;
        if (!text || unset)
            cJSON_AddNullToObject(config, o->name);
        else if (o->type == TOOL_FLAG || o->type == TOOL_INT || o->type == TOOL_REAL)
            cJSON_AddRawToObject(config, o->name, text);
        else if (!tool_is_utf8(text)) /* a path may be anything; JSON text may not */
            cJSON_AddItemToObject(config, o->name, bytes_item(text));
        else /* a seed, too: JSON readers hold numbers as doubles */
            json_text(config, o->name, text);
        free(absolute);
    }
    for (int i = 0; i < 2; i++)
        json_text(config, data_keys[i], run->data_texts[i]);
    json_text(config, "run", run->identity);
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
    char *text = cJSON_Print(config), *path = folder_path(run->folder, "config.json");
    int code = text && path ? replace_file(run, path, text) : tool_fail(run->t, "out of memory");
    cJSON_Delete(config);
    cJSON_free(text);
    free(path);
    return code;
}

/* NULL, or why it cannot be read: a FIFO would keep us waiting, and a folder can be opened. */
static const char *unreadable(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return strerror(errno);
    return S_ISREG(about.st_mode) ? NULL : S_ISDIR(about.st_mode) ? "it is a folder" : "it is no regular file";
}

/* NULL with *why where there is no text. */
static char *read_text(const char *path, const char **why)
{
    *why = unreadable(path);
    FILE *file = *why ? NULL : fopen(path, "r");
    char *text = NULL;
    if (!file) {
        *why = *why ? *why : strerror(errno);
        return NULL;
    }
    *why = "out of memory";
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
        tool_note(run->t, "note: --%s %s replaces '%s' of the run so far: it will not be as if it had never stopped", o->name,
                  now ? now : "", before ? before : "");
    return 0;
}

/* One option from the file. */
static int take_option(train_run *run, tool_option *o, kept_as as)
{
    cJSON *item = cJSON_GetObjectItemCaseSensitive(run->config, o->name);
    char buffer[40] = "";
    const char *text = NULL;
    if (cJSON_IsString(item)) {
        text = item->valuestring;
    } else if (cJSON_IsObject(item)) {
        text = bytes_text(item);
        if (!text)
            return tool_fail(run->t, "%s/config.json is damaged: \"%s\"", run->s->resume, o->name);
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

static int read_config(train_run *run)
{
    const char *why = "out of memory";
    char *path = folder_path(run->folder, "config.json"), *text = path ? read_text(path, &why) : NULL;
    free(path);
    if (!text)
        return tool_fail(run->t, "--resume %s: it holds no run: config.json cannot be read: %s", run->folder, why);
    cJSON_Delete(run->config);
    run->config = cJSON_Parse(text);
    free(text);
    return 0;
}

int folder_read_config(train_run *run)
{
    const char *folder = run->s->resume;
    run->folder = strdup(folder);
    /* once to see that there is a run, which a lock is put to, and once when nobody else can change it any more */
    int found = run->folder ? read_config(run) : tool_fail(run->t, "out of memory");
    if (!found)
        found = folder_lock(run, "resume");
    if (!found)
        found = read_config(run);
    if (found)
        return found;
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
    return 0;
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

/* runs/MODEL-DATE-TIME, with a number where that is taken: made here, so that no two runs find it free. */
static int make_default_folder(train_run *run)
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm local;
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", localtime_r(&now, &local));
    run->folder = malloc(strlen(run->model->name) + 64);
    int code = run->folder ? make_folders(run, "runs") : tool_fail(run->t, "out of memory");
    for (int i = 0; !code; i++) {
        sprintf(run->folder, i ? "runs/%s-%s-%d" : "runs/%s-%s", run->model->name, stamp, i);
        if (mkdir(run->folder, 0777) == 0)
            break;
        if (errno != EEXIST || i == 9999)
            code = tool_fail(run->t, "cannot make folder %s: %s ('--out none' keeps nothing)", run->folder, strerror(errno));
    }
    return code;
}

static int make_named_folder(train_run *run)
{
    run->folder = strdup(run->s->out);
    if (!run->folder)
        return tool_fail(run->t, "out of memory");
    if (!*run->folder)
        return tool_usage(run->t, "--out: a folder's name is needed, or 'none'");
    return make_folders(run, run->folder);
}

/* What a killed process was writing; before it had a config.json, that alone: the folder may hold files of others. */
static void remove_leftovers(const train_run *run, bool fresh)
{
    DIR *dir = opendir(run->folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        bool config = strncmp(entry->d_name, "config.json.tmp-", 16) == 0;
        bool later = strstr(entry->d_name, ".safetensors.tmp-") || strncmp(entry->d_name, "metrics.jsonl.tmp-", 18) == 0;
        if (!config && (fresh || !later))
            continue;
        char *path = folder_path(run->folder, entry->d_name);
        if (path)
            unlink(path);
        free(path);
    }
    if (dir)
        closedir(dir);
}

int folder_make(train_run *run)
{
    if (run->s->out && strcmp(run->s->out, "none") == 0)
        return 0;
    int code = run->s->out ? make_named_folder(run) : make_default_folder(run);
    if (!code)
        code = folder_lock(run, "out");
    if (code)
        return code;
    char *path = folder_path(run->folder, "config.json");
    bool taken = path && access(path, F_OK) == 0;
    const char *why = taken ? unreadable(path) : NULL;
    free(path);
    if (why)
        return tool_fail(run->t, "--out %s: its config.json cannot be read: %s; name another folder", run->folder, why);
    if (taken)
        return tool_fail(run->t, "--out %s: it holds a run already; go on with it by --resume %s, or name another folder",
                         run->folder, run->folder);
    remove_leftovers(run, true);
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

int folder_load_newest(train_run *run)
{
    size_t count, bad = 0;
    char **names = list_checkpoints(run, &count);
    int code = 0;
    actc_status status = ACTC_ERROR_CORRUPT;
    for (size_t i = 0; i < count && status == ACTC_ERROR_CORRUPT; i++) {
        char *path = folder_path(run->folder, names[i]);
        status = path ? actc_network_load_checkpoint(run->network, path, &run->position) : ACTC_ERROR_OUT_OF_MEMORY;
        free(path);
        if (status == ACTC_ERROR_CORRUPT) {
            bad++;
            tool_note(run->t, "warning: %s; an older checkpoint is taken", actc_error_message(run->context));
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
        remove_leftovers(run, false);
    return code;
}

int folder_save(train_run *run)
{
    if (!run->folder)
        return 0;
    char name[64];
    snprintf(name, sizeof name, "checkpoint-%010" PRIu64 ".safetensors", actc_network_step(run->network));
    char *path = folder_path(run->folder, name);
    actc_status status = path ? actc_network_save_checkpoint(run->network, path, &run->position) : ACTC_ERROR_OUT_OF_MEMORY;
    free(path);
    if (status != ACTC_OK)
        return tool_failed(run->t, run->context);
    size_t count;
    char **names = list_checkpoints(run, &count);
    for (size_t i = 0; i < count; i++) {
        char *old = i >= KEPT_CHECKPOINTS ? folder_path(run->folder, names[i]) : NULL;
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
    char *path = folder_path(run->folder, "model.safetensors");
    actc_status status = path ? actc_network_save_parameters(run->network, path) : ACTC_ERROR_OUT_OF_MEMORY;
    free(path);
    return status == ACTC_OK ? 0 : tool_failed(run->t, run->context);
}

/* ---- metrics.jsonl ---- */

/* Keeps the lines up to the network's step: those after it will be written anew. */
static int cut_metrics(const train_run *run, const char *path)
{
    const char *why;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return 0;
    char *text = read_text(path, &why), *out = text;
    if (!text)
        return tool_fail(run->t, "cannot read %s: %s", path, why);
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
    char *path = folder_path(run->folder, "metrics.jsonl");
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
