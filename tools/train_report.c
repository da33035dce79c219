/* train_report.c: what actc-train says at the end: accuracy, speed, memory, and how each saved tensor was kept.
 *
 * The relative error of a codec is that of restoring what the trained network saves for one batch of the training
 * data: a second network is prepared with options.capture, given the parameters, run for a step, and its dense values
 * packed and unpacked on the same device.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train.h"

/* The median of the whole epochs after the first, which warms up; else of what there is. */
static int by_speed(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double report_images_per_s(const train_run *run)
{
    double *speeds = calloc(run->rate_count + 1, sizeof *speeds), seconds = 0, images = 0;
    size_t count = 0;
    for (size_t i = 0; i < run->rate_count; i++) {
        images += (double)run->rates[i].images;
        seconds += run->rates[i].seconds;
        if (speeds && i > 0 && run->rates[i].whole)
            speeds[count++] = (double)run->rates[i].images / run->rates[i].seconds;
    }
    double speed = seconds > 0 ? images / seconds : 0;
    if (count) {
        qsort(speeds, count, sizeof *speeds, by_speed);
        speed = (speeds[(count - 1) / 2] + speeds[count / 2]) / 2;
    }
    free(speeds);
    return speed;
}

const char *report_accumulation(const train_run *run, char *text, size_t size)
{
    int64_t most = run->s->accumulate, an_epoch = actc_loader_batches(run->loader), rest = an_epoch % most;
    uint64_t end = run->total_steps % (uint64_t)an_epoch % (uint64_t)most; /* where the run ends within an epoch */
    int n = 0;
    *text = '\0';
    if (rest)
        n = snprintf(text, size, "%" PRId64 " batches an epoch are no multiple of --accumulate %" PRId64
                     ": an update with the mean of %" PRId64 " ends each", an_epoch, most, rest);
    if (end && n >= 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, "%sthe run ends within an epoch, at step %" PRIu64
                 ": an update with the mean of %" PRIu64 " ends it, which the model has and the checkpoint has not", n ? "; " : "",
                 run->total_steps, end);
    return *text ? text : NULL;
}

/* Slopes in a few bits, which an operator keeps instead of a tensor: there is nothing to compare them with. */
static bool is_derivative(const actc_saved_info *info)
{
    return !strncmp(info->codec, "derivative", 10);
}

static bool is_compressed(const actc_saved_info *info)
{
    return !is_derivative(info) && strcmp(info->codec, "none") != 0 && strcmp(info->codec, "mask") != 0 && strcmp(info->codec, "index") != 0 &&
           strcmp(info->codec, "own") != 0;
}

/* ---- relative errors ---- */

/* ||unpack(pack(x)) - x|| / ||x|| of one saved tensor of `network`; NaN where it cannot be had. */
static double relative_error(train_run *run, actc_network *network, size_t index, const actc_saved_info *info)
{
    actc_codec *codec = NULL;
    actc_codec_info about = {.size = sizeof about};
    double error = NAN;
    size_t elements = (size_t)actc_shape_elements(&info->shape);
    float *x = malloc(elements * sizeof *x), *restored = malloc(elements * sizeof *restored);
    void *payload = NULL;
    actc_codec_key key = {run->s->seed, actc_network_step(network), (uint32_t)index};
    if (x && restored && actc_codec_create(run->device, info->codec, &info->shape, &codec) == ACTC_OK &&
        actc_codec_info_get(codec, &about) == ACTC_OK && (payload = malloc(about.payload_bytes + 1)) != NULL &&
        actc_network_read_saved(network, index, x) == ACTC_OK && actc_codec_pack(codec, x, &key, payload) == ACTC_OK &&
        actc_codec_unpack(codec, payload, &key, restored) == ACTC_OK) {
        double difference = 0, norm = 0;
        for (size_t i = 0; i < elements; i++) {
            double d = (double)restored[i] - (double)x[i];
            difference += d * d;
            norm += (double)x[i] * (double)x[i];
        }
        error = norm > 0 ? sqrt(difference / norm) : difference > 0 ? (double)INFINITY : 0;
    } else {
        tool_failed(run->t, run->context);
    }
    actc_codec_destroy(&codec);
    free(payload);
    free(restored);
    free(x);
    return error;
}

/* The trained parameters into `network`; one step on the next batch, which fills what it captures. */
static actc_status capture(train_run *run, actc_network *network)
{
    actc_status status = actc_network_initialize(network);
    for (size_t i = 0; i < actc_network_state_count(network) && status == ACTC_OK; i++) {
        actc_state_info info = {.size = sizeof info};
        status = actc_network_state_info(network, i, &info);
        if (status != ACTC_OK || info.kind != ACTC_STATE_PARAMETER)
            continue;
        float *values = malloc((size_t)actc_shape_elements(&info.shape) * sizeof *values);
        if (!values)
            return ACTC_ERROR_OUT_OF_MEMORY;
        status = actc_network_read_state(run->network, i, values);
        if (status == ACTC_OK)
            status = actc_network_write_state(network, i, values);
        free(values);
    }
    if (status == ACTC_OK)
        status = actc_loader_seek(run->loader, run->position.epoch, run->position.index);
    actc_batch batch = {.size = sizeof batch};
    actc_binding bindings[TRAIN_INPUTS];
    if (status == ACTC_OK)
        status = actc_loader_next(run->loader, &batch);
    if (status != ACTC_OK)
        return status;
    data_bind(&batch, bindings);
    return actc_network_train(network, bindings, TRAIN_INPUTS, 0, NULL);
}

/* An array of errors, 0 for what is kept exactly and NaN where it is not known; NULL when out of memory. */
static double *measure_errors(train_run *run)
{
    size_t count = actc_network_saved_count(run->network), compressed = 0;
    double *errors = calloc(count + 1, sizeof *errors);
    for (size_t i = 0; errors && i < count; i++) {
        actc_saved_info info = {.size = sizeof info};
        bool lossy = actc_network_saved_info(run->network, i, &info) == ACTC_OK && is_compressed(&info);
        errors[i] = lossy || is_derivative(&info) ? NAN : 0;
        compressed += lossy;
    }
    if (!errors || !compressed)
        return errors;
    actc_network_options options = run->options;
    options.capture = true;
    options.eval_batch = 0;
    options.accumulate = 1;
    actc_network *network = NULL;
    actc_status status = actc_network_create(run->device, run->graph, &options, &network);
    if (status == ACTC_OK)
        status = capture(run, network);
    if (status != ACTC_OK)
        tool_note(run->t, "note: relative errors are not measured: %s", actc_error_message(run->context));
    for (size_t i = 0; i < count && status == ACTC_OK && i < actc_network_saved_count(network); i++) {
        actc_saved_info info = {.size = sizeof info};
        status = actc_network_saved_info(network, i, &info);
        if (status == ACTC_OK && is_compressed(&info))
            errors[i] = relative_error(run, network, i, &info);
    }
    actc_network_destroy(&network);
    return errors;
}

/* ---- text ---- */

static void print_memory(const train_run *run, const actc_memory_report *m)
{
    tool_table table = {.align = "lr"};
    fprintf(run->text, "\nmemory at the peak (%s)\n", m->peak_at);
    for (int c = 0; c < ACTC_MEMORY_CATEGORIES; c++) {
        tool_table_add(&table, "%s", actc_memory_category_string((actc_memory_category)c));
        tool_table_add(&table, "%s", BYTES_TEXT(m->category_bytes[c]));
    }
    tool_table_add(&table, "alignment and holes");
    tool_table_add(&table, "%s", BYTES_TEXT(m->slack_bytes));
    tool_table_add(&table, "planned");
    tool_table_add(&table, "%s", BYTES_TEXT(m->planned_bytes));
    tool_table_add(&table, "allocated");
    tool_table_add(&table, "%s", BYTES_TEXT(m->allocated_bytes));
    tool_table_add(&table, "planned without compression");
    tool_table_add(&table, "%s", BYTES_TEXT(m->planned_bytes_uncompressed));
    tool_table_print(run->text, &table);
    double change = 100.0 * ((double)m->planned_bytes / (double)m->planned_bytes_uncompressed - 1);
    if (m->saved_uncompressed_bytes)
        fprintf(run->text, "compression: saved tensors %s instead of %s, the peak %+.1f %%\n", BYTES_TEXT(m->saved_payload_bytes),
                BYTES_TEXT(m->saved_uncompressed_bytes), change);
}

static void print_saved(const train_run *run, const double *errors)
{
    tool_table table = {.align = "llllrrrr"};
    fprintf(run->text, "\ntensors saved for the backward pass, and the operators that read them, which is what rules match\n");
    static const char *const heads[] = {"tensor", "saved by", "for", "kept as", "dense", "kept", "ratio", "relative error"};
    for (int i = 0; i < 8; i++)
        tool_table_add(&table, "%s", heads[i]);
    for (size_t i = 0; i < actc_network_saved_count(run->network); i++) {
        actc_saved_info info = {.size = sizeof info};
        if (actc_network_saved_info(run->network, i, &info) != ACTC_OK)
            continue;
        tool_table_add(&table, "%s", info.name);
        tool_table_add(&table, "%s", info.readers);
        tool_table_add(&table, "%s", actc_saved_use_string(info.use));
        tool_table_add(&table, "%s", strcmp(info.codec, "none") == 0 ? "dense" : info.codec);
        tool_table_add(&table, "%s", BYTES_TEXT(info.dense_bytes));
        tool_table_add(&table, "%s", BYTES_TEXT(info.payload_bytes));
        if (info.payload_bytes)
            tool_table_add(&table, "%.2f", (double)info.dense_bytes / (double)info.payload_bytes);
        else
            tool_table_add(&table, "-");
        if (errors && !isnan(errors[i]))
            tool_table_add(&table, errors[i] == 0 ? "exact" : "%.4g", errors[i]);
        else
            tool_table_add(&table, "-");
    }
    tool_table_print(run->text, &table);
}

static void print_text(const train_run *run, const actc_memory_report *memory, const double *errors, const train_cost *cost)
{
    char test[TRAIN_TEST_TEXT];
    fprintf(run->text, "\n%s  %.0f images/s  %s in all\n", train_test_text(run, test), report_images_per_s(run),
            TIME_TEXT(tool_now() - run->started));
    if (cost->measured)
        fprintf(run->text, "deterministic: a step at %.0f images/s, the fast mode's at %.0f: %.2f times the time\n",
                cost->deterministic, cost->fast, cost->fast / cost->deterministic);
    print_memory(run, memory);
    print_saved(run, errors);
    if (run->folder)
        fprintf(run->text, "\nkept in %s\n", run->folder);
}

/* ---- JSON ---- */

static void add_memory(cJSON *json, const actc_memory_report *m)
{
    json_u64(json, "planned_bytes", m->planned_bytes);
    json_u64(json, "allocated_bytes", m->allocated_bytes);
    json_u64(json, "planned_bytes_uncompressed", m->planned_bytes_uncompressed);
    json_u64(json, "saved_kept_dense_bytes", m->saved_kept_dense_bytes);
    json_u64(json, "saved_payload_bytes", m->saved_payload_bytes);
    json_u64(json, "saved_mask_bytes", m->saved_mask_bytes);
    json_u64(json, "saved_uncompressed_bytes", m->saved_uncompressed_bytes);
    json_u64(json, "segments_per_step", m->segments_per_step);
    json_u64(json_categories(json, "peak_bytes", m->category_bytes), "slack", m->slack_bytes);
    json_text(json, "peak_at", m->peak_at);
}

static void add_tensors(cJSON *json, const train_run *run, const double *errors)
{
    cJSON *tensors = cJSON_AddArrayToObject(json, "tensors");
    for (size_t i = 0; i < actc_network_saved_count(run->network); i++) {
        actc_saved_info info = {.size = sizeof info};
        if (actc_network_saved_info(run->network, i, &info) != ACTC_OK)
            continue;
        cJSON *tensor = cJSON_CreateObject();
        json_text(tensor, "name", info.name);
        json_text(tensor, "codec", info.codec);
        json_text(tensor, "note", info.note);
        json_text(tensor, "use", actc_saved_use_string(info.use));
        json_text(tensor, "readers", info.readers);
        cJSON *shape = cJSON_AddArrayToObject(tensor, "shape");
        for (int d = 0; d < info.shape.ndim; d++)
            cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)info.shape.dims[d]));
        json_u64(tensor, "dense_bytes", info.dense_bytes);
        json_u64(tensor, "payload_bytes", info.payload_bytes);
        json_f64(tensor, "relative_error", errors ? errors[i] : NAN);
        cJSON_AddItemToArray(tensors, tensor);
    }
}

static bool print_json(const train_run *run, const actc_memory_report *memory, const double *errors, const train_cost *cost)
{
    const actc_device_info *device = actc_device_get_info(run->device);
    cJSON *json = cJSON_CreateObject();
    json_text(json, "actc", actc_version());
    json_text(json, "model", run->model->name);
    json_text(json, "data", run->s->data);
    json_text(json, "device", device->spec);
    json_text(json, "device_name", device->name);
    json_text(json, "driver", device->driver);
    json_text(json, "compress", run->s->compress ? run->s->compress : "");
    if (run->folder)
        json_text(json, "out", run->folder);
    json_u64(json, "seed", run->s->seed);
    json_u64(json, "steps", actc_network_step(run->network));
    json_u64(json, "updates", actc_network_updates(run->network));
    json_f64(json, "test_accuracy", run->test_accuracy);
    json_f64(json, "test_loss", run->test_loss);
    json_f64(json, "images_per_s", report_images_per_s(run));
    cJSON_AddBoolToObject(json, "deterministic", run->s->deterministic);
    if (cost->measured) {
        json_f64(json, "images_per_s_deterministic", cost->deterministic);
        json_f64(json, "images_per_s_fast", cost->fast);
    }
    json_f64(json, "seconds", tool_now() - run->started);
    cJSON *loss = cJSON_AddArrayToObject(json, "loss");
    for (size_t i = 0; i < run->loss_count; i++)
        cJSON_AddItemToArray(loss, json_f32_item(run->losses[i]));
    add_memory(json, memory);
    add_tensors(json, run, errors);
    cJSON *notes = cJSON_AddArrayToObject(json, "notes");
    for (size_t i = 0; actc_network_note(run->network, i); i++)
        cJSON_AddItemToArray(notes, json_text_item(actc_network_note(run->network, i)));
    char text[320];
    if (report_accumulation(run, text, sizeof text))
        cJSON_AddItemToArray(notes, json_text_item(text));
    return json_print(tool_output(), json, false);
}

int report(train_run *run)
{
    actc_memory_report memory = {.size = sizeof memory};
    if (actc_network_memory(run->network, &memory) != ACTC_OK)
        return tool_failed(run->t, run->context);
    double *errors = measure_errors(run);
    train_cost cost = run->s->deterministic && actc_network_step(run->network) - run->first_step >= TRAIN_COST_STEPS
                          ? deterministic_cost(run) : (train_cost){0};
    bool good = true;
    if (strcmp(run->s->format, "json") == 0)
        good = print_json(run, &memory, errors, &cost);
    else
        print_text(run, &memory, errors, &cost);
    free(errors);
    return good ? 0 : tool_output_failed(run->t);
}
