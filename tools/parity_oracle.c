/* parity_oracle.c: one training step of a network against what PyTorch computed in float64 (--oracle). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common_network.h"
#include "parity.h"

#define LOSS_BOUND 1e-5
#define BUFFER_BOUND 1e-5   /* of all running statistics together */
#define GRADIENT_BOUND 1e-5 /* where the file does not say what PyTorch's own float32 is off by */
#define FACTOR 2            /* of what PyTorch's own float32 is off by */
#define SHOWN_TENSORS 10
#define ORACLE_INPUTS 4

/* One tensor's distance from float64. */
typedef struct distance {
    const char *name; /* the network's */
    double error, norm; /* squares of the L2 norms of the difference and of what is right */
    int64_t count;
    double relative;
} distance;

typedef struct distances {
    distance *all;
    size_t count;
    double relative; /* L2, of all together */
} distances;

typedef struct oracle {
    parity_session *s;
    actc_safetensors *file;
    actc_graph *graph;
    const actc_model *model;
    actc_model_config config;
    actc_shape input_shape, output_shape;
    actc_binding bindings[ORACLE_INPUTS];
    double loss, torch; /* torch: PyTorch's own gradients in float32; negative where the file does not say */
    double bound;       /* of the gradients */
    bool rounded;       /* a value that is no float32 was met */
} oracle;

/* What one device made of it. */
typedef struct outcome {
    double loss, loss_relative, output_relative; /* output_relative: negative where the output cannot be read */
    distances gradients, buffers;
    bool good;
} outcome;

/* ---- the file ---- */

/* A name that the file has, with this shape (NULL: any). 0, or the exit code after a message that names it. */
static int expect(const oracle *o, const char *name, const actc_shape *wanted, actc_shape *shape)
{
    const parity_session *s = o->s;
    char got_text[80], wanted_text[80];
    actc_shape got;
    actc_status status = actc_safetensors_read_f64(o->file, name, &got, NULL);
    if (status == ACTC_ERROR_NOT_FOUND)
        return tool_usage(s->t, "--oracle %s: there is no tensor '%s'", s->oracle, name);
    if (status != ACTC_OK)
        return tool_usage(s->t, "--oracle %s", actc_error_message(s->context));
    bool same = !wanted || got.ndim == wanted->ndim;
    for (int d = 0; wanted && same && d < got.ndim; d++)
        same = got.dims[d] == wanted->dims[d];
    if (!same)
        return tool_usage(s->t, "--oracle %s: '%s' has the shape (%s); %s has (%s)", s->oracle, name,
                          tool_shape_text(&got, got_text, sizeof got_text), o->model->name,
                          tool_shape_text(wanted, wanted_text, sizeof wanted_text));
    if (shape)
        *shape = got;
    return 0;
}

/* The values of a tensor that was met with by expect; NULL after a message. */
static double *values_of(const oracle *o, const char *name)
{
    actc_shape shape;
    double *values = NULL;
    if (actc_safetensors_read_f64(o->file, name, &shape, NULL) == ACTC_OK)
        values = malloc(((size_t)actc_shape_elements(&shape) + 1) * sizeof *values);
    if (!values || actc_safetensors_read_f64(o->file, name, NULL, values) != ACTC_OK) {
        tool_fail(o->s->t, "out of memory");
        free(values);
        return NULL;
    }
    return values;
}

/* The same in float32. */
static float *floats_of(oracle *o, const char *name, int64_t count)
{
    double *values = values_of(o, name);
    float *floats = values ? malloc(((size_t)count + 1) * sizeof *floats) : NULL;
    if (values && !floats)
        tool_fail(o->s->t, "out of memory");
    for (int64_t i = 0; floats && i < count; i++) {
        floats[i] = (float)values[i];
        if ((double)floats[i] != values[i] && !o->rounded) {
            tool_note(o->s->t, "'%s' holds values that float32 does not: what their rounding changes is counted as ours", name);
            o->rounded = true;
        }
    }
    free(values);
    return floats;
}

/* What the network is given under this name, as the graph declares it: f32, or i32 classes. 0, or the exit code after a message. */
static int read_input(oracle *o, size_t index)
{
    actc_input_info info = {.size = sizeof info};
    if (actc_graph_input_info(o->graph, index, &info) != ACTC_OK)
        return tool_failed(o->s->t, o->s->context);
    actc_shape shape = info.shape;
    shape.dims[0] = o->input_shape.dims[0];
    int code = expect(o, info.name, &shape, NULL);
    if (code)
        return code;
    const int64_t count = actc_shape_elements(&shape), positions = count / shape.dims[0];
    float *floats = info.dtype == ACTC_F32 ? floats_of(o, info.name, count) : NULL;
    o->bindings[index] = (actc_binding){info.name, floats};
    if (info.dtype == ACTC_F32)
        return floats ? 0 : TOOL_FAILURE;
    double *values = values_of(o, info.name);
    int32_t *labels = malloc(((size_t)count + 1) * sizeof *labels);
    o->bindings[index].data = labels;
    if (!values || !labels)
        code = values ? tool_fail(o->s->t, "out of memory") : TOOL_FAILURE;
    for (int64_t i = 0; i < count && !code; i++) {
        if (values[i] >= 0 && values[i] < (double)o->config.classes && values[i] == floor(values[i])) {
            labels[i] = (int32_t)values[i];
            continue;
        }
        char where[48] = "";
        if (positions > 1)
            snprintf(where, sizeof where, ", position %lld", (long long)(i % positions));
        code = tool_usage(o->s->t, "--oracle %s: '%s' holds %g for sample %lld%s; %s has the classes 0 to %lld", o->s->oracle, info.name,
                          values[i], (long long)(i / positions), where, o->model->name, (long long)o->config.classes - 1);
    }
    free(values);
    return code;
}

/* The model's option "loss" as the metadata's 'loss_kind' has it, where neither is missing and the command line says nothing. */
static void choose_loss(oracle *o)
{
    static const char *const kinds[] = {"ce", "dice", "dice_softmax"};
    const char *kind = actc_safetensors_metadata(o->file, "loss_kind");
    for (int i = 0; kind && i < ACTC_MODEL_MAX_OPTIONS && o->model->options[i].name; i++)
        for (int k = 0; k < 3 && !strcmp(o->model->options[i].name, "loss"); k++)
            if (!strcmp(kind, kinds[k]) && o->config.options[i] == o->model->options[i].usual)
                o->config.options[i] = k;
}

/* The network of the metadata, for the shapes of input and output, and without dropout: its masks are nobody else's. */
static int choose_network(oracle *o)
{
    parity_session *s = o->s;
    const char *name = s->oracle_net ? s->oracle_net : actc_safetensors_metadata(o->file, "net");
    if (!name)
        return tool_usage(s->t, "--oracle %s: its metadata have no 'net'; --net names the network", s->oracle);
    const tool_network net = {.settings = s->oracle_settings};
    int code = tool_choose_network(s->t, name, &net, &o->model, &o->config);
    if (code)
        return code;
    for (int i = 0; i < ACTC_MODEL_MAX_OPTIONS && o->model->options[i].name; i++) {
        if (strcmp(o->model->options[i].name, "dropout") != 0)
            continue;
        if (o->config.options[i] != 0 && o->config.options[i] != o->model->options[i].usual)
            return tool_usage(s->t, "--net-option %s: --oracle compares without dropout", s->oracle_settings);
        o->config.options[i] = 0;
    }
    const actc_shape *usual = &o->model->usual.sample;
    if ((code = expect(o, "input", NULL, &o->input_shape)) || (code = expect(o, "output", NULL, &o->output_shape)))
        return code;
    actc_shape wanted = {.ndim = usual->ndim + 1, .dims = {o->input_shape.dims[0]}};
    for (int d = 0; d < usual->ndim; d++)
        wanted.dims[d + 1] = o->model->fixed || o->input_shape.ndim != wanted.ndim ? usual->dims[d] : o->input_shape.dims[d + 1];
    if (o->config.sample.dims[0] != usual->dims[0]) /* --net-option channels=N */
        wanted.dims[1] = o->config.sample.dims[0];
    if ((code = expect(o, "input", &wanted, NULL)))
        return code;
    if (actc_shape_elements(&o->input_shape) < 1 || o->input_shape.dims[0] > INT32_MAX)
        return tool_usage(s->t, "--oracle %s: 'input' holds no samples or too many", s->oracle);
    memcpy(o->config.sample.dims, o->input_shape.dims + 1, (size_t)usual->ndim * sizeof *usual->dims);
    const int64_t usual_classes = o->model->usual.classes; /* 0: it has none */
    o->config.classes = o->model->fixed || !usual_classes || o->output_shape.ndim < 2 ? usual_classes : o->output_shape.dims[1];
    if (o->config.classes > 1 << 20 || (o->config.classes < 1 && usual_classes))
        return tool_usage(s->t, "--oracle %s: 'output' is of %lld classes; 1 to %d are accepted", s->oracle,
                          (long long)o->config.classes, 1 << 20);
    choose_loss(o);
    return 0;
}

/* A row of classes a sample, or a map of them or of colours whose sizes are those of what it is compared with. */
static int expect_output(const oracle *o)
{
    const int axes = o->model->usual.sample.ndim - 1;
    actc_shape output = {2, {o->input_shape.dims[0], o->config.classes ? o->config.classes : o->input_shape.dims[1]}};
    for (size_t i = 0; o->model->maps && i < actc_graph_input_count(o->graph); i++) {
        actc_input_info info = {.size = sizeof info};
        if (actc_graph_input_info(o->graph, i, &info) != ACTC_OK)
            return tool_failed(o->s->t, o->s->context);
        if (strcmp(info.name, "label") != 0)
            continue;
        output.ndim = 2 + axes;
        memcpy(output.dims + 2, info.shape.dims + info.shape.ndim - axes, (size_t)axes * sizeof *output.dims);
    }
    return expect(o, "output", &output, NULL);
}

static int read_file(oracle *o)
{
    static const char key[] = "pytorch_f32_gradient_relative_l2";
    parity_session *s = o->s;
    if (actc_safetensors_open(s->context, s->oracle, &o->file) != ACTC_OK)
        return tool_usage(s->t, "--oracle: %s", actc_error_message(s->context));
    int code = choose_network(o);
    if (!code && actc_graph_create(s->context, o->model->name, &o->graph) != ACTC_OK)
        return tool_failed(s->t, s->context);
    if (!code)
        o->model->build(o->graph, &o->config);
    if (!code && actc_graph_status(o->graph) != ACTC_OK)
        return tool_usage(s->t, "--oracle %s: %s", s->oracle, actc_error_message(s->context));
    if (!code)
        code = expect_output(o);
    for (size_t i = 0; !code && i < actc_graph_input_count(o->graph) && i < ORACLE_INPUTS; i++)
        code = read_input(o, i);
    if (!code)
        code = expect(o, "loss", &(actc_shape){0}, NULL);
    if (code)
        return code;
    const char *torch = actc_safetensors_metadata(o->file, key);
    o->torch = -1;
    if (torch && (!tool_parse_real(torch, &o->torch) || o->torch < 0))
        return tool_usage(s->t, "--oracle %s: '%s' of its metadata is '%s', no number of at least 0", s->oracle, key, torch);
    o->bound = torch ? FACTOR * o->torch : GRADIENT_BOUND;
    actc_safetensors_read_f64(o->file, "loss", NULL, &o->loss);
    return 0;
}

/* ---- the network's tensors and the file's ---- */

/* The prefixes under which the file has the tensors of a kind; a gradient's name brings its own. */
static const char *const prefixes[] = {
    [ACTC_STATE_PARAMETER] = "param.", [ACTC_STATE_GRADIENT] = "", [ACTC_STATE_BUFFER] = "buffer."};

static char *file_name(const char *prefix, const char *name, char *text, size_t size)
{
    snprintf(text, size, "%s%s", prefix, name);
    return text;
}
#define FILE_NAME(prefix, name) file_name((prefix), (name), (char[512]){0}, 512)

/* Every tensor of the network in the file; and none in it that the network does not have: another one of the same names. */
static int check_names(const oracle *o, actc_network *network)
{
    const parity_session *s = o->s;
    size_t count = actc_network_state_count(network);
    actc_state_info info;
    int code = 0;
    for (size_t i = 0; i < count && !code; i++) {
        if (actc_network_state_info(network, i, &info) != ACTC_OK)
            return tool_failed(s->t, s->context);
        if (info.kind == ACTC_STATE_OPTIMIZER)
            continue;
        code = expect(o, FILE_NAME(prefixes[info.kind], info.name), &info.shape, NULL);
        if (!code && info.kind == ACTC_STATE_BUFFER)
            code = expect(o, FILE_NAME("buffer_after.", info.name), &info.shape, NULL);
    }
    const char *name;
    for (size_t n = 0; !code && (name = actc_safetensors_name(o->file, n)); n++) {
        const char *dot = strrchr(name, '.');
        bool buffer = strncmp(name, "buffer.", 7) == 0, known = false;
        if ((!buffer && strncmp(name, "param.", 6) != 0) || (buffer && strcmp(dot, ".num_batches_tracked") == 0))
            continue;
        for (size_t i = 0; i < count && !known; i++)
            known = actc_network_state_info(network, i, &info) == ACTC_OK &&
                    info.kind == (buffer ? ACTC_STATE_BUFFER : ACTC_STATE_PARAMETER) &&
                    strcmp(info.name, strchr(name, '.') + 1) == 0;
        if (!known)
            code = tool_usage(s->t, "--oracle %s: '%s' is none of %s's tensors", s->oracle, name, o->model->name);
    }
    return code;
}

static int load(oracle *o, actc_network *network)
{
    for (size_t i = 0; i < actc_network_state_count(network); i++) {
        actc_state_info info;
        if (actc_network_state_info(network, i, &info) != ACTC_OK)
            return tool_failed(o->s->t, o->s->context);
        if (info.kind != ACTC_STATE_PARAMETER && info.kind != ACTC_STATE_BUFFER)
            continue;
        float *values = floats_of(o, FILE_NAME(prefixes[info.kind], info.name), actc_shape_elements(&info.shape));
        if (!values)
            return TOOL_FAILURE;
        actc_status status = actc_network_write_state(network, i, values);
        free(values);
        if (status != ACTC_OK)
            return tool_failed(o->s->t, o->s->context);
    }
    return 0;
}

/* ---- comparing ---- */

static bool add_distance(const oracle *o, const char *in_file, const float *got, distance *d)
{
    double *want = values_of(o, in_file);
    if (!want)
        return false;
    d->error = d->norm = 0;
    for (int64_t k = 0; k < d->count; k++) {
        d->error += (got[k] - want[k]) * (got[k] - want[k]);
        d->norm += want[k] * want[k];
    }
    free(want);
    return true;
}

static double relative_l2(double error, double norm)
{
    return error == 0 ? 0 : sqrt(error / norm);
}

static int further_first(const void *a, const void *b)
{
    const distance *x = a, *y = b;
    return x->relative != y->relative ? (x->relative > y->relative ? -1 : 1) : strcmp(x->name, y->name);
}

/* Sorts by each tensor's own relative distance. A tensor that is 0 but for rounding (a bias before a normalisation) would
 * always be the worst: none counts as smaller than a thousandth of what all are on average. */
static void rank(distances *list)
{
    double error = 0, norm = 0;
    int64_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        error += list->all[i].error;
        norm += list->all[i].norm;
        count += list->all[i].count;
    }
    list->relative = relative_l2(error, norm);
    for (size_t i = 0; i < list->count; i++) {
        distance *d = &list->all[i];
        d->relative = relative_l2(d->error, fmax(d->norm, 1e-6 * norm * (double)d->count / (double)count));
    }
    if (list->count)
        qsort(list->all, list->count, sizeof *list->all, further_first);
}

static int compare(const oracle *o, actc_network *network, actc_state_kind kind, distances *list)
{
    size_t count = actc_network_state_count(network);
    list->all = calloc(count + 1, sizeof *list->all);
    for (size_t i = 0; i < count && list->all; i++) {
        actc_state_info info;
        if (actc_network_state_info(network, i, &info) != ACTC_OK)
            return tool_failed(o->s->t, o->s->context);
        if (info.kind != kind)
            continue;
        distance *d = &list->all[list->count++];
        *d = (distance){.name = info.name, .count = actc_shape_elements(&info.shape)};
        float *got = malloc((size_t)d->count * sizeof *got);
        int code = !got ? tool_fail(o->s->t, "out of memory")
                   : actc_network_read_state(network, i, got) != ACTC_OK ? tool_failed(o->s->t, o->s->context) : 0;
        if (!code && !add_distance(o, FILE_NAME(kind == ACTC_STATE_BUFFER ? "buffer_after." : "", info.name), got, d))
            code = TOOL_FAILURE;
        free(got);
        if (code)
            return code;
    }
    if (!list->all)
        return tool_fail(o->s->t, "out of memory");
    rank(list);
    return 0;
}

/* The output of a training step can be read where it is saved for the backward pass: the last such tensor of its shape. */
static int compare_output(const oracle *o, actc_network *network, double *relative)
{
    *relative = -1;
    for (size_t i = actc_network_saved_count(network); i-- > 0;) {
        actc_saved_info info = {.size = sizeof info};
        if (actc_network_saved_info(network, i, &info) != ACTC_OK)
            return tool_failed(o->s->t, o->s->context);
        bool same = info.use != ACTC_SAVED_EXACT && info.shape.ndim == 2 && info.shape.dims[0] == o->output_shape.dims[0] &&
                    info.shape.dims[1] == o->output_shape.dims[1] && strcmp(info.codec, "own") != 0 &&
                    strncmp(info.codec, "derivative", 10) != 0;
        if (!same)
            continue;
        distance d = {.count = actc_shape_elements(&info.shape)};
        float *got = malloc((size_t)d.count * sizeof *got);
        int code = !got ? tool_fail(o->s->t, "out of memory")
                   : actc_network_read_saved(network, i, got) != ACTC_OK ? tool_failed(o->s->t, o->s->context) : 0;
        if (!code && !add_distance(o, "output", got, &d))
            code = TOOL_FAILURE;
        free(got);
        *relative = relative_l2(d.error, d.norm);
        return code;
    }
    return 0;
}

static int run_on(oracle *o, actc_device *device, bool first, actc_network **network, outcome *out)
{
    parity_session *s = o->s;
    actc_network_options options = actc_network_options_default();
    actc_step_result result = {.size = sizeof result};
    options.train_batch = o->input_shape.dims[0];
    options.optimizer = actc_optimizer_options_default(ACTC_OPTIMIZER_SGD);
    options.capture = true;
    actc_status status = actc_network_create(device, o->graph, &options, network);
    if (status == ACTC_ERROR_INVALID_ARGUMENT) /* of shapes that the network cannot have */
        return tool_usage(s->t, "--oracle %s: %s", s->oracle, actc_error_message(s->context));
    if (status != ACTC_OK)
        return tool_failed(s->t, s->context);
    int code = first ? check_names(o, *network) : 0;
    if (!code && actc_network_initialize(*network) != ACTC_OK)
        return tool_failed(s->t, s->context);
    if (!code)
        code = load(o, *network);
    if (!code && actc_network_train(*network, o->bindings, actc_graph_input_count(o->graph), 0, &result) != ACTC_OK)
        return tool_failed(s->t, s->context);
    if (!code)
        code = compare(o, *network, ACTC_STATE_GRADIENT, &out->gradients);
    if (!code)
        code = compare(o, *network, ACTC_STATE_BUFFER, &out->buffers);
    if (!code)
        code = compare_output(o, *network, &out->output_relative);
    out->loss = result.loss;
    out->loss_relative = result.loss == o->loss ? 0 : fabs(result.loss - o->loss) / fabs(o->loss);
    out->good = out->gradients.relative <= o->bound && out->loss_relative <= LOSS_BOUND && out->buffers.relative <= BUFFER_BOUND;
    return code;
}

/* ---- the report ---- */

static void add_worst(cJSON *json, const char *key, const distances *list)
{
    if (!list->count) {
        cJSON_AddNullToObject(json, key);
        return;
    }
    cJSON *worst = cJSON_AddObjectToObject(json, key);
    json_text(worst, "name", list->all[0].name);
    json_f64(worst, "value", list->all[0].relative);
}

static void add_outcome(cJSON *json, const outcome *out)
{
    json_f64(json, "loss", out->loss);
    json_f64(json, "loss_relative", out->loss_relative);
    json_f64(json, "gradient_relative_l2", out->gradients.relative);
    add_worst(json, "worst", &out->gradients);
    json_f64(json, "buffer_relative_l2", out->buffers.relative);
    add_worst(json, "worst_buffer", &out->buffers);
    if (out->output_relative >= 0)
        json_f64(json, "output_relative_l2", out->output_relative);
    else
        cJSON_AddNullToObject(json, "output_relative_l2");
    cJSON_AddBoolToObject(json, "passed", out->good);
}

static void print_worst(FILE *to, const char *title, const distances *list)
{
    tool_table table = {.align = "lrr"};
    if (!list->count)
        return;
    tool_table_add(&table, "%s", title);
    tool_table_add(&table, "relative L2");
    tool_table_add(&table, "elements");
    for (size_t i = 0; i < list->count && i < SHOWN_TENSORS; i++) {
        tool_table_add(&table, "%s", list->all[i].name);
        tool_table_add(&table, "%.2e", list->all[i].relative);
        tool_table_add(&table, "%lld", (long long)list->all[i].count);
    }
    tool_table_print(to, &table);
}

static void print_outcome(const oracle *o, const char *device, const outcome *out)
{
    FILE *to = tool_output();
    char torch[80] = "", output[80] = "";
    if (o->torch >= 0)
        snprintf(torch, sizeof torch, ", PyTorch's own float32 %.2e", o->torch);
    if (out->output_relative >= 0)
        snprintf(output, sizeof output, "; output %.2e", out->output_relative);
    tool_line(to, "%s %s: loss %.9g, %.2e from %.9g (at most %.0e); gradients %.2e (at most %.2e%s); running statistics %.2e "
              "(at most %.0e)%s", out->good ? "passed" : "FAILED", device, out->loss, out->loss_relative, o->loss, LOSS_BOUND,
              out->gradients.relative, o->bound, torch, out->buffers.relative, BUFFER_BOUND, output);
    print_worst(to, "worst gradients", &out->gradients);
    if (!out->good)
        print_worst(to, "worst running statistics", &out->buffers);
}

static bool print_json(const oracle *o, const outcome *worst, cJSON *devices)
{
    const parity_session *s = o->s;
    char shape[80];
    cJSON *json = cJSON_CreateObject();
    json_text(json, "actc", actc_version());
    json_text(json, "oracle", s->oracle);
    if (o->model) {
        json_text(json, "net", o->model->name);
        cJSON_AddNumberToObject(json, "batch", (double)o->input_shape.dims[0]);
        json_text(json, "sample", tool_shape_text(&o->config.sample, shape, sizeof shape));
        cJSON_AddNumberToObject(json, "classes", (double)o->config.classes);
    }
    if (worst) {
        add_outcome(json, worst);
        json_f64(json, "gradient_bound", o->bound);
        if (o->torch >= 0)
            json_f64(json, "pytorch_f32_gradient_relative_l2", o->torch);
        else
            cJSON_AddNullToObject(json, "pytorch_f32_gradient_relative_l2");
    }
    cJSON_AddItemToObject(json, "devices", devices);
    cJSON *skipped = cJSON_AddArrayToObject(json, "skipped");
    for (size_t i = 0; i < s->skipped.count; i++)
        cJSON_AddItemToArray(skipped, json_text_item(s->skipped.lines[i].text));
    return json_print(tool_output(), json, false);
}

static void drop_outcome(outcome *out)
{
    free(out->gradients.all);
    free(out->buffers.all);
    *out = (outcome){0};
}

/* Of several devices the one that is furthest off stands for all. */
static bool further(const outcome *a, const outcome *b)
{
    return a->good != b->good ? !a->good : a->gradients.relative > b->gradients.relative;
}

static int run_all(oracle *o, outcome *outcomes, actc_network **networks)
{
    parity_session *s = o->s;
    const outcome *worst = NULL;
    cJSON *devices = cJSON_CreateArray();
    int code = 0;
    for (size_t b = 0; b < s->n_backends && !code; b++) {
        const char *why;
        actc_device *device = parity_device(s, &s->backends[b], s->deterministic, &why);
        if (!device) {
            code = tool_fail(s->t, "%s: %s", s->backends[b].name, why);
            break;
        }
        code = run_on(o, device, b == 0, &networks[b], &outcomes[b]);
        if (code)
            break;
        if (!worst || further(&outcomes[b], worst))
            worst = &outcomes[b];
        cJSON *item = cJSON_CreateObject();
        json_text(item, "device", s->backends[b].name);
        add_outcome(item, &outcomes[b]);
        cJSON_AddItemToArray(devices, item);
        if (!parity_is_json(s))
            print_outcome(o, s->backends[b].name, &outcomes[b]);
    }
    if (code || !parity_is_json(s)) {
        cJSON_Delete(devices);
        return code ? code : worst->good ? 0 : TOOL_FAILURE;
    }
    return !print_json(o, worst, devices) ? tool_output_failed(s->t) : worst->good ? 0 : TOOL_FAILURE;
}

int parity_oracle(parity_session *s)
{
    oracle o = {.s = s};
    outcome outcomes[PARITY_MAX_BACKENDS] = {0};
    actc_network *networks[PARITY_MAX_BACKENDS] = {0}; /* they have the names in the outcomes */
    if (!(s->context = tool_context(s->t)))
        return TOOL_FAILURE;
    int code = read_file(&o);
    if (!code)
        code = parity_find_backends(s);
    if (code == PARITY_EXIT_SKIPPED && parity_is_json(s) && !print_json(&o, NULL, cJSON_CreateArray()))
        code = tool_output_failed(s->t);
    if (!code)
        code = run_all(&o, outcomes, networks);
    for (size_t b = 0; b < PARITY_MAX_BACKENDS; b++) {
        drop_outcome(&outcomes[b]);
        actc_network_destroy(&networks[b]);
    }
    actc_graph_destroy(&o.graph);
    actc_safetensors_destroy(&o.file);
    for (size_t i = 0; i < ORACLE_INPUTS; i++)
        free((void *)(uintptr_t)o.bindings[i].data);
    return code;
}
